"""Calls that are awaited: they run on threads of their own, and settle before the await ends.

Rules of this file:

* An awaited call is the plain call, on another thread and in a copy of the context of its caller.
  Its event loop only waits, and may be any, in any thread.
* If the await is cancelled, the call is stopped, and the await ends only when the call has ended:
  nothing is written any more when ``CancelledError`` is raised. A call that has not begun never
  does. A coroutine that is closed, and not cancelled, only stops its call.
* At most ``fetch.concurrency`` calls run at once, the others wait. A call that a store awaits while
  it answers a call or a request, or stores a chunk, gets another thread, so that it does not wait
  for those that wait for it. Where that is not recognised, as on a thread of the extension, it gets
  one when no call has ended for a second. Either makes its requests on its own thread, because the
  bounds of requests may be taken, too.
* A call that was under way when the process forked is not continued in the child.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextvars import copy_context
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

from fastzarr.config import config
from fastzarr.engine import requests
from fastzarr.errors import TransactionError
from fastzarr.stores.base import Store
from fastzarr.stores.stopping import STOP, Stopped
from fastzarr.stores.threads import Threads, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")

if TYPE_CHECKING:
    Awaited: TypeAlias = Coroutine[Any, Any, T]


# How long a call waits, in seconds, while no other ends, until it gets a thread of its own.
_PATIENCE = 1.0


class _Calls:
    """The threads on which awaited calls run."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.most = 0
        #: When a call has ended, or was let begin, for the last time.
        self.moved = 0.0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run a function on a thread; raise RuntimeError if there is none."""
        if requests.INSIDE.get():
            return self.apart(work)
        most = max(int(config.flat["fetch.concurrency"]), 1)
        with self.lock:
            if self.most != most:
                # There may be more threads than that.
                _calling.close(wait=False)
                self.most = most
            return _checked(_calling.call(work, most))

    def apart(self, work: Callable[[], T]) -> Future[T]:
        """Run a function on a thread of its own, on which its requests run, too."""
        alone = Threads("fastzarr-nested")
        try:
            return _checked(alone.call(partial(requests.alone, work), 1))
        finally:
            alone.close(wait=False)

    def hurry(self, waiting: Future[T], work: Callable[[], T]) -> Future[T] | None:
        """Run a function apart that waits for a thread, if none has become free for a while."""
        with self.lock:
            now = time.monotonic()
            if now < self.moved + _PATIENCE or not waiting.cancel():
                return None
            self.moved = now
        return self.apart(work)


def _checked(future: Future[T] | None) -> Future[T]:
    if future is None:
        msg = "no thread can be started for a call that is awaited; use the plain method instead"
        raise RuntimeError(msg)
    return future


_calling = shared("fastzarr-call")
_calls = _Calls()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_calls.reset)


def awaiting(call: Callable[P, T]) -> Callable[[Callable[[], None]], Callable[P, Awaited[T]]]:
    """Return a decorator that gives a name and its documentation to ``call``, awaited."""

    def decorate(named: Callable[[], None]) -> Callable[P, Awaited[T]]:
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> T:
            # Each of them may be a store, or be in one.
            for given in (*args, *kwargs.values()):
                _check_no_transaction(given)
            return await settled(None, call, *args, **kwargs)

        update_wrapper(awaited, named)
        # It has the signature of the call.
        vars(awaited)["__wrapped__"] = call
        return awaited

    return decorate


async def settled(store: object, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of a call, or raise its error; the call has ended when this has.

    ``store`` is a node, a store, or whatever the user has passed for one. Raise
    ``TransactionError`` if the calling thread has begun a transaction in it, because the call would
    take no part in it.
    """
    _check_no_transaction(store)
    stop = Stopped()
    work = partial(copy_context().run, partial(_run, stop, partial(call, *args, **kwargs)))
    running = _calls.submit(work)
    waiting = asyncio.wrap_future(running)
    try:
        while not waiting.done():
            await asyncio.wait((waiting,), timeout=None if running.running() else _PATIENCE)
            apart = None if waiting.done() else _calls.hurry(running, work)
            if apart is not None:
                running, waiting = apart, asyncio.wrap_future(apart)
    except asyncio.CancelledError:
        stop.stop()
        running.cancel()
        while not waiting.done():
            try:
                await asyncio.wait((waiting,))
            except asyncio.CancelledError:
                continue
        raise
    finally:
        stop.stop()
    result, error = waiting.result()
    if error is not None:
        try:
            raise error
        finally:
            del error, waiting, running
    found: T = result
    return found


def _run(stop: Stopped, call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Return the result and the error of a call."""
    STOP.set(stop)
    requests.INSIDE.set(True)
    try:
        return call(), None
    except BaseException as error:  # noqa: BLE001  (raised again where it is awaited)
        return None, error
    finally:
        _calls.moved = time.monotonic()


def cleanup() -> None:
    """Wait for the awaited calls, and stop their threads; a later call starts new ones."""
    _calling.close()


def _check_no_transaction(given: Any) -> None:
    for store in (given, getattr(given, "store", None), getattr(given, "chunk_store", None)):
        if isinstance(store, Store) and store.suspension.on and store.acting() is not store:
            msg = (
                f"this thread has begun a transaction in {store}, in which an awaited call, which "
                "runs on another thread, takes no part; use the plain method inside a transaction"
            )
            raise TransactionError(msg)
