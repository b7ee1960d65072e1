"""Data types of fastzarr as objects of zarr-python's classes.

Rules of this file:

* An object holds the very data type of fastzarr that it was made of, so that nothing that only
  fastzarr knows of it is lost on the way back.
* A data type that zarr-python does not have is an ``OtherType``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

from fastzarr._lazy import cached
from fastzarr.compat.core.dtype.adapted import Adapted
from fastzarr.compat.core.dtype.npy.bool import Bool
from fastzarr.compat.core.dtype.npy.bytes import (
    NullTerminatedBytes,
    RawBytes,
    VariableLengthBytes,
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
from fastzarr.compat.core.dtype.npy.string import FixedLengthUTF32, VariableLengthUTF8
from fastzarr.compat.core.dtype.npy.structured import Struct, Structured
from fastzarr.compat.core.dtype.npy.time import DateTime64, TimeDelta64
from fastzarr.compat.core.dtype.wrapper import ZDType, check_zarr_format
from fastzarr.dtypes import DataType, from_v2, from_v3
from fastzarr.dtypes import Struct as Record
from fastzarr.errors import DataTypeValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_NUMPY: tuple[type[ZDType[Any, Any]], ...] = (
    Bool,
    *(Int8, Int16, Int32, Int64),
    *(UInt8, UInt16, UInt32, UInt64),
    *(Float16, Float32, Float64),
    *(Complex64, Complex128),
    *(FixedLengthUTF32, VariableLengthUTF8),
    *(RawBytes, NullTerminatedBytes, VariableLengthBytes),
    *(Struct, DateTime64, TimeDelta64),
)
_own: Any
for _own in (*OF_NUMPY, Structured):
    _own.own = _own
_NAMES: dict[str, Any] = {"String": VariableLengthUTF8, "Bytes": VariableLengthBytes}
_OUTER: Mapping[str, type[ZDType[Any, Any]]] = _NAMES | {cls.__name__: cls for cls in OF_NUMPY}


def from_inner(dtype: DataType) -> ZDType[Any, Any]:
    """Return the object of zarr-python's class for a data type of fastzarr.

    >>> from fastzarr.dtypes import Int16
    >>> from_inner(Int16(endianness="big"))
    Int16(endianness='big')
    """
    if isinstance(dtype, Adapted):
        outer: ZDType[Any, Any] = dtype.outer
        return outer
    made = _made(dtype)
    # The property ``inner`` finds it there, and makes none.
    vars(made)["inner"] = dtype
    return made


def _made(dtype: DataType) -> ZDType[Any, Any]:
    if type(dtype).__module__.startswith("fastzarr.dtypes."):
        if isinstance(dtype, Record):
            if not any(shape for _, _, shape in dtype.fields):
                fields = tuple((name, from_inner(field)) for name, field, _ in dtype.fields)
                return Struct(fields=fields)
        elif type(dtype).__name__ in _OUTER:
            return _OUTER[type(dtype).__name__].from_native_dtype(dtype.numpy)
    return OtherType(data_type=dtype)


@dataclass(frozen=True, kw_only=True)
class OtherType(ZDType[Any, Any]):
    """A data type that fastzarr has and zarr-python has not, such as ``bfloat16``."""

    data_type: DataType

    @cached
    def inner(self) -> DataType:
        """The data type of fastzarr for the same elements."""
        return self.data_type

    @classmethod
    def from_native_dtype(cls, dtype: Any) -> Self:
        """Raise DataTypeValidationError: this class has no NumPy dtype of its own."""
        cls._refuse(dtype)

    def to_native_dtype(self) -> Any:
        """Return the NumPy dtype."""
        return self.data_type.numpy

    @classmethod
    def _from_json_v2(cls, data: Any) -> Self:
        return cls._of(from_v2(data["name"], object_codec_id=data["object_codec_id"]))

    @classmethod
    def _from_json_v3(cls, data: Any) -> Self:
        return cls._of(from_v3(data))

    @classmethod
    def _of(cls, dtype: DataType) -> Self:
        made = _made(dtype)
        return made if isinstance(made, cls) else cls._refuse(dtype)

    @classmethod
    def _refuse(cls, dtype: Any) -> NoReturn:
        msg = f"{dtype} is not a data type of the class {cls.__name__}"
        raise DataTypeValidationError(msg)

    def to_json(self, zarr_format: Any) -> Any:
        """Return the JSON of the data type in a format."""
        check_zarr_format(zarr_format)
        return self.data_type.to_json(zarr_format)

    def _check_scalar(self, data: object) -> bool:
        try:
            self.data_type.cast_fill(data)
        except (TypeError, ValueError, OverflowError):
            return False
        return True

    def cast_scalar(self, data: object) -> Any:
        """Return a value as a scalar of this type; raise TypeError if that is not possible."""
        return self.data_type.cast_fill(data)

    def default_scalar(self) -> Any:
        """Return the scalar that is the fill value if none is given."""
        return self.data_type.default_fill

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:
        """Return the scalar of the JSON of a fill value."""
        return self.data_type.from_json_scalar(data, zarr_format=zarr_format)

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> Any:
        """Return a value as the JSON of a fill value."""
        return self.data_type.to_json_scalar(data, zarr_format=zarr_format)
