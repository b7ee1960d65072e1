"""The identity of a store's values, and the state of this process that belongs to it.

Rules of this file:

* Two stores have the same values if they have the same ``Place``. A mapping is identified by the
  object itself, which its Place keeps alive, so that no later mapping gets its ``id``. A store
  without a mapping or folder is identified by itself; its copies share its Place.
* A folder is identified by its real path and by device and inode, so that links, mounts and
  different spellings on a case-insensitive file system lead to one Place. A path may refer to
  another folder later, and inodes are reused: a store therefore looks up its Place at every use,
  and an inode is valid only while the path of its Place refers to it. A folder that is deleted and
  recreated, or replaced as a whole, keeps its Place.
* A Place lives as long as something refers to it. Its locks and snapshots end with it. The keys of
  stored copies of metadata are kept, because the copies remain in the store, and so is whether the
  user has been warned about a folder.
* No lock is held in a forked child. What stores have opened at a Place, such as the connections of
  a database, is told of a fork before and after it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from stat import S_ISLNK
from threading import Condition, Lock, RLock, get_ident
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet, WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from weakref import ref


class Opened(Protocol):
    """What stores have opened at a Place, and a forked child must not share with its parent."""

    def before_fork(self) -> None:
        """Wait for what is under way, and keep other threads out until ``after_fork``."""

    def after_fork(self, *, child: bool) -> None:
        """Let threads in again, in the parent or in the child."""


class Locks:
    """Locks by name; each exists as long as a thread holds it or waits for it."""

    def __init__(self) -> None:
        """Initialise without locks."""
        self.reset()

    def reset(self) -> None:
        """Drop all locks; called in a forked child."""
        self._guard = Lock()
        self._locks: dict[Hashable, list[Any]] = {}

    def take(self, name: Hashable) -> None:
        """Acquire the lock of a name; it is reentrant."""
        with self._guard:
            entry = self._locks.setdefault(name, [RLock(), 0])
            entry[1] += 1
        try:
            entry[0].acquire()
        except BaseException:
            self._leave(name, entry)
            raise

    def give_back(self, name: Hashable) -> None:
        """Release the lock of a name; ignored in a forked child if its parent holds the lock."""
        with self._guard:
            entry = self._locks.get(name)
        if entry is not None:
            entry[0].release()
            self._leave(name, entry)

    @contextmanager
    def held(self, name: Hashable) -> Iterator[None]:
        """Hold the lock of a name in a ``with`` block."""
        self.take(name)
        try:
            yield
        finally:
            self.give_back(name)

    def _leave(self, name: Hashable, entry: list[Any]) -> None:
        with self._guard:
            entry[1] -= 1
            if not entry[1]:
                self._locks.pop(name, None)


class PathLocks:
    """Locks of the paths of nodes, for the threads of this process.

    Changes of a node share the lock of its path. To delete, move or replace a tree, a thread takes
    the locks of all paths at and below it alone. A thread may take locks that it holds already.
    """

    #: How many times trees were deleted, moved or replaced, and arrays resized.
    removals = 0

    def __init__(self) -> None:
        """Initialise without locks; called again in a forked child."""
        # It is taken by itself, in C: an interrupt in the Python code of Condition would keep it.
        self._lock = Lock()
        self._free = Condition(self._lock)
        self._shared: dict[tuple[int, str], int] = {}
        # The threads that have a tree alone or wait for it, in the order in which they came.
        self._alone: list[tuple[int, str]] = []

    # In place, because arrays keep the object.
    reset = __init__

    def share(self, path: str) -> None:
        """Wait until no other thread has a tree with this path alone, or waits for that."""
        me = get_ident()
        with self._lock:
            while self._alone and self._is_closed(me, path):
                self._free.wait()
            self._shared[me, path] = self._shared.get((me, path), 0) + 1

    def leave(self, path: str) -> None:
        """Release a lock taken by ``share``; ignored in a forked child if its parent holds it."""
        me = get_ident()
        with self._lock:
            count = self._shared.pop((me, path), 1) - 1
            if count:
                self._shared[me, path] = count
            elif self._alone:
                self._free.notify_all()

    @contextmanager
    def alone(self, *paths: str) -> Iterator[None]:
        """Hold the locks of all paths at and below these, in a ``with`` block."""
        me = get_ident()
        mine = [(me, path) for path in paths]
        with self._lock:
            before = tuple(self._alone)
            self._alone += mine
        try:
            with self._lock:
                while self._is_taken(me, paths, before):
                    self._free.wait()
            yield
        finally:
            with self._lock:
                self.removals += 1
                for one in mine:
                    if one in self._alone:
                        self._alone.remove(one)
                self._free.notify_all()

    def _is_closed(self, me: int, path: str) -> bool:
        # Whoever holds a lock does not wait behind a thread that waits for this very lock.
        if any(owner == me for owner, _ in self._shared):
            waiting = [one for one in self._alone if self._is_taken(one[0], one[1:], ())]
        else:
            waiting = []
        return any(
            one[0] != me and _is_below(path, one[1]) and one not in waiting for one in self._alone
        )

    def _is_taken(
        self, me: int, paths: tuple[str, ...], before: tuple[tuple[int, str], ...]
    ) -> bool:
        mine = [held for owner, held in self._shared if owner == me]
        return any(
            owner != me and _is_below(held, path) for owner, held in self._shared for path in paths
        ) or any(
            one[0] != me
            and one in self._alone
            and (_is_below(one[1], path) or _is_below(path, one[1]))
            # That thread waits for a lock which this one holds.
            and not any(_is_below(held, one[1]) for held in mine)
            for one in before
            for path in paths
        )


class _Lasting:
    """The state of a place that outlives its ``Place``."""

    __slots__ = ("copies", "warned")

    def __init__(self) -> None:
        self.copies: dict[tuple[str, str], None] = {}
        self.warned = False


class Place:
    """The identity of the values of one or more stores, and this process's state for them."""

    __slots__ = (
        "__weakref__",
        "_lasting",
        "copies",
        "folder",
        "guard",
        "held",
        "inode",
        "left_claims",
        "locks",
        "opened",
        "paths",
        "snapshots",
        "token",
    )

    def __init__(self, *, folder: str | None = None, held: object = None, token: str = "") -> None:
        """Initialise a new Place; ``of_object`` and ``of_folder`` return the existing one."""
        #: The real path of the folder, or None for another kind of place.
        self.folder = folder
        #: The device and inode of the folder at the last lookup, or None if it was missing.
        self.inode: tuple[int, int] | None = None
        #: The object that identifies the place, kept alive so that its ``id`` is not reused.
        self.held = held
        #: A unique string, which for a folder is the same in every process.
        self.token = token or (os.urandom(16).hex() if folder is None else f"file://{folder}")
        #: The locks of keys, for the threads of this process.
        self.locks = Locks()
        #: The locks of the paths of nodes, for the threads of this process.
        self.paths = PathLocks()
        #: What stores have opened here, each as long as a store uses it.
        self.opened: WeakSet[Opened] = WeakSet()
        #: A lock for brief changes of this state, and of the values of a dict.
        self.guard = RLock()
        #: The claims of documents that this process has not managed to give back.
        self.left_claims: set[bytes] = set()
        #: The snapshots that handles of this process use, by ``id``.
        self.snapshots: dict[int, ref[Any]] = {}
        self._lasting = _lasting.get(self._name) or _Lasting()
        #: The group and key of each copy of metadata stored under a custom key.
        self.copies = self._lasting.copies

    def __reduce__(self) -> tuple[Callable[[str], Place], tuple[str]]:
        """Pickle by name; unpickling in this process returns the same Place."""
        if self.folder is not None:
            return (of_folder, (self.folder,))
        return (of_name, (self.token,))

    def reset(self, guard: Any) -> None:
        """Drop all locks, and take another guard; called in a forked child."""
        self.locks.reset()
        self.paths.reset()
        self.guard = guard

    @property
    def _name(self) -> Hashable:
        return self.folder or ("object", id(self.held))

    def remember(self, group: str, key: str) -> None:
        """Record a copy of metadata that is stored under a custom key."""
        self.copies[group, key] = None
        if self.folder is not None or self.held is not None:
            _lasting[self._name] = self._lasting

    def forget(self, group: str, key: str) -> None:
        """Drop the record of a copy of metadata that has been deleted."""
        self.copies.pop((group, key), None)
        if not (self.copies or self._lasting.warned):
            _lasting.pop(self._name, None)

    def warns(self) -> bool:
        """Whether the user has to be warned about this folder; True once in this process."""
        with self.guard:
            before, self._lasting.warned = self._lasting.warned, True
            _lasting[self._name] = self._lasting
        return not before

    def covers(self, path: str, other: Place, below: str) -> bool:
        """Whether the path ``below`` in another place is at or below ``path`` in this one.

        Folders are compared by inode, because one store may be opened inside another, and links and
        mounts may lead from one path to another.
        """
        if self.folder is None or other.folder is None:
            return self is other and _is_below(below, path)
        upper = os.path.realpath(os.path.join(self.folder, path))
        lower = os.path.realpath(os.path.join(other.folder, below))
        if lower == upper or lower.startswith(upper.rstrip(os.sep) + os.sep):
            return True
        inode = _inode(upper)
        while inode is not None:
            if _inode(lower) == inode:
                return True
            above = os.path.dirname(lower)
            if above == lower:
                return False
            lower = above
        return False

    def is_known(self) -> bool:
        """Whether no other known Place can have the same values.

        This holds for folders and plain dicts. Any other mapping or store may read and write
        anywhere.
        """
        return self.folder is not None or type(self.held) is dict


def of_object(held: object) -> Place:
    """Return the Place of an object, such as the mapping that a store writes to."""
    key = ("object", id(held))
    with _guard[0]:
        found = _places.get(key)
        if found is None:
            found = _places[key] = Place(held=held)
        return found


def known_object(number: int) -> object | None:
    """Return the object with an ``id`` that has a Place, or None if there is none.

    >>> known_object(0) is None
    True
    """
    with _guard[0]:
        found = _places.get(("object", number))
        return None if found is None else found.held


def of_folder(root: str, last: Place | None = None) -> Place:
    """Return the Place of a folder, which may be missing; ``last`` is the result before."""
    inode = _inode(root)
    if last is not None and inode is not None and last.inode == inode:
        return last
    with _guard[0]:
        found = _places.get(inode)
        if found is not None and found.folder is not None and _inode(found.folder) == inode:
            return found
        folder = os.path.realpath(root)
        found = _places.get(folder)
        if found is None:
            found = _places[folder] = Place(folder=folder)
        if found.inode != inode:
            if _places.get(found.inode) is found:
                del _places[found.inode]
            found.inode = inode
        if inode is not None:
            former = _places.get(inode)
            if former is not None and former is not found:
                former.inode = None  # moved, or deleted and its inode reused
            _places[inode] = found
        return found


def own() -> Place:
    """Return a new Place, which only copies and pickles share."""
    found = Place()
    with _guard[0]:
        _places[found.token] = found
    return found


def of_name(token: str) -> Place:
    """Return the Place of a name, such as the URL of a bucket."""
    with _guard[0]:
        found = _places.get(token)
        if found is None:
            found = _places[token] = Place(token=token)
        return found


def real_path(path: str) -> str:
    """Return ``os.path.realpath`` of an absolute path without ``..``, sooner if it has no links.

    >>> real_path(os.path.realpath("a")) == os.path.realpath("a")
    True
    """
    end = 0
    try:
        while end < len(path):
            end = path.find(os.sep, end + 1)
            end = len(path) if end < 0 else end
            if S_ISLNK(os.lstat(path[:end]).st_mode):
                return os.path.realpath(path)
    except OSError:
        return os.path.realpath(path)
    return path


def _inode(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        # A folder without permission is identified by its path; accessing it raises the error.
        return None
    return (info.st_dev, info.st_ino)


def _is_below(path: str, above: str) -> bool:
    return not above or path == above or path.startswith(f"{above}/")


# The state that outlives a Place, by folder or mapping. An ``id`` may have been reused by another
# mapping, so a value is checked to be a copy of metadata before it is deleted.
_lasting: dict[Hashable, _Lasting] = {}
# Every Place, by all its identities. The lock is in a list so that a forked child can replace it.
_places: WeakValueDictionary[Hashable, Place] = WeakValueDictionary()
_guard = [RLock()]


# What was told of the fork that is under way, and the lock of the thread that forks.
_forking: list[Opened] = []
_forks = [Lock()]


def _prepare() -> None:
    _forks[0].acquire()
    with _guard[0]:
        opened = {one for place in list(_places.values()) for one in place.opened}
    for one in opened:
        one.before_fork()
        _forking.append(one)


def _go_on() -> None:
    while _forking:
        _forking.pop().after_fork(child=False)
    _forks[0].release()


def _start_anew() -> None:
    # A thread that held a lock in the parent does not exist in the child.
    _guard[0], _forks[0] = RLock(), Lock()
    # Places that share a guard keep sharing one.
    guards: dict[int, Any] = {}
    for place in list(_places.values()):
        place.reset(guards.setdefault(id(place.guard), RLock()))
    while _forking:
        _forking.pop().after_fork(child=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_prepare, after_in_parent=_go_on, after_in_child=_start_anew)
