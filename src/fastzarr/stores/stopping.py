"""Whether the call that is under way has been stopped, by Ctrl-C or by the one who awaits it.

Rules of this file:

* A call that is awaited runs in a context in which ``STOP`` returns whether it has been stopped,
  and so does each thread that stores chunks for a call. What takes long asks it between two steps
  and then raises ``KeyboardInterrupt``, as Ctrl-C would.
* A request that is under way and changes something is never left, because it could arrive later.
  No other one begins: whoever is interrupted while it waits for a request calls ``halt`` at once,
  so that the other threads of its call repeat nothing.
* What is set in a context is set in one of its own, which is left whatever happens: an interrupt
  could come before anything else restores it, and stop all later calls.
* A call that has been stopped stays so. It is therefore asked for where elements are read and
  written, and before a node is created, but never where a change that has failed is undone.
"""

from __future__ import annotations

import time
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Stopped:
    """Whether a call has been stopped; it is, too, if the call above it has been."""

    __slots__ = ("_above", "_now")

    def __init__(self, above: Stopped | None = None) -> None:
        """Initialise for a call that is a part of another one, ``above``, if that is not None."""
        self._above, self._now = above, False

    def __call__(self) -> bool:
        """Return whether the call has been stopped."""
        return self._now or (self._above is not None and self._above())

    def stop(self) -> None:
        """Stop the call; calls above it go on."""
        self._now = True


STOP: ContextVar[Stopped | None] = ContextVar("fastzarr-stop", default=None)

# How long a pause lasts, in seconds, before it asks whether the call has been stopped.
_LOOK = 0.02


def check() -> None:
    """Raise ``KeyboardInterrupt`` if the call under way has been stopped."""
    stopped = STOP.get()
    if stopped is not None and stopped():
        raise KeyboardInterrupt


def halt() -> None:
    """Stop the call under way, because the thread that waits for a part of it was interrupted."""
    stopped = STOP.get()
    if stopped is not None:
        stopped.stop()


def within(stopped: Stopped | None, call: Callable[..., T], *args: Any) -> T:
    """Return the result of a part of a call, on a thread that works for it.

    Raise ``KeyboardInterrupt`` instead if the call has been stopped.
    """
    return copy_context().run(_within, stopped, call, args)


def _within(stopped: Stopped | None, call: Callable[..., T], args: tuple[Any, ...]) -> T:
    if stopped is not None:
        STOP.set(stopped)
        check()
    return call(*args)


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
