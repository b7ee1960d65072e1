"""A path in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.stores.addresses import joined
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
        self.path = normalise_path(path) if path else ""

    @property
    def read_only(self) -> bool:
        """Whether the store is read-only.

        >>> from fastzarr.storage import MemoryStore, StorePath
        >>> place = StorePath(MemoryStore({"a/b": b"1"}), "a/b")
        >>> place.read_only
        False
        """
        return self.store.read_only

    def get(self, default: bytes | None = None) -> bytes | None:
        """Return the value of the path as a key, or ``default`` if it is missing.

        >>> from fastzarr.storage import MemoryStore, StorePath
        >>> place = StorePath(MemoryStore({"a/b": b"1"}), "a/b")
        >>> place.get()
        b'1'
        """
        return self.store.get(self.path, default)

    def set(self, value: Buffer) -> None:
        """Store a value with the path as its key.

        >>> from fastzarr.storage import MemoryStore, StorePath
        >>> place = StorePath(MemoryStore({"a/b": b"1"}), "a/b")
        >>> place.set(b"2")
        >>> place.get()
        b'2'
        """
        self.store.set(self.path, value)

    def delete(self) -> None:
        """Delete the path as a key, if it exists.

        >>> from fastzarr.storage import MemoryStore, StorePath
        >>> place = StorePath(MemoryStore({"a/b": b"1"}), "a/b")
        >>> place.delete()
        >>> place.exists()
        False
        """
        self.store.delete(self.path)

    def delete_dir(self) -> None:
        """Delete all keys below the path.

        >>> from fastzarr.storage import MemoryStore, StorePath
        >>> place = StorePath(MemoryStore({"a/b": b"1"}), "a/b")
        >>> StorePath(place.store, "a").delete_dir()
        >>> place.exists()
        False
        """
        self.store.delete_dir(self.path)

    def exists(self) -> bool:
        """Whether the path as a key has a value.

        >>> from fastzarr.storage import MemoryStore, StorePath
        >>> place = StorePath(MemoryStore({"a/b": b"1"}), "a/b")
        >>> place.exists()
        True
        """
        return self.store.exists(self.path)

    def is_empty(self) -> bool:
        """Whether there is no key below the path.

        >>> from fastzarr.storage import MemoryStore, StorePath
        >>> place = StorePath(MemoryStore({"a/b": b"1"}), "a/b")
        >>> place.is_empty(), StorePath(place.store, "c").is_empty()
        (True, True)
        """
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
        return joined(str(self.store), self.path)

    def __repr__(self) -> str:
        """Return the class of the store and the location."""
        return f"StorePath({type(self.store).__name__}, {str(self)!r})"
