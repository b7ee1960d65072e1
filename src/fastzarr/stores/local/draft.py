"""A tree of keys that is made beside its place in a local store, and put there in one step.

Rules of this file:

* A draft is a folder with a temporary name, held by a lock as long as its writer lives. Nobody sees
  it until it is published, and a writer that dies leaves nothing but that folder.
* Publishing is one rename where nothing is in the way, and one exchange of two folders where the
  old tree is replaced: readers find the old one or the new one, whenever the writer is killed.
* A folder that is there without a node is filled file by file, the document last. What a dead
  writer's chunks left in it goes, what is nobody's stays.
* What replaces is on the disk before it does, and the exchange is before the old tree is removed,
  unless the store's durability is ``none``.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.local.store import LocalStore
from fastzarr.stores.local.system import (
    ATTEMPTS,
    exchange,
    lock_file,
    sync_file,
    temporary_name,
    unlock_file,
    write_file,
)
from fastzarr.stores.local.turn import FileTurn, put_new

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores.turns import Turn

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


class _Unseen(LocalStore):
    """A store that no other writer and no reader knows of yet."""

    # They agree with `_set`, which writes files too and only skips what keeps others out.
    files = LocalStore.files
    swap = LocalStore.swap

    def _turn(self, key: str) -> Turn:
        return FileTurn(self, key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        path = self.base + key
        if os.path.lexists(path):
            super()._set(key, value)
        else:
            sync = self.durability != "none"
            self.in_folder(key, lambda _: write_file(path, value, path, sync=sync))


class FolderDraft:
    """Be a draft of what is to stand at a path; ``store`` is its content, from its root on."""

    def __init__(self, place: LocalStore, path: str) -> None:
        """Make the folder beside the place. What the file system refuses is raised."""
        self._place, self._path = place, path
        place.check_folder(path.rpartition("/")[0])
        # The root may be a link, which stays.
        self._target = place.base + path if path else os.path.realpath(place.base)
        folder = os.path.dirname(self._target)  # noqa: PTH120
        while not os.path.isdir(folder):  # noqa: PTH112
            if path and len(folder) <= len(place.base):
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            folder = os.path.dirname(folder) if path else _made(folder)  # noqa: PTH120
        self._folder = temporary_name(folder)
        os.mkdir(self._folder)  # noqa: PTH102
        self._lock: int | None = None
        try:
            self._lock = os.open(self._folder, _FOLDER)
            lock_file(self._lock)
        except BaseException:
            self.discard()
            raise
        self.store = _Unseen(
            self._folder, follow_symlinks=place.follow_symlinks, durability=place.durability
        )
        self.store.dimension_separator = place.dimension_separator

    def publish(self, *, replace: bool, owned: Callable[[str], bool] | None = None) -> bool:
        """Put the tree into its place, instead of what is there if ``replace`` says so.

        Return False, and change nothing, if a node is there, or below, that must not be replaced.
        ``owned`` tells of a key below the path whether the new node will take it for its own.
        """
        self._place.written = True
        old = False
        for attempt in range(ATTEMPTS):
            if self._renamed(last=attempt == ATTEMPTS - 1):
                break
            if not replace:
                if not self._filled_in(owned):
                    return False
                old = True
                break
            if self._durable:
                self._sync()
            try:
                exchange(self._folder, self._target)
            except FileNotFoundError:
                continue  # what was in the way has gone
            old = True
            break
        if self._durable:
            # Else a power cut could bring back the name of what is removed now.
            sync_file(os.path.dirname(self._target), _FOLDER)  # noqa: PTH120
        if self._place.durability == "full":
            self._place.sync_folders(self._path)
        self._end()
        if old:
            self._place.remove_tree(self._folder)
        return True

    def discard(self) -> None:
        """Remove the draft."""
        self._end()
        with suppress(OSError):
            os.rmdir(self._folder)  # noqa: PTH106  (takes no descriptor, of which there may be none)
        with suppress(FileNotFoundError):
            self._place.remove_tree(self._folder)

    def _renamed(self, *, last: bool) -> bool:
        """Take the name if nothing has it, or an empty folder; make the folders above.

        A link, and a root that is there, stay what they are.
        """
        stays = os.path.islink(self._target) or (not self._path and os.path.isdir(self._target))  # noqa: PTH112, PTH114
        try:
            if not stays:
                os.rename(self._folder, self._target)  # noqa: PTH104
                return True
        except FileNotFoundError:
            if last:
                raise
            os.makedirs(os.path.dirname(self._target), exist_ok=True)  # noqa: PTH103, PTH120
            return self._renamed(last=True)
        except OSError as error:
            if error.errno not in _IN_THE_WAY or not os.path.isdir(self._target):  # noqa: PTH112
                raise
        return False

    def _filled_in(self, owned: Callable[[str], bool] | None) -> bool:
        """Put the files one by one into the folder that is there, unless it holds a node."""
        folder = os.open(self._target, _FOLDER)
        try:
            lock_file(folder)
            start = len(self._path) + 1 if self._path else 0
            there = [key[start:] for key in self._place.list(self._path)]
            if any(_is_document(key) for key in there):
                return False
            for key in there:
                if owned is not None and owned(key):
                    os.unlink(f"{self._target}/{key}")  # noqa: PTH108
            made = sorted(
                self.store.list(), key=lambda key: (_is_document(key), "attrs" not in key)
            )
            for key in made:
                target = f"{self._target}/{key}"
                os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
                if not put_new(self._place, f"{self._folder}/{key}", target):
                    if key == made[-1]:
                        return False  # a node that came just now
                    os.replace(f"{self._folder}/{key}", target)  # noqa: PTH105
            if self._durable:
                sync_file(self._target, _FOLDER)
            return True
        finally:
            unlock_file(folder)
            os.close(folder)

    @property
    def _durable(self) -> bool:
        return self._place.durability != "none"

    def _sync(self) -> None:
        from fastzarr.native import sync

        with suppress(OSError):
            # Those who could read the old tree can read the new one.
            os.chmod(self._folder, os.stat(self._target).st_mode & 0o7777)  # noqa: PTH101, PTH116
        sync(self._folder)

    def _end(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            try:
                unlock_file(lock)
            finally:
                os.close(lock)


def _made(folder: str) -> str:
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    return folder


def _is_document(key: str) -> bool:
    return key.rpartition("/")[2] in METADATA_NAMES
