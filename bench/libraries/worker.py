"""Measure one row: ``python -m bench.libraries.worker ENGINE ROW FOLDER CHUNKS``.

The commands are those of ``bench.worker``.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from bench.libraries.engines import load
from bench.libraries.rows import ROWS
from bench.worker import Worker, serve


def main(name: str, row: str, folder: str, chunks: str) -> None:
    """Create the task and execute the commands on standard input."""
    wanted = next(one for one in ROWS if one.name == row)
    # zarr-python warns of what all its users see.
    warnings.simplefilter("ignore")
    serve(lambda: Worker(wanted.task(load(name), Path(folder), chunks=int(chunks))))


if __name__ == "__main__":
    main(*sys.argv[1:])
