"""Measure one row on one engine: ``python -m bench.worker ENGINE ROW FOLDER SIZE``.

The conductor sends commands, one on each line; the worker replies to each with a line of JSON:

* ``check`` runs the task once and compares its result. A task is not timed unless this succeeds.
* ``time`` runs it several times, and reports the minimum and the total time.
* ``peak`` reports the memory used by the first run, whose result is compared afterwards.
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
    from collections.abc import Callable, Iterable

    from bench.base import Engine, Row

# The files of the rows, by the group in which they are measured.
QUESTIONS = {
    "read": ("read_whole",),
    "write": ("write_whole",),
    "codecs": ("elements",),
    "parts": ("small_reads", "selections"),
    "changes": ("small_writes", "durable"),
    "default": ("by_default",),
    "nodes": ("hierarchy", "starting"),
    "memory": ("memory",),
}
# A turn has at least RUNS runs and SLICE seconds, because the first run after another engine's
# finds foreign data in the CPU caches; but it stops after PATIENCE seconds.
RUNS, SLICE, PATIENCE = 3, 0.05, 1.0


def rows(groups: Iterable[str] = QUESTIONS) -> list[Row]:
    """Return the rows of some groups, of all if none are named, in order."""
    found: list[Row] = []
    for group in groups:
        for question in QUESTIONS[group]:
            found += importlib.import_module(f"bench.{question}").ROWS
    return found


def once(task: Task) -> tuple[float, Any]:
    """Run a task once, and return its time and its result; ``tidy`` is left to the caller."""
    engine = task.engine
    engine.seconds = None
    task.prepare()
    start = time.perf_counter()
    result = task.run()
    took = time.perf_counter() - start
    return (took if engine.seconds is None else engine.seconds), result


class Worker:
    """Executes the commands of the conductor; a task must pass its check before it is timed."""

    def __init__(self, task: Task) -> None:
        """Initialise with a task that has not been checked."""
        self.task, self.checked = task, False

    def check(self) -> dict[str, Any]:
        """Run once and check the result."""
        took, result = once(self.task)
        self.task.check(result)
        del result
        self.task.tidy()
        self.checked = True
        return {"seconds": took, "version": self.task.engine.version()}

    def time(self) -> dict[str, Any]:
        """Run one turn, and return the minimum and the total time."""
        if not self.checked:
            msg = "timed before it was checked"
            raise WrongError(msg)
        least, total, runs, start = float("inf"), 0.0, 0, time.perf_counter()
        while runs < RUNS or total < SLICE:
            seconds, result = once(self.task)
            # The result is freed before the next run starts.
            del result
            self.task.tidy()
            least, total, runs = min(least, seconds), total + seconds, runs + 1
            if time.perf_counter() - start > PATIENCE:
                break
        return {"seconds": least, "spent": total}

    def peak(self) -> dict[str, Any]:
        """Run once, and return the peak of memory above the memory in use before."""
        try:
            memory.forget_peak()
            before = memory.peak()
        except OSError as error:
            msg = "this system does not report peak memory"
            raise CannotError(msg) from error
        _, result = once(self.task)
        taken = memory.peak() - before
        self.task.check(result)
        return {"MiB": taken, "version": self.task.engine.version()}


def answer(command: Any) -> dict[str, Any]:
    """Return the reply of a command, or the reason why it failed."""
    try:
        said: dict[str, Any] = command()
    except MissingError as error:
        return {"missing": str(error)}
    except CannotError as error:
        return {"cannot": str(error)}
    except WrongError as error:
        return {"wrong": str(error)}
    except Exception as error:  # noqa: BLE001  (an engine may raise anything)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return {"wrong": text[:200]}
    return said


def serve(start: Callable[[], Any]) -> None:
    """Make a worker and execute the commands on standard input."""
    warnings.simplefilter("ignore")
    # Output of an engine is redirected to stderr, because the pipe is for replies only.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker: list[Any] = []

    def begin() -> dict[str, Any]:
        worker.append(start())
        return {}

    said = answer(begin)
    for line in sys.stdin:
        if worker:
            said = answer(getattr(worker[0], line.strip()))
        replies.write(json.dumps(said) + "\n")
        replies.flush()


def main(name: str, row: str, root: str, size: str) -> None:
    """Create the task and execute the commands on standard input."""
    wanted = next(one for one in rows() if one.name == row)

    def start() -> Worker:
        engine: Engine = load(name)
        if wanted.unit == "MiB" and name == "floor":
            msg = "not measured"
            raise CannotError(msg)
        engine.use(wanted.durability)
        return Worker(wanted.task(engine, Workspace(Path(root), int(size))))

    serve(start)


if __name__ == "__main__":
    main(*sys.argv[1:])
