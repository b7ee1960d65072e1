"""The names of the dimensions of stored arrays, and their other attributes.

Rules of this file:

* Format 3 has ``dimension_names``. In format 2, xarray's attribute ``_ARRAY_DIMENSIONS`` comes
  first, and then what the NetCDF library writes (NCZarr), in the document of the array or in an
  attribute.
* What describes dimensions to a library is no attribute of the variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.nodes.array import Array

#: The attribute for the names of dimensions in formats that have no place for them.
DIMENSIONS = "_ARRAY_DIMENSIONS"
_NCZARR = "_nc"


def describe(array: Array) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the names of the dimensions, and the attributes of the variable.

    Raise KeyError, which names the array, if a dimension has no name.
    """
    attributes = array.attrs.asdict()
    layout = array.layout
    if layout.format.has_dimension_names:
        names: Any = layout.dimension_names
        if names is None and DIMENSIONS in attributes:
            names = attributes.pop(DIMENSIONS)
    else:
        names = attributes.pop(DIMENSIONS, None)
        if names is None:
            names = _of_nczarr(layout.extra, attributes)
        attributes = visible(attributes)
    if names is None:
        names = ()
    if len(names) != array.ndim or not all(isinstance(name, str) for name in names):
        where = "dimension_names" if layout.format.has_dimension_names else DIMENSIONS
        msg = (
            f"array {array.name!r} in {array.store} has shape {array.shape}, but its {where} are "
            f"{tuple(names)!r}: xarray needs a name for each dimension; leave the array out with "
            f"drop_variables={array.basename!r}"
        )
        raise KeyError(msg)
    return tuple(names), attributes


def visible(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes without those that only the NetCDF library reads."""
    return {key: value for key, value in attributes.items() if not key.lower().startswith(_NCZARR)}


def _of_nczarr(document: Mapping[str, Any], attributes: Mapping[str, Any]) -> list[str] | None:
    """Return the names that NCZarr stores, which are paths such as ``/group/lat``."""
    older = document.get("_NCZARR_ARRAY")
    newer = attributes.get("_nczarr_array")
    found = older.get("dimrefs") if isinstance(older, dict) else None
    if found is None and isinstance(newer, dict):
        found = newer.get("dimension_references", newer.get("dimrefs"))
    if not isinstance(found, list):
        return None
    return [str(path).rpartition("/")[2] for path in found]
