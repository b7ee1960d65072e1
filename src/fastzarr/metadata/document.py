"""Metadata documents as bytes: JSON that is checked on the way in and strict on the way out.

Rules of this file:

* Bytes are hostile. Size and depth are bounded by ``config`` (``limits.document_bytes``,
  ``limits.document_depth``), a name may stand only once in an object, the text is UTF-8.
* ``NaN``, ``Infinity`` and ``-Infinity`` are not JSON. They are read where writers have put them,
  in attributes and fill values, refused elsewhere, and not written, save as the fill value of
  format 2's objects: there a word would be text, and zarr-python 2 has no other spelling.
* What attributes may hold is decided in one place, ``plain_attributes``.
"""

from __future__ import annotations

import json
import marshal
import math
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring as _quoted
from typing import Any

import numpy as np

from fastzarr.config import config
from fastzarr.errors import LimitError, MetadataError
from fastzarr.metadata.checks import as_object, fail, member, show

# A document may be put into a consolidated one, which takes this many levels of its own.
_SPARE_DEPTH = 8


def loads(data: bytes | bytearray | memoryview, where: str) -> dict[str, Any]:
    """Read a JSON object; ``where``, the document's key, begins the place an error names.

    >>> loads(b'{"zarr_format": 3}', "zarr.json")
    {'zarr_format': 3}
    """
    check_size(memoryview(data).nbytes, where)
    try:
        text = str(data, "utf-8")
        # The walk is dear, and most documents cannot be wrong in any of the ways it looks for.
        unusual = text.count("[") + text.count("{") > config.flat["limits.document_depth"]
        try:
            document = _decode(text)
        except _UnusualError:
            document, unusual = _decode_all(text), True
    except UnicodeDecodeError as error:
        fail(f"is not UTF-8: byte {error.start} cannot be read", where)
    except RecursionError:
        raise _too_deep(where) from None
    except ValueError as error:  # also an integer of more digits than Python converts
        fail(f"is not JSON: {error}", where)
    if unusual:
        _walk(document, where, lenient=where.endswith(".zattrs"))
    return as_object(document, where)


def check_size(size: int, where: str) -> None:
    """Raise ``LimitError`` if a document of this many bytes is over the limit."""
    limit = config.get("limits.document_bytes")
    if size > limit:
        msg = f"{size} bytes are more than the {limit} of the setting limits.document_bytes"
        raise LimitError(msg, where)


def dumps(document: Mapping[str, Any]) -> bytes:
    """Write a JSON object as strict JSON, indented as ``config`` (``json_indent``) says."""
    indent, loose = config.get("json_indent"), _holds_objects(document)
    encode = _LOOSE if loose else _STRICT
    try:
        if indent is None:
            text = encode(document)
        else:
            step = indent if isinstance(indent, str) else " " * indent
            try:
                text = _indented(document, "\n", step, encode)
            except TypeError:  # a name that is no string, which the standard library converts
                text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=loose)
    except ValueError as error:
        msg = f"cannot be written as JSON: {error}"
        raise MetadataError(msg) from error
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only hold escaped
        return json.dumps(document, indent=indent, allow_nan=loose).encode()


def alike(left: Any, right: Any) -> bool:
    """Tell whether two values are written alike; 1, 1.0 and true are not, nor are 0.0 and -0.0.

    >>> alike({"a": [1]}, {"a": [1]}), alike(1, True)
    (True, False)
    """
    try:
        # In this version, equal values are equal bytes.
        return marshal.dumps(left, 2) == marshal.dumps(right, 2)
    except ValueError:  # nested deeper than it goes, or more than JSON knows
        return json.dumps(left) == json.dumps(right)


_STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_LOOSE = json.JSONEncoder(ensure_ascii=False).encode
_WORDS = {None: "null", True: "true", False: "false"}


def _indented(value: Any, start: str, step: str, encode: Callable[[Any], str]) -> str:
    """Write a value as ``json.dumps`` does with an indent, in less than half its time."""
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is int:
        return repr(value)
    if value is None or kind is bool:
        return _WORDS[value]
    inside = start + step
    if kind is dict and value:
        parts = [
            f"{_quoted(name)}: {_indented(item, inside, step, encode)}"
            for name, item in value.items()
        ]
        return f"{{{inside}{f',{inside}'.join(parts)}{start}}}"
    if kind is not list or not value:
        return encode(value)
    parts = [_indented(item, inside, step, encode) for item in value]
    return f"[{inside}{f',{inside}'.join(parts)}{start}]"


def _holds_objects(document: Mapping[str, Any]) -> bool:
    """Tell whether a document is the ``.zarray`` of an array of objects, or holds a copy of one."""
    if document.get("dtype") == "|O" and "zarr_format" in document:
        return True
    if "zarr_consolidated_format" not in document:
        return False
    return any(part.get("dtype") == "|O" for part in document["metadata"].values())


def plain_attributes(attributes: Any, where: str = "attributes") -> dict[str, Any]:
    """Give a copy of the attributes that JSON can hold; the argument is neither kept nor changed.

    Scalars and arrays of NumPy become numbers, strings and lists, tuples become lists, integer
    names become strings, and the floats that JSON has no word for become ``"NaN"``, ``"Infinity"``
    and ``"-Infinity"``. Everything else is a ``TypeError`` that names its place.

    >>> plain_attributes({"scale": np.float32(0.5), 1: (1, 2), "missing": float("nan")})
    {'scale': 0.5, '1': [1, 2], 'missing': 'NaN'}
    """
    if not isinstance(attributes, Mapping):
        msg = f"{where}: attributes are a mapping of names to values, got {show(attributes)}"
        raise TypeError(msg)
    plain: dict[str, Any] = _plain(attributes, where, 1)
    return plain


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > config.get("limits.document_depth") - _SPARE_DEPTH:
        raise _too_deep(where)
    if isinstance(value, Mapping):
        return _plain_mapping(value, where, depth)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufUTO":
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item, member(where, place), depth + 1) for place, item in enumerate(value)]
    return _plain_scalar(value, where)


def _plain_scalar(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return _plain_float(float(value))
    kind = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
    msg = f"{where}: a value of type {kind} cannot be kept as JSON; convert it to a string, a "
    raise TypeError(msg + "number, a list or a mapping")


def _plain_mapping(value: Mapping[Any, Any], where: str, depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(name, str):
            text = str.__str__(name)
        elif isinstance(name, int | np.integer) and not isinstance(name, bool):
            text = str(int(name))
        else:
            msg = f"{where}: the name of an attribute must be a string, got {show(name)}"
            raise TypeError(msg)
        if text in plain:
            msg = f"{where}: {show(name)} and the string {text!r} are the same name in JSON"
            raise TypeError(msg)
        plain[text] = _plain(item, member(where, text), depth + 1)
    return plain


def _plain_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


class _UnusualError(Exception):
    """Say while parsing that something is to be looked for, since the parser knows no places."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _UnusualError
    return members


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    twice, seen = _Twice(members), set[str]()
    for twice.name, _ in pairs:
        if twice.name in seen:
            break
        seen.add(twice.name)
    return twice


class _Twice(dict[str, Any]):
    name = ""


def _finite(text: str) -> float:
    value = float(text)
    if math.isfinite(value):
        return value
    raise _UnusualError


_decode = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_finite, parse_constant=_finite
).decode
_decode_all = json.JSONDecoder(object_pairs_hook=_marked, parse_constant=float).decode


def _walk(document: Any, where: str, *, lenient: bool) -> None:
    # A place is the place above and the name below it, spelled out only for an error.
    limit = config.get("limits.document_depth")
    stack: list[tuple[Any, Any, int, bool]] = [(document, None, 1, lenient)]
    while stack:
        value, place, depth, free = stack.pop()
        if isinstance(value, dict | list) and depth > limit:
            raise _too_deep(_spell(place, where))
        if isinstance(value, _Twice):
            fail(f"the member {show(value.name)} stands there twice", _spell(place, where))
        if isinstance(value, dict):
            for name, item in value.items():
                loose = free or name in ("attributes", "fill_value") or name.endswith(".zattrs")
                stack.append((item, (place, name), depth + 1, loose))
        elif isinstance(value, list):
            stack.extend((item, (place, i), depth + 1, free) for i, item in enumerate(value))
        elif isinstance(value, float) and not free and not math.isfinite(value):
            fail(f"{value} may not stand here", _spell(place, where))


def _spell(place: Any, where: str) -> str:
    if place is None:
        return where
    above, name = place
    return member(_spell(above, where), name)


def _too_deep(where: str) -> LimitError:
    limit = config.get("limits.document_depth")
    msg = f"is nested deeper than the {limit} levels of the setting limits.document_depth"
    return LimitError(msg, where)
