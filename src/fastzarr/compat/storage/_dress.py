"""A store of fastzarr under the verbs of zarr-python.

Rules of this file:

* A dress makes its store of fastzarr, ``inner``, when it is first needed. The engine uses that
  store and goes past the verbs of the dress, which are for those who await them.
* A subclass that defines a verb is not ``plain``: what it defines must take part, so the engine
  drives it like a store of another package.
* The store of fastzarr leads back to its dress, so that a node has the very store that it was
  opened with.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self
from weakref import WeakValueDictionary

from fastzarr.compat.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from fastzarr.compat.core.awaiting import off_loop
from fastzarr.compat.core.buffer import Buffer, default_buffer_prototype
from fastzarr.errors import ReadOnlyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from fastzarr.compat.abc.store import ByteRequest
    from fastzarr.compat.core.buffer import BufferPrototype
    from fastzarr.stores.base import Store as Inner

# What a subclass may define that decides which values there are, or whether they may be changed.
VERBS = frozenset(
    {
        *("_check_writable", "_get", "_get_many", "_set", "_set_many", "clear", "delete"),
        *("delete_dir", "delete_sync", "exists", "get", "get_partial_values", "get_ranges"),
        *("get_ranges_sync", "get_sync", "getsize", "getsize_prefix", "is_empty", "list"),
        *("list_dir", "list_prefix", "read_only", "set", "set_if_not_exists", "set_sync"),
        *("supports_consolidated_metadata", "supports_deletes", "supports_listing"),
        "supports_writes",
    }
)
# The dresses by the identities of their stores of fastzarr, which they keep.
_dresses: WeakValueDictionary[int, Dress] = WeakValueDictionary()


class Dress(Store):
    """A store of fastzarr under the verbs of zarr-python."""

    supports_writes: bool = True
    supports_deletes: bool = True
    supports_listing: bool = True
    #: Whether the engine may go past the verbs of this class.
    plain: ClassVar[bool] = True
    #: Whether the verbs take no longer than a switch to another thread.
    inline: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Find out whether the class defines verbs; a class of this package says so itself."""
        super().__init_subclass__(**kwargs)
        if "plain" in vars(cls):
            return
        for base in cls.__mro__:
            if vars(base).get("plain"):
                break
            if not VERBS.isdisjoint(vars(base)):
                cls.plain = False
                break

    @property
    def inner(self) -> Inner:
        """The store of fastzarr."""
        found: Inner | None = vars(self).get("_inner")
        if found is None or found.read_only != self.read_only:
            found = vars(self)["_inner"] = self._make()
            _dresses[id(found)] = self
        return found

    @property
    def bypassed(self) -> bool:
        """Whether the engine may go past the verbs of this very store."""
        return self.plain and VERBS.isdisjoint(vars(self))

    @abstractmethod
    def _make(self) -> Inner:
        """Return a new store of fastzarr."""

    @classmethod
    def around(cls, inner: Inner) -> Self:
        """Return a dress of a store of fastzarr."""
        dress = cls.__new__(cls)
        Store.__init__(dress, read_only=inner.read_only)
        dress._is_open = True
        dress._adopt(inner)
        vars(dress)["_inner"] = inner
        _dresses[id(inner)] = dress
        return dress

    def _adopt(self, inner: Inner) -> None:
        """Set the attributes of this class by those of a store of fastzarr."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the store of fastzarr, which is made again."""
        return {name: value for name, value in vars(self).items() if name != "_inner"}

    # Calls

    async def _do(self, call: Callable[..., Any], *args: Any) -> Any:
        if not self._is_open:
            await self._ensure_open()
        return call(*args) if self.inline else await off_loop(call, *args)

    async def _ask(self, verb: str, *args: Any) -> Any:
        """Return what a verb of the store of fastzarr returns, which a thread may have to make."""
        return await self._do(lambda: getattr(self.inner, verb)(*args))

    def _check_writable(self) -> None:
        if self.read_only:
            msg = (
                f"{self}: store was opened in read-only mode and does not support writing; use "
                "with_read_only(False)"
            )
            raise ReadOnlyError(msg)

    def _buffer(self, prototype: BufferPrototype | None, data: Any) -> Buffer:
        kinds = default_buffer_prototype() if prototype is None else prototype
        return kinds.buffer.from_bytes(data)

    def _check_deletes(self) -> None:
        if not self.supports_deletes:
            msg = "This method is only available for stores that support deletes."
            raise NotImplementedError(msg)

    def _read(
        self, key: str, prototype: BufferPrototype | None, byte_range: ByteRequest | None
    ) -> Buffer | None:
        if byte_range is None:
            data = self.inner.get(key)
        else:
            parts = self.inner.get_ranges(key, [part_of(byte_range)])
            data = None if parts is None else parts[0]
        return None if data is None else self._buffer(prototype, data)

    def _write(self, key: str, value: Buffer) -> None:
        self._check_value(value)
        self.inner.set(key, value.as_buffer_like())

    def _remove(self, key: str) -> None:
        self.inner.delete(key)

    def _remove_below(self, prefix: str) -> None:
        if prefix.strip("/"):
            self.inner.delete_dir(prefix)
        else:
            self.inner.clear()

    def _check_value(self, value: object) -> None:
        self._check_writable()
        if not isinstance(value, Buffer):
            msg = (
                f"{type(self).__name__}.set(): `value` must be a Buffer instance. Got an instance "
                f"of {type(value)} instead."
            )
            raise TypeError(msg)

    # Verbs

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        found: Buffer | None = await self._do(self._read, key, prototype, byte_range)
        return found

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return values or parts of them in the order of the requests, None for missing keys."""
        wanted = (self.get(key, prototype, part) for key, part in key_ranges)
        return list(await asyncio.gather(*wanted))

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return bool(await self._ask("exists", key))

    async def set(self, key: str, value: Buffer) -> None:
        """Store a value."""
        self._check_value(value)
        await self._do(self._write, key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Store a value if the key is missing; of several writers, one succeeds."""
        self._check_value(value)
        data = value.to_bytes()
        await self._ask("change", key, lambda old: data if old is None else old)

    async def delete(self, key: str) -> None:
        """Delete a key, if it exists."""
        self._check_writable()
        await self._do(self._remove, key)

    async def delete_dir(self, prefix: str) -> None:
        """Delete all keys below a prefix."""
        self._check_deletes()
        self._check_writable()
        await self._do(self._remove_below, prefix)

    async def clear(self) -> None:
        """Delete all keys."""
        self._check_writable()
        await self._ask("clear")

    async def is_empty(self, prefix: str) -> bool:
        """Whether there is no key below a prefix."""
        return bool(await self._ask("is_empty", prefix))

    async def _keys(self, verb: str, *args: str) -> AsyncIterator[str]:
        for key in await self._do(lambda: list(getattr(self.inner, verb)(*args))):
            yield key

    def list(self) -> AsyncIterator[str]:
        """Iterate over all keys."""
        return self._keys("list")

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys that begin with a prefix; they are whole keys."""
        # A prefix need not end where a name ends, as that of fastzarr does.
        folder = prefix.rpartition("/")[0]
        async for key in self._keys("list", folder):
            if key.startswith(prefix):
                yield key

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the names of keys and folders directly below a prefix."""
        return self._keys("list_dir", prefix)

    async def getsize(self, key: str) -> int:
        """Return the size of a value in bytes; raise FileNotFoundError if the key is missing."""
        return int(await self._ask("getsize", key))

    async def getsize_prefix(self, prefix: str) -> int:
        """Return the size of all values below a prefix in bytes."""
        return int(await self._ask("getsize_prefix", prefix))

    def close(self) -> None:
        """Close the store, which opens itself again when it is used."""
        super().close()
        made = vars(self).get("_inner")
        if made is not None:
            made.close()


class PlainCalls(Dress):
    """A dress whose verbs can be called without awaiting them, too."""

    plain = True

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        self._is_open = True
        return self._read(key, prototype, byte_range)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Store a value."""
        self._is_open = True
        self._write(key, value)

    def delete_sync(self, key: str) -> None:
        """Delete a key, if it exists."""
        self._check_writable()
        self._is_open = True
        self._remove(key)


def part_of(byte_range: Any) -> tuple[int, int | None]:
    """Return the start and the length of a part of a value as fastzarr has them.

    >>> part_of(SuffixByteRequest(3)), part_of(RangeByteRequest(2, 5))
    ((-3, None), (2, 3))
    """
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.start, max(byte_range.end - byte_range.start, 0)
    if isinstance(byte_range, OffsetByteRequest):
        return byte_range.offset, None
    if isinstance(byte_range, SuffixByteRequest):
        return (-byte_range.suffix, None) if byte_range.suffix else (0, 0)
    msg = f"Unexpected byte_range, got {byte_range}."
    raise ValueError(msg)


def dress_of(inner: Inner) -> Dress | None:
    """Return the dress that has made or adopted a store of fastzarr, if it still exists."""
    found = _dresses.get(id(inner))
    return found if found is not None and vars(found).get("_inner") is inner else None
