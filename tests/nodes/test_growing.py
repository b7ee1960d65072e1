"""Appending elements that a function stores: what others see, and what a failure leaves."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from waits import join

import fastzarr as zarr
from fastzarr.errors import BoundsCheckError, ReadOnlyError, ShapeError, StaleArrayError
from fastzarr.nodes.claims import Claim, mark_of
from fastzarr.stores import LocalStore, MemoryStore, SQLiteStore, ZipStore

from .test_meeting_servers import Server, Shared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Opened = Callable[[], Any]


@pytest.fixture(params=["memory", "folder", "archive", "database", "server"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    if request.param == "folder":
        return lambda: LocalStore(tmp_path / "a")
    if request.param == "server":
        server = Server()
        return lambda: Shared(server)
    kept: Any = MemoryStore()
    if request.param == "archive":
        kept = ZipStore(tmp_path / "a.zip", mode="a")
    elif request.param == "database":
        kept = SQLiteStore(tmp_path / "a.sqlite")
    return lambda: kept


def array(store: Any, length: int = 5, version: int = 3) -> Any:
    return zarr.create_array(
        store, name="a", data=np.arange(length, dtype="i4"), chunks=4, zarr_format=version
    )


def again(opened: Opened) -> Any:
    return zarr.open_array(opened(), path="a", mode="r+")


@pytest.mark.parametrize("version", [2, 3])
def test_elements_are_seen_when_all_of_them_are_stored(opened: Opened, version: int) -> None:
    z, seen = array(opened(), version=version), []

    def write(longer: Any) -> None:
        def put(place: int) -> None:
            longer[place : place + 1] = place

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, range(5, 15)))
        seen.extend([longer.shape, longer[12], again(opened).shape, again(opened)[:].tolist()])

    assert z.append_with(10, write) == z.shape == (15,)
    assert seen == [(15,), 12, (5,), list(range(5))]
    assert again(opened)[:].tolist() == list(range(15))


def test_after_a_failure_the_array_is_as_before_and_grows_with_fill_values(opened: Opened) -> None:
    z = array(opened())

    def write(longer: Any) -> None:
        longer[5:] = 7
        msg = "no more"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="no more"):
        z.append_with(10, write)
    assert z.shape == again(opened).shape == (5,)
    again(opened).resize(8)
    assert again(opened)[:].tolist() == [0, 1, 2, 3, 4, 0, 0, 0]


def test_writers_take_turns_and_keep_what_others_have_appended(opened: Opened) -> None:
    array(opened(), 0)

    def run(value: int) -> None:
        def write(longer: Any) -> None:
            longer[-3:] = value

        if value % 2:
            again(opened).append_with(3, write)
        else:
            again(opened).append([value] * 3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(12)))
    found = again(opened)[:].reshape(12, 3)
    assert sorted(found[:, 0].tolist()) == list(range(12))
    assert (found == found[:, :1]).all()


def _append(path: str, value: int, *, die: bool = False) -> None:
    def write(longer: Any) -> None:
        longer[-3:] = value
        if die:
            os._exit(9)

    zarr.open_array(path, path="a", mode="r+").append_with(3, write)


def test_processes_take_turns_and_one_that_is_killed_appends_nothing(tmp_path: Path) -> None:
    array(tmp_path, 0)
    spawn = multiprocessing.get_context("spawn")
    writers = [
        spawn.Process(target=_append, args=(tmp_path, n), kwargs={"die": n == 1}) for n in range(4)
    ]
    for writer in writers:
        writer.start()
    join(*writers)
    assert [writer.exitcode for writer in writers] == [0, 9, 0, 0]
    found = zarr.open_array(tmp_path, path="a")[:]
    assert sorted(found.tolist()) == sorted([0, 2, 3] * 3)


def test_a_claim_is_renewed_while_others_write(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    z = array(Shared(server))
    before = Claim.__init__

    def short(claim: Claim, *args: Any) -> None:
        before(claim, *args)
        claim.seconds = 1

    monkeypatch.setattr(Claim, "__init__", short)
    renewed = threading.Event()

    def write(longer: Any) -> None:
        mark = mark_of(server.values["a/zarr.json"][0])
        assert mark
        while mark_of(server.values["a/zarr.json"][0]) == mark:
            renewed.wait(0.01)
        longer[-1] = 7

    assert z.append_with(1, write) == (6,)
    assert again(lambda: Shared(server))[-1] == 7
    assert not mark_of(server.values["a/zarr.json"][0])


def test_a_writer_whose_claim_was_taken_publishes_nothing() -> None:
    server = Server()
    z = array(Shared(server))
    document = server.values["a/zarr.json"]

    def write(longer: Any) -> None:
        longer[-1] = 7
        Shared(server).set("a/zarr.json", document[0])  # by a program that knows of no claims

    with pytest.raises(StaleArrayError, match=r"/a.*took over|nothing was published"):
        z.append_with(1, write)
    assert again(lambda: Shared(server)).shape == (5,)


def test_an_array_that_was_replaced_is_not_written_to(opened: Opened) -> None:
    z = array(opened())
    zarr.create_array(opened(), name="a", shape=5, chunks=2, dtype="i8", overwrite=True)
    with pytest.raises(StaleArrayError, match="replaced by another"):
        z.append_with(1, lambda _: None)
    assert again(opened).shape == (5,)


def test_what_cannot_be_appended_is_refused() -> None:
    z = zarr.zeros((2, 3))
    for length, axis, error in ((1, 2, BoundsCheckError), (-1, 0, ShapeError)):
        with pytest.raises(error):
            z.append_with(length, lambda _: None, axis)
    with pytest.raises(ReadOnlyError):
        z.view((1, 3)).append_with(1, lambda _: None)
    with pytest.raises(ShapeError, match="axes"):
        z.unpublished((1, 2, 3))


@given(st.data())
def test_it_does_what_append_does(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(0, 5), st.integers(0, 5)))
    one, two = (zarr.create_array({}, shape=shape, chunks=(2, 3), dtype="i4") for _ in range(2))
    for z in (one, two):
        z[:] = np.arange(z.size).reshape(shape)
    for value in range(1, 4):
        axis, length = data.draw(st.integers(-2, 1)), data.draw(st.integers(0, 4))
        more = list(one.shape)
        more[axis] = length
        one.append(np.full(more, value), axis)

        def write(longer: Any, at: int = axis, value: int = value) -> None:
            where = [slice(None)] * 2
            where[at] = slice(two.shape[at], None)
            longer[tuple(where)] = value

        assert two.append_with(length, write, axis) == one.shape
        np.testing.assert_array_equal(two[:], one[:])
