"""The store in a SQLite database."""

from __future__ import annotations

import errno
import os
import pickle
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from talking import talking
from waits import join

import fastzarr as zarr
from fastzarr.errors import (
    BaseZarrError,
    DatabaseError,
    MetadataError,
    PathNotFoundError,
)
from fastzarr.stores import SQLiteStore
from fastzarr.testing import StoreTests


class TestSQLiteStore(StoreTests):
    """The common test suite."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> SQLiteStore:
        """Return an empty store."""
        return SQLiteStore(tmp_path / "a.sqlite")


class TestInMemory(StoreTests):
    """The common test suite with a database in memory, except for pickling."""

    @pytest.fixture
    def store(self) -> SQLiteStore:
        """Return an empty store."""
        return SQLiteStore(":memory:")

    def test_pickling(self, store: Any) -> None:
        """A database in memory cannot be pickled."""
        with pytest.raises(pickle.PicklingError, match="memory"):
            pickle.dumps(store)


class Old(sqlite3.Connection):
    """A connection that cannot change to a write-ahead log."""

    def execute(self, *args: Any) -> Any:
        """Execute a statement."""
        if "journal_mode=WAL" in args[0]:
            args = ("PRAGMA journal_mode",)
        return super().execute(*args)


class TestOldJournal(StoreTests):
    """The common test suite with the journal of zarr-python 2's databases."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> SQLiteStore:
        """Return an empty store."""
        return SQLiteStore(tmp_path / "a.sqlite", factory=Old)


def rows(path: Path) -> dict[str, bytes]:
    """Return the table, as another program reads it."""
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT k, v FROM zarr"))
    finally:
        connection.close()


def test_the_table_is_that_of_zarr_python_2(tmp_path: Path) -> None:
    """The file has one table of keys and values, and nothing else."""
    path = tmp_path / "below" / "a.sqldb"
    with SQLiteStore(path) as store:
        store["a/b"] = np.arange(3, dtype="u1")
    assert rows(path) == {"a/b": b"\0\1\2"}
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    assert found == [("index", "sqlite_autoindex_zarr_1"), ("table", "zarr")]
    assert [one.name for one in path.parent.iterdir()] == ["a.sqldb"]


def test_a_transaction_of_the_user_is_not_ended() -> None:
    """In memory, ``db`` is the connection of the store itself."""
    store = SQLiteStore(":memory:")
    store["a"] = b"1"
    store.db.execute("BEGIN")
    store.db.execute("INSERT INTO zarr VALUES ('b', x'32')")
    assert store["a"] == b"1"
    with pytest.raises(DatabaseError, match="by the store's attribute db is open; end it first"):
        store["c"] = b"3"
    assert store["b"] == b"2"
    store.db.execute("COMMIT")
    store["c"] = b"3"
    assert dict(store) == {"a": b"1", "b": b"2", "c": b"3"}


def test_names_of_users(tmp_path: Path) -> None:
    """The attributes and methods of zarr-python 2's class are there."""
    path = tmp_path / "a.sqldb"
    store = SQLiteStore(str(path), dimension_separator="/", timeout=3)
    assert store.path == str(path)
    assert store.dimension_separator == "/"
    store.update({"a": b"1"}, b=b"2")
    assert store.db.execute("SELECT count(*) FROM zarr").fetchall() == [(2,)]
    assert store.cursor.execute("SELECT v FROM zarr WHERE k = 'b'").fetchall() == [(b"2",)]
    assert pickle.loads(pickle.dumps(store)).kwargs == {"timeout": 3}
    store.db.execute("INSERT INTO zarr VALUES ('c', x'33')")
    assert store["c"] == b"3"
    store.close()
    for name in ("uri", "isolation_level"):
        with pytest.raises(TypeError, match=name):
            SQLiteStore(path, **{name: None})
    with pytest.raises(ValueError, match="durability"):
        SQLiteStore(path, durability="often")  # type: ignore[arg-type]


def test_names_are_listed_without_all_keys(tmp_path: Path) -> None:
    """Folders with many keys are passed over, and every name is found."""
    store = SQLiteStore(tmp_path / "a.sqlite")
    keys = [f"{name}/{i}" for name in ("a", "a-", "b", "\U0010ffff") for i in range(200)]
    keys += ["a", "a-b", "a.b", "b0", "c\x7e"]
    store.update(dict.fromkeys(keys, b""))
    assert store.listdir() == sorted({key.partition("/")[0] for key in keys})
    assert len(store.listdir("b")) == 200
    looked: list[int] = []
    store.db.set_trace_callback(lambda _: looked.append(1))
    with SQLiteStore(tmp_path / "a.sqlite", factory=_Counting) as counted:
        _Counting.statements = 0
        counted.listdir()
        # Four folders of 200 keys are looked at in batches of 64, each once.
        assert _Counting.statements < 12


def test_an_array_is_opened_by_two_statements(tmp_path: Path) -> None:
    """One asks for the size of pages, the other for all documents."""
    path = tmp_path / "a.sqlite"
    with SQLiteStore(path) as store:
        zarr.create_array(store, shape=4, dtype="f4")
    with SQLiteStore(path, factory=_Counting) as counted:
        _Counting.statements = 0
        assert zarr.open_array(counted, mode="r").shape == (4,)
        assert _Counting.statements == 2


# A segment of a key has at most 255 bytes.
_key = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), max_size=60
).filter(lambda text: text not in ("", ".", ".."))


@given(st.sets(st.tuples(st.sampled_from(["a", "a-", "b"]), _key), max_size=20))
def test_keys_in_one_value_are_those_of_the_rows(keys: set[tuple[str, str]]) -> None:
    """All keys are those of their rows, with and without the function that puts them together."""
    store = SQLiteStore(":memory:")
    store.set_many([(f"{first}/{last}", b"") for first, last in keys])
    rows = sorted(key for (key,) in store.db.execute("SELECT k FROM zarr"))
    for function in ("json_group_array", "no_such_function"):
        with mock.patch("fastzarr.stores.sqlite.session._ALL_IN_ONE", f"{function}(k)"):
            assert list(store.list()) == rows
            assert list(store.list("a")) == [key for key in rows if key.startswith("a/")]


def test_keys_that_are_not_text(tmp_path: Path) -> None:
    """A key of bytes is listed as it was; one that is no UTF-8 is an error of the store."""
    store = SQLiteStore(tmp_path / "a.sqlite")
    store.db.execute("INSERT INTO zarr VALUES (x'61', x'')")
    assert list(store.list()) == [b"a"]
    store.db.execute("UPDATE zarr SET k = CAST(x'ff' AS TEXT)")
    with pytest.raises(DatabaseError, match="UTF-8"):
        list(store.list())


class _Counting(sqlite3.Connection):
    statements = 0

    def execute(self, *args: Any) -> Any:
        _Counting.statements += 1
        return super().execute(*args)


def test_a_batch_is_one_transaction(tmp_path: Path) -> None:
    """``set_many`` is synced once, and all of it is undone if a part fails."""
    store = SQLiteStore(tmp_path / "a.sqlite", factory=_Counting)
    store["a"] = b"0"
    _Counting.statements = 0
    store.set_many([(f"b/{i}", b"x") for i in range(1000)])
    assert _Counting.statements <= 5


@pytest.mark.parametrize("durability", ["none", "replace", "full"])
def test_durability(tmp_path: Path, durability: Any) -> None:
    """Transactions are synced by the two higher levels, and later by the lowest."""
    seen: list[str] = []

    class Traced(sqlite3.Connection):
        def execute(self, *args: Any) -> Any:
            seen.append(args[0])
            return super().execute(*args)

    store = SQLiteStore(tmp_path / "a.sqlite", durability=durability, factory=Traced)
    store["a"] = b"1"
    assert ("PRAGMA synchronous=EXTRA" in seen) == (durability != "none")
    assert ("PRAGMA synchronous=NORMAL" in seen) == (durability == "none")
    seen.clear()
    store.flush()
    assert ("PRAGMA wal_checkpoint(FULL)" in seen) == (durability == "none")
    with zarr.config.set({"durability": durability}):
        assert SQLiteStore(":memory:").durability == durability
    store.close()


def journal(path: Path) -> str:
    """Return the journal that the header of a database names."""
    return "wal" if path.read_bytes()[18:20] == b"\2\2" else "delete"


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    """A database of zarr-python 2 is the same file after it was read."""
    path = tmp_path / "a.sqldb"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE zarr(k TEXT PRIMARY KEY, v BLOB)")
        connection.execute("INSERT INTO zarr VALUES ('a', x'31')")
    connection.close()
    before = path.read_bytes()
    for store in (SQLiteStore(path, read_only=True), SQLiteStore(path)):
        assert dict(store) == {"a": b"1"}
        store.close()
    assert path.read_bytes() == before
    store["b"] = b"2"
    mode = store.db.execute("PRAGMA journal_mode").fetchall()
    store.close()
    assert mode == [("wal",)]


def test_small_transactions_begin_a_log(tmp_path: Path) -> None:
    """It is used after some of them, and ended when the store is closed by the last process."""
    path = tmp_path / "a.sqlite"
    store = SQLiteStore(path)
    store["large"] = bytes(5 << 20)
    for number in range(3):
        store["small"] = b"%d" % number
    assert journal(path) == "delete"
    for number in range(3):
        store["small"] = b"%d" % number
    assert journal(path) == "wal"
    other = SQLiteStore(path)
    assert other["small"] == b"2"
    store.close()
    assert journal(path) == "wal"
    other["small"] = b"3"
    other.close()
    assert journal(path) == "delete"
    assert [one.name for one in tmp_path.iterdir()] == ["a.sqlite"]
    assert rows(path) == {"large": bytes(5 << 20), "small": b"3"}


def test_a_log_is_used_at_once_if_nothing_is_synced(tmp_path: Path) -> None:
    """A rollback journal that is not synced does not protect the database."""
    store = SQLiteStore(tmp_path / "a.sqlite", durability="none")
    store["a"] = b"1"
    assert journal(tmp_path / "a.sqlite") == "wal"
    store.close()
    # Where there can be no log, the journal is synced nevertheless.
    seen: list[str] = []

    class Traced(Old):
        def execute(self, *args: Any) -> Any:
            seen.append(args[0])
            return super().execute(*args)

    with SQLiteStore(tmp_path / "b.sqlite", durability="none", factory=Traced) as old:
        old["a"] = b"1"
    assert "PRAGMA synchronous=FULL" in seen[: seen.index("COMMIT")]
    assert rows(tmp_path / "b.sqlite") == {"a": b"1"}


def test_a_large_transaction_waits_for_readers(tmp_path: Path) -> None:
    """It begins when they have ended, and those that come later see its values."""
    path = tmp_path / "a.sqlite"
    store, other = SQLiteStore(path), sqlite3.connect(path, isolation_level=None)
    store["a"] = b"1"
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM zarr").fetchall() == [(1,)]
    writer = threading.Thread(target=lambda: store.set("b", bytes(5 << 20)))
    writer.start()
    writer.join(0.2)
    assert writer.is_alive()
    assert other.execute("SELECT count(*) FROM zarr").fetchall() == [(1,)]
    other.execute("COMMIT")
    join(writer)
    other.close()
    assert len(store["b"]) == 5 << 20


_DYING = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=10")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("UPDATE zarr SET v = zeroblob(length(v))")
connection.execute("REPLACE INTO zarr VALUES ('b', zeroblob(4000000))")
os._exit(0)
"""


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("read_only", [True, False])
def test_what_a_dead_writer_has_left_is_undone(
    tmp_path: Path, read_only: bool, is_open: bool
) -> None:
    """A reader, even for reading only, sees the old values, whether it has the database open."""
    path = tmp_path / "a.sqlite"
    with SQLiteStore(path) as store:
        store.set_many([("a", b"1" * 9000), ("c", b"3" * 200_000)])
    reader = SQLiteStore(path, read_only=read_only)
    if is_open:
        assert reader["a"] == b"1" * 9000
    command = [sys.executable, "-c", _DYING, str(path)]
    subprocess.run(command, check=True)  # noqa: S603  (this interpreter)
    assert path.with_name("a.sqlite-journal").stat().st_size
    assert dict(reader) == {"a": b"1" * 9000, "c": b"3" * 200_000}
    reader.close()


def test_a_folder_that_cannot_be_written_is_read() -> None:
    """A database that was closed is read where no log can be made, and cannot be written."""
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("becomes another user, which only root can")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.sqlite")
        with SQLiteStore(path) as store:
            store["a"] = b"1"
        Path(folder).chmod(0o755)
        os.seteuid(65534)
        try:
            for read_only in (True, False):
                assert dict(SQLiteStore(path, read_only=read_only)) == {"a": b"1"}
            with pytest.raises(DatabaseError, match=r"a\.sqlite") as caught:
                store["a"] = b"2"
        finally:
            os.seteuid(0)
        assert caught.value.errno in (errno.EACCES, errno.EROFS)
        assert [one.name for one in Path(folder).iterdir()] == ["a.sqlite"]


def test_a_locked_database_names_the_holder(tmp_path: Path) -> None:
    """A writer waits for a lock, then raises an error with the process that holds it."""
    path = tmp_path / "a.sqlite"
    store = SQLiteStore(path, timeout=0.2)
    store["a"] = b"1"
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); input()\n"
        "c.execute('ROLLBACK'); print('free', flush=True); input()"
    )
    with talking(code, path) as other:
        other.hear()
        with pytest.raises(DatabaseError, match=r"locked for 0\.2 seconds") as caught:
            store["a"] = b"2"
        assert store["a"] == b"1"
        assert caught.value.errno == errno.EAGAIN
        assert str(path) in str(caught.value)
        if sys.platform == "linux":
            assert f"process {other.pid}" in str(caught.value)
        patient = SQLiteStore(path)
        writing = threading.Thread(target=patient.set, args=("a", b"3"))
        writing.start()
        other.tell()
        join(writing)
        assert store["a"] == b"3"
        other.tell()


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """A write that finds no space raises ENOSPC with the key, and nothing of it is stored."""

    class Small(sqlite3.Connection):
        def execute(self, *args: Any) -> Any:
            if args[0].startswith("BEGIN "):
                super().execute("PRAGMA max_page_count=20")
            return super().execute(*args)

    path = tmp_path / "a.sqlite"
    array = zarr.create_array(
        SQLiteStore(path), name="a", shape=4, chunks=1, dtype="f8", compressors=None
    )
    array[:] = 1
    array.store.close()
    small = SQLiteStore(path, factory=Small)
    with pytest.raises(DatabaseError, match="full") as caught:
        small.set_many([("x", b"1"), ("y", os.urandom(1 << 20))])
    assert caught.value.errno == errno.ENOSPC
    assert str(path) in str(caught.value)
    assert "x" not in small
    assert zarr.open_array(small, path="a", mode="r+")[:].tolist() == [1, 1, 1, 1]
    values = zarr.create_array(
        SQLiteStore(path, factory=Small), name="b", shape=1 << 18, chunks=1 << 17, compressors=None
    )
    with pytest.raises(OSError, match="full") as caught:
        values[:] = np.random.default_rng(0).random(1 << 18)
    assert "b/c/" in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_emptied_file_is_not_read_as_fill_values(tmp_path: Path) -> None:
    """An array whose file has become empty, or was deleted, raises an error."""
    path = tmp_path / "a.sqlite"
    with SQLiteStore(path) as store:
        array = zarr.create_array(store, data=np.arange(8), chunks=2)
    for change in (lambda: path.write_bytes(b""), path.unlink):
        change()
        with pytest.raises(PathNotFoundError):
            array[:]


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """A folder under the name raises an error that says so."""
    with pytest.raises(DatabaseError, match="folder"):
        SQLiteStore(tmp_path)["a"] = b"1"


def test_a_row_that_is_not_of_bytes_is_an_error(tmp_path: Path) -> None:
    """Text or NULL in the column of values is neither a value nor a missing key."""
    store = SQLiteStore(tmp_path / "a.sqlite")
    for value in ("text", None, 5):
        store.db.execute("REPLACE INTO zarr VALUES ('a', ?)", (value,))
        with pytest.raises(DatabaseError, match=r"'a'.*instead of bytes"):
            store.get("a")
        store.db.execute("REPLACE INTO zarr VALUES ('zarr.json', ?)", (value,))
        with pytest.raises(DatabaseError, match=r"'zarr.json'.*instead of bytes"):
            zarr.open(store, mode="r")
    store["a"] = b"1"
    assert store["a"] == b"1"


def test_documents_of_any_size_are_read_and_too_large_ones_are_not(tmp_path: Path) -> None:
    """A large document is not read with the others, and not at all beyond the limit."""
    with SQLiteStore(tmp_path / "a.sqlite") as store:
        zarr.create_group(store, attributes={"long": "x" * (2 << 20)})
        assert len(zarr.open_group(store, mode="r").attrs["long"]) == 2 << 20
        with (
            zarr.config.set({"limits.document_bytes": 1 << 20}),
            pytest.raises(MetadataError, match="bytes"),
        ):
            zarr.open_group(store, mode="r")


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be truncated")
def test_a_file_that_was_whole_is_checked_again_when_it_has_changed(tmp_path: Path) -> None:
    """It is found incomplete each time, and whole when all of it is back."""
    path = tmp_path / "a.sqlite"
    with SQLiteStore(path) as store:
        store.set_many([(str(number), bytes(9000)) for number in range(20)])
    whole = path.read_bytes()
    for _ in range(2):
        with SQLiteStore(path, read_only=True) as store:
            assert len(store["1"]) == 9000
    os.truncate(path, len(whole) - 512)
    for _ in range(2):
        with SQLiteStore(path, read_only=True) as store, pytest.raises(DatabaseError, match="page"):
            store.get("1")
    path.write_bytes(whole)
    with SQLiteStore(path, read_only=True) as store:
        assert len(store["1"]) == 9000


def test_a_token_is_not_used_twice(tmp_path: Path) -> None:
    """A value that was deleted and written again, here or by zarr-python 2, has another token."""
    store = SQLiteStore(tmp_path / "a.sqlite")
    store.set_many([("a", b"1"), ("b", b"1")])
    token = store.validator("b")
    for statement in ("DELETE FROM zarr WHERE k = 'b'", "INSERT INTO zarr VALUES ('b', x'31')"):
        store.db.execute(statement)
    assert not store.swap("b", b"2", token)
    token = store.validator("b")
    store.delete("b")
    store["b"] = b"1"
    assert not store.swap("b", b"2", token)
    token = store.validator("b")
    store.vacuum()
    assert store.swap("b", b"2", token)


def test_an_unknown_database_is_not_written_to(tmp_path: Path) -> None:
    """A ``.db`` file of another kind raises an error that says what to do."""
    path = tmp_path / "a.db"
    path.write_bytes(b"something else")
    with pytest.raises(BaseZarrError, match=r"a\.db.*pass a store"):
        zarr.open(path)


def test_zeros_in_the_index_make_no_key_be_missing(tmp_path: Path) -> None:
    """Where a part of the index is zeros, all keys are found and listed, or it is an error."""
    path = tmp_path / "a.db"
    keys = [f"a/c/{number}" for number in range(10, 70)]
    with SQLiteStore(path) as store:
        store.set_many((key, b"1") for key in keys)
        ((page,),) = store.db.execute("PRAGMA page_size")
        (number,) = store.db.execute(
            "SELECT rootpage FROM sqlite_master WHERE type = 'index'"
        ).fetchone()
    whole, refused = path.read_bytes(), 0
    first, after = (number - 1) * page, number * page
    heads, entries = range(first + 1, first + 140, 5), range(after - 1100, after, 7)
    for at, length in product((*heads, *entries), (2, 16)):
        path.write_bytes(whole[:at] + bytes(length) + whole[at + length :])
        store = SQLiteStore(path, read_only=True)
        for key in keys[::9]:
            try:
                assert store[key] == b"1"
            except DatabaseError:
                refused += 1
        for listed in (store.list, store.list_dir):
            with suppress(DatabaseError):
                assert {type(name) for name in listed("a/c")} <= {str}
        store.close()
    assert refused > 100


@pytest.mark.parametrize("count", [3, 60])
def test_a_key_that_was_damaged_in_the_index_is_an_error(tmp_path: Path, count: int) -> None:
    """A changed byte of a key in the index makes no key be missing."""
    path = tmp_path / "a.db"
    keys = [f"a/c/{number}" for number in range(10, 10 + count)]
    with SQLiteStore(path) as store:
        store.set_many((key, f"={key}".encode()) for key in keys)
    whole, refused = path.read_bytes(), 0
    for key in keys[:: max(count // 6, 1)]:
        # In the row, the value follows; it has the key once more.
        name = re.escape(key.encode())
        (place,) = (found.start() for found in re.finditer(b"(?<!=)%b(?!=)" % name, whole))
        for at in range(len(key)):
            damaged = bytearray(whole)
            damaged[place + at] ^= 0x11
            path.write_bytes(damaged)
            store = SQLiteStore(path, read_only=True)
            try:
                assert store.get_many_valid([key]) == [f"={key}".encode()]
            except DatabaseError as error:
                refused += "damaged" in str(error)
            # It ends, whatever the order of the keys is.
            with suppress(DatabaseError):
                store.listdir("a/c")
            store.close()
    assert refused > 15
