"""Run the benchmark and print its tables; a full run also writes them to README.md."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import memory, table
from bench.cloud import rows as cloud_rows
from bench.cloud.engines import ENGINES as CLOUD_ENGINES
from bench.cloud.report import measure
from bench.conduct import Conductor
from bench.containers import report as containers
from bench.containers.engines import ENGINES as CONTAINER_ENGINES
from bench.containers.rows import ROWS as CONTAINER_ROWS
from bench.data import Workspace
from bench.engines import ENGINES
from bench.libraries import report as libraries
from bench.libraries.engines import ENGINES as LIBRARY_ENGINES
from bench.libraries.rows import ROWS as LIBRARY_ROWS
from bench.worker import rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Row

PAGE = Path(__file__).with_name("README.md")
SIZE, QUICK_SIZE = 256, 128
# A quick run divides the numbers of objects in object stores.
QUICK_SCALE = 10
_NAMES = tuple(dict.fromkeys((*ENGINES, *CLOUD_ENGINES, *CONTAINER_ENGINES, *LIBRARY_ENGINES)))


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", metavar="PATTERN", help="rows whose name matches, a regex")
    parser.add_argument("--engines", metavar="A,B", help="of " + ", ".join(_NAMES))
    parser.add_argument("--repeat", type=int, help="turns of each engine (7; 2 with --quick)")
    parser.add_argument("--patience", type=float, default=10, help="seconds before only 2 turns")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIZE}³ instead of {SIZE}³")
    parser.add_argument("--list", action="store_true", help="list the rows and exit")
    options = parser.parse_args(given)
    options.whole = not (options.rows or options.engines or options.quick)
    options.repeat = options.repeat or (2 if options.quick else 7)
    options.engines = options.engines.split(",") if options.engines else list(_NAMES)
    unknown = set(options.engines) - set(_NAMES)
    if unknown:
        parser.error(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    return options


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


def report(
    measured: Sequence[Row],
    results: Mapping[str, Mapping[str, table.Cell]],
    versions: Mapping[str, str],
    work: Workspace,
    repeat: int,
) -> str:
    """Return the results as Markdown: the environment, the tables and their notes."""
    today = dt.datetime.now(tz=dt.UTC).date()
    shape = "x".join(map(str, work.shape))
    named = [f"{name} ({version})" for name, version in versions.items()]
    python = f"Python {platform.python_version()}, NumPy {np.__version__}"
    parts = [
        f"{today}, {machine()}, {python}.",
        f"The array is {shape} float32, and no file of it is larger. Minimum of {repeat} turns.",
        "Engines: " + ", ".join(named) + ".",
    ]
    timed = [row for row in measured if row.unit == "ms" and row.durability != "default"]
    default = [row for row in measured if row.durability == "default"]
    weighed = [row for row in measured if row.unit == "MiB"]
    if timed:
        parts.append(table.times(timed, results))
    if default:
        parts.append("As each engine writes by default: fastzarr and TensorStore sync.")
        parts.append(table.times(default, results))
    if weighed:
        threads = memory.threads()
        limits = {r.name: memory.limit(work.place(str(r.layout)), threads) for r in weighed}
        parts.append(
            "Peak memory of reading the whole array, above the memory in use before, including the "
        )
        parts[-1] += "result; the limit is the result, two chunks for each thread and 16 MiB."
        parts.append(table.peaks(weighed, results, limits))
    return "\n\n".join(parts)


def local(chosen: Sequence[Row], options: argparse.Namespace) -> tuple[str, bool]:
    """Return the tables of rows about local files, and whether a result was wrong."""
    engines = [name for name in options.engines if name in ENGINES]
    hdf = "h5py" in engines and bool(find_spec("h5py") and find_spec("hdf5plugin"))
    with tempfile.TemporaryDirectory(prefix="fastzarr-bench-") as folder:
        work = Workspace(Path(folder), QUICK_SIZE if options.quick else SIZE)
        conductor = Conductor(engines, work, repeat=options.repeat, patience=options.patience)
        results: dict[str, dict[str, table.Cell]] = {}
        for number, row in enumerate(chosen, 1):
            work.prepare(row.layout, hdf=hdf)
            results[row.name] = conductor.row(row)
            figures = {name: cell.least for name, cell in results[row.name].items()}
            scale = 1e3 if row.unit == "ms" else 1
            line = ", ".join(f"{n} {table.figure(f * scale)}" for n, f in figures.items() if f)
            print(f"{number}/{len(chosen)} {row.name}: {line}", file=sys.stderr, flush=True)
        text = report(chosen, results, conductor.versions, work, options.repeat)
    return text, any(cell.wrong for cells in results.values() for cell in cells.values())


def main() -> int:
    """Run the rows selected on the command line; return 1 if a result was wrong."""
    options = arguments()
    pattern = options.rows or ""
    chosen = [row for row in rows() if re.search(pattern, row.name)]
    remote = [row for row in cloud_rows.ROWS if re.search(pattern, row.name)]
    stores = [row for row in CONTAINER_ROWS if re.search(pattern, row.name)]
    above = [row for row in LIBRARY_ROWS if re.search(pattern, row.name)]
    if options.list or not (chosen or remote or stores or above):
        names = [f"{row.name:24} {row.title}" for row in (*chosen, *remote, *stores, *above)]
        print("\n".join(names) or "no such row")
        return 0 if names else 2
    done = [local(chosen, options)] if chosen else []
    others: list[tuple[Any, Any, Any]] = [
        (measure, remote, CLOUD_ENGINES),
        (containers.measure, stores, CONTAINER_ENGINES),
        (libraries.measure, above, LIBRARY_ENGINES),
    ]
    for function, some, engines in others:
        if some:
            done.append(
                function(
                    some,
                    [name for name in options.engines if name in engines],
                    repeat=options.repeat,
                    patience=options.patience,
                    scale=QUICK_SCALE if options.quick else 1,
                )
            )
    text = "\n\n".join(text for text, _ in done)
    print(text)
    if options.whole:
        PAGE.write_text(table.between(PAGE.read_text(), text))
    return int(any(wrong for _, wrong in done))


if __name__ == "__main__":
    sys.exit(main())
