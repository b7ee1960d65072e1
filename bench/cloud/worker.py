"""Run one row on one engine: ``python -m bench.cloud.worker ENGINE ROW CLOUD``.

The conductor sends commands, one on each line; the worker replies to each with a line of JSON:

* ``check`` runs the work once and compares its result.
* ``prepare`` does what is neither timed nor counted; ``run`` follows, and reports the time and the
  processor time of one run. Only work that has been checked is timed.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.base import WrongError
from bench.cloud.data import Cloud
from bench.cloud.engines import load
from bench.cloud.rows import ROWS
from bench.worker import serve

if TYPE_CHECKING:
    from bench.cloud.rows import Work


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Worker:
    """Executes the commands of the conductor."""

    def __init__(self, work: Work) -> None:
        """Initialise with work that has not been checked."""
        self.work, self.checked = work, False

    def check(self) -> dict[str, Any]:
        """Run once and check the result."""
        self.work.prepare()
        self.work.check(self.work.run())
        self.checked = True
        return {"version": self.work.engine.version()}

    def prepare(self) -> dict[str, Any]:
        """Prepare a run."""
        self.work.prepare()
        return {}

    def run(self) -> dict[str, Any]:
        """Run once, and return the time and the processor time."""
        if not self.checked:
            msg = "timed before it was checked"
            raise WrongError(msg)
        cpu, start = _cpu(), time.perf_counter()
        result = self.work.run()
        took, used = time.perf_counter() - start, _cpu() - cpu
        del result
        return {"seconds": took, "cpu": used}


def main(name: str, row: str, path: str) -> None:
    """Create the work and execute the commands on standard input."""
    wanted = next(one for one in ROWS if one.name == row)
    serve(lambda: Worker(wanted.work(load(name), Cloud.load(path), wanted.data)))


if __name__ == "__main__":
    main(*sys.argv[1:])
