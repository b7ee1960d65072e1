"""The groups in which rows are measured, and their places on the page.

Rules of this file:

* A group is measured as a whole, in minutes, and its tables replace the earlier ones at once. Each
  says when, and on what machine, it was measured. So the page is valid whatever was interrupted.
* The text around the tables is written by hand, and never changed.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import memory, report
from bench.cloud.engines import ENGINES as CLOUD_ENGINES
from bench.cloud.report import measure as measure_cloud
from bench.cloud.rows import ROWS as CLOUD_ROWS
from bench.containers import report as containers
from bench.containers.engines import ENGINES as CONTAINER_ENGINES
from bench.containers.rows import ROWS as CONTAINER_ROWS
from bench.engines import ENGINES
from bench.libraries import report as libraries
from bench.libraries.engines import ENGINES as LIBRARY_ENGINES
from bench.libraries.rows import ROWS as LIBRARY_ROWS
from bench.worker import QUESTIONS, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PAGE = Path(__file__).with_name("README.md")
ABSENT = "Not measured yet."


@dataclass(frozen=True)
class Group:
    """Rows that are measured together, how they are measured, and the engines that they have."""

    name: str
    rows: Sequence[Any]
    measure: Callable[..., tuple[str, bool]]
    engines: tuple[str, ...]

    @property
    def marks(self) -> tuple[str, str]:
        """The lines before and after the group's tables on the page."""
        return (f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->")


GROUPS = (
    *(Group(name, rows([name]), report.measure, tuple(ENGINES)) for name in QUESTIONS),
    Group("cloud", CLOUD_ROWS, measure_cloud, tuple(CLOUD_ENGINES)),
    Group("stores", CONTAINER_ROWS, containers.measure, tuple(CONTAINER_ENGINES)),
    Group("libraries", LIBRARY_ROWS, libraries.measure, tuple(LIBRARY_ENGINES)),
)


def machine() -> str:
    """Return a description of the machine in one line."""
    model = platform.processor() or platform.machine()
    known = Path("/proc/cpuinfo")
    if known.exists():
        found = re.search(r"model name\s*: (.*)", known.read_text())
        model = found[1] if found else model
    text = f"{memory.threads()} processors ({model}), {platform.system()} {platform.release()}"
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
        text += f", {size:.0f} GiB"
    return text


def environment() -> str:
    """Return when and where a group is measured, in one line."""
    today = dt.datetime.now(tz=dt.UTC).date()
    python = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return f"{today}, {machine()}, {python}."


def between(page: str, marks: tuple[str, str], text: str) -> str:
    """Return a page with the text between two marks replaced; raise ValueError without them."""
    begin, end = marks
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    if not re.search(pattern, page, re.DOTALL):
        msg = f"no {begin} and {end} in the page"
        raise ValueError(msg)
    block = f"{begin}\n\n{text}\n\n{end}"
    return re.sub(pattern, lambda _: block, page, count=1, flags=re.DOTALL)


def publish(group: Group, text: str, page: Path = PAGE) -> None:
    """Replace the group's tables on the page, in one step."""
    made = between(page.read_text(), group.marks, text)
    beside = page.with_name(f".{page.name}.new")
    try:
        beside.write_text(made)
        beside.replace(page)
    finally:
        beside.unlink(missing_ok=True)
