"""Assignment, as NumPy assigns: the same casts, the same errors, the same warnings.

Rules of this file:

* A value is cast as a whole before anything is written, so that one that cannot be cast leaves the
  array as it was.
* Casting follows ``a[...] = value``: an over-long fixed string is cut, a Python integer out of
  range raises, an array of another type is converted with NumPy's warnings. ``array.casting`` in
  ``config`` asks for less (``same_kind``, ``safe``, ``equiv``, ``no``), then a value of another
  type raises ``TypeError``.
* A value is broadcast as NumPy broadcasts: one that does not fit raises ``ValueError`` and never
  loses an element.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import errors
from fastzarr.config import config

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = np.ndarray[Any, Any]


def cast(value: Any, dtype: np.dtype[Any]) -> Array:
    """Give a value as an array of ``dtype``, as assigning it to one would store it.

    >>> cast([1, 2], np.dtype("uint8")).dtype
    dtype('uint8')
    """
    is_array = isinstance(value, (np.ndarray, np.generic))
    if not is_array and hasattr(value, "__array__"):
        value, is_array = np.asarray(value), True
    casting = config["array.casting"]
    if is_array and value.dtype == dtype:
        return np.asarray(value)
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
        return np.array(value, dtype=dtype)
    converted = np.empty(value.shape, dtype=dtype)
    converted[...] = value
    return converted


def _variable(value: Any, dtype: np.dtype[Any], *, is_array: bool) -> Array:
    """Make strings and objects; None among strings is the empty string, as zarr-python has it.

    So is what a ``StringDType`` marks as missing.
    """
    if dtype.kind == "O":
        return np.asarray(value, dtype=object)
    marker = getattr(value.dtype, "na_object", None) if is_array else None
    if is_array and value.dtype.kind != "O" and not hasattr(value.dtype, "na_object"):
        return np.asarray(value, dtype=dtype)
    objects = np.asarray(value, dtype=object)
    if type(marker) is not str and set(map(type, objects.ravel().tolist())) <= {str}:
        # Nothing but text, as mostly, has none that is missing; to ask each takes twice as long.
        return objects.astype(dtype)
    missing = np.frompyfunc(lambda found: found is None or found is marker, 1, 1)(objects)
    missing = np.asarray(missing, dtype=bool)
    if missing.any():
        objects = np.where(missing, "", objects)
    return objects.astype(dtype)


def single(value: Any) -> Array:
    """Give any object, a list or an array as well, as the one element of an array of objects.

    >>> single([1, 2]).shape
    ()
    """
    made = np.empty((), dtype=object)
    made[()] = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
    return made


def fit(value: Array, shape: tuple[int, ...]) -> Array:
    """Broadcast a value to the shape of what it is assigned to.

    Raises ``ValueError`` in NumPy's words where it does not fit.
    """
    if value.shape == shape:
        return value
    try:
        # Assignment drops leading axes of length one that a plain broadcast would keep.
        extra = value.ndim - len(shape)
        if extra > 0 and value.shape[:extra] == (1,) * extra:
            return np.broadcast_to(value.reshape(value.shape[extra:]), shape)
        return np.broadcast_to(value, shape)
    except ValueError:
        given, wanted = (str(s).replace(" ", "") for s in (value.shape, shape))
        msg = f"could not broadcast input array from shape {given} into shape {wanted}"
        raise errors.ShapeError(msg) from None


def field_dtype(dtype: np.dtype[Any], fields: str | list[str]) -> np.dtype[Any]:
    """Give the type of one field, or of several taken together and packed.

    Raises ``SelectionError`` for a name that is not a field.
    """
    names = [fields] if isinstance(fields, str) else fields
    known: Mapping[str, Any] = dtype.fields or {}
    for name in names:
        if name not in known:
            there = f"its fields are {', '.join(known)}" if known else "the array has no fields"
            msg = f"no field of name {name!r}; {there}"
            raise errors.SelectionError(msg)
    if isinstance(fields, str):
        found: np.dtype[Any] = known[fields][0]
        return found
    return np.dtype([(name, known[name][0]) for name in fields])
