"""Waits that end: if what a test waits for does not come, it fails and says where its threads are.

The errors are ordinary ones, so that they reach the test also where a store or a thread waits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from standstill import stacks

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess
    from threading import Thread

T = TypeVar("T")

#: How long a test waits, in seconds, for what comes at once on a machine that does nothing else.
PATIENCE = 100.0


class Happening(Protocol):
    """An event of threads, of processes or of the package."""

    def wait(self, seconds: float, /) -> bool:
        """Wait until it has happened; return whether it has."""


def _fail(what: str) -> NoReturn:
    msg = f"{what}. The threads:\n\n{stacks()}"
    raise AssertionError(msg)


def wait_for(event: Happening, seconds: float = PATIENCE) -> None:
    """Wait until an event has happened."""
    if not event.wait(seconds):
        _fail(f"what is waited for has not happened within {seconds} s")


def until(look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Call a function until it returns what is true, and return that."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            _fail(f"what is looked for has not come within {seconds} s")
        time.sleep(0.001)
    return found


def join(*started: Thread | BaseProcess, seconds: float = 2 * PATIENCE) -> None:
    """Wait until threads or processes have ended; kill the processes that have not."""
    end = time.monotonic() + seconds
    for one in started:
        one.join(max(end - time.monotonic(), 0))
    left = [one for one in started if one.is_alive()]
    for one in left:
        if hasattr(one, "kill"):
            one.kill()
            one.join()
    if left:
        _fail(f"{', '.join(one.name for one in left)} not ended within {seconds} s")
