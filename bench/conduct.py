"""Let the engines take turns.

Rules of this file:

* Each engine runs in a process of its own, new for each row, with one of all others waiting: A B C,
  A B C. So a machine that is busy for a while is busy for all of them.
* A worker whose check fails is asked for no time; the reason takes the place of the figures.
* A slow engine is repeated less often: once it has run for ``patience`` seconds in a row, twice is
  enough.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.table import Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.base import Row
    from bench.data import Workspace

ROOT = Path(__file__).parents[1]
ENOUGH = 2


class Child:
    """Be a worker seen from outside."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Start the process."""
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "bench.worker", *arguments]
        # What is imported is compiled once, as it is where a package was installed.
        env = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=env
        )

    def send(self, command: str) -> None:
        """Give a command."""
        try:
            print(command, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return  # The answer will say how the process ended.

    def answer(self) -> dict[str, Any]:
        """Wait for the answer; a process that has died is an answer, too."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            return {"wrong": f"the process ended with {self.process.wait()}"}
        said: dict[str, Any] = json.loads(line)
        return said

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for the answer."""
        self.send(command)
        return self.answer()

    def close(self) -> None:
        """Tell the process to end."""
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def end(self) -> None:
        """Wait until the process has ended."""
        self.close()
        if self.process.stdout:
            self.process.stdout.close()
        self.process.wait()


class Conductor:
    """Hold what does not change from row to row, and what was learnt of the engines."""

    def __init__(
        self,
        engines: Sequence[str],
        work: Workspace,
        *,
        repeat: int,
        patience: float,
        child: Callable[[Sequence[str]], Child] = Child,
    ) -> None:
        """Take the engines in their order."""
        self.engines, self.work, self.child = list(engines), work, child
        self.repeat, self.patience = repeat, patience
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def row(self, row: Row) -> dict[str, Cell]:
        """Measure one row on all engines."""
        return self.peaks(row) if row.unit == "MiB" else self.times(row)

    def times(self, row: Row) -> dict[str, Cell]:
        """Check all engines, then time in turn those that passed."""
        cells: dict[str, Cell] = {}
        children: dict[str, Child] = {}
        spent: dict[str, float] = {}
        try:
            for name in self.engines:
                if name in self.missing:
                    cells[name] = Cell(reason=self.missing[name])
                    continue
                children[name] = self._start(name, row)
                children[name].send("check")
            # All check at the same time: nothing is timed until the last is done.
            for name, one in children.items():
                said = one.answer()
                cells[name] = self._judge(name, said)
                spent[name] = said.get("seconds", 0.0)
            for turn in range(self.repeat):
                for name, one in children.items():
                    cell = cells[name]
                    if cell.reason or (turn >= ENOUGH and spent[name] > self.patience):
                        continue
                    said = one.ask("time")
                    if "seconds" not in said:
                        cells[name] = self._judge(name, said)
                        continue
                    cell.figures.append(said["seconds"])
                    spent[name] += said["spent"]
        finally:
            for one in children.values():
                one.close()
            for one in children.values():
                one.end()
        return cells

    def peaks(self, row: Row) -> dict[str, Cell]:
        """Measure the first read of each engine, in a process of its own for each turn."""
        cells: dict[str, Cell] = {}
        for _ in range(min(self.repeat, ENOUGH)):
            for name in self.engines:
                if name in self.missing:
                    cells[name] = Cell(reason=self.missing[name])
                elif not cells.setdefault(name, Cell()).reason:
                    one = self._start(name, row)
                    said = one.ask("peak")
                    one.end()
                    if "MiB" in said:
                        cells[name].figures.append(said["MiB"])
                    else:
                        cells[name] = self._judge(name, said)
        return cells

    def _start(self, name: str, row: Row) -> Child:
        return self.child([name, row.name, str(self.work.root), str(self.work.size)])

    def _judge(self, name: str, said: dict[str, Any]) -> Cell:
        if "version" in said:
            self.versions[name] = said["version"]
            return Cell()
        if "missing" in said:
            self.missing[name] = said["missing"]
        reason = said.get("missing") or said.get("cannot") or said.get("wrong") or "no answer"
        return Cell(reason=reason, wrong="wrong" in said)
