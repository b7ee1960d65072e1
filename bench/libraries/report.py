"""Run the rows about xarray and dask, and describe the results."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.conduct import Child, Conductor, progress
from bench.libraries.engines import ENGINES, PEERS
from bench.libraries.rows import CHUNKS, make
from bench.table import Cell, Notes, cell_text, figure, grid, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Row

    Results = Mapping[str, Mapping[str, Cell]]

METHOD = """xarray and dask over a local folder: `fastzarr` is `engine="fastzarr"` and
`fastzarr.integrations`, `as-zarr` the code of the others with fastzarr in the place of zarr. Chunks
have 16 KiB and are compressed with zstd. The metadata is not consolidated. CPU time is that of all
threads. Minimum of {repeat} turns."""


class LibraryConductor(Conductor):
    """Runs the workers of these rows."""

    def __init__(self, engines: Sequence[str], folder: str, chunks: int, **settings: Any) -> None:
        """Initialise with a folder for the datasets."""
        super().__init__(engines, None, **settings)
        self.folder, self.chunks = folder, chunks

    def _start(self, name: str, row: Row) -> Child:
        arguments = [name, row.name, self.folder, str(self.chunks)]
        return Child(arguments, "bench.libraries.worker")


def table(rows: Sequence[Row], results: Results) -> str:
    """Return the table."""
    notes = Notes()
    lines = []
    for row in rows:
        cells = results[row.name]
        texts = [cell_text(name, cells.get(name), 1e3, notes) for name in ENGINES]
        least = {name: cells[name].least for name in PEERS if name in cells}
        found = {name: time for name, time in least.items() if time is not None}
        peer = min(found, key=lambda name: found[name]) if found else None
        lines.append([row.title, *texts, peer or "-", figure(ratio(cells, peer))])
    head = ["milliseconds", *ENGINES, "fastest peer", "ours / peer"]
    return "\n".join([*grid(head, lines), "", *notes.lines()]).rstrip()


def measure(
    chosen: Sequence[Row], engines: Sequence[str], *, repeat: int, patience: float, scale: int
) -> tuple[str, bool]:
    """Return the table of rows as Markdown, and whether a result was wrong."""
    results: dict[str, dict[str, Cell]] = {}
    with tempfile.TemporaryDirectory(prefix="fastzarr-bench-") as folder:
        chunks = CHUNKS // scale
        make(Path(folder), chunks)
        conductor = LibraryConductor(engines, folder, chunks, repeat=repeat, patience=patience)
        for number, row in enumerate(chosen, 1):
            cells = results[row.name] = conductor.row(row)
            progress(number, len(chosen), row, cells)
    named = [f"{name} ({version})" for name, version in conductor.versions.items()]
    parts = [METHOD.format(repeat=repeat).replace("\n", " ")]
    parts += ["Libraries: " + ", ".join(named) + ".", table(chosen, results)]
    wrong = any(cell.wrong for cells in results.values() for cell in cells.values())
    return "\n\n".join(parts), wrong
