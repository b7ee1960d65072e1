"""The base class of stores whose verbs are awaited, and the protocols around it.

Rules of this file:

* Nothing of fastzarr is in it: other packages derive their stores from these classes, and what
  they define is all that the engine calls (``fastzarr.stores.foreign``).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

from fastzarr.compat.core._coalesce import (
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
    coalesced_get,
    coalesced_get_sync,
)
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.common import concurrent_map
from fastzarr.compat.core.config import config

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
    from types import TracebackType

    from fastzarr.compat.core.buffer import Buffer, BufferPrototype

__all__ = [
    "ByteGetter",
    "ByteRequest",
    "ByteSetter",
    "OffsetByteRequest",
    "RangeByteRequest",
    "Store",
    "SuffixByteRequest",
    "SupportsDeleteSync",
    "SupportsGetSync",
    "SupportsSetSync",
    "SupportsSyncStore",
    "SyncByteGetter",
    "SyncByteSetter",
    "set_or_delete",
]

ByteRequest: TypeAlias = RangeByteRequest | OffsetByteRequest | SuffixByteRequest
_GAP, _MOST = 1 << 20, 16 << 20


class Store(ABC):
    """The base class of stores whose verbs are awaited."""

    _read_only: bool
    _is_open: bool

    def __init__(self, *, read_only: bool = False) -> None:
        """Initialise; a store with ``read_only`` rejects writes."""
        self._is_open = False
        self._read_only = read_only

    @classmethod
    async def open(cls, *args: Any, **kwargs: Any) -> Self:
        """Return a new store, opened."""
        store = cls(*args, **kwargs)
        await store._open()
        return store

    def with_read_only(self, read_only: bool = False) -> Store:
        """Return a store of the same values that is read-only, or not."""
        del read_only
        msg = f"with_read_only is not implemented for the {type(self)} store type."
        raise NotImplementedError(msg)

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()

    async def _open(self) -> None:
        if self._is_open:
            msg = "store is already open"
            raise ValueError(msg)
        self._is_open = True

    async def _ensure_open(self) -> None:
        if not self._is_open:
            await self._open()

    async def is_empty(self, prefix: str) -> bool:
        """Whether there is no key below a prefix."""
        self._check_listing()
        async for _ in self.list_prefix(_folder(prefix)):
            return False
        return True

    async def clear(self) -> None:
        """Delete all keys."""
        self._check_deleting()
        self._check_writable()
        await self.delete_dir("")

    @property
    def read_only(self) -> bool:
        """Whether the store rejects writes."""
        return self._read_only

    def _check_writable(self) -> None:
        if self.read_only:
            msg = "store was opened in read-only mode and does not support writing"
            raise ValueError(msg)

    def _check_listing(self) -> None:
        if not self.supports_listing:
            msg = f"{type(self).__name__} cannot list its keys"
            raise NotImplementedError(msg)

    def _check_deleting(self) -> None:
        if not self.supports_deletes:
            msg = f"{type(self).__name__} cannot delete keys"
            raise NotImplementedError(msg)
        self._check_listing()

    @abstractmethod
    def __eq__(self, value: object) -> bool:
        """Whether two stores have the same values."""

    __hash__ = None  # type: ignore[assignment]

    @abstractmethod
    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""

    @abstractmethod
    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return values or parts of them in the order of the requests, None for missing keys."""

    @abstractmethod
    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""

    @property
    @abstractmethod
    def supports_writes(self) -> bool:
        """Whether values can be stored."""

    @abstractmethod
    async def set(self, key: str, value: Buffer) -> None:
        """Store a value."""

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Store a value if the key is missing; other writers may be between both steps."""
        if not await self.exists(key):
            await self.set(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        await asyncio.gather(*(self.set(key, value) for key, value in values))

    @property
    def supports_consolidated_metadata(self) -> bool:
        """Whether a copy of all metadata may be stored in one document."""
        return True

    @property
    @abstractmethod
    def supports_deletes(self) -> bool:
        """Whether keys can be deleted."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Delete a key, if it exists."""

    @property
    def supports_partial_writes(self) -> Literal[False]:
        """Whether a part of a value can be written: it cannot."""
        return False

    @property
    @abstractmethod
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""

    @abstractmethod
    def list(self) -> AsyncIterator[str]:
        """Iterate over all keys."""

    @abstractmethod
    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys that begin with a prefix; they are whole keys."""

    @abstractmethod
    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the names of keys and folders directly below a prefix."""

    async def delete_dir(self, prefix: str) -> None:
        """Delete all keys below a prefix."""
        self._check_deleting()
        self._check_writable()
        async for key in self.list_prefix(_folder(prefix)):
            await self.delete(key)

    def close(self) -> None:
        """Close the store."""
        self._is_open = False

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        for request in requests:
            yield request[0], await self.get(*request)

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_concurrency: int = 10,
        max_gap_bytes: int = _GAP,
        max_coalesced_bytes: int = _MOST,
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        """Iterate over parts of a value as they come, each with the index of its request.

        Ranges with at most ``max_gap_bytes`` between them are requested together, up to
        ``max_coalesced_bytes``. Raise an exception group of all errors, with FileNotFoundError if
        the key is missing.
        """
        async for found in coalesced_get(
            partial(self.get, key, prototype),
            byte_ranges,
            max_concurrency=max_concurrency,
            max_gap_bytes=max_gap_bytes,
            max_coalesced_bytes=max_coalesced_bytes,
        ):
            yield found

    def get_ranges_sync(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_gap_bytes: int = _GAP,
        max_coalesced_bytes: int = _MOST,
    ) -> Sequence[tuple[int, Buffer | None]]:
        """Return parts of a value, each with the index of its request; see ``get_ranges``."""
        if not isinstance(self, SupportsGetSync):
            msg = f"{type(self).__name__} does not support synchronous reads"
            raise TypeError(msg)

        def fetch(byte_range: ByteRequest | None) -> Buffer | None:
            return self.get_sync(key, prototype=prototype, byte_range=byte_range)

        return coalesced_get_sync(
            fetch,
            byte_ranges,
            max_gap_bytes=max_gap_bytes,
            max_coalesced_bytes=max_coalesced_bytes,
        )

    async def getsize(self, key: str) -> int:
        """Return the size of a value in bytes; raise FileNotFoundError if the key is missing."""
        value = await self.get(key, default_buffer_prototype())
        if value is None:
            raise FileNotFoundError(key)
        return len(value)

    async def getsize_prefix(self, prefix: str) -> int:
        """Return the size of all values below a prefix in bytes."""
        keys = [(key,) async for key in self.list_prefix(_folder(prefix))]
        return sum(await concurrent_map(keys, self.getsize, config.get("async.concurrency")))


def _folder(prefix: str) -> str:
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


@runtime_checkable
class ByteGetter(Protocol):
    """What has one value that can be read."""

    async def get(
        self, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the value, or a part of it, or None if it is missing."""
        ...


@runtime_checkable
class ByteSetter(Protocol):
    """What has one value that can be changed."""

    async def get(
        self, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the value, or a part of it, or None if it is missing."""
        ...

    async def set(self, value: Buffer) -> None:
        """Store the value."""
        ...

    async def delete(self) -> None:
        """Delete the value."""
        ...

    async def set_if_not_exists(self, default: Buffer) -> None:
        """Store the value if there is none."""
        ...


@runtime_checkable
class SyncByteGetter(Protocol):
    """What has one value that can be read by a plain call."""

    def get_sync(
        self, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the value, or a part of it, or None if it is missing."""
        ...


@runtime_checkable
class SyncByteSetter(SyncByteGetter, Protocol):
    """What has one value that can be changed by a plain call."""

    def set_sync(self, value: Buffer) -> None:
        """Store the value."""
        ...

    def delete_sync(self) -> None:
        """Delete the value."""
        ...


@runtime_checkable
class SupportsGetSync(Protocol):
    """A store whose values can be read by plain calls."""

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        ...


@runtime_checkable
class SupportsSetSync(Protocol):
    """A store whose values can be stored by plain calls."""

    def set_sync(self, key: str, value: Buffer) -> None:
        """Store a value."""
        ...


@runtime_checkable
class SupportsDeleteSync(Protocol):
    """A store whose keys can be deleted by plain calls."""

    def delete_sync(self, key: str) -> None:
        """Delete a key, if it exists."""
        ...


@runtime_checkable
class SupportsSyncStore(SupportsGetSync, SupportsSetSync, SupportsDeleteSync, Protocol):
    """A store with all plain calls."""


def _store_supports_sync_io(store: object) -> bool:
    return isinstance(store, SupportsSyncStore) and getattr(store, "_supports_sync_io", True)


async def set_or_delete(byte_setter: ByteSetter, value: Buffer | None) -> None:
    """Store a value, or delete it if ``value`` is None."""
    if value is None:
        await byte_setter.delete()
    else:
        await byte_setter.set(value)
