"""``zarr.core.dtype.npy.bytes``: bytes of fixed and of variable length."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypedDict

import numpy as np

from fastzarr.compat.core.dtype.common import (
    DTypeConfig_V2,
    HasLength,
    HasObjectCodec,
    check_dtype_spec_v2,
)
from fastzarr.compat.core.dtype.npy.common import check_json_str
from fastzarr.compat.core.dtype.npy.shared import (
    FixedSize,
    NumPyType,
    invalid_scalar,
    is_config,
)
from fastzarr.compat.core.dtype.wrapper import DType, Scalar

BytesLike = np.bytes_ | str | bytes | int


class FixedLengthBytesConfig(TypedDict):
    """The configuration of bytes of fixed length in format 3."""

    length_bytes: int


NullterminatedBytesJSON_V2 = RawBytesJSON_V2 = DTypeConfig_V2[str, None]
NullTerminatedBytesJSON_V3 = RawBytesJSON_V3 = dict[str, Any]
VariableLengthBytesJSON_V2 = DTypeConfig_V2[Literal["|O"], Literal["vlen-bytes"]]


@dataclass(frozen=True, kw_only=True)
class Fixed(FixedSize[DType, Scalar], HasLength, Generic[DType, Scalar]):
    """Base class of text and bytes of fixed length, with ``unit`` bytes for each of them."""

    unit: ClassVar[int] = 1
    _pattern: ClassVar[str]

    def __post_init__(self) -> None:
        """Raise ValueError if the length is not positive."""
        if self.length < 1:
            msg = f"length must be >= 1, got {self.length}."
            raise ValueError(msg)

    @classmethod
    def _of_native(cls, dtype: Any) -> Self:
        return cls(length=dtype.itemsize // cls.unit)

    def to_native_dtype(self) -> Any:
        """Return the NumPy dtype."""
        return self.dtype_cls(self.length)

    @classmethod
    def _is_name_v2(cls, name: Any) -> bool:
        return isinstance(name, str) and re.match(cls._pattern, name) is not None

    @classmethod
    def _check_json_v3(cls, data: Any) -> bool:
        return is_config(data, cls._zarr_v3_name, "length_bytes") and isinstance(
            data["configuration"]["length_bytes"], int
        )

    @classmethod
    def _of_json_v3(cls, data: Any) -> Self:
        return cls(length=data["configuration"]["length_bytes"] // cls.unit)

    def _config_v3(self) -> dict[str, Any] | None:
        return {"length_bytes": self.length * self.unit}


@dataclass(frozen=True, kw_only=True)
class NullTerminatedBytes(Fixed[np.dtypes.BytesDType, np.bytes_]):
    """Bytes of fixed length, of which trailing zeros are dropped."""

    dtype_cls = np.dtypes.BytesDType
    _zarr_v3_name = "null_terminated_bytes"
    _pattern = r"^\|S\d+$"
    unstable = True

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, BytesLike)

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        text = str(data) if isinstance(data, int) else data
        if isinstance(text, str):
            text = text.encode()
        return np.bytes_(text[: self.length])

    def default_scalar(self) -> Any:
        """Return the scalar that is the fill value if none is given: no bytes."""
        return np.bytes_(b"")

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> str:  # noqa: ARG002
        """Return a value as the JSON of a fill value: base64."""
        return base64.b64encode(self.cast_scalar(data)).decode("ascii")

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:
        """Return the scalar of the JSON of a fill value."""
        if check_json_str(data):
            return self.inner.fill_from_json(data, zarr_format, "fill_value")
        raise invalid_scalar(data, "a base64-encoded string")


@dataclass(frozen=True, kw_only=True)
class RawBytes(Fixed[np.dtypes.VoidDType, np.void]):
    """Opaque bytes of fixed length."""

    dtype_cls = np.dtypes.VoidDType
    _zarr_v3_name = "raw_bytes"
    _pattern = r"^\|V\d+$"
    unstable = True

    @classmethod
    def _check_native_dtype(cls, dtype: Any) -> bool:
        return type(dtype) is cls.dtype_cls and dtype.fields is None

    def to_native_dtype(self) -> Any:
        """Return the NumPy dtype."""
        return np.dtype(f"V{self.length}")

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, np.bytes_ | str | bytes | np.void)

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        native = self.to_native_dtype()
        return native.type(data, native)

    def default_scalar(self) -> Any:
        """Return the scalar that is the fill value if none is given: zeros."""
        return np.void(bytes(self.length))

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> str:  # noqa: ARG002
        """Return a value as the JSON of a fill value: base64."""
        return base64.b64encode(self.cast_scalar(data).tobytes()).decode("ascii")

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:
        """Return the scalar of the JSON of a fill value."""
        if check_json_str(data) or isinstance(data, list):
            return self.inner.fill_from_json(data, zarr_format, "fill_value")
        raise invalid_scalar(data, "a string")


@dataclass(frozen=True, kw_only=True)
class VariableLengthBytes(NumPyType[np.dtypes.ObjectDType, bytes], HasObjectCodec):
    """Bytes of any length."""

    dtype_cls = np.dtypes.ObjectDType
    _zarr_v3_name = "variable_length_bytes"
    object_codec_id: ClassVar[str] = "vlen-bytes"
    unstable = True

    @classmethod
    def _check_json_v2(cls, data: Any) -> bool:
        return check_dtype_spec_v2(data) and (data["name"], data["object_codec_id"]) == (
            "|O",
            cls.object_codec_id,
        )

    @classmethod
    def _check_json_v3(cls, data: Any) -> bool:
        return data in (cls._zarr_v3_name, "bytes")

    @classmethod
    def _of_json_v2(cls, data: Any) -> Self:  # noqa: ARG003  (checked before)
        return cls()

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, BytesLike)

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        return data.encode() if isinstance(data, str) else bytes(data)

    def default_scalar(self) -> bytes:
        """Return the scalar that is the fill value if none is given: no bytes."""
        return b""

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> str:  # noqa: ARG002
        """Return a value as the JSON of a fill value: base64."""
        return base64.b64encode(self.cast_scalar(data)).decode("ascii")

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:
        """Return the scalar of the JSON of a fill value."""
        if check_json_str(data) or isinstance(data, list):
            return self.inner.fill_from_json(data, zarr_format, "fill_value")
        raise invalid_scalar(data, "a string")
