"""What a store may do beyond the four verbs: one protocol each, declared and never guessed.

Rules of this file:

* A store declares a capability by defining its method, in the class or in one that it derives from.
  ``Store`` has None in its place, or, for ``fetch``, a default that asks key by key. So
  ``store.swap is None`` is the whole question.
* Some capabilities go past verbs of the store: whoever reads ``files`` does not call ``get``. Where
  a subclass overrides such a verb, the capability is void for it, and all goes through its verbs.
  A subclass whose verbs the capability still agrees with declares it anew: ``files =
  LocalStore.files``. A verb that is assigned to one object makes the capability void for that
  object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

S_co = TypeVar("S_co", covariant=True)


class Request(NamedTuple):
    """A value that is wanted, or a part of one.

    ``start`` < 0 counts from the end; ``length`` None reads to the end.
    """

    key: str
    start: int = 0
    length: int | None = None


class Value(NamedTuple):
    """What a request returned.

    ``token`` is the validator of the whole value if the store had it at no further request, and
    ``size`` the size of the whole value in bytes if the store knows it.
    """

    data: Buffer
    token: Hashable | None = None
    size: int | None = None


class Suspension:
    """Whether files must not be opened past a store for now, whatever ``files`` has returned.

    Arrays keep what ``files`` returned, and look at ``on`` at each call. So a store whose answer
    changes for a time, as in a transaction, sets it meanwhile, for all its copies at once.
    """

    __slots__ = ("on",)

    def __init__(self) -> None:
        """Start with files that may be opened."""
        self.on = False


class Files(NamedTuple):
    """Where the values of a store are files: that of a key is ``root/key``.

    ``follow_links`` says whether symbolic links may lead out of the root. ``durability`` is that of
    files written past the store, as ``LocalStore`` has it; None if they must not be. A store that
    allows it has turns that lock files as those of ``LocalStore`` do.
    """

    root: str
    follow_links: bool = False
    durability: str | None = None


@runtime_checkable
class Fetches(Protocol):
    """A store that answers several requests at once."""

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        """Return, in any order, the index of each request with its value; None if it is missing.

        ``data`` may be a view into memory that the store keeps.
        """


@runtime_checkable
class HasFiles(Protocol):
    """A store whose values are files, each under its key."""

    def files(self) -> Files | None:
        """Return where they are, or None if these must not be opened past the store."""


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
class SetsMany(Protocol):
    """A store that sets several values at once."""

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        """Store each value, or delete its key if the value is None."""


@runtime_checkable
class Times(Protocol):
    """A store that knows, without a request, when a value was written."""

    def modified(self, key: str) -> int | None:
        """Return the time of the last write in nanoseconds, or None if the key is missing."""


class Draft(Protocol[S_co]):
    """A tree that is made beside its place and put there in one step."""

    @property
    def store(self) -> S_co:
        """The store of the tree, whose root is the root of the tree."""

    def publish(self, *, replace: bool, owned: Callable[[str], bool] | None = None) -> bool:
        """Put the tree into its place; with ``replace``, instead of the tree that is there.

        Return False, and change nothing, if a node that must not be replaced is there or below.
        ``owned`` tells of a key below the path whether the new node would take it for its own.
        """

    def discard(self) -> None:
        """Remove the draft."""


@runtime_checkable
class Drafts(Protocol):
    """A store in which a whole tree is replaced, or removed by ``delete_dir``, in one step."""

    def draft(self, path: str) -> Draft[Any] | None:
        """Begin a tree that is to stand at ``path``; None if this path cannot be replaced."""


@runtime_checkable
class Transacts(Protocol):
    """A store in which changes made together are seen together, also if the writer dies."""

    def transaction(self, path: str) -> AbstractContextManager[None]:
        """Apply the changes below ``path`` in a ``with`` block at its end: all of them or none."""


_RANGES = frozenset({"get_ranges", "_get_ranges"})
_READS = frozenset({"get", "_get"}) | _RANGES
_WRITES = frozenset({"set", "_set", "delete", "_delete"})
_TURNS = frozenset({"turn", "_turn"})
_TREES = frozenset({"delete_dir", "_delete_dir", "clear", "move", "_move"})
_LISTS = frozenset({"list", "_list", "list_dir", "_list_dir", "is_empty"})
_SIZES = frozenset({"exists", "_exists", "getsize", "_getsize", "getsize_prefix"})

#: For each method that goes past verbs of the store, these verbs.
PAST: dict[str, frozenset[str]] = {
    "get_valid": frozenset({"get", "_get"}),
    "set_valid": frozenset({"set", "_set"}),
    "get_checked": frozenset({"get", "_get"}),
    "_get_ranges": frozenset({"get", "_get"}),
    "_turn": frozenset({"get", "_get"}) | _WRITES,
    "fetch": _READS,
    "files": _READS | _WRITES | _TURNS | {"fetch"},
    "swap": frozenset({"get", "_get"}) | _WRITES | _TURNS,
    "set_many": _WRITES,
    "draft": _WRITES | _TURNS | _TREES,
    "transaction": _READS | _WRITES | _TURNS | _TREES | _LISTS | _SIZES | {"fetch", "swap"},
}


def void(kind: Any, base: type) -> None:
    """Put ``base``'s own methods into a new class where inherited ones go past its verbs.

    A method knows the verbs of the class that defines it. It is void where the new class finds
    another definition of one of them: its own, a mixin's, or that of another base.
    """
    for name, verbs in PAST.items():
        owner = next(one for one in kind.__mro__ if name in vars(one))
        if owner not in (kind, base) and any(_is_other(kind, owner, verb, base) for verb in verbs):
            setattr(kind, name, vars(base)[name])
    if "supports_partial_reads" not in vars(kind):
        found = any(getattr(kind, verb) is not vars(base)[verb] for verb in _RANGES)
        kind.supports_partial_reads = found


def _definer(kind: type, verb: str, base: type) -> type | None:
    """Return the class that defines a verb for ``kind``; one where it is void does not."""
    for one in kind.__mro__:
        if verb in vars(one) and (one is base or vars(one)[verb] is not vars(base).get(verb)):
            return one
    return None


def _is_other(kind: type, owner: type, verb: str, base: type) -> bool:
    mine, theirs = _definer(kind, verb, base), _definer(owner, verb, base)
    if mine is None or mine is theirs:
        return False
    if theirs is None:
        # A mixin that has no such verb knows those of the classes behind it.
        return kind.__mro__.index(mine) < kind.__mro__.index(owner)
    return vars(mine)[verb] is not vars(theirs)[verb]


def void_one(store: object, verb: str, base: type) -> None:
    """Put ``base``'s own methods into an object where others go past a verb assigned to it."""
    mine = vars(store)
    for name, verbs in PAST.items():
        if verb in verbs and name not in mine:
            method = vars(base)[name]
            mine[name] = None if method is None else method.__get__(store)
    if verb in _READS:
        own = [name for name in _RANGES & mine.keys() if not is_void(name, mine[name], base)]
        mine["supports_partial_reads"] = bool(own)


def is_void(name: str, held: object, base: type) -> bool:
    """Whether an attribute of a store is what a verb that it goes past has made of it."""
    return name in PAST and getattr(held, "__func__", None) is vars(base)[name]
