"""The conversions between xarray's variables and what is stored.

Rules of this file:

* CF conventions are xarray's affair. What is stored is what xarray stores with zarr-python, so
  that each reads what the other has written: its functions decide, and only this file calls them.
* Numbers that an integer data type cannot hold, which xarray would store as others, are errors.
* In format 2, the fill value of an array is masked. In format 3 it is not, and the attribute
  ``_FillValue`` is, in which xarray spells numbers in base64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray import Variable, conventions
from xarray.backends.zarr import FillValueCoder, encode_zarr_variable
from xarray.coding.strings import check_vlen_dtype

from fastzarr.integrations.xarray.integers import checked

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from fastzarr.metadata.format import Format

_decode_variables: Any = conventions.decode_cf_variables
_encode_variable: Any = encode_zarr_variable
_vlen_of: Any = check_vlen_dtype
_FILL = "_FillValue"


def masks_fill(format: Format) -> bool:
    """Whether the fill value of the arrays of a format stands for missing elements."""
    return format.has_fill_value and not format.has_dimension_names


def encode(variable: Variable, name: Hashable, format: Format) -> Variable:
    """Return a variable as its elements and attributes are stored."""
    number = 3 if format.has_dimension_names else 2
    try:
        ready = checked(variable, name)
        encoded: Variable = _encode_variable(ready, name=name, zarr_format=number)
    except Exception as error:
        error.add_note(f"while encoding variable {name!r}")
        raise
    return encoded


def decode(variables: Mapping[Hashable, Variable]) -> dict[Hashable, Variable]:
    """Return stored variables as xarray shows them, still lazily read."""
    decoded, _, _ = _decode_variables(dict(variables), {})
    return dict(decoded)


def stored_dtype(variable: Variable) -> Any:
    """Return the data type with which an encoded variable is created.

    xarray gives text that was stored with variable length a fixed one when it is loaded. If the
    codecs still say what it was, it remains so.
    """
    dtype, encoding = variable.dtype, variable.encoding
    codecs = [*(encoding.get("filters") or ()), encoding.get("serializer")]
    text = dtype.kind == "U" and any(_of_objects(codec) == "vlen-utf8" for codec in codecs)
    return str if text or _vlen_of(dtype) is str else dtype


def fit_codecs(words: dict[str, Any], format: Format) -> None:
    """Remove what says how objects are stored, from an encoding of other elements or formats."""
    objects = words["dtype"] is str or np.dtype(words["dtype"]).kind in "OT"
    has_serializer = format.has_dimension_names
    if not has_serializer or (not objects and _of_objects(words.get("serializer"))):
        words.pop("serializer", None)
    if isinstance(words.get("filters"), tuple | list) and (has_serializer or not objects):
        words["filters"] = [codec for codec in words["filters"] if not _of_objects(codec)]


def _of_objects(codec: Any) -> str | None:
    """Return the name of a codec if it stores objects, in any of its spellings."""
    if isinstance(codec, dict):
        name = codec.get("name", codec.get("id"))
    else:
        name = getattr(codec, "codec_id", None) or type(codec).__name__
    known = {"VLenUTF8Codec": "vlen-utf8", "VLenBytesCodec": "vlen-bytes"}
    name = known.get(str(name), name)
    return name if name in ("vlen-utf8", "vlen-bytes") else None


def take_fill(
    attributes: dict[str, Any], encoding: dict[str, Any], dtype: np.dtype[Any], format: Format
) -> dict[str, Any]:
    """Return the keyword for the fill value of a new array; remove what it replaces.

    In format 3, floating-point numbers that were never written are NaN, as xarray expects.
    """
    special = attributes.pop(_FILL, None)
    if masks_fill(format):
        return {"fill_value": special}
    if special is not None:
        attributes[_FILL] = FillValueCoder.encode(special, dtype)
    fill = encoding.pop("fill_value", None)
    if fill is None and dtype.kind == "f":
        fill = np.nan
    return {} if fill is None or not format.has_fill_value else {"fill_value": fill}


def stored_fill(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the value of the attribute ``_FillValue`` of format 3.

    One that is not spelled as xarray does, such as a plain number, is taken as it is.
    """
    kind: Any = "string" if dtype.kind == "T" else dtype
    try:
        return FillValueCoder.decode(value, kind)
    except (TypeError, ValueError):
        return value
