"""The mapping interface of stores, including the names of zarr-python 2.

Rules of this file:

* Everything is implemented with the verbs of a store, the abstract methods of the class.
* A missing key raises KeyError, as in any mapping.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import KeysView, MutableMapping
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from typing_extensions import Buffer

# Named here because `list` is a verb inside the class.
Names: TypeAlias = "list[str]"
Values: TypeAlias = "list[bytes | None]"


class AsMapping(MutableMapping[str, bytes]):
    """The mapping interface of a store. ``Store`` derives from this class and defines the verbs."""

    set_many: Callable[[Iterable[tuple[str, Buffer | None]]], None] | None
    read_only: bool

    @abstractmethod
    def get_many(self, keys: Iterable[str]) -> Values:
        """Return the values of keys in order, with None for missing ones.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> list(store.get_many(["a/b", "x"]))
        [b'12', None]
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether the key has a value.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.exists("a/b"), store.exists("a")
        (True, False)
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[str]:
        """Return the sorted keys below a prefix.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> list(store.list("a"))
        ['a/b', 'a/c/d']
        """

    @abstractmethod
    def list_dir(self, prefix: str = "") -> Iterator[str]:
        """Return the sorted names directly below a prefix.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> list(store.list_dir("a"))
        ['b', 'c']
        """

    @abstractmethod
    def set(self, key: str, value: Buffer) -> None:
        """Store a value.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.set("x", b"4")
        >>> store["x"]
        b'4'
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete a key, if it exists.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.delete("a/b")
        >>> sorted(store)
        ['a/c/d']
        """

    @abstractmethod
    def delete_dir(self, prefix: str) -> bool | None:
        """Delete all keys below a prefix.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.delete_dir("a/c")
        >>> sorted(store)
        ['a/b']
        """

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Move the keys at and below a path.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.move("a", "e")
        >>> sorted(store)
        ['e/b', 'e/c/d']
        """

    @abstractmethod
    def _list(self, prefix: str) -> Iterable[str]: ...

    @abstractmethod
    def _check_write(self, *keys: str) -> None: ...

    def __getitem__(self, key: str) -> bytes:
        """Return the value of a key; raise KeyError if it is missing."""
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: Buffer) -> None:
        """Store a value."""
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        """Delete a key; raise KeyError if it is missing."""
        self._check_write(key)
        if not self.exists(key):
            raise KeyError(key)
        self.delete(key)

    def __contains__(self, key: object) -> bool:
        """Whether the key has a value."""
        return isinstance(key, str) and self.exists(key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the sorted keys."""
        return self.list()

    def keys(self) -> KeysView[str]:
        """Return a view of the sorted keys, which are listed when it is used.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> list(store.keys())
        ['a/b', 'a/c/d']
        """
        return _Keys(self)

    def __len__(self) -> int:
        """Return the number of keys, which are listed."""
        return sum(1 for _ in self._list(""))

    def __bool__(self) -> bool:
        """Return True, even for an empty store: a store is a location, not a container."""
        return True

    def listdir(self, path: str = "") -> Names:
        """Return the sorted names directly below a path (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.listdir("a")
        ['b', 'c']
        """
        return [*self.list_dir(path)]

    def rmdir(self, path: str) -> None:
        """Delete all keys below a path (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.rmdir("a/c")
        >>> sorted(store)
        ['a/b']
        """
        self.delete_dir(path)

    def rename(self, src_path: str, dst_path: str) -> None:
        """Move the keys at and below a path (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.rename("a", "e")
        >>> sorted(store)
        ['e/b', 'e/c/d']
        """
        self.move(src_path, dst_path)

    def is_readable(self) -> bool:
        """Return True: values can be read (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> MemoryStore().is_readable()
        True
        """
        return True

    def is_listable(self) -> bool:
        """Return True: there is a method that lists keys (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> MemoryStore().is_listable()
        True
        """
        return True

    def is_writeable(self) -> bool:
        """Whether the store can be changed (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> MemoryStore().is_writeable(), MemoryStore(read_only=True).is_writeable()
        (True, False)
        """
        return not self.read_only

    is_erasable = is_writeable

    def getitems(self, keys: Iterable[str], *, contexts: object = None) -> dict[str, bytes]:  # noqa: ARG002  (zarr-python 2's)
        """Return the values of existing keys; ``contexts`` is ignored (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.getitems(["a/b", "x"])
        {'a/b': b'12'}
        """
        keys = tuple(keys)
        found = zip(keys, self.get_many(keys), strict=True)
        return {key: value for key, value in found if value is not None}

    def setitems(self, values: Mapping[str, Buffer]) -> None:
        """Store values, together if the store has ``set_many`` (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.setitems({"x": b"4", "y": b"5"})
        >>> store["x"]
        b'4'
        """
        if self.set_many is not None:
            self.set_many(values.items())
            return
        for key, value in values.items():
            self.set(key, value)

    def delitems(self, keys: Iterable[str]) -> None:
        """Delete keys, together if the store has ``set_many`` (zarr-python 2's method).

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.delitems(["a/b"])
        >>> sorted(store)
        ['a/c/d']
        """
        if self.set_many is not None:
            self.set_many((key, None) for key in keys)
            return
        self._delete_many(keys)

    def _delete_many(self, keys: Iterable[str]) -> None:
        # The public verb, because a subclass may override only that.
        for key in keys:
            self.delete(key)


class _Keys(KeysView[str]):
    """A view of the keys of a store, which ``list(view)`` lists once.

    Python asks a view for its length after it has asked for its iterator. The iterator has listed
    nothing then, and yields what is listed for the length.
    """

    _mapping: AsMapping

    def __init__(self, store: AsMapping) -> None:
        """Initialise with the store."""
        super().__init__(store)
        self._waiting: ref[_Listing] | None = None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the sorted keys."""
        found = _Listing()
        self._waiting = ref(found)
        return chain.from_iterable(self._listed(found))

    def __len__(self) -> int:
        """Return the number of keys."""
        keys = [*self._mapping.list()]
        waiting = None if self._waiting is None else self._waiting()
        if waiting is not None and waiting.keys is None:
            waiting.keys = keys
        return len(keys)

    def _listed(self, found: _Listing) -> Iterator[Iterable[str]]:
        yield self._mapping.list() if found.keys is None else found.keys


class _Listing:
    """What an iterator yields, or None if that is not listed yet."""

    keys: Iterable[str] | None = None
