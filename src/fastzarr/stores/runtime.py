"""The threads of obstore, its answers, and the thread that makes requests for the main thread.

Rules of this file:

* obstore's threads do not survive a fork: a forked child gets an error if its parent has used them.
* Ctrl-C does not reach a call of obstore. The main thread therefore lets another thread make its
  requests, and leaves a read if interrupted. It waits for a change, which could happen later.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from fastzarr.errors import ForkedError
from fastzarr.stores import stopping
from fastzarr.stores.loop import at_stop
from fastzarr.stores.options import made_before
from fastzarr.stores.threads import Task, Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastzarr.stores.users import Event

T = TypeVar("T")

# How long a thread waits, in seconds, before it looks for signals.
_LOOK = 0.1


class Runtime:
    """The threads of obstore, which a forked child does not have."""

    def __init__(self) -> None:
        """Initialise before the first request."""
        self.used = self.lost = False
        self.guard = Lock()
        self._main = threading.main_thread().ident
        #: The thread that makes requests for the main thread.
        self.asker: Threads | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._look, after_in_child=self._lose)

    def check(self, store: object) -> None:
        """Record a request; raise ForkedError if it would wait for ever."""
        if self.lost:
            msg = (
                f"{store} cannot be used in a forked child, because the threads of obstore exist "
                "only in its parent; start processes by 'spawn' or 'forkserver' "
                "(multiprocessing.set_start_method, DataLoader(multiprocessing_context='spawn'))"
            )
            raise ForkedError(msg)
        self.used = True

    def is_main(self) -> bool:
        """Whether this is the main thread, which alone receives Ctrl-C."""
        return threading.get_ident() == self._main

    def apart(self, attempt: Callable[[], T], *, leave: bool) -> T:
        """Return the result of a request of the main thread.

        Ctrl-C leaves the request, or stops all others of the call.
        """
        task, begun = Task(attempt), False
        # No interrupt comes between this and the next step, and would lose the thread.
        asker, self.asker = self.asker or Threads("fastzarr-ask"), None
        try:
            begun = asker.submit(task.run, 1)
            if begun:
                _wait(task.ended)
        except BaseException:
            left = False
            while not left:
                # A second signal does not end the wait, whatever its handler raises.
                with suppress(BaseException):
                    stopping.halt()
                    if not task.withdraw() and not leave:
                        _wait(task.ended)
                    left = True
            raise
        finally:
            # A signal handler may have put another one there.
            if task.ended.happened and self.asker is None:
                self.asker = asker
            else:
                asker.close(wait=False)
        return task.result() if begun else attempt()

    def close(self) -> None:
        """Stop the thread of the main thread; a later request starts another one."""
        asker, self.asker = self.asker, None
        if asker is not None:
            asker.close()

    def _look(self) -> None:
        # Other code may have used obstore.
        if not self.used:
            self.used = any(name.startswith("tokio") for name in _thread_names())

    def _lose(self) -> None:
        self.guard, self.asker, self._main = Lock(), None, threading.get_ident()
        self.lost = self.lost or self.used


def _wait(ended: Event) -> None:
    """Wait until a call has ended."""
    while not ended.wait(_LOOK):
        # A signal that comes just before a thread sleeps does not wake it.
        continue


def answer(store: Any, key: str, part: Any) -> Any:
    """Return obstore's answer to the request of a value, or of a part of it.

    Azure has no ranges that count from the end: the size is asked for first, and the part must be
    one of the same value. Raise ConnectionError if it has changed meanwhile.
    """
    import obstore

    if part is None:
        return obstore.get(store, key)
    how: Any = {"range": part}
    if type(store).__name__ == "AzureStore" and "suffix" in part:
        try:
            known = obstore.head(store, key)
        except FileNotFoundError:
            # Only the answer to GET tells whether it is the container that is missing.
            obstore.get(store, key)
            raise
        start = max(known["size"] - part["suffix"], 0)
        how = {"range": {"offset": start}, "if_match": known["e_tag"]}
    try:
        return obstore.get(store, key, options=how)
    except obstore.exceptions.PreconditionError as error:
        msg = f"the body of {key!r} has changed while its end was requested"
        raise ConnectionError(msg) from error


def body(got: Any) -> Any:
    """Return the bytes of an answer; raise ConnectionError if they are not as many as it says."""
    first, end = got.range
    data = got.bytes()
    if len(data) != end - first:
        msg = f"the body has {len(data)} bytes in place of {end - first}"
        raise ConnectionError(msg)
    return data


def _thread_names() -> Iterator[str]:
    """Return the names of the threads of this process, if the system tells them."""
    try:
        for one in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{one}/comm") as file:
                yield file.read()
    except OSError:  # a thread has ended, or the system has no such files
        return


runtime = Runtime()
at_stop(runtime.close)
at_stop(made_before.cache_clear)
