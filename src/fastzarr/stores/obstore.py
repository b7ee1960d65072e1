"""Objects of a cloud as a store: S3, Google Cloud Storage, Azure, HTTP, by the obstore package.

Rules of this file:

* A key is missing only if the server says so of that key. A missing bucket, a denied access and
  every other answer is an error.
* A value is one object, put in one request, so that readers see the old value or the new one.
* A value is compared and swapped by its ETag. Each such put carries a new write id, followed by the
  ids of the conditional writes before it, so that a writer whose reply was lost finds its id in the
  object, or in one that a later writer made of it, and need not guess. If more writes have followed
  than an object has room for ids, nothing tells any more, and the write is an error.
* Forks and Ctrl-C: see ``runtime.py``. The attempt of a change that is interrupted ends after
  ``fetch.timeout``, and is not repeated then.
* A pickle has no credentials that were passed as values.
* If the server says that credentials have expired, the ``credential_provider`` is asked for others,
  although it may have promised that they last longer, or have said nothing.
"""

from __future__ import annotations

import os
import re
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fastzarr.buffers import flat_bytes
from fastzarr.errors import BaseZarrError, RequestError
from fastzarr.native import constant
from fastzarr.stores import place, retry, tags
from fastzarr.stores.addresses import object_of, url_in_format
from fastzarr.stores.capabilities import Value
from fastzarr.stores.keys import normalise_path, validate_key
from fastzarr.stores.options import described, open_url, public_url, renewed, url_of
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.remote import RemoteStore, known
from fastzarr.stores.runtime import answer, body, runtime
from fastzarr.stores.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from typing_extensions import Buffer

    from fastzarr import hints

T = TypeVar("T")

# Larger values are put in parts, several at once.
_IN_PARTS = 64 << 20
# The errors of S3, Azure and Google for credentials that were right.
_expired = re.compile(
    r"ExpiredToken|TokenRefreshRequired|token (has|is) expired|"
    r"<AuthenticationErrorDetail>[^<]*expired|\b401 Unauthorized\b"
).search
_wordless = re.compile(r"performing HEAD .* status code: 40[013]\b").search
_status = re.compile(r"status code: (\d{3})").search
# The errors for a server that ignores ranges, and for a range in which nothing of a value is.
_whole = re.compile(r"Range request not supported|non-partial").search
_beyond = re.compile(r"Invalid range|Requested range was invalid").search
# What Azure's answers for an empty value become. Of others, a wrong answer may become the same.
_empty = re.compile(r"Wanted range starting at|bytes 0--1/0").search
_network = re.compile(
    r"(?i)error sending request|error decoding response|error reading|connection|timed? ?out|"
    r"body|reset|broken pipe|incomplete|request or response"
).search
# Redirects that are not followed: to another scheme than https or that of the URL, or in a circle.
_refused = re.compile(r"error following redirect|HTTP error: builder error").search
_SWAPPING = frozenset({"S3Store", "GCSStore", "AzureStore", "MemoryStore"})
_CONFLICTS = frozenset({409, 412})
_CONFLICT_ERRORS = frozenset({"AlreadyExistsError", "PreconditionError"})
_TAGGING = frozenset({"S3Store", "GCSStore", "AzureStore"})


def _range(start: int, length: int | None) -> Any:
    """Return a part of a value as obstore expects it, or None for a whole value."""
    if start < 0:
        return {"suffix": -start}
    if length is not None:
        return start, start + length
    return {"offset": start} if start else None


def _status_of(error: Exception) -> int | None:
    return int(found[1]) if (found := _status(str(error))) else None


def _is_beyond(error: Exception, kind: str) -> bool:
    """Whether nothing of a value is in the range that was requested."""
    found = _beyond(str(error)) or (kind == "AzureStore" and _empty(str(error)))
    return _status_of(error) == 416 or bool(found)


def _explain(error: Exception) -> retry.Outcome | None:
    """Return what an error of obstore means, or None for an error of another kind."""
    if not type(error).__module__.startswith("obstore") and not isinstance(
        error, FileNotFoundError | TimeoutError | ConnectionError
    ):
        return None
    status = _status_of(error)
    if status is not None:
        return retry.of_status(status)
    if _refused(str(error)):
        return retry.Outcome(None, transient=False)
    if isinstance(error, FileNotFoundError):
        return retry.Outcome(404, transient=False)
    return retry.Outcome(None, transient=_network(str(error)) is not None)


class ObjectStore(RemoteStore):
    """A store of objects in a bucket of S3, Google Cloud Storage or Azure, or behind HTTP.

    ``store`` is a URL, such as ``s3://bucket/prefix``, or a store of the obstore package, which the
    extra ``fastzarr[s3]`` (``[gcs]``, ``[azure]``) installs. ``storage_options`` are those of
    obstore (``region``, ``endpoint``, ``access_key_id``, ``credential_provider``,
    ``client_options`` ...), or of s3fs, gcsfs and adlfs (``key``, ``secret``, ``anon``,
    ``endpoint_url``, ``client_kwargs`` ...).

    Chunks that two writers share are compared and swapped, across machines, on S3, Google and
    Azure. With ``conditional=False``, for a server that ignores the conditions of a put, only the
    threads of one process exclude each other. Behind HTTP there is no listing: groups need
    consolidated metadata, or their members are opened by their paths.

    A failed request is repeated within ``fetch.deadline`` (60 s). A pickle has no credentials that
    were passed as values: another process uses those of its environment, or calls the
    ``credential_provider``, which is pickled by its name. In a forked child it raises
    ``ForkedError`` if the parent has made a request.

    >>> from obstore.store import MemoryStore
    >>> store = ObjectStore(MemoryStore())
    >>> store.set("a/b", b"1")
    >>> store.get("a/b"), list(store.list())
    (b'1', ['a/b'])
    """

    takes_views = True
    #: A conditional delete is not offered by the servers: see ``swap``.
    swaps_deletes = False

    def __init__(
        self,
        store: str | hints.HasObjects,
        *,
        read_only: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        conditional: bool = True,
    ) -> None:
        """Initialise with a URL or a store of obstore.

        Raise ImportError if obstore is not installed, BaseZarrError for a URL that it does not
        know, and TypeError for an option that it does not know, or for anything else as ``store``.
        """
        super().__init__(read_only=read_only)
        # A store that was made elsewhere repeats requests on its own, without our knowledge.
        self._repeats = not isinstance(store, str)
        if isinstance(store, str):
            self._store = open_url(store, dict(storage_options or {}))
        else:
            if not type(store).__module__.startswith("obstore"):
                msg = f"expected a URL or a store of obstore, not {type(store).__name__}"
                raise TypeError(msg)
            if storage_options:
                msg = "storage_options are for URLs; pass them to the store of obstore"
                raise TypeError(msg)
            self._store = store
        self._kind = type(self._store).__name__
        if self._kind not in _TAGGING:
            # They keep what they are given.
            self.takes_views = False
        self._conditional = conditional and self._kind in _SWAPPING
        if not self._conditional:
            self.swap = None  # type: ignore[assignment, method-assign]
            self.swap_token = None  # type: ignore[assignment, method-assign]
            self.validator = None  # type: ignore[assignment, method-assign]

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Return the store of a URL; of ``objects://`` with the ``id`` of one of this process.

        >>> from obstore.store import MemoryStore
        >>> store = ObjectStore(MemoryStore())
        >>> ObjectStore.from_url(str(store)) == store
        True
        """
        objects = object_of(url) if url.startswith("objects://") else url
        return cls(objects, read_only=read_only, storage_options=storage_options)

    @property
    def store(self) -> Any:
        """The store of obstore."""
        return self._store

    @property
    def supports_listing(self) -> bool:  # type: ignore[override]
        """Whether the keys can be listed; not behind plain HTTP.

        >>> ObjectStore("https://example.org/data").supports_listing
        False
        """
        return self._kind != "HTTPStore"

    # Values

    def _value(self, key: str, start: int = 0, length: int | None = None) -> Value | None:
        """Return a value, or a part of one, or None if the key is missing."""
        if length is not None and length <= 0:
            clip_range(start, length, 0)
            found = self._head(key)
            return None if found is None else Value(b"", self._tag(*found), found[0]["size"])
        part = _range(start, length)

        def attempt() -> Value | None:
            try:
                found = self._object(key, part)
            except FileNotFoundError as error:
                self._check_key_missing(error)
                return None
            except Exception as error:
                if part is not None and _is_beyond(error, self._kind):
                    return Value(b"")
                if part is None or not _whole(str(error)):
                    raise
                data, token, size = self._object(key, None)
                first, last = clip_range(start, length, len(data))
                return Value(data[first:last], token, size)
            if start < 0 and length is not None:
                found = found._replace(data=found.data[:length])
            value: Value = found
            return value

        return self._read(attempt, key)

    def load(self, key: str) -> Any:
        """Return the value of a valid key as a buffer, or None if the key is missing.

        >>> from obstore.store import MemoryStore
        >>> ObjectStore(MemoryStore()).load("a") is None
        True
        """
        import obstore

        def attempt() -> Any:
            try:
                return body(obstore.get(self._store, key))
            except FileNotFoundError as error:
                self._check_key_missing(error)
                return None

        return self._request(attempt, key, leave=True)

    def _object(self, key: str, part: Any) -> Any:
        """Return a value or a part of it, with its ETag; one request."""
        got = answer(self._store, key, part)
        meta, attributes = got.meta, got.attributes
        return Value(body(got), self._tag(meta, attributes), meta["size"])

    def _tag(self, meta: Mapping[str, Any], attributes: Mapping[str, str]) -> Tag | None:
        etag = meta.get("e_tag")
        if etag is None:
            return None
        found = attributes.get(tags.WRITE_IDS)
        return Tag(etag, tuple(found.split(",")) if found else (), self._version(meta))

    def _version(self, meta: Mapping[str, Any]) -> str | None:
        return meta.get("version") if self._kind == "GCSStore" else None

    def _head(self, key: str) -> tuple[Mapping[str, Any], Mapping[str, str]] | None:
        import obstore

        def attempt() -> tuple[Mapping[str, Any], Mapping[str, str]] | None:
            try:
                got = obstore.get(self._store, key, options={"head": True})
            except FileNotFoundError as error:
                self._check_key_missing(error)
                return None
            return got.meta, got.attributes

        return self._read(attempt, key)

    def _exists(self, key: str) -> bool:
        return self._head(key) is not None

    def _getsize(self, key: str) -> int | None:
        found = self._head(key)
        return None if found is None else int(found[0]["size"])

    def validator(self, key: str) -> Hashable | None:
        """Return the ETag of the current value, or None if the key is missing; one request."""
        validate_key(key)
        found = self._head(key)
        return None if found is None else self._tag(*found)

    # Changes

    def _set(self, key: str, value: bytes | memoryview) -> None:
        # obstore may keep the memory of a buffer after it has returned.
        data, writes = constant(value), (tags.write_id(),)
        self._request(lambda: self._put(key, data, writes), key)

    def _put(self, key: str, value: bytes, writes: tuple[str, ...], **how: Any) -> Tag | None:
        """Store a value, and return its token."""
        import obstore

        writes = writes[: tags.KEPT_IDS]

        if self._kind in _TAGGING:
            how["attributes"] = {tags.WRITE_IDS: ",".join(writes)}
        if len(value) <= _IN_PARTS or "mode" in how:
            how["use_multipart"] = False
        put: Any = obstore.put(self._store, key, value, **how)
        if put["e_tag"] is None:
            return None
        return Tag(put["e_tag"], writes if self._kind in _TAGGING else (), self._version(put))

    def _delete(self, key: str) -> None:
        self._delete_keys((key,))

    def _delete_keys(self, keys: Iterable[str]) -> None:
        import obstore

        def attempt() -> None:
            try:
                obstore.delete(self._store, wanted if len(wanted) > 1 else wanted[0])
            except FileNotFoundError as error:  # S3 does not raise for a missing key, others do
                self._check_key_missing(error)
                if len(wanted) > 1:
                    raise

        wanted = list(keys)
        if wanted:
            self._request(attempt, wanted[0])

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value if the token is still current; return whether it was.

        ``token`` is what ``validator`` or ``fetch`` returned; None means that the key is missing.

        Raise BaseZarrError if ``value`` is None, which would delete the key, because the servers
        offer no conditional delete.
        """
        return self._swap(key, value, token)[0]

    def swap_token(
        self, key: str, value: Buffer | None, token: Hashable | None
    ) -> tuple[bool, Hashable | None]:
        """Store the value as ``swap`` does; return also its token, if the server has told it.

        >>> from obstore.store import MemoryStore
        >>> store = ObjectStore(MemoryStore())
        >>> done, token = store.swap_token("a", b"1", None)
        >>> done, token == store.validator("a")
        (True, True)
        """
        return self._swap(key, value, token)

    def _swap(
        self, key: str, value: Buffer | None, token: Hashable | None
    ) -> tuple[bool, Hashable | None]:
        self._check_write(key)
        if value is None:
            msg = f"{self}, key {key!r}: no conditional delete; store a value, or use delete"
            raise BaseZarrError(msg)
        data = constant(flat_bytes(value, key))
        before = token if isinstance(token, Tag) else None
        mine = tags.write_id()
        writes = (mine, *(() if before is None else before.writes))
        mode = "create" if before is None else before.as_condition()
        attempts, new = 0, None

        def attempt() -> bool:
            nonlocal attempts, new
            attempts += 1
            try:
                new = self._put(key, data, writes, mode=mode)
            except Exception as error:
                if not self._is_conflict(error, before):
                    raise
                # An attempt before, or one inside obstore, may have been ours.
                return (attempts > 1 or self._repeats) and bool(decided())
            return True

        def decided() -> bool | None:
            found = self._head(key)
            if found is None:
                return None if before is None else False
            tag = self._tag(*found)
            if tag == before:
                return None
            return tag is not None and self._is_of(tag, mine, before, key)

        return self._request(attempt, key, decided), new

    def _is_conflict(self, error: Exception, before: Tag | None) -> bool:
        """Whether a conditional put has failed because the value is not that of the tag."""
        if isinstance(error, FileNotFoundError):
            self._check_key_missing(error)
            return before is not None
        return _status_of(error) in _CONFLICTS or type(error).__name__ in _CONFLICT_ERRORS

    def _is_of(self, tag: Tag, mine: str, before: Tag | None, key: str) -> bool:
        """Whether a write is among those that led to an object.

        ``before`` is what the write has replaced. Raise RequestError if it may have been followed
        by more writes than there are ids.
        """
        if mine in tag.writes:
            return True
        follows = before is not None and before.writes[:1]
        if len(tag.writes) < tags.KEPT_IDS or (follows and follows[0] in tag.writes):
            return False
        msg = (
            "the reply to a conditional write was lost, and so many others have written since that "
            "it cannot be told whether it has happened; read the value, and repeat the change if "
            "it is missing"
        )
        raise RequestError(msg, str(self), key)

    # Listings

    def _list(self, prefix: str) -> Iterable[str]:
        import obstore

        self._check_listing(prefix)

        def attempt() -> list[str]:
            found = obstore.list(self._store, prefix or None, chunk_size=1000)
            return [meta["path"] for part in found for meta in part]

        # Some of obstore's stores also list a key that is the prefix itself.
        return [key for key in self._read(attempt, prefix) if key != prefix]

    def _list_dir(self, prefix: str) -> Iterable[str]:
        import obstore

        self._check_listing(prefix)

        def attempt() -> list[str]:
            found = obstore.list_with_delimiter(self._store, prefix or None)
            paths = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
            return [path.rpartition("/")[2] for path in paths]

        return self._read(attempt, prefix)

    def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix; one request."""
        import obstore

        path = normalise_path(prefix)
        self._check_listing(path)

        def attempt() -> bool:
            found = obstore.list(self._store, path or None, chunk_size=2)
            return all(meta["path"] == path for part in found for meta in part)

        return self._read(attempt, path)

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes, which the listing contains."""
        import obstore

        path = normalise_path(prefix)
        self._check_listing(path)

        def attempt() -> int:
            found = obstore.list(self._store, path or None, chunk_size=1000)
            return sum(meta["size"] for part in found for meta in part if meta["path"] != path)

        return self._read(attempt, path)

    # Trees

    def _copy_key(self, key: str, to: str) -> None:
        import obstore

        obstore.copy(self._store, key, to)

    def _move(self, source: str, target: str) -> None:
        # The server copies. Everything is copied before anything is deleted.
        keys = [source] if self._exists(source) else []
        keys += self._list(source)
        for key in keys:
            to = target + key[len(source) :]
            self._request(partial(self._copy_key, key, to), key)
        self._delete_keys(keys)

    # Requests

    def _read(self, attempt: Callable[[], T], key: str) -> T:
        return self._request(attempt, key, leave=True)

    def _request(
        self,
        attempt: Callable[[], T],
        key: str,
        decided: Callable[[], T | None] | None = None,
        *,
        leave: bool = False,
    ) -> T:
        runtime.check(self)
        ask = partial(runtime.apart, attempt, leave=leave) if runtime.is_main() else attempt
        used, doubts = self._store, True

        def meaning(error: Exception) -> retry.Outcome | None:
            nonlocal used, doubts
            outcome, text = _explain(error), str(error)
            # An answer to HEAD has no words: the request is repeated once with other credentials.
            if outcome is None or not (_expired(text) or (doubts and _wordless(text))):
                return outcome
            # Another thread may have asked for others.
            made = renewed(used) if self._store is used else self._store
            if made is None:
                return outcome
            self._store = used = made
            doubts = False
            return outcome._replace(transient=True)

        return retry.request(ask, meaning, self, key, decided)

    # Identity

    def _find_place(self) -> place.Place:
        if self._kind == "MemoryStore":
            return place.of_object(self._store)
        if self._kind == "LocalStore":
            return place.of_folder(os.path.realpath(str(self._store.prefix or "/")))
        web = self._kind == "HTTPStore"
        url = public_url(self._store.url) if web else str(self)
        return place.of_name(f"{url} {self._config.get('endpoint', '')}".strip())

    @property
    def _config(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = getattr(self._store, "config", None) or {}
        return found

    def __copy__(self) -> Self:
        """Return a store of the same objects with the same connections."""
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a store of the same objects with the same connections."""
        del memo
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without credentials; unpickling in this process finds the same connections."""
        with runtime.guard:
            name = vars(self).setdefault("_name", token_hex(16))
            known[name] = self._store
        made = described(self._store)
        return _restored, (type(self), name, made, self.read_only, self._conditional)

    def __str__(self) -> str:
        """Return the URL, without credentials."""
        # It is found by its ``id`` as long as its place is known.
        objects = self.place.held if self._kind == "MemoryStore" else self._store
        return url_in_format(url_of(objects), self.zarr_format)


def _restored(
    cls: type[ObjectStore],
    name: str,
    made: tuple[type, dict[str, Any]] | None,
    read_only: bool,
    conditional: bool,
) -> ObjectStore:
    """Return a store from its pickle: with the connections of this process, if it has them."""
    with runtime.guard:
        found = known.get(name)
    if found is None:
        if made is None:
            msg = "a store in memory of obstore exists only in the process in which it was pickled"
            raise BaseZarrError(msg)
        kind, words = made
        found = kind(**{key: value for key, value in words.items() if value is not None})
    return cls(found, read_only=read_only, conditional=conditional)
