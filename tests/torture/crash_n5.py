"""The proofs of ``crash.py`` for nodes of N5, in folders with a name that says so.

The fill value of N5 is 0, so that a block that is lost reads as one that was never written.

    python -m torture.crash_n5 fastzarr --cases 'n5/append/native' --at 12
"""

from __future__ import annotations

import itertools
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from torture import model
from torture.frame import run_jobs, summary, workers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torture.frame import Budget, Row


def prove(budget: Budget, seed: int) -> Iterable[Row]:
    """Try some points of all cases, and then all points, by processes of their own."""
    from torture.crash import told

    parts = workers() * 4
    jobs = [
        [
            *("torture.crash_n5", "fastzarr", "--part", f"{part}/{parts}", "--seed", str(seed)),
            *("--every", str(every), "--but", str(but), "--json"),
        ]
        for (every, but), part in itertools.product(((10, 0), (1, 10)), range(parts))
    ]
    # zarr-python 3 has no N5.
    results = run_jobs(jobs, budget)
    return [summary(2, "kill -9, nodes of N5", results, 200, told, controlled=False)]


def main() -> int:
    """Try cases from the command line."""
    model.FILL = 0
    model.SUFFIX = ".n5"
    model.VARIANTS = {"n5": model.Variant("n5", "n5")}
    return int(import_module("torture.crash").main())


if __name__ == "__main__":
    sys.exit(main())
