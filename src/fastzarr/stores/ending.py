"""The end of the interpreter: what is stopped before it, and in which order.

Rules of this file:

* Before 3.14, Python ends a daemon thread where it next asks for the interpreter's lock. In code
  that the extension has called, such as that of a store, this would abort the process. So none is
  under way afterwards, unless one call of it takes longer than ``_MOST`` seconds.
* First, daemon threads can begin no calls of the extension that may run such code, and those under
  way run no more of it, by which they fail. Then the threads and the event loop of this package are
  stopped, which waits for the calls that are awaited. Then these are refused, too.
* Calls of the thread that ends the interpreter are never refused: hooks of ``atexit`` that were
  registered before this package was imported run after ours, and may read and write arrays.
* A program may call the hooks itself, and go on. Nothing is refused then.
"""

from __future__ import annotations

import atexit
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from fastzarr.native import extension

if TYPE_CHECKING:
    from collections.abc import Callable

# The longest time, in seconds, that the process waits for calls that have been refused.
_MOST = 5.0

_stops = ExitStack()


def at_end(stop: Callable[[], object]) -> None:
    """Let a function stop something before the interpreter ends; the last is called first."""
    _stops.callback(stop)


def _end() -> None:
    with ExitStack() as last:
        # The main thread counts as ended once the interpreter has begun to end.
        if extension is not None and not threading.main_thread().is_alive():
            extension.refuse(False, 0)  # noqa: FBT003  (a function of the extension)
            last.callback(extension.refuse, True, _MOST)  # noqa: FBT003  (as above)
        _stops.close()


atexit.register(_end)
