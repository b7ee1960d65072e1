"""Stores whose values are at hand, so that several are asked for together."""

from __future__ import annotations

import dbm.dumb
from typing import TYPE_CHECKING

from fastzarr.stores import DBMStore, LMDBStore, MemoryStore, SQLiteStore, Store, ZipStore

if TYPE_CHECKING:
    from collections.abc import Callable

# By the path of a new store.
KINDS: dict[str, Callable[[str], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": SQLiteStore,
    "lmdb": LMDBStore,
    "dbm": lambda path: DBMStore(path, open=dbm.dumb.open),
    "zip": ZipStore,
    "deflated": lambda path: ZipStore(path, compression=8),
}
