"""Stores that were written for zarr-python 3, such as Icechunk's sessions, as stores.

Rules of this file:

* Only the public, awaited methods of ``zarr.abc.store.Store`` are called, so that whatever a class
  overrides takes part. They are awaited on zarr-python's own event loop, on which the store may
  have been used before.
* zarr-python is not imported for it: a store of it has imported what is needed.
* A failure that means that the store cannot have such a key makes the key missing.
* There is no compare-and-swap: only the threads of one process exclude each other. A store with
  transactions of its own, such as Icechunk, finds conflicts when it commits.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from fastzarr.stores import loop, place
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.keys import validate_key
from fastzarr.stores.ranges import clip_range
from fastzarr.stores.remote import RemoteStore

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from fastzarr.stores.base import Range


# A first part this large is a document, up to the limit of its size: what a store does with a range
# beyond the end of a value is not specified.
_WHOLE = 1 << 20


def is_foreign(value: object) -> bool:
    """Whether an object is a store of zarr-python 3, or derived from its class."""
    return package_of(value) is not None


def package_of(value: object) -> str | None:
    """Return the package that defines the class from which a store is derived, or None.

    It is zarr-python, or a package with its modules, which then has what the store is called with.
    """
    for cls in type(value).__mro__:
        package, _, module = cls.__module__.partition(".abc.")
        if module == "store" and cls.__name__ == "Store" and hasattr(cls, "get_partial_values"):
            return package
    return None


class ForeignStore(RemoteStore):
    """A store of zarr-python 3, of any class: its own, Icechunk's, VirtualiZarr's or yours.

    One is made when such a store is passed as a store. Values are requested several at once. A
    store that accepts chunks only of existing arrays (Icechunk) gets the document first.

    >>> import zarr.storage
    >>> store = ForeignStore(zarr.storage.MemoryStore())
    >>> store.set("a/b", b"1")
    >>> store.get("a/b"), list(store.list())
    (b'1', ['a/b'])
    """

    def __init__(self, store: Any, *, read_only: bool = False) -> None:
        """Initialise with the store; raise TypeError if it is none of zarr-python 3."""
        super().__init__(read_only=read_only or bool(getattr(store, "read_only", False)))
        package = package_of(store)
        if package is None:
            msg = f"expected a store of zarr-python 3, not {type(store).__name__}"
            raise TypeError(msg)
        self._store = store
        self._package = package

    @property
    def store(self) -> Any:
        """The store of zarr-python 3."""
        return self._store

    @property
    def document_first(self) -> bool:  # type: ignore[override]
        """Whether chunks are only accepted of an array whose document is stored."""
        return type(self._store).__module__.partition(".")[0] == "icechunk"

    @property
    def supports_listing(self) -> bool:  # type: ignore[override]
        """Whether the keys can be listed."""
        return bool(self._store.supports_listing)

    @property
    def supports_deletes(self) -> bool:  # type: ignore[override]
        """Whether keys can be deleted."""
        return bool(self._store.supports_deletes)

    @property
    def supports_consolidated_metadata(self) -> bool:  # type: ignore[override]
        """Whether a copy of the metadata may be stored."""
        return bool(getattr(self._store, "supports_consolidated_metadata", True))

    # Calls

    def _prototype(self) -> Any:
        """Return the classes of the buffers that the store is called with."""
        return import_module(f"{self._package}.core.buffer").default_buffer_prototype()

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return the result of a method of the store."""
        return loop.wait_on(coroutine, _loop(self._package))

    def _if_any(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return the result of a method of the store, or None if there is nothing."""
        try:
            return self._wait(coroutine)
        except Exception as error:
            if not _says_missing(error):
                raise
        return None

    async def _awaited(self, key: str, start: int, length: int | None) -> Value | None:
        parts = import_module(f"{self._package}.abc.store")
        part: Any = None
        if start < 0:
            part = parts.SuffixByteRequest(-start)
        elif length is not None and (start or length < _WHOLE):
            part = parts.RangeByteRequest(start, start + length)
        elif start:
            part = parts.OffsetByteRequest(start)
        try:
            found = await self._store.get(key, self._prototype(), part)
        except Exception as error:
            if not _says_missing(error):
                raise
            found = None
        if found is None:
            return None
        data = memoryview(found.as_numpy_array()).cast("B") if len(found) else memoryview(b"")
        if length is not None:
            data = data[:length]
        return Value(data, None, None if part is not None else len(data))

    def _value(self, key: str, start: int = 0, length: int | None = None) -> Value | None:
        if length is not None:
            clip_range(start, length, 0)
        if length == 0:
            return Value(b"") if self._exists(key) else None
        found: Value | None = self._wait(self._awaited(key, start, length))
        return found

    async def fetch_async(self, wanted: Request) -> Value | None:
        """Return the value of a request, or None if the key is missing."""
        key, start, length = wanted
        validate_key(key)
        if length == 0:
            return await asyncio.to_thread(self._value, key, start, length)
        return await loop.await_on(self._awaited(key, start, length), _loop(self._package))

    # Parts that are requested one by one are within their values.
    fetch = RemoteStore.fetch

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> list[bytes] | None:
        size: int | None = None
        parts = []
        for start, length in ranges:
            if size is None and (start or length is not None):
                # What a store does with a range beyond the end of a value is not specified.
                size = self._getsize(key)
                if size is None:
                    return None
            if size is not None:
                first, last = clip_range(start, length, size)
                start, length = first, last - first  # noqa: PLW2901  (the range, clipped)
            found = self._value(key, start, length)
            if found is None:
                return None
            parts.append(bytes(found.data))
        return parts

    def _exists(self, key: str) -> bool:
        try:
            return bool(self._if_any(self._store.exists(key)))
        except NotImplementedError:  # as in VirtualiZarr
            return self._get(key) is not None

    def _getsize(self, key: str) -> int | None:
        found = self._if_any(self._store.getsize(key))
        return None if found is None else int(found)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        buffer = self._prototype().buffer.from_bytes(bytes(value))
        self._wait(self._store.set(key, buffer))

    def _delete(self, key: str) -> None:
        self._wait(self._store.delete(key))

    def _list(self, prefix: str) -> Iterable[str]:
        async def collect() -> list[str]:
            start = f"{prefix}/" if prefix else ""
            found = self._store.list_prefix(start)
            return [key async for key in found if key.startswith(start)]

        return self._if_any(collect()) or ()

    def _list_dir(self, prefix: str) -> Iterable[str]:
        async def collect() -> set[str]:
            found = {name.strip("/") async for name in self._store.list_dir(prefix)}
            return found - {""}

        return self._if_any(collect()) or ()

    def _delete_dir(self, prefix: str) -> None:
        # Some stores refuse a prefix without keys. In Icechunk it has none once the document of
        # its array is deleted.
        if self._list(prefix):
            self._wait(self._store.delete_dir(prefix))

    def clear(self) -> None:
        """Delete all keys."""
        self._check_write()
        self._wait(self._store.clear())

    def close(self) -> None:
        """Do nothing: the store belongs to the caller, who closes it."""

    # Identity

    def _find_place(self) -> place.Place:
        return place.of_object(self._store)

    def __eq__(self, other: object) -> bool:
        """Whether both are of equal stores."""
        if not isinstance(other, ForeignStore):
            return NotImplemented
        return bool(self._store is other._store or self._store == other._store)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the place, which is that of the store in this process."""
        state = super().__getstate__().items()
        return {name: value for name, value in state if name != "_place"}

    def __copy__(self) -> Self:
        """Return a store of the same store."""
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        return other

    def __str__(self) -> str:
        """Return the URL or the name of the store."""
        return str(self._store)


def _says_missing(error: Exception) -> bool:
    """Whether an error says that a key or a prefix does not exist, or cannot."""
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return True
    # Icechunk knows no keys but those of arrays and groups, and lists only these.
    # Its version 2 raises classes derived from its error.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    return not kinds.isdisjoint(("IcechunkError", "KeyError")) and (
        "invalid zarr key format" in text
        or "Only prefixes pointing" in text
        or "node not found" in text
    )


def _loop(package: str) -> asyncio.AbstractEventLoop:
    """Return the event loop of zarr-python."""
    found = getattr(sys.modules.get(f"{package}.core.sync"), "_get_loop", None)
    if found is None:
        return loop.event_loop()
    running: asyncio.AbstractEventLoop = found()
    return running
