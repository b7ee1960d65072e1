"""The tables of the rows about object stores: times, and requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cloud.engines import ENGINES, PEERS
from bench.table import Notes, figure, grid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.cloud.conduct import CloudCell
    from bench.cloud.rows import CloudRow

    Results = Mapping[str, Mapping[str, CloudCell]]

OURS, FLOOR, DECODING = "fastzarr", "client", "decoding"
MIB = 1 << 20


def fastest_peer(cells: Mapping[str, CloudCell]) -> str | None:
    """Return the name of the peer with the minimum time, or None if there is none."""
    least = {name: cells[name].least for name in PEERS if name in cells}
    found = {name: time for name, time in least.items() if time is not None}
    return min(found, key=lambda name: found[name]) if found else None


def ratio(cells: Mapping[str, CloudCell], other: str | None, *, cpu: bool = False) -> str:
    """Return our time, or our processor time, divided by that of another engine."""
    ours, theirs = (cells[name].best if name in cells else None for name in (OURS, other or ""))
    if ours is None or theirs is None:
        return "-"
    above, below = (ours.cpu, theirs.cpu) if cpu else (ours.seconds, theirs.seconds)
    return figure(above / below) if below else "-"


def _title(row: CloudRow) -> str:
    return f"{row.title} ({row.latency} ms)"


def _cells(name: str, cells: Mapping[str, CloudCell], notes: Notes, text: Mapping[str, str]) -> str:
    cell = cells.get(name)
    if cell and cell.reason:
        return ("wrong " if cell.wrong else "- ") + notes.mark(f"{name}: {cell.reason}")
    return text.get(name, "-")


def times(rows: Sequence[CloudRow], results: Results) -> str:
    """Return the table of times in milliseconds, with processor times in brackets."""
    engines = [name for name in ENGINES if any(name in results[row.name] for row in rows)]
    notes = Notes()
    head = ["milliseconds (of a processor)", *engines, "fastest peer", "ours / peer"]
    head += ["ours / client", "processor: ours / decoding"]
    lines = []
    for row in rows:
        cells = results[row.name]
        best = {name: cell.best for name, cell in cells.items()}
        text = {
            name: f"{figure(run.seconds * 1e3)} ({figure(run.cpu * 1e3)})"
            for name, run in best.items()
            if run
        }
        peer = fastest_peer(cells)
        ratios = [ratio(cells, peer), ratio(cells, FLOOR), ratio(cells, DECODING, cpu=True)]
        texts = [_cells(name, cells, notes, text) for name in engines]
        lines.append([_title(row), *texts, peer or "-", *ratios])
    return "\n".join([*grid(head, lines), "", *notes.lines()]).rstrip()


def requests(rows: Sequence[CloudRow], results: Results) -> str:
    """Return the table of requests, the most under way at once, and the MiB transferred."""
    engines = [name for name in ENGINES if name != DECODING]
    engines = [name for name in engines if any(name in results[row.name] for row in rows)]
    lines = []
    for row in rows:
        texts = []
        for name in engines:
            cell = results[row.name].get(name)
            run = cell.best if cell else None
            if run is None:
                texts.append("-")
                continue
            count = sum(run.requests.values())
            heads = run.requests.get("HEAD", 0)
            named = f"{count} ({heads} HEAD)" if heads else str(count)
            moved = figure((run.received + run.sent) / MIB)
            texts.append(f"{named}, {run.peak}, {moved}")
        lines.append([_title(row), *texts])
    return "\n".join(grid(["requests, most at once, MiB", *engines], lines))
