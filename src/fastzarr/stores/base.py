"""The verbs of every store, checked, and what the author of a store writes.

Rules of this file:

* A public verb checks the keys and the right to write, then calls its private twin, which an author
  of a store writes: ``_get``, ``_set``, ``_delete`` and ``_list``. The other private verbs are made
  of these four, for a store to override where it can do better.
* A missing key reads as None. Nothing else does: any failure raises.
* A prefix is a whole path: ``6/f`` means the keys below ``6/f/``, never ``6/foo``.
* What a store can do beyond the verbs is declared, and void where a subclass overrides a verb that
  it would go past: see ``capabilities.py``.
* A store is a mapping from key to bytes as well, by the same verbs: see ``as_mapping.py``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, TypeVar, overload

from fastzarr.buffers import flat_bytes
from fastzarr.errors import (
    BaseZarrError,
    ContainsNodeError,
    KeyValidationError,
    NodeNotFoundError,
    ReadOnlyError,
)
from fastzarr.stores.as_mapping import AsMapping
from fastzarr.stores.capabilities import PAST, Request, Suspension, Value, is_void, void, void_one
from fastzarr.stores.keys import normalise_path, validate_key
from fastzarr.stores.place import own
from fastzarr.stores.ranges import clip_range

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

    from fastzarr.stores.capabilities import Draft, Files
    from fastzarr.stores.place import Place
    from fastzarr.stores.turns import Turn

T = TypeVar("T")
# Named here because `list` is a verb inside the class.
Values: TypeAlias = "list[bytes | None]"
Parts: TypeAlias = "list[bytes]"
Range: TypeAlias = tuple[int, int | None]
_VERBS = frozenset().union(*PAST.values())


class Store(AsMapping):
    """A place that keeps bytes by key; the base class of all stores.

    The author of a store writes four methods and gets the rest. The keys that they are called with
    are valid, prefixes have no slash at their ends, and the right to write has been checked.

    * ``_get(key)`` returns the bytes, or None if, and only if, the key is missing.
    * ``_set(key, value)`` stores the value atomically: readers see the old value or the new one.
      ``value`` is bytes, or a flat memoryview that belongs to the caller and must be copied.
    * ``_delete(key)`` deletes the key; a missing one is fine.
    * ``_list(prefix)`` returns the keys below the prefix in any order, all keys for ``""``.

    The capabilities that a store may declare beyond that are protocols of
    ``fastzarr.stores.capabilities``. Subclass ``fastzarr.testing.StoreTests`` to test a store.
    """

    read_only: bool
    #: The separator of chunk keys of new format 2 arrays, unless one is given.
    dimension_separator: str | None = None
    supports_writes: ClassVar[bool] = True
    supports_deletes: ClassVar[bool] = True
    supports_listing: ClassVar[bool] = True
    supports_partial_writes: ClassVar[bool] = False
    supports_consolidated_metadata: ClassVar[bool] = True
    #: Whether a turn locks its key, against all writers that the store promises to exclude, even
    #: though the store has compare-and-swap.
    locks_keys: ClassVar[bool] = False
    #: Whether a part of a value is read without the rest: where ``_get_ranges`` is overridden.
    supports_partial_reads: bool = False
    #: Whether ``getsize`` costs less than ``get``.
    knows_sizes: ClassVar[bool] = False
    #: Whether values were written, through this object or past it, since the last ``flush``.
    written: bool = False

    #: When ``files`` does not hold; a store that never sets it shares this one.
    suspension: Suspension = Suspension()

    # Capabilities: None unless a subclass declares them.
    files: Callable[[], Files | None] | None = None
    validator: Callable[[str], Hashable | None] | None = None
    swap: Callable[[str, Buffer | None, Hashable | None], bool] | None = None
    set_many: Callable[[Iterable[tuple[str, Buffer | None]]], None] | None = None
    modified: Callable[[str], int | None] | None = None
    draft: Callable[[str], Draft[Store] | None] | None = None
    transaction: Callable[[str], AbstractContextManager[None]] | None = None

    def __init__(self, *, read_only: bool = False) -> None:
        """Open the store; with ``read_only``, writing is refused."""
        self.read_only = read_only

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Void the inherited capabilities that go past verbs which the class overrides."""
        super().__init_subclass__(**kwargs)
        void(cls, Store)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a verb voids the capabilities of this store that go past it."""
        super().__setattr__(name, value)
        if name in _VERBS:
            void_one(self, name, Store)

    def __getstate__(self) -> Any:
        """Return the state for copies and pickles, without methods that are bound to this store."""
        state: Any = super().__getstate__()
        if isinstance(state, dict) and not _VERBS.isdisjoint(state):
            state = {name: held for name, held in state.items() if not is_void(name, held, Store)}
        return state

    def __setstate__(self, state: Any) -> None:
        """Take over the state of another store, and void what goes past the verbs in it."""
        mine, slots = state if isinstance(state, tuple) else (state, None)
        vars(self).update(mine or {})
        for name, value in (slots or {}).items():
            setattr(self, name, value)
        for verb in _VERBS & vars(self).keys():
            void_one(self, verb, Store)

    # What an author writes

    @abstractmethod
    def _get(self, key: str) -> bytes | None: ...

    @abstractmethod
    def _set(self, key: str, value: bytes | memoryview) -> None: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _list(self, prefix: str) -> Iterable[str]: ...

    # What an author may write

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> Parts | None:
        # The public verb, since a subclass may override that one alone.
        value = self.get(key)
        if value is None:
            return None
        return [value[slice(*clip_range(*part, len(value)))] for part in ranges]

    def _exists(self, key: str) -> bool:
        return self._get(key) is not None

    def _getsize(self, key: str) -> int | None:
        value = self._get(key)
        return None if value is None else len(value)

    def _list_dir(self, prefix: str) -> Iterable[str]:
        start = len(prefix) + 1 if prefix else 0
        return {key[start:].partition("/")[0] for key in self._list(prefix)}

    def _delete_dir(self, prefix: str) -> None:
        for key in tuple(self._list(prefix)):
            self._delete(key)

    def _move(self, source: str, target: str) -> None:
        # All is copied before anything is deleted, so that a failure loses nothing.
        keys = [source] if self._exists(source) else []
        keys += self._list(source)
        for key in keys:
            value = self._get(key)
            if value is not None:
                self._set(target + key[len(source) :], value)
        for key in keys:
            self._delete(key)

    def _turn(self, key: str) -> Turn:
        from fastzarr.stores.turns import StoreTurn

        return StoreTurn(self, key)

    # Reading

    @overload
    def get(self, key: str, default: None = None) -> bytes | None: ...
    @overload
    def get(self, key: str, default: bytes) -> bytes: ...
    @overload
    def get(self, key: str, default: T) -> bytes | T: ...
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or ``default`` if the key is missing.

        Raises ``KeyValidationError`` for an invalid key, and whatever the storage raises.

        >>> from fastzarr.stores import MemoryStore
        >>> MemoryStore({"a": b"1"}).get("a")
        b'1'
        """
        validate_key(key)
        value = self._get(key)
        return default if value is None else value

    def get_checked(self, key: str, check: Callable[[int, str], None]) -> bytes | None:
        """Return a value unless ``check(size, key)`` raises; None if the key is missing.

        A store with ``knows_sizes`` does not read a value that is refused.
        """
        if self.knows_sizes:
            validate_key(key)
            size = self._getsize(key)
            if size is None:
                return None
            check(size, key)
        value = self.get(key)
        if value is not None:
            check(len(value), key)
        return value

    def get_valid(self, key: str) -> bytes | None:
        """Return the value of a key that is known to be valid, without checking it again."""
        return self.get(key)

    def set_valid(self, key: str, value: bytes | memoryview) -> None:
        """Store a value under a key that is known to be valid, in a store that may be written."""
        self.set(key, value)

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return, in any order, the index of each request with its value; None if it is missing.

        ``data`` may be a view into memory that the store keeps. Without a ``fetch`` of its own, a
        store is asked for one key after the other.

        >>> from fastzarr.stores import MemoryStore
        >>> wanted = [Request("a"), Request("b"), Request("a", -2)]
        >>> for index, value in MemoryStore({"a": b"012345"}).fetch(wanted):
        ...     print(index, None if value is None else bytes(value.data))
        0 b'012345'
        1 None
        2 b'45'
        """
        parts: dict[str, list[int]] = {}
        for index, (key, start, length) in enumerate(wanted):
            if start or length is not None:
                parts.setdefault(key, []).append(index)
                continue
            # Read before the value, so that a change in between is noticed.
            validator = None if self.swap is None else self.validator
            token = None if validator is None else validator(key)
            data = self.get(key)
            yield index, None if data is None else Value(data, token, len(data))
        for key, indexes in parts.items():
            found = self.get_ranges(key, [wanted[index][1:] for index in indexes])
            for at, index in enumerate(indexes):
                yield index, None if found is None else Value(found[at])

    def get_ranges(self, key: str, ranges: Sequence[Range]) -> Parts | None:
        """Return parts of a value, each ``(start, length)``, or None if the key is missing.

        A negative ``start`` counts from the end; ``length`` None reads to the end. Ranges are
        clipped to the value, as slices are.

        >>> from fastzarr.stores import MemoryStore
        >>> MemoryStore({"a": b"012345"}).get_ranges("a", [(1, 2), (-2, None), (4, 9)])
        [b'12', b'45', b'45']
        """
        validate_key(key)
        return self._get_ranges(key, ranges)

    def get_many(self, keys: Iterable[str]) -> Values:
        """Return the values of keys in their order, None for each that is missing."""
        wanted = [Request(key) for key in keys]
        values: Values = [None] * len(wanted)
        for index, found in self.fetch(wanted):
            if found is not None:
                data = found.data
                values[index] = data if type(data) is bytes else bytes(data)
        return values

    def exists(self, key: str) -> bool:
        """Whether the key has a value."""
        validate_key(key)
        return self._exists(key)

    def getsize(self, key: str) -> int:
        """Return the size of a value in bytes; raise FileNotFoundError if the key is missing."""
        validate_key(key)
        size = self._getsize(key)
        if size is None:
            msg = f"no key {key!r} in {self}"
            raise FileNotFoundError(msg)
        return size

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes."""
        return sum(self._getsize(key) or 0 for key in self._list(normalise_path(prefix)))

    # Listing

    def list(self, prefix: str = "") -> Iterator[str]:
        """Return the keys below a prefix, sorted; there may be none."""
        return iter(sorted(self._list(normalise_path(prefix))))

    def list_dir(self, prefix: str = "") -> Iterator[str]:
        """Return the names directly below a prefix, of keys and of folders alike, sorted."""
        return iter(sorted(self._list_dir(normalise_path(prefix))))

    def is_empty(self, prefix: str = "") -> bool:
        """Whether no key is below a prefix."""
        return next(iter(self._list(normalise_path(prefix))), None) is None

    # Writing

    def set(self, key: str, value: Buffer) -> None:
        """Store a value atomically: readers see the old one or the new one.

        A failure leaves the old value. ``value`` is bytes or any other buffer; it is copied.

        Raises ``ReadOnlyError``, ``KeyValidationError``, and whatever the storage raises.
        """
        self._check_write(key)
        self._set(key, flat_bytes(value, key))

    def turn(self, key: str) -> Turn:
        """Return a writer's turn at a key: no other writer changes the value that it has read.

        Its ``end`` must be called, whatever happens. Most callers want ``change``.
        """
        self._check_write(key)
        return self._turn(key)

    def change(self, key: str, make: Callable[[bytes | None], Buffer | None]) -> None:
        """Replace a value by ``make(old)``, where None means that the key is missing.

        No update of another thread is lost, and none of another process if the store has locks or
        compare-and-swap. ``make`` is called again if another writer was first. If it returns
        ``old`` itself, nothing is written.

        >>> from fastzarr.stores import MemoryStore
        >>> store = MemoryStore({"a": b"1"})
        >>> store.change("a", lambda old: old + b"2")
        >>> store["a"]
        b'12'
        """
        turn = self.turn(key)
        try:
            while True:
                old = turn.get()
                new = make(old)
                if new is old or turn.put(new):
                    return
        finally:
            turn.end()

    def delete(self, key: str) -> None:
        """Delete a key; a missing one is fine."""
        self._check_write(key)
        self._delete(key)

    def delete_dir(self, prefix: str) -> None:
        """Delete all keys below a prefix, which must not be the root; ``clear`` deletes all."""
        self._check_write()
        self._delete_dir(_below_root(prefix, "use clear() to remove all keys"))

    def clear(self) -> None:
        """Delete all keys."""
        self._check_write()
        for key in tuple(self._list("")):
            self._delete(key)

    def move(self, source: str, target: str) -> None:
        """Move the keys at and below the path ``source`` to the path ``target``.

        Raises ``NodeNotFoundError`` if there are none, ``ContainsNodeError`` if a key is at or
        below ``target``.
        """
        self._check_write()
        source, target = self.check_move(source, target)
        if source != target:
            self._move(source, target)

    def check_move(self, source: str, target: str) -> tuple[str, str]:
        """Raise what ``move`` would raise, and return both paths as keys begin with them."""
        source = _below_root(source, "the root of a store cannot be moved")
        target = _below_root(target, "the root of a store cannot be moved to")
        if not self._holds(source):
            msg = f"nothing at {source!r} in {self}, so there is nothing to move"
            raise NodeNotFoundError(msg)
        if source == target:
            return source, target
        if f"{target}/".startswith(f"{source}/"):
            msg = f"{source!r} cannot be moved to {target!r}, which is below it"
            raise BaseZarrError(msg)
        if self._holds(target):
            msg = f"cannot move {source!r} in {self}: {target!r} is taken, delete it first"
            raise ContainsNodeError(msg)
        return source, target

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a store for the same values that refuses writing, or with False, allows it."""
        from copy import copy

        place, other = self.place, copy(self)
        # Also where the author of a store leaves it out of its state.
        vars(other)["_place"] = place
        other.read_only = read_only
        return other

    @property
    def place(self) -> Place:
        """Return the identity of what the store stands for.

        All stores that stand for the same values share it, whatever their kinds.
        """
        mine = vars(self)
        # In one step, for threads that ask for it at once.
        found: Place = mine.get("_place") or mine.setdefault("_place", self._find_place())
        return found

    def _find_place(self) -> Place:
        return own()

    def lasting(self) -> Store:
        """Return a store for the same values whose writes survive a power cut once they return.

        It is for data that other data will rely on. A store that cannot do more, or is configured
        to do nothing, returns itself.
        """
        return self

    def settle(self, path: str) -> None:
        """Make the names at a path survive a power cut, if the store can."""

    def flush(self) -> None:
        """Make all that was written survive a power cut, if the store can."""

    def close(self) -> None:
        """Flush, and release what the store holds open."""
        if not self.read_only:
            self.flush()

    @property
    def has_exclusive_turns(self) -> bool:
        """Whether no other writer changes a key between the ``get`` and the ``put`` of a turn.

        With compare-and-swap alone another writer can, and ``put`` then returns False.
        """
        return self.swap is None or self.locks_keys

    def _check_write(self, *keys: str) -> None:
        if self.read_only:
            msg = f"{self} is read-only; open it for writing, or use with_read_only(False)"
            raise ReadOnlyError(msg)
        for key in keys:
            validate_key(key)

    def _holds(self, path: str) -> bool:
        return self._exists(path) or not self.is_empty(path)

    # The object

    def __eq__(self, other: object) -> bool:
        """Whether both stores stand for the same place; whether one is read-only does not count."""
        return self.place is other.place if isinstance(other, Store) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the store."""
        self.close()

    def __str__(self) -> str:
        """Return what the store stands for, as a URL."""
        return f"{type(self).__name__.lower()}://{id(self.place)}"

    def __repr__(self) -> str:
        """Return the kind of the store and what it stands for."""
        return f"{type(self).__name__}({str(self)!r})"


def _below_root(prefix: str, hint: str) -> str:
    path = normalise_path(prefix)
    if not path:
        msg = f"{prefix!r} is the root of the store; {hint}"
        raise KeyValidationError(msg)
    return path
