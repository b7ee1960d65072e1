"""A store around another, which passes on what it does not change.

Rules of this file:

* The capabilities of such a store are those of the store within, as far as its class has them.
  Files, drafts and transactions are none of them, because they go past it.
* Copies of such a store, read-only ones included, are around copies of the store within.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from fastzarr.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastzarr.stores.place import Place

# Capabilities that depend on the store within.
_OPTIONAL = ("swap", "swap_token", "set_many", "fetch_async", "validator", "modified")
_LIKE = ("concurrency", "batch", "batch_bytes", "dimension_separator", "swaps_deletes")
_OF_PROCESS = frozenset({"_place", "_lacking", *_OPTIONAL})


def _put(mine: dict[str, Any], store: Store) -> None:
    """Put a store into the attributes of one around it, and void what it does not have."""
    mine["_store"] = store
    before, lacking = mine.get("_lacking", ()), set[str]()
    for name in _LIKE:
        mine[name] = getattr(store, name)
    for name in _OPTIONAL:
        if getattr(store, name) is None:
            mine[name] = None
            lacking.add(name)
        elif name in before:
            mine.pop(name, None)
    mine["_lacking"] = lacking


class Around(Store):
    """The base of stores around another one, ``_store``; it does not pass on reads and writes."""

    _store: Store

    def _around(self, store: Store) -> None:
        """Set the store, and void the capabilities that it does not have."""
        _put(vars(self), store)

    @property
    def suspension(self) -> Any:  # type: ignore[override]
        """The switch of the store.

        >>> from fastzarr.storage import LRUStoreCache
        >>> LRUStoreCache({}, max_size=None).suspension.on
        False
        """
        return self._store.suspension

    @property
    def supports_writes(self) -> bool:  # type: ignore[override]
        """Whether the store can be written.

        >>> from fastzarr.storage import LRUStoreCache
        >>> LRUStoreCache({}, max_size=None).supports_writes
        True
        """
        return self._store.supports_writes

    @property
    def supports_deletes(self) -> bool:  # type: ignore[override]
        """Whether keys can be deleted.

        >>> from fastzarr.storage import LRUStoreCache
        >>> LRUStoreCache({}, max_size=None).supports_deletes
        True
        """
        return self._store.supports_deletes

    @property
    def supports_listing(self) -> bool:  # type: ignore[override]
        """Whether the keys can be listed.

        >>> from fastzarr.storage import LRUStoreCache
        >>> LRUStoreCache({}, max_size=None).supports_listing
        True
        """
        return self._store.supports_listing

    @property
    def knows_sizes(self) -> bool:  # type: ignore[override]
        """Whether a size is cheaper than a value.

        >>> from fastzarr.storage import LRUStoreCache
        >>> LRUStoreCache({}, max_size=None).knows_sizes
        False
        """
        return self._store.knows_sizes

    def modified(self, key: str) -> int | None:
        """Return the time of the last write in nanoseconds, or None if the key is missing."""
        found = self._store.modified
        return None if found is None else found(key)

    # Values and listings

    def _exists(self, key: str) -> bool:
        return self._store.exists(key)

    def _getsize(self, key: str) -> int | None:
        try:
            return self._store.getsize(key)
        except FileNotFoundError as error:
            if type(error) is not FileNotFoundError:
                raise
            return None

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes."""
        return self._store.getsize_prefix(prefix)

    def _list(self, prefix: str) -> Iterable[str]:
        return self._store.list(prefix)

    def _list_dir(self, prefix: str) -> Iterable[str]:
        return self._store.list_dir(prefix)

    def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix."""
        return self._store.is_empty(prefix)

    def is_missing(self, prefix: str) -> bool:
        """Whether the store knows that no key is below a prefix."""
        return self._store.is_missing(prefix)

    def check_missing(self, key: str) -> None:
        """Raise the store's error if a key that was found missing could not be looked for."""
        self._store.check_missing(key)

    def check_move(self, source: str, target: str) -> tuple[str, str]:
        """Return both paths normalised; raise the errors that ``move`` would raise."""
        return self._store.check_move(source, target)

    def settle(self, path: str) -> None:
        """Make the existence of the keys at a path durable, if the store supports it."""
        self._store.settle(path)

    def flush(self) -> None:
        """Make all earlier writes durable, if the store supports it."""
        self._store.flush()

    def close(self) -> None:
        """Flush, and release all resources of the store."""
        self._store.close()

    # Copies

    def acting(self) -> Store:
        """Return the store that threads use which act for the calling thread."""
        return self._with(self._store.acting())

    def lasting(self) -> Store:
        """Return a store with the same values whose writes are durable when they return."""
        return self._with(self._store.lasting())

    def _with(self, store: Store) -> Self:
        if store is self._store:
            return self
        return self._again(store, read_only=self.read_only)

    def _again(self, store: Store, *, read_only: bool) -> Self:
        """Return a copy around another store of the same values."""
        other = self.__copy__()
        vars(other).update(read_only=read_only)
        _put(vars(other), store)
        return other

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a store with the same values and the same cache that is read-only, or not."""
        return self._again(self._store.with_read_only(read_only), read_only=read_only)

    @property
    def place(self) -> Place:
        """The identity of the store's values."""
        return self._store.place

    def __eq__(self, other: object) -> bool:
        """Whether both are of the same values; ``read_only`` is ignored."""
        return self._store == (other._store if isinstance(other, Around) else other)

    __hash__ = None

    def __copy__(self) -> Self:
        """Return a store of the same values with the same cache."""
        other = type(self).__new__(type(self))
        Store.__setstate__(other, Store.__getstate__(self))
        _put(vars(other), self._store)
        return other

    def __str__(self) -> str:
        """Return the URL of the store."""
        return str(self._store)

    def __getstate__(self) -> Any:
        """Return the state without what depends on the store within."""
        state = super().__getstate__().items()
        return {name: held for name, held in state if name not in _OF_PROCESS}

    def __setstate__(self, state: Any) -> None:
        """Restore the state."""
        super().__setstate__(state)
        self._around(self._store)
