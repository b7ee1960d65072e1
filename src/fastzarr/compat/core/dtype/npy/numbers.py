"""``zarr.core.dtype.npy.{bool,int,float,complex}``: booleans and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic

import numpy as np

from fastzarr.compat.core.dtype.common import HasEndianness
from fastzarr.compat.core.dtype.npy.common import (
    ComplexLike,
    FloatLike,
    IntLike,
    check_json_complex_float_v2,
    check_json_complex_float_v3,
    check_json_float_v2,
    check_json_float_v3,
    check_json_floatish_str,
    check_json_int,
    check_json_intish_float,
    check_json_intish_str,
)
from fastzarr.compat.core.dtype.npy.shared import FixedSize, invalid_scalar
from fastzarr.compat.core.dtype.wrapper import DType, Scalar, check_zarr_format


@dataclass(frozen=True, kw_only=True)
class Bool(FixedSize[np.dtypes.BoolDType, np.bool_]):
    """Booleans."""

    dtype_cls = np.dtypes.BoolDType
    _zarr_v3_name = "bool"
    _zarr_v2_name: ClassVar[str] = "|b1"

    @classmethod
    def _is_name_v2(cls, name: Any) -> bool:
        return bool(name == cls._zarr_v2_name)

    def _name_v2(self) -> Any:
        return self._zarr_v2_name

    def _check_scalar(self, data: object) -> bool:  # noqa: ARG002  (everything has a truth value)
        return True

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> bool:  # noqa: ARG002
        """Return a value as the JSON of a fill value."""
        return bool(data)

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:  # noqa: ARG002
        """Return the scalar of the JSON of a fill value."""
        return np.bool_(data)


@dataclass(frozen=True, kw_only=True)
class _Number(FixedSize[DType, Scalar], Generic[DType, Scalar]):
    _zarr_v2_names: ClassVar[tuple[str, ...]]

    @classmethod
    def _check_native_dtype(cls, dtype: Any) -> bool:
        # NumPy has several classes for integers of the same size.
        return type(dtype) is cls.dtype_cls or bool(dtype == cls.dtype_cls())

    @classmethod
    def _is_name_v2(cls, name: Any) -> bool:
        return name in cls._zarr_v2_names

    def _name_v2(self) -> Any:
        if hasattr(self, "endianness"):
            return self.to_native_dtype().str
        return self._zarr_v2_names[0]


@dataclass(frozen=True, kw_only=True)
class BaseInt(_Number[DType, Scalar], Generic[DType, Scalar]):
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


@dataclass(frozen=True, kw_only=True)
class _Inexact(_Number[DType, Scalar], HasEndianness, Generic[DType, Scalar]):
    """Numbers whose JSON is read and written by fastzarr, which keeps the bits of a NaN."""

    def _native(self) -> Any:
        return self.inner.native()

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> Any:
        """Return a value as the JSON of a fill value."""
        check_zarr_format(zarr_format)
        return self._native().fill_to_json(self.cast_scalar(data), zarr_format)


@dataclass(frozen=True, kw_only=True)
class BaseFloat(_Inexact[DType, Scalar], Generic[DType, Scalar]):
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


@dataclass(frozen=True, kw_only=True)
class BaseComplex(_Inexact[DType, Scalar], Generic[DType, Scalar]):
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
