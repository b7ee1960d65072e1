"""TensorStore: configured not to sync, like the other peers, and as it is by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorstore

from bench.base import CannotError, Engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Box
    from bench.data import Array, Place


class TensorStore(Engine):
    """TensorStore, which by default caches no chunks.

    Each array has its own context, as if the user had specified none.
    """

    name = "tensorstore"
    module = "tensorstore"
    cannot = {  # noqa: RUF012  (as in Engine)
        "list_arrays": "has no groups",
        "set_attribute": "cannot change attributes",
        "text": "does not support variable-length text",
        "uneven": "does not support chunks that differ in size",
        "durability": "syncs either everything or nothing",
    }

    def __init__(self) -> None:
        """Initialise without syncing."""
        self.context: dict[str, Any] = {"file_io_sync": False}

    def use(self, durability: str) -> None:
        """Sync at the level ``full``."""
        if durability == "replace":
            self.refuse("durability")
        self.context["file_io_sync"] = durability == "full"

    def open(self, place: Place, *, write: bool = False) -> Any:
        """Open an array."""
        if place.layout.text:
            self.refuse("text")
        if place.layout.uneven:
            self.refuse("uneven")
        driver = "zarr" if place.layout.zarr_format == 2 else "zarr3"
        kvstore = {"driver": "file", "path": f"{place.folder}/"}
        spec = {"driver": driver, "kvstore": kvstore, "context": self.context}
        return tensorstore.open(spec, open=True, read=True, write=write).result()

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
            spec = {"driver": "zarr3", "kvstore": kvstore, "context": self.context}
            document = place.layout.document((10,))
            metadata = {"chunk_grid": document["chunk_grid"], "codecs": document["codecs"]}
            spec["metadata"] = metadata
            tensorstore.open(spec, create=True, shape=[size], dtype=np.float32).result()


class TensorStoreSync(TensorStore):
    """TensorStore as it is by default: it syncs every file that it writes."""

    name = "tensorstore-sync"
    import_as = "as tensorstore"

    def __init__(self) -> None:
        """Initialise without settings."""
        self.context = {}

    def use(self, durability: str) -> None:
        """Raise ``CannotError`` for other levels, which are measured as TensorStore's."""
        if durability != "default":
            raise CannotError(self.import_as)
