"""Run the engines of a row in alternation.

Rules of this file:

* Each engine runs in a new process for each row. The processes alternate, so that a temporary load
  on the machine affects all engines, and every other turn is in the reverse order, A B C, C B A, so
  that what an engine leaves behind, as files being deleted, does not always affect the same one.
* A worker whose check fails is not timed; the reason replaces its figures.
* A slow engine has fewer turns: once it has run for ``patience`` seconds, two are enough.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.engines import BY_DEFAULT
from bench.table import Cell, figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.base import Row
    from bench.data import Workspace

ROOT = Path(__file__).parents[1]
ENOUGH = 2


def progress(number: int, total: int, row: Any, cells: Mapping[str, Any], scale: float = 0) -> None:
    """Print the figures of a row as soon as they are there, and why there are none."""
    factor = scale or (1e3 if row.unit == "ms" else 1)
    said = [
        f"{name} {'WRONG' if cell.wrong else '-'} ({cell.reason})"
        if cell.reason
        else f"{name} {figure(None if cell.least is None else cell.least * factor)}"
        for name, cell in cells.items()
    ]
    print(f"{number}/{total} {row.name}: {', '.join(said)}", file=sys.stderr, flush=True)


class Child:
    """A worker process."""

    def __init__(
        self,
        arguments: Sequence[str],
        module: str = "bench.worker",
        changes: Mapping[str, str] | None = None,
    ) -> None:
        """Start the process, with changes of its environment."""
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", module, *arguments]
        # Modules are compiled once and cached, as in an installed package.
        env = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
        env |= changes or {}
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=env
        )

    def send(self, command: str) -> None:
        """Send a command."""
        try:
            print(command, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return  # `answer` reports how the process ended

    def answer(self) -> dict[str, Any]:
        """Return the reply to a command; if the process has died, a reply that says so."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            return {"wrong": f"the process ended with {self.process.wait()}"}
        said: dict[str, Any] = json.loads(line)
        return said

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and return its reply."""
        self.send(command)
        return self.answer()

    def close(self) -> None:
        """Close the input, which makes the process exit."""
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def end(self) -> None:
        """Close the process and wait for it to exit."""
        self.close()
        if self.process.stdout:
            self.process.stdout.close()
        self.process.wait()


class Conductor:
    """The state of a run of the benchmark: its settings, and versions and absence of engines."""

    def __init__(
        self,
        engines: Sequence[str],
        work: Workspace,
        *,
        repeat: int,
        patience: float,
        child: Callable[[Sequence[str]], Child] = Child,
    ) -> None:
        """Initialise with the names of the engines, in the order of their turns."""
        self.engines, self.work, self.child = list(engines), work, child
        self.repeat, self.patience = repeat, patience
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def row(self, row: Row) -> dict[str, Cell]:
        """Return the results of all engines in one row."""
        return self.peaks(row) if row.unit == "MiB" else self.times(row)

    def times(self, row: Row) -> dict[str, Cell]:
        """Check all engines, then time in alternation those that passed."""
        cells: dict[str, Cell] = {}
        children: dict[str, Child] = {}
        spent: dict[str, float] = {}
        try:
            for name in self._names(row):
                if name in self.missing:
                    cells[name] = Cell(reason=self.missing[name])
                    continue
                children[name] = self._start(name, row)
                children[name].send("check")
            # The checks run concurrently; timing starts only after the last has finished.
            for name, one in children.items():
                said = one.answer()
                cells[name] = self._judge(name, said)
                spent[name] = said.get("seconds", 0.0)
            for turn in range(self.repeat):
                for name in list(children)[:: -1 if turn % 2 else 1]:
                    cell, one = cells[name], children[name]
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
        """Measure the first read of each engine, in a new process for each turn."""
        cells: dict[str, Cell] = {}
        for _ in range(min(self.repeat, ENOUGH)):
            for name in self._names(row):
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

    def _names(self, row: Row) -> list[str]:
        default = row.durability == "default"
        return [name for name in self.engines if default or name not in BY_DEFAULT]

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
