"""Writers of an environment of LMDB wait for each other, but not for ever.

Rules of this file:

* LMDB itself waits without a limit. So the threads of this process wait at a lock of their own, and
  the first of them looks at the mutex of the environment until no other process has it.
* A mutex in the lock file names the thread that has it, on Linux. If a program takes it between
  the look and the beginning of a transaction, LMDB waits for it. Elsewhere nobody looks.
* The file is opened by the first writer, and kept open while the environment is, because closing
  it would drop LMDB's own locks.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import time
from contextlib import suppress
from threading import RLock
from weakref import ref

from fastzarr.config import config
from fastzarr.errors import DatabaseError
from fastzarr.stores import stopping
from fastzarr.stores.database_files import has_thread, process_of
from fastzarr.stores.users import Hold, Line, Monitor

# The first bytes of a lock file, and those of the mutex of writers. The thread is a part of it.
_HEAD = struct.Struct("=II")
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_MUTEX, _OFFSET = struct.Struct("=I"), 64
_THREAD = 0x3FFFFFFF
# How long a writer waits between two looks, at first and at most.
_FIRST, _LONGEST = 0.0002, 0.02


class Writers:
    """The writers of an environment, of which one at a time may begin a transaction."""

    def __init__(self, url: str) -> None:
        """Initialise without a lock file."""
        self._url = url
        self._writer: ref[object] | None = None
        self.reset()
        # The path of the lock file until it is opened.
        self._path = ""
        self._file: int | None = None

    def open(self, path: str) -> None:
        """Set the path of the lock file of an environment that has just been opened."""
        self.close()
        if sys.platform == "linux":
            self._path = path

    def close(self) -> None:
        """Close the lock file of an environment that has been closed."""
        file, self._file, self._path = self._file, None, ""
        if file is not None:
            os.close(file)

    def __del__(self) -> None:
        """Close the lock file."""
        self.close()

    def begin(self, writer: object) -> None:
        """Wait for all other writers, or raise DatabaseError with the one that has the lock.

        ``end`` must be called at the end, unless the writer is gone then.
        """
        timeout = config.flat["database.timeout"]
        end = time.monotonic() + timeout
        hold = Hold()

        def look() -> bool:
            taken = self._writer is not None and self._writer() is not None
            if taken or (self._line.known and self._line.is_before(hold)):
                self._check(end, timeout, os.getpid())
                return False
            self._writer = ref(writer)
            return True

        self._monitor.wait_in_turn(look, self._line, hold)
        if self._path:
            path, self._path = self._path, ""
            # Without the file, the environment has no locks.
            with suppress(OSError):
                self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        pause = _FIRST
        while (holder := self._holder()) is not None:
            self._check(end, timeout, holder)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)

    def end(self, writer: object) -> None:
        """Let other threads write, if this one did."""
        if self._writer is not None and self._writer() is writer:
            with self._monitor.lock:
                self._writer = None
                self._monitor.notify()

    def reset(self) -> None:
        """Forget the threads of the parent, in a forked child."""
        self._monitor = Monitor(RLock())
        self._writer = None
        # Those that have waited for a while.
        self._line: Line[Hold] = Line()

    def _check(self, end: float, timeout: float, holder: int) -> None:
        stopping.check()
        if time.monotonic() >= end:
            msg = f"the environment was locked for {timeout:g} seconds by {process_of(holder)}"
            made = DatabaseError(msg, self._url)
            made.errno = errno.EAGAIN
            raise made

    def _holder(self) -> int | None:
        """Return the thread that has the mutex; None if it is free, or if that is not known."""
        if self._file is None:
            return None
        data = os.pread(self._file, _OFFSET + _MUTEX.size, 0)
        if len(data) < _OFFSET + _MUTEX.size:
            return None
        magic, version = _HEAD.unpack_from(data)
        (word,) = _MUTEX.unpack_from(data, _OFFSET)
        thread: int = word & _THREAD
        if magic != _MAGIC or version & 0xFFFF != _VERSION or not thread:
            return None
        # LMDB takes the mutex of a dead thread itself.
        return thread if has_thread(thread) else None
