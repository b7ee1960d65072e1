"""Nodes of HDF5 and NetCDF-4 files, as h5py returns them, in the terms of Zarr.

Rules of this file:

* Dimension scales become names of dimensions, as xarray and the NetCDF libraries read them. The
  attributes in which HDF5 and NetCDF-4 store dimensions are not copied.
* In a NetCDF-4 file, an attribute of one element is a scalar; elsewhere it remains a list.
* Text that is not valid UTF-8 in an attribute is read as Latin-1, which old files use.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.errors import CopyError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKS = ("_NCProperties", "_nc3_strict")
_DIMENSION = ("_Netcdf4Dimid", "_Netcdf4Coordinates")
_SCALE = ("CLASS", "NAME")
_INTERNAL = frozenset({*_MARKS, *_DIMENSION, "DIMENSION_LIST", "REFERENCE_LIST"})
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
# A variable that has the name of a dimension, but not its axis, is stored under a longer name.
_NOT_COORDINATE = "_nc4_non_coord_"
# How the attributes of a document spell numbers that JSON cannot.
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


def is_netcdf(node: Any) -> bool:
    """Whether the file of a node is one of NetCDF-4.

    Old versions of the library leave no mark but dimension scales, by which the library also reads
    files that others wrote.
    """
    root = node.file
    if any(mark in root.attrs for mark in _MARKS):
        return True
    found = [node for _, node in members(root) if hasattr(node, "shape")]
    return any(_is_scale(node) or any(mark in node.attrs for mark in _DIMENSION) for node in found)


def unlike_zarr(node: Any) -> str | None:
    """Return why a node needs no counterpart in Zarr, or None if it needs one."""
    if type(node).__name__ == "Datatype":
        return "a named data type, which the arrays that use it describe"
    if hasattr(node, "shape") and node.shape is not None and _is_scale(node):
        label = node.attrs.get("NAME", b"")
        label = label.encode() if isinstance(label, str) else bytes(label)
        if label.startswith(_NO_VARIABLE):
            return "a dimension without values"
    return None


def members(group: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and the nodes of a group; the node is an exception if there is none."""
    for name in group:
        if not isinstance(name, str):  # h5py returns bytes
            text = name.decode("latin-1")
            yield text, CopyError(f"its name {name!r} is not valid UTF-8")
            continue
        try:
            yield name, group[name]
        except (KeyError, OSError, RuntimeError) as error:
            yield name, _broken(group, name, error)


def _broken(group: Any, name: str, error: Exception) -> Exception:
    link = group.get(name, getlink=True)
    path = getattr(link, "path", None)
    if path is None:
        return error
    place = f" in {link.filename!r}" if hasattr(link, "filename") else ""
    return CopyError(f"it is a link to {path!r}{place}, which does not exist or cannot be opened")


def name_of(name: str) -> str:
    """Return the name of a variable, given that of its dataset."""
    return name.removeprefix(_NOT_COORDINATE)


def dimension_names(dataset: Any) -> tuple[str | None, ...] | None:
    """Return the names of the dimensions of a dataset, None where an axis has no name.

    An axis has the name of the scale that was attached last, else its label. A coordinate variable
    is its own scale. Return None if no axis has a name.
    """
    names: list[str | None] = [None] * len(dataset.shape)
    if _is_scale(dataset):
        names[:1] = [_own_name(dataset)][: len(names)]
        numbers = dataset.attrs.get("_Netcdf4Coordinates")
        if numbers is not None:
            known = _dimensions_above(dataset)
            names = [known.get(int(number)) for number in np.ravel(numbers)]
    elif "DIMENSION_LIST" in dataset.attrs or "DIMENSION_LABELS" in dataset.attrs:
        for axis, dim in enumerate(dataset.dims):
            scale = dim[len(dim) - 1].name if len(dim) else None
            names[axis] = scale.rsplit("/", 1)[-1] if scale else dim.label or None
    found = len(names) == len(dataset.shape) and any(name is not None for name in names)
    return tuple(names) if found else None


def _is_scale(dataset: Any) -> bool:
    try:
        found = dataset.attrs.get("CLASS")
    except (OSError, TypeError, ValueError):  # the copy of the attributes names it
        return False
    return isinstance(found, str | bytes) and found in ("DIMENSION_SCALE", b"DIMENSION_SCALE")


def _own_name(dataset: Any) -> str:
    return name_of(str(dataset.name).rsplit("/", 1)[-1])


def _dimensions_above(dataset: Any) -> dict[int, str]:
    """Return the names of the dimensions that a dataset of NetCDF-4 may use, by their numbers."""
    found: dict[int, str] = {}
    group = dataset.parent
    while True:
        for name, node in members(group):
            if hasattr(node, "shape") and "_Netcdf4Dimid" in node.attrs and _is_scale(node):
                found.setdefault(int(node.attrs["_Netcdf4Dimid"]), name)
        if group.name == "/":
            return found
        group = group.parent


def attributes_of(node: Any, *, netcdf: bool) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a node; the value of one that cannot be read is an exception."""
    hidden = _INTERNAL
    if hasattr(node, "shape"):
        hidden = hidden | (set(_SCALE) if _is_scale(node) else set())
        if any(dim.label for dim in node.dims if "DIMENSION_LABELS" in node.attrs):
            hidden |= {"DIMENSION_LABELS"}
    for name in node.attrs:
        text = name if isinstance(name, str) else name.decode("latin-1")
        if text in hidden:
            continue
        try:
            yield _text(text), plain(node.attrs[name], netcdf=netcdf)
        except (TypeError, ValueError, OSError, KeyError, RuntimeError) as error:
            yield text, error


def plain(value: Any, *, netcdf: bool) -> Any:
    """Return the value of an attribute without the types of h5py; bytes are decoded to text.

    Raise TypeError for a value that has no counterpart: a reference, or opaque bytes.
    """
    import h5py  # type: ignore[import-untyped,unused-ignore]

    if isinstance(value, h5py.Empty):
        text = h5py.check_string_dtype(value.dtype)
        return [] if text is None and value.dtype.kind != "S" else ""
    if isinstance(value, h5py.Reference):
        msg = "it is a reference to another object of the file"
        raise TypeError(msg)
    if isinstance(value, bytes | str):
        return _text(value)
    if isinstance(value, np.void) and value.dtype.names is not None:
        return {_text(name): plain(value[name], netcdf=netcdf) for name in value.dtype.names}
    if isinstance(value, np.ndarray) and value.shape == (1,) and netcdf:
        return plain(value[0], netcdf=netcdf)
    if isinstance(value, np.ndarray) and value.dtype.kind in "OSV":
        return [plain(item, netcdf=False) for item in value]
    return value


def _text(value: str | bytes) -> str:
    data = value if isinstance(value, bytes) else value.encode(errors="surrogateescape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def encode_fill(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the attribute ``_FillValue`` as xarray writes it in format 3.

    A floating-point number is base64 of its eight bytes, little-endian, and bytes are base64.
    """
    if dtype.kind == "f" and isinstance(value, float | np.number):
        return base64.b64encode(struct.pack("<d", float(value))).decode()
    if dtype.kind == "S" and isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def decode_fill(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the attribute ``_FillValue`` of either format as a value of the data type."""
    if dtype.kind == "f" and isinstance(value, str) and value not in _NOT_FINITE:
        value = struct.unpack("<d", base64.b64decode(value, validate=True))[0]
    if dtype.kind == "S" and isinstance(value, str):
        return np.bytes_(base64.b64decode(value, validate=True))
    return dtype.type(value) if dtype.kind in "fiu" else value
