"""The shared threads of the calls that run in Python.

Rules of this file:

* The pool is shared by all callers, and sized by the processors that this process may use.
* The calling thread always works too, so that a busy pool delays no caller, a nested call cannot
  wait for itself, and a process that can start no thread works on.
* When a call returns or raises, on Ctrl-C too, none of its threads is still writing. So that Ctrl-C
  need not wait for a codec, the threads then leave it (``apart.py``).
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from fastzarr.config import config
from fastzarr.engine import requests
from fastzarr.engine.job import inline
from fastzarr.native import extension
from fastzarr.stores.stopping import STOP, Stopped
from fastzarr.stores.threads import close_shared, shared
from fastzarr.stores.users import LOOK, Inbox, heard

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.engine.job import Spread


def workers() -> int:
    """Return the number of threads for a call: the setting, else the number of processors."""
    configured = config["threading.max_workers"]
    if configured is not None:
        return max(int(configured), 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_pool = shared("fastzarr")


class _Run:
    """A task that several threads work on.

    A thread of the pool that starts after the end of the run does nothing. It is therefore enough
    to count the active threads of the pool, which Ctrl-C never interrupts, and the count stays
    correct if it interrupts the caller.
    """

    def __init__(self, task: Callable[[int], None], count: int, team: Team) -> None:
        self.task, self.numbers, self.team = task, iter(range(count)), team
        self.process = os.getpid()
        self.raised: list[BaseException] = []
        self.lock = threading.Lock()
        #: Something comes whenever a thread has become inactive.
        self.left: Inbox[None] = Inbox()
        self.over = False
        self.active = 0

    def work(self) -> None:
        """Run the task for the next numbers until there are none left, or a task has failed."""
        for number in self.numbers:
            if self.raised or self.over:
                return
            self.task(number)

    def help(self) -> None:
        """Take part in the work on a thread of the pool."""
        with self.lock:
            if self.over:
                return
            self.active += 1
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001  (raised again by the caller's thread)
            self.fail(error)
        finally:
            with self.lock:
                self.active -= 1
            self.left.put(None)

    def wait(self) -> None:
        """Wait until no thread is active; raise RuntimeError in a forked child, which has none."""
        while self.active:
            if not heard(self.left, LOOK) and os.getpid() != self.process:
                self.active = 0
                msg = "the process was forked during the call"
                raise RuntimeError(msg)

    def settle(self) -> None:
        """End the run and wait until no thread is active; Ctrl-C does not end the wait."""
        self.over = True
        while self.active:
            try:
                self.wait()
            except BaseException as error:  # noqa: BLE001  (kept for the caller)
                self.fail(error)

    def end(self) -> None:
        """Raise an error; an interrupt counts more than what has gone wrong before it."""
        try:
            raise ([one for one in self.raised if not isinstance(one, Exception)] or self.raised)[0]
        finally:
            # Otherwise its frames, and the places and locks that they have, would not end with it.
            self.raised.clear()

    def fail(self, error: BaseException) -> None:
        """Keep an error of a thread; if it is an interrupt, the others leave too."""
        self.raised.append(error)
        if not isinstance(error, Exception):
            self.team.stopped.stop()


class Team:
    """The threads that work for one call, and whether it has been interrupted.

    Their number is that of the setting, unless ``threads`` is another one.
    """

    def __init__(self, threads: int | None = None, stop: Stopped | None = None) -> None:
        """Initialise; ``stop`` tells whether the call has been stopped from elsewhere."""
        self.threads, self.stopped = threads, Stopped(stop)

    def spread(
        self,
        task: Callable[[int], None],
        count: int,
        interrupted: Callable[[], None] | None = None,
    ) -> None:
        """Run a task as ``parallel`` does."""
        parallel(task, count, interrupted, self)


def teamed(threads: int | None = None) -> tuple[Spread, Stopped | None]:
    """Return ``spread`` and ``stopped`` of a job that uses several threads."""
    stop = STOP.get()
    if stop is None and threading.current_thread() is not threading.main_thread():
        return (parallel if threads is None else Team(threads).spread), None
    team = Team(threads, stop)
    return team.spread, team.stopped


def parallel(
    task: Callable[[int], None],
    count: int,
    interrupted: Callable[[], None] | None = None,
    team: Team | None = None,
) -> None:
    """Run a task for each number below ``count``, on the pool and the caller's thread.

    If a task raises, ``interrupted`` is called, and the first exception is raised once no task is
    running any more, or an interrupt that came later.
    """
    team = team or Team()
    most = team.threads or workers()
    threads = min(most, count)
    if threads < 2:
        inline(task, count)
        return
    run = _Run(task, count, team)
    try:
        for _ in range(threads - 1):
            if not _pool.submit(run.help, most - 1):
                break
        run.work()
        # When no numbers are left, other threads may still be running their last task.
        run.wait()
    except BaseException as error:  # noqa: BLE001  (raised below)
        run.fail(error)
        if interrupted is not None:
            interrupted()
    finally:
        run.settle()
    if run.raised:
        run.end()


def cleanup_resources() -> None:
    """Stop the threads of the shared pool; a later call starts new ones.

    >>> import fastzarr as zarr
    >>> zarr.cleanup_resources()
    """
    from fastzarr.engine import awaited

    awaited.cleanup()
    if extension is not None:
        extension.shutdown()
    requests.cleanup()
    close_shared()
