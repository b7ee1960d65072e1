"""Run the rows about stores, and describe the results.

Rules of this file:

* Redis is a server of the tests, without which its rows are left out, with the reason.
* Stores are made in the folder for temporary files. The libraries take turns, as in other rows.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from bench.conduct import ROOT, Child, Conductor, progress
from bench.containers.engines import ENGINES, PEERS
from bench.table import Cell, Notes, cell_text, figure, grid, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Row

    Results = Mapping[str, Mapping[str, Cell]]

ZARR2 = ROOT / "build" / "zarr2"
METHOD = """Stores in one file, in a database, behind a server on the same machine, and N5: one
array of float32 without compression, in format 2 (N5 in its own), written as each library does by
default. All libraries sync what SQLite stores, and dbm, which is dbm.sqlite3 where Python has that.
Of stores of files, zip archives and LMDB, which only fastzarr syncs by default, writes are measured
without syncing, and with all libraries syncing at the end. Without syncing, fastzarr's LMDB keeps
the environment intact in a power cut, which zarr-python 2's does not, because it writes to the map.
bare is the library of a database alone, which stores the same values in one transaction, as durably
as fastzarr: a floor, and no peer. Opening and closing the store is part of the time. Minimum of
{repeat} turns."""


class StoreConductor(Conductor):
    """Runs the workers of these rows, and that of zarr-python 2 with its own packages."""

    def __init__(self, engines: Sequence[str], scale: int, port: int, **settings: Any) -> None:
        """Initialise with the port of a Redis server, or 0."""
        super().__init__(engines, None, **settings)
        self.scale, self.port = scale, port
        self.folder = ""

    def row(self, row: Row) -> dict[str, Cell]:
        """Return the results of all engines in one row, and remove their stores."""
        with tempfile.TemporaryDirectory(prefix="fastzarr-bench-") as self.folder:
            return super().row(row)

    def _start(self, name: str, row: Row) -> Child:
        arguments = [name, row.name, self.folder, str(self.scale), str(self.port)]
        path = [str(ZARR2)] if name == "zarr2" else []
        path += [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
        changes = {"PYTHONPATH": os.pathsep.join(path)} if path else {}
        return Child(arguments, "bench.containers.worker", changes)


def table(rows: Sequence[Row], results: Results) -> str:
    """Return the table of times and sizes."""
    notes = Notes()
    lines = []
    for row in rows:
        cells = results[row.name]
        scale = 1e3 if row.unit == "ms" else 1
        texts = [cell_text(name, cells.get(name), scale, notes) for name in ENGINES]
        least = {name: cells[name].least for name in PEERS if name in cells}
        found = {name: time for name, time in least.items() if time is not None}
        peer = min(found, key=lambda name: found[name]) if found else None
        lines.append([f"{row.title}, {row.unit}", *texts, peer or "-", figure(ratio(cells, peer))])
    head = ["milliseconds or MiB", *ENGINES, "best peer", "ours / peer"]
    return "\n".join([*grid(head, lines), "", *notes.lines()]).rstrip()


def measure(
    chosen: Sequence[Row], engines: Sequence[str], *, repeat: int, patience: float, scale: int
) -> tuple[str, bool]:
    """Return the table of rows as Markdown, and whether a result was wrong.

    The rows of a server that cannot be had are left out, and the text says why.
    """
    from servers import redis
    from servers.process import UnavailableError

    results: dict[str, dict[str, Cell]] = {}
    without = ""
    with ExitStack() as stack:
        port = 0
        if any("redis" in row.name for row in chosen):
            try:
                port = stack.enter_context(redis.running()).ports[0]
            except UnavailableError as error:
                without = f" Redis was not measured: {error}."
                chosen = [row for row in chosen if "redis" not in row.name]
        conductor = StoreConductor(engines, scale, port, repeat=repeat, patience=patience)
        for number, row in enumerate(chosen, 1):
            cells = results[row.name] = conductor.row(row)
            progress(number, len(chosen), row, cells)
    named = [f"{name} ({version})" for name, version in conductor.versions.items()]
    parts = [METHOD.format(repeat=repeat).replace("\n", " ") + without]
    parts += ["Libraries: " + ", ".join(named) + ".", table(chosen, results)]
    wrong = any(cell.wrong for cells in results.values() for cell in cells.values())
    return "\n\n".join(parts), wrong
