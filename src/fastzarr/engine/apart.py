"""Codecs that nothing can stop, run apart, so that a call that is interrupted can leave them.

Rules of this file:

* Ctrl-C reaches only the main thread, and only between two steps of Python. A codec is often one
  call of a library, which takes as long as its chunk. The main thread, and the threads of the pool
  that work for it, therefore let another thread do the work, and wait for it.
* What is left changes nothing that others see: it uses its processor until it is done, and its
  result is dropped. It must not read the memory of the caller, who may change it meanwhile.
* If there is no thread, whoever waits for it does the work instead.
* A codec that keeps the lock of the interpreter while it works cannot be left.
"""

from __future__ import annotations

import os
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from fastzarr.stores.threads import started

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

# The longest time, in seconds, after which a waiting thread asks whether to stop.
_LOOK = 0.02


def apart(work: Callable[[], T], stopped: Callable[[], bool] | None) -> T:
    """Return the result of ``work``, or raise its error.

    ``stopped`` returns whether the call has been interrupted, for the threads of the pool, which
    then raise ``KeyboardInterrupt``. It is None in the thread of the caller.
    """
    if stopped is None and threading.current_thread() is not threading.main_thread():
        return work()
    done = threading.Event()
    found: list[Any] = []
    raised: list[BaseException] = []
    context = copy_context()
    # Whoever takes it does the work.
    claim = threading.Lock()

    def task() -> None:
        if not claim.acquire(blocking=False):
            return
        try:
            found.append(context.run(work))
        except BaseException as error:  # noqa: BLE001  (raised again by the caller)
            raised.append(error)
        finally:
            done.set()

    process = os.getpid()
    if started(task, "fastzarr-apart") is None and claim.acquire(blocking=False):
        return work()
    if not _is_done(done, stopped, process):
        return work()
    if raised:
        try:
            raise raised[0]
        finally:
            raised.clear()
    return found[0]  # type: ignore[no-any-return]


def _is_done(done: threading.Event, stopped: Callable[[], bool] | None, process: int) -> bool:
    """Wait for a thread; return False in a child that was forked meanwhile, which has none.

    Raise KeyboardInterrupt if the call was interrupted.
    """
    while not done.wait(_LOOK):
        if stopped is not None and stopped():
            raise KeyboardInterrupt
        if os.getpid() != process:  # a signal handler has forked
            return False
    return True
