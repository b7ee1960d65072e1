"""Make this Linux process lack what another system lacks; run before anything else is imported.

Rules of this file:

* ``windows()``: there are no file locks; a folder cannot be opened; an open file keeps its name; a
  rename never replaces; a file is opened as text unless told otherwise; only files that are open
  for writing are synced.
* ``macos()``: an open folder has no path, and names are not exchanged at once.
"""

# ruff: noqa: B010, PTH112, PTH114, PTH118, PTH119, PTH120  (it replaces functions of os)

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess  # noqa: F401  (it asks what the system has when it is imported)
import sys
from types import SimpleNamespace
from typing import Any, NoReturn

BINARY = 1 << 28
MISSING = (
    *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "chown", "fchmod", "fork"),
    *("geteuid", "getuid", "pread", "preadv", "pwrite", "register_at_fork", "sched_getaffinity"),
    *("statvfs", "sync"),
)


class Calls:
    """The calls of Windows: each is refused there, or made as Linux does."""

    def __init__(self) -> None:
        import fcntl

        self.flags = lambda file: fcntl.fcntl(file, fcntl.F_GETFL)
        self.real = SimpleNamespace(**vars(os))

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: None = None) -> int:
        check_no_folder(dir_fd)
        if self.is_folder(path):
            refuse(path, 5)
        if path.startswith("/proc/"):
            missing(path)
        assert flags & (BINARY | os.O_RDWR), "it is opened as text"
        return int(self.real.open(path, flags & ~BINARY, mode))

    def fsync(self, file: int) -> None:
        if self.flags(file) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "it is not open for writing")
        self.real.fsync(file)

    def unlink(self, path: str) -> None:
        if self.is_folder(path) and not os.path.islink(path):
            refuse(path, 5)
        if self.is_open(path):
            refuse(path, 32)
        self.real.unlink(path)

    def replace(self, old: str, new: str) -> None:
        if self.is_open(new) or self.is_folder(new):
            refuse(new, 5)
        if self.is_open(old):
            refuse(old, 32)
        self.real.replace(old, new)

    def rename(
        self, old: str, new: str, *, src_dir_fd: None = None, dst_dir_fd: None = None
    ) -> None:
        check_no_folder(src_dir_fd, dst_dir_fd)
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, "it exists", os.fspath(new))
        if self.is_open(old):
            refuse(old, 5)
        self.real.rename(old, new)

    def is_open(self, path: str) -> bool:
        """Whether this process has a file open, or something in a folder."""
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        for number in self.real.listdir("/proc/self/fd"):
            try:
                found = self.real.readlink(f"/proc/self/fd/{number}")
            except OSError:
                continue
            if found == path or found.startswith(path + "/"):
                return True
        return False

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)


def check_no_folder(*files: None) -> None:
    if files.count(None) < len(files):
        msg = "there are no open folders"
        raise NotImplementedError(msg)


def windows(*, links: bool = True) -> None:
    calls = Calls()
    modules: dict[str, Any] = sys.modules
    modules["fcntl"] = modules["resource"] = None
    setattr(shutil, "_use_fd_functions", False)
    for name in MISSING if links else (*MISSING, "link"):
        delattr(os, name)
    os.supports_dir_fd = os.supports_fd = os.supports_follow_symlinks = set()
    setattr(os, "O_BINARY", BINARY)
    for name in ("open", "fsync", "unlink", "replace", "rename"):
        setattr(os, name, getattr(calls, name))
    os.remove = os.unlink
    exchange_nothing(TypeError)


def macos() -> None:
    real = os.stat

    def stat(path: Any, **more: Any) -> os.stat_result:
        if isinstance(path, str) and path.startswith("/proc/"):
            missing(path)
        return real(path, **more)

    setattr(os, "stat", stat)
    for name in ("O_PATH", "sched_getaffinity"):
        delattr(os, name)
    exchange_nothing(OSError)


def exchange_nothing(error: type[Exception]) -> None:
    def load(*_given: object, **_more: object) -> NoReturn:
        raise error

    setattr(ctypes, "CDLL", load)


def missing(path: str) -> NoReturn:
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def refuse(path: str, number: int) -> NoReturn:
    error = PermissionError(errno.EACCES, "access is denied", os.fspath(path))
    setattr(error, "winerror", number)
    raise error


def without_extension() -> None:
    modules: dict[str, Any] = sys.modules
    modules["fastzarr._native"] = None


def without_files() -> None:
    """Use the extension as it is built where it opens no files."""
    from fastzarr import _native

    _native.HAS_FILES = False
    del _native.sync
