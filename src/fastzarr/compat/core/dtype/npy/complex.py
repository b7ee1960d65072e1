"""``zarr.core.dtype.npy.complex``: complex numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from fastzarr.compat.core.dtype.npy.common import (
    ComplexLike,
    check_json_complex_float_v2,
    check_json_complex_float_v3,
)
from fastzarr.compat.core.dtype.npy.shared import Inexact, invalid_scalar
from fastzarr.compat.core.dtype.wrapper import DType, Scalar, check_zarr_format


@dataclass(frozen=True, kw_only=True)
class BaseComplex(Inexact[DType, Scalar], Generic[DType, Scalar]):
    """Base class of the complex numbers."""

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, ComplexLike)

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> Any:
        """Return a value as the JSON of a fill value."""
        return tuple(super().to_json_scalar(data, zarr_format=zarr_format))

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:
        """Return the scalar of the JSON of a fill value."""
        check_zarr_format(zarr_format)
        check = check_json_complex_float_v2 if zarr_format == 2 else check_json_complex_float_v3
        if check(data):
            return self._native().fill_from_json(data, zarr_format, "fill_value")
        raise invalid_scalar(data, "a float or a special string encoding of a float")


@dataclass(frozen=True, kw_only=True)
class Complex64(BaseComplex[np.dtypes.Complex64DType, np.complex64]):
    """Complex numbers of 64 bits."""

    dtype_cls = np.dtypes.Complex64DType
    _zarr_v3_name = "complex64"
    _zarr_v2_names = (">c8", "<c8")


@dataclass(frozen=True, kw_only=True)
class Complex128(BaseComplex[np.dtypes.Complex128DType, np.complex128]):
    """Complex numbers of 128 bits."""

    dtype_cls = np.dtypes.Complex128DType
    _zarr_v3_name = "complex128"
    _zarr_v2_names = (">c16", "<c16")
