"""The rows about stores do what their titles say, with our stores and those of zarr-python."""

from __future__ import annotations

import pytest

from bench.base import CannotError, WrongError
from bench.containers import engines
from bench.containers.rows import ROWS, Container, Overwrite, Read, Size, Write
from bench.worker import Worker

LOCAL = [row for row in ROWS if row.kind != "redis"]


def container(row, folder):
    return Container(row.kind, row.data, folder, 0, scale=100)


@pytest.mark.parametrize("row", LOCAL, ids=[row.name for row in LOCAL])
def test_a_row_passes_its_check(row, tmp_path):
    task = row.task(engines.load("fastzarr"), container(row, tmp_path))
    task.check(task.run())
    task.tidy()


FLOORS = [row for row in ROWS if row.kind in ("lmdb", "sqlite")]


@pytest.mark.parametrize("row", FLOORS, ids=[row.name for row in FLOORS])
def test_the_floor_of_a_database_passes_its_check(row, tmp_path):
    engine = engines.load("bare")
    engine.use(row.durability)
    task = row.task(engine, container(row, tmp_path))
    task.check(task.run())
    task.tidy()


def test_the_floor_is_that_of_databases(tmp_path):
    row = next(row for row in ROWS if row.name == "store-zip-read-small")
    with pytest.raises(CannotError, match="has no floor for zip"):
        Read(engines.load("bare"), container(row, tmp_path))


@pytest.mark.parametrize("name", ["zarr", "tensorstore", "zarrista"])
def test_peers_read_zip_archives(name, tmp_path):
    row = next(row for row in ROWS if row.name == "store-zip-read-small")
    task = Read(engines.load(name), container(row, tmp_path))
    task.check(task.run())


@pytest.mark.parametrize("name", ["tensorstore", "zarrista"])
def test_peers_that_only_read_say_so(name, tmp_path):
    row = next(row for row in ROWS if row.name == "store-zip-write-small-none")
    task = Write(engines.load(name), container(row, tmp_path))
    with pytest.raises(CannotError, match="does not write zip archives"):
        task.run()


def test_a_wrong_value_is_found(tmp_path):
    row = next(row for row in ROWS if row.name == "store-zip-read-small")
    task = Read(engines.load("fastzarr"), container(row, tmp_path))
    with pytest.raises(WrongError, match="1 of 20480 values differ"):
        task.check(task.values + (task.values == 7))


def test_a_write_leaves_no_files(tmp_path):
    row = next(row for row in ROWS if row.name == "store-sqlite-write-small")
    task = Write(engines.load("fastzarr"), container(row, tmp_path))
    task.run()
    assert list(tmp_path.iterdir())
    task.tidy()
    assert not list(tmp_path.iterdir())


def test_a_library_removes_its_own_store_from_a_server(tmp_path, redis):
    row = next(row for row in ROWS if row.name == "store-redis-write-small")
    tasks = []
    for name in ("one", "two"):
        where = Container(row.kind, row.data, tmp_path / name, redis["port"], scale=100)
        tasks.append(Write(engines.load("fastzarr"), where))
    first, second = tasks
    for _ in range(2):
        first.run()
        second.run()
        first.tidy()
        second.check(None)
        assert not list(first.again("write"))
        second.tidy()


def test_the_size_is_that_of_the_files(tmp_path):
    row = next(row for row in ROWS if row.name == "store-local-size")
    task = Size(engines.load("fastzarr"), container(row, tmp_path))
    task.run()
    assert 1.0 <= task.size() < 1.1  # two chunks of half a MiB, and a document


def test_overwriting_is_timed_in_the_same_store(tmp_path):
    row = next(row for row in ROWS if row.name == "store-local-overwrite-small-full")
    task = Overwrite(engines.load("fastzarr"), container(row, tmp_path))
    before = {path.name for path in tmp_path.iterdir()}
    worker = Worker(task)
    assert set(worker.check()) == {"seconds", "version"}
    assert {path.name for path in tmp_path.iterdir()} == before
