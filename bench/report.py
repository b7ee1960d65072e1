"""Run the rows about local files, and describe the results."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench import memory, table
from bench.conduct import Conductor, progress
from bench.data import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Row

SIZE, QUICK_SIZE = 256, 128


def report(
    measured: Sequence[Row],
    results: Mapping[str, Mapping[str, table.Cell]],
    versions: Mapping[str, str],
    work: Workspace,
    repeat: int,
) -> str:
    """Return the results as Markdown: the data, the engines, the tables and their notes."""
    shape = "x".join(map(str, work.shape))
    named = [f"{name} ({version})" for name, version in versions.items()]
    parts = [
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


def measure(
    chosen: Sequence[Row], engines: Sequence[str], *, repeat: int, patience: float, scale: int
) -> tuple[str, bool]:
    """Return the tables of rows as Markdown, and whether a result was wrong."""
    hdf = "h5py" in engines and bool(find_spec("h5py") and find_spec("hdf5plugin"))
    with tempfile.TemporaryDirectory(prefix="fastzarr-bench-") as folder:
        work = Workspace(Path(folder), SIZE if scale == 1 else QUICK_SIZE)
        conductor = Conductor(engines, work, repeat=repeat, patience=patience)
        results: dict[str, dict[str, table.Cell]] = {}
        for number, row in enumerate(chosen, 1):
            work.prepare(row.layout, hdf=hdf)
            results[row.name] = conductor.row(row)
            progress(number, len(chosen), row, results[row.name])
        text = report(chosen, results, conductor.versions, work, repeat)
    return text, any(cell.wrong for cells in results.values() for cell in cells.values())
