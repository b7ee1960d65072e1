"""The store in an environment of LMDB."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import lmdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talking import talking
from waits import PATIENCE, join

import fastzarr as zarr
from fastzarr.config import config
from fastzarr.errors import BaseZarrError, ContainsNodeError, DatabaseError, ForkedError
from fastzarr.stores import LMDBStore
from fastzarr.stores.lmdb.session import Reading, Writing
from fastzarr.testing import StoreTests

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


class TestLMDBStore(StoreTests):
    """The common test suite."""

    @pytest.fixture(params=["a.lmdb", "a.mdb"])
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> LMDBStore:
        """Return an empty store, in a folder and in a file."""
        return LMDBStore(tmp_path / request.param, subdir=request.param == "a.lmdb")


def test_keys_and_values_are_stored_as_they_are(tmp_path: Path) -> None:
    """The environment has the keys and the values, and nothing else."""
    for subdir in (True, False):
        path = str(tmp_path / f"below/{subdir}")
        with LMDBStore(path, subdir=subdir) as store:
            store["a/b"] = np.arange(3, dtype="u1")
        with lmdb.open(path, subdir=subdir) as env, env.begin() as txn:
            assert list(txn.cursor()) == [(b"a/b", b"\0\1\2")]
        # The form of an existing environment is recognised.
        assert dict(LMDBStore(path)) == {"a/b": b"\0\1\2"}


def test_names_of_users(tmp_path: Path) -> None:
    """The attributes and arguments of zarr-python 2's class are there."""
    path = str(tmp_path / "a.mdb")
    store = LMDBStore(path, True, "/", map_size=10 * MIB, max_readers=10)  # noqa: FBT003  (a user's)
    assert (store.path, store.buffers, store.dimension_separator) == (path, True, "/")
    store["a"] = b"1"
    assert store.db.stat()["entries"] == len(store) == 1
    assert store.db.info()["max_readers"] == 10
    assert store.db.flags()["sync"]
    assert not store.db.flags()["writemap"]
    copy = pickle.loads(pickle.dumps(store))
    assert copy.kwargs == {"map_size": 10 * MIB, "max_readers": 10}
    with pytest.raises(BaseZarrError, match="is open with"):
        LMDBStore(path, max_readers=11)
    store.close()
    assert dict(LMDBStore(path, max_readers=11)) == {"a": b"1"}
    with pytest.raises(ValueError, match="durability"):
        LMDBStore(path, durability="often")  # type: ignore[arg-type]


@pytest.mark.parametrize("durability", ["none", "replace", "full"])
def test_durability(tmp_path: Path, durability: Any) -> None:
    """Every transaction is synced, and its end with the two higher levels."""
    with config.set({"durability": durability}):
        store = LMDBStore(tmp_path / "a.lmdb")
        store["a"] = b"1"
        assert store.durability == durability
        assert store.db.flags()["sync"]
        assert store.db.flags()["metasync"] == (durability != "none")
        store.flush()
        store.close()


def test_arrays_are_read_without_a_copy(tmp_path: Path) -> None:
    """The extension decodes the mapped file, and keeps no transaction afterwards."""
    store = LMDBStore(tmp_path / "a.lmdb")
    values = np.random.default_rng(0).random(4 * MIB)
    array = zarr.create_array(store, data=values, chunks=MIB)
    out = np.empty_like(values)
    for buffers in (True, False):
        array = zarr.open_array(LMDBStore(tmp_path / "a.lmdb", buffers), mode="r")
        array.get_basic_selection(out=out)
        tracemalloc.start()
        array.get_basic_selection(out=out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (peak < MIB) == buffers
        assert (out == values).all()
    assert len(store.db.readers().splitlines()) <= 3


def test_views_of_values_last(tmp_path: Path) -> None:
    """A view keeps the values of its time, whatever is written by the same thread."""
    store = LMDBStore(tmp_path / "a.lmdb", map_size=64 * MIB)
    store.update({"a": b"1" * 50000, "b": b"", "c": b"3"})
    views = store.get_many_valid(["a", "b", "c", "x"])
    assert views[3] is None
    for i in range(50):
        store["a"] = bytes([i]) * 50000
    assert [bytes(view) for view in views[:3]] == [b"1" * 50000, b"", b"3"]
    assert views[0].readonly
    assert store["a"] == bytes([49]) * 50000
    del views
    store.close()
    assert store["c"] == b"3"


def test_a_store_that_was_only_read_is_not_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits for the disk only if transactions have not done so."""
    synced: list[Reading] = []
    sync = Reading.sync

    def counted(self: Reading) -> None:
        synced.append(self)
        sync(self)

    monkeypatch.setattr(Reading, "sync", counted)
    settings: list[dict[str, Any]] = [{}, {"durability": "none"}, {"sync": False}]
    for number, words in enumerate(settings):
        with LMDBStore(tmp_path / f"{number}.lmdb", **words) as store:
            store["a"] = b"1"
    assert len(synced) == 2


def test_what_the_extension_reads_lasts(tmp_path: Path) -> None:
    """Values are views of one time until their owner is deleted, and copies if many have some."""
    store = LMDBStore(tmp_path / "a.lmdb", max_readers=8)
    store.set_many([("a", b"1" * 50000), ("b", b""), ("c", b"3")])
    owner, values = store.views(["a", "b", "c", "x"])
    store.clear()
    for number in range(50):
        store[f"d/{number}"] = b"2" * 50000
    values = list(values)
    assert [None if one is None else bytes(one) for one in values] == [
        *(b"1" * 50000, b"", b"3"),
        None,
    ]
    assert {type(one) for one in values[:3]} == {memoryview}
    many = [store.views(["d/1"]) for _ in range(100)]
    views = [(one.owner, *one.values) for one in many]
    assert {type(view) for _, view in views} == {memoryview, bytes}
    assert all(bytes(view) == b"2" * 50000 for _, view in views)
    values, many, views = [], [], []
    del owner
    # Nobody keeps a transaction any more, of the readers that the table lists.
    assert all(line.split()[-1] == "-" for line in store.db.readers().splitlines()[1:])
    with store.transaction(""):
        assert store.views(["d/1"]) == (None, [b"2" * 50000])
    assert LMDBStore(tmp_path / "none.lmdb").views(["a"]).values == [None]


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 20_000), min_size=1, max_size=5),
    buffers=st.booleans(),
)
def test_views_are_what_keys_have(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], buffers: bool
) -> None:
    """``views`` and ``get_small`` return what ``get`` does."""
    with LMDBStore(tmp_path_factory.mktemp("lmdb"), buffers) as store:
        store.set_many((f"k{n}", bytes([n]) * size) for n, size in enumerate(sizes))
        keys = [f"k{n}" for n in range(len(sizes) + 1)]
        found = store.views(keys)
        assert [None if one is None else bytes(one) for one in found.values] == [
            store.get(key) for key in keys
        ]
        assert store.get_small([keys]) == {key: store.get(key) for key in keys}
        del found


def test_too_many_views_are_copies(tmp_path: Path) -> None:
    """However many requests keep their values, readers of the file do not run out."""
    store = LMDBStore(tmp_path / "a.lmdb", max_readers=8)
    value = store["a"] = b"1" * 50_000
    views = [store.get_many_valid(["a"]) for _ in range(100)]
    assert all(bytes(view) == value for (view,) in views)
    assert {type(view) for (view,) in views} == {memoryview, bytes}
    store["a"] = b"2"
    assert store["a"] == b"2"


def test_the_file_does_not_grow_by_reading(tmp_path: Path) -> None:
    """Space of replaced values is used again, because no transaction stays open."""
    store = LMDBStore(tmp_path / "a.lmdb")
    array = zarr.create_array(store, shape=64 * 1024, chunks=16 * 1024, compressors=None)
    size = 0
    for i in range(60):
        array[:] = i + 1
        assert (array[:] == i + 1).all()
        if i == 10:
            size = (tmp_path / "a.lmdb/data.mdb").stat().st_size
    assert (tmp_path / "a.lmdb/data.mdb").stat().st_size <= 2 * size


def test_the_map_grows_for_keys(tmp_path: Path) -> None:
    """Many small values need room for their keys, and for the pages that they change."""
    store = LMDBStore(tmp_path / "a.lmdb", map_size=MIB)
    end = "/".join(["k" * 220, "l" * 220])
    keys = [f"a/{number * 7919 % 60_000}/{end}" for number in range(60_000)]
    store.update(dict.fromkeys(keys, b""))
    assert sorted(store) == sorted(keys)


def test_the_map_grows(tmp_path: Path) -> None:
    """More is stored than ``map_size``, by single values, batches and arrays."""
    path = tmp_path / "a.lmdb"
    store = LMDBStore(path, map_size=MIB)
    store["a"] = os.urandom(3 * MIB)
    store.set_many([(f"b/{i}", os.urandom(MIB)) for i in range(30)])
    store.rename("b", "c")
    values = np.random.default_rng(0).random(8 * MIB)
    array = zarr.create_array(store, name="x", data=values, chunks=MIB)
    assert (array[:] == values).all()
    assert store.getsize_prefix("c") == 30 * MIB
    # Another process has a map of the size that its settings say.
    code = "import sys; from fastzarr.stores import LMDBStore as S; print(len(S(sys.argv[1])['a']))"
    run = subprocess.run(  # noqa: S603  (this interpreter)
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) == 3 * MIB


def _fill(path: str) -> None:
    with LMDBStore(path, map_size=MIB) as store:
        store["b"] = bytes(40 * MIB)


def test_a_map_that_another_process_has_grown_is_read(tmp_path: Path) -> None:
    """The map of an open store is replaced when the file is larger than it."""
    store = LMDBStore(tmp_path / "a.lmdb", map_size=MIB)
    store["a"] = b"1"
    process = multiprocessing.get_context("spawn").Process(target=_fill, args=(store.path,))
    process.start()
    join(process)
    assert process.exitcode == 0
    assert store.getsize("b") == 40 * MIB
    store["c"] = b"2"
    assert dict.fromkeys(store) == {"a": None, "b": None, "c": None}


def test_a_file_that_grows_while_it_is_opened_is_not_truncated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.lmdb"
    with LMDBStore(path) as store:
        store["a"] = b"1"
    look = "fastzarr.stores.lmdb.environment:Environment._look"
    real, real_open, did = resolve_name(look), lmdb.open, list[str]()

    def opened(*args: Any, **options: Any) -> Any:
        did.append("opened")
        return real_open(*args, **options)

    def grown(*args: Any) -> Any:
        """Let another process store a value at once after the size has been read."""
        found = real(*args)
        if did == ["opened"]:
            did.append("grown")
            process = multiprocessing.get_context("spawn").Process(target=_fill, args=(str(path),))
            process.start()
            join(process)
        return found

    monkeypatch.setattr("lmdb.open", opened)
    monkeypatch.setattr(look.replace(":", "."), grown)
    assert LMDBStore(path)["a"] == b"1"
    assert did == ["opened", "grown"]


def test_a_key_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    """A key of more than 511 bytes cannot be stored, and says so."""
    store = LMDBStore(tmp_path / "a.lmdb")
    key = "/".join(["a" * 200] * 3)
    with pytest.raises(DatabaseError, match="511 bytes"):
        store[key] = b"1"
    assert store.get(key) is None
    store["a"] = b"1"
    assert list(store) == ["a"]


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """A write that finds no space raises an error with the key, and nothing of it is stored."""
    pytest.importorskip("resource")
    code = (
        "import os, resource, signal, sys\n"
        "from fastzarr.errors import DatabaseError\n"
        "from fastzarr.stores import LMDBStore\n"
        "store = LMDBStore(sys.argv[1]); store['a'] = b'1'\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n    store.set_many([('a', b'2'), ('b', os.urandom(1 << 22))])\n"
        "except DatabaseError as error:\n    print(error)\n"
        "print(dict(store))\nstore['c'] = b'3'\nprint(len(store))\n"
    )
    run = subprocess.run(  # noqa: S603  (this interpreter)
        [sys.executable, "-c", code, tmp_path / "a.lmdb"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert "a.lmdb" in lines[0]
    assert "no file of more than 1,048,576 bytes" in lines[0]
    assert "nothing was written" in lines[0]
    assert lines[1:] == ["{'a': b'1'}", "2"]


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system of Linux")
@pytest.mark.parametrize("nbytes", [1 << 14, 1 << 20, 1 << 22])
def test_a_disk_that_is_full_is_named(tmp_path: Path, nbytes: int) -> None:
    """LMDB says only "Input/output error" if there was room for a part of a write."""
    starve = pytest.importorskip("torture.starve")
    if not starve.may_mount():
        pytest.skip("may not mount a file system")
    with starve.file_system(tmp_path, 1 << 20):
        store = LMDBStore(tmp_path / "a.lmdb")
        store["a"] = b"1"
        written = 0

        def fill() -> None:
            nonlocal written
            while True:
                store.set_many([("a", b"%d" % written), (f"b/{written}", os.urandom(nbytes))])
                written += 1

        with pytest.raises(DatabaseError, match=r"disk is full.*nothing was written") as caught:
            fill()
        assert caught.value.errno == errno.ENOSPC
        assert store["a"] == (b"%d" % (written - 1) if written else b"1")
        assert len(store) == written + 1
        store.close()


def test_a_folder_that_cannot_be_written_is_read() -> None:
    """An environment is read where no lock file can be made, and cannot be written."""
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("becomes another user, which only root can")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.lmdb")
        with LMDBStore(path) as store:
            store["a"] = b"1"
        (path / "lock.mdb").unlink()
        for one in (Path(folder), path):
            one.chmod(0o755)
        os.seteuid(65534)
        try:
            for read_only in (True, False):
                assert dict(LMDBStore(path, read_only=read_only)) == {"a": b"1"}
            with pytest.raises(DatabaseError, match=r"a\.lmdb") as caught:
                LMDBStore(path)["a"] = b"2"
        finally:
            os.seteuid(0)
        assert caught.value.errno in (errno.EACCES, errno.EROFS)


def test_a_fork_with_views_leaves_them_to_the_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of a process that keeps views cannot use the store, and the parent's are kept."""
    monkeypatch.setattr("fastzarr.stores.lmdb.environment._WAIT", 0.1)
    store = LMDBStore(tmp_path / "a.lmdb")
    store["a"] = b"1" * 50000
    (view,) = store.get_many_valid(["a"])

    def child(queue: Any) -> None:
        try:
            store.get("a")
        except ForkedError as error:
            queue.put(str(error))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert "a.lmdb" in queue.get(timeout=300)
    join(process)
    for i in range(20):
        store["a"] = bytes([i]) * 50000
    assert bytes(view) == b"1" * 50000
    assert store["a"] == bytes([19]) * 50000


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a missing package says what to install."""
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(ImportError, match=r"fastzarr\[lmdb\]"):
        LMDBStore(tmp_path / "a.lmdb")


def _moved(
    store: LMDBStore, monkeypatch: pytest.MonkeyPatch, between: Callable[[], Any] | None = None
) -> list[int]:
    """Move ``a`` to ``b``, at most 4000 bytes at once; return what each transaction has written.

    ``between`` is called once, after the first transaction.
    """
    sizes: list[int] = []
    put, enter = Writing.put, Writing.__enter__

    def begun(self: Writing) -> Any:
        if between is not None and len(sizes) == 1:
            sizes.append(0)
            between()
        sizes.append(0)
        return enter(self)

    def counted(self: Writing, changes: Any) -> None:
        sizes[-1] += sum(len(value or b"") for value in changes.values())
        put(self, changes)

    monkeypatch.setattr(Writing, "__enter__", begun)
    monkeypatch.setattr(Writing, "put", counted)
    with zarr.config.set({"fetch.bytes": 4000}):
        store.move("a", "b")
    return sizes


@pytest.fixture
def tree(tmp_path: Path) -> LMDBStore:
    """Return a store with a group of 20 values of 1000 bytes."""
    store = LMDBStore(tmp_path / "a.lmdb")
    store.update({"a/zarr.json": b"{}"} | {f"a/c/{i}": b"%d" % i * 500 for i in range(10, 30)})
    return store


def test_a_large_tree_is_not_in_memory_while_it_is_moved(
    tree: LMDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction, which LMDB has in memory, writes only a part of the tree."""
    old = dict(tree)
    sizes = _moved(tree, monkeypatch)
    assert max(sizes) <= 5000
    assert sum(sizes) == sum(map(len, old.values()))
    assert dict(tree) == {key.replace("a/", "b/"): value for key, value in old.items()}


def test_a_value_that_is_changed_while_it_is_moved_is_moved(
    tree: LMDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last transaction of a move compares the copies with the values."""
    old = dict(tree)

    def change() -> None:
        tree["a/c/10"] = b"new"
        tree["a/c/30"] = b"more"
        tree.delete("a/c/11")

    _moved(tree, monkeypatch, change)
    new = {key.replace("a/", "b/"): value for key, value in old.items()} | {"b/c/10": b"new"}
    del new["b/c/11"]
    assert dict(tree) == new | {"b/c/30": b"more"}


def test_a_node_that_is_created_while_another_is_moved_there_is_kept(
    tree: LMDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move neither replaces a node that another writer has created, nor deletes its chunks."""
    old, other = dict(tree), {"b/zarr.json": b"other", "b/c/10": b"chunk"}
    with pytest.raises(ContainsNodeError, match="another writer has just created 'b'"):
        _moved(tree, monkeypatch, lambda: tree.update(other))
    found = dict(tree)
    assert found.items() >= (old | other).items()


def test_a_move_that_fails_leaves_the_tree_and_no_copies(
    tree: LMDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If values cannot be copied, those that were are deleted again."""
    old = dict(tree)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _moved(tree, monkeypatch, fail)
    assert dict(tree) == old


@pytest.mark.skipif(sys.platform != "linux", reason="LMDB tells who writes only on Linux")
def test_another_writer_is_waited_for_and_then_named(tmp_path: Path) -> None:
    """A change waits until the other transaction ends, or its process; or it is an error."""
    code = (
        "import lmdb, sys\n"
        "env = lmdb.open(sys.argv[1], subdir=False)\n"
        "for _ in sys.stdin:\n"
        "    with env.begin(write=True) as txn:\n"
        "        txn.put(b'b', b'2'); print('begun', flush=True); input()\n"
        "    print('ended', flush=True)\n"
    )
    path = str(tmp_path / "a.mdb")
    store = LMDBStore(path, subdir=False)
    store["a"] = b"1"
    with talking(code, path) as other:
        other.tell()
        other.hear()
        with (
            config.set({"database.timeout": 0.05}),
            pytest.raises(DatabaseError, match=f"0.05 seconds by process {other.pid} ") as caught,
        ):
            store["a"] = b"3"
        assert caught.value.errno == errno.EAGAIN
        assert dict(store) == {"a": b"1"}
        waiting = threading.Thread(target=store.set, args=("a", b"4"))
        waiting.start()
        other.tell()
        other.hear()
        join(waiting)
        assert dict(store) == {"a": b"4", "b": b"2"}
        other.tell()
        other.hear()
        other.process.kill()
        other.process.wait(PATIENCE)
        store["a"] = b"5"
    assert dict(store) == {"a": b"5", "b": b"2"}


@pytest.mark.skipif(sys.platform != "linux", reason="LMDB tells who writes only on Linux")
def test_a_transaction_of_the_user_is_not_waited_for_without_end(tmp_path: Path) -> None:
    """A thread that has begun a transaction of ``db`` gets an error, and can go on then."""
    store = LMDBStore(tmp_path / "a.lmdb")
    store["a"] = b"1"
    with (
        store.db.begin(write=True),
        config.set({"database.timeout": 0.01}),
        pytest.raises(DatabaseError, match=r"for 0\.01 seconds by this process"),
    ):
        store["a"] = b"2"
    store["a"] = b"3"
    assert store["a"] == b"3"


def test_threads_of_a_process_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that does not end its transaction in time is an error for the others."""
    store = LMDBStore(tmp_path / "a.lmdb")
    errors: list[Exception] = []

    def other() -> None:
        with config.set({"database.timeout": 0.05}):
            try:
                store["a"] = b"2"
            except DatabaseError as error:
                errors.append(error)

    put = Writing.put

    def slow(self: Writing, changes: Any) -> None:
        monkeypatch.setattr(Writing, "put", put)
        thread = threading.Thread(target=other)
        thread.start()
        join(thread)
        put(self, changes)

    monkeypatch.setattr(Writing, "put", slow)
    store["a"] = b"1"
    assert "by this process" in str(errors[0])
    store["b"] = b"3"
    assert dict(store) == {"a": b"1", "b": b"3"}


def test_the_file_has_room_for_two_small_batches_that_replace_others(tmp_path: Path) -> None:
    """An array that is written again and again does not need twice its size."""
    store = LMDBStore(tmp_path / "a.lmdb", durability="none")
    array = zarr.create_array(
        store, shape=48 * MIB // 2, chunks=MIB // 2, dtype="u1", compressors=None
    )
    for value in range(1, 5):
        array[...] = value
    store.close()
    assert (tmp_path / "a.lmdb" / "data.mdb").stat().st_size < 30 * MIB
