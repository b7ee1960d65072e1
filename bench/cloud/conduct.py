"""Start the servers, run the engines of each row in alternation, and read the proxy's log.

Rules of this file:

* Each engine runs in a new process for each row, one at a time; the processes alternate.
* The proxy's log is emptied before each run, so the requests of a run are those of the timed work.
* Once an engine has run for ``patience`` seconds in a row, two turns are enough.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cloud.data import Cloud
from bench.conduct import ENOUGH, Child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.cloud.rows import CloudRow


@dataclass(frozen=True)
class Run:
    """One run: its times in seconds, its requests by method, and the most that were under way."""

    seconds: float
    cpu: float
    requests: dict[str, int]
    peak: int
    received: int
    sent: int


@dataclass
class CloudCell:
    """The runs of one engine in one row, or the reason why there are none."""

    runs: list[Run] = field(default_factory=list)
    reason: str = ""
    wrong: bool = False

    @property
    def best(self) -> Run | None:
        """The run that took least, or None if there is a reason."""
        return (
            min(self.runs, key=lambda run: run.seconds) if self.runs and not self.reason else None
        )

    @property
    def least(self) -> float | None:
        """The minimum time, or None if there is a reason."""
        return self.best.seconds if self.best else None


@contextmanager
def servers(scale: int) -> Iterator[tuple[Cloud, Any]]:
    """Run the servers; return the bucket and the proxy before it.

    Raise ImportError or ``UnavailableError`` if this machine lacks a part.
    """
    from servers import proxy, s3

    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastzarr-bench-")))
        server = stack.enter_context(s3.running())
        before = stack.enter_context(proxy.running(server.host))
        options = {"region": s3.REGION, "access_key_id": s3.KEY, "secret_access_key": s3.SECRET}
        yield Cloud(root, s3.OPEN, server.url, before.url, options, scale), before


class CloudConductor:
    """The state of a run: its settings, and versions and absence of engines."""

    def __init__(
        self,
        engines: Sequence[str],
        cloud: Cloud,
        proxy: Any,
        *,
        repeat: int,
        patience: float,
        child: Callable[..., Child] = Child,
    ) -> None:
        """Initialise with the names of the engines, in the order of their turns."""
        self.engines, self.cloud, self.proxy, self.child = list(engines), cloud, proxy, child
        self.repeat, self.patience = repeat, patience
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.path = cloud.root / "cloud.json"
        cloud.save(self.path)
        self.prepared: set[str] = set()
        # So that the server takes no processor time from the engines, but for what they change.
        proxy.keep()

    def row(self, row: CloudRow) -> dict[str, CloudCell]:
        """Return the results of all engines in one row."""
        if row.data not in self.prepared:
            self.cloud.prepare(row.data)
            self.prepared.add(row.data)
        self.proxy.latency(row.latency / 1000)
        cells: dict[str, CloudCell] = {}
        children: dict[str, Child] = {}
        spent = dict.fromkeys(self.engines, 0.0)
        try:
            for name in self.engines:
                if name in self.missing:
                    cells[name] = CloudCell(reason=self.missing[name])
                    continue
                arguments = [name, row.name, str(self.path)]
                children[name] = self.child(arguments, "bench.cloud.worker")
                cells[name] = self._judge(name, children[name].ask("check"))
            for turn in range(self.repeat):
                for name, one in children.items():
                    cell = cells[name]
                    if cell.reason or (turn >= ENOUGH and spent[name] > self.patience):
                        continue
                    cells[name] = self._run(name, one, cell)
                    spent[name] += cell.runs[-1].seconds if cell.runs else 0
        finally:
            for one in children.values():
                one.close()
            for one in children.values():
                one.end()
        return cells

    def _run(self, name: str, one: Child, cell: CloudCell) -> CloudCell:
        said = one.ask("prepare")
        if said:
            return self._judge(name, said)
        self.proxy.forget()
        said = one.ask("run")
        if "seconds" not in said:
            return self._judge(name, said)
        log = self.proxy.log()
        cell.runs.append(
            Run(
                said["seconds"],
                said["cpu"],
                self.proxy.methods(),
                self.proxy.peak,
                sum(request.received for request in log),
                sum(request.sent for request in log),
            )
        )
        return cell

    def _judge(self, name: str, said: dict[str, Any]) -> CloudCell:
        if "version" in said:
            self.versions[name] = said["version"]
            return CloudCell()
        if "missing" in said:
            self.missing[name] = said["missing"]
            return CloudCell(reason=said["missing"])
        if "cannot" in said:
            return CloudCell(reason=said["cannot"])
        return CloudCell(reason=said.get("wrong", "no answer"), wrong=True)
