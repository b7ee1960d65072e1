"""The one identity of what a store stands for; locks, snapshots and warnings hang on it.

Rules of this file:

* Two stores stand for the same values if they have the same ``Place``. A mapping is known as the
  object itself, which its Place keeps alive, so that no later mapping gets its ``id``. A store
  that is neither a mapping's nor a folder's is known as itself; its copies share its Place.
* A folder is known by its real path, and by device and inode, so that links, mounts and the two
  spellings of a file system that ignores case lead to one Place. A path may lead to another folder
  tomorrow, and an inode is used again once its folder is gone: a store asks for its Place whenever
  it needs it, and an inode counts only while the path of its Place leads to it. A folder that is
  removed and made anew, or replaced as a whole, is the same Place: it is where the store looks.
* A Place lives as long as something holds it. What hangs on it ends with it, but for one thing:
  the names of stored copies of metadata, which stay in the store.
* A forked child starts with no lock taken.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from weakref import ref


class Locks:
    """A lock for each name that somebody asks for, kept as long as somebody has or awaits it."""

    def __init__(self) -> None:
        """Start without locks."""
        self.reset()

    def reset(self) -> None:
        """Forget all locks, as a forked child does."""
        self._guard = Lock()
        self._locks: dict[Hashable, list[Any]] = {}

    def take(self, name: Hashable) -> None:
        """Take the lock of a name, again if this thread has it."""
        with self._guard:
            entry = self._locks.setdefault(name, [RLock(), 0])
            entry[1] += 1
        try:
            entry[0].acquire()
        except BaseException:
            self._leave(name, entry)
            raise

    def give_back(self, name: Hashable) -> None:
        """Give back a lock; a forked child has nothing to give back of what its parent took."""
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


class Place:
    """What one or more stores stand for, and what this process knows of it besides its values."""

    __slots__ = (
        "__weakref__",
        "copies",
        "folder",
        "guard",
        "held",
        "inode",
        "locks",
        "snapshots",
        "token",
        "warned",
    )

    def __init__(self, *, folder: str | None = None, held: object = None, token: str = "") -> None:
        """Make a Place of its own; ``of_object``, ``of_folder`` find the one that others have."""
        #: The real path of the folder that this is, or None for another kind of place.
        self.folder = folder
        #: Device and inode of the folder when it was last looked at; None while it is missing.
        self.inode: tuple[int, int] | None = None
        #: The object that this is, kept alive so that no other gets its ``id``.
        self.held = held
        #: A string that no other place has, the same in every process for a folder.
        self.token = token or (os.urandom(16).hex() if folder is None else f"file://{folder}")
        #: The turns that threads of this process have at keys.
        self.locks = Locks()
        #: A lock for brief changes of what is known of this place, and of the values of a dict.
        self.guard = RLock()
        #: Whether it was said that writers in other processes cannot be kept out.
        self.warned = False
        #: The snapshots that handles of this process serve from, by their ``id``.
        self.snapshots: dict[int, ref[Any]] = {}
        #: Group and key of each copy of metadata under a name of the caller's.
        self.copies: dict[tuple[str, str], None] = _copies.get(self._name, {})

    def __reduce__(self) -> tuple[Callable[[str], Place], tuple[str]]:
        """Pickle by name: within this process, the same Place comes back."""
        if self.folder is not None:
            return (of_folder, (self.folder,))
        return (_of_token, (self.token,))

    def reset(self) -> None:
        """Forget the locks, as a forked child does."""
        self.locks.reset()
        self.guard = RLock()

    @property
    def _name(self) -> Hashable:
        return self.folder or ("object", id(self.held))

    def remember(self, group: str, key: str) -> None:
        """Remember a copy of metadata that is stored under a name of the caller's."""
        self.copies[group, key] = None
        if self.folder is not None or self.held is not None:
            _copies[self._name] = self.copies

    def forget(self, group: str, key: str) -> None:
        """Forget a copy of metadata that is removed."""
        self.copies.pop((group, key), None)
        if not self.copies:
            _copies.pop(self._name, None)

    def covers(self, path: str, other: Place, below: str) -> bool:
        """Whether the path ``below`` in another place is at or below ``path`` in this one.

        Folders are compared as the file system has them: a store may be opened further down, and
        links and mounts may lead from one name to another.
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
        """Whether it is certain that no other known Place stands for the same values.

        That is so of folders and of plain dicts. A mapping or store of another kind may read and
        write anywhere.
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


def of_folder(root: str, last: Place | None = None) -> Place:
    """Return the Place of a folder, which may be missing; ``last`` is what it was before."""
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
                former.inode = None  # moved away, or removed and its inode used again
            _places[inode] = found
        return found


def own() -> Place:
    """Return a Place that nothing else has, until it is copied or pickled."""
    found = Place()
    with _guard[0]:
        _places[found.token] = found
    return found


def _of_token(token: str) -> Place:
    with _guard[0]:
        found = _places.get(token)
        if found is None:
            found = _places[token] = Place(token=token)
        return found


def _inode(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        # A folder that cannot be looked at is known by its path. Using it says why.
        return None
    return (info.st_dev, info.st_ino)


def _is_below(path: str, above: str) -> bool:
    return not above or path == above or path.startswith(f"{above}/")


# The copies of metadata under names of the callers, which outlive the stores that they were made
# by, of each folder and mapping. An ``id`` may be another mapping's by now: whether a value is a
# copy is seen before it is removed.
_copies: dict[Hashable, dict[tuple[str, str], None]] = {}
# Every Place, by all that it is known by. The lock is in a list for a forked child to replace it.
_places: WeakValueDictionary[Hashable, Place] = WeakValueDictionary()
_guard = [RLock()]


def _start_anew() -> None:
    # The thread that held a lock in the parent is not in the child.
    _guard[0] = RLock()
    for place in list(_places.values()):
        place.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
