"""Writers of several processes that share values in databases: no update may be lost.

Rules of this file:

* What the processes do is that of ``cloud.py``, in files of SQLite and LMDB, in a Redis server, and
  in MongoDB or what stands in for it. There is no control: zarr-python 3 has no such stores.
* One process at a time has a DBM database open, so its writers are threads of one process.
"""

from __future__ import annotations

import dbm.dumb
import shutil
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from servers import mongo, redis
from servers.process import UnavailableError
from torture import cloud
from torture.crew import Crew, in_threads
from torture.frame import Row
from torture.harness import scratch
from torture.verdict import counted

import fastzarr
from fastzarr.storage import DBMStore, LMDBStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torture.cloud import Shared
    from torture.frame import Budget
    from torture.verdict import Count

THREADS = 8


KINDS: dict[str, Any] = {
    "sqlite": SQLiteStore,
    "lmdb": LMDBStore,
    # Values of dbm.dumb are written anew whenever they are changed.
    "dbm": lambda path: DBMStore(path, open=dbm.dumb.open, durability="none"),
}


class File(NamedTuple):
    """A database in a file or folder."""

    kind: str
    path: str

    def store(self, module: str) -> Any:
        """Return a store of the database."""
        assert module == "fastzarr"
        return KINDS[self.kind](self.path)


def prove(budget: Budget, seed: int) -> list[Row]:
    """Run all parts, with 10,000 element writes to each database if there is enough time."""
    del seed
    share = min(1.0, budget.seconds / 120)
    return _in_files(share) + _in_servers(share)


def _in_files(share: float) -> list[Row]:
    folder = scratch()
    try:
        with Crew(cloud.PROCESSES, patience=300) as crew:
            rows = []
            for kind, name in (("sqlite", "SQLite"), ("lmdb", "LMDB")):
                places = [File(kind, str(folder / f"{n}.{kind}")) for n in range(4)]
                rows += _prove(crew, places, name, share)
            return [*rows, _in_threads(folder, share)]
    finally:
        shutil.rmtree(folder)


def elements(place: File, rounds: int) -> Count:
    """Let threads write all elements of shared chunks; return the numbers of writes and losses."""
    size = cloud.CHUNK * 16
    store = place.store("fastzarr")
    array = fastzarr.create_array(store, shape=size, chunks=cloud.CHUNK, dtype="i8")
    bad = 0
    for start in range(0, rounds * size, size):
        numbers = [(range(t, size, THREADS), start) for t in range(THREADS)]
        in_threads(partial(_write, array), numbers)
        expected = np.arange(start + 1, start + size + 1)
        bad += int((fastzarr.open_array(store)[:] != expected).sum())
    store.close()
    return rounds * size, bad


def _write(array: fastzarr.Array, numbers: Sequence[int], start: int) -> None:
    for number in numbers:
        array[number] = start + number + 1


def _in_threads(folder: Path, share: float) -> Row:
    found = elements(File("dbm", str(folder / "a.dbm")), max(1, round(10 * share)))
    what = f"writes to parts of shared values in dbm.dumb, {THREADS} threads"
    return counted(9, what, found, None, 10_000, "lost")


def _in_servers(share: float) -> list[Row]:
    with ExitStack() as servers:
        try:
            ports = [servers.enter_context(one.running()).ports[0] for one in (redis, mongo)]
        except UnavailableError as error:
            what = f"writers of database servers: {error}"
            return [Row(9, what, "not run", "", "0 of 10,000", kept=False, few=True)]
        crew = servers.enter_context(Crew(cloud.PROCESSES, patience=300))
        # pymongo's name for what is not a MongoDB server would mislead.
        other = "MongoDB" if mongo.MONGOD else "mongomock"
        rows = _prove(crew, [redis.Prefix(ports[0], str(n)) for n in range(4)], "Redis", share)
        places = [mongo.Collection(ports[1], str(n)) for n in range(4)]
        return rows + _prove(crew, places, other, share)


def _prove(crew: Crew, places: Sequence[Shared], name: str, share: float) -> list[Row]:
    size = cloud.CHUNK * 16
    found = cloud.elements(crew, "fastzarr", places[0], size, max(1, round(10 * share)))
    what = f"writes to parts of shared values in {name}, 4 processes x 2 threads"
    rows = [counted(9, what, found, None, 10_000, "lost")]
    found = cloud.appends(crew, "fastzarr", places[1], max(5, round(50 * share)))
    rows.append(counted(9, f"appends by 4 processes in {name}", found, None, 200, "lost"))
    found = cloud.attributes(crew, "fastzarr", places[2], max(5, round(50 * share)))
    rows.append(counted(9, f"attribute updates by 4 processes in {name}", found, None, 200, "lost"))
    found = cloud.creations(crew, "fastzarr", places[3], max(3, round(50 * share)))
    what = f"rounds of 4 processes that create one node in {name}, with one winner"
    rows.append(counted(11, what, found, None, 50))
    return rows
