"""Measure rows about object stores, and describe the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.base import MissingError
from bench.cloud import table
from bench.cloud.conduct import CloudConductor, servers
from bench.conduct import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.cloud.conduct import CloudCell
    from bench.cloud.rows import CloudRow

METHOD = """An S3 server (SeaweedFS) on the same machine, behind a proxy that adds the time in
brackets to each request. Minimum of {repeat} turns; the other figure is the processor time of the
client in that run. `client` makes the requests that no library can avoid, and decodes nothing;
`decoding` is fastzarr with the same objects in memory. Each may have 64 requests under way."""


def measure(
    chosen: Sequence[CloudRow],
    engines: Sequence[str],
    *,
    repeat: int,
    patience: float,
    scale: int,
) -> tuple[str, bool]:
    """Return the tables of rows as Markdown, and whether a result was wrong.

    Raise ``MissingError``, with the reason, where the servers cannot be had.
    """
    results: dict[str, dict[str, CloudCell]] = {}
    try:
        from servers.process import UnavailableError
    except ImportError as error:
        msg = "object stores were not measured: `tests` is not on PYTHONPATH"
        raise MissingError(msg) from error
    try:
        with servers(scale) as (cloud, proxy):
            conductor = CloudConductor(engines, cloud, proxy, repeat=repeat, patience=patience)
            for number, row in enumerate(chosen, 1):
                cells = results[row.name] = conductor.row(row)
                progress(number, len(chosen), row, cells, 1e3)
    except (ImportError, UnavailableError) as error:
        msg = f"object stores were not measured: {error}"
        raise MissingError(msg) from error
    named = [f"{name} ({version})" for name, version in conductor.versions.items()]
    parts = [
        METHOD.format(repeat=repeat),
        *([f"A quick run: numbers of chunks are divided by {scale}."] if scale > 1 else []),
        f"Engines: {', '.join(named)}.",
        table.times(chosen, results),
        "The requests of that run, the most that were under way at once, and the MiB transferred:",
        table.requests(chosen, results),
    ]
    wrong = any(cell.wrong for cells in results.values() for cell in cells.values())
    return "\n\n".join(parts), wrong
