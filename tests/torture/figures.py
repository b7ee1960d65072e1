"""The figures of the last runs, kept in the page beside this file.

A full run writes all of them anew. A run of some parts may replace those of its parts, so that what
there was no time for can be run alone; each line has the day and the minutes of its run.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from torture.frame import workers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torture.frame import Row

PAGE = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_HEAD = ("promise", "what", "fastzarr", "zarr-python", "goal", "kept", "run")


def before(page: str | None = None) -> dict[str, str]:
    """Return what fastzarr's figures were at the last runs, by what was tried."""
    return {what: line[2] for what, line in _lines(_text(page)).items()}


def write(
    rows: Iterable[Row], minutes: float, left: Iterable[str], parts: Iterable[str] | None = None
) -> None:
    """Write the figures of a run to the page.

    ``parts`` are the names of the parts that ran; the figures of others are kept. None is all.
    """
    PAGE.write_text(_written(_text(None), rows, minutes, left, parts))


def _text(page: str | None) -> str:
    return PAGE.read_text() if page is None else page


def _lines(page: str) -> dict[str, tuple[str, ...]]:
    """Return the lines of the table by what was tried."""
    found = {}
    for line in _block(page).splitlines():
        cells = tuple(cell.strip() for cell in line.strip("| ").split("|"))
        if len(cells) == len(_HEAD) and cells[0].isdigit():
            found[cells[1]] = cells
    return found


def _written(
    page: str,
    rows: Iterable[Row],
    minutes: float,
    left: Iterable[str],
    parts: Iterable[str] | None,
) -> str:
    used = "" if workers() == os.cpu_count() else f" {workers()} of them,"
    run = f"{dt.datetime.now(tz=dt.UTC).date()},{used} {minutes:g} minutes"
    lines = {} if parts is None else _lines(page)
    for r in rows:
        control = r.control or "cannot"
        lines[r.what] = (str(r.promise), r.what, r.ours, control, r.goal, r.verdict, run)
    kept = [] if parts is None else re.findall(r"(?m)^- ((?:\w+): .*)$", _block(page))
    mine = tuple(f"{part}: " for part in parts or ())
    notes = [*(line for line in kept if not line.startswith(mine)), *left]
    table = [f"| {' | '.join(line)} |" for line in (_HEAD, ("---",) * len(_HEAD), *lines.values())]
    lasts = [f"- {one}" for one in notes]
    text = "\n".join([f"{os.cpu_count()} processors.", "", *table, "", *lasts])
    return page.replace(_block(page), f"\n\n{text.rstrip()}\n\n", 1)


def _block(page: str) -> str:
    found = re.search(f"{BEGIN}(.*){END}", page, re.DOTALL)
    if not found:
        msg = f"no {BEGIN} and {END} in {PAGE}"
        raise ValueError(msg)
    return found[1]
