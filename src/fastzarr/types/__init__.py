"""The types of arguments, for annotations in programs that use the package.

>>> from fastzarr.types import Mode, StoreLike
>>> def mean(store: StoreLike, mode: Mode = "r") -> float:
...     import fastzarr
...
...     return float(fastzarr.open_array(store, mode)[:].mean())
>>> import fastzarr
>>> z = fastzarr.array([1, 3])
>>> mean(z.store)
2.0
"""

from fastzarr.hints import (
    ArrayLike,
    ChunksLike,
    Durability,
    Index,
    Mode,
    Order,
    Progress,
    Separator,
    ShapeLike,
    ValueLike,
    ZarrFormat,
)
from fastzarr.stores.resolve import StoreLike
from fastzarr.types.options import (
    ArrayConfigOptions,
    ArrayOptions,
    CodecLike,
    CodecsLike,
    DTypeLike,
)

__all__ = [
    "ArrayConfigOptions",
    "ArrayLike",
    "ArrayOptions",
    "ChunksLike",
    "CodecLike",
    "CodecsLike",
    "DTypeLike",
    "Durability",
    "Index",
    "Mode",
    "Order",
    "Progress",
    "Separator",
    "ShapeLike",
    "StoreLike",
    "ValueLike",
    "ZarrFormat",
]
