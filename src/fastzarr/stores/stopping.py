"""Whether the call that is under way has been stopped by the one who awaits it.

Rules of this file:

* A call that is awaited runs in a context in which ``STOP`` returns whether it has been stopped.
  What takes long asks it between two steps and then raises ``KeyboardInterrupt``, as Ctrl-C would.
* A request that is under way is never left: one that changes something could arrive later.
* A call that has been stopped stays so. It is therefore asked for where elements are read and
  written, and before a node is created, but never where a change that has failed is undone.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STOP: ContextVar[Callable[[], bool] | None] = ContextVar("fastzarr-stop", default=None)

# How long a pause lasts, in seconds, before it asks whether the call has been stopped.
_LOOK = 0.02


def check() -> None:
    """Raise ``KeyboardInterrupt`` if the call under way has been stopped."""
    stopped = STOP.get()
    if stopped is not None and stopped():
        raise KeyboardInterrupt


def pause(seconds: float) -> None:
    """Wait; raise ``KeyboardInterrupt`` if the call under way is stopped meanwhile."""
    if STOP.get() is None:
        time.sleep(seconds)
        return
    end = time.monotonic() + seconds
    while seconds > 0:
        check()
        time.sleep(min(seconds, _LOOK))
        seconds = end - time.monotonic()
    check()
