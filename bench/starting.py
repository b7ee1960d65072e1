"""How long does it take to start: to import the library, and to read a first element?

Both are measured by a new interpreter before it imports anything else. Work that an engine defers
until first use is not in the first row, but in the second. That interpreter runs this file:
``python -m bench.starting ENGINE FOLDER SIZE LAYOUT``.
"""

from __future__ import annotations

import time

_START = time.perf_counter()

import os  # noqa: E402  (the clock starts first)
import subprocess  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from bench.base import CannotError, Row, Task, WrongError  # noqa: E402

if TYPE_CHECKING:
    from bench.base import Engine
    from bench.data import Workspace

LAYOUT = "blosc64"
_IMPORT = "import time; s = time.perf_counter(); import {}; print(time.perf_counter() - s, 0)"


class Import(Task):
    """Import the library, and thereby NumPy, in a new interpreter."""

    def __init__(self, engine: Engine, work: Workspace) -> None:
        """Prepare the command to run."""
        super().__init__(engine, work)
        if engine.import_as:
            raise CannotError(engine.import_as)
        self.command = ["-c", _IMPORT.format(engine.module)]
        self.expected = 0.0

    def run(self) -> Any:
        """Start an interpreter, which measures the time itself."""
        command = [sys.executable, *self.command]
        # The first run, which is not timed, compiles the modules as installing a package does.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        seconds, value = done.stdout.split()
        self.engine.seconds = float(seconds)
        return float(value)

    def check(self, result: Any) -> None:
        """Compare the element that was read."""
        if result != self.expected:
            msg = f"{result}, expected {self.expected}"
            raise WrongError(msg)


class FirstElement(Import):
    """Import the library, open an array and read an element, in a new interpreter."""

    def __init__(self, engine: Engine, work: Workspace) -> None:
        """Prepare the command to run."""
        Task.__init__(self, engine, work)
        if engine.name == "floor":
            raise CannotError(engine.import_as)
        arguments = [engine.name, str(work.root), str(work.size), LAYOUT]
        self.command = ["-m", "bench.starting", *arguments]
        self.expected = float(work.expected[1, 2, 3])


def main(name: str, root: str, size: str, layout: str) -> None:
    """Read one element, and print the time since the start of this file, and the element."""
    from bench.data import Workspace
    from bench.engines import load

    engine = load(name)
    found = engine.read(engine.open(Workspace(Path(root), int(size)).place(layout)), (1, 2, 3))
    print(time.perf_counter() - _START, float(found.reshape(())[()]))


ROWS = [
    Row("import", "import in a fresh interpreter", Import),
    Row(
        "first",
        "import, open and read one element in a fresh interpreter: 64³, blosc-lz4-shuffle",
        FirstElement,
        LAYOUT,
    ),
]

if __name__ == "__main__":
    main(*sys.argv[1:])
