"""A store around another that keeps values in a second store, which is nearer.

Rules of this file:

* Whole values are kept in that store. Parts of values are kept in memory, so that the store has
  none that are not whole. Both count towards ``max_size``, and the least recently used go first.
* A value that was written or deleted is dropped, with its parts, before the call ends.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeAlias

from fastzarr.compat.abc.store import ByteRequest, Store
from fastzarr.compat.storage._wrapper import WrapperStore

if TYPE_CHECKING:
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype

Entry: TypeAlias = "str | tuple[str, ByteRequest]"


@dataclass(slots=True)
class _CacheState:
    """What is kept, which the stores for the same cache share."""

    cache_order: OrderedDict[Entry, None] = field(default_factory=OrderedDict)
    current_size: int = 0
    key_sizes: dict[Entry, int] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    hits: int = 0
    misses: int = 0
    evictions: int = 0
    key_insert_times: dict[Entry, float] = field(default_factory=dict)
    range_cache: dict[str, dict[ByteRequest, Buffer]] = field(default_factory=dict)

    def forget(self, entry: Entry) -> None:
        """Drop an entry, and count its bytes no more."""
        self.cache_order.pop(entry, None)
        self.key_insert_times.pop(entry, None)
        self.current_size = max(0, self.current_size - self.key_sizes.pop(entry, 0))

    def drop_part(self, key: str, part: ByteRequest) -> None:
        """Drop a part of a value from memory."""
        parts = self.range_cache.get(key)
        if parts is not None:
            parts.pop(part, None)
            if not parts:
                del self.range_cache[key]


class CacheStore(WrapperStore[Store]):
    """A store around another that keeps what was read, and what was written, in ``cache_store``.

    An entry is used for ``max_age_seconds``. If all are larger than ``max_size`` bytes together,
    those go that were used the longest ago. With ``cache_set_data=False``, only what was read is
    kept.
    """

    max_age_seconds: float | Literal["infinity"]

    def __init__(
        self,
        store: Store,
        *,
        cache_store: Store,
        max_age_seconds: float | str = "infinity",
        max_size: int | None = None,
        cache_set_data: bool = True,
    ) -> None:
        """Initialise with both stores; raise ValueError if ``cache_store`` cannot delete keys."""
        super().__init__(store)
        if not cache_store.supports_deletes:
            msg = (
                f"The provided cache store {cache_store} does not support deletes. "
                "The cache_store must support deletes for CacheStore to function properly."
            )
            raise ValueError(msg)
        if isinstance(max_age_seconds, str):
            if max_age_seconds != "infinity":
                msg = "max_age_seconds string value must be 'infinity'"
                raise ValueError(msg)
            self.max_age_seconds = "infinity"
        else:
            self.max_age_seconds = max_age_seconds
        self._cache = cache_store
        self.max_size, self.cache_set_data = max_size, cache_set_data
        self._state = _CacheState()

    def _with_store(self, store: Any) -> NoReturn:
        msg = f"{type(self).__name__} does not support this operation: {store} has other values"
        raise NotImplementedError(msg)

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a store with the same cache that is read-only, or not."""
        other = type(self)(
            self._store.with_read_only(read_only),
            cache_store=self._cache,
            max_age_seconds=self.max_age_seconds,
            max_size=self.max_size,
            cache_set_data=self.cache_set_data,
        )
        vars(other)["_state"] = self._state
        return other

    @property
    def _supports_sync_io(self) -> bool:
        # Plain calls would go past the cache.
        return False

    # Entries

    def _is_key_fresh(self, entry_key: Entry) -> bool:
        if self.max_age_seconds == "infinity":
            return True
        age = time.monotonic() - self._state.key_insert_times.get(entry_key, 0)
        return age < float(self.max_age_seconds)

    async def _accommodate_value(self, value_size: int) -> None:
        """Drop entries until there is room for a value; the caller has the lock."""
        state = self._state
        while (
            self.max_size is not None
            and state.cache_order
            and state.current_size + value_size > self.max_size
        ):
            await self._evict_key(next(iter(state.cache_order)))

    async def _evict_key(self, entry_key: Entry) -> None:
        """Drop an entry; the caller has the lock."""
        if isinstance(entry_key, str):
            await self._cache.delete(entry_key)
        else:
            self._state.drop_part(*entry_key)
        self._state.forget(entry_key)
        self._state.evictions += 1

    async def _track_entry(self, entry_key: Entry, value: Buffer) -> bool:
        """Count an entry; return False if it is larger than the whole cache may be."""
        size, state = len(value), self._state
        if self.max_size is not None and size > self.max_size:
            return False
        async with state.lock:
            state.forget(entry_key)
            await self._accommodate_value(size)
            state.cache_order[entry_key] = None
            state.current_size += size
            state.key_sizes[entry_key] = size
            state.key_insert_times[entry_key] = time.monotonic()
        return True

    async def _update_access_order(self, entry_key: Entry) -> None:
        async with self._state.lock:
            if entry_key in self._state.cache_order:
                self._state.cache_order.move_to_end(entry_key)

    def _remove_from_tracking(self, entry_key: Entry) -> None:
        """Count an entry no more; the caller has the lock."""
        self._state.forget(entry_key)

    def _invalidate_range_entries(self, key: str) -> None:
        """Drop the parts of a value; the caller has the lock."""
        for part in self._state.range_cache.pop(key, {}):
            self._state.forget((key, part))

    async def _drop(self, key: str) -> None:
        """Drop a value, and its parts."""
        await self._cache.delete(key)
        async with self._state.lock:
            self._invalidate_range_entries(key)
            self._state.forget(key)

    async def _keep(self, key: str, value: Buffer) -> None:
        """Keep a whole value, unless it is too large."""
        if self.max_size is not None and len(value) > self.max_size:
            await self._cache.delete(key)
            async with self._state.lock:
                self._state.forget(key)
            return
        await self._cache.set(key, value)
        await self._track_entry(key, value)

    # Verbs

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a value, or a part of it, or None if the key is missing."""
        entry: Entry = key if byte_range is None else (key, byte_range)
        if self._is_key_fresh(entry):
            return await self._get_try_cache(key, prototype, byte_range)
        return await self._get_no_cache(key, prototype, byte_range)

    async def _get_try_cache(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        entry: Entry
        if byte_range is None:
            entry, kept = key, await self._cache.get(key, prototype)
        else:
            entry, kept = (key, byte_range), self._state.range_cache.get(key, {}).get(byte_range)
        if kept is None:
            return await self._get_no_cache(key, prototype, byte_range)
        self._state.hits += 1
        await self._update_access_order(entry)
        return kept

    async def _get_no_cache(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        self._state.misses += 1
        found = await super().get(key, prototype, byte_range)
        if byte_range is None:
            if found is None:
                await self._drop(key)
            else:
                await self._keep(key, found)
            return found
        if found is None:
            async with self._state.lock:
                self._state.drop_part(key, byte_range)
                self._state.forget((key, byte_range))
        else:
            self._state.range_cache.setdefault(key, {})[byte_range] = found
            if not await self._track_entry((key, byte_range), found):
                self._state.drop_part(key, byte_range)
        return found

    async def set(self, key: str, value: Buffer) -> None:
        """Store a value."""
        await super().set(key, value)
        async with self._state.lock:
            self._invalidate_range_entries(key)
        if self.cache_set_data:
            await self._keep(key, value)
        else:
            await self._drop(key)

    async def delete(self, key: str) -> None:
        """Delete a key, if it exists."""
        await super().delete(key)
        await self._drop(key)

    # The cache

    def cache_info(self) -> dict[str, Any]:
        """Return the settings of the cache, and how much is in it."""
        return {
            "cache_store_type": type(self._cache).__name__,
            "max_age_seconds": self.max_age_seconds,
            "max_size": self.max_size,
            "current_size": self._state.current_size,
            "cache_set_data": self.cache_set_data,
            "tracked_keys": len(self._state.key_insert_times),
            "cached_keys": len(self._state.cache_order),
        }

    def cache_stats(self) -> dict[str, Any]:
        """Return how often a value was found in the cache."""
        hits, misses = self._state.hits, self._state.misses
        return {
            "hits": hits,
            "misses": misses,
            "evictions": self._state.evictions,
            "total_requests": hits + misses,
            "hit_rate": hits / (hits + misses) if hits + misses else 0.0,
        }

    async def clear_cache(self) -> None:
        """Drop everything that is kept."""
        await self._cache.clear()
        state = self._state
        async with state.lock:
            state.key_insert_times.clear()
            state.cache_order.clear()
            state.key_sizes.clear()
            state.range_cache.clear()
            state.current_size = 0

    def __repr__(self) -> str:
        """Return both stores, and the settings of the cache."""
        return (
            f"{type(self).__name__}(store={self._store!r}, cache_store={self._cache!r}, "
            f"max_age_seconds={self.max_age_seconds}, max_size={self.max_size}, "
            f"current_size={self._state.current_size}, "
            f"cached_keys={len(self._state.cache_order)})"
        )
