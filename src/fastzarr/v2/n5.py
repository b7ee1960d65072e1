"""N5 containers as stores of format 2."""

from __future__ import annotations

from fastzarr import stores as ours
from fastzarr.v2._storage.classes import FSStore, NestedDirectoryStore

N5_FORMAT = "2.0.0"
zarr_to_n5_keys = [
    ("chunks", "blockSize"),
    ("dtype", "dataType"),
    ("compressor", "compression"),
    ("shape", "dimensions"),
]
n5_attrs_key = "attributes.json"
n5_keywords = ["n5", "dataType", "dimensions", "blockSize", "compression"]


class N5Store(NestedDirectoryStore, own=True):
    """An N5 container in a folder."""

    _kind = ours.N5Store


class N5FSStore(FSStore, own=True):
    """An N5 container in a file system of fsspec."""

    _kind = ours.N5FSStore


class N5ChunkWrapper:
    """The codec of N5 blocks."""
