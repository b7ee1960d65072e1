"""An interrupt at any point of a call leaves a database that every thread can use or fork."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import traceback
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from interrupting import Interrupt, elsewhere

import fastzarr as zarr
from fastzarr.errors import ForkedError
from fastzarr.stores import DBMStore, LMDBStore, LocalStore, SQLiteStore, users

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def in_memory(_: Path) -> Any:
    return SQLiteStore(":memory:")


def in_sqlite(path: Path) -> Any:
    return SQLiteStore(path / "values.db", durability="none")


def in_lmdb(path: Path) -> Any:
    pytest.importorskip("lmdb")
    return LMDBStore(path / "values", durability="none")


def in_dbm(path: Path) -> Any:
    return DBMStore(path / "values.dbm", durability="none")


def in_folder(path: Path) -> Any:
    return LocalStore(path / "values", durability="none")


def use(store: Any) -> None:
    store["b"] = b"2"
    assert store["a"] == b"1"
    assert store.listdir("") == ["a", "b"]
    store.set_many([("b", b"3"), ("b", None)])
    assert bytes(store.get_many_valid(["a"])[0]) == b"1"


def interrupt_at_any_point(
    made: Any, path: Path, call: Any, check: Callable[[Any], object], *, kept: bool
) -> int:
    """Interrupt a call at each point, and check the store after it; return the first beyond."""
    errors: list[BaseException] = []
    with zarr.config.set({"database.timeout": 2}):
        for point in count(1):
            store = made(path)
            interrupt = Interrupt(point)
            try:
                with interrupt.during():
                    call(store)
            except KeyboardInterrupt as error:
                if kept:
                    # An interactive session keeps the frames of the last exception.
                    errors.append(error)
            if interrupt.left > 0:
                break
            check(store)
            errors.clear()
    gc.collect()
    return point


# A connection may be lost before it is kept anywhere.
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("made", [in_memory, in_sqlite, in_lmdb])
def test_a_database_can_be_used_after_an_interrupt_at_any_point(
    made: Any, kept: bool, tmp_path: Path
) -> None:
    def filled(path: Path) -> Any:
        store = made(path)
        store["a"] = b"1"
        return store

    def check(store: Any) -> None:
        if kept:
            use(store)
        else:
            elsewhere(lambda: use(store))

    assert interrupt_at_any_point(filled, tmp_path, use, check, kept=kept) > 100


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("made", [in_memory, in_sqlite, in_lmdb, in_folder])
def test_what_follows_an_interrupted_transaction_is_no_part_of_it(
    made: Any, kept: bool, tmp_path: Path
) -> None:
    """A value that is stored after the block is there for all, and another block can begin."""
    numbers = count(1)

    def change(store: Any) -> None:
        with store.transaction(""):
            store["b/zarr.json"] = b"2"

    def check(store: Any) -> None:
        value = b"%d" % next(numbers)
        store["a/zarr.json"] = value
        elsewhere(lambda: compare(store, value))
        with store.transaction(""):
            store["a/zarr.json"] += b"0"
        compare(store, value + b"0")

    assert interrupt_at_any_point(made, tmp_path, change, check, kept=kept) > 20


def compare(store: Any, value: bytes) -> None:
    assert store["a/zarr.json"] == value


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
MODULES = {
    in_memory: "sqlite.connections",
    in_sqlite: "sqlite.connections",
    in_lmdb: "lmdb.environment",
    in_dbm: "dbm",
}


def fork(use: Callable[[], object] = lambda: None) -> None:
    """Fork, and let the child make a call, which raises nothing."""
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            use()
            os._exit(0)
        except BaseException:  # noqa: BLE001  (the parent fails)
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def stored(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> Any:
    """Return a store with a value, for whose sessions a fork waits so long."""
    store = made(tmp_path)
    store["a"] = b"1"
    monkeypatch.setattr(f"fastzarr.stores.{MODULES[made]}._WAIT", seconds)
    return store


@needs_fork
@pytest.mark.parametrize("made", MODULES)
def test_a_fork_does_not_wait_for_a_session_in_garbage(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt may have left it in a cycle, which nobody else collects."""
    store = stored(made, tmp_path, monkeypatch, 1000.0)
    monkeypatch.setattr(users, "_LONG", 0.05)
    monkeypatch.setattr(users, "_collectable", [0.0])
    gc.collect()
    gc.disable()
    try:
        left: list[Any] = [store._reading()]  # noqa: SLF001
        left[0].__enter__()
        left.append(left)
        del left
        elsewhere(fork)
    finally:
        gc.enable()
        gc.collect()
    assert store["a"] == b"1"


@needs_fork
@pytest.mark.parametrize("made", MODULES)
def test_a_fork_does_not_wait_for_ever_for_a_session(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt may have left it in an exception that is kept. The child cannot use it."""
    store = stored(made, tmp_path, monkeypatch, 0.1)

    def use() -> None:
        for one in (store, store if made is in_memory else made(tmp_path)):
            with pytest.raises(ForkedError, match="in use when this process was forked"):
                one.get("a")
            with pytest.raises(ForkedError):
                one["b"] = b"2"

    with store._reading() as session:  # noqa: SLF001
        elsewhere(lambda: fork(use))
        assert session.get("a") == b"1"
    store["b"] = b"2"
    assert store["b"] == b"2"
    # Nobody uses it now.
    elsewhere(lambda: fork(lambda: store["a"]))


DROP = """
import dbm.dumb, os, sys, threading
from fastzarr.stores import DBMStore, SQLiteStore
from fastzarr.stores.sqlite import connections

connections._WAIT = sys.modules["fastzarr.stores.dbm"]._WAIT = 0.1
path = sys.argv[2]
store = SQLiteStore(path) if sys.argv[1] == "sqlite" else DBMStore(path, open=dbm.dumb.open)
store["a"] = b"1"
sessions, begun, forked = [], threading.Event(), threading.Event()

def change():
    # An interrupt may leave one in an exception that is kept, instead of in a frame of a thread.
    sessions.append(store._writing(0))
    sessions[0].__enter__()
    sessions[0].put({"a": b"2" * 100_000, "b": b"3" * 100_000})
    begun.set()
    forked.wait()
    sessions[0].put({"c": b"4"})
    sessions.pop().__exit__(None, None, None)

thread = threading.Thread(target=change, daemon=True)
thread.start()
begun.wait()
reader, writer = os.pipe()
if child := os.fork():
    forked.set()
    thread.join()
    store.close()
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0
    found = {key: len(value) for key, value in store.items()}
    assert found == {"a": 100_000, "b": 100_000, "c": 1}, found
else:
    os.close(writer)
    os.read(reader, 1)
    sessions.clear()
"""


@needs_fork
@pytest.mark.parametrize("kind", ["sqlite", "dbm.dumb"])
def test_a_child_that_drops_a_session_of_its_parent_changes_nothing(
    kind: str, tmp_path: Path
) -> None:
    """Python closes what is dropped, and ``dbm.dumb`` then writes its old index."""
    command = [sys.executable, "-c", DROP, kind, str(tmp_path / "values")]
    done = subprocess.run(  # noqa: S603  (this file's program)
        command, check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
