"""Values of a store kept in memory: zarr-python 2's ``LRUStoreCache``."""

from __future__ import annotations

from typing import Any

from fastzarr.stores.caching import CachingStore
from fastzarr.stores.kept import Memory
from fastzarr.stores.seen import Shared


class LRUStoreCache(CachingStore):
    """A store whose chunks are kept in memory, up to ``max_size`` bytes, or without bound for None.

    ``store`` is anything that represents a store. When the cache is full, the chunks that were used
    longest ago are dropped. It is made for stores behind a network.

    What is read may be older than what is stored as follows:

    * A change through this store, or a copy of it, is always seen.
    * Metadata and listings are not cached, nor is that a chunk is missing. So a new shape, new
      attributes or a replaced array are seen when the array is opened, as without the cache.
    * If another writer has changed a chunk, the old one is read until ``invalidate`` is called, or
      until the metadata of the array is found changed: then the cached chunks are compared with the
      store by their tokens, or read again if the store has none.

    A write to a part of a chunk reads it from the store, so that no update is lost. A part of a
    shard is kept only if the store has tokens, as an ``ObjectStore`` has. A transaction cannot be
    begun through this store. A pickle has no cached values.

    >>> values = {"a/c/0": b"1"}
    >>> store = LRUStoreCache(values, max_size=2**28)
    >>> store["a/c/0"], store["a/c/0"], store.hits, store.misses
    (b'1', b'1', 1, 1)
    """

    def __init__(self, store: Any, max_size: int | None) -> None:
        """Initialise with an empty cache; raise ValueError if ``max_size`` is negative."""
        if max_size is not None and max_size < 0:
            msg = f"max_size must be at least 0, or None, not {max_size}"
            raise ValueError(msg)
        self._max_size = max_size
        self._wrap(store)

    def _share(self) -> Shared:
        memory = Memory(self._max_size)
        return Shared(memory, memory)

    @property
    def hits(self) -> int:
        """The number of values that were read from the cache.

        >>> LRUStoreCache({}, max_size=None).hits
        0
        """
        return self._shared.hits

    @property
    def misses(self) -> int:
        """The number of values that were read from the store.

        >>> LRUStoreCache({}, max_size=None).misses
        0
        """
        return self._shared.misses

    def invalidate(self) -> None:
        """Drop all cached values.

        >>> values = {"a/c/0": b"1"}
        >>> store = LRUStoreCache(values, max_size=None)
        >>> store["a/c/0"]
        b'1'
        >>> values["a/c/0"] = b"2"
        >>> store.invalidate()
        >>> store["a/c/0"]
        b'2'
        """
        order = self._shared.order
        with order.end(order.begin(None)):
            self._shared.drop_below("")

    def invalidate_values(self) -> None:
        """Drop all cached values, as ``invalidate`` does.

        >>> LRUStoreCache({}, max_size=None).invalidate_values()
        """
        self.invalidate()

    def invalidate_keys(self) -> None:
        """Do nothing: keys are not cached (zarr-python 2's method).

        >>> LRUStoreCache({}, max_size=None).invalidate_keys()
        """
