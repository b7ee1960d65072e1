"""The figures of the last full run, kept in the page beside this file."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING

from torture.frame import workers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torture.frame import Row

PAGE = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_HEAD = ("promise", "what", "fastzarr", "zarr-python", "goal", "kept")


def before(page: str | None = None) -> dict[str, str]:
    """Return what fastzarr's figures were at the last full run, by what was tried."""
    found = {}
    for line in _block(PAGE.read_text() if page is None else page).splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == len(_HEAD) and cells[0].isdigit():
            found[cells[1]] = cells[2]
    return found


def write(rows: Iterable[Row], minutes: float, left: Iterable[str]) -> None:
    """Write the figures of a full run to the page."""
    PAGE.write_text(_written(PAGE.read_text(), rows, minutes, left))


def _written(page: str, rows: Iterable[Row], minutes: float, left: Iterable[str]) -> str:
    today = dt.datetime.now(tz=dt.UTC).date()
    lines = [
        (str(r.promise), r.what, r.ours, r.control or "cannot", r.goal, r.verdict) for r in rows
    ]
    table = [f"| {' | '.join(line)} |" for line in (_HEAD, ("---",) * len(_HEAD), *lines)]
    said = f"{today}, {minutes:g} minutes, {workers()} processors."
    text = "\n".join([said, "", *table, "", *(f"- {line}" for line in left)]).rstrip()
    return page.replace(_block(page), f"\n\n{text}\n\n", 1)


def _block(page: str) -> str:
    found = re.search(f"{BEGIN}(.*){END}", page, re.DOTALL)
    if not found:
        msg = f"no {BEGIN} and {END} in {PAGE}"
        raise ValueError(msg)
    return found[1]
