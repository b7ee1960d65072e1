"""Interrupts at chosen points of a call, and calls by another thread after them."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import fastzarr as zarr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SOURCE = str(Path(zarr.__file__).parent)


class Interrupt:
    """Raises KeyboardInterrupt, or another error, where Python looks for signals, at one point.

    Only points in files of the package whose paths contain one of ``files`` are counted.
    """

    def __init__(
        self,
        point: int,
        files: tuple[str, ...] = ("",),
        error: type[BaseException] = KeyboardInterrupt,
    ) -> None:
        self.point = point
        self.error = error
        self.left = point
        self.files = files

    @contextmanager
    def during(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(before)

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event not in ("call", "c_return"):
            return
        # Not by a generator, in which an interrupt could be swallowed.
        own = name.startswith(_SOURCE) and bool([part for part in self.files if part in name])
        if own or name == threading.__file__:
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                raise self.error


def elsewhere(call: Callable[[], object]) -> None:
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(call() is None), daemon=True)
    thread.start()
    thread.join(60)
    assert done == [True]
