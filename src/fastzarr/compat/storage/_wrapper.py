"""A store around another, for subclasses that change some of its verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from fastzarr.compat.abc.store import (
    Store,
    SupportsDeleteSync,
    SupportsGetSync,
    SupportsSetSync,
    _store_supports_sync_io,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
    from types import TracebackType

    from fastzarr.compat.abc.store import ByteRequest
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype

T_Store = TypeVar("T_Store", bound=Store)


class WrapperStore(Store, Generic[T_Store]):
    """A store around another, which passes on everything; subclass it to change some verbs."""

    _store: T_Store

    def __init__(self, store: T_Store) -> None:
        """Initialise with the store."""
        self._store = store

    def _with_store(self, store: Any) -> Self:
        return type(self)(store=store)

    @classmethod
    async def open(cls, store_cls: type[Store], *args: Any, **kwargs: Any) -> Self:
        """Return a store around a new one of another class, opened."""
        store: Any = store_cls(*args, **kwargs)
        await store._open()
        return cls(store=store)

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a store around one that is read-only, or not."""
        return self._with_store(self._store.with_read_only(read_only))

    def __enter__(self) -> Self:
        """Return a store around the one that has been entered."""
        return self._with_store(self._store.__enter__())

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the store around which this is."""
        return self._store.__exit__(exc_type, exc_value, traceback)

    async def _open(self) -> None:
        await self._store._open()

    async def _ensure_open(self) -> None:
        await self._store._ensure_open()

    async def is_empty(self, prefix: str) -> bool:
        """Whether there is no key below a prefix."""
        return await self._store.is_empty(prefix)

    @property
    def _is_open(self) -> bool:
        return self._store._is_open

    @_is_open.setter
    def _is_open(self, value: bool) -> None:
        del value
        msg = "WrapperStore must be opened via the `_open` method"
        raise NotImplementedError(msg)

    async def clear(self) -> None:
        """Delete all keys."""
        await self._store.clear()

    @property
    def read_only(self) -> bool:
        """Whether the store rejects writes."""
        return self._store.read_only

    def _check_writable(self) -> None:
        self._store._check_writable()

    def __eq__(self, value: object) -> bool:
        """Whether both are of one class, around equal stores."""
        if type(self) is not type(value):
            return False
        return bool(self._store == value._store)

    __hash__ = None

    def __str__(self) -> str:
        """Return a name that has that of the store in it."""
        return f"wrapping-{self._store}"

    def __repr__(self) -> str:
        """Return the class name with that of the store, and its URL."""
        return f"WrapperStore({type(self._store).__name__}, '{self._store}')"

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        return await self._store.get(key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return values or parts of them in the order of the requests, None for missing keys."""
        return await self._store.get_partial_values(prototype, key_ranges)

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_concurrency: int | None = None,
        max_gap_bytes: int | None = None,
        max_coalesced_bytes: int | None = None,
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        """Iterate over parts of a value as they come; None leaves a bound to the store."""
        given = {
            "max_concurrency": max_concurrency,
            "max_gap_bytes": max_gap_bytes,
            "max_coalesced_bytes": max_coalesced_bytes,
        }
        bounds = {name: value for name, value in given.items() if value is not None}
        parts = self._store.get_ranges(key, byte_ranges, prototype=prototype, **bounds)
        async for found in parts:
            yield found

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return await self._store.exists(key)

    async def set(self, key: str, value: Buffer) -> None:
        """Store a value."""
        await self._store.set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Store a value if the key is missing."""
        await self._store.set_if_not_exists(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        await self._store._set_many(values)

    @property
    def supports_writes(self) -> bool:
        """Whether values can be stored."""
        return self._store.supports_writes

    @property
    def supports_deletes(self) -> bool:
        """Whether keys can be deleted."""
        return self._store.supports_deletes

    @property
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""
        return self._store.supports_listing

    @property
    def _supports_sync_io(self) -> bool:
        return _store_supports_sync_io(self._store)

    def _plain(self, kind: type, verb: str) -> Any:
        if not isinstance(self._store, kind):
            msg = f"Store {type(self._store).__name__} does not support synchronous {verb}."
            raise TypeError(msg)
        return self._store

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        store = self._plain(SupportsGetSync, "get")
        found: Buffer | None = store.get_sync(key, prototype=prototype, byte_range=byte_range)
        return found

    def set_sync(self, key: str, value: Buffer) -> None:
        """Store a value."""
        self._plain(SupportsSetSync, "set").set_sync(key, value)

    def delete_sync(self, key: str) -> None:
        """Delete a key, if it exists."""
        self._plain(SupportsDeleteSync, "delete").delete_sync(key)

    async def delete(self, key: str) -> None:
        """Delete a key, if it exists."""
        await self._store.delete(key)

    def list(self) -> AsyncIterator[str]:
        """Iterate over all keys."""
        return self._store.list()

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys that begin with a prefix; they are whole keys."""
        return self._store.list_prefix(prefix)

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the names of keys and folders directly below a prefix."""
        return self._store.list_dir(prefix)

    async def delete_dir(self, prefix: str) -> None:
        """Delete all keys below a prefix."""
        await self._store.delete_dir(prefix)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        async for found in self._store._get_many(requests):
            yield found
