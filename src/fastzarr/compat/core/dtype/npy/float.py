"""``zarr.core.dtype.npy.float``: floating-point numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from fastzarr.compat.core.dtype.npy.common import (
    FloatLike,
    check_json_float_v2,
    check_json_float_v3,
    check_json_floatish_str,
)
from fastzarr.compat.core.dtype.npy.shared import Inexact, invalid_scalar
from fastzarr.compat.core.dtype.wrapper import DType, Scalar, check_zarr_format


@dataclass(frozen=True, kw_only=True)
class BaseFloat(Inexact[DType, Scalar], Generic[DType, Scalar]):
    """Base class of the floating-point numbers."""

    def _check_scalar(self, data: object) -> bool:
        if isinstance(data, str):
            try:
                self._cast_scalar_unchecked(data)
            except (ValueError, OverflowError):
                return False
            return True
        return isinstance(data, FloatLike)

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:
        """Return the scalar of the JSON of a fill value."""
        check_zarr_format(zarr_format)
        check = check_json_float_v2 if zarr_format == 2 else check_json_float_v3
        if check(data):
            return self._native().fill_from_json(data, zarr_format, "fill_value")
        if check_json_floatish_str(data):
            return self._cast_scalar_unchecked(float(data))
        raise invalid_scalar(data, "a float or a special string encoding of a float")


@dataclass(frozen=True, kw_only=True)
class Float16(BaseFloat[np.dtypes.Float16DType, np.float16]):
    """Floating-point numbers of 16 bits."""

    dtype_cls = np.dtypes.Float16DType
    _zarr_v3_name = "float16"
    _zarr_v2_names = (">f2", "<f2")


@dataclass(frozen=True, kw_only=True)
class Float32(BaseFloat[np.dtypes.Float32DType, np.float32]):
    """Floating-point numbers of 32 bits."""

    dtype_cls = np.dtypes.Float32DType
    _zarr_v3_name = "float32"
    _zarr_v2_names = (">f4", "<f4")


@dataclass(frozen=True, kw_only=True)
class Float64(BaseFloat[np.dtypes.Float64DType, np.float64]):
    """Floating-point numbers of 64 bits."""

    dtype_cls = np.dtypes.Float64DType
    _zarr_v3_name = "float64"
    _zarr_v2_names = (">f8", "<f8")
