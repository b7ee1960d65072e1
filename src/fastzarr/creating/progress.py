"""The progress of a call that writes much data: a callable of the user's, or a bar.

Rules of this file:

* A callable receives the number of bytes done and the total, before the first piece and after each.
  What it raises ends the call, which then leaves nothing behind.
* A bar is that of tqdm or of rich, whichever is installed; both also have one for notebooks. They
  are imported when a bar is shown. Without them, a line on stderr is rewritten.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Report = Callable[[int, int], object]


def check_progress(progress: Any) -> None:
    """Raise TypeError if the argument ``progress`` is neither a bool, None nor a callable."""
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        msg = f"progress= must be True, False or a callable of two numbers, not {progress!r}"
        raise TypeError(msg)


@contextmanager
def reporting(progress: Any, label: str) -> Iterator[Report | None]:
    """Yield what is to be called with the bytes done and the total, or None.

    ``label`` is the text beside a bar.
    """
    check_progress(progress)
    if progress is not True:
        yield progress or None
        return
    bar = _bar(label)
    try:
        yield bar.update
    finally:
        bar.close()


class Parts:
    """The progress of several arrays as one; each is written with the progress of ``part``."""

    def __init__(self, report: Report, total: int) -> None:
        """Initialise with what reports the bytes done of all arrays, and their number."""
        self._report, self._total = report, total
        self._done = self._told = 0

    def part(self, size: int) -> Report:
        """Return what reports the progress of the next array, of ``size`` bytes."""
        before = self._done
        self._done += size
        return lambda done, total: self._tell(before + (size * done // total if total else size))

    def finish(self) -> None:
        """Report that all is done, also if an array was left out."""
        if self._told != self._total:
            self._tell(self._total)

    def _tell(self, done: int) -> None:
        self._told = done
        self._report(done, self._total)


def size_of(data: Any) -> int:
    """Return the number of bytes of array-like data in memory."""
    return int(math.prod(data.shape)) * int(data.dtype.itemsize)


def _bar(label: str) -> _Line:
    for kind in (_Tqdm, _Rich):
        try:
            return kind(label)
        except ImportError:
            continue
    return _Line(label)


class _Line:
    """A line on stderr."""

    def __init__(self, label: str) -> None:
        self.label, self.shown = label, ""

    def update(self, done: int, total: int) -> None:
        share = 100 * done // total if total else 100
        text = f"\r{self.label}: {share:3d}% of {total / 1e6:,.1f} MB"
        if text != self.shown:
            self.shown = text
            sys.stderr.write(text)
            sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\n" if self.shown else "")


class _Tqdm(_Line):
    """A bar of tqdm."""

    def __init__(self, label: str) -> None:
        from tqdm.auto import tqdm

        super().__init__(label)
        self.bar = tqdm(desc=label, unit="B", unit_scale=True, leave=True)

    def update(self, done: int, total: int) -> None:
        self.bar.total = total
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        self.bar.close()


class _Rich(_Line):
    """A bar of rich."""

    def __init__(self, label: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        super().__init__(label)
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
        self.bar = Progress(*columns, console=Console(stderr=True))
        self.task = self.bar.add_task(label, total=None)
        self.bar.start()

    def update(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)

    def close(self) -> None:
        self.bar.stop()
