"""Locks and permissions of the files of databases, as the system reports them."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from fastzarr.config import config
from fastzarr.errors import DatabaseError, ForkedError
from fastzarr.stores.local.system import sync_folder


def lock_holders(*paths: str) -> str:
    """Return the processes that hold locks of files, in words; empty if that is not known.

    Linux lists them in ``/proc/locks``. The files are not opened, because closing them would drop
    the locks of this process.

    >>> lock_holders("/missing")
    ''
    """
    inodes = set()
    for path in paths:
        with suppress(OSError):
            info = os.stat(path)
            inodes.add(f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}")
    found: list[str] = []
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        # The number of the lock, its kind, and WRITE or READ come first.
        words = line.replace("->", "").split()
        if len(words) > 5 and words[5] in inodes and words[3] == "WRITE":
            name = process_of(int(words[4]))
            if name not in found:
                found.append(name)
    return " and ".join(found)


def not_released(lock: str, what: str, url: str, advice: str = "") -> DatabaseError:
    """Return the error that a lock of a file was waited for in vain; ``what`` says what it meant.

    >>> str(not_released("/missing", "the archive was locked", "zip:///a.zip"))
    'zip:///a.zip: the archive was locked by another process for 60 seconds'
    """
    by, timeout = lock_holders(lock) or "another process", config.flat["database.timeout"]
    made = DatabaseError(f"{what} by {by} for {timeout:g} seconds{advice}", url)
    made.errno = errno.EAGAIN
    return made


def in_use(url: str) -> ForkedError:
    """Return the error of a database that a forked child has inherited while it was in use."""
    msg = (
        f"{url} was in use when this process was forked, and cannot be used here; fork when no "
        "other thread uses it, or start processes by 'spawn'"
    )
    return ForkedError(msg)


def keep(inherited: object) -> None:
    """Keep an object that must not even be closed at the end of the process.

    To close what a parent has open may write to its files, without its locks.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def process_of(thread: int) -> str:
    """Return the process of a thread, or of the number of a process, in words.

    >>> process_of(os.getpid())
    'this process'
    """
    number, name = str(thread), ""
    with suppress(OSError):
        lines = Path(f"/proc/{thread}/status").read_text().splitlines()
        words = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        number, name = words["Tgid"].strip(), f" ({words['Name']})"
    return "this process" if number == str(os.getpid()) else f"process {number}{name}"


def has_thread(number: int) -> bool:
    """Whether there is a thread with a number, as Linux counts them.

    >>> has_thread(0)
    False
    """
    return os.path.exists(f"/proc/{number}/stat")


def why_full(path: str, nbytes: int) -> tuple[int, str] | None:
    """Return the number of the error and the words if a file cannot have so many bytes more.

    >>> import errno, tempfile
    >>> why_full(tempfile.gettempdir(), 1) is None
    True
    >>> why_full(tempfile.gettempdir(), 1 << 80)[0] in (errno.ENOSPC, errno.EFBIG)
    True
    """
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if most != resource.RLIM_INFINITY and os.stat(path).st_size + nbytes > most:
            return errno.EFBIG, f"the system permits no file of more than {most:,} bytes (ulimit)"
        info = os.statvfs(path)
    except (ImportError, AttributeError):
        return None  # not on Windows
    free = info.f_bavail * info.f_frsize
    if nbytes <= free:
        return None
    return errno.ENOSPC, f"the disk is full: {nbytes:,} bytes are needed, and {free:,} are free"


def make_folders(path: str) -> None:
    """Create a folder and those above it, so that a power cut leaves them.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folders(f"{folder}/a/b")
    ...     os.path.isdir(f"{folder}/a/b")
    True
    """
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above != path:
        make_folders(above)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    sync_folder(above)


def is_writable(path: str) -> bool:
    """Whether this process, with its effective user, may write a file or to a folder.

    >>> is_writable("/missing")
    False
    """
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
