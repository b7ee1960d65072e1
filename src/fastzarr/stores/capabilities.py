"""The capabilities of stores beyond the four verbs, one protocol each.

Rules of this file:

* A store declares a capability by defining its method, or inheriting it. In ``Store`` the method is
  None, except for ``fetch``, whose default reads key by key. To ask for a capability, callers only
  test ``store.swap is None``; they never inspect the class.
* Some capabilities bypass verbs of the store: code that reads ``files`` does not call ``get``. If a
  subclass overrides such a verb, the inherited capability is void, and its verbs are used instead.
  If the capability is still consistent with the overridden verb, the subclass declares it again, as
  in ``files = LocalStore.files``. A verb assigned to an instance voids the capability for that
  instance.
* ``concurrency`` and ``batch`` are numbers that follow the same rule. They say how a store is best
  asked for many values. Verbs may be called by any thread, whatever they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

S_co = TypeVar("S_co", covariant=True)

#: The largest value in bytes that is read together with others that may not be needed.
SMALL = 1 << 16


class Request(NamedTuple):
    """A request for a value, or a part of one.

    A negative ``start`` counts from the end; ``length`` None reads to the end.
    """

    key: str
    start: int = 0
    length: int | None = None


class Value(NamedTuple):
    """The result of a request.

    ``token`` is the validator of the whole value, or None if it would take another request.
    ``size`` is the size of the whole value in bytes, or None if unknown.
    """

    data: Buffer
    token: Hashable | None = None
    size: int | None = None


class Suspension:
    """A switch: while it is on, a store may have other values for some threads than its files.

    Arrays keep the result of ``files``, check ``on`` at every call and, if it is set, ask
    ``files`` of the store ``acting()`` instead. A store sets it for all its copies at once while a
    thread has begun a transaction.
    """

    __slots__ = ("on",)

    def __init__(self) -> None:
        """Initialise switched off: the files have all values."""
        self.on = False


class Files(NamedTuple):
    """The location of a store's values as files: the file of a key is ``root/key``.

    ``follow_links`` is True if symbolic links may lead out of the root. ``durability`` is the
    durability of files written directly, as in ``LocalStore``, or None if they must not be. If
    files may be written, the turns of the store must lock them as those of ``LocalStore`` do.
    """

    root: str
    follow_links: bool = False
    durability: str | None = None


class Spans(NamedTuple):
    """Where values are in a file: its descriptor, and for each key a place, a value, or None.

    A place is the record of a member in the directory of a zip archive, the offset of the member,
    and the size of its value, which is stored as it is, or all of these as a ``Member`` of the
    extension. ``owner`` keeps the file open. The descriptor is negative if there are no places.
    """

    number: int
    owner: object
    places: list[Any]


class Views(NamedTuple):
    """Values, or read-only views of them, which are valid as long as ``owner``; None if missing.

    ``values`` has them in the order of the keys. If it is an iterator, it may look for each when it
    is taken, by any thread, one at a time, and raise the error of one that it cannot find.
    """

    owner: object
    values: Iterable[Any]


class Prepared(Protocol):
    """A value that is written to a file, but has no name yet."""

    @property
    def path(self) -> str:
        """The path of the file."""

    #: Whether it would survive a power cut. If not, it is synced before it gets its name.
    synced: bool


@runtime_checkable
class Fetches(Protocol):
    """A store that answers several requests at once."""

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return, in any order, the index of each request with its value; None if it is missing.

        ``data`` may be a view of the store's memory.
        """


@runtime_checkable
class Loads(Protocol):
    """A store that returns a whole value sooner than ``fetch``, because nobody needs its token."""

    def load(self, key: str) -> Buffer | None:
        """Return the value of a valid key, or a view of it; None if the key is missing."""


@runtime_checkable
class Awaits(Protocol):
    """A store whose requests are awaited, on the event loop of ``fastzarr.stores.loop``.

    The verbs of such a store remain functions that wait for their result (``loop.wait``).
    """

    def fetch_async(self, wanted: Request) -> Awaitable[Value | None]:
        """Return the value of a request; None if, and only if, the key is missing.

        It is called on the thread of the event loop. If it is cancelled, its result is not needed.
        """


@runtime_checkable
class HasFiles(Protocol):
    """A store whose values are files named by their keys."""

    def files(self) -> Files | None:
        """Return the location of the files, or None if they must not be opened directly."""


@runtime_checkable
class HasSpans(Protocol):
    """A store with many values in one file, which the extension reads there."""

    def spans(self, keys: Sequence[str], most: int) -> Spans:
        """Return where the values of valid keys are.

        Raise CodecError for a value that has no place and more than ``most`` bytes.
        """


@runtime_checkable
class HasViews(Protocol):
    """A store with values in memory, which the extension reads there."""

    def views(self, keys: Sequence[str]) -> Views:
        """Return the values of valid keys, as they are at one time."""


@runtime_checkable
class GetsSmall(Protocol):
    """A store that returns several small values sooner than one after the other."""

    def get_small(self, groups: Sequence[Sequence[str]]) -> dict[str, bytes | None]:
        """Return values by their keys, which are valid, and None for those that are missing.

        Those of the first group whose first key has a value are needed, as they are at one time or
        read in their order. Others may be left out, and so may large ones: whoever needs one reads
        it by itself.
        """


@runtime_checkable
class Validates(Protocol):
    """A store with a token for each value, which changes when the value does."""

    def validator(self, key: str) -> Hashable | None:
        """Return the token of the current value, or None if the key is missing.

        Tokens are compared with ``==`` and are valid in this process only.
        """


@runtime_checkable
class Swaps(Validates, Protocol):
    """A store with compare-and-swap: of several writers that start from one token, one succeeds."""

    def swap(self, key: str, value: Buffer | None, token: Hashable | None) -> bool:
        """Store the value, or delete the key if ``value`` is None, if the token is still current.

        ``token`` is what ``validator`` or ``fetch`` returned; None means that the key is missing.
        Return whether it was current. If not, nothing has changed.
        """


@runtime_checkable
class SwapsTokens(Swaps, Protocol):
    """A store whose compare-and-swap also returns the new token.

    An array then appends again without reading the document that it has stored itself.
    """

    def swap_token(
        self, key: str, value: Buffer | None, token: Hashable | None
    ) -> tuple[bool, Hashable | None]:
        """Do as ``swap`` does; return also the token of the new value, or None if it is unknown."""


@runtime_checkable
class SetsMany(Protocol):
    """A store that sets several values at once, as in one transaction or one round trip.

    Arrays use it for the chunks that a call replaces as a whole: they come in batches of at most
    ``batch`` values, if that is more than 1, or 1024, and of about a quarter of ``fetch.bytes``, or
    of ``batch_bytes`` if that is less. Values are bytes or views of bytes that do not change. A
    chunk that is changed in part is read and stored alone, in a turn or by ``swap``, unless there
    is ``swap_many``. Without
    ``swap``, the locks of the default turns are held for all keys of a batch; a store with turns of
    its own must let them exclude ``set_many`` itself. With ``concurrency = 1``, one batch of a call
    is stored at a time.
    """

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store each value, or delete its key if the value is None; no key is given twice.

        Each value is stored atomically. If it fails, each value may be stored or not: the caller
        sets them one by one, to find the one that fails.
        """


@runtime_checkable
class SwapsMany(Swaps, Protocol):
    """A store that compares and swaps several values at once, as in one transaction.

    Arrays use it for the chunks that a call changes in part, in batches as for ``set_many``.
    """

    def swap_many(
        self, changes: Sequence[tuple[str, Buffer | None, Hashable | None]]
    ) -> list[bool]:
        """Return what ``swap`` returns for each key, value and token; no key is given twice."""


@runtime_checkable
class Times(Protocol):
    """A store that cheaply knows when a value was written."""

    def modified(self, key: str) -> int | None:
        """Return the time of the last write in nanoseconds, or None if the key is missing."""


class Draft(Protocol[S_co]):
    """A tree that is prepared beside its path and published there in one step.

    It may have a method ``put(key, value)``, which is called instead of ``store.set`` for the
    documents of the root of a new tree.
    """

    @property
    def store(self) -> S_co:
        """The store of the tree, whose root is the root of the tree."""

    def publish(self, *, replace: bool, owned: Callable[[str], bool] | None = None) -> bool:
        """Move the tree to its path; with ``replace``, replace the existing tree.

        Return False, and change nothing, if there is a node at or below the path that must not be
        replaced. ``owned(key)`` is True for keys below the path that would belong to the new node.
        """

    def discard(self) -> None:
        """Delete the draft."""


@runtime_checkable
class Drafts(Protocol):
    """A store in which a whole tree is replaced, or deleted by ``delete_dir``, in one step."""

    def draft(self, path: str) -> Draft[Any] | None:
        """Return a new draft of the tree at ``path``, or None if that cannot be replaced."""


class Pinned(Protocol[S_co]):
    """The tree of a node that is held open, and locked for changes, until ``end``."""

    @property
    def store(self) -> S_co:
        """The store of the tree, whose root is the root of the tree wherever it is moved."""

    def end(self) -> None:
        """Release the tree."""

    def is_deleted(self) -> bool:
        """Whether the tree has been deleted since."""

    def rename(self, error: OSError) -> None:
        """Put the path of the node into an error of the tree's store."""


@runtime_checkable
class Pins(Protocol):
    """A store in which a change of a node ends in the tree in which it began.

    Trees are moved, deleted and replaced in one step, also while they are held.
    """

    def pinned(self, path: str, *, lock: bool = True) -> Pinned[Any] | None:
        """Hold the tree at ``path``; return None if that is not possible now.

        Without ``lock`` nodes are only created in it, as drafts or by ``swap``. Raise
        FileNotFoundError if there is no tree.
        """


@runtime_checkable
class Transacts(Protocol):
    """A store in which several changes are atomic, even if the writer dies."""

    def transaction(self, path: str) -> AbstractContextManager[None]:
        """Apply the changes below ``path`` in a ``with`` block at its end: all of them or none.

        Only the calling thread takes part. It changes documents and chunks only.
        """


_RANGES = frozenset({"get_ranges", "_get_ranges"})
_READS = frozenset({"get", "_get"}) | _RANGES
_WRITES = frozenset({"set", "_set", "delete", "_delete"})
_TURNS = frozenset({"turn", "_turn"})
_TREES = frozenset({"delete_dir", "_delete_dir", "clear", "move", "_move"})
_LISTS = frozenset({"list", "_list", "list_dir", "_list_dir", "is_empty"})
_SIZES = frozenset({"exists", "_exists", "getsize", "_getsize", "getsize_prefix"})

#: The verbs that each method bypasses.
PAST: dict[str, frozenset[str]] = {
    "get_valid": frozenset({"get", "_get"}),
    "get_bounded": frozenset({"get", "_get"}),
    "get_small": frozenset({"get", "_get", "get_checked"}),
    "get_many_valid": _READS | {"fetch", "get_many"},
    "set_valid": frozenset({"set", "_set"}),
    "get_checked": frozenset({"get", "_get"}),
    "is_missing": _READS | _LISTS | _SIZES,
    "_get_ranges": frozenset({"get", "_get"}),
    "_turn": frozenset({"get", "_get"}) | _WRITES,
    "_delete_many": frozenset({"delete", "_delete"}) | _TURNS,
    "fetch": _READS,
    "load": _READS | {"fetch"},
    "fetch_async": _READS | {"fetch"},
    "concurrency": _READS,
    "batch": _READS | {"fetch"},
    "files": _READS | _WRITES | _TURNS | {"fetch"},
    "spans": _READS | {"fetch"},
    "views": _READS | {"fetch", "get_many"},
    "swap": frozenset({"get", "_get"}) | _WRITES | _TURNS,
    "swap_many": frozenset({"get", "_get", "swap"}) | _WRITES | _TURNS,
    "swap_token": frozenset({"get", "_get", "swap"}) | _WRITES | _TURNS,
    "set_many": _WRITES | _TURNS,
    "takes_views": _WRITES | _TURNS,
    "draft": _WRITES | _TURNS | _TREES,
    "pinned": _READS | _WRITES | _TURNS | _TREES | _LISTS | _SIZES | {"fetch"},
    "transaction": _READS | _WRITES | _TURNS | _TREES | _LISTS | _SIZES | {"fetch", "swap"},
}
#: All verbs that methods bypass.
VERBS = frozenset().union(*PAST.values())


def void(kind: Any, base: type) -> None:
    """Replace, in a new class, inherited methods that bypass its verbs by those of ``base``.

    A method is consistent with the verbs of the class that defines it. It is void if the new class
    has another definition of one of them: its own, a mixin's, or that of another base.
    """
    for name, verbs in PAST.items():
        owner = next(one for one in kind.__mro__ if name in vars(one))
        if owner not in (kind, base) and any(_is_other(kind, owner, verb, base) for verb in verbs):
            setattr(kind, name, vars(base)[name])
    if "supports_partial_reads" not in vars(kind):
        found = any(getattr(kind, verb) is not vars(base)[verb] for verb in _RANGES)
        kind.supports_partial_reads = found


def _definer(kind: type, verb: str, base: type) -> type | None:
    """Return the class that defines a verb for ``kind``, skipping classes in which it is void."""
    for one in kind.__mro__:
        if verb in vars(one) and (one is base or vars(one)[verb] is not vars(base).get(verb)):
            return one
    return None


def _is_other(kind: type, owner: type, verb: str, base: type) -> bool:
    mine, theirs = _definer(kind, verb, base), _definer(owner, verb, base)
    if mine is None or mine is theirs:
        return False
    if theirs is None:
        # A mixin without such a verb is consistent with those of the classes behind it.
        return kind.__mro__.index(mine) < kind.__mro__.index(owner)
    return vars(mine)[verb] is not vars(theirs)[verb]


def void_one(store: object, verb: str, base: type) -> None:
    """Replace, in an instance, methods that bypass a verb assigned to it by those of ``base``."""
    mine = vars(store)
    for name, verbs in PAST.items():
        if verb in verbs and name not in mine:
            method = vars(base)[name]
            mine[name] = method.__get__(store) if callable(method) else method
    if verb in _READS:
        own = [name for name in _RANGES & mine.keys() if not is_void(name, mine[name], base)]
        mine["supports_partial_reads"] = bool(own)


def is_void(name: str, held: object, base: type) -> bool:
    """Whether an attribute of a store is a method of ``base`` put in place of a void one."""
    return name in PAST and getattr(held, "__func__", held) is vars(base)[name]
