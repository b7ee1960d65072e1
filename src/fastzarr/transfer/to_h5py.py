"""Arrays and attributes written to a file of h5py.

Rules of this file:

* A dataset gets its name when it is complete, and an old one exists until then.
* Text of any kind becomes variable-length UTF-8, dates and durations h5py's opaque types, bytes of
  any length sequences of ``uint8``. Other Python objects have no counterpart.
* An attribute that HDF5 cannot represent (a mapping, None, a mixed or ragged list, an integer of
  more than 64 bits) is written as text in JSON.
* The names of dimensions become dimension scales where the file has an array of that name, and
  labels elsewhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.creating.hdf5 import is_h5py
from fastzarr.creating.progress import size_of
from fastzarr.grids.regions import regions
from fastzarr.grids.regular import RegularGrid
from fastzarr.transfer.h5py import decode_fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Keywords of a dataset without chunks, which HDF5 does not compress.
_CHUNKED = ("chunks", "compression", "compression_opts", "shuffle", "fletcher32", "scaleoffset")


def write_dataset(
    source: Any,
    dest: Any,
    name: str,
    attributes: Mapping[str, Any],
    words: Mapping[str, Any],
    progress: Callable[[int, int], object] | None = None,
) -> tuple[Any, dict[str, Exception]]:
    """Write an array to the group ``dest`` of h5py, and return the dataset.

    The second result is the errors of the attributes that could not be written, by their names.
    ``words`` override the keywords of ``create_dataset``. Raise TypeError if HDF5 has no
    counterpart of the data type.
    """
    dtype, convert = _converter(source)
    given = {"dtype": dtype} | _chunking(source) | _fill(source, dtype) | dict(words)
    made = dest.create_dataset(None, shape=source.shape, **given)
    done, total = 0, size_of(source)
    step = made.chunks or _step(source)
    for region in regions(source.shape, RegularGrid(step), max(1, source.dtype.itemsize)):
        part = np.asarray(source[region])
        if dtype.kind == "O" and convert is None:
            _write_ragged(made, region, part)
        else:
            made[region] = part if convert is None else convert(part)
        done += size_of(part)
        if progress is not None:
            progress(done, total)
    wrong = write_attributes(made, attributes, source.dtype)
    if dest.get(name, getlink=True) is not None:
        del dest[name]
    dest[name] = made
    return dest[name], wrong


def _write_ragged(made: Any, region: tuple[slice, ...], part: np.ndarray[Any, Any]) -> None:
    # h5py takes a list of arrays of one length for an array of more dimensions.
    start = [along.start for along in region]
    for index in np.ndindex(part.shape):
        value: Any = part[index]
        value = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
        made[tuple(map(sum, zip(start, index, strict=True)))] = value


def write_attributes(
    node: Any, attributes: Mapping[str, Any], dtype: np.dtype[Any] | None = None
) -> dict[str, Exception]:
    """Set attributes of a node of h5py, and return the errors of those that could not be set."""
    wrong: dict[str, Exception] = {}
    for name, value in attributes.items():
        try:
            if name == "_FillValue" and dtype is not None:
                node.attrs[name] = decode_fill(value, dtype)
            else:
                node.attrs[name] = _attribute(value)
        except (TypeError, ValueError, OSError, RuntimeError) as error:
            wrong[name] = error
    return wrong


def name_dimensions(dataset: Any, names: tuple[str | None, ...]) -> None:
    """Attach the scales that have the names of the dimensions, or else set the labels."""
    for axis, name in enumerate(names):
        if name is None:
            continue
        scale = _scale(dataset, name, dataset.shape[axis])
        if scale is None:
            dataset.dims[axis].label = name
        elif scale != dataset:
            dataset.dims[axis].attach_scale(scale)


def _scale(dataset: Any, name: str, size: int) -> Any:
    """Return the dataset that can be the scale of a dimension, as one, or None if there is none."""
    group = dataset.parent
    while True:
        found = group.get(name)
        if found is not None and getattr(found, "shape", None) == (size,):
            # A dataset with scales of its own cannot become one.
            if not found.is_scale and "DIMENSION_LIST" not in found.attrs:
                found.make_scale(name)
            return found if found.is_scale else None
        if group.name == "/":
            return None
        group = group.parent


def _converter(source: Any) -> tuple[Any, Callable[[np.ndarray[Any, Any]], Any] | None]:
    """Return the data type of the dataset, and what converts the elements to it."""
    import h5py  # type: ignore[import-untyped,unused-ignore]

    dtype = source.dtype
    if dtype.kind in "UT":
        return h5py.string_dtype(), lambda part: part.astype(object)
    if dtype.kind in "mM":
        return h5py.opaque_dtype(dtype), lambda part: part.astype(h5py.opaque_dtype(dtype))
    if dtype.kind == "O":
        return _of_objects(source), None
    if dtype.kind not in "biufcSV" or _is_foreign(dtype):
        msg = f"HDF5 has no counterpart of the data type {dtype}"
        raise TypeError(msg)
    return dtype, None


def _is_foreign(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype, or that of a field, is one that another package has added to NumPy."""
    if dtype.names is not None:
        return any(_is_foreign(dtype[name].base) for name in dtype.names)
    return bool(dtype.type.__module__ != "numpy")


def _of_objects(source: Any) -> Any:
    import h5py

    if is_h5py(getattr(source, "source", None)):
        return source.source.dtype  # ragged arrays, from one file to another
    described = source.layout.dtype
    if described.name == "bytes":
        return h5py.vlen_dtype(np.uint8)
    for item in source.filters:
        if item.codec_id == "vlen-array":
            return h5py.vlen_dtype(item.dtype)
    msg = f"HDF5 has no counterpart of the Python objects of {described!r}"
    raise TypeError(msg)


def _chunking(source: Any) -> dict[str, Any]:
    if not source.shape or 0 in source.shape:
        return {}
    chunks = _step(source)
    return {"chunks": chunks, "compression": "gzip", "compression_opts": 1}


def _step(source: Any) -> tuple[int, ...]:
    chunks = getattr(source, "chunks", None)
    return tuple(
        max(1, min(size, length))
        for size, length in zip(chunks or source.shape, source.shape, strict=True)
    )


def _fill(source: Any, dtype: Any) -> dict[str, Any]:
    """Return the fill value as a keyword, unless h5py cannot set one of this data type."""
    import h5py

    fill = getattr(source, "fill_value", None)
    text = h5py.check_string_dtype(dtype)
    if fill is None or source.dtype.kind in "mM":
        return {}
    if text is not None and text.length is None:
        return {"fillvalue": str(fill)} if fill else {}
    return {} if source.dtype.kind == "O" else {"fillvalue": fill}


def _attribute(value: Any) -> Any:
    if isinstance(value, str | float) or (isinstance(value, int) and -(2**63) <= value < 2**64):
        return value
    if isinstance(value, list):
        kinds = {type(item) for item in _leaves(value)}
        if kinds <= {int, float} or len(kinds) == 1:
            try:
                found = np.array(value)
            except ValueError:  # a ragged list
                return json.dumps(value)
            if found.dtype.kind in "biuf":
                return found
            if found.dtype.kind == "U":
                return np.array(value, dtype=object)
    return json.dumps(value)


def _leaves(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [leaf for item in value for leaf in _leaves(item)]
