"""Operating system calls of the local store: file locks, syncing, exchanging folders.

Rules of this file:

* Only this file knows what a system lacks. Its functions work everywhere, and do less where a
  system can do less: without file locks nothing is locked, and where folders cannot be opened
  (Windows) they are neither locked nor synced.
* On Windows, a file that is open cannot be renamed, replaced or deleted, nor can a folder with such
  a file. Files are open only as long as a value takes to be read, so these calls are repeated for
  some seconds (``patiently``).
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from functools import cache, partial
from itertools import count
from operator import methodcaller
from stat import S_ISDIR
from threading import get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from fastzarr.stores.keys import METADATA_NAMES, TEMPORARY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

fcntl: Any = None
with suppress(ImportError):  # absent where there is no such lock
    import fcntl

# Flags of `open`, 0 if the system does not have them.
BINARY = getattr(os, "O_BINARY", 0)
DIRECTORY = getattr(os, "O_DIRECTORY", 0)
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
#: Whether the system has locks of files; a file system may lack them all the same.
HAS_LOCKS = fcntl is not None
#: Whether the system can open folders.
OPENS_FOLDERS = bool(DIRECTORY)
_FOLDER = os.O_RDONLY | DIRECTORY
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | NOFOLLOW | BINARY
# The errors of a file system that does not support an operation.
UNABLE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EPERM, errno.EINVAL, errno.EBADF)
# Windows' numbers of errors for an open file: access denied, sharing violation, lock violation.
_IN_USE = (5, 32, 33)
# How long a call is repeated meanwhile, in seconds, and the longest sleep between two attempts.
_PATIENCE, _NAP = 5.0, 0.05
# How many times a write recreates its folder while concurrent deletes remove it. Each retry means
# that one delete has finished; only a broken file system reaches the limit.
ATTEMPTS = 1000


def patiently(call: Callable[..., T], *paths: str) -> T:
    """Return ``call(*paths)``, repeated while another thread or program has a file open."""
    try:
        return call(*paths)
    except PermissionError as error:
        return again(error, call, *paths)


def again(error: OSError, call: Callable[..., T], *args: Any) -> T:
    """Return ``call(*args)``, which has raised an error; raise that unless a file is in use."""
    end, nap = monotonic() + _PATIENCE, 0.001
    while getattr(error, "winerror", None) in _IN_USE:
        if call in (os.replace, os.unlink) and is_folder(args[-1]):
            # Other systems say so.
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), args[-1]) from None
        if monotonic() > end:
            break
        sleep(nap)
        nap = min(2 * nap, _NAP)
        try:
            return call(*args)
        except PermissionError as later:
            error = later
    raise error


class _Held(ref["FileLock"]):
    """A reference to a lock, which closes its file if the lock is gone before it has ended.

    An interrupt may have left it. No code of Python's runs then: it would swallow an interrupt.
    """

    __slots__ = ("close",)
    close: Callable[[], object]


_close = methodcaller("close")
_nothing = partial(bool)


class _Forks:
    """The locks of this process, which a forked child must not keep alive.

    A lock belongs to the open file, which a child shares: if its process dies, the lock would stay
    held until the child ends. The child therefore closes these files. A file that is opened during
    a fork may be missing in ``held``, so it is opened again.
    """

    def __init__(self) -> None:
        #: The locks by descriptor. One that is gone is there until its descriptor is used again.
        self.held: dict[int, _Held] = {}
        self.begun = self.done = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._begin, after_in_parent=self._end, after_in_child=self._close
            )

    def _begin(self) -> None:
        self.begun += 1

    def _end(self) -> None:
        self.done += 1

    def _close(self) -> None:
        self.done = self.begun
        while self.held:
            lock = self.held.popitem()[1]()
            if lock is not None:
                with suppress(OSError):
                    os.close(lock.file)
                lock.file = -1

    def add(self, lock: FileLock) -> None:
        held = _Held(lock, _close)
        held.close = partial(os.close, lock.file)
        self.held[lock.file] = held

    def end_left(self, lock: FileLock) -> None:
        """End the other locks of this thread at a file, which keep it from having this one.

        Interrupts have left them, and somebody keeps the exception.
        """
        for held in tuple(self.held.values()):
            other = held()
            if other is None or other is lock or other.thread != lock.thread or other.file < 0:
                continue
            if os.path.sameopenfile(other.file, lock.file):
                other.end()


_forks = _Forks()


class FileLock:
    """A file or folder that is open to be locked, until ``end``.

    The lock is the kernel's: it ends with its process, even if a forked child lives on.
    """

    __slots__ = ("__weakref__", "file", "locked", "thread", "works")

    def __init__(self, file: int) -> None:
        """Initialise with a descriptor, as ``open`` does; it is negative for nothing."""
        self.file, self.locked = file, False
        #: The thread that has locked the file, or waits for it.
        self.thread: int | None = None
        #: Whether the file system has such locks, as far as has been tried.
        self.works = file >= 0 and fcntl is not None

    @classmethod
    def open(cls, open_file: Callable[[], int]) -> FileLock:
        """Open a file by a function that returns its descriptor; it is not locked yet."""
        while True:
            begun = _forks.begun
            lock = cls(open_file())
            _forks.add(lock)
            if _forks.begun == begun == _forks.done:
                return lock
            lock.end()
            sleep(0)  # lets the thread that forks go on

    def lock(self, *, shared: bool = False) -> bool:
        """Wait for the lock; return False if the file system has no locks."""
        if not self.try_lock(shared=shared):
            _forks.end_left(self)
            fcntl.flock(self.file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        return self.works

    def try_lock(self, *, shared: bool = False) -> bool:
        """Take the lock if no other open file has it; return whether this has succeeded.

        This is always so if the file system has no locks.
        """
        if not self.works:
            return True
        self.locked, self.thread = True, get_ident()
        try:
            fcntl.flock(self.file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in UNABLE:
                raise
            self.works = False
        return True

    def is_at(self, path: str) -> bool:
        """Whether a path still refers to the file; True if nothing is open."""
        return self.file < 0 or os.path.samestat(os.fstat(self.file), os.lstat(path))

    def end(self) -> None:
        """Release the lock and close the file; a forked child has done so already."""
        file = self.file
        if file < 0:
            return
        try:
            # First, because a child that is forked below does not close the file.
            if self.locked:
                fcntl.flock(file, fcntl.LOCK_UN)
        except OSError as error:
            if error.errno not in UNABLE:
                raise
        finally:
            self.file = -1
            # The reference first, which would close the next file with this descriptor. Another
            # thread may have it, too, as it looks through all of them.
            held = _forks.held.pop(file, None)
            if held is not None:
                held.close = _nothing
            os.close(file)


def open_folder(path: str, flags: int = _FOLDER, *, within: int | None = None) -> FileLock:
    """Open a folder to lock it; where folders cannot be opened, only check that there is one.

    The path is relative to the open folder ``within``, if there is one.
    """
    if OPENS_FOLDERS:
        return FileLock.open(lambda: os.open(path, flags, dir_fd=within))
    if not S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return FileLock(-1)


def locked_folder(path: str, flags: int = _FOLDER, *, within: int | None = None) -> FileLock:
    """Open a folder as ``open_folder`` does, and wait for its lock."""
    lock = open_folder(path, flags, within=within)
    try:
        lock.lock()
    except BaseException:
        lock.end()
        raise
    return lock


def is_locked(folder: str) -> bool:
    """Whether a running process holds the lock of a folder, or may be using it without a lock."""
    if fcntl is None or not OPENS_FOLDERS:
        return True
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


@cache
def _names(_process: int) -> tuple[str, Iterator[int]]:
    """Return what the temporary names of a process begin with, and the numbers that follow it."""
    return os.urandom(8).hex(), count()


def _unused(process: int) -> str:
    start, numbers = _names(process)
    return f"{start}{next(numbers):x}"


def temporary_name(folder: str) -> str:
    """Return an unused path in a folder, with the suffix of temporary files; a name for ``""``."""
    start = f"{folder.rstrip('/')}/" if folder else ""
    return f"{start}.{_unused(os.getpid())}{TEMPORARY_SUFFIX}"


def write_file(
    path: str, data: bytes | memoryview, target: str, *, sync: bool, within: int | None = None
) -> None:
    """Write a new file; errors name ``target``, the final path of the file.

    The path is relative to the open folder ``within``, if there is one.
    """
    file = os.open(path, _CREATE, 0o666, dir_fd=within)
    try:
        _write_all(file, data, target)
        if sync:
            sync_open_file(file, target)
    finally:
        os.close(file)


def write_locked(path: str, data: bytes | memoryview, target: str) -> FileLock:
    """Write a new file and lock it; the disk begins to write, and ``sync_open_file`` waits for it.

    Errors name ``target``, the final path of the file.
    """
    flags = _CREATE

    def opened() -> int:
        nonlocal flags
        file = os.open(path, flags, 0o666)
        flags &= ~os.O_EXCL  # it is opened again if the process was forked meanwhile
        return file

    new = FileLock.open(opened)
    try:
        new.lock()
        _write_all(new.file, data, target)
        if hasattr(os, "posix_fadvise"):
            # Advising that the content is not needed starts its write-back.
            with suppress(OSError):
                os.posix_fadvise(new.file, 0, 0, os.POSIX_FADV_DONTNEED)
    except BaseException:
        new.end()
        raise
    return new


def _write_all(file: int, data: bytes | memoryview, target: str) -> None:
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
    except OSError as error:
        error.filename = target
        raise


def sync_open_file(file: int, target: str) -> None:
    """Sync an open file; errors name ``target``."""
    try:
        os.fsync(file)
    except OSError as error:
        error.filename = target
        raise


def sync_file(path: str) -> None:
    """Sync a file."""
    # Windows syncs only files that are open for writing.
    _sync(path, (os.O_RDONLY if OPENS_FOLDERS else os.O_RDWR) | BINARY)


def _sync(path: str, flags: int) -> None:
    file = os.open(path, flags)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sync_folder(path: str) -> None:
    """Sync the names in a folder, where the system can do that."""
    if OPENS_FOLDERS:
        _sync(path, _FOLDER)


def read_part(file: int, first: int, last: int) -> bytes:
    """Return the bytes of an open file from ``first`` to before ``last``."""
    parts = []
    while first < last:
        part = _read_at(file, last - first, first)
        if not part:
            reason = f"the file ends at byte {first} instead of {last}: it was truncated while read"
            raise OSError(errno.EIO, reason)
        first += len(part)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read_at(file: int, size: int, start: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file, size, start)
    os.lseek(file, start, os.SEEK_SET)
    return os.read(file, size)


def link(path: str, other: str) -> None:
    """Give a file another name; raise FileExistsError if there is one."""
    if not hasattr(os, "link"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), path, None, other)
    os.link(path, other)


def is_mounted(folder: str) -> bool:
    """Whether a folder is a mount point, including bind mounts of the same file system."""
    if os.path.ismount(folder):
        return True
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            mounts = [line.split()[4] for line in file]
    except (OSError, IndexError):
        return False
    # Spaces and other special characters are octal escapes in that file.
    found = [re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), mount) for mount in mounts]
    return os.fsencode(folder) in found


def exchange(one: str, other: str) -> None:
    """Exchange the names of two folders, atomically if the system supports it.

    Otherwise the name ``other`` is briefly missing between two renames.
    """
    try:
        _exchange_at_once(one, other)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
        aside = temporary_name(os.path.dirname(one))
        patiently(os.rename, other, aside)
        try:
            patiently(os.rename, one, other)
        except BaseException:
            patiently(os.rename, aside, other)
            raise
        patiently(os.rename, aside, one)


def bury(folder: str) -> str | None:
    """Rename a folder that will be deleted to a temporary name beside it, and return that.

    If the folder cannot be renamed, as in a lower layer of overlayfs, delete it and return None.
    """
    grave = temporary_name(os.path.dirname(folder))
    try:
        patiently(os.rename, folder, grave)
    except OSError as error:
        if error.errno != errno.EXDEV or not is_folder(folder):
            raise
        delete_in_place(folder)
        return None
    return grave


def delete_in_place(folder: str) -> None:
    """Delete a folder that cannot be renamed: first the documents that make its nodes visible."""
    for path, _, files in os.walk(folder):
        for name in METADATA_NAMES.intersection(files):
            with suppress(FileNotFoundError):
                patiently(os.unlink, f"{path}/{name}")
    remove_tree(folder)


def remove_tree(folder: str) -> None:
    """Delete a folder, or a link to one, though writers that have it open may still use it."""
    from shutil import rmtree

    if os.path.islink(folder):
        os.unlink(folder)  # the link, not its target
        return
    for attempt in range(ATTEMPTS):
        try:
            patiently(rmtree, folder)
        except OSError as error:
            # A writer that has entered the folder before has created a file, or another process
            # deletes it as well.
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or attempt == ATTEMPTS - 1:
                raise
            if os.path.lexists(folder):
                continue
        return


def is_folder(path: str) -> bool:
    """Whether there is a folder at a path, and no link to one."""
    try:
        return S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _exchange_at_once(one: str, other: str) -> None:
    import ctypes

    call = _renameat2()
    at, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if call(at, os.fsencode(one), at, os.fsencode(other), ctypes.c_uint(flag)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one, None, other)


@cache
def _renameat2() -> Any:
    """Return the system call, which Python's standard library does not have."""
    import ctypes

    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        raise OSError(errno.ENOSYS, "no renameat2") from None
