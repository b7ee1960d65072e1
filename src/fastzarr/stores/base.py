"""The base class of stores: its public verbs, and the methods that an author writes.

Rules of this file:

* A public verb validates its keys and whether the store may be written, then calls its private
  counterpart. An author writes ``_get``, ``_set``, ``_delete`` and ``_list``. The other private
  methods are implemented with these four, and may be overridden by something faster.
* Only a missing key reads as None; every failure raises.
* A prefix is a whole path: ``6/f`` means the keys below ``6/f/``, never ``6/foo``.
* Capabilities beyond the verbs are declared, and void if a subclass overrides a verb that they
  bypass: see ``capabilities.py``.
* A store is also a mapping of keys to bytes, with the same semantics: see ``as_mapping.py``.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, TypeVar, overload

from fastzarr.buffers import flat_bytes
from fastzarr.errors import (
    BaseZarrError,
    ContainsNodeError,
    NodeNotFoundError,
    ReadOnlyError,
    ZarrRuntimeWarning,
)
from fastzarr.stores.as_mapping import AsMapping
from fastzarr.stores.capabilities import VERBS, Request, Suspension, Value, is_void, void, void_one
from fastzarr.stores.keys import below_root, normalise_path, validate_key
from fastzarr.stores.place import own
from fastzarr.stores.ranges import answered, clip_range

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

    from fastzarr.stores.capabilities import Draft, Files, Pinned, Prepared, Spans, Views
    from fastzarr.stores.place import Place
    from fastzarr.stores.turns import Turn

T = TypeVar("T")
# Named here because `list` is a verb inside the class.
Values: TypeAlias = "list[bytes | None]"
Parts: TypeAlias = "list[bytes]"
Range: TypeAlias = tuple[int, int | None]


class Store(AsMapping):
    """The base class of all stores, which map keys to bytes.

    The author of a store writes four methods and inherits the rest. They are called with valid keys
    and with prefixes that have no slash at their ends, and only if the store may be written.

    * ``_get(key)`` returns the bytes, or None if, and only if, the key is missing.
    * ``_set(key, value)`` stores the value atomically: readers see the old value or the new one.
      ``value`` is bytes, or a flat memoryview that belongs to the caller and must be copied.
    * ``_delete(key)`` deletes the key, if it exists.
    * ``_list(prefix)`` returns the keys below the prefix in any order, all keys for ``""``.

    A store may also declare capabilities: see ``fastzarr.stores.capabilities``. Subclass
    ``fastzarr.testing.StoreTests`` to test a store.

    >>> class Values(Store):
    ...     values = {}
    ...     _get = values.get
    ...     _delete = values.__delitem__
    ...     def _set(self, key, value):
    ...         self.values[key] = bytes(value)
    ...     def _list(self, prefix):
    ...         start = prefix and prefix + "/"
    ...         return [key for key in self.values if key.startswith(start)]
    >>> store = Values()
    >>> store["a/b"] = b"1"
    >>> list(store), list(store.list_dir("a"))
    (['a/b'], ['b'])
    """

    read_only: bool
    dimension_separator: str | None = None  #: The default one of chunk keys in format 2.
    zarr_format: Any = None  #: The format of new nodes, which readers look for first, or None.
    supports_writes: ClassVar[bool] = True
    supports_deletes: ClassVar[bool] = True
    supports_listing: ClassVar[bool] = True
    supports_partial_writes: ClassVar[bool] = False
    supports_consolidated_metadata: ClassVar[bool] = True
    #: Whether a part of a value is read without the rest: where ``_get_ranges`` is overridden.
    supports_partial_reads: bool = False
    knows_sizes: ClassVar[bool] = False  #: Whether ``getsize`` is cheaper than ``get``.
    #: How many requests at once shorten the time of all; None for as many as the settings allow.
    #: With 1, as for values in memory, each is made by the thread that needs the value.
    concurrency: int | None = None
    batch: int = 1  #: How many requests one call of ``fetch`` answers in about the time of one.
    batch_bytes: int | None = None  #: Batches of more bytes than this are written no sooner.
    takes_views: bool = False  #: Whether new values may be views, not kept once they are stored.
    #: Whether chunks need a stored document: the store commits both together, for its readers.
    document_first: bool = False
    #: Whether ``swap`` also deletes a value only if the token is current. If not, chunks that have
    #: become empty are stored, and the tokens of other keys are compared just before the deletion.
    swaps_deletes: ClassVar[bool] = True
    excludes: ClassVar[bool] = False  #: Whether turns keep out writers of all processes.
    written: bool = False  #: Whether values, or its files, were written since the last ``flush``.
    suspension: Suspension = Suspension()  #: Whether ``files`` is; shared where it never is.
    # Capabilities: None unless a subclass declares them.
    files: Callable[[], Files | None] | None = None
    spans: Callable[[Sequence[str], int], Spans] | None = None
    views: Callable[[Sequence[str]], Views] | None = None
    get_small: Callable[[Sequence[Sequence[str]]], dict[str, bytes | None]] | None = None
    fetch_async: Callable[[Request], Awaitable[Value | None]] | None = None
    validator: Callable[[str], Hashable | None] | None = None
    swap: Callable[[str, Buffer | None, Hashable | None], bool] | None = None
    swap_token: Callable[..., tuple[bool, Hashable | None]] | None = None
    swap_many: Callable[[Sequence[tuple[str, Buffer | None, Any]]], list[bool]] | None = None
    set_many: Callable[[Iterable[tuple[str, Buffer | None]]], None] | None = None
    modified: Callable[[str], int | None] | None = None
    load: Callable[[str], Buffer | None] | None = None
    draft: Callable[[str], Draft[Store] | None] | None = None
    pinned: Callable[..., Pinned[Store] | None] | None = None
    transaction: Callable[[str], AbstractContextManager[None]] | None = None

    def __init__(self, *, read_only: bool = False) -> None:
        """Initialise; a store with ``read_only`` rejects writes."""
        self.read_only = read_only

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Void the inherited capabilities that bypass verbs which the class overrides.

        Warn of a class with compare-and-swap under its earlier name, which nothing calls.
        """
        super().__init_subclass__(**kwargs)
        void(cls, Store)
        if "set_if" in vars(cls) and cls.swap is None:
            msg = (
                f"{cls.__qualname__}.set_if is not called: compare-and-swap is declared by the "
                "name swap. Without it, changes by other processes may be lost. Add swap = set_if"
            )
            # Between this method and the class statement is a frame of the metaclass.
            warnings.warn(msg, ZarrRuntimeWarning, stacklevel=3)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; assigning a verb voids this store's capabilities that bypass it."""
        super().__setattr__(name, value)
        if name in VERBS:
            void_one(self, name, Store)

    def __getstate__(self) -> Any:
        """Return the state for copies and pickles, without methods that are bound to this store."""
        state: Any = super().__getstate__()
        if isinstance(state, dict) and not VERBS.isdisjoint(state):
            state = {name: held for name, held in state.items() if not is_void(name, held, Store)}
        return state

    def __setstate__(self, state: Any) -> None:
        """Restore the state, and void the capabilities that bypass a verb in it."""
        mine, slots = state if isinstance(state, tuple) else (state, None)
        vars(self).update(mine or {})
        for name, value in (slots or {}).items():
            setattr(self, name, value)
        if not VERBS.isdisjoint(vars(self)):
            for verb in VERBS & vars(self).keys():
                void_one(self, verb, Store)

    # Required methods

    @abstractmethod
    def _get(self, key: str) -> bytes | None: ...

    @abstractmethod
    def _set(self, key: str, value: bytes | memoryview) -> None: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _list(self, prefix: str) -> Iterable[str]: ...

    # Optional methods

    def _get_ranges(self, key: str, ranges: Sequence[Range]) -> Parts | None:
        # The public verb, because a subclass may override only that.
        value = self.get(key)
        cut = clip_range
        return None if value is None else [value[slice(*cut(*p, len(value)))] for p in ranges]

    def _exists(self, key: str) -> bool:
        return self._get(key) is not None

    def _getsize(self, key: str) -> int | None:
        value = self._get(key)
        return None if value is None else len(value)

    def _list_dir(self, prefix: str) -> Iterable[str]:
        start = len(prefix) + 1 if prefix else 0
        return {key[start:].partition("/")[0] for key in self._list(prefix)}

    def _delete_many(self, keys: Iterable[str]) -> None:
        # Defined by this class too, as that which replaces a void one.
        super()._delete_many(keys)

    def _delete_dir(self, prefix: str) -> bool | None:
        for key in tuple(self._list(prefix)):
            self._delete(key)
        return None

    def _move(self, source: str, target: str) -> None:
        # Everything is copied before anything is deleted, so that a failure loses nothing.
        keys = [source] if self._exists(source) else []
        keys += self._list(source)
        for key in keys:
            if (value := self._get(key)) is not None:
                self._set(target + key[len(source) :], value)
        for key in keys:
            self._delete(key)

    def _turn(self, key: str) -> Turn:
        from fastzarr.stores.turns import StoreTurn

        return StoreTurn(self, key)

    @overload
    def get(self, key: str, default: None = None) -> bytes | None: ...
    @overload
    def get(self, key: str, default: bytes) -> bytes: ...
    @overload
    def get(self, key: str, default: T) -> bytes | T: ...
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or ``default`` if the key is missing.

        Raise ``KeyValidationError`` for an invalid key, and the storage's own errors.

        >>> from fastzarr.stores import MemoryStore
        >>> MemoryStore({"a": b"1"}).get("a")
        b'1'
        """
        validate_key(key)
        value = self._get(key)
        return default if value is None else value

    def get_checked(self, key: str, check: Callable[[int, str], None]) -> bytes | None:
        """Return a value unless ``check(size, key)`` raises; None if the key is missing.

        A store with ``knows_sizes`` calls ``check`` before reading the value.
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

    #: ``get_valid(key, None, most)``, which raises CodecError before it reads more than ``most``
    #: bytes; None if a value takes memory before its size is known.
    get_bounded: Callable[[str, None, int], bytes | None] | None = None

    def get_valid(self, key: str) -> bytes | None:
        """Return the value of a key that is known to be valid, without checking it again."""
        return self.get(key)

    def get_many_valid(self, keys: Sequence[str]) -> Values:
        """Return the values of keys that are known to be valid."""
        return self.get_many(keys)

    def check_missing(self, key: str) -> None:
        """Raise the storage's error if a key that was found missing could not be looked for."""

    def set_valid(self, key: str, value: bytes | memoryview) -> None:
        """Store a value under a key that is known to be valid, in a store known to be writable."""
        self.set(key, value)

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return, in any order, the index of each request with its value; None if it is missing.

        ``data`` may be a view of the store's memory. This default implementation reads the keys one
        by one.

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
        """Return the values of keys in order, with None for missing ones."""
        wanted = [Request(key) for key in keys]
        values: Values = [None] * len(wanted)
        for index, found in answered(self.fetch(wanted), len(wanted)):
            if found is not None:
                data = found.data
                values[index] = data if type(data) is bytes else bytes(data)
        return values

    def is_missing(self, prefix: str) -> bool:
        """Whether the store knows, with less effort than a request, that no key is below a prefix.

        False says nothing. ``prefix`` is normalised.
        """
        del prefix
        return False

    def exists(self, key: str) -> bool:
        """Whether the key has a value."""
        validate_key(key)
        return self._exists(key)

    def getsize(self, key: str) -> int:
        """Return the size of a value in bytes; raise FileNotFoundError if the key is missing.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.getsize("a/b")
        2
        """
        validate_key(key)
        size = self._getsize(key)
        if size is None:
            msg = f"no key {key!r} in {self}"
            raise FileNotFoundError(msg)
        return size

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.getsize_prefix("a")
        3
        """
        return sum(self._getsize(key) or 0 for key in self._list(normalise_path(prefix)))

    def list(self, prefix: str = "") -> Iterator[str]:
        """Return the sorted keys below a prefix."""
        return iter(sorted(self._list(normalise_path(prefix))))

    def list_dir(self, prefix: str = "") -> Iterator[str]:
        """Return the sorted names of keys and folders directly below a prefix."""
        return iter(sorted(self._list_dir(normalise_path(prefix))))

    def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.is_empty("a"), store.is_empty("x")
        (False, True)
        """
        return next(iter(self._list(normalise_path(prefix))), None) is None

    def set(self, key: str, value: Buffer) -> None:
        """Store a value atomically: readers see the old value or the new one.

        If it fails, the old value is kept. ``value`` is bytes or any other buffer; it is copied.

        Raise ``ReadOnlyError`` if the store is read-only, ``KeyValidationError`` for an invalid
        key, TypeError if the value is not a buffer, and the storage's own errors.
        """
        self._check_write(key)
        self._set(key, flat_bytes(value, key))

    def turn(self, key: str) -> Turn:
        """Return a turn at a key, in which no change of another writer goes unnoticed.

        Its method ``end`` must always be called. Most callers should use ``change``.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> turn = store.turn("a/b")
        >>> turn.put(turn.get() + b"3")
        True
        >>> turn.end()
        """
        self._check_write(key)
        return self._turn(key)

    def change(
        self,
        key: str,
        make: Callable[[bytes | None], Buffer | None],
        then: Callable[[], None] | None = None,
        before: Callable[[Prepared | None], None] | None = None,
    ) -> None:
        """Replace a value by ``make(old)``, then call ``then()`` before the next writer's turn.

        ``before`` is called before the new value is stored. Its argument is that value if it is in
        a file already, which can be synced with others that ``before`` writes.

        ``old`` is None if the key is missing; returning None deletes it. No update of another
        thread is lost, and none of another process if the store has locks or compare-and-swap.
        ``make`` is called again if another writer was first. If it returns ``old`` itself, nothing
        is written.

        >>> from fastzarr.stores import MemoryStore
        >>> store = MemoryStore({"a": b"1"})
        >>> store.change("a", lambda old: old + b"2")
        >>> store["a"]
        b'12'
        """
        from fastzarr.stores.turns import take

        take(self.turn(key), make, before, then)

    def delete(self, key: str) -> None:
        """Delete a key, if it exists."""
        self._check_write(key)
        self._delete(key)

    def delete_dir(self, prefix: str) -> bool | None:
        """Delete all keys below a prefix, but not the root, for which ``clear`` is meant.

        Return False if the store has found nothing there; other values have no meaning.
        """
        self._check_write()
        return self._delete_dir(below_root(prefix, "use clear() to delete all keys"))

    def clear(self) -> None:
        """Delete all keys.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.clear()
        >>> len(store)
        0
        """
        self._check_write()
        for key in tuple(self._list("")):
            self._delete(key)

    def move(self, source: str, target: str) -> None:
        """Move the keys at and below the path ``source`` to the path ``target``.

        Raise ``NodeNotFoundError`` if there are none, and ``ContainsNodeError`` if there is a key
        at or below ``target``.
        """
        self._check_write()
        source, target = self.check_move(source, target)
        if source != target:
            self._move(source, target)

    def check_move(self, source: str, target: str) -> tuple[str, str]:
        """Return both paths normalised; raise the errors that ``move`` would raise.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.check_move("/a", "e/")
        ('a', 'e')
        """
        source = below_root(source, "the root of a store cannot be moved")
        target = below_root(target, "the root of a store cannot be moved to")
        if not self._holds(source):
            msg = f"cannot move {source!r} in {self}: there is nothing at this path"
            raise NodeNotFoundError(msg)
        if source == target:
            return source, target
        if f"{target}/".startswith(f"{source}/"):
            msg = f"cannot move {source!r} to {target!r}, which is below it"
            raise BaseZarrError(msg)
        if self._holds(target):
            msg = f"cannot move {source!r} in {self}: {target!r} already exists; delete it first"
            raise ContainsNodeError(msg)
        return source, target

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a store with the same values that is read-only or, with False, writable.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.with_read_only().read_only
        True
        """
        from copy import copy

        place, other = self.place, copy(self)
        # The place is set explicitly, because a subclass may omit it from its state. Neither is a
        # verb, which `__setattr__` would look for.
        vars(other).update(_place=place, read_only=read_only)
        return other

    @property
    def place(self) -> Place:
        """The identity of the values, shared by all stores with the same values."""
        mine = vars(self)
        # Atomic, because threads may access it at the same time.
        found: Place = mine.get("_place") or mine.setdefault("_place", self._find_place())
        return found

    def _find_place(self) -> Place:
        return own()

    def acting(self) -> Store:
        """Return the store that threads use which act for the calling thread: usually itself.

        It differs if the store reads and writes other values for this thread.
        """
        return self

    def lasting(self) -> Store:
        """Return a store with the same values whose writes are durable when they return.

        It is used for data that other data relies on. A store that cannot do this, or is configured
        not to, returns itself.
        """
        return self

    def settle(self, path: str) -> None:
        """Make the existence of the keys at a path durable, if the store supports it."""

    def flush(self) -> None:
        """Make all earlier writes durable, if the store supports it.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.flush()
        """

    def close(self) -> None:
        """Flush, and release all resources.

        >>> from fastzarr.storage import MemoryStore
        >>> store = MemoryStore({"a/b": b"12", "a/c/d": b"3"})
        >>> store.close()
        """
        if not self.read_only:
            self.flush()

    def _check_write(self, *keys: str) -> None:
        if self.read_only:
            raise ReadOnlyError(self.refusal())
        for key in keys:
            validate_key(key)

    def refusal(self) -> str:
        """Return why this store is read-only, and what to do.

        >>> from fastzarr.stores import MemoryStore
        >>> MemoryStore({}, read_only=True).refusal().partition(" ")[2]
        "is read-only; open it with mode='r+', or use with_read_only(False)"
        """
        return f"{self} is read-only; open it with mode='r+', or use with_read_only(False)"

    def _holds(self, path: str) -> bool:
        return self._exists(path) or not self.is_empty(path)

    def __eq__(self, other: object) -> bool:
        """Whether both stores have the same place; ``read_only`` is ignored."""
        return self.place is other.place if isinstance(other, Store) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the store."""
        self.close()

    def __str__(self) -> str:
        """Return a URL of the store's values."""
        return f"{type(self).__name__.lower()}://{id(self.place)}"

    def __repr__(self) -> str:
        """Return the class name with the URL."""
        return f"{type(self).__name__}({str(self)!r})"
