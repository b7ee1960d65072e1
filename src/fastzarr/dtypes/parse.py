"""Data types from metadata documents, NumPy dtypes and names.

Rules of this file:

* A name of format 3 is looked up here and in ``DTYPES`` only. An unknown one raises an error with
  the name; a data type is never guessed.
* Only this file knows all families of data types. A family knows no other, except that a record may
  contain any type of fixed size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from fastzarr.checked import check_members, extension, guard, is_text, member, show
from fastzarr.dtypes.base import DataType, Lookup
from fastzarr.dtypes.complexes import NAMES as _PAIRS
from fastzarr.dtypes.complexes import SmallComplex, name_of
from fastzarr.dtypes.fixed import (
    FixedLengthUTF32,
    NullTerminatedBytes,
    RawBytes,
    raw_from_bits,
)
from fastzarr.dtypes.ml import FLOATS, INTEGERS, SmallFloat, SmallInteger, small
from fastzarr.dtypes.ml import NAMES as _SMALL
from fastzarr.dtypes.numeric import (
    Bool,
    Complex64,
    Complex128,
    Float16,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Number,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from fastzarr.dtypes.struct import Struct, struct_from_v2, struct_from_v3
from fastzarr.dtypes.time import DateTime64, TimeDelta64, spelled
from fastzarr.dtypes.vlen import Bytes, ObjectType, String
from fastzarr.errors import DataTypeValidationError, LimitError
from fastzarr.registry import Registry

_INTEGERS = (Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64)
_OTHERS = (Bool, Float16, Float32, Float64, Complex64, Complex128)
_NUMBERS: dict[str, type[Number]] = {cls().name: cls for cls in _INTEGERS + _OTHERS}
_BY_CODE = {cls().numpy.str[1:]: cls for cls in _NUMBERS.values()}
_NAMES: dict[str, type[DataType]] = {
    **_NUMBERS,
    "complex_float32": Complex64,
    "complex_float64": Complex128,
    "string": String,
    "bytes": Bytes,
    "variable_length_bytes": Bytes,
    # zarrs once wrote "binary" for "bytes".
    "binary": Bytes,
    "fixed_length_utf32": FixedLengthUTF32,
    "null_terminated_bytes": NullTerminatedBytes,
    "raw_bytes": RawBytes,
    "numpy.datetime64": DateTime64,
    "numpy.timedelta64": TimeDelta64,
}
DTYPES: Registry[type[DataType]] = Registry("dtypes", _NAMES)
"""The data types of format 3 by name, without records, ``r<bits>`` and those of low precision."""

# Classes of the caller that know names of format 2, by their names in format 3.
_V2_CLASSES: dict[str, Any] = {}

_RECORDS = ("struct", "structured")
_FAMILIES: dict[str, type[DataType]] = {
    **dict.fromkeys(INTEGERS, SmallInteger),
    **dict.fromkeys(FLOATS, SmallFloat),
    **dict.fromkeys(_PAIRS, SmallComplex),
    **dict.fromkeys(_RECORDS, Struct),
}
_RAW = re.compile(r"r([0-9]{1,12})")
_V2 = re.compile(r"([<>|=]?)([biufcSUVMm])([0-9]{0,10})(?:\[([0-9]{0,10})([^\W\d]{1,7})\])?")
_ORDER = {"<": "little", ">": "big"}


def from_v3(json: Any, where: str = "data_type") -> DataType:
    """Return the data type of the ``data_type`` member of a ``zarr.json``.

    Raise DataTypeValidationError, naming ``where``, if the name is unknown or its configuration is
    invalid.

    >>> from_v3({"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 1}})
    DateTime64('<M8[s]')
    """
    name, config = extension(json, where, DataTypeValidationError)
    at = member(where, "configuration")
    family = None if name in DTYPES else _of_family(name, config, where)
    if family is not None:
        return family
    found = guard(partial(DTYPES.find, name), where, "data type")
    if found is None:
        msg = f"unknown data type {show(name)}"
        raise DataTypeValidationError(msg, where)
    return guard(partial(found.from_config, config, at), where, "data type")


def _of_family(name: str, config: dict[str, Any], where: str) -> DataType | None:
    """Return the data type of a name that stands for itself and others; None if there is none."""
    at = member(where, "configuration")
    if name in _RECORDS:
        return struct_from_v3(name, config, at, from_v3)
    raw = _RAW.fullmatch(name)
    if raw is None and name not in _FAMILIES:
        return None
    check_members(config, {}, at, DataTypeValidationError)
    return _low_precision(name, where) if raw is None else raw_from_bits(int(raw[1]), where)


def _low_precision(name: str, where: str) -> DataType:
    try:
        return SmallComplex(name) if name in _PAIRS else small(name)
    except (ImportError, DataTypeValidationError) as error:
        # A document may be one of many that are listed, so its error has to be one of documents.
        raise DataTypeValidationError(str(error), where) from error


def register_dtype(name: str, cls: type[DataType]) -> None:
    """Register a class of data types under a name of format 3; an earlier meaning is replaced.

    Documents with that name are parsed by the class's ``from_config``. If the class has a method
    ``from_v2`` as well, documents of format 2 are parsed by that, unless it returns None.
    """
    if hasattr(cls, "from_v2"):
        _V2_CLASSES[name] = cls
    DTYPES.register(name, cls)


def unregister_dtype(name: str) -> None:
    """Forget the class that was registered under a name; documents with it are errors again."""
    _V2_CLASSES.pop(name, None)
    DTYPES.forget(name)


def from_v2(json: Any, where: str = "dtype", *, object_codec_id: str | None = None) -> DataType:
    """Return the data type of the ``dtype`` member of a ``.zarray``.

    ``object_codec_id`` is the id of the first filter, which determines the type of the elements of
    ``|O``. Raise DataTypeValidationError, naming ``where``, if the dtype is unknown or invalid.

    >>> from_v2("|O", object_codec_id="vlen-utf8"), from_v2([["a", "<i4"], ["b", ">f8"]])
    (String('string'), Struct([('a', '<i4'), ('b', '>f8')]))
    """
    for cls in tuple(_V2_CLASSES.values()):
        found: DataType | None = cls.from_v2(json, object_codec_id)
        if found is not None:
            return found
    if isinstance(json, list):
        return struct_from_v2(json, where, from_v2)
    if not isinstance(json, str):
        msg = f"a dtype must be a string or a list of fields, not {show(json)}"
        raise DataTypeValidationError(msg, where)
    if json in ("|O", "O", "object"):
        return _of_objects(object_codec_id, where)
    if json in _SMALL:
        return _low_precision(json, where)
    if json in _NUMBERS:
        return _NUMBERS[json]()
    match = _V2.fullmatch(json)
    dtype = _of_code(match, where) if match is not None else None
    if dtype is None:
        msg = f"unknown dtype {show(json)}"
        raise DataTypeValidationError(msg, where)
    return dtype


def from_numpy(dtype_like: Any, *, object_codec_id: str | None = None) -> DataType:
    """Return the data type of a user's ``dtype`` argument.

    Accepts a DataType, anything that ``numpy.dtype`` accepts, ``str`` and ``bytes`` (of variable
    length), and a name or object of format 3. ``object_codec_id`` is the codec that stores Python
    objects. Byte order is kept; call ``native()`` on the result to drop it. Raise NumPy's error if
    it does not know the dtype, and DataTypeValidationError if Zarr cannot store it.

    >>> from_numpy("S3"), from_numpy(str), from_numpy([("a", "i2"), ("b", "u1", 3)]).to_v2()
    (NullTerminatedBytes('|S3'), String('string'), [['a', '<i2'], ['b', '|u1', [3]]])
    """
    if isinstance(dtype_like, DataType):
        return dtype_like
    if isinstance(dtype_like, Mapping) and isinstance(dtype_like.get("name"), str):
        return from_v3(dict(dtype_like))
    if isinstance(dtype_like, str) and _is_v3_name(dtype_like):
        return from_v3(dtype_like)
    if isinstance(dtype_like, list):
        dtype_like = _fields(dtype_like)
    return _of_numpy(np.dtype(dtype_like), object_codec_id)


def parse_dtype(spec: Any, *, zarr_format: int) -> DataType:
    """Return the data type of a dtype, a name, or a format's JSON (zarr-python 3's function).

    For format 3 the result has native byte order. Format 2 also accepts zarr-python 3's mapping
    of ``name`` and ``object_codec_id``. Raise as ``from_numpy`` does.

    >>> parse_dtype(">i4", zarr_format=3).numpy.isnative
    True
    """
    if zarr_format == 2 and isinstance(spec, Mapping) and "object_codec_id" in spec:
        return from_v2(spec.get("name"), object_codec_id=spec["object_codec_id"])
    dtype = from_numpy(spec)
    return dtype if zarr_format == 2 else dtype.native()


def _is_v3_name(text: str) -> bool:
    # Names that NumPy knows too are left to NumPy.
    known = text in DTYPES and text not in _NUMBERS
    return known or text in _SMALL or text in _PAIRS or _RAW.fullmatch(text) is not None


def _fields(fields: list[Any]) -> list[Any]:
    # JSON has lists where NumPy requires a tuple for each field.
    return [
        (field[0], _fields(field[1]) if isinstance(field[1], list) else field[1], *field[2:])
        if isinstance(field, (list, tuple)) and len(field) > 1
        else field
        for field in fields
    ]


def _of_objects(codec: str | None, where: str) -> DataType:
    if codec is None:
        msg = (
            "Python objects require a codec to be stored: pass object_codec= (in a .zarray, the "
            "first filter), or use the data type string or bytes"
        )
        raise DataTypeValidationError(msg, where)
    if codec == "vlen-utf8":
        return String()
    return Bytes() if codec == "vlen-bytes" else ObjectType(codec)


def _of_code(match: re.Match[str], where: str) -> DataType | None:
    order, kind, digits, scale, unit = match.groups()
    endianness = _ORDER.get(order)
    count = int(digits or 0)
    try:
        if kind in "Mm" and count in (0, 8):
            cls = DateTime64 if kind == "M" else TimeDelta64
            named: Any = {"unit": unit or "generic", "endianness": endianness}
            return cls(scale_factor=int(scale or 1), **named)
        if unit is not None:
            return None
        if kind == "U":
            return FixedLengthUTF32(length=count, endianness=endianness)
        if kind in "SV":
            return NullTerminatedBytes(length=count) if kind == "S" else RawBytes(length=count)
    except (DataTypeValidationError, LimitError) as error:
        raise type(error)(str(error), where) from None
    code = f"{kind}{count}"
    return _number(code, endianness) if code in _BY_CODE else None


@cache
def _number(code: str, endianness: str | None) -> DataType:
    return _BY_CODE[code](endianness=endianness)


def _of_numpy(dtype: np.dtype[Any], object_codec_id: str | None) -> DataType:
    kind = dtype.kind
    pairs = name_of(dtype)
    if pairs is not None:
        return SmallComplex(pairs)
    if dtype.names is not None:
        return Struct(fields=[_field(name, dtype[name]) for name in dtype.names])
    if dtype.type.__module__ == "ml_dtypes" and dtype.name in _SMALL:
        return small(dtype.name)
    if kind == "T" or (kind in "OSU" and (kind == "O" or dtype.itemsize == 0)):
        # NumPy turns `str` and `bytes` into a length of zero, which here means variable length.
        if object_codec_id is None and kind != "O":
            return Bytes() if kind == "S" else String()
        return _of_objects(object_codec_id, "dtype")
    found = None
    code = spelled(dtype) if kind in "Mm" else dtype.str
    match = _V2.fullmatch(code) if dtype.subdtype is None else None
    if match is not None:
        found = _of_code(match, "dtype")
    if found is None:
        msg = f"the NumPy dtype {dtype} has no Zarr data type"
        raise DataTypeValidationError(msg, "dtype")
    return found


def _field(name: str, dtype: np.dtype[Any]) -> tuple[str, DataType, tuple[int, ...]]:
    if not is_text(name):
        msg = f"the name {name!r} of a field has a lone surrogate, which UTF-8 cannot encode"
        raise DataTypeValidationError(msg, "dtype")
    base, shape = dtype.subdtype or (dtype, ())
    if base.hasobject or base.kind == "T":
        msg = (
            f"field {name!r} of a record has a variable length ({base}); give it a fixed one, such "
            "as 'U10' or 'S10', or store it in an array of its own"
        )
        raise DataTypeValidationError(msg, "dtype")
    return (name, _of_numpy(base, None), shape)


class DataTypeRegistry:
    """The registered data types under the names of zarr-python 3's registry.

    >>> data_type_registry.match_dtype(np.dtype("int16")), data_type_registry.get("bool")
    (Int16('<i2'), <class 'fastzarr.dtypes.numeric.Bool'>)
    """

    @property
    def contents(self) -> dict[str, type[DataType]]:
        """The class of each name of format 3, without ``r<bits>``."""
        names = (*DTYPES.names(), *sorted(_SMALL), *sorted(_PAIRS), _RECORDS[0])
        return {name: self.get(name) for name in names}

    def get(self, key: str) -> type[DataType]:
        """Return the class of a name of format 3; raise KeyError if the name is unknown."""
        found = DTYPES.find(key) if key in DTYPES or key not in _FAMILIES else _FAMILIES[key]
        if found is None:
            raise KeyError(key)
        return found

    def register(self, key: str, cls: type[DataType]) -> None:
        """Register a class; same as ``register_dtype``."""
        register_dtype(key, cls)

    def match_dtype(self, dtype: Any) -> DataType:
        """Return the data type of a NumPy dtype; raise DataTypeValidationError if there is none."""
        return from_numpy(dtype)

    def match_json(self, data: Any, *, zarr_format: int) -> DataType:
        """Return the data type of the JSON in the documents of a format.

        Raise DataTypeValidationError if there is none.
        """
        return DataType.from_json(data, zarr_format=zarr_format)


data_type_registry = DataTypeRegistry()

DataType.lookup = Lookup(from_numpy, from_v2, from_v3)
