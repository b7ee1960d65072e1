"""``zarr.core.dtype``: the data types, and the functions that find one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fastzarr import errors
from fastzarr.compat.core.dtype.adapted import name_of
from fastzarr.compat.core.dtype.bridge import OF_NUMPY, OtherType, from_inner
from fastzarr.compat.core.dtype.common import deprecated_error
from fastzarr.compat.core.dtype.npy.bool import Bool
from fastzarr.compat.core.dtype.npy.bytes import (
    NullTerminatedBytes,
    NullterminatedBytesJSON_V2,
    NullTerminatedBytesJSON_V3,
    RawBytes,
    RawBytesJSON_V2,
    RawBytesJSON_V3,
    VariableLengthBytes,
    VariableLengthBytesJSON_V2,
)
from fastzarr.compat.core.dtype.npy.complex import Complex64, Complex128
from fastzarr.compat.core.dtype.npy.float import Float16, Float32, Float64
from fastzarr.compat.core.dtype.npy.int import (
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from fastzarr.compat.core.dtype.npy.string import (
    FixedLengthUTF32,
    FixedLengthUTF32JSON_V2,
    FixedLengthUTF32JSON_V3,
    VariableLengthUTF8,
    VariableLengthUTF8JSON_V2,
)
from fastzarr.compat.core.dtype.npy.structured import (
    Struct,
    StructJSON_V3,
    Structured,
    StructuredJSON_V2,
    StructuredJSON_V3,
)
from fastzarr.compat.core.dtype.npy.time import (
    DateTime64,
    DateTime64JSON_V2,
    DateTime64JSON_V3,
    TimeDelta64,
    TimeDelta64JSON_V2,
    TimeDelta64JSON_V3,
)
from fastzarr.compat.core.dtype.registry import DataTypeRegistry, SharedRegistry
from fastzarr.compat.core.dtype.wrapper import TBaseDType, TBaseScalar, ZDType

__all__ = [
    "Bool",
    "Complex64",
    "Complex128",
    "DataTypeRegistry",
    "DateTime64",
    "DateTime64JSON_V2",
    "DateTime64JSON_V3",
    "FixedLengthUTF32",
    "FixedLengthUTF32JSON_V2",
    "FixedLengthUTF32JSON_V3",
    "Float16",
    "Float32",
    "Float64",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "NullTerminatedBytes",
    "NullTerminatedBytesJSON_V3",
    "NullterminatedBytesJSON_V2",
    "RawBytes",
    "RawBytesJSON_V2",
    "RawBytesJSON_V3",
    "Struct",
    "StructJSON_V3",
    "Structured",
    "StructuredJSON_V2",
    "StructuredJSON_V3",
    "TBaseDType",
    "TBaseScalar",
    "TimeDelta64",
    "TimeDelta64JSON_V2",
    "TimeDelta64JSON_V3",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "VariableLengthBytes",
    "VariableLengthBytesJSON_V2",
    "VariableLengthUTF8",
    "VariableLengthUTF8JSON_V2",
    "ZDType",
    "data_type_registry",
    "from_inner",
    "parse_data_type",
    "parse_dtype",
]

IntegerDType = Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64
INTEGER_DTYPE: Final = (Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64)
FloatDType = Float16 | Float32 | Float64
FLOAT_DTYPE: Final = (Float16, Float32, Float64)
ComplexFloatDType = Complex64 | Complex128
COMPLEX_FLOAT_DTYPE: Final = (Complex64, Complex128)
StringDType = FixedLengthUTF32 | VariableLengthUTF8
STRING_DTYPE: Final = (FixedLengthUTF32, VariableLengthUTF8)
TimeDType = DateTime64 | TimeDelta64
TIME_DTYPE: Final = (DateTime64, TimeDelta64)
BytesDType = RawBytes | NullTerminatedBytes | VariableLengthBytes
BYTES_DTYPE: Final = (RawBytes, NullTerminatedBytes, VariableLengthBytes)
AnyDType = (
    Bool
    | IntegerDType
    | FloatDType
    | ComplexFloatDType
    | StringDType
    | BytesDType
    | Struct
    | TimeDType
)
ANY_DTYPE: Final = OF_NUMPY
VLEN_UTF8_ALIAS: Final = ("str", str, "string")
ZDTypeLike = npt.DTypeLike | ZDType[Any, Any] | Mapping[str, Any] | str

data_type_registry = SharedRegistry()
Structured.lookup = data_type_registry
for _dtype in ANY_DTYPE:
    data_type_registry.register(name_of(_dtype), _dtype)


def get_data_type_from_native_dtype(dtype: Any) -> ZDType[Any, Any]:
    """Return the data type of a NumPy dtype, or of what NumPy converts to one.

    >>> get_data_type_from_native_dtype([["a", "<i2"]]).item_size
    2
    """
    if isinstance(dtype, list):
        dtype = [tuple(field) for field in dtype]
    return data_type_registry.match_dtype(np.dtype(dtype))


def get_data_type_from_json(dtype_spec: Any, *, zarr_format: Any) -> ZDType[Any, Any]:
    """Return the data type of its JSON in a format.

    Data types that only fastzarr has are found, too. Raise ValueError if there is none.

    >>> get_data_type_from_json("bool", zarr_format=3)
    Bool()
    """
    try:
        return data_type_registry.match_json(dtype_spec, zarr_format=zarr_format)
    except errors.DataTypeValidationError:
        raise
    except ValueError as error:
        try:
            return OtherType.from_json(dtype_spec, zarr_format=zarr_format)
        except (errors.MetadataError, TypeError, KeyError):
            raise error from None


def parse_data_type(dtype_spec: Any, *, zarr_format: Any) -> ZDType[Any, Any]:
    """Return the data type that ``parse_dtype`` returns.

    >>> parse_data_type("int32", zarr_format=3).item_size
    4
    """
    return parse_dtype(dtype_spec, zarr_format=zarr_format)


def parse_dtype(dtype_spec: Any, *, zarr_format: Any) -> ZDType[Any, Any]:
    """Return the data type of a dtype, of a name, or of the JSON of a format.

    >>> parse_dtype(str, zarr_format=3)
    VariableLengthUTF8()
    """
    if isinstance(dtype_spec, ZDType):
        return dtype_spec
    if isinstance(dtype_spec, Mapping | str | Sequence):
        try:
            return get_data_type_from_json(dtype_spec, zarr_format=zarr_format)
        except ValueError:
            # It may be something that NumPy knows.
            pass
    if dtype_spec is str or (isinstance(dtype_spec, str) and dtype_spec in VLEN_UTF8_ALIAS):
        return VariableLengthUTF8()
    return get_data_type_from_native_dtype(dtype_spec)


def __getattr__(name: str) -> Any:
    return deprecated_error(__name__, name)
