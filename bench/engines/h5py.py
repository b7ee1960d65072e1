"""h5py, with the filters of hdf5plugin. HDF5 reads and writes with one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import hdf5plugin  # noqa: F401  (registers its filters, also for files of other processes)

from bench.base import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.base import Box
    from bench.data import Array, Place


def read(array: Any, box: Any) -> Any:
    """Return a box; text has NumPy's ``StringDType``."""
    return array.astype("T")[box] if h5py.check_string_dtype(array.dtype) else array[box]


class H5py(Engine):
    """h5py, with its default chunk cache."""

    name = "h5py"
    module = "h5py"
    cannot = {  # noqa: RUF012  (as in Engine)
        "orthogonal": "supports an index array for one axis only",
        "points": "supports an index array for one axis only",
        "uneven": "does not support chunks that differ in size",
    }

    def version(self) -> str:
        """Return the versions of h5py and HDF5."""
        return f"{h5py.version.version}, HDF5 {h5py.version.hdf5_version}"

    def open(self, place: Place, *, write: bool = False) -> Any:
        """Open an array; create a missing one for writing."""
        if place.layout.uneven:
            self.refuse("uneven")
        if write and not place.file.exists():
            return place.create_hdf5()["array"]
        return h5py.File(place.file, "r+" if write else "r")["array"]

    def cold(self, array: Any) -> Any:
        """Reopen the file: HDF5 caches decoded chunks while it is open."""
        name = array.file.filename
        array.file.close()
        return h5py.File(name, "r")["array"]

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box or an element."""
        return read(array, box)

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box and flush it to the operating system."""
        array[box] = value
        array.file.flush()

    def append(self, array: Any, value: Array) -> Any:
        """Resize the first axis, write, and flush to the operating system."""
        start = array.shape[0]
        array.resize(start + value.shape[0], axis=0)
        array[start:] = value
        array.file.flush()
        return array

    def set_attribute(self, array: Any, number: int) -> Any:
        """Set an attribute and flush it to the operating system."""
        array.attrs["a"] = number
        array.file.flush()
        return array

    def create_arrays(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Create small arrays."""
        with h5py.File(place.file, "w") as file:
            for name, size in sizes.items():
                file.create_dataset(name, shape=(size,), chunks=(10,), dtype="f4")

    def list_arrays(self, place: Place) -> list[str]:
        """Return the names of the arrays in a file."""
        with h5py.File(place.file) as file:
            return [name for name, node in file.items() if isinstance(node, h5py.Dataset)]
