"""What holds for all stores in a database that several threads and processes may use."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import join

import fastzarr as zarr
from fastzarr.errors import (
    ChunkError,
    DatabaseError,
    PathNotFoundError,
    TransactionError,
)
from fastzarr.stores import LMDBStore, SQLiteStore, as_store
from fastzarr.testing.promises import run_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores import Store

    Make = Callable[..., Store]


def lmdb_file(path: str, **words: Any) -> LMDBStore:
    """Return a store in an environment that is a file."""
    return LMDBStore(path, subdir=False, **words)


KINDS: dict[str, Make] = {
    "sqlite": SQLiteStore,
    "lmdb": LMDBStore,
    "lmdb file": lmdb_file,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return the name of a kind of store."""
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path, kind: str) -> str:
    """Return the path of a store."""
    return str(tmp_path / f"a.{kind.split(maxsplit=1)[0]}")


@pytest.fixture
def make(kind: str, path: str) -> Make:
    """Return a function that makes a store of the path."""
    return partial(KINDS[kind], path)


def data_of(path: str) -> Path:
    """Return the file of a database."""
    return Path(path, "data.mdb") if Path(path).is_dir() else Path(path)


def test_nothing_is_created_before_the_first_write(make: Make, path: str) -> None:
    """Reading a missing database finds no keys, and creates nothing."""
    for read_only in (True, False):
        store = make(read_only=read_only)
        assert store.get("a") is None
        assert list(store) == store.listdir() == []
        assert store.getsize_prefix() == 0
        with pytest.raises(PathNotFoundError):
            zarr.open(store, mode="r")
        store.close()
    assert list(Path(path).parent.iterdir()) == []


def test_a_prefix_has_no_wildcards(make: Make) -> None:
    """``_`` and ``%`` in a path mean themselves, in all that is said of a prefix."""
    store = make()
    keys = ["a%/x", "a_/x", "a_b/x", "a_b/y/z", "axb/x", "A_b/x", "a_b", "a_b0"]
    store.update(dict.fromkeys(keys, b"1"))
    assert [*store.list("a_b")] == ["a_b/x", "a_b/y/z"]
    assert store.listdir("a_b") == ["x", "y"]
    assert store.getsize_prefix("a_") == store.getsize_prefix("a%") == 1
    store.rename("a_b", "new")
    assert [*store.list("new")] == ["new/x", "new/y/z"]
    store.rmdir("a_")
    store.rmdir("new")
    assert [*store] == ["A_b/x", "a%/x", "a_b0", "axb/x", "new"]


def test_names_are_found_among_many_keys(make: Make) -> None:
    """Every name is found, whatever the keys around it."""
    store = make()
    keys = [f"{name}/{i}" for name in ("a", "a-", "b", "\U0010ffff") for i in range(200)]
    keys += ["a", "a-b", "a.b", "b0", "c\x7e"]
    store.update(dict.fromkeys(keys, b""))
    assert store.listdir() == sorted({key.partition("/")[0] for key in keys})
    assert len(store.listdir("b")) == 200


def _add(kind: str, path: str, place: int, count: int) -> None:
    """Write an element of each chunk that all processes share, again and again."""
    array = zarr.open_array(KINDS[kind](path), mode="r+")
    for i in range(count):
        array[i % 4, place] = i + 1
    array.store.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_lose_nothing(make: Make, kind: str, path: str, method: str) -> None:
    """Partial writes of several processes to the same chunks are all there at the end."""
    store, count = make(), 60
    zarr.create_array(store, shape=(4, 4), chunks=(1, 4), dtype="i8", fill_value=0)[...] = 0
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=_add, args=(kind, path, i, count)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        join(worker)
        assert worker.exitcode == 0
    last = np.arange(count - 4, count) + 1
    assert (zarr.open_array(store)[...] == last[:, None]).all()


def test_a_forked_child_opens_the_database_again(make: Make) -> None:
    """Parent and child read and write after a fork, and a transaction stays the parent's."""
    store, memory = make(), SQLiteStore(":memory:")
    store["a"] = memory["a"] = b"1"
    assert store["a"] == b"1"

    def child(queue: Any) -> None:
        try:
            store["b"] = b"2"
            memory["a"] = b"child"
            queue.put((dict(store), dict(memory)))
        except BaseException as error:  # noqa: BLE001  (compared by the parent)
            queue.put(repr(error))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    store["c"] = b"3"
    found = queue.get(timeout=300)
    join(process)
    assert found[0].items() >= {("a", b"1"), ("b", b"2")}
    assert found[1] == {"a": b"child"}
    assert dict(store) == {"a": b"1", "b": b"2", "c": b"3"}
    assert memory["a"] == b"1"

    def in_transaction(queue: Any) -> None:
        try:
            store["d"] = b"4"
        except TransactionError:
            queue.put("refused")

    with store.transaction(""):
        process = context.Process(target=in_transaction, args=(queue,))
        process.start()
        assert queue.get(timeout=300) == "refused"
        join(process)
        store["e"] = b"5"
    assert store["e"] == b"5"
    assert "d" not in store


def test_a_fork_waits_for_other_threads(make: Make) -> None:
    """A child of a process whose threads write finds a database that works."""
    store = make()
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            store[f"a/{number % 10}"] = b"%d" % number
            number += 1

    def fork() -> None:
        for i in range(10):
            child = os.fork()
            if not child:
                try:
                    store[f"b/{i}"] = b"1"
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitpid(child, 0)[1] == 0

    run_at_once([fork], beside=[write], done=done)
    assert len([*store.list("b")]) == 10


def test_a_transaction_of_a_group(make: Make) -> None:
    """Changes of several nodes are stored together, unless another writer was first."""
    store = make()
    root = zarr.group(store)
    array = root.create_array("x", data=np.arange(10), chunks=5)
    with root.transaction():
        array[:] = -1
        array.append([5, 6])
        root.create_array("y", data=[1, 2])
        assert (zarr.open(store)["x"][:10] == -1).all()
        seen: list[Any] = []
        run_at_once([lambda: seen.append(zarr.open_group(make())["x"][:])])
        assert seen[0].tolist() == [*range(10)]
    assert zarr.open(store)["x"][:].tolist() == [-1] * 10 + [5, 6]

    def change() -> None:
        with root.transaction():
            array[0] = 3
            run_at_once([lambda: zarr.open_group(make())["x"].__setitem__(1, 4)])

    with pytest.raises(TransactionError, match=r"x/c/0"):
        change()
    assert zarr.open(store)["x"][:3].tolist() == [-1, 4, -1]


def test_a_copy_in_another_process_writes_to_the_same_values(make: Make) -> None:
    """A pickle has the path and the settings."""
    store = make(dimension_separator="/")
    store["a"] = b"1"
    copy = pickle.loads(pickle.dumps(store))
    assert copy.dimension_separator == "/"
    copy["a"] = b"2"
    assert store["a"] == b"2"
    assert copy == store


@pytest.mark.parametrize("size", [100, 5000, 40000, -20000, -16384, -1])
def test_a_truncated_file_is_an_error(make: Make, path: str, size: int) -> None:
    """A file that has lost its end raises an error that names it, never fill values."""
    values = np.random.default_rng(0).integers(1 << 60, size=1 << 16)
    with make() as store:
        zarr.create_array(store, data=values, chunks=1 << 12, compressors=None, fill_value=7)
    handle = zarr.open_array(make(read_only=True), mode="r")
    handle.store.close()
    file = data_of(path)
    file.write_bytes(file.read_bytes()[:size])
    name = Path(path).name
    for _ in range(2):
        with pytest.raises((DatabaseError, ChunkError), match=name):
            handle[:]
        with pytest.raises((DatabaseError, ChunkError), match=name):
            zarr.open_array(make(), mode="r")[:]


def test_a_missing_database_is_not_read_as_fill_values(make: Make, path: str) -> None:
    """An array whose file was deleted raises an error."""
    with make() as store:
        array = zarr.create_array(store, data=np.arange(8), chunks=2)
    data_of(path).unlink()
    with pytest.raises(PathNotFoundError):
        array[:]


def test_a_file_that_is_no_database_is_an_error(make: Make, path: str) -> None:
    """Another file under the name raises an error for every verb, and stays as it is."""
    make().set("a", b"1")
    make().close()
    file = data_of(path)
    file.write_bytes(b"some text, which is long enough to be compared with a header" * 200)
    before = file.read_bytes()
    store = make()
    for verb in (
        lambda: store.get("a"),
        lambda: store.set("a", b"1"),
        lambda: [*store],
        lambda: store.delete("a"),
        lambda: zarr.open(store, mode="w", shape=3),
        lambda: zarr.open(store, mode="r"),
    ):
        with pytest.raises(DatabaseError, match=r"not (a database|one)"):
            verb()
    assert file.read_bytes() == before


def test_a_file_that_was_replaced_is_opened_again(make: Make, kind: str, path: str) -> None:
    """After another database was put under the name, its values are read and written."""
    store, other = make(), KINDS[kind](f"{path}2")
    store["a"], other["b"] = b"1", b"2"
    other.close()
    Path(path).rename(f"{path}1")
    for end in ("-wal", "-shm", "-lock"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    Path(f"{path}2").rename(path)
    assert dict(store) == {"b": b"2"}
    store["c"] = b"3"
    store.close()
    assert dict(make()) == {"b": b"2", "c": b"3"}


def descriptors() -> int:
    """Return the number of open descriptors."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_closed_stores_leave_no_descriptors(make: Make) -> None:
    """Closing a store, or dropping the last reference to it, closes its connections."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("counts descriptors in /proc")
    before = descriptors()

    def use(*, close: bool) -> None:
        store = make()
        run_at_once([lambda i=i: store.set(f"a/{i}", b"1") for i in range(8)])  # type: ignore[misc]
        if close:
            store.close()
            assert descriptors() == before

    for close in (True, False):
        use(close=close)
        assert descriptors() == before


@pytest.mark.parametrize("suffix", [".sqlite", ".sqldb", ".db", ".SQLITE", ".lmdb"])
def test_a_path_with_the_suffix_is_a_database(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``zarr.open`` and ``zarr.save`` find the store by the name of the file."""
    path = str(tmp_path / f"a{suffix}")
    zarr.save(path, np.arange(5))
    kind = LMDBStore if suffix == ".lmdb" else SQLiteStore
    assert isinstance(as_store(path), kind)
    assert data_of(path).is_file()
    assert zarr.open(path, mode="r")[:].tolist() == [0, 1, 2, 3, 4]
    assert zarr.load(path).tolist() == [0, 1, 2, 3, 4]
    monkeypatch.chdir(tmp_path)
    assert zarr.load(f"a{suffix}").tolist() == [0, 1, 2, 3, 4]
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    (folder / "zarr.json").write_text("{}")
    assert not isinstance(as_store(folder), kind)


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask_writes_and_reads(make: Make, scheduler: str) -> None:
    """Blocks are written and read by the threads, or the processes, of dask."""
    dask = pytest.importorskip("dask")
    pytest.importorskip("dask.array")
    values = np.arange(40.0).reshape(8, 5)
    with make() as store:
        # Two blocks share a chunk.
        array = zarr.create_array(store, shape=(8, 5), chunks=(4, 5), dtype="f8")
        with dask.config.set(scheduler=scheduler, num_workers=2):
            blocks = dask.array.from_array(values, chunks=(2, 5))
            dask.array.store(blocks, array, lock=False)
            lazy = dask.array.from_array(zarr.open_array(store, mode="r"), chunks=(4, 5))
            np.testing.assert_array_equal((lazy + 1).compute(), values + 1)
        np.testing.assert_array_equal(array[...], values)
