"""The types that signatures of zarr-python 2 refer to."""

from typing import Any, Literal, Protocol

ZARR_VERSION = Literal[2, 3]
DIMENSION_SEPARATOR = Literal[".", "/"]
MEMORY_ORDER = Literal["C", "F"]
PathLike = str | bytes | None


class MetaArray(Protocol):
    """An array of NumPy's protocol of functions."""

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Call a function of NumPy."""
