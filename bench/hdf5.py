"""The HDF5 files of the benchmark, with the filters of hdf5plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import hdf5plugin

if TYPE_CHECKING:
    from pathlib import Path

_FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "blosc": dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.SHUFFLE)),
    "zstd": dict(hdf5plugin.Zstd(clevel=3)),
    "gzip": {"compression": "gzip", "compression_opts": 5},
}


def create(
    path: Path, shape: tuple[int, ...], chunks: tuple[int, ...], codec: str, *, text: bool
) -> Any:
    """Create a file with one array that can grow along its first axis, without chunks."""
    file = h5py.File(path, "w")
    file.create_dataset(
        "array",
        shape=shape,
        maxshape=(None, *shape[1:]),
        chunks=chunks,
        dtype=h5py.string_dtype() if text else "f4",
        **_FILTERS[codec],
    )
    return file
