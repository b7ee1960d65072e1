"""``zarr.types``: types of arrays, for annotations."""

from __future__ import annotations

from typing import TypeAlias

from fastzarr.compat.core.array import Array, AsyncArray
from fastzarr.compat.core.common import JSON, ZarrFormat
from fastzarr.compat.core.dtype.common import DTypeConfig_V2, DTypeJSON

AnyAsyncArray: TypeAlias = AsyncArray
AsyncArrayV2: TypeAlias = AsyncArray
AsyncArrayV3: TypeAlias = AsyncArray
AnyArray: TypeAlias = Array
ArrayV2: TypeAlias = Array
ArrayV3: TypeAlias = Array

__all__ = (
    "JSON",
    "AnyArray",
    "AnyAsyncArray",
    "ArrayV2",
    "ArrayV3",
    "AsyncArrayV2",
    "AsyncArrayV3",
    "DTypeConfig_V2",
    "DTypeJSON",
    "ZarrFormat",
)
