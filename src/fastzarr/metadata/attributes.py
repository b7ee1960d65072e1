"""The values that attributes may have, converted to JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np

from fastzarr.checked import is_text, member, show
from fastzarr.config import config
from fastzarr.dtypes.base import is_integer
from fastzarr.errors import MetadataValidationError
from fastzarr.metadata.json import too_deep

# The number of levels reserved for consolidated metadata, which contains copies of documents.
_SPARE_DEPTH = 8
# Values of exactly these types need no conversion.
_EXACT = frozenset({int, bool, NoneType})


def plain_attributes(
    attributes: Any, where: str = "attributes", *, stored: bool = False
) -> dict[str, Any]:
    """Return a deep copy of attributes, converted to the types of JSON.

    NumPy scalars and arrays become numbers, strings and lists, tuples become lists, and integer
    names become strings. NaN and the infinities stay floats. Raise TypeError, naming the location,
    for a value of any other type, and ``LimitError`` if attributes are nested too deeply.

    ``stored`` is True if the attributes are from a document, and False if a user passed them. Then
    a text with a lone surrogate raises ``MetadataValidationError``: others cannot read it.

    >>> plain_attributes({"scale": np.float32(0.5), 1: (1, 2), "missing": float("nan")})
    {'scale': 0.5, '1': [1, 2], 'missing': nan}
    """
    if not isinstance(attributes, Mapping):
        msg = f"{where}: must be a mapping of names to values, got {show(attributes)}"
        raise TypeError(msg)
    if not attributes and config.flat["limits.document_depth"] > _SPARE_DEPTH:
        return {}
    plain: dict[str, Any] = _plain(attributes, where, 1, stored)
    return plain


def _plain(value: Any, where: str, depth: int, stored: bool) -> Any:
    if depth > config.flat["limits.document_depth"] - _SPARE_DEPTH:
        raise too_deep(where)
    if isinstance(value, Mapping):
        return _plain_mapping(value, where, depth, stored)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufUTO":
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [
            _plain(item, member(where, place), depth + 1, stored)
            for place, item in enumerate(value)
        ]
    if isinstance(value, str):
        text = str.__str__(value)
        return text if stored or text.isascii() else _checked(text, where)
    return _plain_scalar(value, where)


def _plain_scalar(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if is_integer(value):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return math.nan if math.isnan(number) else number  # JSON has one NaN only
    kind = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
    msg = f"{where}: a value of type {kind} is not JSON serializable; convert it to a string, a "
    raise TypeError(msg + "number, a list or a mapping")


def _plain_mapping(
    value: Mapping[Any, Any],
    where: str,
    depth: int,
    stored: bool,
) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    deepest = config.flat["limits.document_depth"] - _SPARE_DEPTH
    for name, item in value.items():
        if isinstance(name, str):
            text = str.__str__(name)
        elif is_integer(name) and not isinstance(name, bool):
            text = str(int(name))
        else:
            msg = f"{where}: the name of an attribute must be a string, got {show(name)}"
            raise TypeError(msg)
        if text in plain:
            msg = f"{where}: {show(name)} and the string {text!r} are the same name in JSON"
            raise TypeError(msg)
        if not stored and not text.isascii():
            _checked(text, where)
        if depth < deepest and (
            type(item) in _EXACT or (type(item) is str and (stored or item.isascii()))
        ):
            plain[text] = item
        else:
            plain[text] = _plain(item, member(where, text), depth + 1, stored)
    return plain


def _checked(text: str, where: str) -> str:
    if is_text(text):
        return text
    msg = f"{show(text)} has a lone surrogate, which UTF-8 cannot encode"
    raise MetadataValidationError(msg, where)
