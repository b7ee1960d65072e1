"""A store in a database of the standard library's ``dbm``.

Rules of this file:

* All stores of a path share one open database, which one thread uses at a time. It is closed before
  a fork, because a child that ends would write its old index over that of the parent. If another
  thread uses it for long, or has been left with it by an interrupt, the child keeps it as it is.
* These databases are of one process. While a store has one open, a lock of a file beside it keeps
  other processes out: writers keep out all, readers keep out writers.
* The file of the lock is marked from the first change until the database is synced. A mark whose
  writer is dead means that keys may be missing, so that the database is not read then. After that,
  the file has a note of the index of ``dbm.dumb``, with which damage of it is noticed.
"""

from __future__ import annotations

import dbm
import errno
import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fastzarr.config import config
from fastzarr.errors import BaseZarrError, DatabaseError
from fastzarr.stores import dumb_index, place, stopping
from fastzarr.stores.addresses import InFile
from fastzarr.stores.database import Database
from fastzarr.stores.database_files import in_use, is_writable, keep, not_released
from fastzarr.stores.dbm_table import Table
from fastzarr.stores.place import Locks
from fastzarr.stores.sessions import WritingSession
from fastzarr.stores.stamps import Stamps

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from fastzarr import hints
    from fastzarr.stores.place import Place
    from fastzarr.stores.sessions import Changes
    from fastzarr.stores.users import Hold

# How long a fork waits for the thread that uses the database, in seconds.
_WAIT = 60.0
# How often a process looks whether another one still has the database open, in seconds.
_LOOK = 0.02
_MARK = b"changed\n"
# With less, syncs outweigh what is written.
_BATCH = 4 << 20
# The module of the class of ``dbm.ndbm``, which finds an empty value only sometimes.
_NDBM = "_dbm"
# What a database named by its path may be called on the disk.
_ENDINGS = ("", ".db", ".dat", ".dir", ".pag")


class DBMStore(InFile, Database):
    """A store in a DBM database, as zarr-python 2's ``DBMStore`` made it.

    ``path``, ``flag``, ``mode`` and other keywords are passed to ``open``, or to ``dbm.open`` for
    None, which chooses among the libraries that Python has. ``flag="r"`` makes a store that only
    reads. A store is also closed when it is the last one of its path that is dropped.

    Such a database is slower than others, and promises less; ``SQLiteStore`` is as simple to use:

    * One process at a time may write it. While it is open, others wait for ``database.timeout``
      (60 seconds) and then raise ``DatabaseError`` with the process that has it open: close the
      store when done. This is so only for programs that use this class. Threads may use it at will.
    * ``set_many`` and ``transaction`` are atomic for the threads of this process, and as atomic as
      the library is if the process is killed: ``dbm.gnu`` and ``dbm.sqlite3`` keep each value
      intact, ``dbm.dumb`` does not, and may lose all keys. After the death of a writer, opening the
      database raises ``DatabaseError``, unless all had been synced, which each call does that has
      changed something. With the durability ``none`` only ``flush`` and ``close`` sync.
    * ``dbm.ndbm`` may take an empty value for a missing one, so that storing it raises an error.
    * No library has checksums. In ``dbm.dumb``, all damage to the index (``.dir``) is an error if
      this class was the last to change the database. If another program was, its ``.bak`` shows
      more than one line that is missing, and a changed key; without a ``.bak``, neither is noticed,
      and such keys are missing. In other kinds of databases, a changed byte of a page may make the
      keys on it be missing. Where all chunks are stored,
      ``config.set({"array.read_missing_chunks": False})`` makes a missing one an error.

    >>> import tempfile
    >>> with DBMStore(tempfile.mkdtemp() + "/a.dbm") as store:
    ...     store["a/b"] = b"1"
    ...     store["a/b"]
    b'1'
    """

    _opened: Handle

    def __init__(
        self,
        path: str | os.PathLike[str],
        flag: str = "c",
        mode: int = 0o666,
        open: Callable[..., Any] | None = None,
        write_lock: bool = True,
        dimension_separator: str | None = None,
        *,
        read_only: bool = False,
        durability: hints.Durability | None = None,
        **open_kwargs: Any,
    ) -> None:
        """Initialise; ``flag="n"`` replaces the database, nothing else opens it.

        ``write_lock`` is ignored, because threads always take turns.
        """
        super().__init__(
            read_only=read_only or flag[:1] == "r",
            dimension_separator=dimension_separator,
            durability=durability,
        )
        self.path = os.path.abspath(os.fspath(path))
        # Only now, so that a copy does not replace the database again.
        self.flag = f"c{flag[1:]}" if flag[:1] == "n" else flag
        self.mode, self.open, self.write_lock = mode, open, write_lock
        self.open_kwargs = open_kwargs
        self._connect()
        if flag[:1] == "n":
            with self._writing(0) as session:
                session.replace(flag)

    @property
    def batch_bytes(self) -> int | None:  # type: ignore[override]  # of the library
        """The most bytes of a batch of ``dbm.sqlite3``, for one of which the file has room.

        >>> import tempfile
        >>> DBMStore(tempfile.mkdtemp() + "/a.dbm").batch_bytes is None  # it is not open yet
        True
        """
        return _BATCH if isinstance(self._opened.db, Table) else None

    def _connect(self) -> None:
        found = place.of_name(f"dbm://{os.path.realpath(self.path)}")
        words = (self.mode, self.open, self.open_kwargs)
        with found.guard:
            same = [one for one in tuple(found.opened) if isinstance(one, Handle)]
            self._opened = same[0] if same else Handle(str(self), self.path, found)
        # Not while the guard is held: a thread with the lock of the handle may wait for it.
        self._opened.settle(words)

    def __getstate__(self) -> Any:
        """Return the settings, after writing what is in memory."""
        if not self.read_only:
            self.flush()
        return super().__getstate__()

    def _find_place(self) -> Place:
        return self._opened.place

    def _reading(self) -> _Session:
        return _Session(self._opened, self.flag, write=False, alone=not self.read_only)

    def _writing(self, nbytes: int) -> _Session:
        del nbytes  # the file grows as needed
        synced = self.durability != "none"
        return _Session(self._opened, self.flag, write=True, alone=True, synced=synced)

    def flush(self) -> None:
        """Write everything to the disk.

        >>> import tempfile
        >>> DBMStore(tempfile.mkdtemp() + "/a.dbm").flush()
        """
        self._opened.sync()

    def close(self) -> None:
        """Flush, and close the database; a later use opens it again.

        >>> import tempfile
        >>> DBMStore(tempfile.mkdtemp() + "/a.dbm").close()
        """
        super().close()
        self._opened.close()

    @property
    def db(self) -> Any:
        """The open database, which is closed with the store or before a fork.

        >>> import tempfile
        >>> store = DBMStore(tempfile.mkdtemp() + "/a.dbm")
        >>> len(store.db)
        0
        """
        with self._writing(0) if not self.read_only else self._reading():
            return self._opened.db

    def __str__(self) -> str:
        """Return the URL of the database."""
        return f"dbm://{self.path}"


class Handle:
    """The open database of a path, and the lock that keeps other processes out."""

    def __init__(self, url: str, path: str, found: Place) -> None:
        """Initialise without opening the database."""
        self.url, self.path, self.place = url, path, found
        #: The turns of threads at the database.
        self.locks = Locks()
        self._fork: Hold | None = None
        # Whether it was in use when this process was forked.
        self._inherited = False
        self.db: Any = None
        #: The tokens of values.
        self.stamps = Stamps(found)
        self._words: tuple[Any, ...] = (0o666, None, {})
        self._file: int | None = None
        # Whether the database was opened to be written, and has changes that are not synced.
        self._writable = self._changed = self._syncs = False
        # Whether the library may write its index once more when it is closed.
        self._rewritten = False
        found.opened.add(self)
        place.tell_of_forks(self)

    def settle(self, words: tuple[Any, ...]) -> None:
        """Set how the database is opened; raise BaseZarrError if it is open in another way."""
        with self.locks.held(""):
            if self.db is not None and words != self._words:
                msg = f"{self.url} is open with other arguments; close the other store first"
                raise BaseZarrError(msg)
            self._words = words

    def begin(self, flag: str, *, write: bool, alone: bool) -> Any:
        """Return the open database; None if it is missing and is only read."""
        if self._inherited:
            raise in_use(self.url)
        if self.db is not None and (self._writable or not alone):
            return self.db
        self.close()
        _, opener, _ = self._words
        missing = opener is None and not _is_sqlite(self.path) and self._is_nothing()
        # A database whose writer has died may be missing for that.
        if missing and not write and not self._is_marked():
            return None
        self._lock_file(alone=alone)
        try:
            self._open(flag if alone else "r")
        except BaseException:
            self._unlock()
            raise
        self._writable = alone
        # A library of transactions syncs its file itself.
        self._syncs = isinstance(self.db, Table)
        self._changed = self._rewritten = False
        return self.db

    def _is_nothing(self) -> bool:
        return dbm.whichdb(self.path) is None and not dumb_index.is_used(self.path, None)

    def _open(self, flag: str) -> None:
        mode, opener, words = self._words
        if self._file is not None and self._is_marked():
            msg = (
                "a writer has died before its changes were synced, so that values may be missing "
                f"or damaged; restore the database, or delete {self.path}.lock to read what is left"
            )
            raise DatabaseError(msg, self.url)
        if dumb_index.is_used(self.path, opener):
            why = dumb_index.damage(self.path, self._noted())
            if why is not None:
                raise DatabaseError(why, self.url)
        try:
            self.db = (opener or _opened)(self.path, flag, mode, **words)
        except Exception as error:
            raise self.worded(error) from error

    def _is_marked(self) -> bool:
        return self._noted().startswith(_MARK)

    def _noted(self) -> bytes:
        """Return what the file of the lock says of the database."""
        try:
            return Path(f"{self.path}.lock").read_bytes()
        except FileNotFoundError:
            return b""

    def _lock_file(self, *, alone: bool) -> None:
        try:
            import fcntl
        except ImportError:
            return
        folder = os.path.dirname(self.path)
        if not alone and not is_writable(folder):
            return
        os.makedirs(folder, exist_ok=True)
        end = time.monotonic() + config.flat["database.timeout"]
        file = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            while True:
                try:
                    fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= end:
                        raise self._in_use() from error
                    stopping.pause(_LOOK)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def _in_use(self) -> DatabaseError:
        what = "the database was open"
        return not_released(f"{self.path}.lock", what, self.url, "; close it there")

    def _unlock(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def mark(self) -> None:
        """Note that there are changes that are not synced."""
        if not self._changed and self._file is not None:
            os.pwrite(self._file, _MARK, 0)
        self._changed = self._rewritten = True

    def sync(self) -> None:
        """Write all changes to the disk."""
        with self.locks.held(""):
            if self.db is None or not self._changed:
                return
            try:
                if hasattr(self.db, "sync"):
                    self.db.sync()
                    self._clean()
                else:
                    # That of dbm.ndbm is written when it is closed.
                    self._reopen("w")
            except Exception as error:
                raise self.worded(error) from error

    def _reopen(self, flag: str) -> None:
        mode, opener, words = self._words
        found, self.db = self.db, None
        found.close()
        self._clean()
        try:
            self.db = (opener or _opened)(self.path, flag, mode, **words)
            self._syncs = isinstance(self.db, Table)
        except BaseException:
            # The next session opens it.
            self._unlock()
            raise

    def _clean(self) -> None:
        self._changed = False
        if self._file is not None:
            note = b""
            if not self._syncs:
                self._sync_files()
                if dumb_index.is_used(self.path, self._words[1]):
                    note = dumb_index.settled(self.path)
            # A note replaces the mark, which is shorter, and another note.
            if not note or not os.pwrite(self._file, note, 0):
                os.ftruncate(self._file, 0)

    def _sync_files(self) -> None:
        for ending in _ENDINGS:
            try:
                file = os.open(self.path + ending, os.O_RDWR)
            except OSError:
                continue
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def replace(self, flag: str) -> None:
        """Open the database anew, without its values."""
        self._reopen(flag)
        # A note of the old index would not hold.
        self.mark()

    def close(self) -> None:
        """Close the database, and let other processes in."""
        with self.locks.held(""):
            found, self.db = self.db, None
            if found is not None:
                if self._rewritten:
                    self.mark()
                try:
                    found.close()
                except Exception as error:
                    raise self.worded(error) from error
                if self._changed:
                    self._clean()
                self._rewritten = False
            self._unlock()

    def __del__(self) -> None:
        """Close the database."""
        self.close()

    def before_fork(self) -> None:
        """Wait for other threads, and close the database."""
        # A thread that is left in a cycle ends when the wait collects garbage.
        self._fork = self.locks.take_within("", _WAIT)
        if self._fork is not None:
            self.close()

    def after_fork(self, *, child: bool) -> None:
        """Let other threads use the database again."""
        hold, self._fork = self._fork, None
        if child:
            self.locks.reset()
            if hold is None:
                found, self.db = self.db, None
                keep(found)
                # The lock of the parent is not released by this.
                self._unlock()
                self._inherited = True
        elif hold is not None:
            self.locks.give_back(hold)

    def worded(self, error: Exception, key: str = "") -> Exception:
        """Return the error of the store for one of a library."""
        if isinstance(error, BaseZarrError):
            return error
        made = DatabaseError(f"{type(error).__name__}: {error}", self.url, key)
        made.errno = getattr(error, "errno", None) or errno.EIO
        return made


class _Session(WritingSession):
    """The use of the database by one thread."""

    def __init__(
        self, handle: Handle, flag: str, *, write: bool, alone: bool, synced: bool = False
    ) -> None:
        self._handle, self._flag = handle, flag
        self._write, self._alone, self._synced = write, alone, synced
        self._changed: dict[str, bytes | None] = {}
        self._db: Any = None
        self._key = ""
        self._hold: Hold

    def __enter__(self) -> Self:
        """Open the database, when no other thread uses it."""
        self._hold = self._handle.locks.take("")
        try:
            self._db = self._handle.begin(self._flag, write=self._write, alone=self._alone)
        except BaseException:
            self._handle.locks.give_back(self._hold)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """Sync the changes, or undo them; raise DatabaseError if the library has failed."""
        try:
            if error is not None:
                self._undo()
            elif self._changed and isinstance(self._db, Table):
                self._db.end()
            if self._changed:
                self._handle.stamps.forget(self._changed)
            if self._synced:
                self._sync()
        finally:
            self._handle.locks.give_back(self._hold)
        if isinstance(error, Exception) and not isinstance(error, BaseZarrError):
            raise self._handle.worded(error, self._key) from error

    def _sync(self) -> None:
        try:
            self._handle.sync()
        except BaseException:
            if isinstance(self._db, Table):
                self._db.rollback()
            raise

    def _undo(self) -> None:
        if isinstance(self._db, Table):
            self._db.undo()
            return
        for key, value in self._changed.items():
            self._store(key, value)

    def replace(self, flag: str) -> None:
        """Delete all values, as the flag ``n`` does."""
        self._handle.replace(flag)

    def begin(self) -> None:
        """Do nothing: no other thread comes between."""

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None if it is missing."""
        self._key = key
        if self._db is None:
            return None
        try:
            return bytes(self._db[key.encode()])
        except KeyError:
            return None

    def token(self, key: str) -> Hashable | None:
        """Return the token of a value, or None if the key is missing."""
        return self._handle.stamps.token(key, self.get(key))

    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys below a prefix."""
        start = f"{prefix}/".encode() if prefix else b""
        found = () if self._db is None else self._db.keys()
        names = (key.encode() if isinstance(key, str) else bytes(key) for key in found)
        return [key.decode() for key in names if key.startswith(start)]

    def put(self, changes: Changes) -> None:
        """Store values, and delete the keys of those that are None."""
        self._handle.mark()
        undoes = isinstance(self._db, Table)
        if undoes and not self._changed:
            self._db.begin()
        for key, value in changes.items():
            self._key = key
            if key not in self._changed:
                self._changed[key] = None if undoes else self.get(key)
            self._store(key, value if value is None or undoes else bytes(value))
        if undoes:
            self._db.settle()

    def _store(self, key: str, value: bytes | memoryview | None) -> None:
        name = key.encode()
        if value is not None:
            if not value and type(self._db).__module__ == _NDBM:
                msg = "dbm.ndbm does not tell an empty value from a missing one"
                raise DatabaseError(msg, self._handle.url, key)
            self._db[name] = value
        elif name in self._db:
            del self._db[name]


def _is_sqlite(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def _opened(path: str, flag: str, mode: int, **words: Any) -> Any:
    """Return an open database, as ``dbm.open`` does, which any thread may use."""
    kind = dbm.whichdb(path) if flag[:1] != "n" else None
    is_new = kind is None and find_spec("dbm.sqlite3") is not None
    if not words and (_is_sqlite(path) or is_new):
        return Table(path, flag[:1])
    return dbm.open(path, flag, mode, **words)  # type: ignore[arg-type]  # the user's flag
