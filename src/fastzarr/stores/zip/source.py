"""Where the bytes of an archive are: a file by its path, an open file, or a value of a store.

Rules of this file:

* Bytes are read by their offset, all of them or none: a file that ends too early is an error.
* A file is written only while it is locked, and the lock is that of the file which has the path at
  that time. It is opened for this, so that neither a forked child nor a copy keeps the lock.
* A lock is waited for until ``database.timeout`` has passed, as that of a database: a process that
  has it may be suspended, or be another program.
* Where a system or file system has no locks, other processes are not excluded.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from fastzarr.config import config
from fastzarr.errors import ArchiveError
from fastzarr.stores import stopping
from fastzarr.stores.capabilities import Request
from fastzarr.stores.database_files import not_released
from fastzarr.stores.local import system

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastzarr.stores.base import Store

# The most parts that the system writes in one call.
_PARTS = 512
_READ = os.O_RDONLY | system.BINARY
_CHANGE = os.O_RDWR | system.BINARY
# How long a writer waits before it tries the lock again: first, and at most.
_FIRST, _LONGEST = 0.0002, 0.005


class _Locked(threading.local):
    """How many files the calling thread has locked, or waits to lock."""

    count = 0


locked_here = _Locked()


class Reader(Protocol):
    """The bytes of an archive."""

    def tail(self, most: int) -> tuple[bytes, int]:
        """Return the last bytes, and the number of all bytes."""

    def read(self, first: int, size: int) -> bytes:
        """Return ``size`` bytes from ``first`` on."""


class OpenFile:
    """A file that is open for reading, until nothing refers to it any more."""

    __slots__ = ("__weakref__", "identity", "number", "path")

    def __init__(self, path: str) -> None:
        """Open the file."""
        self.number, self.path = -1, path
        self.number = os.open(path, _READ)
        info = os.fstat(self.number)
        self.identity = info.st_dev, info.st_ino

    def __del__(self) -> None:
        """Close the file."""
        if self.number >= 0:
            os.close(self.number)

    def seen(self) -> tuple[int, bool]:
        """Return the size of the file, and whether it still has its path."""
        with suppress(OSError):
            info = os.stat(self.path)
            if (info.st_dev, info.st_ino) == self.identity:
                return info.st_size, True
        return os.fstat(self.number).st_size, False

    def is_same(self, lock: system.FileLock) -> bool:
        """Whether it is the file that is locked."""
        return os.path.samestat(os.fstat(self.number), os.fstat(lock.file))

    def tail(self, most: int) -> tuple[bytes, int]:
        """Return the last bytes, and the number of all bytes."""
        size = os.fstat(self.number).st_size
        first = max(size - most, 0)
        return self.read(first, size - first), size

    def read(self, first: int, size: int) -> bytes:
        """Return ``size`` bytes from ``first`` on."""
        try:
            return system.read_part(self.number, first, first + size) if size else b""
        except OSError as error:
            error.filename = self.path
            raise


class FileSource:
    """The file at a path."""

    def __init__(self, path: str) -> None:
        """Initialise; the file may be missing."""
        self.path = os.path.realpath(path)

    def open(self) -> OpenFile:
        """Open the file that has the path now; raise FileNotFoundError if there is none."""
        return OpenFile(self.path)

    @contextmanager
    def locked(self, *, shared: bool = False, create: bool = False) -> Iterator[FileChange]:
        """Hold the lock of the file in a ``with`` block; with ``create``, make it if missing."""
        flags = _READ if shared else _CHANGE | (os.O_CREAT if create else 0)
        while True:
            locked_here.count += 1
            lock = None
            try:
                lock = system.FileLock.open(lambda: os.open(self.path, flags, 0o666))
                self._wait(lock, shared=shared)
                if self._has_path(lock):
                    yield FileChange(lock, self.path)
                    return
            finally:
                if lock is not None:
                    lock.end()
                locked_here.count -= 1

    def _wait(self, lock: system.FileLock, *, shared: bool) -> None:
        """Wait for a lock; raise DatabaseError with its process if that takes long."""
        pause, end = _FIRST, time.monotonic() + config.flat["database.timeout"]
        while not lock.try_lock(shared=shared):
            if time.monotonic() >= end:
                raise not_released(self.path, "the archive was locked", f"zip://{self.path}")
            stopping.pause(pause)
            pause = min(2 * pause, _LONGEST)

    def _has_path(self, lock: system.FileLock) -> bool:
        try:
            return lock.is_at(self.path)
        except FileNotFoundError:
            return False  # deleted since; it is opened again


class FileChange:
    """A file that is locked for a change."""

    def __init__(self, lock: system.FileLock, path: str) -> None:
        """Initialise."""
        self.lock, self.path = lock, path

    def write(self, at: int, parts: Sequence[bytes | memoryview]) -> None:
        """Write parts behind each other."""
        try:
            for first in range(0, len(parts), _PARTS):
                at = self._write(at, [memoryview(part) for part in parts[first : first + _PARTS]])
        except OSError as error:
            error.filename = self.path
            raise

    def _write(self, at: int, views: list[memoryview]) -> int:
        while views:
            if hasattr(os, "pwritev"):
                done = os.pwritev(self.lock.file, views, at)
            else:
                os.lseek(self.lock.file, at, os.SEEK_SET)
                done = os.write(self.lock.file, views[0])
            at += done
            while views and done >= len(views[0]):
                done -= len(views.pop(0))
            if views and done:
                views[0] = views[0][done:]
        return at

    def truncate(self, size: int) -> None:
        """Let the file end at ``size``."""
        os.ftruncate(self.lock.file, size)

    def sync(self) -> None:
        """Let what was written survive a power cut."""
        system.sync_open_file(self.lock.file, self.path)


class ObjectSource:
    """An open file of Python's, which can be sought in."""

    def __init__(self, file: Any) -> None:
        """Initialise; raise TypeError if the file is not binary or cannot be sought in."""
        if not file.seekable():
            msg = f"expected a file that can be sought in, not {file!r}"
            raise TypeError(msg)
        self.object, self._lock = file, threading.RLock()
        if isinstance(self.read(0, 0, short=True), str):
            msg = f"expected a file that is opened in binary mode, not {file!r}"
            raise TypeError(msg)

    def tail(self, most: int) -> tuple[bytes, int]:
        """Return the last bytes, and the number of all bytes."""
        with self._lock:
            size = int(self.object.seek(0, os.SEEK_END))
            first = max(size - most, 0)
            return self.read(first, size - first), size

    def read(self, first: int, size: int, *, short: bool = False) -> bytes:
        """Return ``size`` bytes from ``first`` on."""
        with self._lock:
            self.object.seek(first)
            parts = [self.object.read(size)]
            left = size - len(parts[0])
            while left > 0 and parts[-1]:
                parts.append(self.object.read(left))
                left -= len(parts[-1])
        if left and not short:
            reason = f"the file ends {left} bytes before byte {first + size}"
            raise OSError(errno.EIO, reason, self.path)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def open(self) -> ObjectSource:
        """Return the file itself."""
        return self

    @property
    def path(self) -> str:
        """What stands for the path of the file in messages."""
        return str(getattr(self.object, "name", None) or f"<{type(self.object).__name__}>")

    @contextmanager
    def locked(self, *, shared: bool = False, create: bool = False) -> Iterator[ObjectSource]:
        """Exclude the other threads of this process."""
        del shared, create
        with self._lock:
            yield self

    def write(self, at: int, parts: Sequence[bytes | memoryview]) -> None:
        """Write parts behind each other."""
        self.object.seek(at)
        for part in parts:
            left = memoryview(part)
            while left:
                done = self.object.write(left)
                left = left[len(left) if done is None else done :]

    def truncate(self, size: int) -> None:
        """Let the file end at ``size``."""
        self.object.truncate(size)

    def sync(self) -> None:
        """Pass what was written to the system."""
        self.object.flush()


class RemoteSource:
    """A value of another store, read by ranges."""

    def __init__(self, store: Store, key: str) -> None:
        """Initialise; one request is made when the archive is opened."""
        self.store, self.key = store, key
        self.token: Any = None
        self.size = 0

    def open(self) -> RemoteSource:
        """Return the source itself."""
        return self

    @property
    def path(self) -> str:
        """The URL of the archive."""
        return f"{str(self.store).rstrip('/')}/{self.key}"

    def tail(self, most: int) -> tuple[bytes, int]:
        """Return the last bytes, and the number of all bytes."""
        ((_, found),) = self.store.fetch([Request(self.key, -most)])
        if found is None:
            msg = f"there is no archive {self.key!r} in {self.store}"
            raise FileNotFoundError(errno.ENOENT, msg)
        self.token = found.token
        self.size = size = self.store.getsize(self.key) if found.size is None else found.size
        return bytes(found.data), size

    def read(self, first: int, size: int) -> bytes:
        """Return ``size`` bytes from ``first`` on, or those up to the end."""
        first, size = self.clipped(first, size)
        if not size:
            return b""
        ((_, found),) = self.store.fetch([Request(self.key, first, size)])
        return self.checked(found, first, size)

    def clipped(self, first: int, size: int) -> tuple[int, int]:
        """Return a range without what would be behind the end of the archive."""
        return first, max(min(size, self.size - first), 0)

    def checked(self, found: Any, first: int, size: int) -> bytes:
        """Return the bytes of an answer; raise ArchiveError if the archive was replaced."""
        if found is None or found.token != self.token or len(found.data) != size:
            what = "was deleted" if found is None else "was replaced"
            if found is not None and found.token == self.token:
                what = f"ends {size - len(found.data)} bytes before byte {first + size}"
            msg = f"the archive {self.key!r} in {self.store} {what} since it was opened; reopen it"
            raise ArchiveError(msg)
        return found.data if type(found.data) is bytes else bytes(found.data)
