"""The page CONSUMERS.md: what passes, and why the rest does not."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING

from consumers.compared import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.compared import Compared

PAGE = Path(__file__).parents[2] / "CONSUMERS.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
HEAD = ("suite", "version", "zarr-python", "fastzarr", "", "run")


def write(results: Iterable[Compared], page: Path = PAGE) -> None:
    """Write the results of a run to the page, and keep those of suites that it left out."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = dict(re.findall(r"^(\| ([^|]+?) \|.*)$", old, re.MULTILINE))
    rows = {name: row for row, name in rows.items() if name not in (HEAD[0], "---")}
    parts = dict(re.findall(r"^### (.+?)\n\n(.*?)(?=^### |\Z)", old, re.MULTILINE | re.DOTALL))
    for result in results:
        if not result.unavailable:
            rows[result.suite] = _row(result)
            parts[result.suite] = _failures(result)
    table = [_line(HEAD), _line(["---", "---", "--:", "--:", "---", "---"]), *rows.values()]
    told = [f"### {suite}\n\n{parts[suite].strip()}\n" for suite in rows if parts.get(suite)]
    figures = "\n".join([*table, "", *told])
    page.write_text(f"{before}{BEGIN}\n{figures}{END}{after}")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(result: Compared) -> str:
    parts = [
        f"{count} {what}"
        for count, what in (
            (result.more, "pass with fastzarr alone"),
            (result.neither, "fail with both"),
        )
        if count
    ]
    day = dt.datetime.now(dt.UTC).date().isoformat()
    numbers = (f"{result.before:,}", f"{result.after:,}")
    return _line((result.suite, result.version, *numbers, ", ".join(parts), day))


def _failures(result: Compared) -> str:
    """Return a list of the reasons, each with its tests, and what passed at the second run."""
    reasons = {**result.failures}
    if result.unexplained:
        reasons["**No reason is known**"] = list(result.unexplained)
    told = sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    told += [
        (f"failed at first with {kind}, and passed when run once more", tests)
        for kind, tests in result.again.items()
        if tests
    ]
    return "\n".join(
        f"* {what}: {len(tests)}: {', '.join(f'`{name}`' for name in shortened(tests))}"
        for what, tests in told
    )
