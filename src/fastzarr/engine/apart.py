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
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from fastzarr.stores.threads import Task, started
from fastzarr.stores.users import LOOK, Event

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


def apart(work: Callable[[], T], stopped: Callable[[], bool] | None) -> T:
    """Return the result of ``work``, or raise its error.

    ``stopped`` returns whether the call has been interrupted, for the threads of the pool, which
    then raise ``KeyboardInterrupt``. It is None in the thread of the caller.
    """
    if stopped is None and threading.current_thread() is not threading.main_thread():
        return work()
    task = Task(partial(copy_context().run, work))
    process = os.getpid()
    if started(task.run, "fastzarr-apart") is None and task.withdraw():
        return work()
    return task.result() if _is_done(task.ended, stopped, process) else work()


def _is_done(done: Event, stopped: Callable[[], bool] | None, process: int) -> bool:
    """Wait for a thread; return False in a child that was forked meanwhile, which has none.

    Raise KeyboardInterrupt if the call was interrupted.
    """
    while not done.wait(LOOK):
        if stopped is not None and stopped():
            raise KeyboardInterrupt
        if os.getpid() != process:  # a signal handler has forked
            return False
    return True
