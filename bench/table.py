"""Convert measurements into minima, ratios and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.engines import ENGINES, PEERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Row

OURS, FLOOR = "fastzarr", "floor"


@dataclass
class Cell:
    """The result of one engine in one row: its figures, or the reason why there are none."""

    figures: list[float] = field(default_factory=list)
    reason: str = ""
    wrong: bool = False

    @property
    def least(self) -> float | None:
        """The minimum figure, or None if there is a reason."""
        return min(self.figures) if self.figures and not self.reason else None


def fastest_peer(cells: Mapping[str, Cell]) -> str | None:
    """Return the name of the peer with the minimum figure, or None if there is none."""
    found = {name: cells[name].least for name in PEERS if name in cells}
    least = {name: figure for name, figure in found.items() if figure is not None}
    return min(least, key=lambda name: least[name]) if least else None


def ratio(cells: Mapping[str, Cell], other: str | None) -> float | None:
    """Return fastzarr's minimum figure divided by that of another engine, or None if missing."""
    ours, theirs = cells.get(OURS, Cell()).least, cells.get(other or "", Cell()).least
    return ours / theirs if ours is not None and theirs else None


def figure(value: float | None) -> str:
    """Return a figure with three significant digits."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


class Notes:
    """The numbered footnotes of a table."""

    def __init__(self) -> None:
        """Initialise without notes."""
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        """Return the mark of a note; equal notes share a mark."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"

    def lines(self) -> list[str]:
        """Return one line for each note."""
        return [f"{number}. {text}" for number, text in enumerate(self.texts, 1)]


def cell_text(name: str, cell: Cell | None, scale: float, notes: Notes) -> str:
    """Return a figure as text, or the mark of the reason why there is none."""
    if cell is None:
        return "-"
    if cell.reason:
        return ("wrong " if cell.wrong else "- ") + notes.mark(f"{name}: {cell.reason}")
    return "-" if cell.least is None else figure(cell.least * scale)


def times(rows: Sequence[Row], results: Mapping[str, Mapping[str, Cell]]) -> str:
    """Return the table of times in milliseconds."""
    engines = [name for name in ENGINES if any(name in results[row.name] for row in rows)]
    notes = Notes()
    head = ["milliseconds", *engines, "fastest peer", "ours / peer", "ours / floor"]
    lines = []
    for row in rows:
        cells = results[row.name]
        peer = fastest_peer(cells)
        ratios = [figure(ratio(cells, peer)), figure(ratio(cells, FLOOR))]
        texts = [cell_text(name, cells.get(name), 1e3, notes) for name in engines]
        lines.append([row.title, *texts, peer or "-", *ratios])
    return "\n".join([*grid(head, lines), "", *notes.lines()]).rstrip()


def peaks(
    rows: Sequence[Row], results: Mapping[str, Mapping[str, Cell]], limits: Mapping[str, float]
) -> str:
    """Return the table of peak memory in MiB."""
    engines = [name for name in ENGINES if any(name in results[row.name] for row in rows)]
    notes = Notes()
    lines = []
    for row in rows:
        cells, limit = results[row.name], limits[row.name]
        ours = cells.get(OURS, Cell()).least
        verdict = "-" if ours is None else "yes" if ours <= limit else "no"
        texts = [cell_text(name, cells.get(name), 1, notes) for name in engines]
        lines.append([row.title, *texts, figure(limit), verdict])
    head = ["MiB", *engines, "limit", "ours within"]
    return "\n".join([*grid(head, lines), "", *notes.lines()]).rstrip()


def grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]

    def line(texts: Sequence[str]) -> str:
        first = texts[0].ljust(widths[0])
        rest = [text.rjust(width) for text, width in zip(texts[1:], widths[1:], strict=True)]
        return "| " + " | ".join([first, *rest]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [line(head), line(rule), *map(line, lines)]
