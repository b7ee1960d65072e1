"""Other processes that run a few lines of Python, and wait for a line where they read one."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Other(NamedTuple):
    """Another process of this interpreter."""

    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def hear(self) -> str:
        """Return the next line that the process prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def tell(self) -> None:
        """Let the process read a line, which is empty."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def talking(code: str, *arguments: object) -> Iterator[Other]:
    """Run code with arguments in another process, which has ended at the end of the block."""
    command = [sys.executable, "-u", "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:  # noqa: S603
        yield Other(process)
