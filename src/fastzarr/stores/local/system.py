"""Operating system calls of the local store: file locks, syncing, exchanging folders."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from functools import cache
from typing import Any

from fastzarr.stores.keys import TEMPORARY_SUFFIX

fcntl: Any = None
with suppress(ImportError):  # absent where there is no such lock
    import fcntl

# Flags of `open`, 0 if the system does not have them.
BINARY = getattr(os, "O_BINARY", 0)
DIRECTORY = getattr(os, "O_DIRECTORY", 0)
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | BINARY
# The errors of a file system that does not support an operation.
UNABLE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EPERM, errno.EINVAL, errno.EBADF)
# How many times a write recreates its folder while concurrent deletes remove it. Each retry means
# that one delete has finished; only a broken file system reaches the limit.
ATTEMPTS = 1000


def lock_file(file: int) -> bool:
    """Wait for the lock of an open file; return False if the file system has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
        return False
    return True


def is_locked(folder: str) -> bool:
    """Whether a running process holds the lock of a folder."""
    if fcntl is None:
        return False
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def unlock_file(file: int) -> None:
    """Release the lock of an open file explicitly, because forked children share it."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_UN)
    except OSError as error:
        if error.errno not in UNABLE:
            raise


def temporary_name(folder: str) -> str:
    """Return an unused path in a folder, with the suffix of temporary files."""
    return f"{folder.rstrip('/')}/.{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"


def write_file(path: str, data: bytes | memoryview, target: str, *, sync: bool) -> None:
    """Write a new file; errors name ``target``, the final path of the file."""
    file = os.open(path, _CREATE, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
        if sync:
            os.fsync(file)
    except OSError as error:
        error.filename = target
        raise
    finally:
        os.close(file)


def sync_file(path: str, flags: int = os.O_RDONLY | BINARY) -> None:
    """Sync a file; with ``O_DIRECTORY``, the names in a folder."""
    file = os.open(path, flags)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read_part(file: int, first: int, last: int) -> bytes:
    """Return the bytes of an open file from ``first`` to before ``last``."""
    parts = []
    while first < last:
        part = os.pread(file, last - first, first)
        if not part:
            reason = f"the file ends at byte {first} instead of {last}: it was truncated while read"
            raise OSError(errno.EIO, reason)
        first += len(part)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


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
        os.rename(other, aside)
        os.rename(one, other)
        os.rename(aside, one)


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
