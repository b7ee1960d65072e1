"""Measure one row on one engine: ``python -m bench.worker ENGINE ROW FOLDER SIZE``.

The conductor gives commands, one a line, and gets a line of JSON for each:

* ``check`` runs the task once and compares its result. Nothing is timed unless this went well.
* ``time`` runs it some times and tells the least time of a run, and the time of all of them.
* ``peak`` tells how much memory the first run takes; its result is compared afterwards.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import memory
from bench.base import CannotError, MissingError, Task, WrongError
from bench.data import Workspace
from bench.engines import load

if TYPE_CHECKING:
    from bench.base import Engine, Row

QUESTIONS = (
    "read_whole",
    "write_whole",
    "small_reads",
    "selections",
    "small_writes",
    "durable",
    "hierarchy",
    "starting",
    "memory",
)
# A turn is some runs and some time, since a first run after others' finds their data in the caches;
# but no more than a second on the wall.
RUNS, SLICE, PATIENCE = 3, 0.05, 1.0


def rows() -> list[Row]:
    """Give the rows of all questions, in their order."""
    found: list[Row] = []
    for question in QUESTIONS:
        found += importlib.import_module(f"bench.{question}").ROWS
    return found


def once(task: Task) -> tuple[float, Any]:
    """Run a task once and give how long it took, and its result; nothing is tidied yet."""
    engine = task.engine
    engine.seconds = None
    task.prepare()
    start = time.perf_counter()
    result = task.run()
    took = time.perf_counter() - start
    return (took if engine.seconds is None else engine.seconds), result


class Worker:
    """Obey the conductor. A task that has not passed its check is not timed."""

    def __init__(self, task: Task) -> None:
        """Start with nothing checked."""
        self.task, self.checked = task, False

    def check(self) -> dict[str, Any]:
        """Run once and compare."""
        took, result = once(self.task)
        self.task.check(result)
        del result
        self.task.tidy()
        self.checked = True
        return {"seconds": took, "version": self.task.engine.version()}

    def time(self) -> dict[str, Any]:
        """Run for a while and give the least time."""
        if not self.checked:
            msg = "timed before it was checked"
            raise WrongError(msg)
        least, total, runs, start = float("inf"), 0.0, 0, time.perf_counter()
        while runs < RUNS or total < SLICE:
            seconds, result = once(self.task)
            # What the run has made is given back before the next one starts.
            del result
            self.task.tidy()
            least, total, runs = min(least, seconds), total + seconds, runs + 1
            if time.perf_counter() - start > PATIENCE:
                break
        return {"seconds": least, "spent": total}

    def peak(self) -> dict[str, Any]:
        """Run once and give the peak of memory above what was in use before."""
        try:
            memory.forget_peak()
            before = memory.peak()
        except OSError as error:
            msg = "this system does not tell the peak"
            raise CannotError(msg) from error
        _, result = once(self.task)
        taken = memory.peak() - before
        self.task.check(result)
        return {"MiB": taken, "version": self.task.engine.version()}


def answer(command: Any) -> dict[str, Any]:
    """Give what a command says, or why it says nothing."""
    try:
        said: dict[str, Any] = command()
    except MissingError as error:
        return {"missing": str(error)}
    except CannotError as error:
        return {"cannot": str(error)}
    except WrongError as error:
        return {"wrong": str(error)}
    except Exception as error:  # noqa: BLE001  (an engine may fail in any way, and then says so)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return {"wrong": text[:200]}
    return said


def main(name: str, row: str, root: str, size: str) -> None:
    """Make the task and obey the lines of the input."""
    warnings.simplefilter("ignore")
    # What an engine prints goes to the errors; the pipe is for the conductor alone.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    wanted = next(one for one in rows() if one.name == row)

    def start() -> dict[str, Any]:
        engine: Engine = load(name)
        if wanted.unit == "MiB" and name == "floor":
            msg = "not measured"
            raise CannotError(msg)
        worker.append(Worker(wanted.task(engine, Workspace(Path(root), int(size)))))
        return {}

    worker: list[Worker] = []
    said = answer(start)
    for line in sys.stdin:
        if worker:
            said = answer(getattr(worker[0], line.strip()))
        replies.write(json.dumps(said) + "\n")
        replies.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
