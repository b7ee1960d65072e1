"""Interrupts at any point of a call, and what is no error of a chunk, in several threads."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from contextvars import copy_context
from itertools import count
from typing import Any

import numpy as np
import pytest
from asked import AskedStore
from interrupting import Interrupt, elsewhere

import fastzarr as zarr
from fastzarr.engine.bounds import bounds
from fastzarr.engine.requests import call_each, gather
from fastzarr.engine.threads import parallel
from fastzarr.stores.capabilities import Request

CHUNKS = 4
VALUES = np.arange(CHUNKS << 15)


def made(shards: bool = False) -> tuple[AskedStore, Any]:
    """Return a store and an array whose chunks are worth a thread of their own."""
    store = AskedStore()
    array = zarr.create_array(
        store,
        data=VALUES,
        chunks=1 << (14 if shards else 15),
        shards=1 << 15 if shards else None,
        compressors=None,
    )
    return store, array


def interrupted(call: Any, point: int) -> bool:
    """Call a function with an interrupt at a point; return whether there is such a point."""
    interrupt = Interrupt(point)
    try:
        with interrupt.during():
            call()
    except KeyboardInterrupt:
        pass
    return interrupt.left == 0


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("verb", ["read", "write"])
def test_an_interrupt_at_any_point_leaves_no_place_taken(verb: str) -> None:
    _, array = made()
    room = bounds.room()
    context = set(copy_context().items())

    def act() -> None:
        if verb == "read":
            assert np.array_equal(array[...], VALUES)
        else:
            array[...] = VALUES

    def read() -> None:
        assert np.array_equal(array[...], VALUES)

    with zarr.config.set({"fetch.concurrency": 1, "threading.max_workers": 2}):
        for point in count(1):
            found = interrupted(act, point)
            elsewhere(read)
            assert bounds.room() == room
            # What tells that a call has been stopped would stop all later ones, too.
            assert set(copy_context().items()) == context
            if not found:
                break
    assert point > 50


@pytest.mark.parametrize("verb", ["enter", "leave"])
def test_an_interrupted_place_counts_no_bytes(verb: str) -> None:
    """The call may live on, with its exception or with a thread that still ends its work."""

    class Call:
        flying = waiting = 0

    call, room = Call(), bounds.room()
    with zarr.config.set({"fetch.concurrency": 1}):
        for point in count(1):
            if verb == "enter":
                found = interrupted(lambda: bounds.enter(call, 64), point)
            else:
                place = bounds.enter(call, 64)
                assert place is not None
                assert bounds.room() == room - 64
                found = interrupted(place.leave, point)
                del place
            with bounds.lock:
                assert bounds.may_read()
            assert call.flying == 0
            assert bounds.room() == room
            if not found:
                break
    assert point > 4


def test_an_interrupted_call_does_not_wait_for_ever_for_other_threads() -> None:
    points: list[int] = []

    def play() -> None:
        caller = threading.current_thread()
        for point in count(1):
            begun: list[int] = []

            def task(number: int) -> None:
                if threading.current_thread() is not caller:
                    begun.append(number)  # noqa: B023
                    # The caller waits for this thread meanwhile.
                    time.sleep(0.005)
                while not begun:  # noqa: B023
                    time.sleep(0)

            if not interrupted(lambda: parallel(task, 2), point):
                break
            points.append(point)

    with zarr.config.set({"threading.max_workers": 2}):
        elsewhere(play)
    assert len(points) > 10


@pytest.mark.usefixtures("data_path")
def test_an_interrupt_is_raised_though_a_chunk_has_failed_before_it() -> None:
    store, array = made()
    begun, failed = threading.Barrier(2, timeout=60), threading.Event()

    def on(verb: str, key: str) -> None:
        if verb != "set" or "c/" not in key or failed.is_set():
            return
        begun.wait()
        if threading.current_thread() is threading.main_thread():
            assert failed.wait(60)
            # The other thread has returned to its caller by now, or nearly so.
            raise KeyboardInterrupt
        failed.set()
        msg = "no room"
        raise ValueError(msg)

    store.on = on
    with zarr.config.set({"threading.max_workers": 2, "fetch.concurrency": 2}):
        with pytest.raises(KeyboardInterrupt):
            array[...] = VALUES
        array[...] = VALUES
    assert np.array_equal(array[...], VALUES)


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("shards", [False, True])
def test_what_is_no_error_of_a_chunk_ends_a_read_of_several_threads(shards: bool) -> None:
    store, array = made(shards)
    raised: list[BaseException] = []

    def on(_: str, key: str) -> None:
        if key == "c/1":
            raise asyncio.CancelledError

    def read() -> None:
        try:
            array[...]
        except BaseException as error:  # noqa: BLE001  (looked at below)
            raised.append(error)

    store.on = on
    with zarr.config.set({"threading.max_workers": 3}):
        for _ in range(10):
            elsewhere(read)
    assert {type(one) for one in raised} == {asyncio.CancelledError}
    store.on = lambda *_: None
    assert np.array_equal(array[...], VALUES)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix systems only")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_is_forked_by_a_task_gets_an_error() -> None:
    caller, both = threading.current_thread(), threading.Barrier(2, timeout=60)
    forked, children = threading.Event(), []

    def task(_: int) -> None:
        both.wait()
        if threading.current_thread() is caller:
            children.append(os.fork())
            forked.set()
        else:
            # It works while the other one forks.
            assert forked.wait(60)

    with zarr.config.set({"threading.max_workers": 2}):
        try:
            parallel(task, 2)
        except RuntimeError:
            if not children[0]:
                os._exit(3)
            raise
        if not children[0]:
            os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 3


@pytest.mark.parametrize("kind", ["gather", "call_each"])
def test_requests_that_are_collected_as_garbage_wait_for_no_lock(kind: str) -> None:
    """Garbage may be collected wherever an object is made, also by a thread with the lock."""
    store, keys = AskedStore({f"{number}": b"1" for number in range(8)}), list(map(str, range(8)))
    if kind == "gather":
        found: Any = gather(store, list(map(Request, keys)))
    else:
        found = call_each(store, store.exists, keys)
    next(found)
    # As in a frame of the traceback of an exception that the frame refers to.
    circle = [found]
    circle.append(circle)
    del circle, found

    def collect() -> None:
        with bounds.lock:
            gc.collect()

    elsewhere(collect)
    assert sorted(index for index, _ in call_each(store, store.exists, keys)) == list(range(8))
