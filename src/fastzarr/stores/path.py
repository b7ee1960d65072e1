"""A path in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.stores.keys import normalise_path

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastzarr.stores.base import Store


class StorePath:
    """A path in a store.

    >>> from fastzarr.stores import MemoryStore
    >>> place = StorePath(MemoryStore()) / "a" / "b"
    >>> place.set(b"1")
    >>> place.path, place.get()
    ('a/b', b'1')
    """

    __slots__ = ("path", "store")

    def __init__(self, store: Store, path: str = "") -> None:
        """Initialise with the store and the path, which is normalised."""
        self.store = store
        self.path = normalise_path(path)

    @property
    def read_only(self) -> bool:
        """Whether the store is read-only."""
        return self.store.read_only

    def get(self, default: bytes | None = None) -> bytes | None:
        """Return the value of the path as a key, or ``default`` if it is missing."""
        return self.store.get(self.path, default)

    def set(self, value: Buffer) -> None:
        """Store a value with the path as its key."""
        self.store.set(self.path, value)

    def delete(self) -> None:
        """Delete the path as a key, if it exists."""
        self.store.delete(self.path)

    def delete_dir(self) -> None:
        """Delete all keys below the path."""
        self.store.delete_dir(self.path)

    def exists(self) -> bool:
        """Whether the path as a key has a value."""
        return self.store.exists(self.path)

    def is_empty(self) -> bool:
        """Whether there is no key below the path."""
        return self.store.is_empty(self.path)

    def __truediv__(self, name: str) -> StorePath:
        """Return the path of a name below this one."""
        return StorePath(self.store, f"{self.path}/{name}")

    def __eq__(self, other: object) -> bool:
        """Whether both are the same path in the same place."""
        if not isinstance(other, StorePath):
            return NotImplemented
        return self.path == other.path and self.store.place is other.store.place

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        """Return the store's URL followed by the path."""
        return f"{self.store}/{self.path}".rstrip("/")

    def __repr__(self) -> str:
        """Return the class of the store and the location."""
        return f"StorePath({type(self.store).__name__}, {str(self)!r})"
