"""Compare an array in a store with the expected one: ``python -m bench.readback STORE EXPECTED``.

It runs in a separate process, so that data cached by an engine cannot be mistaken for stored data.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from bench.base import WrongError, same


def _is_uneven(document: Path) -> bool:
    return document.exists() and '"rectilinear"' in document.read_text()


def main(source: str, expected: str) -> str:
    """Return the difference as text, or an empty string if there is none."""
    if source.endswith(".h5"):
        # The engine that wrote it still has it open, and has flushed it.
        os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"
        import h5py

        from bench.engines.h5py import read

        with h5py.File(source) as file:
            found = read(file["array"], ...)
    elif _is_uneven(Path(source) / "zarr.json"):
        # Older versions of zarr-python cannot read it.
        import zarrista
        from zarrista.store import FilesystemStore

        array = zarrista.Array.open(FilesystemStore(source))
        found = array[tuple(slice(0, size) for size in array.shape)].to_numpy()
    else:
        import zarr

        found = zarr.open_array(source, mode="r")[...]
    try:
        wanted = np.load(expected)
        if wanted.dtype.kind == "U":
            wanted = wanted.astype("T")
        same(found, wanted)
    except WrongError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or None)
