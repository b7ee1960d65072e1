"""An interrupt at any point of a call leaves a database that every thread can use."""

from __future__ import annotations

import gc
import sys
import threading
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fastzarr as zarr
from fastzarr.stores import LMDBStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SOURCE = str(Path(zarr.__file__).parent)


class Interrupt:
    """Raises KeyboardInterrupt at one of the points where Python looks for signals."""

    def __init__(self, point: int) -> None:
        self.point = point
        self.left = point

    @contextmanager
    def during(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(before)

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event not in ("call", "c_return"):
            return
        if name.startswith(_SOURCE) or name == threading.__file__:
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt


def in_memory(_: Path) -> Any:
    return SQLiteStore(":memory:")


def in_sqlite(path: Path) -> Any:
    return SQLiteStore(path / "values.db", durability="none")


def in_lmdb(path: Path) -> Any:
    pytest.importorskip("lmdb")
    return LMDBStore(path / "values", durability="none")


def use(store: Any) -> None:
    store["b"] = b"2"
    assert store["a"] == b"1"
    assert store.listdir("") == ["a", "b"]
    store.set_many([("b", b"3"), ("b", None)])
    assert bytes(store.get_many_valid(["a"])[0]) == b"1"


def elsewhere(call: Callable[[], object]) -> None:
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(call() is None), daemon=True)
    thread.start()
    thread.join(60)
    assert done == [True]


# A connection may be lost before it is kept anywhere.
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("made", [in_memory, in_sqlite, in_lmdb])
def test_a_database_can_be_used_after_an_interrupt_at_any_point(
    made: Any, kept: bool, tmp_path: Path
) -> None:
    errors: list[BaseException] = []
    with zarr.config.set({"database.timeout": 2}):
        for point in count(1):
            store = made(tmp_path)
            store["a"] = b"1"
            interrupt = Interrupt(point)
            try:
                with interrupt.during():
                    use(store)
            except KeyboardInterrupt as error:
                if kept:
                    # An interactive session keeps the frames of the last exception.
                    errors.append(error)
            if interrupt.left > 0:
                break
            if kept:
                use(store)
                errors.clear()
            else:
                elsewhere(lambda: use(store))  # noqa: B023
    gc.collect()
    assert point > 100
