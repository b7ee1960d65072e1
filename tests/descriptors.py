"""Open files of this process, for tests that count them, or that lower how many there may be.

Other tests may have left connections open, which are closed at any time.
"""

from __future__ import annotations

import resource
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN = Path("/proc/self/fd")


def open_below(folder: Path) -> list[str]:
    """Return the paths of open files and folders at or below a folder, deleted ones included."""
    found = []
    for each in _OPEN.iterdir():
        with suppress(FileNotFoundError):  # it is closed meanwhile
            path = str(each.readlink())
            if path.startswith(str(folder)):
                found.append(path)
    return sorted(found)


@contextmanager
def few_descriptors(free: int) -> Iterator[int]:
    """Allow only so many more open files in a ``with`` block; return the limit."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(each.name) for each in _OPEN.iterdir()}
    limit = 0
    while free:
        free -= limit not in taken
        limit += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most[1]))
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)
