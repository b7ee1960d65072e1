"""``zarr.core.dtype.common``: the JSON of data types, and what their classes have in common."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Literal, TypedDict, TypeGuard, TypeVar

from fastzarr import errors
from fastzarr.compat.names import known_as
from fastzarr.errors import UnstableSpecificationWarning

EndiannessStr = Literal["little", "big"]
ENDIANNESS_STR: Final = ("little", "big")

SpecialFloatStrings = Literal["NaN", "Infinity", "-Infinity"]
SPECIAL_FLOAT_STRINGS: Final = ("NaN", "Infinity", "-Infinity")

JSONFloatV2 = float | SpecialFloatStrings
JSONFloatV3 = float | SpecialFloatStrings | str

ObjectCodecID = Literal["vlen-utf8", "vlen-bytes", "vlen-array", "pickle", "json2", "msgpack2"]
OBJECT_CODEC_IDS: Final = ("vlen-utf8", "vlen-bytes", "vlen-array", "pickle", "json2", "msgpack2")

DTypeJSON = str | int | float | Sequence["DTypeJSON"] | None | Mapping[str, object]
StructuredName_V2 = Sequence["str | StructuredName_V2"]
DTypeName_V2 = StructuredName_V2 | str

Name = TypeVar("Name")
Codec = TypeVar("Codec")


class DTypeConfig_V2(TypedDict, Generic[Name, Codec]):  # noqa: N801  (zarr-python's name)
    """A data type of format 2: the ``dtype`` of the document, and the id of the object codec."""

    name: Name
    object_codec_id: Codec


DTypeSpec_V2 = DTypeConfig_V2[Any, Any]
DTypeSpec_V3 = str | Mapping[str, Any]


def check_structured_dtype_v2_inner(data: object) -> TypeGuard[Any]:
    """Whether a value is a field of a record in format 2: a name, and a dtype or a list of fields.

    >>> check_structured_dtype_v2_inner(["a", "<i4"]), check_structured_dtype_v2_inner("<i4")
    (True, False)
    """
    if isinstance(data, (str, Mapping)) or not isinstance(data, Sequence) or len(data) != 2:
        return False
    name, dtype = data
    if not isinstance(name, str):
        return False
    if isinstance(dtype, str):
        return True
    return isinstance(dtype, Sequence) and check_structured_dtype_name_v2(dtype)


def check_structured_dtype_name_v2(data: Sequence[object]) -> TypeGuard[Any]:
    """Whether a value is a list of fields of format 2."""
    return all(check_structured_dtype_v2_inner(field) for field in data)


def check_dtype_name_v2(data: object) -> TypeGuard[Any]:
    """Whether a value has the form of a ``dtype`` of format 2: a string, or a list of fields."""
    if isinstance(data, str):
        return True
    return isinstance(data, Sequence) and check_structured_dtype_name_v2(data)


def check_dtype_spec_v2(data: object) -> TypeGuard[DTypeSpec_V2]:
    """Whether a value is a mapping of ``name`` and ``object_codec_id``, as for format 2.

    >>> check_dtype_spec_v2({"name": "|O", "object_codec_id": "vlen-utf8"})
    True
    """
    if not isinstance(data, Mapping) or set(data) != {"name", "object_codec_id"}:
        return False
    return check_dtype_name_v2(data["name"]) and isinstance(data["object_codec_id"], str | None)


def check_dtype_spec_no_object_codec_v2(data: object) -> TypeGuard[DTypeSpec_V2]:
    """Whether a value is a data type of format 2 whose elements are not objects."""
    return check_dtype_spec_v2(data) and data["object_codec_id"] is None


def check_dtype_spec_v3(data: object) -> TypeGuard[DTypeSpec_V3]:
    """Whether a value has the form of a ``data_type`` of format 3: a name, also with configuration.

    >>> check_dtype_spec_v3("int8"), check_dtype_spec_v3({"name": "int8"})
    (True, False)
    """
    if isinstance(data, str):
        return True
    if not isinstance(data, Mapping) or set(data) != {"name", "configuration"}:
        return False
    config = data["configuration"]
    return isinstance(config, Mapping) and all(isinstance(key, str) for key in config)


def unpack_dtype_json(data: Any) -> Any:
    """Return the JSON of a data type as the documents have it: for format 2, the ``name`` alone.

    >>> unpack_dtype_json({"name": "|i1", "object_codec_id": None})
    '|i1'
    """
    if isinstance(data, Mapping) and set(data) == {"name", "object_codec_id"}:
        return data["name"]
    return data


class ScalarTypeValidationError(ValueError):
    """Raised for a scalar that a data type cannot have."""


@dataclass(frozen=True, kw_only=True)
class HasLength:
    """Has a length, which counts characters or bytes."""

    length: int


@dataclass(frozen=True, kw_only=True)
class HasEndianness:
    """Has a byte order in memory. That of storage is a codec's in format 3."""

    endianness: EndiannessStr = sys.byteorder


@dataclass(frozen=True, kw_only=True)
class HasItemSize:
    """Has elements of one size."""

    @property
    def item_size(self) -> int:
        """The size of an element in bytes."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class HasObjectCodec:
    """Has elements that format 2 stores with an object codec, whose id is part of the data type."""

    object_codec_id: ClassVar[str]


def v3_unstable_dtype_warning(dtype: object) -> None:
    """Warn that no specification of format 3 has a data type."""
    msg = (
        f"The data type ({dtype}) does not have a Zarr V3 specification. Other implementations may "
        "not read arrays with it, and its representation may change"
    )
    warnings.warn(msg, UnstableSpecificationWarning, stacklevel=2)


def deprecated_error(module: str, name: str) -> type[errors.DataTypeValidationError]:
    """Return ``DataTypeValidationError`` for ``__getattr__`` of a module that once defined it.

    Raise AttributeError for another name.
    """
    if name != "DataTypeValidationError":
        msg = f"module {module!r} has no attribute {name!r}"
        raise AttributeError(msg)
    msg = (
        f"Importing DataTypeValidationError from {known_as(module)} is deprecated. "
        "Use zarr.errors.DataTypeValidationError instead"
    )
    warnings.warn(msg, errors.ZarrDeprecationWarning, stacklevel=3)
    return errors.DataTypeValidationError


def __getattr__(name: str) -> Any:
    return deprecated_error(__name__, name)
