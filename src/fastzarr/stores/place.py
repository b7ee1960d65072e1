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
* No lock is held in a forked child. What stores have opened, such as the connections of a database,
  is told of a fork before and after it.
"""

from __future__ import annotations

import os
from _thread import interrupt_main
from contextlib import contextmanager
from functools import lru_cache
from stat import S_ISLNK
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet, WeakValueDictionary, ref

from fastzarr.native import is_real
from fastzarr.stores.users import Hold, Line, Monitor, Users

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator


class Opened(Protocol):
    """What stores have opened, and a forked child must not share with its parent."""

    def before_fork(self) -> None:
        """Wait for what is under way, and keep other threads out until ``after_fork``.

        It is called again if an interrupt has ended it.
        """

    def after_fork(self, *, child: bool) -> None:
        """Let threads in again, in the parent or in the child."""


class Locks:
    """Locks by name; each exists as long as a thread holds it."""

    def __init__(self) -> None:
        """Initialise without locks."""
        self.reset()

    def reset(self) -> None:
        """Drop all locks; called in a forked child."""
        self._monitor = Monitor(RLock())
        self._users: dict[Hashable, Users[Hold, None]] = {}
        # The threads that have waited for a while, each with the name of its lock.
        self._line: Line[Hold] = Line()

    def take(self, name: Hashable) -> Hold:
        """Acquire the lock of a name, which is reentrant, for as long as the result lives."""
        hold = Hold()
        self._wait(hold, name, None)
        return hold

    def take_within(self, name: Hashable, seconds: float) -> Hold | None:
        """Acquire a lock as ``take`` does; return None if that takes longer than some time."""
        hold = Hold()
        return hold if self._wait(hold, name, seconds) else None

    def _wait(self, hold: Hold, name: Hashable, seconds: float | None) -> bool:
        me = get_ident()
        hold.name = name

        def look() -> bool:
            users = self._users.get(name)
            owners = () if users is None else users.living()
            if owners:
                if [owner for owner, _ in owners if owner != me]:
                    return False
            elif self._line.known and self._line.is_before(hold, name):
                return False
            if users is None or not owners:
                users = Users()
            users.add(hold, me, None)
            # Those that were here may have ended just before, in garbage of this thread.
            self._users[name] = users
            return True

        return self._monitor.wait_in_turn(look, self._line, hold, name, seconds)

    def give_back(self, hold: Hold) -> None:
        """Release a lock; ignored in a forked child if its parent holds the lock."""
        with self._monitor.lock:
            users = self._users.get(hold.name)
            if users is not None:
                users.end(hold)
                if not (users.known and users.living()):
                    self._users.pop(hold.name, None)
            self._monitor.notify(about=hold.name)

    @contextmanager
    def held(self, name: Hashable) -> Iterator[None]:
        """Hold the lock of a name in a ``with`` block."""
        hold = self.take(name)
        try:
            yield
        finally:
            self.give_back(hold)


class PathLocks:
    """Locks of the paths of nodes, for the threads of this process.

    Changes of a node share the lock of its path. To delete, move or replace a tree, a thread takes
    the locks of all paths at and below it alone. A thread may take locks that it holds already.
    """

    #: How many times trees were deleted, moved or replaced, and arrays resized.
    removals = 0

    def __init__(self) -> None:
        """Initialise without locks; called again in a forked child."""
        self._monitor = Monitor(RLock())
        self._lock = self._monitor.lock
        self._shared: Users[Hold, str] = Users()
        # The threads that have trees alone or wait for them, in the order in which they came.
        self._alone: Users[Hold, tuple[str, ...]] = Users()

    # In place, because arrays keep the object.
    reset = __init__

    def share(self, path: str) -> Hold:
        """Wait until no other thread has a tree with this path alone, or waits for that.

        The lock is held as long as the result lives, or until ``leave``.
        """
        hold, me = Hold(), get_ident()
        # This is done for each write: nearly always, nobody has or wants a tree alone.
        with self._lock:
            if not self._alone.known:
                self._shared.known[ref(hold)] = me, path
                return hold

        def look() -> bool:
            if self._is_closed(me, path):
                return False
            self._shared.add(hold, me, path)
            return True

        self._monitor.wait(look)
        return hold

    def leave(self, hold: Hold) -> None:
        """Release a lock taken by ``share``; ignored in a forked child if its parent holds it."""
        with self._lock:
            self._shared.known.pop(ref(hold), None)
            if self._alone.known:
                self._monitor.notify()

    @contextmanager
    def alone(self, *paths: str) -> Iterator[None]:
        """Hold the locks of all paths at and below these, in a ``with`` block."""
        hold, me = Hold(), get_ident()
        hold.name = paths
        try:
            with self._lock:
                # Others have no other occasion to forget what interrupts have left.
                self._shared.end_left()
                self._alone.end_left()
                self._alone.add(hold, me, paths)
            self._monitor.wait(lambda: not self._is_taken(me, hold))
            yield
        finally:
            self.removals += 1
            with self._lock:
                self._alone.end(hold)
                self._monitor.notify()

    def _is_closed(self, me: int, path: str) -> bool:
        shared = self._shared.living()
        # Whoever holds a lock does not wait behind a thread that waits for this very lock.
        holds = bool([owner for owner, _ in shared if owner == me])
        for owner, paths in self._alone.living():
            for above in paths if owner != me else ():
                if _is_below(path, above) and not (holds and _is_shared(shared, owner, above)):
                    return True
        return False

    def _is_taken(self, me: int, hold: Hold) -> bool:
        shared, paths = self._shared.living(), hold.name
        for path in paths:
            if _is_shared(shared, me, path):
                return True
        mine = [held for owner, held in shared if owner == me]
        for owner, others in self._alone.living(before=hold):
            for other in others if owner != me else ():
                # That thread may wait for a lock which this one holds.
                if not [held for held in mine if _is_below(held, other)] and [
                    path for path in paths if _is_below(other, path) or _is_below(path, other)
                ]:
                    return True
        return False


def _is_shared(shared: Iterable[tuple[int | None, str]], me: int | None, path: str) -> bool:
    """Whether another thread than ``me`` shares a lock at or below a path."""
    return bool([held for owner, held in shared if owner != me and _is_below(held, path)])


class _Lasting:
    """The state of a place that outlives its ``Place``."""

    __slots__ = ("copies", "warned")

    def __init__(self) -> None:
        self.copies: dict[tuple[str, str], None] = {}
        self.warned = False


class Place:
    """The identity of the values of one or more stores, and this process's state for them."""

    #: The locks of keys, for the threads of this process.
    locks: Locks
    #: The locks of the paths of nodes, for the threads of this process.
    paths: PathLocks
    #: What stores have opened here, each as long as a store uses it.
    opened: WeakSet[Opened]
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
        #: A lock for brief changes of this state, and of the values of a dict.
        self.guard = RLock()
        #: The claims of documents that this process has not managed to give back.
        self.left_claims: set[bytes] = set()
        #: The snapshots that handles of this process use, by ``id``.
        self.snapshots: dict[int, ref[Any]] = {}
        self._lasting = _lasting.get(self._name) or _Lasting()
        #: The group and key of each copy of metadata stored under a custom key.
        self.copies = self._lasting.copies

    def __getattr__(self, name: str) -> Any:
        """Return a member that few stores need, which is made when it is first asked for."""
        make = _MADE_LATER.get(name)
        if make is None:
            msg = f"a Place has no attribute {name!r}"
            raise AttributeError(msg)
        with _guard[0]:
            try:
                # Another thread may have been first.
                found = object.__getattribute__(self, name)
            except AttributeError:
                found = make()
                setattr(self, name, found)
        return found

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


def tell_of_forks(opened: Opened) -> None:
    """Let something that stores have opened be told of forks, as long as it lives."""
    with _guard[0]:
        _opened.add(ref(opened, _opened.discard))


def absolute_path(path: str) -> str:
    """Return ``os.path.abspath`` of a path, sooner if it was asked for before.

    >>> absolute_path("a//b/../c") == os.path.abspath("a/c")
    True
    """
    # Where paths have drives, one that begins like this may depend on the current one.
    return _normal_path(path) if path[:1] == os.sep == "/" else os.path.abspath(path)


_normal_path = lru_cache(256)(os.path.normpath)


def real_path(path: str) -> str:
    """Return ``os.path.realpath`` of an absolute path without ``..``, sooner if it has no links.

    >>> real_path(os.path.realpath("a")) == os.path.realpath("a")
    True
    """
    if is_real(path):
        return path
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
# The members of a Place that are made when they are first asked for.
_MADE_LATER: dict[str, Callable[[], Any]] = {
    "locks": Locks,
    "paths": PathLocks,
    "opened": WeakSet,
}
# Every Place, by all its identities. The lock is in a list so that a forked child can replace it.
_places: WeakValueDictionary[Hashable, Place] = WeakValueDictionary()
_guard = [RLock()]


# What stores have opened, each as long as a store uses it.
_opened: set[ref[Opened]] = set()
# What was told of the fork that is under way, and the turn of the thread that forks.
_forking: list[Opened] = []
_forks = Locks()
_fork: list[Hold] = []


def _whole(step: Callable[[], None]) -> None:
    """Make a step again if an interrupt has ended it, which comes after it.

    Python forks whatever is raised by what it calls before, and goes on whatever is raised after.
    """
    interrupted = False
    while True:
        try:
            step()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        interrupt_main()


def _stop_all() -> None:
    _fork[:] = [_forks.take("")]
    with _guard[0]:
        opened = [one for one in (known() for known in _opened.copy()) if one is not None]
    for one in opened:
        if one not in _forking:
            _forking.append(one)
        one.before_fork()


def _let_go() -> None:
    while _forking:
        one = _forking[-1]
        try:
            one.after_fork(child=False)
        except Exception:  # noqa: BLE001  (a signal handler may raise what it likes)
            try:
                one.after_fork(child=False)
            except Exception:
                # Python reports it, once the others have been told.
                _forking.remove(one)
                _let_go()
                raise
        _forking.pop()
    while _fork:
        _forks.give_back(_fork[-1])
        _fork.clear()


def _prepare() -> None:
    _whole(_stop_all)


def _go_on() -> None:
    _whole(_let_go)


def _start_anew() -> None:
    # A thread that held a lock in the parent does not exist in the child.
    _guard[0] = RLock()
    _forks.reset()
    _fork.clear()
    # Places that share a guard keep sharing one.
    guards: dict[int, Any] = {}
    for place in list(_places.values()):
        place.reset(guards.setdefault(id(place.guard), RLock()))
    while _forking:
        _forking.pop().after_fork(child=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_prepare, after_in_parent=_go_on, after_in_child=_start_anew)
    # An interrupt may come before the first line of a function.
    os.register_at_fork(after_in_parent=_go_on)
