"""fastzarr: with its native extension, and in NumPy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastzarr
from bench.base import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Box
    from bench.data import Array, Place


class Fastzarr(Engine):
    """fastzarr with its native extension."""

    name = "fastzarr"
    module = "fastzarr"

    def version(self) -> str:
        """Return the version, and whether the native extension is missing."""
        try:
            from fastzarr import _native  # noqa: F401
        except ImportError:
            return f"{fastzarr.__version__} without the native extension"
        return str(fastzarr.__version__)

    def use(self, durability: str) -> None:
        """Write at a level of durability."""
        if durability != "default":
            fastzarr.config.set({"durability": durability})

    def open(self, place: Place, *, write: bool = False) -> Any:
        """Open an array."""
        return fastzarr.open_array(str(place.folder), mode="r+" if write else "r")

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box or an element."""
        return array[box]

    def orthogonal(self, array: Any, indices: Sequence[Array]) -> Any:
        """Read the product of lists of indices."""
        return array.oindex[tuple(indices)]

    def points(self, array: Any, coordinates: Sequence[Array]) -> Any:
        """Read elements."""
        return array.vindex[tuple(coordinates)]

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box."""
        array[box] = value

    def append(self, array: Any, value: Array) -> Any:
        """Append along the first axis."""
        array.append(value)
        return array

    def set_attribute(self, array: Any, number: int) -> Any:
        """Set an attribute."""
        array.attrs["a"] = number
        return array

    def create_arrays(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Create small arrays."""
        group = fastzarr.open_group(str(place.folder), mode="r+")
        for name, size in sizes.items():
            group.create_array(name, shape=(size,), chunks=(10,), dtype="f4", compressors=None)

    def list_arrays(self, place: Place) -> list[str]:
        """Return the names of the arrays in a group."""
        return list(fastzarr.open_group(str(place.folder), mode="r").array_keys())


class FastzarrNumpy(Fastzarr):
    """fastzarr without its native extension."""

    name = "fastzarr-numpy"
    import_as = "as fastzarr"

    def __init__(self) -> None:
        """Select the NumPy data path."""
        fastzarr.config.set({"data_path": "numpy"})

    def version(self) -> str:
        """Return the version."""
        return f"{fastzarr.__version__}, data_path=numpy"
