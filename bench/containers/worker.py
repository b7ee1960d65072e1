"""Measure one row: ``python -m bench.containers.worker ENGINE ROW FOLDER SCALE PORT``.

The commands are those of ``bench.worker``; ``peak`` reports the size of the store instead.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.containers.engines import load
from bench.containers.rows import ROWS, Container
from bench.worker import Worker, serve


class ContainerWorker(Worker):
    """Executes the commands of the conductor; the task of a size is a ``Size``."""

    task: Any

    def peak(self) -> dict[str, Any]:
        """Run once, compare the result, and return the size of the store."""
        self.task.check(self.task.run())
        return {"MiB": self.task.size(), "version": self.task.engine.version()}


def main(name: str, row: str, folder: str, scale: str, port: str) -> None:
    """Create the task and execute the commands on standard input."""
    wanted = next(one for one in ROWS if one.name == row)

    def start() -> ContainerWorker:
        place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        container = Container(wanted.kind, wanted.data, place, int(port), int(scale))
        engine = load(name)
        engine.use(wanted.durability)
        return ContainerWorker(wanted.task(engine, container))

    serve(start)


if __name__ == "__main__":
    main(*sys.argv[1:])
