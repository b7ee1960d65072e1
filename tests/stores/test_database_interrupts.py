"""An interrupt at any point of a call leaves a database that every thread can use."""

from __future__ import annotations

import gc
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from interrupting import Interrupt, elsewhere

import fastzarr as zarr
from fastzarr.stores import LMDBStore, LocalStore, SQLiteStore

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
