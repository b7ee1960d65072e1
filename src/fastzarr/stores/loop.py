"""One event loop, on a thread of its own, for the stores whose requests are awaited.

Rules of this file:

* The loop is started when first needed, and another one in a forked child, which has no thread of
  its parent's. What was awaited in the parent when it forked is not continued in the child.
* Connections that a forked child inherits are its parent's. If the child closed them, the loop of
  the parent would hear no more of them, because both share its selector, and TLS would be ended
  there. The child therefore keeps what has connections, and never closes it.
* ``wait`` returns only when its coroutine has ended. If Ctrl-C interrupts it, or its call has been
  stopped, the coroutine is cancelled, which closes the connection of its request. A coroutine on
  the loop of another package may ignore that, and is waited for no longer than for a request.
* Code on the loop must not wait for the loop.
* A loop that is stopped has ended all that was begun on it. What begins a task of ours does so with
  the lock held (``begin``), hence either before the loop ends its tasks or on the next loop; a
  callback of the loop itself asks first whether it is stopping.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from fastzarr.config import config
from fastzarr.stores import stopping
from fastzarr.stores.ending import at_end
from fastzarr.stores.threads import started
from fastzarr.stores.users import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

# How long a thread waits, in seconds, before it asks whether its call has been stopped.
_LOOK = 0.1


class _Loop:
    """The loop and its thread."""

    def __init__(self) -> None:
        #: What has connections in this process, by its ``id``, and what had some in its parents.
        self.connected: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.inherited: list[Any] = []
        self.reset()

    def inherit(self) -> None:
        """Keep what has connections of the parent; called in a forked child."""
        for one in list(self.connected.values()):
            self.inherited.append(one)
            for reference in weakref.getweakrefs(one):
                if isinstance(reference.__callback__, weakref.finalize):
                    reference.__callback__.detach()
        self.connected.clear()
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None

    def running(self) -> asyncio.AbstractEventLoop:
        with self.lock:
            return self.started()

    def started(self) -> asyncio.AbstractEventLoop:
        """Return the loop, with the lock held."""
        if self.loop is None:
            loop = asyncio.new_event_loop()
            self.thread = started(loop.run_forever, "fastzarr-loop")
            if self.thread is None:
                loop.close()
                msg = "no thread can be started for the requests of stores that are awaited"
                raise RuntimeError(msg)
            self.loop = loop
        return self.loop

    def stop(self) -> None:
        with self.lock:
            loop, thread = self.loop, self.thread
            self.loop = self.thread = None
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(_end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _end() -> None:
    """Cancel all other tasks of the loop, and those that they begin, and wait for their ends."""
    me = asyncio.current_task()
    while others := asyncio.all_tasks() - {me}:
        for task in others:
            task.cancel()
        await asyncio.wait(others)


_loop = _Loop()
_stops: list[Callable[[], None]] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loop.inherit)
# Otherwise the thread may use the interpreter while it ends.
at_end(_loop.stop)


def event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, which is running."""
    return _loop.running()


def begin(call: Callable[[], object]) -> None:
    """Call a function on the loop soon, which it may begin tasks on."""
    with _loop.lock:
        _loop.started().call_soon_threadsafe(call)


def is_stopping() -> bool:
    """Whether the running loop, which is ours, begins no tasks any more."""
    return asyncio.get_running_loop() is not _loop.loop


def soon(call: Callable[[], object]) -> None:
    """Call a function on the loop, unless it does not run, without any lock."""
    loop = _loop.loop
    if loop is not None:
        with suppress(RuntimeError):  # it has just been closed
            loop.call_soon_threadsafe(call)


def current_thread() -> threading.Thread | None:
    """Return the thread of the loop if it is running."""
    return _loop.thread


def stop() -> None:
    """Cancel what is awaited, stop the loop, and all that ``at_stop`` was called with.

    It is started again when needed.
    """
    _loop.stop()
    for function in _stops:
        function()


def connects(one: object) -> None:
    """Let forked children never close the connections of an object."""
    _loop.connected[id(one)] = one


def at_stop(function: Callable[[], None]) -> None:
    """Let ``stop`` call a function, which stops other threads of a store."""
    _stops.append(function)


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop and return its result, or raise its exception.

    >>> async def answer():
    ...     return 42
    >>> wait(answer())
    42
    """
    if threading.current_thread() is _loop.thread:
        coroutine.close()
        msg = "code on the event loop of stores must await, and not wait for the loop"
        raise RuntimeError(msg)
    return _wait(coroutine, None, None)


def wait_on(coroutine: Coroutine[Any, Any, T], other: asyncio.AbstractEventLoop) -> T:
    """Run a coroutine on a loop of another package and return its result, or raise its exception.

    If Ctrl-C interrupts the wait, the coroutine is cancelled, and waited for like a request.
    """
    return _wait(coroutine, other, config["fetch.timeout"])


def _wait(
    coroutine: Coroutine[Any, Any, T], other: asyncio.AbstractEventLoop | None, most: float | None
) -> T:
    """Run a coroutine on our loop or on another."""
    run = _Run(coroutine, other)
    try:
        run.begin()
        run.wait()
    except BaseException:
        stopping.halt()
        run.cancel(most)
        raise
    finally:
        if not run.tasks:
            coroutine.close()
    task: asyncio.Task[T] = run.tasks[0]
    return task.result()


async def await_on(coroutine: Coroutine[Any, Any, T], other: asyncio.AbstractEventLoop) -> T:
    """Await a coroutine that runs on a loop of another package."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, other))


class _Run:
    """A coroutine that a thread waits for."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], other: asyncio.AbstractEventLoop | None
    ) -> None:
        self.coroutine = coroutine
        #: The loop it runs on; None before one of ours is known.
        self.loop = other
        self.tasks: list[asyncio.Task[Any]] = []
        self.ended = Event()

    def begin(self) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.start)
            return
        with _loop.lock:
            self.loop = _loop.started()
            self.loop.call_soon_threadsafe(self.start)

    def start(self) -> None:
        if self.ended.happened or self.loop is None:  # cancelled before it began
            return
        self.tasks.append(self.loop.create_task(self.coroutine))
        self.tasks[0].add_done_callback(lambda _: self.ended.set())

    def wait(self) -> None:
        """Wait until it has ended; raise KeyboardInterrupt if the call is stopped meanwhile."""
        stopped = stopping.STOP.get()
        # A call that has been stopped already undoes what has failed.
        if stopped is None or stopped():
            self.ended.wait()
            return
        while not self.ended.wait(_LOOK):
            stopping.check()

    def stop(self) -> None:
        if self.tasks:
            self.tasks[0].cancel()
        else:
            self.ended.set()

    def cancel(self, most: float | None) -> None:
        """Cancel the coroutine and wait until it has ended; Ctrl-C does not end the wait."""
        while self.loop is not None and not self.ended.happened:
            try:
                self.loop.call_soon_threadsafe(self.stop)
                if not self.ended.wait(most):
                    self.ended.set()
            except KeyboardInterrupt:
                continue
            except RuntimeError:  # the loop has ended, and all that was begun on it
                self.ended.set()
