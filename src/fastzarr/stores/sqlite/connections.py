"""The connections of a store to its database of SQLite.

Rules of this file:

* A connection is used by one thread at a time, and kept for the next one. All are closed before a
  fork, because SQLite's locks do not survive one.
* SQLite itself waits for locks only briefly, so that Ctrl-C ends the wait; ``session.py`` repeats
  it until ``timeout``.
* A database in memory is that of its one connection.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from threading import Condition, get_ident
from typing import TYPE_CHECKING, Any

from fastzarr.config import config
from fastzarr.errors import DatabaseError
from fastzarr.stores import place, stopping
from fastzarr.stores.database_files import is_writable, lock_holders

if TYPE_CHECKING:
    from fastzarr.stores.place import Place

#: The path of a database in memory.
MEMORY = ":memory:"
# The modes of connections: to read, to read in a store that may be written, and to write.
READ, UPDATE, CREATE = "ro", "rw", "rwc"

# How long SQLite itself waits for a lock, in seconds.
_LOOK = 0.05
# How often the size of the file is looked at before it is taken for wrong.
_LOOKS = 4
# Values of hundreds of kilobytes are read a third faster than with SQLite's default, 4096.
_PAGE_SIZE = 16384
_CODES = {
    sqlite3.SQLITE_FULL: (errno.ENOSPC, "the disk is full, so nothing was written"),
    sqlite3.SQLITE_NOTADB: (errno.EINVAL, "the file is not a database of SQLite"),
    sqlite3.SQLITE_CORRUPT: (errno.EIO, "the database is damaged or incomplete"),
    sqlite3.SQLITE_READONLY: (errno.EROFS, "the file or its folder must not be written"),
    sqlite3.SQLITE_CANTOPEN: (errno.EACCES, "the file cannot be opened"),
    sqlite3.SQLITE_IOERR: (errno.EIO, "the file cannot be read or written"),
    sqlite3.SQLITE_TOOBIG: (errno.EFBIG, "the value is larger than SQLite permits"),
}


class Connections:
    """The connections to a database: those that no thread uses now, and how many are in use."""

    def __init__(self, url: str, path: str, kwargs: dict[str, Any]) -> None:
        """Initialise without a connection."""
        self.url, self.path = url, path
        self._in_memory = path == MEMORY
        self._timeout: float | None = kwargs.get("timeout")
        self._reset()
        self._kwargs = {**kwargs, "timeout": min(_LOOK, self.timeout)}
        real = f"sqlite://{os.path.realpath(path)}"
        #: The identity of the values, which lives as long as this.
        self.place: Place = place.own() if self._in_memory else place.of_name(real)
        self.place.opened.add(self)

    def _reset(self) -> None:
        self._free = Condition()
        # Those that no thread uses, by the mode in which they were opened.
        self._idle: dict[str, list[sqlite3.Connection]] = {READ: [], UPDATE: [], CREATE: []}
        # The threads that use a connection, and the one that waits for the others to fork.
        self._users: list[int] = []
        self._forking: int | None = None
        self._own: sqlite3.Connection | None = None
        # The inode of the file that the connections are to.
        self._file: tuple[int, int] | None = None

    @property
    def timeout(self) -> float:
        """How long a lock is waited for, in seconds."""
        return float(config.flat["database.timeout"] if self._timeout is None else self._timeout)

    def inode(self) -> tuple[int, int] | None:
        """Return the device and inode of the file, or None if it is missing."""
        try:
            info = os.stat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.worded(error) from error
        return (info.st_dev, info.st_ino)

    def take(self, mode: str) -> tuple[sqlite3.Connection, str] | None:
        """Return a connection that no other thread uses, and its mode; None without a file.

        It can do what one of ``mode`` can.
        """
        me = get_ident()
        with self._free:
            while self._forking not in (None, me):
                self._free.wait()
            if self._in_memory:
                # Another connection would be to another database.
                mode = CREATE
                while self._users:
                    self._free.wait()
            else:
                file = self.inode()
                if file != self._file:
                    # Another file has the name now, or none has.
                    self._close_idle()
                    self._file = file
                if file is None and mode != CREATE:
                    return None
            self._users.append(me)
            # Whoever may write must not read through a connection that was opened for reading.
            for enough in (CREATE, mode) if mode != READ else (READ,):
                if self._idle[enough]:
                    return self._idle[enough].pop(), enough
        try:
            made = self._open(mode)
            if self._file is None and not self._in_memory:
                with self._free:
                    self._file = self.inode()
        except BaseException:
            self._leave(me)
            raise
        return made, mode

    def give_back(self, connection: sqlite3.Connection, mode: str) -> None:
        """Keep a connection for the next thread."""
        if connection.in_transaction and not self._in_memory:
            # It was interrupted, and is in an unknown state.
            connection.close()
        else:
            with self._free:
                self._idle[mode].append(connection)
        self._leave(get_ident())

    def _leave(self, thread: int) -> None:
        with self._free:
            self._users.remove(thread)
            self._free.notify_all()

    def _open(self, mode: str) -> sqlite3.Connection:
        try:
            if self._in_memory:
                return self._connected(mode)
            if mode == CREATE:
                os.makedirs(os.path.dirname(self.path), exist_ok=True)
                return self._connected(mode)
            # A log that a dead writer has left must be merged by a connection that writes.
            for one in (mode, UPDATE):
                with suppress(sqlite3.OperationalError):
                    return self._connected(one)
            if is_writable(os.path.dirname(self.path)) or _size(f"{self.path}-wal"):
                return self._connected(mode)
            # In a folder that nobody may write to, the log cannot be opened, and is not needed.
            return self._connected(f"{READ}&immutable=1")
        except (sqlite3.Error, OSError) as error:
            raise self.worded(error) from error

    def _connected(self, mode: str) -> sqlite3.Connection:
        name = MEMORY if self._in_memory else f"{Path(self.path).as_uri()}?mode={mode}"
        made: sqlite3.Connection = sqlite3.connect(
            name,
            uri=not self._in_memory,
            isolation_level=None,
            check_same_thread=False,
            **self._kwargs,
        )
        try:
            if mode == CREATE:
                self._set_up(made)
            self.execute(made, "SELECT count(*) FROM sqlite_master")
            self._check_size(made)
        except BaseException:
            made.close()
            raise
        return made

    def _check_size(self, made: sqlite3.Connection) -> None:
        """Raise DatabaseError if the file ends within a page, which SQLite would read as zeros."""
        if self._in_memory:
            return
        ((page,),) = self.execute(made, "PRAGMA page_size")
        for _ in range(_LOOKS):
            if _size(self.path) % page == 0:
                return
            # Another process may be adding pages now.
            time.sleep(_LOOK)
        msg = "the database is incomplete: the file ends within a page"
        raise DatabaseError(msg, self.url)

    def _set_up(self, made: sqlite3.Connection) -> None:
        made.execute(f"PRAGMA page_size={_PAGE_SIZE}")
        found: list[Any] = []
        with suppress(sqlite3.OperationalError):
            found = made.execute("PRAGMA journal_mode=WAL").fetchall()
        if found != [("wal",)]:
            # Another connection prevents it. The older journal is as safe, but its transactions
            # must not wait for readers before their end.
            made.execute("PRAGMA cache_spill=OFF")

    def execute(
        self, connection: sqlite3.Connection, statement: str, parameters: tuple[Any, ...] = ()
    ) -> list[Any]:
        """Return all rows of a statement, which waits for the locks of others."""
        end = 0.0
        while True:
            try:
                return connection.execute(statement, parameters).fetchall()
            except sqlite3.OperationalError as error:
                end = end or time.monotonic() + self.timeout
                is_locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_locked or time.monotonic() >= end:
                    raise
                stopping.check()

    def own(self, table: str) -> sqlite3.Connection:
        """Return the connection of the store's user, after executing a statement."""
        with self._free:
            if self._own is None:
                if self._in_memory:
                    while self._users:
                        self._free.wait()
                made = next(iter(self._idle[CREATE]), None) if self._in_memory else None
                if made is None:
                    made = self._open(CREATE)
                    if self._in_memory:
                        self._idle[CREATE].append(made)
                made.execute(table)
                self._own = made
            return self._own

    def _close_idle(self) -> None:
        for some in self._idle.values():
            while some:
                some.pop().close()

    def close(self) -> None:
        """Close all connections that are not in use."""
        with self._free:
            if self._in_memory:
                return
            self._close_idle()
            own, self._own = self._own, None
        if own is not None:
            own.close()

    def __del__(self) -> None:
        """Close all connections."""
        self._in_memory = False
        self.close()

    def before_fork(self) -> None:
        """Wait for other threads, and close all connections to the file."""
        self._free.acquire()
        self._forking = get_ident()
        while any(user != self._forking for user in self._users):
            self._free.wait()
        self.close()

    def after_fork(self, *, child: bool) -> None:
        """Let other threads use the database again."""
        self._forking = None
        if child:
            self._free = Condition()
        else:
            self._free.notify_all()
            self._free.release()

    def worded(self, error: Exception, key: str = "") -> Exception:
        """Return the error of the store for one of SQLite or the system."""
        if isinstance(error, OSError):
            number, words = error.errno, error.strerror or str(error)
        else:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            number, words = _CODES.get(code, (errno.EIO, "SQLite has failed"))
            if code == sqlite3.SQLITE_BUSY:
                number = errno.EAGAIN
                words = f"the database was locked for {self.timeout:g} seconds{self._holders()}"
            elif code == sqlite3.SQLITE_CANTOPEN and os.path.isdir(self.path):
                number, words = errno.EISDIR, "the path is that of a folder"
            words = f"{words} ({error})"
        made = DatabaseError(words, self.url, key)
        made.errno = number
        return made

    def _holders(self) -> str:
        found = lock_holders(self.path, f"{self.path}-shm")
        return f" by {found}" if found else ""


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
