"""A longer run of the state machine of ``test_stateful.py``: any operations in any order."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from torture.frame import ROOT, Row, environment

if TYPE_CHECKING:
    from torture.frame import Budget

STEPS = 50
GOAL = 500


def prove(budget: Budget, seed: int) -> list[Row]:
    """Run 500 examples of 50 steps, or as many as the time is expected to allow."""
    examples = max(20, min(GOAL, round(budget.seconds * 4)))
    command = [sys.executable, "-m", "pytest", "-q", f"--hypothesis-seed={seed}"]
    ended = subprocess.run(
        [*command, "tests/test_stateful.py"],
        cwd=ROOT,
        env=environment() | {"STATEFUL_EXAMPLES": str(examples), "STATEFUL_STEPS": str(STEPS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    failed = ended.returncode != 0
    return [
        Row(
            promise=13,
            what=f"runs of up to {STEPS} steps of anything in any order, beside NumPy",
            ours=f"{int(failed)} bad of {examples}",
            control="",
            goal=f"0 of {GOAL}",
            kept=not failed and examples >= GOAL,
            bad=(os.linesep.join(ended.stdout.splitlines()[-40:]),) if failed else (),
            few=not failed and examples < GOAL,
        )
    ]
