"""Choice of the store of a path by its suffix, and by what exists there.

Rules of this file:

* A folder is a local store, whatever its name, unless it has the file of an LMDB environment. If a
  name in its path ends in ``.n5``, its new nodes are of N5.
* ``.db`` names databases of many kinds: the first bytes of the file decide, or what Python's
  ``dbm`` knows, and a new one is made by SQLite. A file of an unknown kind raises an error, so that
  nothing is written into it.
"""

from __future__ import annotations

import dbm
import os
from typing import TYPE_CHECKING

from fastzarr.errors import BaseZarrError
from fastzarr.stores.addresses import names_n5

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores.base import Store

_SQLITE = (".sqlite", ".sqlite3", ".sqldb")
_MAGIC = b"SQLite format 3\0"


def kind_of(path: str) -> Callable[..., Store]:
    """Return the class of the store of a path.

    Raise BaseZarrError for a file that is not known to be a database.

    >>> kind_of("data/a.sqlite").__name__, kind_of("data/a.zarr").__name__
    ('SQLiteStore', 'LocalStore')
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _SQLITE and not os.path.isdir(path):
        return _sqlite()
    if suffix == ".db" and not os.path.isdir(path):
        return _of_file(path)
    if suffix == ".lmdb" and _is_lmdb(path):
        from fastzarr.stores.lmdb.store import LMDBStore

        return LMDBStore
    if names_n5(path):
        from fastzarr.stores.local.directory import N5Store

        return N5Store
    from fastzarr.stores.local.store import LocalStore

    return LocalStore


def _sqlite() -> Callable[..., Store]:
    from fastzarr.stores.sqlite.store import SQLiteStore

    return SQLiteStore


def _dbm() -> Callable[..., Store]:
    from fastzarr.stores.dbm import DBMStore

    return DBMStore


def _is_lmdb(path: str) -> bool:
    """Whether a path is that of an environment, or of nothing yet."""
    if not os.path.isdir(path):
        return True
    return os.path.exists(os.path.join(path, "data.mdb")) or not os.listdir(path)


def _of_file(path: str) -> Callable[..., Store]:
    try:
        with open(path, "rb") as file:
            start = file.read(len(_MAGIC))
    except FileNotFoundError:
        start = b""
    if start == _MAGIC and _has_dbm_table(path):
        return _dbm()
    if start == _MAGIC:
        return _sqlite()
    kind = dbm.whichdb(path)
    if kind:
        return _dbm()
    if not start and kind is None:
        return _sqlite()
    msg = f"{path!r} is not a database that is known here; pass a store, such as SQLiteStore(path)"
    raise BaseZarrError(msg)


def _has_dbm_table(path: str) -> bool:
    """Whether a database of SQLite is one of ``dbm.sqlite3``."""
    import sqlite3
    from contextlib import closing
    from pathlib import Path

    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('Dict', 'zarr')"
    try:
        url = Path(path).absolute().as_uri()
        with closing(sqlite3.connect(f"{url}?mode=ro", uri=True)) as found:
            return found.execute(query).fetchall() == [("Dict",)]
    except sqlite3.Error:
        return False  # the store's own error says more
