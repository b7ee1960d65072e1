"""Turn what was measured into minima, ratios and text. Nothing here measures anything."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.engines import ENGINES, PEERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Row

OURS, FLOOR = "fastzarr", "floor"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass
class Cell:
    """Hold what one engine did in one row: its figures, or why there are none."""

    figures: list[float] = field(default_factory=list)
    reason: str = ""
    wrong: bool = False

    @property
    def least(self) -> float | None:
        """Give the least figure; None where there is a reason."""
        return min(self.figures) if self.figures and not self.reason else None


def fastest_peer(cells: Mapping[str, Cell]) -> str | None:
    """Name the peer with the least figure."""
    found = {name: cells[name].least for name in PEERS if name in cells}
    least = {name: figure for name, figure in found.items() if figure is not None}
    return min(least, key=lambda name: least[name]) if least else None


def ratio(cells: Mapping[str, Cell], other: str | None) -> float | None:
    """Give our least figure over that of another engine; above one, we are slower."""
    ours, theirs = cells.get(OURS, Cell()).least, cells.get(other or "", Cell()).least
    return ours / theirs if ours is not None and theirs else None


def figure(value: float | None) -> str:
    """Write three digits."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


class Notes:
    """Number the reasons that stand below a table."""

    def __init__(self) -> None:
        """Start with none."""
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        """Give the mark of a reason, the same for the same reason."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"

    def lines(self) -> list[str]:
        """Give one line a reason."""
        return [f"{number}. {text}" for number, text in enumerate(self.texts, 1)]


def cell_text(name: str, cell: Cell | None, scale: float, notes: Notes) -> str:
    """Write a figure, or what stands in its place."""
    if cell is None:
        return "-"
    if cell.reason:
        return ("wrong " if cell.wrong else "- ") + notes.mark(f"{name}: {cell.reason}")
    return "-" if cell.least is None else figure(cell.least * scale)


def times(rows: Sequence[Row], results: Mapping[str, Mapping[str, Cell]]) -> str:
    """Write the table of times, in milliseconds."""
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
    """Write the table of memory, in MiB."""
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
    """Write a table in Markdown, its columns aligned for readers of plain text."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]

    def line(texts: Sequence[str]) -> str:
        first = texts[0].ljust(widths[0])
        rest = [text.rjust(width) for text, width in zip(texts[1:], widths[1:], strict=True)]
        return "| " + " | ".join([first, *rest]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [line(head), line(rule), *map(line, lines)]


def between(page: str, text: str) -> str:
    """Put a text between the markers of a page."""
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    if not re.search(pattern, page, re.DOTALL):
        msg = f"no {BEGIN} and {END} in the page"
        raise ValueError(msg)
    block = f"{BEGIN}\n\n{text}\n\n{END}"
    return re.sub(pattern, lambda _: block, page, count=1, flags=re.DOTALL)
