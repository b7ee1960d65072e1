"""The framework of the proofs: parts that return rows, parallel jobs, and the final table.

Rules of this file:

* ``PARTS`` lists each part with its promise, its share of the time, and its function. The function
  takes a ``Budget`` and a seed and returns rows. It must leave no threads behind, because later
  parts fork.
* A row states what was tried, how often fastzarr and zarr-python failed, and whether that meets the
  promise. The control must fail, because otherwise the proof shows nothing.
* Each failure comes with the command to reproduce it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[2]


class Row(NamedTuple):
    """One line of the table."""

    promise: int
    what: str
    """What was tried."""
    ours: str
    """How it went here, such as "0 bad of 2,140"."""
    control: str
    """How it went with zarr-python; "" if it cannot do this."""
    goal: str
    kept: bool
    """Whether the goal was met, and the control failed as it must."""
    bad: tuple[str, ...] = ()
    """What went wrong here, each with the command that shows it again."""
    few: bool = False
    """Whether the goal was missed only because there was no time to try so many."""

    @property
    def verdict(self) -> str:
        """The last column of the table."""
        return "yes" if self.kept else "too few" if self.few else "NO"


class Budget:
    """The time that a part may take; work that is not done by then is skipped and reported."""

    def __init__(self, seconds: float) -> None:
        """Start the clock."""
        self.seconds = seconds
        self.undone = 0
        """How many jobs there was no time for."""
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the remaining seconds, or 0."""
        return max(0.0, self._end - time.monotonic())


class Part(NamedTuple):
    """One proof; ``function`` is "module:name" of a function of a budget and a seed."""

    name: str
    promise: str
    share: int
    function: str

    def run(self, budget: Budget, seed: int) -> Iterable[Row]:
        """Import the function and call it."""
        module, _, name = self.function.partition(":")
        function: Callable[[Budget, int], Iterable[Row]] = getattr(import_module(module), name)
        return function(budget, seed)


#: The minutes of a full run.
FULL = 14.5

#: The parts that ``make torture`` runs, in order. The shares divide the time: of a full run, they
#: are the seconds in which a part that counts reaches its goal on a slow machine.
PARTS = [
    Part("contention", "9, 11", 52, "torture.contention:prove"),
    Part("cloud", "2, 9, 11", 180, "torture.cloud:prove"),
    Part("databases", "9, 11", 90, "torture.databases:prove"),
    Part("synchronizers", "9", 16, "torture.synchronizers:prove"),
    Part("stale", "10", 12, "torture.stale:prove"),
    Part("linear", "12", 34, "torture.linear:prove"),
    Part("stateful", "13", 125, "torture.stateful:prove"),
    Part("power", "3, 4", 80, "torture.power:prove"),
    Part("interrupts", "15", 65, "torture.interrupts:prove"),
    Part("forks", "16", 80, "torture.forks:prove"),
    Part("archives", "9, 19", 40, "torture.archives:prove"),
    Part("embedded", "19", 60, "torture.embedded:prove"),
    Part("outages", "4", 40, "torture.outages:prove"),
    Part("restarts", "19", 60, "torture.restarts:prove"),
    # Parts that use all the time they are given come last, and get the time that others left.
    Part("transactions", "2", 80, "torture.transactions:prove"),
    Part("recoveries", "2", 60, "torture.recoveries:prove"),
    Part("pairs", "9", 100, "torture.pairs:prove"),
    Part("starve", "6", 30, "torture.starve:prove"),
    Part("faults", "6", 68, "torture.faults:prove"),
    Part("n5", "2", 40, "torture.crash_n5:prove"),
    Part("crash", "1, 2", 68, "torture.crash:prove"),
]


def workers() -> int:
    """Return the number of processors available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(jobs: Sequence[Sequence[str]], budget: Budget | None = None) -> list[dict[str, Any]]:
    """Run ``python -m ...`` for each job, as many at once as there are processors.

    Return the lines of JSON that they printed, in the order of the jobs. Raise if a job fails, with
    its standard error. At the end of the budget no more jobs are started and running ones are
    terminated; the lines that they have printed are included.
    """
    running: list[tuple[int, subprocess.Popen[bytes], Any, Any]] = []
    waiting = [*enumerate(jobs)]
    found: dict[int, list[dict[str, Any]]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers() and (budget is None or budget.left):
                number, job = waiting.pop(0)
                out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
                command = [sys.executable, "-m", *job]
                process = subprocess.Popen(
                    command, stdout=out, stderr=err, env=environment(), cwd=ROOT
                )
                running.append((number, process, out, err))
            if not running:
                break
            time.sleep(0.02)
            late = budget is not None and not budget.left
            for entry in [entry for entry in running if late or entry[1].poll() is not None]:
                running.remove(entry)
                number, process, out, err = entry
                ended = process.poll() is not None
                if not ended:
                    waiting.append((number, jobs[number]))
                    process.terminate()
                    process.wait()
                with out, err:
                    out.seek(0), err.seek(0)
                    if process.returncode and ended:
                        said = err.read().decode(errors="replace")
                        msg = f"{' '.join(jobs[number])} ended with {process.returncode}:\n{said}"
                        raise RuntimeError(msg)
                    found[number] = [json.loads(line) for line in out if line.endswith(b"\n")]
    finally:
        for _, process, out, err in running:
            process.kill()
            process.wait()
            out.close()
            err.close()
    if budget is not None:
        budget.undone += len(waiting)
    return [line for number in sorted(found) for line in found[number]]


def summary(
    promise: int,
    what: str,
    results: list[dict[str, Any]],
    least: int,
    words: Callable[[dict[str, Any]], Iterable[str]],
    note: str = "",
    *,
    controlled: bool = True,
) -> Row:
    """Return a row for the results of jobs; the promise is kept if nothing failed of enough points.

    A result has the members ``lib``, ``points`` and ``bad``, a list; ``all``, if there, is how many
    points its case or pair has. ``words`` formats a result's failures. Without ``controlled``,
    zarr-python cannot do this.
    """
    ours = [result for result in results if result["lib"] == "fastzarr"]
    control = [result for result in results if result["lib"] != "fastzarr"]
    bad = sum(len(result["bad"]) for result in ours)
    worse = sum(len(result["bad"]) for result in control)
    points = sum(result["points"] for result in ours)
    # A case may have several results.
    sizes = {str(r.get("case") or r.get("pair")): r["all"] for r in ours if "all" in r}
    notes = [f"of {sum(sizes.values()):,} in all"] if sizes else []
    notes += [note] if note else []
    good = bad == 0 and (worse > 0 or not controlled)
    return Row(
        promise,
        what,
        f"{bad} bad of {points:,}" + (f" ({', '.join(notes)})" if notes else ""),
        f"{worse} bad of {sum(result['points'] for result in control):,}" if controlled else "",
        f"0 bad of {least:,}",
        points >= least and good,
        tuple(text for result in ours for text in words(result)),
        points < least and good,
    )


def print_points(points: Iterable[tuple[str, str | None]]) -> None:
    """Print the result of a job of fastzarr, in JSON: its points by name, and what is wrong."""
    found = list(points)
    bad = [point for point in found if point[1]]
    print(json.dumps({"lib": "fastzarr", "points": len(found), "bad": bad}))


def told(result: dict[str, Any]) -> list[str]:
    """Return the failures of a result, each of which is a name and what is wrong."""
    return [f"{name}: {why}" for name, why in result["bad"]]


def environment() -> dict[str, str]:
    """Return the environment of a job, in which the proofs and this package can be imported."""
    paths = [str(ROOT / "tests"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def table(rows: Iterable[Row], before: Mapping[str, str]) -> str:
    """Return the rows in aligned columns, followed by the failures.

    ``before`` has what the last run found here.
    """
    rows = [*rows]
    head = ("promise", "what", "fastzarr", "at the last run", "zarr-python", "goal", "kept")
    lines = [head]
    for r in rows:
        old = before.get(r.what, "-")
        lines += [(str(r.promise), r.what, r.ours, old, r.control or "cannot", r.goal, r.verdict)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = ["  ".join(f"{c:{w}}" for c, w in zip(line, widths, strict=True)) for line in lines]
    shown.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([line.rstrip() for line in shown] + [text for row in rows for text in row.bad])
