"""``zarr.core.dtype.npy.structured``: records of named fields.

Rules of this file:

* The data type of a field is looked up in the registry that the record was found in. The registry
  that knows this package's classes comes after this file, so it is set in ``Structured.lookup``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.lib.recfunctions import repack_fields

from fastzarr import dtypes
from fastzarr.compat.core.dtype.common import (
    DTypeConfig_V2,
    HasItemSize,
    StructuredName_V2,
    check_structured_dtype_name_v2,
)
from fastzarr.compat.core.dtype.npy.common import bytes_from_json, bytes_to_json, check_json_str
from fastzarr.compat.core.dtype.npy.shared import FixedSize, invalid_scalar, is_config
from fastzarr.compat.core.dtype.wrapper import check_zarr_format
from fastzarr.errors import DataTypeValidationError, ZarrUserWarning

if TYPE_CHECKING:
    from fastzarr.compat.core.dtype.wrapper import ZDType
    from fastzarr.dtypes import DataType

StructuredScalarLike = list[object] | tuple[object, ...] | bytes | int
StructuredJSON_V2 = DTypeConfig_V2[StructuredName_V2, None]
StructuredJSON_V3 = StructJSON_V3 = dict[str, Any]


class Lookup(Protocol):
    """The methods of a registry that find the data types of fields."""

    def match_dtype(self, dtype: Any) -> ZDType[Any, Any]:
        """Return the data type of a NumPy dtype."""

    def match_json(
        self, data: Any, *, zarr_format: Any, where: tuple[str | int, ...] = ()
    ) -> ZDType[Any, Any]:
        """Return the data type of the JSON of a format."""


def _unsupported(dtype: Any) -> str | None:
    """Return what a record has that this library does not store, or None."""
    for name in dtype.names or ():
        field, _, *title = dtype.fields[name]
        if title:
            return f"field {name!r} has a title ({title[0]!r})"
        if field.subdtype is not None:
            return f"field {name!r} is a subarray with shape {field.shape}"
        inside = _unsupported(field)
        if inside is not None:
            return f"within field {name!r}: {inside}"
    return None


class InvalidFieldError(DataTypeValidationError):
    """Raised for a record with a field whose data type is invalid.

    The JSON is that of a record, so no other data type is tried for it.
    """


@dataclass(frozen=True, kw_only=True)
class Structured(FixedSize[np.dtypes.VoidDType, np.void], HasItemSize):
    """Records of named fields, under the older name ``structured``."""

    #: The registry of the data types of fields, unless the record itself was found in another one.
    lookup: ClassVar[Lookup]

    dtype_cls = np.dtypes.VoidDType
    _zarr_v3_name = "structured"
    unstable = True

    fields: tuple[tuple[str, ZDType[Any, Any]], ...]

    def __post_init__(self) -> None:
        """Raise ValueError if there are no fields."""
        if not self.fields:
            msg = f"must have at least one field. Got {self.fields!r}"
            raise ValueError(msg)

    def _make_inner(self) -> DataType:
        return dtypes.Struct(fields=[(name, field.inner) for name, field in self.fields])

    @classmethod
    def _check_native_dtype(cls, dtype: Any) -> bool:
        return isinstance(dtype, cls.dtype_cls) and dtype.fields is not None

    @classmethod
    def _of_native(cls, dtype: Any) -> Self:
        reason = _unsupported(dtype)
        if reason is not None:
            msg = (
                f"Cannot convert the structured data type {dtype}: {reason}. Field titles and "
                "subarray fields are not supported"
            )
            raise ValueError(msg)
        packed: Any = repack_fields(dtype, recurse=True)
        if packed != dtype:
            msg = (
                "The structured dtype is converted to a packed field layout: the offsets of fields "
                "and the size of an element change, the values do not"
            )
            warnings.warn(msg, ZarrUserWarning, stacklevel=3)
        fields = [(name, cls.lookup.match_dtype(packed[name])) for name in packed.names]
        return cls(fields=tuple(fields))

    def to_native_dtype(self) -> Any:
        """Return the NumPy dtype."""
        return np.dtype([(name, field.to_native_dtype()) for name, field in self.fields])

    @classmethod
    def _is_name_v2(cls, name: Any) -> bool:
        return not isinstance(name, str) and check_structured_dtype_name_v2(name)

    @classmethod
    def _check_json_v3(cls, data: Any) -> bool:
        return is_config(data, cls._zarr_v3_name, "fields")

    @classmethod
    def _of_json_v2(cls, data: Any) -> Self:
        return cls.from_json_with(data, zarr_format=2, lookup=cls.lookup)

    @classmethod
    def _of_json_v3(cls, data: Any) -> Self:
        return cls.from_json_with(data, zarr_format=3, lookup=cls.lookup)

    @classmethod
    def from_json_with(
        cls,
        data: Any,
        *,
        zarr_format: Any,
        lookup: Lookup,
        where: tuple[str | int, ...] = (),
    ) -> Self:
        """Return the record of the JSON of a format, with the data types of a registry as fields.

        ``where`` is the place of the JSON in the document. Raise DataTypeValidationError if the
        JSON is not that of a record, and its subclass ``InvalidFieldError`` if a field is invalid.
        """
        check_zarr_format(zarr_format)
        fields: list[tuple[str, Any, tuple[str | int, ...]]]
        if zarr_format == 2:
            if not cls._check_json_v2(data):
                cls._refuse_json(data, 2)
            fields = [
                (name, {"name": dtype, "object_codec_id": None}, (index, 1))
                for index, (name, dtype) in enumerate(data["name"])
            ]
        else:
            if not cls._check_json_v3(data):
                cls._refuse_json(data, 3)
            base = ("configuration", "fields")
            fields = [
                (field["name"], field["data_type"], (*base, index, "data_type"))
                if isinstance(field, dict)
                else (field[0], field[1], (*base, index, 1))
                for index, field in enumerate(data["configuration"]["fields"])
            ]
        found = []
        for name, json, place in fields:
            try:
                dtype = lookup.match_json(json, zarr_format=zarr_format, where=(*where, *place))
            except DataTypeValidationError:
                raise
            except ValueError as error:
                raise InvalidFieldError(str(error)) from error
            found.append((name, dtype))
        return cls(fields=tuple(found))

    def _name_v2(self) -> Any:
        return [[name, field.to_json(zarr_format=2)["name"]] for name, field in self.fields]

    def _config_v3(self) -> dict[str, Any] | None:
        return {"fields": [[name, field.to_json(zarr_format=3)] for name, field in self.fields]}

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, (bytes, list, tuple, int, np.void))

    def _cast_scalar_unchecked(self, data: Any) -> Any:
        native = self.to_native_dtype()
        if isinstance(data, bytes):
            return np.frombuffer(data, native)[0]
        return np.array([tuple(data) if isinstance(data, list | tuple) else data], native)[0]

    def default_scalar(self) -> Any:
        """Return the scalar that is the fill value if none is given: zeros in all fields."""
        return np.zeros((), self.to_native_dtype())[()]

    def _stored(self, zarr_format: Any) -> Any:
        # Format 3 leaves the byte order of base64 unspecified; its writers used little-endian.
        native = self.to_native_dtype()
        return native if zarr_format == 2 else native.newbyteorder("<")

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:
        """Return the scalar of the JSON of a fill value."""
        if not check_json_str(data):
            raise invalid_scalar(data, "a string")
        stored = bytes_from_json(data, zarr_format=zarr_format)
        return np.frombuffer(stored, self._stored(zarr_format)).astype(self.to_native_dtype())[0]

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> Any:
        """Return a value as the JSON of a fill value: base64."""
        scalar = np.asarray(self.cast_scalar(data))
        return bytes_to_json(scalar.astype(self._stored(zarr_format)).tobytes(), zarr_format)

    def has_multi_byte_fields(self) -> bool:
        """Whether a field has elements of more than one byte."""
        return any(isinstance(f, HasItemSize) and f.item_size > 1 for _, f in self.fields)


@dataclass(frozen=True, kw_only=True)
class Struct(Structured):
    """Records of named fields."""

    _zarr_v3_name = "struct"
    unstable = False

    @classmethod
    def _check_json_v3(cls, data: Any) -> bool:
        return is_config(data, "struct", "fields") or is_config(data, "structured", "fields")

    def _config_v3(self) -> dict[str, Any] | None:
        return {
            "fields": [
                {"name": name, "data_type": field.to_json(zarr_format=3)}
                for name, field in self.fields
            ]
        }

    def from_json_scalar(self, data: Any, *, zarr_format: Any) -> Any:
        """Return the scalar of the JSON of a fill value: base64, or a value for each field."""
        if isinstance(data, dict):
            values = [
                field.from_json_scalar(data[name], zarr_format=zarr_format)
                if name in data
                else field.default_scalar()
                for name, field in self.fields
            ]
            return self._cast_scalar_unchecked(tuple(values))
        if check_json_str(data):
            return super().from_json_scalar(data, zarr_format=zarr_format)
        raise invalid_scalar(data, "a dict or base64-encoded string")

    def to_json_scalar(self, data: object, *, zarr_format: Any) -> Any:
        """Return a value as the JSON of a fill value: one for each field, in format 2 base64."""
        if zarr_format == 2:
            return super().to_json_scalar(data, zarr_format=zarr_format)
        scalar = self.cast_scalar(data)
        return {
            name: field.to_json_scalar(scalar[name], zarr_format=zarr_format)
            for name, field in self.fields
        }
