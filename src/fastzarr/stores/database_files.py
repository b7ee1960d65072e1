"""Locks and permissions of the files of databases, as the system reports them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


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
            name = _process(words[4])
            if name not in found:
                found.append(name)
    return " and ".join(found)


def _process(number: str) -> str:
    if number == str(os.getpid()):
        return "this process"
    with suppress(OSError):
        return f"process {number} ({Path(f'/proc/{number}/comm').read_text().strip()})"
    return f"process {number}"


def is_writable(path: str) -> bool:
    """Whether this process, with its effective user, may write a file or to a folder.

    >>> is_writable("/missing")
    False
    """
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
