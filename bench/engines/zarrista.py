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
    """zarrista; its results become NumPy arrays without a copy."""

    name = "zarrista"
    module = "zarrista"
    cannot = {  # noqa: RUF012  (as in Engine)
        "strided": "does not support slices with steps",
        "text": "cannot write text",
        "orthogonal": "does not support index arrays",
        "points": "does not support index arrays",
    }

    def open(self, place: Place, *, write: bool = False) -> Any:
        """Open an array; there is no mode."""
        del write
        return zarrista.Array.open(FilesystemStore(str(place.folder)))

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box or an element; an element keeps its axes."""
        return array[box].to_numpy()

    def chunks(self, array: Any, chunks: Sequence[Shape], boxes: Sequence[Box]) -> Any:
        """Read chunks with the method for chunks."""
        if array.is_sharded:
            return self.boxes(array, boxes)
        return [array.retrieve_chunk(list(chunk)).to_numpy() for chunk in chunks]

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box."""
        if value.dtype.kind == "T":
            self.refuse("text")
        array[box] = value

    def append(self, array: Any, value: Array) -> Any:
        """Resize the first axis, then write."""
        start = array.shape[0]
        array = array.with_shape([start + value.shape[0], *array.shape[1:]])
        array.store_metadata()
        array[start:] = value
        return array

    def set_attribute(self, array: Any, number: int) -> Any:
        """Set an attribute and store the metadata."""
        array = array.with_attrs({**array.attrs, "a": number})
        array.store_metadata()
        return array

    def create_arrays(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Create small arrays."""
        store = FilesystemStore(str(place.folder))
        document: Any = place.layout.document((10,))
        for name, size in sizes.items():
            document["shape"] = [size]
            zarrista.Array.from_metadata(document, store, f"/{name}").store_metadata()

    def list_arrays(self, place: Place) -> list[str]:
        """Return the names of the arrays in a group."""
        group = zarrista.Group.open(FilesystemStore(str(place.folder)))
        return [name.rsplit("/", 1)[-1] for name in group.array_keys()]
