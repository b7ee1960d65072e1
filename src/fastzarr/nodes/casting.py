"""Casting and broadcasting of assigned values, with the results, errors and warnings of NumPy.

Rules of this file:

* The whole value is cast before anything is written, so a failing cast leaves the array unchanged.
* Casting follows ``a[...] = value`` in NumPy: an over-long fixed-length string is truncated, a
  Python integer out of range raises OverflowError, and an array of another dtype is converted with
  NumPy's warnings. If the setting ``array.casting`` is stricter (``same_kind``, ``safe``,
  ``equiv``, ``no``), a dtype that it does not allow raises TypeError.
* A value that cannot be broadcast raises ValueError; no element is ever dropped.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import errors
from fastzarr.buffers import empty
from fastzarr.checked import is_text, show
from fastzarr.config import config
from fastzarr.dtypes import from_numpy
from fastzarr.dtypes.complexes import as_numbers, as_pairs, name_of
from fastzarr.dtypes.vlen import without_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.dtypes import DataType
    from fastzarr.metadata.layout import Layout

Array = np.ndarray[Any, Any]


def cast(value: Any, dtype: np.dtype[Any]) -> Array:
    """Return a value as an array of ``dtype``, converted as by assignment in NumPy.

    The result is the value itself if it already has that dtype. Raise TypeError, ValueError or
    OverflowError if the value cannot be converted.

    >>> cast([1, 2], np.dtype("uint8")).dtype
    dtype('uint8')
    """
    is_array = isinstance(value, (np.ndarray, np.generic))
    if not is_array and hasattr(value, "__array__"):
        value, is_array = np.asarray(value), True
    casting = config.flat["array.casting"]
    if is_array and value.dtype == dtype:
        return np.asarray(value)
    if dtype.names is not None and casting in ("unsafe", "same_kind") and name_of(dtype):
        value, casting = as_pairs(value, dtype), "unsafe"
        is_array = isinstance(value, np.ndarray)
    if casting != "unsafe":
        found = value.dtype if is_array else np.asarray(value).dtype
        if not np.can_cast(found, dtype, casting):
            msg = (
                f"cannot assign {found} to {dtype} under array.casting={casting!r}; convert the "
                "value with .astype, or set array.casting to 'unsafe' in config"
            )
            raise TypeError(msg)
    if dtype.kind in "OT":
        return _variable(value, dtype, is_array=is_array)
    if not is_array:
        made: Array = np.array(value, dtype=dtype)
        if made.dtype == dtype:
            return made
        value = made
    converted = empty(value.shape, dtype)
    converted[...] = value
    return converted


def elements(value: Any, data_type: DataType) -> Array:
    """Return a value as ``cast`` does, with zero for the bits that the data type does not use.

    >>> elements([1, 2], from_numpy("complex_float16"))["real"].tolist()
    [1.0, 2.0]
    """
    return data_type.cleared(cast(value, data_type.numpy))


def converted(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return an array of elements that were read, converted to ``dtype``.

    >>> converted(np.array([1.5]), np.dtype("i4"))
    array([1], dtype=int32)
    """
    if name_of(array.dtype) is not None and dtype.names is None:
        array = as_numbers(array)
    elif name_of(dtype) is not None:
        array = as_pairs(array, dtype)
    return array.astype(dtype, copy=False)


def target(dtype: Any) -> np.dtype[Any]:
    """Return the dtype to convert to; names of format 3 that NumPy does not know are allowed.

    >>> target("f4"), target("complex_float16").names
    (dtype('float32'), ('real', 'imag'))
    """
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        found = from_numpy(dtype).numpy
    return found


def _variable(value: Any, dtype: np.dtype[Any], *, is_array: bool) -> Array:
    """Return a value as an array of strings or objects.

    Among strings, what is missing becomes the empty string: None, NaN, NaT, ``pandas.NA``, and the
    ``na_object`` of a ``StringDType``, unless that is itself a string.
    """
    if dtype.kind == "O":
        return np.asarray(value, dtype=object)
    marker = getattr(value.dtype, "na_object", None) if is_array else None
    if is_array and value.dtype.kind != "O" and not hasattr(value.dtype, "na_object"):
        text = _strings(value, dtype)
        if value.dtype.kind in "fcmM":
            text[np.asarray(value != value)] = ""  # noqa: PLR0124  (NaN and NaT differ)
        return text
    objects = np.asarray(value, dtype=object)
    if set(map(type, objects.ravel().tolist())) <= {str}:
        # Fast path, taking half the time: an array of str objects has no missing values.
        return _strings(objects, dtype)
    return _strings(without_missing(objects, marker), dtype)


def _strings(values: Any, dtype: np.dtype[Any]) -> Array:
    """Return text as strings; raise ValueError, naming the element, for a lone surrogate."""
    try:
        return np.array(values, dtype=dtype)
    except (UnicodeEncodeError, TypeError) as error:
        texts = np.asarray(values)
        for place, text in enumerate(texts.ravel().tolist()):
            if isinstance(text, str) and not is_text(text):
                index = tuple(map(int, np.unravel_index(place, texts.shape)))
                what = f"element {index} of the value" if index else "the value"
                msg = f"{what}, {show(text)}, has a lone surrogate, which UTF-8 cannot encode"
                raise ValueError(msg) from error
        raise


def single(value: Any) -> Array:
    """Return a zero-dimensional object array whose element is ``value``, even if it is a list.

    >>> single([1, 2]).shape
    ()
    """
    made = np.empty((), dtype=object)
    made[()] = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
    return made


def objects(value: Any, layout: Layout, shape: tuple[int, ...]) -> Array:
    """Return a value as an array of objects of a shape, each of which can be stored.

    Raise TypeError or ``CodecError``, naming the element, if one cannot. This is found out before
    anything is written; only a chunk that is written alone is left to its codec.
    """
    made = single(value) if not shape else cast(value, np.dtype(object))
    found = layout.dtype.checked(made)
    if found.size > 1 and prod(layout.grid_shape) > 1:
        layout.program.serializer.check(found)
    return fit(found, shape)


def fit(value: Array, shape: tuple[int, ...]) -> Array:
    """Return a value broadcast to the shape that it is assigned to.

    Raise ``ShapeError``, a ValueError with NumPy's message, if it cannot be broadcast.
    """
    if value.shape == shape:
        return value
    try:
        # Assignment drops leading axes of length one, which `broadcast_to` does not.
        extra = value.ndim - len(shape)
        if extra > 0 and value.shape[:extra] == (1,) * extra:
            return np.broadcast_to(value.reshape(value.shape[extra:]), shape)
        return np.broadcast_to(value, shape)
    except ValueError:
        given, wanted = (str(s).replace(" ", "") for s in (value.shape, shape))
        msg = f"could not broadcast input array from shape {given} into shape {wanted}"
        raise errors.ShapeError(msg) from None


def field_dtype(dtype: np.dtype[Any], fields: str | list[str]) -> np.dtype[Any]:
    """Return the dtype of one field, or the packed record dtype of a list of fields.

    Raise ``SelectionError`` if a field does not exist.
    """
    names = [fields] if isinstance(fields, str) else fields
    known: Mapping[str, Any] = dtype.fields or {}
    for name in names:
        if name not in known:
            there = f"its fields are {', '.join(known)}" if known else "the array has no fields"
            msg = f"unknown field {name!r}; {there}"
            raise errors.SelectionError(msg)
    if isinstance(fields, str):
        found: np.dtype[Any] = known[fields][0]
        return found
    return np.dtype([(name, known[name][0]) for name in fields])
