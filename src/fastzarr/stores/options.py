"""The options of stores of objects, as fsspec's file systems and as obstore call them.

Rules of this file:

* An option that neither knows is an error, which names it.
* Credentials never leave this process: ``url_of`` and ``described`` leave them out.
* A URL that is opened again with the same options and environment gets the same store of obstore,
  with its connections. To make another one takes 5 ms, and its first request a handshake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from fastzarr.config import config
from fastzarr.errors import BaseZarrError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

#: The kind of store that obstore opens for each scheme.
KINDS = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gs"),
    **dict.fromkeys(("az", "azure", "abfs", "abfss", "adl"), "az"),
    **dict.fromkeys(("http", "https"), "http"),
}
#: The extra of this package that installs what each kind needs.
EXTRAS = {"s3": "s3", "gs": "gcs", "az": "azure", "http": "remote"}
# That for what fsspec alone opens; the others need the packages that it names.
_EXTRAS = {"hdfs": "hdfs", "webhdfs": "hdfs"}
_scheme = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*)://").match
# As ``url_of`` has the account; a host with dots is that of the account, which obstore knows.
_account = re.compile(r"\A[a-z]+://([^@/]+)@([^@/.]+)((?:/.*)?)\Z", re.DOTALL).match
#: Whether an option of a name has a credential.
is_secret = re.compile(
    r"(?i)secret|password|(access|account|sas|service_account|shared)_key|access_key_id|"
    r"(\A|_)token\Z|bearer"
).search
# The names of the parts of a query that sign it, or change with its signature.
_signs = re.compile(
    r"(?i)sig|token|key|secret|passw|credential|auth|policy|hmac|expires|\Ax-(amz|goog)-|"
    r"\A(s[etpvrk]|spr|sk[a-z]+)\Z"
).search
_GCS_TOKENS = ("google_default", "cloud", "browser", "cache")
# Options of fsspec that concern its own caches and loops.
_IDLE = frozenset(
    {"asynchronous", "loop", "cache_regions", "default_block_size", "default_cache_type"}
    | {"default_fill_cache", "fill_cache", "listings_expiry_time", "max_concurrency"}
    | {"skip_instance_cache", "use_listings_cache", "version_aware", "consistency", "project"}
    | {"default_cache_options", "block_size", "cache_type"}
)
# By the kind of store, the names of obstore for options of fsspec.
_NAMES = {
    "s3": {
        "key": "access_key_id",
        "username": "access_key_id",
        "secret": "secret_access_key",
        "password": "secret_access_key",
        "token": "session_token",
        "endpoint_url": "endpoint",
        "region_name": "region",
        "requester_pays": "request_payer",
        "anon": "skip_signature",
    },
    "gs": {"anon": "skip_signature"},
    "az": {
        "credential": "account_key",
        "sas_token": "sas_key",
        "anon": "skip_signature",
    },
    "http": {},
}


def needs(scheme: str, error: ImportError | None = None) -> ImportError:
    """Return the error that packages for the URLs of a scheme are missing; fsspec has named some.

    >>> needs("s3")
    ImportError("s3:// URLs need more packages: pip install 'fastzarr[s3]'")
    """
    extra = EXTRAS[KINDS[scheme]] if scheme in KINDS else _EXTRAS.get(scheme)
    words = f"pip install 'fastzarr[{extra or 'fsspec'}]'"
    if error is not None and extra is None:
        words = str(error)
    return ImportError(f"{scheme}:// URLs need more packages: {words}")


def open_url(url: str, options: Mapping[str, Any]) -> Any:
    """Return the store of obstore for a URL.

    Raise ImportError if obstore is not installed, BaseZarrError for a URL without a known scheme,
    and TypeError for an unknown option.
    """
    found = _scheme(url)
    scheme = found[1].lower() if found else ""
    kind = KINDS.get(scheme, scheme)
    try:
        from obstore import exceptions
        from obstore import store as stores
    except ImportError:
        extra = EXTRAS.get(kind, "remote")
        msg = f"{scheme}:// URLs need the package obstore: pip install 'fastzarr[{extra}]'"
        raise ImportError(msg) from None
    if kind == "gs":
        url = f"gs://{url.partition('://')[2]}"
    if kind == "http":
        # A slash at the end would be doubled, and some servers tell the two apart.
        url = web_root(url) + query_of(url)
    words = _as_obstore(kind, options)
    account = _account(url) if kind == "az" else None
    if account is not None:
        url = f"az://{account[1]}{account[3]}"
        words.setdefault("account_name", account[2])
    client: dict[str, Any] = {
        "read_timeout": _seconds("fetch.timeout"),
        "connect_timeout": "5s",
        "timeout": "300s",
    }
    endpoint = str(words.get("endpoint") or words.get("aws_endpoint") or "")
    if endpoint.startswith("http://") or scheme == "http":
        client["allow_http"] = True
    if kind == "s3" and endpoint:
        words.setdefault("region", "us-east-1")
    client |= words.pop("client_options", None) or {}
    retries = words.pop("retry_config", None) or {"max_retries": 0}
    # Credentials in files can change, so that a store that has read them is not used again.
    kept = kind == "http" or _has_credentials(kind, words)
    if kind == "s3" and not kept:
        words |= _from_boto3()
    words |= {"client_options": client, "retry_config": retries}
    made: Callable[..., Any] = stores.HTTPStore.from_url if kind == "http" else stores.from_url
    try:
        return _again(made, url, words) if kept else made(url, **words)
    except exceptions.UnknownConfigurationKeyError as error:
        msg = f"storage_options: {str(error).partition(chr(10))[0]}"
        raise TypeError(msg) from None
    except (exceptions.BaseError, ValueError) as error:
        from fastzarr.stores.retry import redacted

        text = redacted(str(error).partition("\n\nDebug")[0])
        msg = f"{redacted(url)} cannot be opened: {text}"
        raise BaseZarrError(msg) from None


class _Call(NamedTuple):
    """A call that makes a store of obstore; calls are equal if their keys are."""

    key: Hashable
    make: Callable[[], Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=16)
def made_before(call: _Call) -> Any:
    """Return the store that an equal call has made, or that of this call."""
    return call.make()


def _again(made: Callable[..., Any], url: str, words: Mapping[str, Any]) -> Any:
    """Return the store that these arguments made before, with its connections, or a new one."""
    make = partial(made, url, **words)
    call = _Call((made, url, _frozen(words), frozenset(os.environ.items())), make)
    try:
        hash(call)
    except TypeError:
        return make()
    return made_before(call)


def _frozen(value: Any) -> Hashable:
    if isinstance(value, Mapping):
        return frozenset((name, _frozen(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return type(value), value


def _seconds(setting: str) -> str:
    return f"{max(int(1000 * config[setting]), 1)}ms"


def _as_obstore(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the names of obstore."""
    names = _NAMES.get(kind, {})
    words: dict[str, Any] = {}
    client: dict[str, Any] = {}
    for name, value in options.items():
        if name in _IDLE or value is None or (name == "anon" and not value):
            continue
        if name in _NESTED:
            _NESTED[name](value, words, client)
        elif kind == "gs" and name == "token":
            words |= _gcs_token(value)
        else:
            words[names.get(name, name)] = value
    if client:
        words["client_options"] = client
    return words


def _client_kwargs(value: Mapping[str, Any], words: dict[str, Any], client: dict[str, Any]) -> None:
    for name, given in value.items():
        if name in ("endpoint_url", "region_name"):
            words[_NAMES["s3"][name]] = given
        elif name == "headers":
            client["default_headers"] = dict(given)
        elif name == "verify":
            client["allow_invalid_certificates"] = not given
        else:
            msg = f"storage_options: unknown client_kwargs[{name!r}]; pass a store of obstore"
            raise TypeError(msg)


def _config_kwargs(value: Mapping[str, Any], words: dict[str, Any], client: dict[str, Any]) -> None:
    del client
    style = (value.get("s3") or {}).get("addressing_style")
    if style is not None:
        words["virtual_hosted_style_request"] = style == "virtual"


def _headers(value: Mapping[str, Any], words: dict[str, Any], client: dict[str, Any]) -> None:
    del words
    client["default_headers"] = dict(value)


def _use_ssl(value: object, words: dict[str, Any], client: dict[str, Any]) -> None:
    del words
    client["allow_http"] = not value


def _client_options(value: dict[str, Any], words: dict[str, Any], client: dict[str, Any]) -> None:
    del words
    client |= value


_NESTED: dict[str, Callable[[Any, dict[str, Any], dict[str, Any]], None]] = {
    "client_kwargs": _client_kwargs,
    "client_options": _client_options,
    "config_kwargs": _config_kwargs,
    "headers": _headers,
    "use_ssl": _use_ssl,
}


def _gcs_token(value: object) -> dict[str, Any]:
    if value == "anon":
        return {"skip_signature": True}
    if isinstance(value, str) and value not in _GCS_TOKENS:
        return {"service_account": value}
    if isinstance(value, dict):
        import json

        return {"service_account_key": json.dumps(value)}
    return {}


def _has_credentials(kind: str, words: Mapping[str, Any]) -> bool:
    names = {name.lower().removeprefix("aws_") for name in words}
    given = {"access_key_id", "skip_signature", "credential_provider"} & names
    return bool(given) or (kind == "s3" and "AWS_ACCESS_KEY_ID" in os.environ)


def _from_boto3() -> dict[str, Any]:
    """Return the provider of the credentials in the files of AWS, if boto3 is installed."""
    try:
        from boto3 import Session
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    session = Session()
    if session.get_credentials() is None:
        return {}
    return {"credential_provider": Boto3CredentialProvider(session)}


def url_of(store: Any) -> str:
    """Return the URL of a store of obstore, without credentials.

    >>> from obstore.store import S3Store
    >>> url_of(S3Store("bucket", prefix="a", access_key_id="me", secret_access_key="hidden"))
    's3://bucket/a'
    """
    from fastzarr.stores.retry import redacted

    kind = type(store).__name__
    settings = getattr(store, "config", None) or {}
    below = f"/{store.prefix}" if getattr(store, "prefix", None) else ""
    if kind == "S3Store":
        return f"s3://{settings.get('bucket', '')}{below}"
    if kind == "GCSStore":
        return f"gs://{settings.get('bucket', '')}{below}"
    if kind == "AzureStore":
        account = settings.get("account_name")
        place = f"{settings.get('container_name', '')}@{account or ''}".rstrip("@")
        return f"az://{place}{below}"
    if kind == "HTTPStore":
        return redacted(web_root(store.url) + query_of(store.url))
    if kind == "LocalStore":
        return f"file://{store.prefix or '/'}"
    return f"objects://{id(store)}"


def web_root(url: str) -> str:
    """Return a URL of the web without its query, its fragment and slashes at the end.

    >>> web_root("https://host/a/?sig=abc#top")
    'https://host/a'
    """
    parts = urlsplit(str(url))
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def query_of(url: str) -> str:
    """Return the query of a URL with its question mark, or nothing.

    >>> query_of("https://host/a?sig=abc#top"), query_of("https://host/a")
    ('?sig=abc', '')
    """
    query = urlsplit(str(url)).query
    return f"?{query}" if query else ""


def public_url(url: str) -> str:
    """Return a URL of the web without user, password and the signature in its query.

    >>> public_url("https://me:pw@host/a?version=2&sig=abc")
    'https://host/a?version=2'
    """
    parts = urlsplit(web_root(url))
    fields = query_of(url).lstrip("?").split("&")
    query = "&".join(field for field in fields if not _signs(field.partition("=")[0]))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def renewed(store: Any) -> Any:
    """Return a store of obstore with the options of another one, but without its credentials.

    Its ``credential_provider`` is asked for others. Return None if there is no provider.
    """
    provider = getattr(store, "credential_provider", None)
    if provider is None:
        return None
    words = {
        "config": store.config,
        "prefix": store.prefix,
        "client_options": store.client_options,
        "retry_config": store.retry_config,
    }
    given = {name: value for name, value in words.items() if value is not None}
    return type(store)(credential_provider=provider, **given)


def described(store: Any) -> tuple[type, dict[str, Any]] | None:
    """Return the class of a store of obstore and arguments that make it, without credentials.

    Return None for a store that only exists in this process.
    """
    kind = type(store).__name__
    if kind == "MemoryStore":
        return None
    if kind == "LocalStore":
        return type(store), {"prefix": None if store.prefix is None else str(store.prefix)}
    words: dict[str, Any] = {
        "client_options": _public(store.client_options),
        "retry_config": store.retry_config,
    }
    if kind == "HTTPStore":
        return type(store), words | {"url": public_url(store.url)}
    words |= {"config": _public(store.config), "prefix": store.prefix}
    provider = getattr(store, "credential_provider", None)
    if provider is not None:
        words["credential_provider"] = provider
    return type(store), words


def _public(settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return settings without credentials."""
    if settings is None:
        return None
    kept = {name: value for name, value in settings.items() if not is_secret(name)}
    if "default_headers" in kept:
        kept["default_headers"] = public_headers(kept["default_headers"])
    return kept


def public_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers of requests without credentials.

    >>> public_headers({"Accept": "*/*", "Authorization": "Bearer abc"})
    {'Accept': '*/*'}
    """
    secret = re.compile(r"(?i)auth|cookie|key|token").search
    return {name: value for name, value in dict(headers).items() if not secret(str(name))}
