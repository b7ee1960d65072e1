"""The folder of a node, held open and locked for the length of one change.

Rules of this file:

* A change of an existing node opens the folder of the node once, and reaches all files through the
  open folder. If the folder or one above it is renamed meanwhile, because the node is moved,
  deleted or replaced, the change ends in the old tree: it happened before the rename. It never
  creates the folder of the node again.
* Changes of a node share the lock of its folder. A transaction takes the lock alone, for all nodes
  that it changes. The order of locks is: folders, documents, chunks.
* Linux has a path for an open folder, which all code that takes paths can use. Elsewhere the path
  of the node is used.
"""

from __future__ import annotations

import errno
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from fastzarr.stores.local.system import DIRECTORY, FileLock

if TYPE_CHECKING:
    from fastzarr.stores.local.folder import Folder

_OPEN = "/proc/self/fd"


class Pin:
    """A folder that is open and locked until ``end``; ``folder`` has its files."""

    __slots__ = ("_lock", "_named", "folder", "store")

    #: The store of the folder's files, if it has been set.
    store: Any

    def __init__(self, lock: FileLock, folder: Folder, named: str) -> None:
        """Initialise with the lock, and the path by which the folder was opened."""
        self._lock, self.folder, self._named = lock, folder, named

    def end(self) -> None:
        """Release the lock and close the folder."""
        self._lock.end()

    def is_deleted(self) -> bool:
        """Whether the folder has been deleted since it was opened."""
        try:
            return os.fstat(self._lock.file).st_nlink == 0
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            return True  # a network file system has forgotten the folder

    def rename(self, error: OSError) -> None:
        """Put the path of the node into an error that was raised below the open folder."""
        start = self.folder.base
        if isinstance(error.filename, str) and error.filename.startswith(start):
            error.filename = f"{self._named}/{error.filename[len(start) :]}"


def pin(folder: Folder, path: str, *, exclusive: bool = False) -> Pin:
    """Open the folder at a path and wait for its lock, which is shared unless ``exclusive``.

    Raise FileNotFoundError if there is no folder at the path.
    """
    folder.check(path)
    named = folder.base + path if path else folder.root
    lock = FileLock.open(lambda: os.open(named, os.O_RDONLY | DIRECTORY))
    try:
        lock.lock(shared=not exclusive)
        root = f"{_OPEN}/{lock.file}" if _has_paths_of_open_folders() else named
        return Pin(lock, folder.at(root, pinned=True), named)
    except BaseException:
        lock.end()
        raise


@cache
def _has_paths_of_open_folders() -> bool:
    file = os.open(os.sep, os.O_RDONLY)
    try:
        return os.path.samestat(os.fstat(file), os.stat(f"{_OPEN}/{file}/."))
    except OSError:
        return False
    finally:
        os.close(file)
