"""Environments of LMDB that are opened to read, until a store writes."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import lmdb
import numpy as np
import pytest
from descriptors import open_below
from waits import join

import fastzarr as zarr
from fastzarr.stores import LMDBStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return, of each environment that is opened from now on, whether it is opened to read."""
    found: list[bool] = []
    real = lmdb.open

    def recorded(*args: Any, **options: Any) -> Any:
        if options.get("lock", True):
            found.append(bool(options.get("readonly", False)))
        return real(*args, **options)

    monkeypatch.setattr("lmdb.open", recorded)
    return found


def _stored(path: Path) -> LMDBStore:
    """Return a store that has not been opened, with one value."""
    with LMDBStore(path) as store:
        store["a"] = b"1" * 50_000
    return store


@pytest.mark.skipif(sys.platform != "linux", reason="/proc lists the files of a process")
def test_to_read_an_array_opens_its_file_once(tmp_path: Path) -> None:
    """LMDB opens the file of an environment that may be written twice, and takes memory for it."""
    path = tmp_path / "a.lmdb"
    zarr.create_array(store := LMDBStore(path), data=np.arange(6.0))
    store.close()

    def files() -> list[str]:
        return [name.rpartition("/")[2] for name in open_below(path)]

    array = zarr.open_array(store, mode="r")
    assert (array[:] == np.arange(6.0)).all()
    assert files() == ["data.mdb", "lock.mdb"]
    zarr.open_array(store, mode="r+")[0] = 7
    assert files().count("data.mdb") == 2
    assert array[0] == 7
    store.close()
    assert files() == []


def test_the_first_writer_opens_the_environment_once_more(
    tmp_path: Path, opened: list[bool]
) -> None:
    store = _stored(tmp_path / "a.lmdb")
    opened.clear()
    reader = store.with_read_only()
    assert len(reader["a"]) == 50_000
    assert len(store["a"]) == 50_000
    assert opened == [True]
    store["b"] = b"2"
    store["c"] = b"3"
    assert opened == [True, False]
    assert dict(reader)["b"] == b"2"
    reader.close()
    assert LMDBStore(tmp_path / "a.lmdb", read_only=True)["c"] == b"3"
    assert store.db.stat()["entries"] == 3
    assert opened == [True, False, True, False]


def test_a_writer_waits_for_views_of_readers(tmp_path: Path) -> None:
    store = _stored(tmp_path / "a.lmdb")
    owner, values = store.with_read_only().views(["a"])
    (view,) = values
    assert owner is not None
    written = threading.Event()

    def write() -> None:
        store["a"] = b"2"
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not written.wait(0.3)
    assert bytes(view) == b"1" * 50_000
    del view, owner, values
    join(thread)
    assert store["a"] == b"2"


def test_readers_and_writers_of_one_process_meet(tmp_path: Path) -> None:
    """Whoever comes first, all values are read and all are written."""
    store = _stored(tmp_path / "a.lmdb")
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for count in range(20):
                reader = store.with_read_only()
                assert len(reader["a"]) == 50_000
                store[f"b/{number}/{count}"] = b"2"
                if not (number + count) % 3:
                    store.close()
        except BaseException as error:  # noqa: BLE001  (it is told to the test)
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert failures == []
    assert len(store) == 81


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_flush_syncs_what_was_written_before_a_fork(tmp_path: Path, opened: list[bool]) -> None:
    """The environment is closed by a fork, and may have been opened to read since."""
    store = LMDBStore(tmp_path / "a.lmdb", durability="none")
    store["a"] = b"1"
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    opened.clear()
    assert store.with_read_only()["a"] == b"1"
    store.flush()
    assert opened == [True, False]


def test_a_file_that_is_no_environment_is_not_read(tmp_path: Path, opened: list[bool]) -> None:
    store = _stored(tmp_path / "a.lmdb")
    (tmp_path / "a.lmdb/lock.mdb").unlink()
    (tmp_path / "a.lmdb/data.mdb").write_bytes(b"no environment" * 1000)
    opened.clear()
    with pytest.raises(OSError, match=r"not one of LMDB"):
        store.with_read_only().get("a")
    assert opened == [True, False]
