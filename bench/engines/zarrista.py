"""zarrista, the binding of the Rust library zarrs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarrista
from zarrista.store import FilesystemStore

from bench.base import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Box
    from bench.data import Array, Place, Shape


class Zarrista(Engine):
    """Use zarrista as it is. What it gives becomes an array of NumPy without a copy."""

    name = "zarrista"
    module = "zarrista"
    cannot = {  # noqa: RUF012  (as in Engine)
        "strided": "slices have no steps",
        "text": "takes no text to write",
        "orthogonal": "arrays are not taken as an index",
        "points": "arrays are not taken as an index",
    }

    def open(self, place: Place, *, write: bool = False) -> Any:
        """Open an array; nothing says whether it will be written to."""
        del write
        return zarrista.Array.open(FilesystemStore(str(place.folder)))

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box or an element, which keeps its axes."""
        return array[box].to_numpy()

    def chunks(self, array: Any, chunks: Sequence[Shape], boxes: Sequence[Box]) -> Any:
        """Read chunks by the verb for chunks."""
        if array.is_sharded:
            return self.boxes(array, boxes)
        return [array.retrieve_chunk(list(chunk)).to_numpy() for chunk in chunks]

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box."""
        if value.dtype.kind == "T":
            self.refuse("text")
        array[box] = value

    def append(self, array: Any, value: Array) -> Any:
        """Publish the new shape, then write behind the old end."""
        start = array.shape[0]
        array = array.with_shape([start + value.shape[0], *array.shape[1:]])
        array.store_metadata()
        array[start:] = value
        return array

    def create_arrays(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Create small arrays."""
        store = FilesystemStore(str(place.folder))
        document: Any = place.layout.document((10,))
        for name, size in sizes.items():
            document["shape"] = [size]
            zarrista.Array.from_metadata(document, store, f"/{name}").store_metadata()

    def list_arrays(self, place: Place) -> list[str]:
        """Give the names of the arrays of a group."""
        group = zarrista.Group.open(FilesystemStore(str(place.folder)))
        return [name.rsplit("/", 1)[-1] for name in group.array_keys()]
