"""Threads that are started for work, and processes in which none can be started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from itertools import count
from typing import Any

import numpy as np
import obstore.store
import pytest
from asked import AskedStore
from interrupting import Interrupt, elsewhere
from waits import PATIENCE, join, until

import fastzarr as zarr
from fastzarr.stores import ObjectStore, loop, stopping
from fastzarr.stores import threads as stores_threads
from fastzarr.stores.runtime import runtime
from fastzarr.stores.threads import Threads, started

VALUES = np.arange(64)
# The function of the system that starts a thread; its name is another one since Python 3.13.
START = "_start_joinable_thread"
if not hasattr(threading, START):
    START = "_start_new_thread"

# How long a thread may take to begin.
BEGIN = "fastzarr.stores.threads._BEGIN"


def _refuse(*_: object, **__: object) -> None:
    msg = "can't start new thread"
    raise RuntimeError(msg)


def _lose(*_: object, **__: object) -> None:
    """Start a thread that ends before it has begun, as for want of memory."""


@pytest.fixture(params=[_refuse, _lose], ids=["refused", "lost"])
def _no_thread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no further thread be started."""
    zarr.cleanup_resources()
    monkeypatch.setattr(threading, START, request.param)
    monkeypatch.setattr(BEGIN, 0.05)
    # Those that have not begun are listed there.
    monkeypatch.setattr(threading, "_limbo", {})


@pytest.mark.usefixtures("_no_thread", "data_path")
@pytest.mark.parametrize("store", [dict, AskedStore])
def test_arrays_are_written_and_read_without_threads(store: Any) -> None:
    array = zarr.create_array(store(), shape=64, chunks=16, dtype="i8", fill_value=-1)
    with zarr.config.set({"threading.max_workers": 3}):
        array[:] = VALUES
        array[1:-1] = VALUES[1:-1]
        assert np.array_equal(array[:], VALUES)
        assert len(zarr.open_group(store(), mode="w").members()) == 0


@pytest.mark.usefixtures("_no_thread")
def test_an_object_store_is_read_and_written_without_threads() -> None:
    store = ObjectStore(obstore.store.MemoryStore())
    store.set("a", b"1")
    assert store.get("a") == b"1"


@pytest.mark.usefixtures("_no_thread")
def test_awaiting_without_threads_is_an_error() -> None:
    array = zarr.array(VALUES)
    with pytest.raises(RuntimeError, match="no thread can be started"):
        asyncio.run(array.getitem_async(slice(None)))


@pytest.mark.usefixtures("_no_thread")
def test_a_store_that_is_awaited_is_an_error_without_a_thread() -> None:
    for _ in range(2):
        coroutine = asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="no thread can be started"):
            loop.wait(coroutine)
        coroutine.close()


def test_work_that_was_given_back_is_never_done(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done = Threads("fastzarr-test"), []
    with monkeypatch.context() as patch:
        patch.setattr(threading, START, _refuse)
        assert not threads.submit(lambda: done.append("never"), 2)
    future = threads.call(lambda: done.append("once"), 2)
    assert future is not None
    future.result(PATIENCE)
    threads.close()
    assert done == ["once"]


def test_no_more_threads_are_started_than_allowed() -> None:
    threads, seen = Threads("fastzarr-test"), set()
    barrier = threading.Barrier(3)

    def work() -> None:
        seen.add(threading.get_ident())
        barrier.wait(60)

    # Three at once, and then the same three.
    futures = [threads.call(work, 3) for _ in range(9)]
    for future in futures:
        assert future is not None
        future.result(PATIENCE)
    assert len(seen) == 3
    threads.close()
    assert not [one for one in threading.enumerate() if one.name == "fastzarr-test"]


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("where", ["_Member", "started"])
def test_work_may_come_while_a_thread_is_started(
    monkeypatch: pytest.MonkeyPatch, where: str, most: int
) -> None:
    """A finalizer, or a signal handler, may submit some wherever a function is called."""
    threads, done, made = Threads("fastzarr-test"), [], []
    real, calls = getattr(stores_threads, where), []

    def within(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            made.append(threads.submit(lambda: done.append("inner"), most))
        return real(*args)

    monkeypatch.setattr(stores_threads, where, within)
    elsewhere(lambda: made.append(threads.submit(lambda: done.append("outer"), most)))
    # The only thread was not there yet.
    assert made == [where == "_Member" or most == 2, True]
    assert len([one for one in threading.enumerate() if one.name == "fastzarr-test"]) <= most
    threads.close()
    assert sorted(done) == ["inner", "outer"][not made[0] :]


def test_work_that_comes_while_no_thread_can_be_started_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, done, made = Threads("fastzarr-test"), [], []

    def refuse(*_: object) -> None:
        if not made:
            made.append(None)
            made.append(threads.submit(lambda: done.append("inner"), 1))

    with monkeypatch.context() as patch:
        patch.setattr(stores_threads, "started", refuse)
        elsewhere(lambda: made.append(threads.submit(lambda: done.append("outer"), 1)))
    assert made == [None, False, False]
    future = threads.call(lambda: done.append("later"), 1)
    assert future is not None
    future.result()
    threads.close()
    assert done == ["later"]


def test_threads_that_are_closed_while_one_is_started_end(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done = Threads("fastzarr-test"), []
    real = stores_threads.started

    def close(*args: Any) -> Any:
        monkeypatch.undo()
        threads.close()
        return real(*args)

    monkeypatch.setattr(stores_threads, "started", close)
    elsewhere(lambda: done.append(threads.submit(lambda: done.append(None), 1)))
    threads.close()
    assert done.count(True) == done.count(None) == 1
    for one in threading.enumerate():
        if one.name == "fastzarr-test":
            one.join(60)
            assert not one.is_alive()


def test_all_work_is_done_before_the_threads_end() -> None:
    threads, done, release = Threads("fastzarr-test"), [], threading.Event()
    futures = [threads.call(release.wait, 2) for _ in range(2)]
    # More than there are threads, and each one once.
    futures += [threads.call(lambda number=number: done.append(number), 2) for number in range(9)]
    release.set()
    threads.close()
    assert sorted(done) == list(range(9))
    assert all(future is not None and future.done() for future in futures)
    later = threads.call(lambda: done.append("later"), 2)
    assert later is not None
    later.result(PATIENCE)
    threads.close()
    assert done[-1] == "later"


def test_a_thread_that_is_given_up_does_nothing_when_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late: list[Any] = []
    start = getattr(threading, START)
    with monkeypatch.context() as patch:
        patch.setattr(threading, START, lambda *args, **how: late.append((args, how)))
        patch.setattr(BEGIN, 0.05)
        threads, done = Threads("fastzarr-test"), []
        assert not threads.submit(lambda: done.append(1), 1)
    ((args, how),) = late
    start(*args, **how)
    future = threads.call(lambda: done.append(2), 1)
    assert future is not None
    future.result(PATIENCE)
    threads.close()
    assert done == [2]


def test_an_exception_of_the_work_is_the_callers() -> None:
    threads = Threads("fastzarr-test")
    future = threads.call(lambda: {}["missing"], 1)
    assert future is not None
    with pytest.raises(KeyError):
        future.result(PATIENCE)
    again = threads.call(lambda: 3, 1)
    assert again is not None
    assert again.result(PATIENCE) == 3
    threads.close()


def test_a_thread_is_returned_when_it_has_begun() -> None:
    begun = threading.Event()
    thread = started(begun.set, "fastzarr-test")
    assert thread is not None
    join(thread)
    assert begun.is_set()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="the system has no such signal")
def test_a_second_signal_does_not_end_the_wait_for_a_change() -> None:
    begun, second, release, ended = (threading.Event() for _ in range(4))
    stopped, main = stopping.Stopped(), threading.main_thread().ident or 0

    def change() -> None:
        begun.set()
        assert release.wait(60)
        ended.set()

    def handle(*_: object) -> None:
        second.set()
        msg = "of the user's handler"
        raise ValueError(msg)

    def send() -> None:
        assert begun.wait(60)
        # A signal to the process may reach a thread of a library, and does not wake this one then.
        signal.pthread_kill(main, signal.SIGINT)
        until(stopped)
        signal.pthread_kill(main, signal.SIGUSR1)
        assert second.wait(60)
        release.set()

    before = signal.signal(signal.SIGUSR1, handle)
    token = stopping.STOP.set(stopped)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        with pytest.raises(KeyboardInterrupt):
            runtime.apart(change, leave=False)
        assert ended.is_set()
    finally:
        release.set()
        join(sender)
        stopping.STOP.reset(token)
        signal.signal(signal.SIGUSR1, before)


def test_a_change_that_an_interrupt_has_left_does_not_happen_later() -> None:
    done: list[int] = []
    others = set(threading.enumerate())
    for point in count(1):
        runtime.close()
        interrupt = Interrupt(point)
        try:
            with interrupt.during():
                runtime.apart(lambda: done.append(1), leave=False)
        except KeyboardInterrupt:
            pass
        before = len(done)
        runtime.close()
        for thread in set(threading.enumerate()) - others:
            if thread.name == "fastzarr-ask" and thread.is_alive():
                join(thread)
        assert len(done) == before
        assert runtime.apart(lambda: 7, leave=False) == 7
        if interrupt.left > 0:
            break
    assert point > 20


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux knows kinds of threads")
@pytest.mark.parametrize(
    ("chosen", "expected"), [("SCHED_OTHER", "SCHED_BATCH"), ("SCHED_IDLE", "SCHED_IDLE")]
)
def test_threads_do_not_interrupt_others_unless_the_user_has_chosen_how(
    chosen: str, expected: str
) -> None:
    code = f"""
import os, obstore.store, fastzarr
from fastzarr.stores import ObjectStore
os.sched_setscheduler(0, os.{chosen}, os.sched_param(0))
a = fastzarr.create_array(ObjectStore(obstore.store.MemoryStore()), data=[1, 2], chunks=1)
assert a[:].tolist() == [1, 2]
assert os.sched_getscheduler(0) == os.{chosen}
threads = {{int(name) for name in os.listdir("/proc/self/task")}} - {{os.getpid()}}
named = {{open(f"/proc/self/task/{{one}}/comm").read().strip(): one for one in threads}}
for name, one in named.items():
    if "tokio" in name or "ask" in name:
        print(name, os.sched_getscheduler(one) == os.{expected})
"""
    done = subprocess.run(  # noqa: S603  (this interpreter)
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if "PermissionError" in done.stderr:
        pytest.skip("this machine does not let a process choose")
    assert not done.stderr
    assert "tokio" in done.stdout
    assert "False" not in done.stdout
