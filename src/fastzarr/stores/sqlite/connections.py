"""The connections of a store to its database of SQLite.

Rules of this file:

* A connection is used by one thread at a time, and kept for the next one. All are closed before a
  fork, because SQLite's locks do not survive one. It waits for those in use, but not without a
  limit: an interrupt may have left a session in an exception that somebody keeps. The child must
  neither close such a connection nor open its file, whose locks SQLite would take for its own.
* A connection that reads is not tried before it is used. If its first statement fails, ``renew``
  opens another one in the way that a file needs which a dead writer has left, or which nobody may
  write.
* Whether a file is whole is not asked again until the system tells that the file has changed.
* SQLite itself waits for locks only briefly, so that Ctrl-C ends the wait; ``session.py`` repeats
  it until ``timeout``.
* A database in memory is that of its one connection.
* An interrupt may come at any time, and leave a session that never ends. It counts no more when it
  is gone, or when its thread begins another one, which undoes what it has not committed.
* A large transaction writes its values once with a rollback journal, and twice with a write-ahead
  log, which makes small ones faster. So the log is used when a store has made some small
  transactions, and by all others after that. A store that is closed ends it if it is the last one,
  so that the database is one file.
* Without a log, a small transaction has its pages in memory, so that it waits for readers only at
  its end. A large one keeps readers out from its beginning, so that it may write pages at any time.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from _thread import RLock
from contextlib import suppress
from functools import lru_cache
from threading import get_ident
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastzarr._lazy import cached
from fastzarr.config import config
from fastzarr.errors import DatabaseError
from fastzarr.stores import place, stopping
from fastzarr.stores.database_files import in_use, is_writable, keep, lock_holders, make_folders
from fastzarr.stores.users import Line, Monitor, Users

if TYPE_CHECKING:
    from collections.abc import Hashable

    from fastzarr.stores.place import Place

    _State = tuple[int, int, int, int, int]

#: The path of a database in memory.
MEMORY = ":memory:"
# The modes of connections: to read, to read in a store that may be written, and to write.
READ, UPDATE, CREATE = "ro", "rw", "rwc"

# How long SQLite itself waits for a lock, in seconds.
_LOOK = 0.05
# How long a fork waits for those who use a connection, in seconds.
_WAIT = 60.0
# How often the size of the file is looked at before it is taken for wrong.
_LOOKS = 4
# Values of hundreds of kilobytes are read a third faster than with SQLite's default, 4096.
_PAGE_SIZE = 16384
# With a rollback journal, a small transaction takes four syncs more than with a log, which takes
# about ten to begin and to end.
_FEW = 4
_SMALL = 1 << 20
_CODES = {
    sqlite3.SQLITE_FULL: (errno.ENOSPC, "the disk is full, so nothing was written"),
    sqlite3.SQLITE_NOTADB: (errno.EINVAL, "the file is not a database of SQLite"),
    sqlite3.SQLITE_CORRUPT: (errno.EIO, "the database is damaged or incomplete"),
    sqlite3.SQLITE_READONLY: (errno.EROFS, "the file or its folder must not be written"),
    sqlite3.SQLITE_CANTOPEN: (errno.EACCES, "the file cannot be opened"),
    sqlite3.SQLITE_IOERR: (errno.EIO, "the file cannot be read or written"),
    sqlite3.SQLITE_TOOBIG: (errno.EFBIG, "the value is larger than SQLite permits"),
}


# The files that were found whole, as they were then, so that they are not checked again.
_whole: dict[_State, None] = {}
_MOST = 256
# The files that were in use when this process was forked, and the connections to them.
_inherited: set[Hashable] = set()


class Link:
    """A connection with its mode, and what was set for it."""

    __slots__ = ("connection", "in_use", "logs", "mode", "settings", "within")

    def __init__(self, connection: sqlite3.Connection, mode: str) -> None:
        """Initialise with a new connection."""
        self.connection, self.mode = connection, mode
        #: The settings that were made.
        self.settings: dict[str, str] = {}
        #: Whether the database has a log, which it keeps while this connection is open.
        self.logs = False
        #: Whether a session has it, and whether a transaction of somebody else was under way then.
        self.in_use = self.within = False


class Connections:
    """The connections to a database: those that no thread uses now, and how many are in use."""

    # Those that have waited for a while; all share an empty line until one waits.
    _line: Line[object] = Line()

    def __init__(self, path: str, kwargs: dict[str, Any]) -> None:
        """Initialise without a connection."""
        self.path = path
        self._in_memory = path == MEMORY
        self._timeout: float | None = kwargs.get("timeout")
        self._lock = RLock()
        # Those that no thread uses, by the mode in which they were opened.
        self._idle: dict[str, list[Link]] = {READ: [], UPDATE: [], CREATE: []}
        # How many small transactions there were without a log.
        self._small = 0
        # The sessions under way, each with its connection, and the thread that waits to fork.
        self._users: Users[object, list[Link]] = Users()
        self._forking: int | None = None
        self._own: sqlite3.Connection | None = None
        # The inode of the file that the connections are to.
        self._file: tuple[int, int] | None = None
        wait = config.flat["database.timeout"] if self._timeout is None else self._timeout
        self._kwargs = {**kwargs, "timeout": min(_LOOK, wait)}
        place.tell_of_forks(self)

    @property
    def url(self) -> str:
        """The URL of the file, as the store has it."""
        return f"sqlite://{self.path}"

    @cached
    def place(self) -> Place:
        """The identity of the values, which lives as long as this."""
        if self._in_memory:
            return place.own()
        return place.of_name(f"sqlite://{place.real_path(self.path)}")

    @cached
    def _monitor(self) -> Monitor:
        """Those who wait, of whom there are few."""
        return Monitor(self._lock)

    @property
    def timeout(self) -> float:
        """How long a lock is waited for, in seconds."""
        return float(config.flat["database.timeout"] if self._timeout is None else self._timeout)

    def _look(self) -> tuple[tuple[int, int] | None, os.stat_result | None]:
        """Return the device and inode of the file, and what the system tells; None if missing.

        Raise ForkedError if the database was in use when this process was forked.
        """
        if self in _inherited:
            raise in_use(self.url)
        if self._in_memory:
            return None, None
        try:
            info = os.stat(self.path)
        except FileNotFoundError:
            return None, None
        except OSError as error:
            raise self.worded(error) from error
        file = (info.st_dev, info.st_ino)
        if file in _inherited:
            raise in_use(self.url)
        return file, info

    def take(self, mode: str, session: object) -> Link | None:
        """Return a connection that no other thread uses, which can do what one of ``mode`` can.

        Return None if there is no file, and none is to be created.
        """
        lent: list[Link] = []
        if self._in_memory:
            # Another connection would be to another database.
            mode = CREATE
        with self._lock:
            waits = self._users.known or self._line.known or self._forking is not None
            if not waits:
                self._users.add(session, get_ident(), lent)
        if waits:
            self._wait(session, lent)
        try:
            with self._lock:
                file, info = self._look()
                if file != self._file:
                    # Another file has the name now, or none has.
                    if self._file is not None:
                        self._close_idle()
                    self._file, self._small = file, 0
                if file is None and mode != CREATE:
                    self.give_back(None, session)
                    return None
                # Whoever may write must not read through a connection that was opened for reading.
                idle = self._idle[CREATE if mode != READ and self._idle[CREATE] else mode]
                if idle:
                    return self._lend(idle, lent)
            made = Link(self._open(mode, tried=mode == CREATE, info=info), mode)
            if file is not None:
                lent.append(made)
                return made
            with self._lock:
                self._idle[mode].append(made)
                self._file, _ = self._look()
                return self._lend(self._idle[mode], lent)
        except BaseException:
            self.give_back(None, session)
            raise

    def _wait(self, session: object, lent: list[Link]) -> None:
        """Count a session when it may have a connection."""
        me = get_ident()
        with self._lock:
            self._line = vars(self).get("_line") or Line()

        def look() -> bool:
            if not self._is_free(me) or (self._line.known and self._line.is_before(session)):
                return False
            self._users.add(session, me, lent)
            return True

        self._monitor.wait_in_turn(look, self._line, session)

    def _lend(self, idle: list[Link], lent: list[Link]) -> Link:
        """Let a session have the last connection of a list."""
        if not self._in_memory:
            lent.append(idle.pop())
            return lent[0]
        link = idle[-1]
        # It stays where it is, because the values would be lost with it.
        if link.in_use and not link.within and link.connection.in_transaction:
            link.connection.rollback()
        link.within = link.connection.in_transaction
        link.in_use = True
        return link

    def _is_free(self, me: int) -> bool:
        """Whether a thread may use a connection now, with the lock held.

        End the sessions that interrupts have left, and those of the thread.
        """
        if self._forking not in (None, me):
            return False
        for _, lent in self._users.end_left(me):
            for link in lent:
                link.connection.close()
        return not (self._in_memory and self._users.known)

    def give_back(self, link: Link | None, session: object) -> None:
        """Count a session no more, and keep its connection, if it has one, for the next one."""
        # If it was interrupted, it is in an unknown state.
        left = link is not None and link.connection.in_transaction and not link.within
        if link is None:
            pass
        elif self._in_memory:
            link.in_use = left
        elif left:
            link.connection.close()
        with self._lock:
            self._users.end(session)
            # Nobody else waits for those who use a connection.
            if self._in_memory or self._forking is not None:
                self._monitor.notify()
            if not (link is None or self._in_memory or left):
                self._idle[link.mode].append(link)

    def renew(self, link: Link) -> None:
        """Replace a connection whose first statement has failed by one that was tried."""
        made = self._open(link.mode)
        link.connection.close()
        link.connection, link.logs = made, False
        link.settings.clear()

    def begin(self, link: Link, nbytes: int, *, synced: bool) -> None:
        """Begin a transaction that writes so many bytes, and keeps other writers out."""
        # The folder is synced with EXTRA, too, so that no power cut brings the journal back.
        self._set(link, "synchronous", "EXTRA" if synced else "NORMAL")
        large = False
        if not self._in_memory and not self._has_log(link):
            large = synced and nbytes >= _SMALL
            self._small += not large
            if not synced or self._small > _FEW or self._own is not None:
                # If others prevent it, it is tried again later.
                self._small = 0
                large = not self._set_log(link, "WAL") and large
            self._set(link, "cache_spill", "ON" if large else "OFF")
        statement = f"BEGIN {'EXCLUSIVE' if large else 'IMMEDIATE'}"
        self.execute(link.connection, statement)
        if not synced and not self._in_memory and not self._has_log(link):
            # A journal that is not synced might be torn when the database is not intact.
            link.connection.rollback()
            self._set(link, "synchronous", "FULL")
            self.execute(link.connection, statement)

    def _set(self, link: Link, name: str, value: str) -> None:
        """Make a setting, outside of a transaction."""
        if link.settings.get(name) != value:
            self.execute(link.connection, f"PRAGMA {name}={value}")
            link.settings[name] = value

    def _has_log(self, link: Link) -> bool:
        """Whether the database has a write-ahead log, as was found by the last transaction."""
        if not link.logs:
            link.logs = self.execute(link.connection, "PRAGMA journal_mode") == [("wal",)]
        return link.logs

    def _set_log(self, link: Link, mode: str) -> bool:
        """Begin to use a write-ahead log, or end it; return False if others prevent it."""
        with suppress(sqlite3.OperationalError):
            found = link.connection.execute(f"PRAGMA journal_mode={mode}").fetchall()
            link.logs = found == [("wal",)]
            return found == [(mode.lower(),)]
        return False

    def _open(
        self, mode: str, *, tried: bool = True, info: os.stat_result | None = None
    ) -> sqlite3.Connection:
        try:
            if not tried:
                try:
                    return self._connected(mode, tried=False, info=info)
                except sqlite3.OperationalError:
                    pass  # it may need what follows
            if self._in_memory:
                return self._connected(mode)
            if mode == CREATE:
                make_folders(os.path.dirname(self.path))
                return self._connected(mode)
            # What a dead writer has left must be merged or undone by a connection that writes.
            for one in (mode, UPDATE):
                with suppress(sqlite3.OperationalError):
                    return self._connected(one)
            left = max(_size(f"{self.path}-{end}") for end in ("wal", "journal"))
            if left or is_writable(os.path.dirname(self.path)):
                return self._connected(mode)
            # In a folder that nobody may write to, the log cannot be opened, and is not needed.
            return self._connected(f"{READ}&immutable=1")
        except (sqlite3.Error, OSError) as error:
            raise self.worded(error) from error

    def _connected(
        self, mode: str, *, tried: bool = True, info: os.stat_result | None = None
    ) -> sqlite3.Connection:
        name = MEMORY if self._in_memory else f"{_url(self.path)}?mode={mode}"
        made: sqlite3.Connection = sqlite3.connect(
            name,
            uri=not self._in_memory,
            isolation_level=None,
            check_same_thread=False,
            **self._kwargs,
        )
        try:
            if mode == CREATE:
                made.execute(f"PRAGMA page_size={_PAGE_SIZE}")
            if tried:
                self._try(made)
            if not self._in_memory:
                state = None if info is None else _state(info)
                if state not in _whole:
                    self._check_size(made, state)
        except BaseException:
            made.close()
            raise
        return made

    def _try(self, made: sqlite3.Connection) -> None:
        """Read the head of the file, and undo what a dead writer has left."""
        self.execute(made, "PRAGMA schema_version")

    def _check_size(self, made: sqlite3.Connection, state: _State | None) -> None:
        """Raise DatabaseError if the file ends within a page, which SQLite would read as zeros.

        ``state`` is that of the file just before, if it was there.
        """
        size = None if state is None else state[0]
        for look in range(_LOOKS):
            ((page,),) = made.execute("PRAGMA page_size").fetchall()
            # With a log, the last pages are there until the file is synced.
            if size is not None and size % page == 0:
                if state is not None and size == state[0]:
                    _remember(state)
                return
            size = _size(self.path)
            if size % page == 0 or _size(f"{self.path}-wal"):
                return
            size = None
            if look:
                # Another process may be adding pages now.
                time.sleep(_LOOK)
            self._try(made)
        msg = "the database is incomplete: the file ends within a page"
        raise DatabaseError(msg, self.url)

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
                if not is_locked(error) or time.monotonic() >= end:
                    raise
                stopping.check()

    def own(self, table: str) -> sqlite3.Connection:
        """Return the connection of the store's user, after executing a statement."""
        me = get_ident()
        found: list[sqlite3.Connection] = []

        def look() -> bool:
            if self._own is None:
                if not self._is_free(me):
                    return False
                self._own = self._made_own(table)
            found.append(self._own)
            return True

        self._monitor.wait(look)
        return found[0]

    def _made_own(self, table: str) -> sqlite3.Connection:
        self._look()
        link = next(iter(self._idle[CREATE]), None) if self._in_memory else None
        if link is None:
            link = Link(self._open(CREATE), CREATE)
            if self._in_memory:
                self._idle[CREATE].append(link)
            else:
                # With a log, what the user reads does not keep writers waiting.
                self._set_log(link, "WAL")
        link.connection.execute(table)
        return link.connection

    def _close_idle(self) -> None:
        for some in self._idle.values():
            while some:
                some.pop().connection.close()

    def close(self, *, merge: bool = False) -> None:
        """Close all connections that are not in use; with ``merge``, end the log."""
        with self._lock:
            if self._in_memory or self in _inherited:
                return
            own, self._own = self._own, None
            if own is not None:
                own.close()
            last = self._idle[CREATE].pop() if merge and self._idle[CREATE] else None
            for some in self._idle.values():
                while some:
                    some.pop().connection.close()
            if last is not None:
                if self._has_log(last):
                    # Others that have the database open end the log when they close it.
                    last.connection.execute("PRAGMA busy_timeout=0")
                    self._set_log(last, "DELETE")
                last.connection.close()
            self._small = 0

    def __del__(self) -> None:
        """Close all connections."""
        self._in_memory = False
        if self._own is not None or any(self._idle.values()):
            self.close()

    def before_fork(self) -> None:
        """Wait for other threads, and close all connections to the file."""
        me = get_ident()
        with self._lock:
            self._forking = me

        def look() -> bool:
            return self._is_free(me) and not self._users.known

        # A session that is left in a cycle ends when the wait collects garbage.
        self._monitor.wait(look, _WAIT)
        self.close()

    def after_fork(self, *, child: bool) -> None:
        """Let other threads use the database again."""
        self._forking = None
        if child:
            self._lock = RLock()
            vars(self).pop("_monitor", None)
            if self._users.known:
                self._inherit()
            return
        with self._lock:
            self._monitor.notify()

    def _inherit(self) -> None:
        """Give up the database in a forked child, because other threads of the parent use it."""
        links = [link for _, lent in self._users.known.values() for link in lent]
        for some in self._idle.values():
            links += some
            some.clear()
        for link in links:
            keep(link)
        self._users, self._own = Users(), None
        _inherited.update({self, self._file} - {None})

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


def is_locked(error: sqlite3.Error) -> bool:
    """Whether a statement has failed because of the locks of others."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _state(info: os.stat_result) -> _State:
    """Return the size of a file, and what else is another one after each change of it."""
    return info.st_size, info.st_dev, info.st_ino, info.st_mtime_ns, info.st_ctime_ns


def _remember(state: _State) -> None:
    if len(_whole) >= _MOST:
        _whole.clear()
    _whole[state] = None


@lru_cache(64)
def _url(path: str) -> str:
    drive = "/" if os.name == "nt" else ""
    return f"file://{drive}{quote(os.fsencode(path.replace(os.sep, '/')))}"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
