"""The event loop of the stores whose requests are awaited."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from itertools import count
from typing import Any

import pytest
from interrupting import Interrupt, elsewhere
from waits import join, wait_for

from fastzarr.stores import loop


async def double(value: int) -> int:
    await asyncio.sleep(0)
    return 2 * value


def test_results_and_exceptions_are_those_of_the_coroutine() -> None:
    async def fail() -> None:
        raise FileNotFoundError

    assert loop.wait(double(21)) == 42
    with pytest.raises(FileNotFoundError):
        loop.wait(fail())
    assert loop.event_loop() is loop.event_loop()


def test_code_on_the_loop_cannot_wait_for_it() -> None:
    async def inside() -> int:
        return loop.wait(double(1))

    with pytest.raises(RuntimeError, match="must await"):
        loop.wait(inside())
    assert loop.wait(double(1)) == 2


def test_an_interrupted_wait_ends_when_the_coroutine_has_ended() -> None:
    steps: list[str] = []

    async def endless() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("ended")

    with pytest.raises(KeyboardInterrupt):
        loop.wait(endless())
    assert steps == ["ended"]
    assert loop.wait(double(1)) == 2


def test_an_interrupt_at_any_point_does_not_stop_the_loop() -> None:
    def again() -> None:
        assert loop.wait(double(2)) == 4

    for point in count(1):
        interrupt, given = Interrupt(point), double(1)
        try:
            with interrupt.during():
                loop.wait(given)
        except KeyboardInterrupt:
            # The interrupt may have come before anybody has begun it.
            given.close()
        elsewhere(again)
        if interrupt.left > 0:
            break
    assert point > 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix systems only")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    assert loop.wait(double(1)) == 2
    child = os.fork()
    if not child:
        os._exit(loop.wait(double(4)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8


def test_the_loop_is_stopped_and_started_again() -> None:
    first = loop.event_loop()
    loop.stop()
    assert first.is_closed()
    loop.stop()
    assert loop.wait(double(3)) == 6
    assert loop.event_loop() is not first


def test_what_is_awaited_when_the_loop_is_stopped_is_cancelled() -> None:
    begun = threading.Event()
    raised: list[BaseException] = []

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            loop.wait(endless())
        except asyncio.CancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_for(begun)
    loop.stop()
    join(thread)
    assert len(raised) == 1


def test_what_is_begun_while_the_loop_is_stopped_is_cancelled_too() -> None:
    begun = threading.Event()
    later: list[asyncio.Task[Any]] = []

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            later.append(asyncio.get_running_loop().create_task(asyncio.sleep(60)))

    def wait() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.wait(endless())

    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait(60)
    loop.stop()
    thread.join(60)
    assert [task.cancelled() for task in later] == [True]


def test_many_threads_wait_at_once() -> None:
    met: Any = None
    waiting = 0

    async def meet() -> None:
        nonlocal met, waiting
        met = met or asyncio.Event()
        waiting += 1
        if waiting == 8:
            met.set()
        await met.wait()

    threads = [threading.Thread(target=lambda: loop.wait(meet())) for _ in range(8)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert waiting == 8
