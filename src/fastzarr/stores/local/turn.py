"""How a value of a local store comes to its place: the twin of the extension's ``commit.rs``.

Rules of this file:

* A value is written to a temporary file beside its target, then gets its name in one step. What
  fails on the way removes the temporary file and leaves the old value.
* Who changes a value that is there holds the lock of its very file, from before it is read until
  another file has its name, and has looked, after locking, that the name still leads to it. Who
  makes one that is not there gives it the name only if nobody was first. So no two writers ever
  start from the same old value, whatever threads and processes they are in.
* The lock is the kernel's (``flock``), on what is there already: nothing is left in the store, and
  it ends with its holder. It is given up explicitly, for a child forked meanwhile has it too.
* How a value outlasts a power cut is the store's ``durability``: what replaces another is synced
  before it does (``replace``), or all is, folders included, before the call returns (``full``).
* On a file system that has no locks or no links, the threads of one process still take turns. That
  is said once, in a warning.
"""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import suppress
from stat import S_ISREG
from typing import TYPE_CHECKING

from fastzarr.buffers import flat_bytes
from fastzarr.errors import ZarrRuntimeWarning
from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.local.system import (
    UNABLE,
    lock_file,
    read_part,
    sync_file,
    temporary_name,
    unlock_file,
    write_file,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastzarr.stores.local.store import LocalStore
    from fastzarr.stores.place import Locks


class FileTurn:
    """Be a turn at a key of a local store, kept from other threads and processes alike."""

    __slots__ = ("_file", "_key", "_locks", "_looked", "_path", "_store")

    def __init__(self, store: LocalStore, key: str) -> None:
        """Take the turn when it is first needed."""
        self._store, self._key = store, key
        self._path = store.base + key
        self._file: int | None = None
        self._looked = False
        # Those of threads, which stand in where the file system has none.
        self._locks: Locks | None = None

    def get(self) -> bytes | None:
        """Lock the value and give it; None if there is none."""
        self._hold()
        self._looked = True
        if self._file is None:
            return None if self._locks is None else self._store.get(self._key)
        try:
            return read_part(self._file, 0, os.fstat(self._file).st_size)
        except OSError as error:
            error.filename = self._path
            raise

    def lock(self) -> None:
        """Keep others from changing the value, if there is one."""
        self._hold()

    def put(self, value: Buffer | None) -> bool:
        """Store or remove the value; False if it was made by another writer since ``get``."""
        if value is None:
            # Who looked and found nothing leaves nothing, whatever others have made since.
            if not self._looked or self._file is not None or self._locks is not None:
                self._remove()
            return True
        return self._store.in_folder(self._key, lambda folder: self._write(folder, value))

    def end(self) -> None:
        """Let others have their turns."""
        file, self._file = self._file, None
        if file is not None:
            try:
                unlock_file(file)
            finally:
                os.close(file)
        locks, self._locks = self._locks, None
        if locks is not None:
            locks.give_back(self._key)

    def _hold(self) -> None:
        """Lock the file that has the name, if one has."""
        access = os.O_RDONLY
        while self._file is None and self._locks is None:
            file = self._store.open_to_lock(self._key, access)
            if file is None:
                if os.path.islink(self._path):  # noqa: PTH114
                    # A link that leads out, or nowhere: it is replaced and removed as it is.
                    self._take_turns()
                return
            self._file = file
            info = os.fstat(file)
            if not S_ISREG(info.st_mode):
                raise self._store.not_a_file(self._key, info)
            if not lock_file(file):
                self.end()
                if access == os.O_RDONLY and os.access(self._path, os.W_OK):
                    # Network file systems lock only what is open for writing.
                    access = os.O_RDWR
                    continue
                warn_of_no_locks(self._store)
                self._take_turns()
                return
            if not self._store.leads_to(self._key, info):
                # Another file has the name by now, or none: this one is of no use any more.
                self.end()

    def _take_turns(self) -> None:
        locks = self._store.place.locks
        locks.take(self._key)
        self._locks = locks

    def _write(self, folder: str, value: Buffer) -> bool:
        durability = self._store.durability
        data = flat_bytes(value, self._key)
        temporary = temporary_name(folder)
        # A chunk that is not there yet replaces nothing. A document is what makes chunks readable.
        document = self._key.rpartition("/")[2] in METADATA_NAMES
        sync = durability == "full" or (durability == "replace" and document)
        try:
            # Inside, so that Ctrl-C between this and the next step leaves no temporary file.
            write_file(temporary, data, self._path, sync=sync)
            published = self._publish(temporary, synced=sync or durability == "none")
        except BaseException as error:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            if isinstance(error, IsADirectoryError):
                reason = "a value cannot be stored where a folder is"
                raise IsADirectoryError(errno.EISDIR, reason, self._path) from None
            raise
        if not published:
            os.unlink(temporary)  # noqa: PTH108
        elif durability == "full":
            self._store.sync_folders(self._key)
        return published

    def _publish(self, temporary: str, *, synced: bool) -> bool:
        while self._file is None and self._locks is None:
            if put_new(self._store, temporary, self._path):
                return True
            if self._looked:
                self._looked = False
                return False
            if not synced:
                # Not while the lock is held, for which others wait.
                sync_file(temporary)
                synced = True
            self._hold()
        if not synced:
            sync_file(temporary)
        os.replace(temporary, self._path)  # noqa: PTH105
        return True

    def _remove(self) -> None:
        folder = self._key.rpartition("/")[0]
        self._store.check_folder(folder)
        self._hold()
        if self._file is None and self._locks is None:
            return
        try:
            os.unlink(self._path)  # noqa: PTH108
        except (FileNotFoundError, NotADirectoryError):
            return
        self.end()
        self._store.remove_empty(folder)
        if self._store.durability == "full":
            self._store.sync_folders(self._key)


def put_new(store: LocalStore, temporary: str, path: str) -> bool:
    """Give a temporary file a name that nothing has; False if something has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (*UNABLE, errno.EMLINK):
            raise
        warn_of_no_locks(store)
        with store.place.locks.held(("a new name",)):  # which is no key
            if os.path.lexists(path):
                return False
            os.replace(temporary, path)  # noqa: PTH105
        return True
    os.unlink(temporary)  # noqa: PTH108
    return True


def warn_of_no_locks(store: LocalStore) -> None:
    """Say once of a store that writers in other processes are not kept out."""
    place = store.place
    with place.guard:
        if place.warned:
            return
        place.warned = True
    warnings.warn(
        f"the file system of {store} has no file locks or hard links, so that writers in different "
        "processes must not write to the same chunk or node at the same time",
        ZarrRuntimeWarning,
        stacklevel=2,
    )
