"""Make zarr2_stored.zip and zarr2_deflated.zip: hierarchies in the ZipStore of zarr-python 2.

Both files are under version control; run this only to change what is in them.

    pip install "zarr==2.18.7" "numcodecs==0.15.1" && python make_zarr2_stores.py
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
import zarr

HERE = Path(__file__).parent


def write(path: Path, compression: int) -> None:
    """Write a hierarchy, and some of its chunks and attributes twice."""
    path.unlink(missing_ok=True)
    with zarr.ZipStore(str(path), compression, True, "w") as store:  # noqa: FBT003
        root = zarr.group(store)
        root.attrs["title"] = "B\u00e4r"
        values = np.arange(100, dtype="<i4").reshape(10, 10)
        root.create_dataset("plain", data=values, chunks=(4, 4), compressor=None)
        root.create_dataset("deep/er/zlib", data=values, chunks=(5, 5), compressor=zarr.Zlib(1))
        part = root.full("part", -1, shape=10, chunks=3, dtype="<f8")
        part[:4] = 1.5
        part[:3] = 2.5
    with zarr.ZipStore(str(path), compression, mode="a") as store:
        zarr.open_group(store)["part"][3:5] = 3.5


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write(HERE / "zarr2_stored.zip", zipfile.ZIP_STORED)
    write(HERE / "zarr2_deflated.zip", zipfile.ZIP_DEFLATED)
