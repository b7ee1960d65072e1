"""The floor of databases: the bare library with the same values, and nothing of Zarr around it.

Rules of this file:

* The values are as durable as fastzarr stores them: a transaction is synced, in LMDB without its
  last page if the row is not synced, and the map of LMDB cannot be written.
* All chunks are one transaction. Keys, documents and chunks are as many and as large as those of
  the other libraries. Nothing is checked, and nobody else may use the store.
"""

from __future__ import annotations

import json
import sqlite3
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import CannotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.data import Array

_DOCUMENT = ".zarray"
_TABLE = "CREATE TABLE IF NOT EXISTS zarr(k TEXT PRIMARY KEY, v BLOB)"


class _Lmdb:
    """An environment of LMDB."""

    def __init__(self, place: str, *, synced: bool) -> None:
        settings = {"map_size": 1 << 40, "meminit": False, "metasync": synced}
        self.env = import_module("lmdb").open(place, **settings)
        self.close = self.env.close

    def put(self, values: Iterable[tuple[str, Any]]) -> None:
        """Store values in one transaction."""
        with self.env.begin(write=True) as txn:
            for key, value in values:
                txn.put(key.encode(), value)

    def get(self, keys: Iterable[str]) -> Iterator[Any]:
        """Yield the values of keys, as they were at one time."""
        with self.env.begin(buffers=True) as txn:
            for key in keys:
                yield txn.get(key.encode())

    def keys(self) -> list[str]:
        """Return all keys."""
        with self.env.begin() as txn, txn.cursor() as cursor:
            return [key.decode() for key in cursor.iternext(values=False)]


class _Sqlite:
    """A database of SQLite with the table of zarr-python 2."""

    def __init__(self, place: str, *, synced: bool) -> None:
        del synced  # all rows are
        self.db = sqlite3.connect(place, isolation_level=None)
        self.close = self.db.close

    def put(self, values: Iterable[tuple[str, Any]]) -> None:
        """Store values in one transaction."""
        # The folder is synced, too, so that no power cut brings the journal back.
        self.db.execute("PRAGMA synchronous=EXTRA")
        self.db.execute("PRAGMA page_size=16384")
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute(_TABLE)
        self.db.executemany("REPLACE INTO zarr VALUES (?, ?)", values)
        self.db.execute("COMMIT")

    def get(self, keys: Iterable[str]) -> Iterator[Any]:
        """Yield the values of keys, as they were at one time."""
        self.db.execute("BEGIN")
        for key in keys:
            yield self.db.execute("SELECT v FROM zarr WHERE k = ?", (key,)).fetchone()[0]
        self.db.execute("COMMIT")

    def keys(self) -> list[str]:
        """Return all keys."""
        return [key for (key,) in self.db.execute("SELECT k FROM zarr")]


_KINDS = {"lmdb": _Lmdb, "sqlite": _Sqlite}


class Bare:
    """The bare library of a kind of store, with the methods of the other engines."""

    synced = True

    def version(self) -> str:
        """Return the versions of the libraries."""
        return f"lmdb {import_module('lmdb').__version__}, SQLite {sqlite3.sqlite_version}"

    def use(self, durability: str) -> None:
        """Sync as fastzarr does."""
        self.synced = durability != "none"

    def store(self, kind: str, place: str, mode: str) -> Any:
        """Open a database."""
        del mode
        if kind not in _KINDS:
            msg = f"has no floor for {kind}"
            raise CannotError(msg)
        return _KINDS[kind](place, synced=self.synced)

    def close(self, store: Any) -> None:
        """Close a database."""
        store.close()

    def create(self, store: Any, kind: str, values: Array, chunk: int) -> None:
        """Write a document and all chunks."""
        del kind
        document = {"shape": values.shape, "chunks": [chunk], "dtype": "<f4"}
        store.put([(_DOCUMENT, json.dumps(document).encode()), *_cut(values, chunk)])

    def overwrite(self, store: Any, values: Array) -> None:
        """Write all chunks again."""
        store.put(_cut(values, self.open(store).chunk))

    def open(self, store: Any) -> Any:
        """Read the document."""
        (document,) = store.get([_DOCUMENT])
        return _Array(store, json.loads(bytes(document)))

    def list(self, store: Any) -> int:
        """Return the number of keys."""
        return len(store.keys())


def _cut(values: Array, chunk: int) -> Iterator[tuple[str, Any]]:
    for number in range(len(values) // chunk):
        yield str(number), memoryview(values[number * chunk : (number + 1) * chunk]).cast("B")


class _Array:
    """An array of chunks, which is read whole."""

    def __init__(self, store: Any, document: dict[str, Any]) -> None:
        self.store, self.shape, self.chunk = store, document["shape"], document["chunks"][0]

    def __getitem__(self, selection: Any) -> Array:
        """Read all."""
        found = np.empty(self.shape, "f4")
        count = self.shape[0] // self.chunk
        for number, value in enumerate(self.store.get(map(str, range(count)))):
            found[number * self.chunk :][: self.chunk] = np.frombuffer(value, "f4")
        return found
