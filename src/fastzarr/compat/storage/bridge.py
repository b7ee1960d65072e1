"""From stores of zarr-python to those of fastzarr, and back."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastzarr.compat.storage._dress import Dress, dress_of
from fastzarr.stores.base import Store as Inner
from fastzarr.stores.foreign import ForeignStore, is_foreign

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastzarr.compat.abc.store import Store

# The dress of each class of fastzarr: the file, and the name of both.
_DRESSES = {
    "FsspecStore": "_fsspec",
    "LocalStore": "_local",
    "KeptStore": "_memory",
    "ObjectStore": "_obstore",
    "ZipStore": "_zip",
}


class InnerStore(Dress):
    """Any other store of fastzarr under the verbs of zarr-python."""

    plain = True

    def __init__(self, store: Inner) -> None:
        """Initialise with the store."""
        super().__init__(read_only=store.read_only)
        self._adopt(store)

    def _adopt(self, inner: Inner) -> None:
        self._given = inner

    def _make(self) -> Inner:
        return self._given

    def with_read_only(self, read_only: bool = False) -> InnerStore:
        """Return a store of the same values that is read-only, or not."""
        return type(self)(self._given.with_read_only(read_only))

    def list(self) -> AsyncIterator[str]:
        """Iterate over all keys."""
        return super().list()

    def __eq__(self, other: object) -> bool:
        """Whether both have the same values."""
        return isinstance(other, InnerStore) and self._given == other._given

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        """Return the URL."""
        return str(self._given)

    def __repr__(self) -> str:
        """Return that of the store of fastzarr."""
        return repr(self._given)


def inner_store(store: Any) -> Inner:
    """Return the store of fastzarr that the engine uses for a store.

    Of a store of this package it is the one inside, unless a subclass or the object itself defines
    verbs. Any other store of zarr-python is driven through its verbs.

    Raise TypeError for anything else.
    """
    if isinstance(store, Inner):
        return store
    if isinstance(store, Dress) and store.bypassed:
        return store.inner
    if is_foreign(store):
        return ForeignStore(store)
    msg = f"expected a store, not {type(store).__name__}"
    raise TypeError(msg)


def outer_store(store: Inner) -> Any:
    """Return the store of zarr-python for a store of fastzarr: the one it came from, if any."""
    if isinstance(store, ForeignStore):
        return _read_only(store.store) if store.read_only else store.store
    found = dress_of(store)
    if found is not None:
        return found
    file = _DRESSES.get(type(store).__name__)
    if file is None:
        return InnerStore(store)
    module: Any = import_module(f".{file}", __package__)
    name = "MemoryStore" if type(store).__name__ == "KeptStore" else type(store).__name__
    return getattr(module, name).around(store)


def _read_only(store: Store) -> Store:
    if store.read_only:
        return store
    try:
        return store.with_read_only(read_only=True)
    except NotImplementedError:
        # Its arrays and groups reject writes, though.
        return store
