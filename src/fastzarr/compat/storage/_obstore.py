"""Stores of the package obstore."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from fastzarr.compat.storage._dress import Dress
from fastzarr.stores.obstore import ObjectStore as InnerStore

if TYPE_CHECKING:
    from fastzarr.stores.base import Store as Inner

__all__ = ["ObjectStore"]

T_Store = TypeVar("T_Store")


class ObjectStore(Dress, Generic[T_Store]):
    """A store of objects in a cloud, on a server or in memory, as obstore reaches them."""

    plain = True
    store: T_Store

    def __init__(self, store: T_Store, *, read_only: bool = False) -> None:
        """Initialise with a store of obstore."""
        if not type(store).__module__.startswith("obstore"):
            msg = f"expected ObjectStore class, got {store!r}"
            raise TypeError(msg)
        super().__init__(read_only=read_only)
        self.store = store

    def _make(self) -> Inner:
        store: Any = self.store
        return InnerStore(store, read_only=self.read_only)

    def _adopt(self, inner: Any) -> None:
        self.store = inner.store

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a store of the same objects that is read-only, or not."""
        return type(self)(store=self.store, read_only=read_only)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with a pickle of the store of obstore."""
        return super().__getstate__() | {"store": pickle.dumps(self.store)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state."""
        vars(self).update(state, store=pickle.loads(state["store"]))  # noqa: S301  (our own)

    def __eq__(self, value: object) -> bool:
        """Whether both have equal stores and are both read-only, or both writable."""
        return (
            isinstance(value, ObjectStore)
            and self.read_only == value.read_only
            and bool(self.store == value.store)
        )

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        """Return a URL."""
        return f"object_store://{self.store}"

    def __repr__(self) -> str:
        """Return the class name with the URL."""
        return f"{type(self).__name__}({self})"
