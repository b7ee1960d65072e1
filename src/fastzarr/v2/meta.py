"""The documents of format 2 as dictionaries.

Rules of this file:

* It converts between documents and dictionaries with dtypes and fill values of NumPy, for programs
  that do so. Arrays and groups do not need it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numcodecs
import numpy as np

from fastzarr.errors import MetadataError
from fastzarr.v2.util import json_dumps, json_loads

ZARR_FORMAT = 2
ZARR_FORMAT_v3 = 3

_SPECIAL = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


class Metadata2:
    """The documents of format 2."""

    ZARR_FORMAT = ZARR_FORMAT

    @classmethod
    def parse_metadata(cls, s: Any) -> Any:
        """Return a document, which may be parsed already."""
        return s if isinstance(s, Mapping) else json_loads(s)

    @classmethod
    def decode_array_metadata(cls, s: Any) -> dict[str, Any]:
        """Return the metadata of an array; raise MetadataError if it is invalid."""
        meta = cls._checked(s)
        try:
            dtype = cls.decode_dtype(meta["dtype"])
            codec = _object_codec(dtype, meta["filters"])
            found = {
                "zarr_format": meta["zarr_format"],
                "shape": tuple(meta["shape"]),
                "chunks": tuple(meta["chunks"]),
                "dtype": dtype,
                "compressor": meta["compressor"],
                "fill_value": cls.decode_fill_value(meta["fill_value"], dtype, codec),
                "order": meta["order"],
                "filters": meta["filters"],
            }
        except Exception as error:
            msg = f"error decoding metadata: {error}"
            raise MetadataError(msg) from error
        if meta.get("dimension_separator"):
            found["dimension_separator"] = meta["dimension_separator"]
        return found

    @classmethod
    def encode_array_metadata(cls, meta: Mapping[str, Any]) -> bytes:
        """Return the document of an array."""
        dtype, extra = meta["dtype"], ()
        if dtype.subdtype is not None:
            dtype, extra = dtype.subdtype
        codec = _object_codec(dtype, meta["filters"])
        document = {
            "zarr_format": cls.ZARR_FORMAT,
            "shape": tuple(meta["shape"]) + extra,
            "chunks": meta["chunks"],
            "dtype": cls.encode_dtype(dtype),
            "compressor": meta["compressor"],
            "fill_value": cls.encode_fill_value(meta["fill_value"], dtype, codec),
            "order": meta["order"],
            "filters": meta["filters"],
        }
        if meta.get("dimension_separator"):
            document["dimension_separator"] = meta["dimension_separator"]
        return json_dumps(document)

    @classmethod
    def encode_dtype(cls, d: np.dtype[Any]) -> Any:
        """Return a dtype as in a document."""
        return d.str if d.fields is None else d.descr

    @classmethod
    def decode_dtype(cls, d: Any) -> np.dtype[Any]:
        """Return the dtype of a document."""
        found: np.dtype[Any] = np.dtype(_fields(d))
        return found

    @classmethod
    def decode_group_metadata(cls, s: Any) -> dict[str, Any]:
        """Return the metadata of a group; raise MetadataError if it is invalid."""
        return {"zarr_format": cls._checked(s)["zarr_format"]}

    @classmethod
    def encode_group_metadata(cls, meta: Any = None) -> bytes:
        """Return the document of a group."""
        del meta
        return json_dumps({"zarr_format": cls.ZARR_FORMAT})

    @classmethod
    def _checked(cls, s: Any) -> Any:
        meta = cls.parse_metadata(s)
        found = meta.get("zarr_format")
        if found != cls.ZARR_FORMAT:
            msg = f"unsupported zarr format: {found}"
            raise MetadataError(msg)
        return meta

    @classmethod
    def decode_fill_value(cls, v: Any, dtype: np.dtype[Any], object_codec: Any = None) -> Any:
        """Return the fill value of a document."""
        if v is None or dtype.kind == "U":
            return v
        if dtype.kind == "V" and dtype.hasobject:
            decoded = _needed(object_codec).decode(base64.standard_b64decode(v))
            return np.array(decoded, dtype=dtype)[()]
        if dtype.kind == "f":
            return _SPECIAL[v] if isinstance(v, str) and v in _SPECIAL else dtype.type(v)
        if dtype.kind == "c":
            part = dtype.type().real.dtype
            real, imag = (cls.decode_fill_value(each, part) for each in v)
            return dtype.type(complex(real, imag))
        if dtype.kind == "V":
            return np.array(base64.standard_b64decode(v), dtype=dtype.str).view(dtype)[()]
        return np.array(_plain(v) if dtype.kind == "S" else v, dtype=dtype)[()]

    @classmethod
    def encode_fill_value(cls, v: Any, dtype: np.dtype[Any], object_codec: Any = None) -> Any:
        """Return a fill value as in a document."""
        if v is None:
            return None
        kind = dtype.kind
        if kind == "V" and dtype.hasobject:
            return str(base64.standard_b64encode(_needed(object_codec).encode(v)), "ascii")
        if kind in "SV":
            return str(base64.standard_b64encode(v), "ascii")
        if kind == "c":
            return _number(v.real), _number(v.imag)
        return _PLAIN.get(kind, _same)(v)


class Metadata3(Metadata2):
    """The documents of zarr-python 2's experimental format, which is not supported."""

    ZARR_FORMAT = ZARR_FORMAT_v3


def _same(value: Any) -> Any:
    return value


def _number(value: Any) -> Any:
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)


def _plain(value: Any) -> Any:
    """Return the bytes of a fill value; old documents have other values, such as 0."""
    try:
        return base64.standard_b64decode(value)
    except (TypeError, ValueError):
        return value


def _fields(d: Any) -> Any:
    """Return the description of a dtype with tuples, which JSON does not have, in their place."""
    if not isinstance(d, list):
        return d
    return [(name, _fields(inner), *map(_shape, rest)) for name, inner, *rest in d]


def _shape(size: Any) -> Any:
    return tuple(size) if isinstance(size, list) else size


def _object_codec(dtype: np.dtype[Any], filters: Any) -> Any:
    return numcodecs.get_codec(filters[0]) if dtype.hasobject else None


def _needed(codec: Any) -> Any:
    if codec is None:
        msg = "missing object_codec for object array"
        raise ValueError(msg)
    return codec


def as_written(document: Any) -> bytes:
    r"""Return a ``.zarray`` as zarr-python 2 writes it, which a checksum depends on.

    >>> as_written(b'{"zarr_format": 2, "dimension_separator": "."}')
    b'{\n    "zarr_format": 2\n}'
    """
    if not isinstance(document, Mapping):
        if not document:
            return b""
        parsed = json_loads(document)
        if json_dumps(parsed) == bytes(document):
            return bytes(document)
        document = parsed
    members = dict(document)
    if members.get("dimension_separator") == ".":
        del members["dimension_separator"]
    return json_dumps(members)


def _ticks(value: Any) -> int:
    return int(value.view("i8"))


# How values of a kind of dtype are written.
_PLAIN: dict[str, Any] = {"b": bool, "f": _number, "i": int, "u": int, "m": _ticks, "M": _ticks}

parse_metadata = Metadata2.parse_metadata
decode_array_metadata = Metadata2.decode_array_metadata
encode_array_metadata = Metadata2.encode_array_metadata
encode_dtype = Metadata2.encode_dtype
decode_dtype = Metadata2.decode_dtype
decode_group_metadata = Metadata2.decode_group_metadata
encode_group_metadata = Metadata2.encode_group_metadata
decode_fill_value = Metadata2.decode_fill_value
encode_fill_value = Metadata2.encode_fill_value

# Names of the experimental format, which programs may import.
_default_entry_point_metadata_v3: dict[str, Any] = {}
_v3_complex_types: frozenset[str] = frozenset()
_v3_datetime_types: frozenset[str] = frozenset()


def get_extended_dtype_info(dtype: Any) -> dict[str, Any]:
    """Raise NotImplementedError: the experimental format is not supported."""
    msg = f"zarr-python 2's experimental format 3 is not supported, nor its dtypes, such as {dtype}"
    raise NotImplementedError(msg)
