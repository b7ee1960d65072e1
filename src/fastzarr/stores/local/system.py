"""Operating system calls of the local store: locks, syncing, exchanging folders."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from typing import Any

from fastzarr.stores.keys import TEMPORARY_SUFFIX

fcntl: Any = None
with suppress(ImportError):  # absent where there is no such lock
    import fcntl

_BINARY = getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | _BINARY
UNABLE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EPERM, errno.EINVAL, errno.EBADF)
# How often a write makes its folder anew when deletes beside it keep removing it. Each time, one of
# those deletes has come to its end; the bound is for a file system that is not what it seems.
ATTEMPTS = 1000


def lock_file(file: int) -> bool:
    """Wait for the lock of an open file; False if the file system has none."""
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
    """Tell whether a living writer holds the lock of a folder."""
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
    """Give the lock of an open file back, also for children that were forked meanwhile."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_UN)
    except OSError as error:
        if error.errno not in UNABLE:
            raise


def temporary_name(folder: str) -> str:
    """Give a name that nothing has in a folder, as those of all temporary files are."""
    return f"{folder.rstrip('/')}/.{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"


def write_file(path: str, data: bytes | memoryview, target: str, *, sync: bool) -> None:
    """Write a new file that is to be ``target``, which an error names."""
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


def sync_file(path: str, flags: int = os.O_RDONLY | _BINARY) -> None:
    """Have the content of a file outlast a power cut; with ``O_DIRECTORY``, a folder's names."""
    file = os.open(path, flags)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read_part(file: int, first: int, last: int) -> bytes:
    """Read the bytes of an open file from one to before another."""
    parts = []
    while first < last:
        part = os.pread(file, last - first, first)
        if not part:
            reason = f"the file ended at byte {first}, before byte {last}: it was cut while read"
            raise OSError(errno.EIO, reason)
        first += len(part)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def is_mounted(folder: str) -> bool:
    """Tell whether a folder is a mount's, also of another folder of the same file system."""
    if os.path.ismount(folder):
        return True
    try:
        with open("/proc/self/mountinfo", "rb") as file:  # noqa: PTH123
            mounts = [line.split()[4] for line in file]
    except (OSError, IndexError):
        return False
    # Blanks and the like are written as octal numbers there.
    found = [re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), mount) for mount in mounts]
    return os.fsencode(folder) in found


_renameat2: Any = None


def exchange(one: str, other: str) -> None:
    """Let two folders change their names, in one step where the system can.

    Elsewhere the place is empty for a moment between two renames.
    """
    try:
        _exchange_at_once(one, other)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
        aside = temporary_name(os.path.dirname(one))  # noqa: PTH120
        os.rename(other, aside)  # noqa: PTH104
        os.rename(one, other)  # noqa: PTH104
        os.rename(aside, one)  # noqa: PTH104


def _exchange_at_once(one: str, other: str) -> None:
    # The system has had this for long, and Python's library has no name for it.
    global _renameat2  # noqa: PLW0603
    import ctypes

    if _renameat2 is None:
        try:
            _renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        except (AttributeError, OSError, TypeError):
            raise OSError(errno.ENOSYS, "no renameat2") from None
    at, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if _renameat2(at, os.fsencode(one), at, os.fsencode(other), ctypes.c_uint(flag)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one, None, other)
