"""Say which test stands still, and where each of its threads is.

The watch of faulthandler ends after the 100 threads that are newest, hence before the thread of the
test where others have many. This one writes each stack once, with the threads that have it, the
thread of the test last; faulthandler's still sees a thread that never gives up the interpreter.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# So many frames of a stack are written, the newest ones.
DEEP = 30
# How long the process waits for threads that failed tests have left, in seconds.
LEFT = 60.0


def stacks() -> str:
    """Return the stacks of all threads, each once, and that of the main thread last."""
    names = {one.ident: one.name for one in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001
    last = frames.pop(threading.main_thread().ident or 0, None)
    found = defaultdict(list)
    for thread, frame in frames.items():
        found["".join(traceback.format_stack(frame, DEEP))].append(names.get(thread, str(thread)))
    texts = [f"{len(who)}: {', '.join(who)}\n{stack}" for stack, who in found.items()]
    # It has none any more as Python ends.
    main = traceback.format_stack(last, DEEP) if last else []
    return "\n".join([*texts, "".join(main)])


class Watch:
    """A thread that looks at the running test every so often."""

    def __init__(self, seconds: float) -> None:
        """Initialise with the time after which a test is said to stand still."""
        self.seconds = seconds
        self.test, self.began = "", 0.0
        # What tests print goes elsewhere later.
        self.out = os.dup(2)

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._look, name="standstill", daemon=True).start()

    def _look(self) -> None:
        while True:
            time.sleep(self.seconds / 60)
            test, waited = self.test, time.monotonic() - self.began
            if test and waited > self.seconds:
                self.test = ""
                text = f"\n{test} has taken {waited:.0f} s. Its threads:\n\n{stacks()}\n"
                self._say(text)

    def _say(self, text: str) -> None:
        os.write(self.out, text.encode(errors="replace"))

    def _end(self) -> None:
        # Python has come to its end, and waits for the threads that are no daemons.
        threading.main_thread().join()
        time.sleep(LEFT)
        self._say(f"\nThe tests have ended, but not their threads:\n\n{stacks()}\n")
        os._exit(1)

    def pytest_unconfigure(self) -> None:
        """Let the process end, after a while, whatever threads the tests have left."""
        threading.Thread(target=self._end, name="standstill", daemon=True).start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note which test runs."""
        self.test, self.began = item.nodeid, time.monotonic()
        try:
            return (yield)
        finally:
            self.test = ""
