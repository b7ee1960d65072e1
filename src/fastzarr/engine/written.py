"""To which arrays this process has written, so that what was read before is not taken for new.

Rules of this file:

* A write is noted when it has ended, also by an error: whoever reads afterwards finds the note.
* Notes have a bounded number of places. Two paths may share one, and so do arrays that have the
  same path in different stores: then an array seems to have changed although it has not.
* A note names the process, because another one that has written as often has written other things.
"""

from __future__ import annotations

import os
from itertools import count

PLACES = 1 << 12
#: The number of the last write to a path, at the hash of the path modulo ``PLACES``.
notes = [0] * PLACES
#: The numbers of writes; taking one is a call that threads can make at once.
numbers = count(1)
_process = [""]


def note(*paths: str) -> None:
    """Note that the arrays at these paths were written to."""
    for path in paths:
        notes[hash(path) % PLACES] = next(numbers)


def last(path: str) -> str:
    """Return what differs after each write of this process to the array at a path.

    >>> before = last("a/b")
    >>> note("a/b")
    >>> last("a/b") != before
    True
    """
    number = notes[hash(path) % PLACES]
    if not number:
        return ""
    if not _process[0]:
        _process[0] = os.urandom(8).hex()
    return f"{_process[0]}-{number}"


def _start_anew() -> None:
    # A child writes other things under the same numbers.
    _process[0] = ""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
