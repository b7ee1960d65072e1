"""Threads that are started when there is work for them.

Rules of this file:

* Work that no thread can do is given back to the caller, who does it or raises an error. It is
  never done later.
* Without memory, a thread may end before it has begun, and ``Thread.start`` would wait for ever.
  One that has not begun after a while is given up, and does nothing if it begins after all.
* A finalizer or a signal handler may ask for a thread wherever this file calls something, also when
  its own thread has the lock. So the lock is reentrant, and what is counted is looked at again
  after each call. One that comes while the only thread is being started is told that there is none.
* A forked child has no threads, and begins with new ones.
* Where the system can, it does not interrupt other threads to let one of these begin at once: one
  that decodes would be interrupted for each answer that comes. Threads that they start themselves,
  such as those of obstore, are of the same kind.
* The process waits for the work under way before it ends (``ending.py``).
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from fastzarr.stores.ending import at_end
from fastzarr.stores.users import Event

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

T = TypeVar("T")

# The longest time, in seconds, that a thread has to begin.
_BEGIN = 5.0


class _Begun(Event):
    """Whether a thread has begun, for ``threading``; waiting for it ends."""

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self.happened

    def _at_fork_reinit(self) -> None:
        """Do nothing: there is no lock."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; raise RuntimeError if that takes long."""
        if not super().wait(_BEGIN if timeout is None else timeout):
            msg = "the thread has not begun"
            raise RuntimeError(msg)
        return True


class _Thread(threading.Thread):
    """A thread whose ``start`` does not wait for ever."""

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._started = _Begun()


def started(target: Callable[[], object], name: str) -> threading.Thread | None:
    """Return a new thread that runs a function; None if there are too many, or no memory for one.

    In the second case the thread may still begin.
    """
    thread = _Thread(target, name)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def _let_others_run() -> None:
    """Let this thread wait for its turn when it wakes, unless the user has chosen otherwise."""
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # it is slower then, as elsewhere
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class Task(Generic[T]):
    """A call that another thread makes, unless it is withdrawn before."""

    def __init__(self, call: Callable[[], T]) -> None:
        """Initialise before the call."""
        self._call = call
        #: Whether the call has ended.
        self.ended = Event()
        # Who was first to ask: it is the thread's, or it is withdrawn.
        self._owner: dict[str, bool] = {}
        self._found: list[T] = []
        self._raised: list[BaseException] = []

    def run(self) -> None:
        """Make the call, on the other thread."""
        if self._owner.setdefault("", True):
            try:
                self._found.append(self._call())
            except BaseException as error:  # noqa: BLE001  (raised where the result is asked for)
                self._raised.append(error)
            finally:
                self.ended.set()

    def withdraw(self) -> bool:
        """Return whether the call has not begun; it never does then."""
        return not self._owner.setdefault("", False)

    def result(self) -> T:
        """Return the result of a call that has ended, or raise its error."""
        if self._raised:
            try:
                raise self._raised[0]
            finally:
                self._raised.clear()
        return self._found[0]


class Threads:
    """Threads with a name, which do work in the order in which it comes."""

    def __init__(self, name: str) -> None:
        """Initialise without a thread."""
        self._name, self._crew = name, _Crew()

    def submit(self, work: Callable[[], object], most: int) -> bool:
        """Let one of at most ``most`` threads do work that raises nothing.

        Return False if there is no thread, and none can be started; the work is not done then.
        """
        while (done := self._crew.submit(work, most, self._name)) is None:
            continue
        return done

    def call(self, function: Callable[[], T], most: int) -> Future[T] | None:
        """Call a function on one of at most ``most`` threads; return None as ``submit`` does."""
        from concurrent.futures import Future

        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001  (raised where the result is asked for)
                future.set_exception(error)
            else:
                future.set_result(result)

        try:
            begun = self.submit(work, most)
        except BaseException:
            # Nobody has the future then.
            future.cancel()
            raise
        return future if begun else None

    def close(self, *, wait: bool = True) -> None:
        """Stop the threads when they have done their work; later work starts new ones."""
        crew, self._crew = self._crew, _Crew()
        crew.close(wait=wait)

    def reset(self) -> None:
        """Forget the threads, which a forked child does not have."""
        self._crew = _Crew()


def shared(name: str) -> Threads:
    """Return threads for as long as the process lives, and its forked children."""
    threads = Threads(name)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=threads.reset)
    at_end(threads.close)
    _shared.append(threads)
    return threads


def close_shared() -> None:
    """Stop all shared threads when they have done their work; later work starts new ones."""
    for threads in _shared:
        threads.close()


_shared: list[Threads] = []


class _Crew:
    """Threads that share a queue, until they are stopped."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        #: The work that no thread has begun, and None for each thread that is to end.
        self.queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.threads: set[threading.Thread] = set()
        #: The number of threads, and of those without work, less the work that waits for one.
        self.count = self.free = 0
        #: The number of threads that are being started, by callers that have been interrupted.
        self.starting = 0
        self.closed = False

    def submit(self, work: Callable[[], object], most: int, name: str) -> bool | None:
        """Let a thread do work; return False if there is none, and None if all are to end."""
        with self.lock:
            if self.free < 1 and self.count < most and not self.closed:
                self._start(most, name)
            if self.closed:
                return None
            if not self.count:
                return False
            self.free -= 1
            self.queue.put(work)
            return True

    def _start(self, most: int, name: str) -> None:
        """Start a thread unless there are enough, with the lock held, for which it waits first."""
        member, thread = _Member(self), None
        if self.free > 0 or self.count + self.starting >= most:
            return
        self.starting += 1
        try:
            thread = started(member.run, name)
        finally:
            self.starting -= 1
            # An exception may also come from a signal.
            if thread is None:
                member.given_up = True
            else:
                self.count += 1
                self.free += 1
                self.threads.add(thread)
                if self.closed:
                    self.queue.put(None)

    def close(self, *, wait: bool) -> None:
        with self.lock:
            self.closed = True
            for _ in range(self.count):
                self.queue.put(None)
            threads = self.threads - {threading.current_thread()}
        for thread in threads if wait else ():
            thread.join()


class _Member:
    """What one thread of a crew does."""

    def __init__(self, crew: _Crew) -> None:
        self.crew = crew
        #: Whether it was given up before it had begun.
        self.given_up = False

    def run(self) -> None:
        crew = self.crew
        _let_others_run()
        with crew.lock:
            if self.given_up:
                return
        while (work := crew.queue.get()) is not None:
            work()
            # It may refer to large arrays.
            del work
            with crew.lock:
                crew.free += 1
