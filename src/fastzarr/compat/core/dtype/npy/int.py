"""``zarr.core.dtype.npy.int``: integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from fastzarr.compat.core.dtype.common import HasEndianness
from fastzarr.compat.core.dtype.npy.common import (
    IntLike,
    check_json_int,
    check_json_intish_float,
    check_json_intish_str,
)
from fastzarr.compat.core.dtype.npy.shared import Number, invalid_scalar
from fastzarr.compat.core.dtype.wrapper import DType, Scalar


@dataclass(frozen=True, kw_only=True)
class BaseInt(Number[DType, Scalar], Generic[DType, Scalar]):
    """Base class of the integers."""

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, IntLike)

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:  # noqa: ARG002
        """Return the scalar of the JSON of a fill value."""
        if check_json_int(data):
            return self._cast_scalar_unchecked(data)
        if check_json_intish_float(data) or check_json_intish_str(data):
            return self._cast_scalar_unchecked(int(data))
        raise invalid_scalar(data, "an integer")

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> int:  # noqa: ARG002
        """Return a value as the JSON of a fill value."""
        return int(self.cast_scalar(data))


@dataclass(frozen=True, kw_only=True)
class Int8(BaseInt[np.dtypes.Int8DType, np.int8]):
    """Signed integers of 8 bits."""

    dtype_cls = np.dtypes.Int8DType
    _zarr_v3_name = "int8"
    _zarr_v2_names = ("|i1",)


@dataclass(frozen=True, kw_only=True)
class UInt8(BaseInt[np.dtypes.UInt8DType, np.uint8]):
    """Unsigned integers of 8 bits."""

    dtype_cls = np.dtypes.UInt8DType
    _zarr_v3_name = "uint8"
    _zarr_v2_names = ("|u1",)


@dataclass(frozen=True, kw_only=True)
class Int16(BaseInt[np.dtypes.Int16DType, np.int16], HasEndianness):
    """Signed integers of 16 bits."""

    dtype_cls = np.dtypes.Int16DType
    _zarr_v3_name = "int16"
    _zarr_v2_names = (">i2", "<i2")


@dataclass(frozen=True, kw_only=True)
class UInt16(BaseInt[np.dtypes.UInt16DType, np.uint16], HasEndianness):
    """Unsigned integers of 16 bits."""

    dtype_cls = np.dtypes.UInt16DType
    _zarr_v3_name = "uint16"
    _zarr_v2_names = (">u2", "<u2")


@dataclass(frozen=True, kw_only=True)
class Int32(BaseInt[np.dtypes.Int32DType, np.int32], HasEndianness):
    """Signed integers of 32 bits."""

    dtype_cls = np.dtypes.Int32DType
    _zarr_v3_name = "int32"
    _zarr_v2_names = (">i4", "<i4")


@dataclass(frozen=True, kw_only=True)
class UInt32(BaseInt[np.dtypes.UInt32DType, np.uint32], HasEndianness):
    """Unsigned integers of 32 bits."""

    dtype_cls = np.dtypes.UInt32DType
    _zarr_v3_name = "uint32"
    _zarr_v2_names = (">u4", "<u4")


@dataclass(frozen=True, kw_only=True)
class Int64(BaseInt[np.dtypes.Int64DType, np.int64], HasEndianness):
    """Signed integers of 64 bits."""

    dtype_cls = np.dtypes.Int64DType
    _zarr_v3_name = "int64"
    _zarr_v2_names = (">i8", "<i8")


@dataclass(frozen=True, kw_only=True)
class UInt64(BaseInt[np.dtypes.UInt64DType, np.uint64], HasEndianness):
    """Unsigned integers of 64 bits."""

    dtype_cls = np.dtypes.UInt64DType
    _zarr_v3_name = "uint64"
    _zarr_v2_names = (">u8", "<u8")
