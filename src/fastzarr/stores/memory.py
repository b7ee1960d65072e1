"""A store in the memory of the process.

Rules of this file:

* Values are ``bytes`` objects, so readers receive them without a copy.
* A write is one assignment in a ``dict``, under a lock that ``swap`` holds while it compares and
  writes. The lock is that of the dict's ``Place``, because several stores may share a dict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.buffers import flat_bytes
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.keys import METADATA_NAMES, validate_key
from fastzarr.stores.mapping import MappingStore
from fastzarr.stores.ranges import clip_range

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping, Sequence

    from typing_extensions import Buffer

    from fastzarr.stores.place import Place


class MemoryStore(MappingStore):
    """A store in memory, in the caller's dict if one is passed.

    ``root`` is zarr-python 2's name for ``store_dict``. Stores with equal values are equal.
    Pickling copies all values.

    >>> store = MemoryStore()
    >>> store["a"] = b"1"
    >>> list(store.items())
    [('a', b'1')]
    """

    # An attribute, because every write takes a lock of the place, and a property costs a call.
    _place: Place

    def __init__(
        self,
        store_dict: MutableMapping[str, Any] | None = None,
        *,
        read_only: bool = False,
        root: MutableMapping[str, Any] | None = None,
        dimension_separator: str | None = None,
    ) -> None:
        """Initialise with the dict itself, or a new one."""
        if store_dict is not None and root is not None:
            msg = "store_dict and root are the same argument; pass only one"
            raise TypeError(msg)
        values = store_dict if store_dict is not None else root
        super().__init__({} if values is None else values, read_only=read_only)
        self.dimension_separator = dimension_separator
        vars(self)["_place"] = self._find_place()

    def __setstate__(self, state: Any) -> None:
        """Restore the settings and the values."""
        super().__setstate__(state)
        vars(self)["_place"] = self._find_place()

    def _set(self, key: str, value: bytes | memoryview) -> None:
        data = bytes(value)
        with self._place.guard:
            self._mapping[key] = data

    set_valid = _set

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
        for key, value in values:
            validate_key(key)
            new[key] = None if value is None else bytes(flat_bytes(value, key))
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
            data = raw if type(raw) is bytes else bytes(flat_bytes(raw, key))
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
        data = None if value is None else bytes(flat_bytes(value, key))
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


class DictDraft:
    """A draft of the tree at a path; ``store`` has its content."""

    def __init__(self, target: MemoryStore, path: str) -> None:
        """Initialise with an empty tree in a new dict."""
        self._target, self._path = target, path
        self._made: dict[str, bytes] = {}
        separator = target.dimension_separator
        self.store = MemoryStore(self._made, dimension_separator=separator)

    def publish(self, *, replace: bool, owned: Callable[[str], bool] | None = None) -> bool:
        """Move the tree to its path, unless there is a node that must not be replaced."""
        with self._target.place.guard:
            start = f"{self._path}/" if self._path else ""
            gone: list[str] = []
            for key in self._target.list(self._path):
                if not replace and key.rpartition("/")[2] in METADATA_NAMES:
                    return False
                if replace or (owned is not None and owned(key[len(start) :])):
                    gone.append(key)
            made = {start + key: value for key, value in self._made.items()}
            self._target.set_many((dict.fromkeys(gone) | made).items())
        return True

    def discard(self) -> None:
        """Delete the draft."""
        self.store.clear()


class _Token:
    # It refers to the value, because its id could otherwise be reused.
    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Token) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)
