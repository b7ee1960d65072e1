"""A store in the memory of the process.

Rules of this file:

* Values are ``bytes`` objects, so readers receive them without a copy.
* A write is one assignment in a ``dict``, under a lock that ``swap`` holds while it compares and
  writes. The lock is that of the dict's ``Place``, because several stores may share a dict.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from fastzarr._lazy import cached
from fastzarr.buffers import flat_bytes
from fastzarr.errors import BaseZarrError
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.drafts import replaced_keys
from fastzarr.stores.keys import normalise_path, validate_key
from fastzarr.stores.mapping import MappingStore, process
from fastzarr.stores.place import of_object
from fastzarr.stores.ranges import clip_range

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Buffer

    from fastzarr.stores.place import Place


class MemoryStore(MappingStore):
    """A store in memory, in the caller's dict if one is passed.

    ``root`` is zarr-python 2's name for ``store_dict``, and ``cls`` the class of a new dict.
    Stores with equal values are equal. Pickling copies all values. In another process the copy is
    read-only, so that nobody writes there what this process will never see;
    ``with_read_only(False)`` permits changes of the copy.

    >>> store = MemoryStore()
    >>> store["a"] = b"1"
    >>> list(store.items())
    [('a', b'1')]
    """

    concurrency = 1
    #: A value costs no request: this many bound only the list of them.
    batch = 1024
    excludes = True

    # An attribute, because every write takes a lock of the place, and a property costs a call.
    _place: Place

    def __init__(
        self,
        store_dict: MutableMapping[str, Any] | None = None,
        cls: type = dict,
        dimension_separator: str | None = None,
        *,
        read_only: bool = False,
        root: MutableMapping[str, Any] | None = None,
    ) -> None:
        """Initialise with the dict itself, or a new one."""
        if store_dict is not None and root is not None:
            msg = "store_dict and root are the same argument; pass only one"
            raise TypeError(msg)
        values = store_dict if store_dict is not None else root
        super().__init__(cls() if values is None else values, read_only=read_only)
        self.dimension_separator = dimension_separator
        vars(self)["_place"] = self._find_place()

    def __setstate__(self, state: Any) -> None:
        """Restore the settings and the values."""
        super().__setstate__(state)
        vars(self)["_place"] = self._find_place()

    def _has_values(self) -> bool:
        return True

    def _set(self, key: str, value: bytes | memoryview) -> None:
        data = bytes(value)
        with self._place.guard:
            self._mapping[key] = data

    set_valid = _set

    def get_many_valid(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of keys that are known to be valid."""
        found = list(map(self._mapping.get, keys))
        # Other code may put any buffer into the mapping.
        return [
            raw if raw is None or type(raw) is bytes else self._load(raw, key)
            for key, raw in zip(keys, found, strict=True)
        ]

    def _delete(self, key: str) -> None:
        with self._place.guard:
            super()._delete(key)

    def _delete_dir(self, prefix: str) -> None:
        with self._place.guard:
            self._replace_many(dict.fromkeys(self._list(prefix)))

    def _move(self, source: str, target: str) -> None:
        with self._place.guard:
            keys = [key for key in (source, *self._list(source)) if key in self._mapping]
            moved = {target + key[len(source) :]: self._mapping[key] for key in keys}
            self._replace_many(dict.fromkeys(keys) | moved)

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store many values, and delete the keys of those that are None.

        Readers of a ``dict`` see all changes at once.

        >>> store = MemoryStore({"a": b"1"})
        >>> store.set_many([("a", None), ("b", b"2")])
        >>> dict(store)
        {'b': b'2'}
        """
        self._check_write()
        new: dict[str, bytes | None] = {}
        for key, raw in values:
            validate_key(key)
            new[key] = raw if raw is None or type(raw) is bytes else bytes(flat_bytes(raw, key))
        self._replace_many(new)

    def _replace_many(self, values: Mapping[str, bytes | None]) -> None:
        with self._place.guard:
            # A key with the value None counts as missing, so that all changes are one update.
            self._mapping.update(values)
            for key, value in values.items():
                if value is None:
                    self._mapping.pop(key, None)

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return the index of each request with its value; a part of a value is a view."""
        found: list[tuple[int, Value | None]] = []
        for index, (key, start, length) in enumerate(wanted):
            validate_key(key)
            raw = self._mapping.get(key)
            if raw is None:
                found.append((index, None))
                continue
            data = raw if type(raw) is bytes else self._load(raw, key)
            size = len(data)
            if start or (length is not None and length < size):
                first, last = clip_range(start, length, size)
                part = memoryview(data)[first:last]
                found.append((index, Value(part, _Token(raw), size)))
            else:
                found.append((index, Value(data, _Token(raw), size)))
        return found

    def draft(self, path: str) -> DictDraft:
        """Return a new draft of the tree at a path."""
        self._check_write()
        return DictDraft(self, path)

    def validator(self, key: str) -> Hashable | None:
        """Return a token that is equal while the key has the same object as value, or None."""
        validate_key(key)
        value = self._mapping.get(key)
        return None if value is None else _Token(value)

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` returned; None means that the key is missing. Return
        whether it was current. If not, nothing has changed.

        >>> store = MemoryStore()
        >>> store.swap("a", b"1", None), store.swap("a", b"2", None)
        (True, False)
        """
        self._check_write(key)
        data = value if value is None or type(value) is bytes else bytes(flat_bytes(value, key))
        with self._place.guard:
            if self.validator(key) != token:
                return False
            if data is None:
                self._delete(key)
            else:
                self._set(key, data)
        return True

    def __str__(self) -> str:
        """Return a URL that identifies the dict within this process."""
        return f"memory://{id(self._mapping)}"


class ManagedMemoryStore(MemoryStore):
    """A store in memory that is found by its name anywhere in the process.

    ``memory://name`` is its URL. The values live as long as the process. Without a name, a new one
    is chosen. With ``path``, the store has the values below a path of all that have the name. The
    store can be pickled only within its process.

    >>> ManagedMemoryStore("demo").set("a", b"1")
    >>> ManagedMemoryStore("demo")["a"]
    b'1'
    """

    def __init__(self, name: str | None = None, *, path: str = "", read_only: bool = False) -> None:
        """Initialise with the values of this name; raise BaseZarrError if it contains a slash."""
        self.name = uuid4().hex if name is None else name
        if not self.name or "/" in self.name:
            msg = f"{name!r} cannot name a store in memory: it is empty or has a slash"
            raise BaseZarrError(msg)
        self.path = normalise_path(path)
        super().__init__(_values(self.name, self.path), read_only=read_only)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Return the store of ``memory://name`` or ``memory://name/path``.

        >>> ManagedMemoryStore.from_url("memory://demo/a/b")
        ManagedMemoryStore('memory://demo/a/b')
        """
        name, _, path = url.partition("://")[2].partition("/")
        words: dict[str, Any] = {"path": path, "read_only": read_only}
        return cls(name, **(words | dict(storage_options or {})))

    def _find_place(self) -> Place:
        found = super()._find_place()
        if self.path:
            # Those who compare and swap below the path exclude those who do so above it.
            found.guard = of_object(_values(self.name, "")).guard
        return found

    def __eq__(self, other: object) -> bool:
        """Whether both have the same values; ``read_only`` is ignored."""
        if isinstance(other, ManagedMemoryStore):
            return (self.name, self.path) == (other.name, other.path)
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings, the name and the process, but no values."""
        state = super().__getstate__().items()
        return {name: value for name, value in state if name != "_mapping"}

    def __setstate__(self, state: Any) -> None:
        """Restore the store of this name; raise BaseZarrError in another process."""
        if "_process" in state and state["_process"] != process(os.getpid()):
            msg = (
                f"memory://{state['name']} is in the memory of another process, from which this "
                "one cannot read it; use a store that both can reach, such as a folder"
            )
            raise BaseZarrError(msg)
        super().__setstate__({"_mapping": _values(state["name"], state["path"]), **state})

    def __str__(self) -> str:
        """Return the URL."""
        return f"memory://{self.name}" + (f"/{self.path}" if self.path else "")


@cache
def _values(name: str, path: str) -> MutableMapping[str, Any]:
    """Return the values of the store of a name in this process, or those below a path."""
    return Below(_values(name, ""), f"{path}/") if path else {}


class Below(MutableMapping[str, Any]):
    """The values of a dict whose keys begin with a prefix, by the rest of the keys."""

    def __init__(self, values: MutableMapping[str, Any], prefix: str) -> None:
        """Initialise with the dict and the prefix."""
        self._values, self._prefix = values, prefix

    def __getitem__(self, key: str) -> Any:
        """Return a value."""
        return self._values[self._prefix + key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a value."""
        self._values[self._prefix + key] = value

    def __delitem__(self, key: str) -> None:
        """Delete a key."""
        del self._values[self._prefix + key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        start = len(self._prefix)
        # The keys are copied, because other threads may write during the iteration.
        return (key[start:] for key in tuple(self._values) if key.startswith(self._prefix))

    def __len__(self) -> int:
        """Return the number of keys."""
        return sum(1 for _ in self)

    def update(self, values: Any) -> None:  # type: ignore[override]
        """Set values in one step."""
        self._values.update({self._prefix + key: value for key, value in values.items()})


class DictDraft:
    """A draft of the tree at a path; ``store`` has its content."""

    def __init__(self, target: MemoryStore, path: str) -> None:
        """Initialise with an empty tree in a new dict."""
        self._target, self._path = target, path
        self._made: dict[str, bytes] = {}

    @cached
    def store(self) -> MemoryStore:
        """The store of the draft."""
        separator = self._target.dimension_separator
        return MemoryStore(self._made, dimension_separator=separator)

    def put(self, key: str, value: bytes) -> None:
        """Store a new value in the tree."""
        self._made[key] = value

    def publish(self, *, replace: bool, owned: Callable[[str], bool] | None = None) -> bool:
        """Move the tree to its path, unless there is a node that must not be replaced."""
        with self._target.place.guard:
            keys = self._target.list(self._path)
            gone = replaced_keys(keys, self._path, replace=replace, owned=owned)
            if gone is None:
                return False
            start = f"{self._path}/" if self._path else ""
            made = {start + key: value for key, value in self._made.items()}
            self._target.set_many((dict.fromkeys(gone) | made).items())
        return True

    def discard(self) -> None:
        """Delete the draft."""
        self._made.clear()


class _Token:
    # It refers to the value, because its id could otherwise be reused.
    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Token) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)
