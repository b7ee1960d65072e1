"""An environment of LMDB, which all stores of a path share.

Rules of this file:

* LMDB forbids that a process opens an environment twice, and that it is used after a fork. So it is
  closed before a fork, unless somebody keeps views of its values.
* The map of the file may be replaced, and the environment closed, only while nobody uses it. What
  has views of values counts as a user.
* An interrupt may come at any time, and leave a session that never ends. It counts no more when it
  is gone, or when its thread begins another one.
* To write, LMDB needs memory and another descriptor. So the environment is opened to read as long
  as only stores that are read-only have used it, and once more, when nobody uses it, for the first
  that may write.
* A file that is shorter than its contents is not used, because reading beyond its end in the map
  would end the process.
"""

from __future__ import annotations

import errno
import os
from functools import cache, partial
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np

from fastzarr.errors import BaseZarrError, DatabaseError, ForkedError
from fastzarr.stores import place, stopping
from fastzarr.stores.database_files import is_writable, make_folders, why_full
from fastzarr.stores.lmdb.waiting import Writers
from fastzarr.stores.local.system import sync_folder, temporary_name
from fastzarr.stores.stamps import Stamps
from fastzarr.stores.users import Hold, Monitor, Users

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores.place import Place

T = TypeVar("T")

# The size of the map is that of addresses, not of memory or disk.
_MAP_SIZE = 1 << 40 if np.intp(0).itemsize == 8 else 1 << 28
# What a transaction may need beside the values, for pages of the tree.
_MARGIN = 1 << 24
# What a small transaction needs at least, for the same.
_PAGES = 1 << 16
# What the files are called is known when they are there.
_NAMED = {"subdir": True}
# How long the map or a fork waits for those who use the environment, in seconds.
_WAIT = 60.0
# The share of the readers that may keep views of values.
_SHARE = 2


@cache
def _processors() -> int:
    return os.cpu_count() or 1


def environment(url: str, path: str, kwargs: dict[str, Any]) -> Environment:
    """Return the environment of a path, which all stores of this process share.

    Raise ImportError if lmdb is not installed, and BaseZarrError if the environment is in use with
    other settings.
    """
    found = place.of_name(f"lmdb://{place.real_path(path)}")
    with found.guard:
        for one in tuple(found.opened):
            if isinstance(one, Environment):
                one.check(kwargs)
                return one
        return Environment(url, path, kwargs, found)


class User(Protocol):
    """What has a transaction."""

    @property
    def thread(self) -> int | None:
        """The thread whose next session shows that this has ended; None if none does."""

    def abandon(self) -> None:
        """Undo the transaction, unless it has ended."""


class Environment:
    """An environment of LMDB, opened when it is first used."""

    # Those that a fork has inherited, which must never be closed.
    _kept: ClassVar[list[Any]] = []

    def __init__(self, url: str, path: str, kwargs: dict[str, Any], found: Place) -> None:
        """Initialise; raise ImportError if lmdb is not installed."""
        try:
            import lmdb
        except ImportError as error:
            msg = "an LMDBStore needs the package lmdb: pip install 'fastzarr[lmdb]'"
            raise ImportError(msg) from error
        self._lmdb: Any = lmdb
        self.url, self.path, self._kwargs = url, path, kwargs
        self._env: Any = None
        # Whether it was opened to read, though it might be written.
        self._reads_only = False
        # Who uses it.
        self._users: Users[User, None] = Users()
        self._unlock()
        # Whether it was inherited by a fork, and cannot be used.
        self._inherited = False
        # The inode of the file, and its size at least.
        self._file: tuple[int, int] | None = None
        self._least = 0
        # How many bytes the last writer needed.
        self._needed = 0
        # The path of the file, when the environment was last looked for.
        self._path = ""
        self._writers = Writers(url)
        #: The tokens of values.
        self.stamps = Stamps(found)
        #: The identity of the values.
        self.place = found
        found.opened.add(self)
        place.tell_of_forks(self)

    def _unlock(self) -> None:
        self._monitor = Monitor(RLock())
        self._lock = self._monitor.lock
        # Who lets others wait, to enlarge the map or to fork.
        self._closing: Users[Hold, None] = Users()
        self._fork: Hold | None = None

    def check(self, kwargs: dict[str, Any]) -> None:
        """Raise BaseZarrError if the environment has other settings, unless it is not open."""
        with self._lock:
            if kwargs | _NAMED == self._kwargs | _NAMED:
                return
            if self._env is None:
                self._kwargs = kwargs
                return
        msg = f"{self.url} is open with {self._kwargs}, not {kwargs}; close the other store first"
        raise BaseZarrError(msg)

    def _settings(self) -> dict[str, Any]:
        is_file = os.path.isfile(self.path)
        defaults = {"map_size": _MAP_SIZE, "meminit": False, "max_spare_txns": _processors()}
        return {**defaults, "subdir": not is_file} | self._kwargs

    def _data(self, settings: dict[str, Any]) -> str:
        return os.path.join(self.path, "data.mdb") if settings["subdir"] else self.path

    def _take(self, user: User, *, create: bool, reads_only: bool) -> Any:
        """Return the environment for a user; None if it is missing and is only read."""

        def take() -> Any:
            found = self._find(create=create, reads_only=reads_only)
            if found is not None:
                self._users.add(user, user.thread, None)
            return found

        return self._when_open(take)

    def _when_open(self, call: Callable[[], T]) -> T:
        """Return the result of a call that is made with the lock held, when nobody must wait."""
        found: list[T] = []

        def look() -> bool:
            self._end_left()
            if self._closing.known:
                self._closing.end_left(get_ident())
                if self._closing.known:
                    return False
            found.append(call())
            return True

        self._monitor.wait(look)
        return found[0]

    def _find(self, *, create: bool, reads_only: bool = False) -> Any:
        """Return the environment as ``_take`` does, with the lock held.

        With ``reads_only``, it may be opened to read.
        """
        if self._inherited:
            msg = f"{self.url} was in use when this process was forked; open it after the fork"
            raise ForkedError(msg)
        if self._env is not None and self._look(self._path) == self._file:
            return self._env
        settings = self._settings()
        self._path = self._data(settings)
        file = self._look(self._path)
        if file != self._file:
            # Another file has the name now, or none has. Those who use the old one keep it.
            self._env, self._file = None, file
        if file is None and not create:
            return None
        if self._env is None:
            self._env = self._open(settings, create=create, reads_only=reads_only)
        return self._env

    def _end_left(self) -> None:
        """End the sessions that interrupts have left, with the lock held."""
        for left, _ in self._users.end_left(get_ident()) if self._users.known else ():
            if left is not None:
                left.abandon()
                self._writers.end(left)

    def leave(self, user: User) -> None:
        """Count a user that has ended no more."""
        self._writers.end(user)
        with self._lock:
            self._users.end(user)
            if not self._users.known:
                self._monitor.notify()

    def _look(self, data: str) -> tuple[int, int] | None:
        try:
            info = os.stat(data)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self.worded(error) from error
        file = (info.st_dev, info.st_ino)
        if file == self._file and info.st_size < self._least:
            # To read what is missing from the map would end the process.
            msg = "the file has been truncated"
            raise DatabaseError(msg, self.url)
        if file != self._file:
            self._least = 0
        self._least = max(self._least, info.st_size)
        return file

    def _open(self, settings: dict[str, Any], *, create: bool, reads_only: bool) -> Any:
        data = self._data(settings)
        made = self._open_to_read(settings) if reads_only else None
        self._reads_only = made is not None
        try:
            if create:
                make_folders(os.path.dirname(data))
                if not os.path.exists(data):
                    self._make(data, settings)
            if made is None:
                # A reader needs the lock file, too.
                settings.setdefault("readonly", not create and not is_writable(data))
                if settings["readonly"]:
                    settings.setdefault("lock", is_writable(os.path.dirname(data)))
                made = self._lmdb.open(self.path, **settings)
        except (self._lmdb.Error, OSError) as error:
            raise self.worded(error) from error
        is_folder = settings["subdir"]
        self._writers.open(os.path.join(self.path, "lock.mdb") if is_folder else f"{data}-lock")
        # Its pages are counted first, because another process may add some.
        pages = made.info()["last_pgno"] + 1
        self._file = self._look(data)
        if self._least < pages * made.stat()["psize"]:
            made.close()
            msg = "the file is truncated: it has fewer pages than it refers to"
            raise DatabaseError(msg, self.url)
        return made

    def _open_to_read(self, settings: dict[str, Any]) -> Any:
        """Return the environment opened to read, or None if it must be opened in another way."""
        if "readonly" in settings:
            return None
        try:
            return self._lmdb.open(self.path, **settings, readonly=True)
        except self._lmdb.Error:
            return None  # the other way tells why, or needs no file of locks

    def _make(self, data: str, settings: dict[str, Any]) -> None:
        """Create the file of an environment, which gets its name when it is whole.

        LMDB writes to the file at its name, and syncs neither before the first transaction. After a
        power cut, it might not be a file of LMDB.
        """
        folder = os.path.dirname(data)
        new = temporary_name(folder)
        made = self._lmdb.open(new, **settings | {"subdir": False, "lock": False})
        try:
            made.sync(True)  # noqa: FBT003  (LMDB's)
        finally:
            made.close()
        try:
            os.link(new, data)
        except FileExistsError:
            pass  # another process was first
        except OSError:
            return  # the system has no links, and LMDB makes the file
        finally:
            os.unlink(new)
        sync_folder(folder)

    def is_synced(self) -> bool:
        """Whether each transaction is on the disk at its end."""
        return all(self._kwargs.get(name, True) for name in ("sync", "metasync"))

    def own(self) -> Any:
        """Return the environment for the store's user."""

        def find() -> Any:
            found = self._find(create=True)
            return None if self._reads_only else found

        while (found := self._when_open(find)) is None:
            self._open_to_write()
        return found

    def _wait(self, seconds: float) -> bool:
        """Wait until nobody uses the environment; return False after some time."""

        def look() -> bool:
            self._end_left()
            if self._fork is None:
                stopping.check()
            return not self._users.known

        return self._monitor.wait(look, seconds)

    def grow(self, size: int) -> None:
        """Let the map have a size at least, or that which another process has given it for 0."""

        def is_needed() -> bool:
            return self._env is not None and not (size and self._env.info()["map_size"] >= size)

        def change() -> None:
            self._env.set_mapsize(size)

        advice = "; open the store with a larger map_size"
        self._when_unused(is_needed, change, "the map must grow", advice)

    def _open_to_write(self) -> None:
        """Let the environment be opened once more, if it was opened to read."""
        what = "the environment was opened to read and must be opened to write"
        self._when_unused(lambda: self._env is not None and self._reads_only, self._close, what)

    def _when_unused(
        self, is_needed: Callable[[], bool], change: Callable[[], None], what: str, advice: str = ""
    ) -> None:
        """Make a change if it is needed, when nobody uses the environment, with the lock held.

        Raise DatabaseError with ``what`` and ``advice`` if that takes too long.
        """
        hold = Hold()

        def begin() -> bool:
            if not is_needed():
                return False
            self._closing.add(hold, get_ident(), None)
            return True

        try:
            if not self._when_open(begin):
                return
            if not self._wait(_WAIT):
                msg = f"{what}, but values were being read for {_WAIT:g} seconds{advice}"
                raise DatabaseError(msg, self.url)
            with self._lock:
                change()
        except self._lmdb.Error as error:
            raise self.worded(error) from error
        finally:
            self._reopen(hold)

    def _reopen(self, hold: Hold) -> None:
        with self._lock:
            self._closing.end(hold)
            self._monitor.notify()

    def make_room(self, env: Any, nbytes: int) -> int:
        """Return the size that the map must have for new values; 0 if it has that."""
        info = env.info()
        # Values have pages of their own, half empty at worst, and pages of the tree are copied.
        used = (info["last_pgno"] + 1) * env.stat()["psize"]
        needed = used + 2 * nbytes + _MARGIN
        return 0 if needed <= info["map_size"] else max(needed, 2 * info["map_size"])

    def session(
        self, user: User, *, write: bool, nbytes: int = 0, reads_only: bool | None = None
    ) -> tuple[Any, Any]:
        """Return the environment and a new transaction of it; two times None if it is missing.

        With ``reads_only``, the environment may be opened to read; with False or ``write``, it is
        one that may be written. ``leave`` must be called at the end, unless the user is gone then.
        Raise DatabaseError if another writer does not end in time.
        """
        must_write = write or reads_only is False
        while True:
            env = self._take(user, create=write, reads_only=reads_only is True)
            if env is None:
                return None, None
            if must_write and self._reads_only:
                self.leave(user)
                self._open_to_write()
                continue
            size = 0
            try:
                if write:
                    size, self._needed = self.make_room(env, nbytes), nbytes
                if not size:
                    return env, self._begin(env, user, write=write)
            except self._lmdb.MapResizedError:
                pass
            except self._lmdb.Error as error:
                self.leave(user)
                raise self.worded(error) from error
            except BaseException:
                self.leave(user)
                raise
            self.leave(user)
            self.grow(size)

    def _begin(self, env: Any, user: User, *, write: bool) -> Any:
        if write:
            self._writers.begin(user)
        return env.begin(write=write, buffers=True)

    def close(self) -> None:
        """Close the environment, unless it is in use."""
        self._when_open(self._close)

    def _close(self) -> None:
        found = self._env
        if found is not None and not self._users.known:
            self._env = None
            found.close()
            self._writers.close()

    def before_fork(self) -> None:
        """Close the environment when nobody uses it any more."""
        hold = self._fork = self._fork or Hold()

        self._when_open(partial(self._closing.add, hold, get_ident(), None))
        self._wait(_WAIT)
        with self._lock:
            self._close()

    def after_fork(self, *, child: bool) -> None:
        """Let other threads use the environment again."""
        hold, self._fork = self._fork, None
        if child:
            self._unlock()
            self._writers.reset()
            # If it was not closed, closing it now would end what the parent reads.
            self._inherited = self._env is not None
            self._kept.append(self._env)
        elif hold is not None:
            self._reopen(hold)

    def worded(self, error: Exception, key: str = "") -> Exception:
        """Return the error of the store for one of LMDB or the system."""
        library = self._lmdb
        number, words = errno.EIO, str(error)
        if isinstance(error, OSError):
            number, words = error.errno or errno.EIO, error.strerror or words
        elif isinstance(error, library.BadValsizeError):
            number, words = errno.EINVAL, f"a key has at most 511 bytes in LMDB ({error})"
        elif isinstance(error, (library.InvalidError, library.VersionMismatchError)):
            number, words = errno.EINVAL, f"the file is not one of LMDB ({error})"
        elif isinstance(error, (library.CorruptedError, library.PageNotFoundError)):
            words = f"the environment is damaged ({error})"
        elif isinstance(error, library.MapFullError):
            number, words = errno.ENOSPC, f"the map is full ({error})"
        elif isinstance(error, library.DiskError) or "No space left" in words:
            number, words = errno.ENOSPC, f"the disk is full, so nothing was written ({error})"
        elif getattr(error, "code", 0) in (errno.EIO, errno.EFBIG):
            # Of a write of which there was only room for a part, LMDB says no more.
            number, words = why_full(self._path, self._needed + _PAGES) or (
                errno.EIO,
                "the system could not write all, so that the disk may be full or damaged",
            )
            words = f"{words}; nothing was written ({error})"
        elif isinstance(error, library.ReadonlyError):
            number = errno.EROFS
        made = DatabaseError(words, self.url, key)
        made.errno = number
        return made

    @property
    def failures(self) -> type[Exception]:
        """The class of LMDB's errors."""
        found: type[Exception] = self._lmdb.Error
        return found

    def has_room(self) -> bool:
        """Whether the transactions that have been begun may keep views."""
        leases = sum(thread is None for thread, _ in tuple(self._users.known.values()))
        return leases <= int(self._kwargs.get("max_readers", 126)) // _SHARE
