"""The file systems of fsspec that keep copies of the files of another one: simplecache and others.

Rules of this file:

* A copy is as old as it may be: nothing compares it with its file, unless the user demands it. Only
  a store that is read-only reads copies, because a partial write would store what it has read.
* A copy gets its name when it is whole, so that no other thread or process reads a part of it, and
  none remains of a transfer that has failed.
* A key is missing only if the file system below says so, not if a copy is gone.
* ``blockcache`` is read past: its files have holes, and which ones is in an index that several
  threads and processes change without regard for each other.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fastzarr.stores import place
from fastzarr.stores.capabilities import Value
from fastzarr.stores.ranges import clip_range

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE = frozenset({"simplecache", "filecache"})
_PARTS = frozenset({"blockcache", "cached"})
# What these file systems tell of their copies, which has no public name.
_CHECK, _NAME, _INDEX = "_check_file", "_mapper", "_metadata"


def protocols(fs: Any) -> frozenset[str]:
    """Return the names of the protocols of a file system."""
    names = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
    return frozenset(map(str, names))


def is_around(fs: Any) -> bool:
    """Whether a file system keeps copies of the files of another one, ``fs.fs``."""
    return bool(protocols(fs) & (_WHOLE | _PARTS)) and hasattr(fs, "fs")


def below(fs: Any) -> Any:
    """Return the file system whose files another one copies, or that itself if it copies none."""
    # One that decompresses has other values than the one below.
    copies = protocols(fs) & (_WHOLE | _PARTS) and not getattr(fs, "compression", None)
    return fs.fs if copies else fs


def has_whole(fs: Any) -> bool:
    """Whether a file system keeps copies of whole files."""
    return below(fs) is not fs and bool(protocols(fs) & _WHOLE)


def read(fs: Any, call: Callable[..., Any], path: str, start: int, length: int | None) -> Value:
    """Return a part of a file, of a copy that is made if there is none.

    ``call`` calls a verb of the file system below. Raise FileNotFoundError only if that does.
    """
    copy = _copy(fs, call, path)
    try:
        file = open(copy, "rb")  # noqa: SIM115  (the error is that of opening alone)
    except FileNotFoundError as error:
        raise _gone(path) from error
    with file:
        size = os.fstat(file.fileno()).st_size
        first, end = clip_range(start, length, size)
        file.seek(first)
        return Value(file.read(end - first), None, size)


def _copy(fs: Any, call: Callable[..., Any], path: str) -> str:
    """Return the path of the copy of a file."""
    folder = fs.storage[-1]
    # fsspec makes a file system for each thread. The place lives as long as somebody has it.
    shared = place.of_name(f"copies in {os.path.realpath(folder)}")
    locks = shared.locks
    with locks.held(path):
        with locks.held(""):
            found = getattr(fs, _CHECK)(path)
        if found:
            return str(found[1] if isinstance(found, tuple) else found)
        name = getattr(fs, _NAME)(path)
        copy: str = os.path.join(folder, name)
        os.makedirs(folder, exist_ok=True)
        beside = f"{copy}.{uuid4().hex}"
        try:
            call("get_file", path, beside)
            os.replace(beside, copy)
        except FileNotFoundError as error:
            if not os.path.isdir(folder):
                raise _gone(path) from error
            raise
        finally:
            with suppress(FileNotFoundError):
                os.unlink(beside)
        if "simplecache" not in protocols(fs):
            about = {"original": path, "fn": name, "blocks": True, "time": time.time()}
            about["uid"] = fs.fs.ukey(path) if fs.check_files else None
            with locks.held(""):
                getattr(fs, _INDEX).update_file(path, about)
                fs.save_cache()
        return copy


def _gone(path: str) -> ConnectionError:
    """Return an error that lets the request be made again."""
    return ConnectionError(f"the copy of {path} was deleted while it was read")
