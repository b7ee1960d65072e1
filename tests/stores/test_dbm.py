"""The store in a DBM database."""

from __future__ import annotations

import dbm.dumb
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talking import talking
from waits import join

import fastzarr as zarr
from fastzarr.errors import BaseZarrError, DatabaseError, ReadOnlyError
from fastzarr.stores import DBMStore, as_store
from fastzarr.stores.dbm_table import Table
from fastzarr.testing import StoreTests
from fastzarr.testing.promises import run_at_once


def old_table(path: Path) -> None:
    """Make a database as Python's dbm.sqlite3 does, which is in version 3.13 and later."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)")
    connection.close()


def available() -> list[str]:
    """Return the names of the libraries that this Python has."""
    found = ["dbm", "dbm.sqlite3"]
    for name in ("dbm.dumb", "dbm.gnu", "dbm.ndbm"):
        with suppress(ImportError):
            import_module(name)
            found.append(name)
    return found


def _open(name: str) -> Any:
    return import_module(name).open


class TestDBMStore(StoreTests):
    """The common test suite."""

    @pytest.fixture(params=available())
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> DBMStore:
        """Return an empty store, of the library that Python chooses and of each that it has."""
        path = tmp_path / "a.dbm"
        if request.param == "dbm.sqlite3":
            old_table(path)
            return DBMStore(path)
        return DBMStore(path, open=None if request.param == "dbm" else _open(request.param))

    def test_ranges_of_an_empty_value(self, store: Any) -> None:
        """The library that takes an empty value for a missing one refuses it."""
        if _has_empty_values(store):
            super().test_ranges_of_an_empty_value(store)

    def test_buffers_of_bytes_can_be_stored(self, store: Any) -> None:
        """Other buffers are stored by all libraries."""
        if _has_empty_values(store):
            super().test_buffers_of_bytes_can_be_stored(store)
        else:
            store["a"] = memoryview(b"abcdef")[::2]
            assert store["a"] == b"ace"


def _has_empty_values(store: DBMStore) -> bool:
    """Whether a library has empty values; if not, storing one must be an error."""
    if type(store.db).__module__ != "_dbm":
        return True
    store["a"] = b"1"
    with pytest.raises(DatabaseError, match="empty value"):
        store["a"] = b""
    assert dict(store) == {"a": b"1"}
    return False


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return the path of a store."""
    return str(tmp_path / "a.dbm")


def test_names_of_users(path: str) -> None:
    """The attributes and arguments of zarr-python 2's class are there."""
    store = DBMStore(path, "n", 0o600, dbm.dumb.open, True, "/")  # noqa: FBT003  (a user's)
    assert (store.path, store.flag, store.mode) == (path, "c", 0o600)
    assert (store.open, store.write_lock, store.open_kwargs) == (dbm.dumb.open, True, {})
    assert store.dimension_separator == "/"
    store["a/b"] = b"1"
    assert store.db[b"a/b"] == b"1"
    store.flush()
    copy = pickle.loads(pickle.dumps(store))
    assert copy["a/b"] == b"1"
    with pytest.raises(BaseZarrError, match="other arguments"):
        DBMStore(path, mode=0o644)
    store.close()
    with dbm.dumb.open(path, "r") as found:
        assert dict(found) == {b"a/b": b"1"}
    reader = DBMStore(path, "r")
    assert reader.read_only
    assert dict(reader) == {"a/b": b"1"}
    with pytest.raises(ReadOnlyError):
        reader["b"] = b"2"
    reader.close()
    assert dict(DBMStore(path, "n")) == {}
    with pytest.raises(ValueError, match="durability"):
        DBMStore(path, durability="often")  # type: ignore[arg-type]


def test_nothing_is_created_before_the_first_write(path: str) -> None:
    """Reading a missing database finds no keys, and creates nothing."""
    for store in (DBMStore(path, "r"), DBMStore(path), DBMStore(path, read_only=True)):
        assert store.get("a") is None
        assert list(store) == []
        store.close()
    assert list(Path(path).parent.iterdir()) == []


def test_a_batch_is_undone_if_a_part_fails(path: str) -> None:
    """What a failed call has changed is changed back."""

    class Failing(dict[bytes, bytes]):
        def __setitem__(self, key: bytes, value: bytes) -> None:
            if key == b"c":
                raise OSError(28, "No space left on device")
            super().__setitem__(key, value)

        def close(self) -> None:
            """Do nothing."""

        sync = close

    store = DBMStore(path, open=lambda *_: Failing())
    store.set_many([("a", b"1"), ("d", b"4")])
    with pytest.raises(DatabaseError, match="No space") as caught:
        store.set_many([("a", b"2"), ("b", b"2"), ("d", None), ("c", b"2")])
    assert caught.value.errno == 28
    assert caught.value.key == "c"
    assert path in str(caught.value)
    assert dict(store) == {"a": b"1", "d": b"4"}


def test_an_empty_value_that_would_be_missing_is_refused(path: str) -> None:
    """``dbm.ndbm`` may not find an empty value, so that it is an error, and the old one is kept."""

    class Without(dict[bytes, bytes]):
        def close(self) -> None:
            """Do nothing."""

        sync = close

    Without.__module__ = "_dbm"
    store = DBMStore(path, open=lambda *_: Without())
    store["a"] = b"1"
    for act in (lambda: store.set("a", b""), lambda: store.update({"b": b"2", "c": b""})):
        with pytest.raises(DatabaseError, match="does not tell an empty value from a missing one"):
            act()
        assert dict(store) == {"a": b"1"}


def test_a_database_that_cannot_be_opened_again_is_opened_by_the_next_call(path: str) -> None:
    """A library without ``sync`` is closed to write its changes; a failed open loses nothing."""
    values: dict[bytes, bytes] = {}
    failing = False

    class Kept(dict[bytes, bytes]):
        def __init__(self) -> None:
            super().__init__(values)

        def close(self) -> None:
            values.clear()
            values.update(self)

    def opener(*_: Any) -> Kept:
        if failing:
            raise OSError(24, "Too many open files")
        return Kept()

    store = DBMStore(path, open=opener)
    store["a"] = b"1"
    failing = True
    with pytest.raises(DatabaseError, match="Too many open files"):
        store["a"] = b"2"
    with pytest.raises(DatabaseError, match="Too many open files"):
        store.get("a")
    failing = False
    assert dict(store) == {"a": b"2"}
    store["b"] = b"3"
    store.close()
    assert values == {b"a": b"2", b"b": b"3"}


def test_another_process_is_kept_out(path: str) -> None:
    """While a process has the database open, others wait, and then name it."""
    pytest.importorskip("fcntl")
    code = (
        "import sys; from fastzarr.stores import DBMStore\n"
        "store = DBMStore(sys.argv[1]); store['a'] = b'1'; print('open', flush=True); input()\n"
        "store['b'] = b'2'; store.close(); print('closed', flush=True); input()"
    )
    store = DBMStore(path)
    with talking(code, path) as other:
        other.hear()
        with zarr.config.set({"database.timeout": 0.1}):
            for verb in (lambda: store.get("a"), lambda: store.set("a", b"2")):
                with pytest.raises(DatabaseError, match=r"open by .*process") as caught:
                    verb()
            if sys.platform == "linux":
                assert f"process {other.pid}" in str(caught.value)
        writing = threading.Thread(target=store.set, args=("c", b"3"))
        writing.start()
        other.tell()
        join(writing)
        other.tell()
    assert dict(store) == {"a": b"1", "b": b"2", "c": b"3"}


@pytest.mark.parametrize("durability", ["none", "full"])
def test_a_dead_writer_is_noticed(path: str, durability: str) -> None:
    """Changes that were synced survive a kill; if there were others, nothing is read."""
    pytest.importorskip("fcntl")
    code = (
        "import os, signal, sys; from fastzarr.stores import DBMStore\n"
        "store = DBMStore(sys.argv[1], durability=sys.argv[2])\n"
        "store['a'] = b'1'; store.flush()\n"
        "store['a'] = b'2' * 1000; os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run(  # noqa: S603  (this interpreter)
        [sys.executable, "-c", code, path, durability], check=False
    )
    assert run.returncode == -signal.SIGKILL
    store = DBMStore(path)
    if durability == "full":
        assert dict(store) == {"a": b"2" * 1000}
        return
    for verb in (lambda: store.get("a"), lambda: store.set("b", b"1"), lambda: [*store]):
        with pytest.raises(DatabaseError, match=r"a\.dbm.*writer has died.*delete"):
            verb()
    Path(f"{path}.lock").unlink()
    store["b"] = b"1"
    assert store["b"] == b"1"


def _add(path: str, place: int, count: int) -> None:
    for i in range(count):
        with DBMStore(path) as store:
            zarr.open_array(store, mode="r+")[i % 4, place] = i + 1


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_close_the_database_lose_nothing(path: str, method: str) -> None:
    """Partial writes of processes that take turns are all there at the end."""
    pytest.importorskip("fcntl")
    with DBMStore(path) as store:
        zarr.create_array(store, shape=(4, 4), chunks=(1, 4), dtype="i8", fill_value=0)[...] = 0
    count = 12
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=_add, args=(path, i, count)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        join(worker)
        assert worker.exitcode == 0
    last = np.arange(count - 4, count) + 1
    assert (zarr.open_array(DBMStore(path))[:, :3] == last[:, None]).all()


def test_a_fork_closes_the_database(path: str) -> None:
    """The end of a forked child does not write an old index over that of the parent."""
    store = DBMStore(path)
    store["a"] = b"1"
    child = os.fork()
    if not child:
        try:
            store["b"] = b"2"
            store.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    store["c"] = b"3"
    assert dict(store) == {"a": b"1", "b": b"2", "c": b"3"}


def test_threads_share_the_database(path: str) -> None:
    """Changes of threads, and of stores of the same path, are all there."""
    array = zarr.create_array(DBMStore(path), shape=(2, 8), chunks=(1, 8), dtype="i8")

    def work(place: int) -> None:
        mine = zarr.open_array(DBMStore(path), mode="r+")
        for i in range(20):
            mine[i % 2, place] = i

    run_at_once([lambda i=i: work(i) for i in range(8)])  # type: ignore[misc]
    assert (array[:] == [[18] * 8, [19] * 8]).all()


@pytest.mark.parametrize("end", [".dir", ".dat"])
def test_a_damaged_file_is_an_error(path: str, end: str) -> None:
    """A file of dbm.dumb that is cut off raises an error that names the database."""
    with DBMStore(path, open=dbm.dumb.open) as store:
        zarr.create_array(store, data=np.arange(1000.0), chunks=100, fill_value=7)
    file = Path(path + end)
    file.write_bytes(file.read_bytes()[: -5 if end == ".dir" else 2000])
    with pytest.raises((DatabaseError, BaseZarrError), match=r"a\.dbm"):
        zarr.open_array(DBMStore(path, open=dbm.dumb.open), mode="r")[:]


def test_the_files_decide_what_a_db_is(tmp_path: Path) -> None:
    """A path that ends in ``.db`` is opened by what is there."""
    old_table(tmp_path / "a.db")
    with dbm.dumb.open(str(tmp_path / "b.db"), "c") as found:
        found[b"a"] = b"1"
    for name in ("a.db", "b.db"):
        store = as_store(tmp_path / name)
        assert isinstance(store, DBMStore)
        store["x"] = b"2"
        assert store["x"] == b"2"
        store.close()


def test_python_reads_a_database_of_dbm_sqlite3(tmp_path: Path) -> None:
    """The table is that of Python's library."""
    path = tmp_path / "a.dbm"
    old_table(path)
    with DBMStore(path) as store:
        store.update({"a": b"1", "b": b"2"})
        store.delete("b")
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT key, value FROM Dict").fetchall()
    connection.close()
    assert found == [(b"a", b"1")]


KEYS = st.sampled_from(["a", "b/c", "b/é", "d"])
SIZES = st.sampled_from([0, 1, 5000, 65535, 65536, 65537, 70000, 200_000])
CHANGES = st.lists(st.tuples(KEYS, st.none() | SIZES), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(calls=st.lists(CHANGES, max_size=6), durability=st.sampled_from(["none", "full"]))
def test_a_table_has_the_values_of_a_dict(
    calls: list[list[tuple[str, int | None]]], durability: Any
) -> None:
    """Values are those of a dict, also for Python's library, when large ones are replaced."""
    with tempfile.TemporaryDirectory() as folder:
        old_table(Path(folder) / "a.dbm")
        store = DBMStore(f"{folder}/a.dbm", durability=durability)
        expected: dict[str, bytes] = {}
        for number, changes in enumerate(calls):
            new = {key: None if size is None else bytes([number]) * size for key, size in changes}
            store.set_many(new.items())
            expected |= {key: value for key, value in new.items() if value is not None}
            for key in [key for key, value in new.items() if value is None]:
                expected.pop(key, None)
            assert dict(store) == expected
        store.close()
        assert table_of(f"{folder}/a.dbm") == {key.encode(): one for key, one in expected.items()}


def table_of(path: str) -> dict[Any, bytes]:
    """Return the rows of the table of dbm.sqlite3, after a check of the whole file."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = dict(connection.execute("SELECT key, value FROM Dict").fetchall())
    connection.close()
    return found


@pytest.fixture
def table(path: str) -> DBMStore:
    """Return a store in a new database of dbm.sqlite3, as Python 3.13 makes it by default."""
    return DBMStore(path, open=lambda path, flag, _: Table(path, flag))


@pytest.mark.parametrize("durability", ["none", "full"])
def test_a_batch_of_a_table_is_undone_if_a_part_fails(
    path: str, durability: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed call has changed is changed back, and what was stored before it is kept."""
    old_table(Path(path))
    store = DBMStore(path, durability=durability)
    before = {"a": b"1" * 100_000, "b": b"2", "d": b"3" * 100_000}
    store.set_many(before.items())
    put, failure = Table.__setitem__, sqlite3.OperationalError("disk I/O error")

    def fails(self: Table, key: bytes, value: bytes) -> None:
        if key == b"c":
            raise failure
        put(self, key, value)

    monkeypatch.setattr(Table, "__setitem__", fails)
    new = {"a": b"4" * 100_000, "d": None, "b": b"5" * 100_000, "c": b"6"}
    with pytest.raises(DatabaseError, match="disk I/O error") as caught:
        store.set_many(new.items())
    assert caught.value.key == "c"
    assert dict(store) == before
    store["e"] = b"7"
    store.close()
    assert table_of(path) == {key.encode(): one for key, one in (before | {"e": b"7"}).items()}


def test_a_change_that_cannot_be_stored_is_no_change(path: str) -> None:
    """A call that fails at its end leaves the old values, and nothing is stored later."""
    old_table(Path(path))
    store = DBMStore(path)
    store["a"] = b"1"
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM Dict").fetchall() == [(1,)]
    with pytest.raises(DatabaseError, match="locked"):
        store["a"] = b"2"
    reader.close()
    assert dict(store) == {"a": b"1"}
    store["b"] = b"3"
    assert dict(store) == {"a": b"1", "b": b"3"}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts the bytes that are written")
def test_large_values_are_written_once_when_they_are_replaced(table: DBMStore) -> None:
    """The journal does not have their old bytes, and the file has room for one batch more."""

    def written() -> int:
        lines = Path("/proc/self/io").read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["wchar"])

    size = 1 << 20
    values = {f"{number}": bytes([number]) * size for number in range(8)}
    table.update(values)
    start = written()
    for at in range(0, 8, 2):
        table.update({f"{number}": bytes([number + 100]) * size for number in (at, at + 1)})
        assert Path(table.path).stat().st_size < 10.5 * size
    assert written() - start < 9.5 * size
    table.close()
    assert Path(table.path).stat().st_size < 8.2 * size
    assert table["7"] == bytes([107]) * size
