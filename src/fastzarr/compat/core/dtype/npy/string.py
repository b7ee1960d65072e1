"""``zarr.core.dtype.npy.string``: text of fixed and of variable length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, TypedDict, TypeGuard, runtime_checkable

import numpy as np

from fastzarr.compat.core.dtype.common import (
    DTypeConfig_V2,
    HasEndianness,
    HasObjectCodec,
    check_dtype_spec_v2,
)
from fastzarr.compat.core.dtype.npy.bytes import Fixed
from fastzarr.compat.core.dtype.npy.common import (
    check_json_str,
    endianness_to_numpy_str,
    get_endianness_from_numpy_dtype,
)
from fastzarr.compat.core.dtype.npy.shared import NumPyType, invalid_scalar


@runtime_checkable
class SupportsStr(Protocol):
    """What can be converted to text."""

    def __str__(self) -> str: ...  # noqa: D105  (a protocol)


class LengthBytesConfig(TypedDict):
    """The configuration of text of fixed length in format 3."""

    length_bytes: int


FixedLengthUTF32JSON_V2 = DTypeConfig_V2[str, None]
FixedLengthUTF32JSON_V3 = dict[str, Any]
VariableLengthUTF8JSON_V2 = DTypeConfig_V2[Literal["|O"], Literal["vlen-utf8"]]


@dataclass(frozen=True, kw_only=True)
class FixedLengthUTF32(HasEndianness, Fixed[np.dtypes.StrDType, np.str_]):
    """Text of fixed length."""

    dtype_cls = np.dtypes.StrDType
    _zarr_v3_name = "fixed_length_utf32"
    _pattern = r"^[><]U\d+$"
    unit = 4
    code_point_bytes: ClassVar[int] = 4

    @classmethod
    def _of_native(cls, dtype: Any) -> Self:
        order = get_endianness_from_numpy_dtype(dtype)
        return cls(length=dtype.itemsize // cls.unit, endianness=order)

    def to_native_dtype(self) -> Any:
        """Return the NumPy dtype."""
        order = endianness_to_numpy_str(self.endianness)
        return self.dtype_cls(self.length).newbyteorder(order)

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, SupportsStr)

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        return np.str_(str(data)[: self.length])

    def default_scalar(self) -> Any:
        """Return the scalar that is the fill value if none is given: no text."""
        return np.str_("")

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> str:  # noqa: ARG002
        """Return a value as the JSON of a fill value."""
        return str(data)

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:  # noqa: ARG002
        """Return the scalar of the JSON of a fill value."""
        if check_json_str(data):
            return np.str_(data)
        raise invalid_scalar(data, "a string")


def check_vlen_string_json_scalar(data: object) -> TypeGuard[int | str | float]:
    """Whether a value is the JSON of a text, which may be a number.

    >>> check_vlen_string_json_scalar(0)
    True
    """
    return isinstance(data, int | str | float)


@dataclass(frozen=True, kw_only=True)
class VariableLengthUTF8(NumPyType[Any, str], HasObjectCodec):
    """Text of any length."""

    dtype_cls = np.dtypes.StringDType
    _zarr_v3_name = "string"
    object_codec_id: ClassVar[str] = "vlen-utf8"

    @classmethod
    def _of_native(cls, dtype: Any) -> Self:
        if hasattr(dtype, "na_object"):
            msg = (
                f"Zarr data type resolution from {dtype} failed. A `numpy.dtypes.StringDType` with "
                "`na_object` set is not supported."
            )
            raise ValueError(msg)
        return cls()

    @classmethod
    def _check_json_v2(cls, data: Any) -> bool:
        return check_dtype_spec_v2(data) and (data["name"], data["object_codec_id"]) == (
            "|O",
            cls.object_codec_id,
        )

    @classmethod
    def _of_json_v2(cls, data: Any) -> Self:  # noqa: ARG003  (checked before)
        return cls()

    def _name_v2(self) -> Any:
        return "|O"

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, SupportsStr)

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        return str(data)

    def default_scalar(self) -> str:
        """Return the scalar that is the fill value if none is given: no text."""
        return ""

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> str:  # noqa: ARG002
        """Return a value as the JSON of a fill value."""
        return str(data)

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:  # noqa: ARG002
        """Return the scalar of the JSON of a fill value."""
        if check_vlen_string_json_scalar(data):
            return str(data)
        raise invalid_scalar(data, "a string or number")
