"""The keywords with which an array is created for a variable.

Rules of this file:

* Encodings that a user passes must be understood. Those that a variable has from its file are used
  as far as they apply, and others are left out: they may be of another format.
* The shape of chunks follows ``chunks.of_variable``, everything else ``fastzarr.create_array``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.integrations.xarray.chunks import of_variable
from fastzarr.integrations.xarray.coding import fit_codecs, stored_dtype, take_fill
from fastzarr.integrations.xarray.dimensions import DIMENSIONS
from fastzarr.metadata.attributes import plain_attributes

if TYPE_CHECKING:
    from collections.abc import Hashable

    from xarray import Variable

    from fastzarr.metadata.format import Format

_WORDS = (
    *("chunks", "shards", "filters", "serializer", "compressors", "compressor"),
    *("chunk_key_encoding", "write_empty_chunks", "order", "cache_metadata"),
)
# The name of a variable without a name, as xarray stores and recognises it.
_UNNAMED = "__values__"
_SETTINGS = ("write_empty_chunks", "order")
# What readers of xarray add, which says nothing of the array.
_NOTES = frozenset({"source", "original_shape", "preferred_chunks"})


def stored_name(name: Any) -> str:
    """Return the name of the array for a variable, which may have none."""
    return _UNNAMED if name is None else str(name)


def as_encoding(given: Any, name: Hashable) -> dict[str, Any]:
    """Return an encoding of a user as a dict."""
    try:
        return dict(given)
    except (TypeError, ValueError):
        msg = f"encoding of variable {name!r} must be castable to a dict, got {given!r}"
        raise ValueError(msg) from None


def check_encoding(encoding: Any, name: Hashable, format: Format) -> None:
    """Raise ValueError for an encoding of a user that has no meaning here."""
    known = {*_WORDS, *_NOTES}
    if format.has_dimension_names:
        known.add("fill_value")
    unknown = sorted(key for key in encoding if key not in known and encoding[key] is not None)
    if unknown:
        advice = "; pass _FillValue instead" if "fill_value" in unknown else ""
        msg = (
            f"variable {name!r}: unexpected encoding parameters {unknown!r}{advice}. Known "
            f"ones are {sorted(known - _NOTES)} and those of CF conventions"
        )
        raise ValueError(msg)


def creation_words(
    variable: Variable, name: Hashable, format: Format, write_empty: bool | None
) -> dict[str, Any]:
    """Return the keywords of ``create_array`` for an encoded variable."""
    attributes, encoding = dict(variable.attrs), dict(variable.encoding)
    words = take_fill(attributes, encoding, variable.dtype, format)
    words |= {key: encoding[key] for key in _WORDS if encoding.get(key) is not None}
    words.pop("cache_metadata", None)
    words["dtype"] = stored_dtype(variable)
    fit_codecs(words, format)
    words["chunks"] = of_variable(variable, encoding.get("chunks"), name)
    shards = words.get("shards")
    if isinstance(shards, int | np.integer):
        words["shards"] = (int(shards),) * variable.ndim
    elif isinstance(shards, tuple | list) and len(shards) != variable.ndim:
        del words["shards"]
    given = words.get("write_empty_chunks", write_empty)
    if write_empty is not None and given != write_empty:
        msg = (
            f"variable {name!r}: encoding['write_empty_chunks'] is {given!r}, but "
            f"write_empty_chunks={write_empty!r} was passed; pass one"
        )
        raise ValueError(msg)
    if given is not None:
        words["write_empty_chunks"] = given
    config = {key: words.pop(key) for key in _SETTINGS if key in words}
    dims = [str(dim) for dim in variable.dims]
    if format.has_dimension_names:
        words["dimension_names"] = dims
    else:
        attributes[DIMENSIONS] = dims
    return words | {
        "shape": variable.shape,
        "attributes": plain_attributes(attributes, f"variable {name!r}: attrs"),
        "config": config or None,
    }
