"""TensorStore, with its file driver configured not to sync, like all other engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorstore

from bench.base import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Box
    from bench.data import Array, Place


# Each array has its own context, as if the user had specified none.
_CONTEXT = {"file_io_sync": False}


class TensorStore(Engine):
    """TensorStore, which by default caches no chunks."""

    name = "tensorstore"
    module = "tensorstore"
    cannot = {  # noqa: RUF012  (as in Engine)
        "list_arrays": "has no groups",
        "text": "does not support variable-length text",
        "durability": "syncs either everything or nothing",
    }

    def open(self, place: Place, *, write: bool = False, context: dict[str, Any] = _CONTEXT) -> Any:
        """Open an array."""
        if place.layout.text:
            self.refuse("text")
        driver = "zarr" if place.layout.zarr_format == 2 else "zarr3"
        kvstore = {"driver": "file", "path": f"{place.folder}/"}
        spec = {"driver": driver, "kvstore": kvstore, "context": context}
        return tensorstore.open(spec, open=True, read=True, write=write).result()

    def open_durably(self, place: Place, level: str) -> Any:
        """Open an array for writing, with or without syncing."""
        if level == "replace":
            self.refuse("durability")
        return self.open(place, write=True, context={"file_io_sync": level == "full"})

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box or an element."""
        return array[box].read().result()

    def orthogonal(self, array: Any, indices: Sequence[Array]) -> Any:
        """Read the product of lists of indices."""
        return array.oindex[tuple(indices)].read().result()

    def points(self, array: Any, coordinates: Sequence[Array]) -> Any:
        """Read elements."""
        return array.vindex[tuple(coordinates)].read().result()

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box."""
        array[box].write(value).result()

    def append(self, array: Any, value: Array) -> Any:
        """Resize the first axis, then write."""
        start = array.shape[0]
        stop = start + value.shape[0]
        array = array.resize(exclusive_max=(stop, *array.shape[1:])).result()
        array[start:stop].write(value).result()
        return array

    def create_arrays(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Create small arrays; there are no groups."""
        for name, size in sizes.items():
            kvstore = {"driver": "file", "path": f"{place.folder}/{name}/"}
            spec = {"driver": "zarr3", "kvstore": kvstore, "context": _CONTEXT}
            document = place.layout.document((10,))
            metadata = {"chunk_grid": document["chunk_grid"], "codecs": document["codecs"]}
            spec["metadata"] = metadata
            tensorstore.open(spec, create=True, shape=[size], dtype=np.float32).result()
