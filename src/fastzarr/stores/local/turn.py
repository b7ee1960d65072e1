"""Locking and writing of values in a folder, as the extension's ``commit.rs`` does it.

Rules of this file:

* A value is written to a temporary file beside its target, then renamed in one step. A failure
  deletes the temporary file and keeps the old value.
* To change an existing value, a writer locks that file before reading it and keeps the lock until
  the new file has been renamed over it. After locking it checks that the name still refers to the
  same file. To create a value, a writer links its file to the name, which fails if another writer
  was first. Therefore no two writers, in any threads or processes, start from the same old value.
* The new file of a document is locked before it is renamed, so that the turn goes on until its end,
  although the name refers to another file by then. It may be written before other values on which
  the document relies, so that the disk writes all of them together.
* The lock is the kernel's (``flock``) on the file of the value: no lock file is needed, and the
  lock ends with its holder; a forked child does not keep it.
* The folder's ``durability`` determines which data survives a power cut: with ``replace``, a value
  that replaces another is synced first; with ``full``, everything, including folders, is synced
  before the call returns.
* On a file system without locks or hard links, only the threads of one process exclude each other.
  This is reported once, in a warning.
"""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from fastzarr.buffers import flat_bytes
from fastzarr.errors import ZarrRuntimeWarning, caller_level
from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.local.system import (
    HAS_LOCKS,
    UNABLE,
    FileLock,
    link,
    patiently,
    read_part,
    sync_file,
    sync_open_file,
    temporary_name,
    write_file,
    write_locked,
)
from fastzarr.stores.place import of_folder

if TYPE_CHECKING:
    from collections.abc import Collection

    from typing_extensions import Buffer

    from fastzarr.stores.capabilities import Prepared
    from fastzarr.stores.local.folder import Folder
    from fastzarr.stores.users import Hold


class _New:
    """A document in a locked file with a temporary name: see ``Prepared``."""

    __slots__ = ("lock", "path", "synced", "value")

    def __init__(self, path: str, value: Buffer) -> None:
        """Initialise with the temporary name; the file is not written yet."""
        self.path, self.value, self.synced = path, value, False
        self.lock: FileLock | None = None

    def written(self, target: str) -> FileLock:
        """Write the file, if it is not written yet, and return it; errors name ``target``."""
        if self.lock is None:
            self.lock = write_locked(self.path, flat_bytes(self.value, target), target)
        return self.lock

    def discard(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            os.unlink(self.path)
        if self.lock is not None:
            self.lock.end()


class FileTurn:
    """A turn at a key of a folder that excludes other threads and processes."""

    __slots__ = ("_folder", "_hold", "_key", "_lock", "_looked", "_new", "_path")

    def __init__(self, folder: Folder, key: str) -> None:
        """Initialise; the lock is taken when it is first needed."""
        self._folder, self._key = folder, key
        self._path = folder.base + key
        self._lock: FileLock | None = None
        self._looked = False
        # The lock among threads, used if the file system has none.
        self._hold: Hold | None = None
        self._new: _New | None = None

    def get(self) -> bytes | None:
        """Lock the value and return it; None if the key is missing."""
        info = self._lock_file()
        self._looked = True
        if self._lock is None:
            return None if self._hold is None else self._folder.read(self._key)
        try:
            file = self._lock.file
            return read_part(file, 0, (info or os.fstat(file)).st_size)
        except OSError as error:
            error.filename = self._path
            raise

    def lock(self) -> None:
        """Lock the value without reading it, unless the key is missing."""
        self._lock_file()

    def put(self, value: Buffer | None) -> bool:
        """Store or delete the value; return False if another writer created it since ``get``."""
        if value is None:
            # A writer that found the key missing does not delete a value created since.
            if not self._looked or self._lock is not None or self._hold is not None:
                self._remove()
            return True
        return self._folder.write_beside(self._key, lambda folder: self._write(folder, value))

    def prepare(self, value: Buffer) -> Prepared | None:
        """Write a document that will be put to a file, before others that it relies on are written.

        Return None if that saves no wait.
        """
        if self._lock is None or not self._is_document() or self._folder.durability == "none":
            return None
        # Assigned first, so that Ctrl-C leaves no temporary file.
        new = self._new = _New(temporary_name(os.path.dirname(self._path)), value)
        new.written(self._path)
        return new

    def end(self) -> None:
        """Release the locks."""
        self._discard()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.end()
        hold, self._hold = self._hold, None
        if hold is not None:
            self._folder.place.locks.give_back(hold)

    def _lock_file(self) -> os.stat_result | None:
        """Lock the file that has the name of the key, if there is one.

        Return its ``stat`` if it was not locked before.
        """
        named = None
        access = os.O_RDONLY
        if not HAS_LOCKS and self._hold is None:
            warn_of_no_locks(self._folder)
            self._take_turns()
        while self._lock is None and self._hold is None:
            lock = self._folder.open_to_lock(self._key, access)
            if lock is None:
                if os.path.islink(self._path):
                    # A link that leads out of the root or nowhere is replaced or deleted itself.
                    self._take_turns()
                return None
            self._lock = lock
            info = os.fstat(lock.file)
            self._folder.check_file(self._key, info)
            if not lock.lock():
                self.end()
                if access == os.O_RDONLY and os.access(self._path, os.W_OK):
                    # Network file systems only lock files that are open for writing.
                    access = os.O_RDWR
                    continue
                warn_of_no_locks(self._folder)
                self._take_turns()
                return None
            named = self._folder.leads_to(self._key, info)
            if named is None:
                # Another file has the name by now, or none has: lock that one.
                self.end()
        return named

    def _take_turns(self) -> None:
        self._hold = self._folder.place.locks.take(self._key)

    def _discard(self) -> None:
        new, self._new = self._new, None
        if new is not None:
            new.discard()

    def _is_document(self) -> bool:
        return self._key.rpartition("/")[2] in METADATA_NAMES

    def _write(self, folder: str, value: Buffer) -> bool:
        durability = self._folder.durability
        temporary = temporary_name(folder)
        # A new chunk replaces nothing. A document makes chunks readable.
        document = self._is_document()
        sync = durability == "full" or (durability == "replace" and document)
        try:
            # Inside `try`, so that Ctrl-C leaves no temporary file.
            if document and sync and self._lock is not None:
                published = self._replace_synced(temporary, value, self._lock)
            else:
                write_file(temporary, flat_bytes(value, self._key), self._path, sync=sync)
                published = self._publish(temporary, synced=sync or durability == "none")
        except BaseException as error:
            self._discard()
            with suppress(OSError):
                os.unlink(temporary)
            if isinstance(error, IsADirectoryError):
                reason = "a value cannot be stored where a folder is"
                raise IsADirectoryError(errno.EISDIR, reason, self._path) from None
            raise
        if not published:
            os.unlink(temporary)
        elif durability == "full":
            self._folder.sync_ways((self._key,))
        return published

    def _publish(self, temporary: str, *, synced: bool) -> bool:
        while self._lock is None and self._hold is None:
            if put_new(self._folder, temporary, self._path):
                return True
            if self._looked:
                self._looked = False
                return False
            if not synced:
                # Before the lock is taken, for which others wait.
                sync_file(temporary)
                synced = True
            self._lock_file()
        if not synced:
            sync_file(temporary)
        if self._lock is not None and self._is_document():
            self._replace(temporary, self._lock)
        else:
            patiently(os.replace, temporary, self._path)
        return True

    def _replace_synced(self, temporary: str, value: Buffer, old: FileLock) -> bool:
        """Replace a document by a file that is written and synced, and keep the turn."""
        new = self._new
        if new is None or new.value is not value:
            self._discard()
            new = self._new = _New(temporary, value)
        lock = new.written(self._path)
        if not new.synced:
            sync_open_file(lock.file, self._path)
        patiently(os.replace, new.path, self._path)
        self._new, self._lock = None, lock
        old.end()
        return True

    def _replace(self, temporary: str, old: FileLock) -> None:
        """Rename a file over the value, and keep the turn: the file is locked before.

        It is closed before it is renamed, because not every file system stores it earlier.
        """
        new = FileLock.open(lambda: os.open(temporary, self._folder.flags))
        try:
            new.lock()
            patiently(os.replace, temporary, self._path)
        except BaseException:
            new.end()
            raise
        self._lock = new
        old.end()

    def _remove(self) -> None:
        folder = self._key.rpartition("/")[0]
        self._folder.check(folder)
        self._lock_file()
        if self._lock is None and self._hold is None:
            return
        try:
            patiently(os.unlink, self._path)
        except (FileNotFoundError, NotADirectoryError):
            return
        self.end()
        self._folder.remove_empty(folder)
        if self._folder.durability == "full":
            self._folder.sync_ways((self._key,))


def put(folder: Folder, key: str, value: Buffer | None) -> None:
    """Store a value in a turn of its own; None deletes the key."""
    turn = FileTurn(folder, key)
    try:
        turn.put(value)
    finally:
        turn.end()


def remove_many(folder: Folder, keys: Collection[str]) -> None:
    """Delete keys, each in a turn of its own, but sync each folder once, at the end."""
    durability = folder.durability
    quick = folder.with_durability("none") if durability == "full" else folder
    try:
        for key in keys:
            put(quick, key, None)
    finally:
        if durability == "full":
            folder.sync_ways(keys)


def put_new(folder: Folder, temporary: str, path: str) -> bool:
    """Rename a temporary file to a new name; return False if the name is taken."""
    try:
        link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (*UNABLE, errno.EMLINK):
            raise
        warn_of_no_locks(folder)
        with folder.place.locks.held(("a new name",)):  # differs from any key
            if os.path.lexists(path):
                return False
            patiently(os.replace, temporary, path)
        return True
    patiently(os.unlink, temporary)
    return True


def warn_of_no_locks(folder: Folder) -> None:
    """Warn, once for a store's root, that writers in other processes are not excluded."""
    if not of_folder(folder.named).warns():
        return
    warnings.warn(
        f"the file system of {folder} lacks locks of files or folders, or hard links, so different "
        "processes must not write to the same chunk or node at the same time",
        ZarrRuntimeWarning,
        stacklevel=caller_level(),
    )
