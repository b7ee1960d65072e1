"""The folder of a node, held open and locked for the length of one change.

Rules of this file:

* A change of an existing node opens the folder of the node once, and reaches all files through the
  open folder. If the folder or one above it is renamed meanwhile, because the node is moved,
  deleted or replaced, the change ends in the old tree: it happened before the rename. It never
  creates the folder of the node again.
* Changes of a node share the lock of its folder. A transaction takes the lock alone, for all nodes
  that it changes. The order of locks is: folders, documents, chunks.
* Once the folder is locked, its writer looks for a journal that concerns it, in one call. If there
  is one, its writer has died, so it is completed before anything is changed.
* A change of a name, by which a node is created, replaced, moved or deleted, opens the folder above
  it once, and does the same. This folder is not locked.
* Linux has a path for an open folder, which all code that takes paths can use. Elsewhere the path
  of the node is used, and the threads of this process share the lock of that path: a thread that
  deletes, moves or replaces the node waits for them. So they do where folders cannot be locked.
* The path of an open folder contains the number of its descriptor, which is often the same in the
  next change. The ended ``Pin`` is used again then, and what was made from its path stays valid.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from functools import cache
from operator import is_
from typing import TYPE_CHECKING, Any

from fastzarr.errors import KeyValidationError
from fastzarr.stores.keys import JOURNAL_NAME, TEMPORARY_SUFFIX
from fastzarr.stores.local.journal import complete, root_of
from fastzarr.stores.local.system import DIRECTORY, OPENS_FOLDERS, FileLock, open_folder

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from fastzarr.stores.local.folder import Folder
    from fastzarr.stores.place import PathLocks
    from fastzarr.stores.users import Hold

_OPEN = "/proc/self/fd"
# A folder in which names are changed need not be readable.
_NAMES_ONLY = getattr(os, "O_PATH", os.O_RDONLY) | DIRECTORY


class Pin:
    """A folder that is open and locked until ``end``; ``folder`` has its files."""

    __slots__ = ("_named", "_number", "folder", "kept_in", "lock", "made_of", "shared", "store")

    def __init__(self, lock: FileLock, folder: Folder, named: str) -> None:
        """Initialise with the lock, and the path by which the folder was opened."""
        self.lock, self.folder, self._named = lock, folder, named
        self._number = lock.file
        #: The store of the folder's files, and the attributes, with names, of which it is a copy.
        self.store: Any = None
        self.made_of: list[Any] = []
        #: Where the ended pin is kept, and under which key; not earlier, so that a pin that an
        #: interrupt has left ends.
        self.kept_in: tuple[dict[bool, Any], bool] | None = None
        #: The lock that threads of this process share, if that is needed.
        self.shared: tuple[PathLocks, Hold] | None = None

    def end(self) -> None:
        """Release the lock and close the folder."""
        shared, self.shared = self.shared, None
        try:
            self.lock.end()
        finally:
            if shared is not None:
                paths, hold = shared
                paths.leave(hold)
        if self.kept_in is not None:
            kept, key = self.kept_in
            kept[key] = self

    @property
    def identity(self) -> tuple[int, int]:
        """The device and inode of the folder."""
        info = os.stat(self._named) if self.lock.file < 0 else os.fstat(self.lock.file)
        return (info.st_dev, info.st_ino)

    def goes_on(self, lock: FileLock, named: str) -> bool:
        """Begin again with a folder that was just opened; return False if its path is another one.

        This pin has ended then: an open descriptor has a number that no other one has.
        """
        if lock.file < 0 or lock.file != self._number or named != self._named:
            return False
        self.lock = lock
        return True

    def is_deleted(self) -> bool:
        """Whether the folder has been deleted, or its deletion has begun, since it was opened."""
        if self.folder.root == self._named:
            return not os.path.isdir(self._named)
        try:
            if os.fstat(self.lock.file).st_nlink == 0:
                return True
            # A tree is renamed before it is deleted.
            names = os.path.realpath(self.folder.root).split(os.sep)
            return any(name.endswith(TEMPORARY_SUFFIX) for name in names)
        except OSError as error:
            if error.errno != errno.ESTALE or os.path.exists(self._named):
                raise
            return True  # a network file system has forgotten the folder, which has gone

    def rename(self, error: OSError) -> None:
        """Put the path of the node into an error that was raised below the open folder."""
        start = self.folder.base
        for attribute in ("filename", "filename2"):
            found = getattr(error, attribute)
            if isinstance(found, str) and found.startswith(start):
                setattr(error, attribute, f"{self._named}/{found[len(start) :]}")


def pin(folder: Folder, path: str, last: Pin | None = None) -> Pin:
    """Open the folder at a path for a change, and wait for its lock, which changes share.

    ``last`` is an earlier result for the same ``folder``, which is returned again if it can be.

    Raise FileNotFoundError if there is no folder at the path, and ``TransactionError`` if there is
    a journal that cannot be completed.
    """
    while True:
        # Before the folder is opened: whoever has the path alone may replace it.
        shared = None if _has_paths_of_open_folders() else _share(folder, path)
        # If that fails, the lock ends with what refers to it.
        found = _opened(folder, path, last=last)
        found.shared = shared
        try:
            if not found.lock.lock(shared=True) and shared is None:
                found.shared = _share(folder, path)
            root = root_of(found.folder, clean=True)
        except BaseException:
            found.end()
            raise
        if root is None:
            return found
        found.end()
        complete(folder.at(root))


def _share(folder: Folder, path: str) -> tuple[PathLocks, Hold]:
    paths = folder.place.paths
    return paths, paths.share(path)


def names_held(folder: Folder, path: str, last: Pin | None = None) -> Pin | None:
    """Open a folder as ``names_in`` does; return None if the system has no path for it."""
    return names_in(folder, path, last) if _has_paths_of_open_folders() else None


def names_in(folder: Folder, path: str, last: Pin | None = None) -> Pin:
    """Open the folder at a path, to change names in it; it is not locked.

    ``last`` is an earlier result for the same ``folder``, which is returned again if it can be.

    Raise FileNotFoundError if there is no folder at the path.
    """
    found = _opened(folder, path, _NAMES_ONLY, last)
    found.folder.within = folder, path
    return found


@contextmanager
def undisturbed(folder: Folder, path: str) -> Iterator[None]:
    """Hold the folder at a path, if there is one, while its name is changed in a ``with`` block."""
    held = None
    # Without permission to read it, a journal in it cannot be completed either. A link that leads
    # out of the root is itself renamed, not the folder.
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError, KeyValidationError):
        held = pin(folder, path)
    try:
        yield
    finally:
        if held is not None:
            held.end()


def complete_in(folder: Folder, path: str) -> None:
    """Complete a journal that concerns the folder at a path, before something is created in it."""
    start = folder.base if folder.file is None else ""
    key = f"{path}/{JOURNAL_NAME}" if path else JOURNAL_NAME
    if os.access(start + key, os.F_OK, dir_fd=folder.file):
        pin(folder, path).end()


def pin_alone(
    folder: Folder, path: str, mine: Container[tuple[int, int]], *, wait: bool
) -> Pin | None:
    """Open the folder at a path, and take its lock alone; return None if another writer has it.

    With ``wait``, wait for the lock. ``mine`` are the folders that the caller has locked already.
    """
    found = _opened(folder, path)
    try:
        if wait:
            found.lock.lock()
            return found
        if found.lock.try_lock() or found.identity in mine:
            return found
    except BaseException:
        found.end()
        raise
    found.end()
    return None


def pin_for(folder: Folder, path: str, attributes: Mapping[str, Any], *, lock: bool) -> Pin | None:
    """Return ``pin`` or, without ``lock``, ``names_held``, for a store with these attributes.

    The result may be the last one, with its store, if the store had the same attributes.
    """
    own = ("_folder", "suspension")
    made_of = [part for item in attributes.items() if item[0] not in own for part in item]
    last: Pin | None = folder.last.pop(lock, None)
    if last is not None:
        before = last.made_of
        if len(before) != len(made_of) or not all(map(is_, before, made_of)):
            last = None
    found = pin(folder, path, last) if lock else names_held(folder, path, last)
    if found is not None and found is not last:
        found.made_of, found.kept_in = made_of, (folder.last, lock)
    return found


def _opened(
    folder: Folder, path: str, flags: int = os.O_RDONLY | DIRECTORY, last: Pin | None = None
) -> Pin:
    named = folder.base + path if path else folder.root
    if not folder.check(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), named)
    lock = open_folder(named, flags)
    if last is not None and last.goes_on(lock, named):
        return last
    try:
        has_path = _has_paths_of_open_folders()
        made = folder.at(f"{_OPEN}/{lock.file}" if has_path else named, pinned=True)
        if has_path:
            made.file = lock.file
        return Pin(lock, made, named)
    except BaseException:
        lock.end()
        raise


@cache
def _has_paths_of_open_folders() -> bool:
    if not OPENS_FOLDERS:
        return False
    file = os.open(os.sep, os.O_RDONLY)
    try:
        return os.path.samestat(os.fstat(file), os.stat(f"{_OPEN}/{file}/."))
    except OSError:
        return False
    finally:
        os.close(file)
