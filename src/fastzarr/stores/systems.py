"""File systems of fsspec by their URL, as an identity, and in pickles: none has credentials.

Rules of this file:

* The URL of a path has what its file system needs to be opened again, except for credentials and
  other options: the host, the file that holds the others, the file system that is copied.
* A pickle has no credentials that were passed as values. Another process uses those of its
  environment, or of the configuration of fsspec.
"""

from __future__ import annotations

import inspect
import os
import re
from hashlib import blake2b
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from fastzarr.errors import RequestAccessError
from fastzarr.stores import copies
from fastzarr.stores.mapping import process
from fastzarr.stores.options import is_secret, public_headers, public_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Those at a host that their paths do not have.
_AT_HOSTS = frozenset({"ftp", "hdfs", "sftp", "smb", "ssh", "webhdfs"})
# Options that differ between file systems with the same values.
_PASSED = frozenset(
    {
        *("account_key", "asynchronous", "aws_access_key_id", "aws_secret_access_key"),
        *("aws_session_token", "credential", "key", "loop", "password", "sas_token", "secret"),
        *("session", "token"),
    }
)
# Options with credentials whose names do not say so.
_SECRET = frozenset({"auth", "connection_string", "credential", "key", "passphrase", "pkey"})
# Options that are of this process, or may have credentials inside.
_OF_PROCESS = frozenset({"loop", "session"})
_web_url = re.compile(r"\Ahttps?://").match


def url_of(fs: Any, path: str) -> str:
    """Return the URL of a path in a file system, by which it can be opened again.

    >>> import fsspec
    >>> url_of(fsspec.filesystem("memory"), "/a")
    'memory:///a'
    >>> url_of(fsspec.filesystem("simplecache", target_protocol="memory"), "/a")
    'simplecache::memory:///a'
    """
    if copies.is_around(fs):
        return f"{_name(fs)}::{url_of(fs.fs, path)}"
    options = getattr(fs, "storage_options", None) or {}
    name, fo = _name(fs), options.get("fo")
    if "://" in path:
        return path
    if isinstance(fo, str):
        protocol, below = options.get("target_protocol"), options.get("target_options") or {}
        return f"{name}://{path}::{_url_of_file(fo, protocol or 'file', below)}"
    if name == "github":
        return f"github://{fs.org}:{fs.repo}@{fs.root}/{path}"
    return _at_host(name, {"host": getattr(fs, "host", None)} | options, path)


def _name(fs: Any) -> str:
    protocol = fs.protocol
    return str(protocol if isinstance(protocol, str) else protocol[0])


def _url_of_file(path: str, protocol: str, options: Mapping[str, Any]) -> str:
    if "://" in path:
        return path
    if protocol in ("file", "local"):
        return f"file://{os.path.abspath(path)}"
    return _at_host(protocol, options, path)


def _at_host(name: str, options: Mapping[str, Any], path: str) -> str:
    host, port = options.get("host"), options.get("port")
    if name not in _AT_HOSTS or not host:
        return f"{name}://{path}"
    return f"{name}://{host}{f':{port}' if port else ''}/{path.lstrip('/')}"


def identity(fs: Any) -> str:
    """Return a text that is equal for file systems with the same values, in any thread.

    It is equal in any process, too, unless the values may be in the memory of one.

    >>> import fsspec
    >>> identity(fsspec.filesystem("file")) == identity(fsspec.filesystem("memory"))
    False
    """
    options = getattr(fs, "storage_options", f" at 0x{id(fs):x}")
    made = [_without_secrets(getattr(fs, "storage_args", ())), _without_secrets(options)]
    text = f"{type(fs).__module__}.{type(fs).__qualname__} {made}"
    if "memory" in text or " at 0x" in text:
        text += process(os.getpid())
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _without_secrets(options: Any) -> Any:
    """Return options without credentials, which are renewed, and without how they are awaited."""
    if isinstance(options, dict):
        kept = {str(key): value for key, value in options.items() if str(key) not in _PASSED}
        return sorted((key, _without_secrets(value)) for key, value in kept.items())
    return list(map(_without_secrets, options)) if type(options) in (list, tuple) else repr(options)


class Held:
    """The file system and the path of stores of this process, found by a name in their pickles."""

    __slots__ = ("__weakref__", "fs", "name", "process", "query", "root")

    def __init__(self, fs: Any, root: str, query: str) -> None:
        """Initialise with a new name."""
        self.fs, self.root, self.query = fs, root, query
        self.name, self.process = token_hex(16), os.getpid()


class Pickled(NamedTuple):
    """A file system in a pickle: its class, its options, and the names of those left out."""

    kind: type
    options: dict[str, Any]
    left_out: tuple[str, ...]

    def made(self) -> Any:
        """Return the file system, made anew."""
        return self.kind(**{name: _made(value) for name, value in self.options.items()})


def pickled(fs: Any) -> Pickled | None:
    """Return a file system without credentials, or None if its class is not pickled by fsspec.

    >>> import fsspec
    >>> pickled(fsspec.filesystem("file")).options
    {}
    """
    from fsspec import AbstractFileSystem

    if getattr(type(fs), "__reduce__", None) is not AbstractFileSystem.__reduce__:
        return None
    names = list(inspect.signature(type(fs).__init__).parameters)[1:]
    given = dict(zip(names, fs.storage_args, strict=False)) | fs.storage_options
    left: list[str] = []
    options = {name: value for name, value in _kept(given, left).items() if value is not _LEFT}
    if "token" in left and "username" in options:
        # That of GitHub takes both, or none.
        left.append("username")
        del options["username"]
    return Pickled(type(fs), options, tuple(left))


_LEFT = object()


def _kept(options: Mapping[str, Any], left: list[str], above: str = "") -> dict[str, Any]:
    """Return options without credentials, whose names are added to ``left``."""
    found = {}
    for name, value in options.items():
        if name in _OF_PROCESS:
            continue
        if name == "headers" and isinstance(value, dict):
            found[name] = public_headers(value)
            left += [f"{above}{name}"] * (len(found[name]) < len(value))
        elif _is_credential(str(name), value):
            left.append(f"{above}{name}")
        else:
            found[name] = _public(value, left, f"{above}{name}.")
    return found


def _is_credential(name: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return False
    # gcsfs takes the name of a method, or the path of a file, as its token.
    by_name = (
        name == "token"
        and isinstance(value, str)
        and (
            value in ("anon", "browser", "cache", "cloud", "google_default") or os.path.isabs(value)
        )
    )
    return not by_name and (name in _SECRET or is_secret(name) is not None)


def _public(value: Any, left: list[str], above: str) -> Any:
    if isinstance(value, dict):
        return _kept(value, left, above)
    if type(value) in (list, tuple):
        return type(value)(_public(each, left, above) for each in value)
    if isinstance(value, str) and _web_url(value):
        public = public_url(value)
        left += [f"{above}url"] * (len(public) < len(value.rstrip("/")))
        return value if len(public) == len(value) else public
    inner = pickled(value) if hasattr(value, "storage_options") else None
    if inner is None:
        return value
    left += [f"{above}{name}" for name in inner.left_out]
    return inner


def _made(value: Any) -> Any:
    if isinstance(value, Pickled):
        return value.made()
    if isinstance(value, dict):
        return {name: _made(each) for name, each in value.items()}
    return type(value)(map(_made, value)) if type(value) in (list, tuple) else value


def refused(
    fs: Any, place: str, message: str, status: int | str | None, left_out: Sequence[str]
) -> RequestAccessError:
    """Return the error of a request that has no credentials, because a pickle had none."""
    names = [name for name in left_out if "." not in name]
    where = " and ".join(f"FSSPEC_{_name(fs)}_{name}".upper() for name in names)
    advice = f"; set {where}, or configure fsspec, in the environment of this one" if where else ""
    words = (
        f"{message}; the process that has pickled the store keeps {', '.join(left_out)} to itself"
        f"{advice}"
    )
    return RequestAccessError(words, place, "", status)
