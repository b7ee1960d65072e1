"""Numbers that are stored as integers, which must fit.

Rules of this file:

* xarray scales, rounds and converts, and NumPy takes the lowest bits of what does not fit. Nothing
  of that is repeated here: the least and the largest number are compared with what can be stored.
* Numbers in memory are checked before anything is changed, blocks when they are computed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from xarray import Variable
from xarray.namedarray.parallelcompat import get_chunked_array_type

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


class _Integers(NamedTuple):
    """How the numbers of a variable are stored, as far as the range of integers is concerned."""

    name: Hashable
    dtype: np.dtype[Any]
    least: int
    largest: int
    scale: float
    offset: float
    #: Whether NaN is stored as a number that stands for missing elements.
    masks: bool
    #: Whether the numbers may be scaled in single precision.
    single: bool


def checked(variable: Variable, name: Hashable) -> Variable:
    """Return a variable whose numbers fit into the integers that its encoding asks for.

    Raise ValueError, for blocks when they are computed, if one does not.

    >>> import xarray as xr
    >>> few = xr.Variable("x", [1, 300], encoding={"dtype": "uint8"})
    >>> checked(few, "few")
    Traceback (most recent call last):
    ValueError: variable 'few': 300 does not fit into uint8, as which it is to be stored; ...
    """
    rule = _rule(variable, name)
    if rule is None:
        return variable
    data = variable.data
    if variable.chunks:
        manager: Any = get_chunked_array_type(data)
        # It returns the block that it has checked.
        data = manager.map_blocks(partial(_check, rule=rule), data, dtype=data.dtype)
    else:
        _check(data, rule)
    return Variable(variable.dims, data, variable.attrs, variable.encoding, fastpath=True)


def _rule(variable: Variable, name: Hashable) -> _Integers | None:
    """Return what the numbers of a variable are checked by, or None if all of them fit."""
    # The same words among the attributes say what the numbers mean, and change none.
    words: Mapping[Any, Any] = variable.encoding
    try:
        dtype = np.dtype(words.get("dtype", variable.dtype))
    except TypeError:  # it is a class of xarray's for text
        return None
    if dtype.kind not in "iu" or variable.dtype.kind not in "iuf":
        return None
    given = (words.get("scale_factor"), words.get("add_offset"))
    scale, offset = (None if one is None else np.asarray(one)[()] for one in given)
    if scale is None and offset is None and np.can_cast(variable.dtype, dtype):
        return None
    least, largest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if "_Unsigned" in words:
        # Integers of the other sign are stored by their bits, and are told apart by the attribute.
        least, largest = -(1 << (8 * dtype.itemsize - 1)), (1 << 8 * dtype.itemsize) - 1
    return _Integers(
        name,
        dtype,
        least,
        largest,
        1.0 if scale is None else scale.item(),
        0.0 if offset is None else offset.item(),
        any(words.get(word) is not None for word in ("_FillValue", "missing_value")),
        variable.dtype.itemsize <= (4 if variable.dtype.kind == "f" else 2)
        or any(one is not None and one.dtype == np.float32 for one in (scale, offset)),
    )


def _check(block: Any, rule: _Integers) -> Any:
    """Return a block; raise ValueError if one of its numbers does not fit."""
    if not block.size:
        return block
    array = np.asarray(block)
    least, largest = array.min(), array.max()
    if array.dtype.kind == "f" and np.isnan(least):
        if not rule.masks:
            msg = (
                f"variable {rule.name!r}: NaN does not fit into {rule.dtype}, as which it is to be "
                "stored; pass encoding with a _FillValue that stands for it, or another dtype"
            )
            raise ValueError(msg)
        there = array[~np.isnan(array)]
        if not there.size:
            return block
        least, largest = there.min(), there.max()
    for value in (least, largest):
        if not all(_fits(number, rule) for number in _stored(value, rule)):
            scaled = f" with scale_factor {rule.scale} and add_offset {rule.offset}"
            how = "" if (rule.scale, rule.offset) == (1, 0) else scaled
            msg = (
                f"variable {rule.name!r}: {value.item()} does not fit into {rule.dtype}{how}, as "
                "which it is to be stored; clip it, or store the whole variable with encoding of "
                "another dtype"
            )
            raise ValueError(msg)
    return block


def _stored(value: Any, rule: _Integers) -> list[Any]:
    """Return a number as it is stored, in each precision that may be computed with."""
    if (rule.scale, rule.offset) == (1, 0):
        return [value]
    kinds = (np.float64, np.float32) if rule.single else (np.float64,)
    with np.errstate(all="ignore"):
        return [(kind(value) - kind(rule.offset)) / kind(rule.scale) for kind in kinds]


def _fits(number: Any, rule: _Integers) -> bool:
    return bool(np.isfinite(number)) and rule.least <= round(number.item()) <= rule.largest
