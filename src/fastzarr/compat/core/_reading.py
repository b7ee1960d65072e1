"""Selections of zarr-python read and written by an array of fastzarr, in plain calls.

Rules of this file:

* A selection that zarr-python refuses is refused here: a slice that goes backward, ``newaxis``, and
  arrays where none are allowed. Everything else is checked by fastzarr.
* A basic selection of one element returns it; other selections return arrays, also of one element.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.compat.core._selecting import (
    ARRAYS,
    BASIC,
    boundscheck_indices,
    check_axis,
    check_fields,
    check_steps,
    ensure_tuple,
    invalid_coordinates,
    invalid_mask,
    is_bool_array,
    is_coordinate_selection,
    is_integer,
    is_integer_array,
    is_mask_selection,
    is_scalar,
    is_slice,
    out_of_bounds,
    replace_ellipsis,
    replace_lists,
    unsupported,
    wraparound_indices,
)
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.config import DEFAULTS, config
from fastzarr.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from fastzarr.nodes.array import Array

    #: A selection checked, as the array inside takes it, and the shape of its result if it differs.
    Checked: TypeAlias = tuple[Any, tuple[int, ...] | None]


def basic(array: Array, selection: Any) -> Checked:
    """Return a selection of integers and slices; raise IndexError for anything else."""
    items = replace_ellipsis(selection, array.shape)
    for item in items:
        if not is_slice(item) and not is_integer(item):
            raise unsupported(BASIC, item)
    check_steps(items)
    return items, None


def orthogonal(array: Array, selection: Any) -> Checked:
    """Return a selection of integers, slices and arrays; raise IndexError for anything else."""
    items = replace_lists(replace_ellipsis(selection, array.shape))
    for item in items:
        if not (
            is_slice(item) or is_integer(item) or is_integer_array(item) or is_bool_array(item)
        ):
            raise unsupported(ARRAYS, item)
    check_steps(items)
    return items, None


def coordinate(array: Array, selection: Any) -> Checked:
    """Return arrays of indices, one for each axis; raise IndexError for anything else."""
    items = replace_lists(ensure_tuple(selection))
    if not is_coordinate_selection(items, array.shape):
        raise invalid_coordinates(selection)
    shape = np.broadcast_shapes(*[np.shape(item) for item in items])
    return items, shape or (1,)


def mask(array: Array, selection: Any) -> Checked:
    """Return a mask of the shape of the array; raise IndexError for anything else."""
    items = replace_lists(ensure_tuple(selection))
    if not is_mask_selection(items, array.shape):
        raise invalid_mask(items)
    return items[0], None


def block(array: Array, selection: Any) -> Checked:
    """Return a selection in units of chunks; raise BoundsCheckError if it is outside."""
    items = replace_ellipsis(selection, array.shape)
    counts = array.layout.grid_shape
    for item, count, size in zip(items, counts, array.shape, strict=True):
        if is_slice(item) and item.start is not None and not -count <= item.start < count:
            raise out_of_bounds(size)
    return items, None


_GET: dict[Callable[[Array, Any], Checked], str] = {
    basic: "get_basic_selection",
    orthogonal: "get_orthogonal_selection",
    coordinate: "get_coordinate_selection",
    mask: "get_mask_selection",
    block: "get_block_selection",
}


def read(
    array: Array,
    kind: Callable[[Array, Any], Checked],
    selection: Any,
    out: Any = None,
    fields: Any = None,
    prototype: Any = None,
) -> Any:
    """Return the elements that a selection of one kind selects."""
    items, shape = kind(array, selection)
    get = getattr(array, _GET[kind])
    options: dict[str, Any] = {}
    if fields:
        check_fields(fields, array.dtype)
        options["fields"] = fields
    if out is not None:
        options["out"] = out.as_ndarray_like() if hasattr(out, "as_ndarray_like") else out
    try:
        found = get(items, **options)
    except IndexError:
        _explain(array, kind, items)
        raise
    if kind is basic:
        if isinstance(found, np.ndarray) and not found.ndim:
            return found[()]
    elif not isinstance(found, np.ndarray):
        found = np.asarray(found, dtype=array.dtype)
    if shape is not None and shape != found.shape:
        found = found.reshape(shape)
    if prototype is None and not has_usual_memory():
        prototype = default_buffer_prototype()
    return found if prototype is None else _dressed(found, prototype)


def has_usual_memory() -> bool:
    """Whether elements are returned in arrays of NumPy, unless a prototype is passed."""
    return config.flat["ndbuffer"] is _USUAL


def _dressed(found: Any, prototype: Any) -> Any:
    """Return elements in the memory that a prototype asks for."""
    kind = prototype.nd_buffer
    if not isinstance(found, np.ndarray) or kind.__module__.startswith(_PLAIN):
        return found
    order = "F" if found.flags.f_contiguous and not found.flags.c_contiguous else "C"
    made = kind.create(shape=found.shape, dtype=found.dtype, order=order)
    made[...] = found
    return made.as_ndarray_like()


_PLAIN = ("zarr.core.buffer.", "fastzarr.compat.core.buffer.")
_USUAL = DEFAULTS["ndbuffer"]


def write(
    array: Array,
    kind: Callable[[Array, Any], Checked],
    selection: Any,
    value: Any,
    fields: Any = None,
) -> None:
    """Assign to the elements that a selection of one kind selects."""
    items, shape = kind(array, selection)
    if kind is coordinate or kind is mask:
        value = _flat(array, items, shape, value)
    put = getattr(array, _GET[kind].replace("get_", "set_"))
    if fields:
        check_fields(fields, array.dtype)
    try:
        put(items, value, **({"fields": fields} if fields else {}))
    except IndexError:
        _explain(array, kind, items)
        raise
    except ShapeError as error:
        msg = f"shape mismatch: {error}"
        raise ShapeError(msg) from error


def _explain(array: Array, kind: Callable[[Array, Any], Checked], items: Any) -> None:
    """Raise the error of zarr-python for arrays that select elements outside the array."""
    if kind is not coordinate and kind is not orthogonal:
        return
    for item, size in zip(items, array.shape, strict=True):
        if kind is orthogonal and not (is_slice(item) or is_integer(item)):
            check_axis(item, size)
        elif not is_slice(item):
            boundscheck_indices(wraparound_indices(np.asarray(item), size), size)


def _flat(array: Array, items: Any, shape: tuple[int, ...] | None, value: Any) -> Any:
    """Return values for elements that zarr-python counts one after the other."""
    if is_scalar(value, array.dtype):
        return value
    found = np.asanyarray(value)
    count = int(np.count_nonzero(items)) if shape is None else int(np.prod(shape))
    if found.size not in (count, 1) or (shape is None and found.ndim > 1):
        msg = (
            f"Attempting to set a selection of {count} elements of array {array.name!r} with an "
            f"array of shape {found.shape}"
        )
        raise ValueError(msg)
    if found.size != count or shape is None:
        return found
    inner = np.broadcast_shapes(*[np.shape(item) for item in items])
    return found.reshape(inner)
