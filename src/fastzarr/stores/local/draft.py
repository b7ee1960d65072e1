"""A tree of keys that is prepared beside its path in a folder, and moved there in one step.

Rules of this file:

* A draft is a folder with a temporary name, locked while its writer lives. It is invisible until it
  is published, and a writer that dies leaves nothing but that folder.
* In an open folder, the calls that every draft makes use names relative to its descriptor: the path
  of an open folder, which all other calls use, takes the kernel longer to look up.
* Publishing is one rename if the path is free, and one exchange of two folders if an old tree is
  replaced: readers find the old tree or the new one, even if the writer is killed.
* An existing folder without a node is filled file by file, the document last. Chunks left in it by
  a dead writer are deleted; files that belong to no node are kept.
* Overlayfs cannot rename a folder of a lower layer, as in a container image. There the old tree is
  deleted before the new one, which is complete, takes its name: a writer that is killed in between
  leaves the new tree under its temporary name.
* Unless the folder's durability is ``none``, the new tree is synced before the exchange, and the
  exchange before the old tree is deleted.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from fastzarr._lazy import cached
from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.local.folder import Folder
from fastzarr.stores.local.pin import complete_in, undisturbed
from fastzarr.stores.local.system import (
    ATTEMPTS,
    FileLock,
    delete_in_place,
    exchange,
    is_folder,
    locked_folder,
    patiently,
    remove_tree,
    sync_folder,
    temporary_name,
    write_file,
)
from fastzarr.stores.local.turn import FileTurn, put_new

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S")
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


class FolderDraft(Generic[S]):
    """A draft of the tree at a path; ``store`` has its content, with the tree as its root."""

    def __init__(self, place: Folder, path: str, store_of: Callable[[str], S]) -> None:
        """Create the folder of the draft; ``store_of`` returns the store of a folder.

        Raise OSError if that fails.
        """
        self._place, self._path = place, path
        place.check(path.rpartition("/")[0])
        # If the root is a link, the link stays.
        self._target = place.base + path if path else os.path.realpath(place.base)
        self._lock: FileLock | None = None
        if place.within is not None and place.file is not None:
            # An open folder is the nearest one that exists.
            self._at: int | None = place.file
            self._names = temporary_name(""), path
            self._folder = place.base + self._names[0]
            try:
                os.mkdir(self._names[0], dir_fd=self._at)
            except OSError as error:
                error.filename = self._folder
                raise
        else:
            self._at = None
            self._folder = self._made(os.path.dirname(self._target))
            self._names = self._folder, self._target
        try:
            self._lock = locked_folder(self._names[0], within=self._at)
        except BaseException:
            self.discard()
            raise
        self._store_of = store_of

    @cached
    def store(self) -> S:
        """The store of the draft."""
        return self._store_of(self._folder)

    def put(self, name: str, value: bytes) -> None:
        """Write a new file at the root of the tree, as the store does with a new key."""
        path = f"{self._folder}/{name}"
        lock, sync = self._lock, self._durable
        if lock is None or lock.file < 0:
            write_file(path, value, path, sync=sync)
        else:
            write_file(name, value, path, sync=sync, within=lock.file)

    def _made(self, above: str) -> str:
        """Create a folder with a temporary name in the nearest existing folder at or above a path.

        The root of the store, or the parent folder of a new root, is created if it is missing.
        """
        while True:
            made = temporary_name(above)
            try:
                os.mkdir(made)
            except (FileNotFoundError, NotADirectoryError):
                if not self._path or len(above) <= len(self._place.base):
                    if self._place.pinned:
                        raise  # the open folder is deleted
                    os.makedirs(above, exist_ok=True)
                if self._path:
                    above = os.path.dirname(above)
            else:
                return made

    def publish(self, *, replace: bool, owned: Callable[[str], bool] | None = None) -> bool:
        """Rename the tree into place; with ``replace``, replace the existing tree.

        Return False, and change nothing, if there is a node at or below the path that must not be
        replaced. ``owned(key)`` is True for keys below the path that would belong to the new node.
        """
        self._place.written = True
        full = self._place.durability == "full"
        if full:
            sync_folder(self._folder)
        if replace:
            with undisturbed(self._place, self._path):
                new = self._renamed_or_exchanged(replace=True)
        else:
            complete_in(self._place, self._path.rpartition("/")[0])
            new = self._renamed_or_exchanged(replace=False)
        if not new and not replace and not self._filled_in(owned):
            return False
        if full or (self._durable and not new):
            # Otherwise a power cut could restore the name of the tree that is deleted now.
            sync_folder(os.path.dirname(self._target))
        if full:
            self._place.sync_ways((self._path,))
        self._end()
        if not new:
            remove_tree(self._folder)
        return True

    def _renamed_or_exchanged(self, *, replace: bool) -> bool:
        """Rename the draft into place, and return True, if the path is free.

        Otherwise return False, after the two folders were exchanged if ``replace``.
        """
        attempts = 0
        while True:
            attempts += 1
            if self._renamed(last=attempts == ATTEMPTS):
                if attempts > 1 and self._durable:
                    sync_folder(os.path.dirname(self._target))
                return True
            if not replace or self._exchanged(last=attempts == ATTEMPTS):
                return False

    def _exchanged(self, *, last: bool) -> bool:
        """Exchange the draft and the old tree; return False if the path is free now."""
        if self._durable:
            self._sync()
        try:
            exchange(self._folder, self._target)
        except FileNotFoundError:  # the old tree has disappeared
            if last:
                raise
        except OSError as error:
            if error.errno != errno.EXDEV or last or not is_folder(self._target):
                raise
            delete_in_place(self._target)
        else:
            return True
        return False

    def discard(self) -> None:
        """Delete the draft."""
        self._end()
        with suppress(OSError):
            os.rmdir(self._folder)  # works even if there are no descriptors left
        with suppress(FileNotFoundError):
            remove_tree(self._folder)

    def _renamed(self, *, last: bool) -> bool:
        """Rename the draft into place if the target is missing or an empty folder.

        Parent folders are created. A link and an existing root are kept.
        """
        try:
            # The name of a link is not replaced by that of a folder: renaming fails.
            if self._path or not os.path.isdir(self._target):
                patiently(self._rename, *self._names)
                return True
        except FileNotFoundError:
            if last or self._place.pinned:
                raise
            os.makedirs(os.path.dirname(self._target), exist_ok=True)
            return self._renamed(last=True)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            if os.path.isdir(self._target):
                return False
            if last or os.path.lexists(self._target):
                raise
            return self._renamed(last=True)  # the old tree has just been deleted
        return False

    def _rename(self, name: str, other: str) -> None:
        try:
            os.rename(name, other, src_dir_fd=self._at, dst_dir_fd=self._at)
        except OSError as error:
            error.filename, error.filename2 = self._folder, self._target
            raise

    def _filled_in(self, owned: Callable[[str], bool] | None) -> bool:
        """Move the files one by one into the existing folder, unless it contains a node."""
        lock = locked_folder(self._target)
        try:
            start = len(self._path) + 1 if self._path else 0
            found = sorted(key[start:] for key in self._place.keys_below(self._path))
            if any(_is_document(key) for key in found):
                return False
            for key in found:
                if owned is not None and owned(key):
                    patiently(os.unlink, f"{self._target}/{key}")
            moved: dict[str, os.stat_result] = {}
            made = sorted(
                Folder(self._folder).keys_below(""),
                key=lambda key: (_is_document(key), "attrs" not in key, key),
            )
            for key in made:
                target = f"{self._target}/{key}"
                os.makedirs(os.path.dirname(target), exist_ok=True)
                info = os.stat(f"{self._folder}/{key}")
                if not put_new(self._place, f"{self._folder}/{key}", target):
                    if key == made[-1]:
                        # Another writer has just created a node, without these files.
                        self._take_back(moved)
                        return False
                    patiently(os.replace, f"{self._folder}/{key}", target)
                moved[key] = info
            if self._durable:
                sync_folder(self._target)
            return True
        finally:
            lock.end()

    def _take_back(self, moved: dict[str, os.stat_result]) -> None:
        """Delete files that were moved into the existing folder, unless they were replaced."""
        for key, info in moved.items():
            below = f"{self._path}/{key}" if self._path else key
            turn = FileTurn(self._place, below)
            try:
                turn.lock()
                if self._place.leads_to(below, info):
                    turn.put(None)
            finally:
                turn.end()

    @property
    def _durable(self) -> bool:
        return self._place.durability != "none"

    def _sync(self) -> None:
        from fastzarr.native import sync

        with suppress(OSError):
            # Keep the permissions of the old tree.
            os.chmod(self._folder, os.stat(self._target).st_mode & 0o7777)
        sync(self._folder)

    def _end(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.end()


def _is_document(key: str) -> bool:
    return key.rpartition("/")[2] in METADATA_NAMES
