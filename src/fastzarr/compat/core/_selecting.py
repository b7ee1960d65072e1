"""What a selection of zarr-python is made of: the kinds of its items, and what they stand for.

Rules of this file:

* A selection is looked at here, and not changed: reading and writing go to fastzarr, which
  normalises it again (``selection/index.py``).
"""

from __future__ import annotations

import math
import numbers
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastzarr.errors import ArrayIndexError, BoundsCheckError, NegativeStepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Fields: TypeAlias = str | list[str] | tuple[str, ...]


def ensure_tuple(v: Any) -> tuple[Any, ...]:
    """Return a selection as a tuple of its items."""
    return v if isinstance(v, tuple) else (v,)


def is_bool(x: Any) -> bool:
    """Whether this is one boolean."""
    return type(x) in (bool, np.bool_)


def is_integer(x: Any) -> bool:
    """Whether this is one integer, and no boolean."""
    return type(x) is int or (isinstance(x, numbers.Integral) and not is_bool(x))


def is_integer_list(x: Any) -> bool:
    """Whether this is a list of integers that is not empty."""
    return isinstance(x, list) and bool(x) and all(map(is_integer, x))


def is_bool_list(x: Any) -> bool:
    """Whether this is a list of booleans that is not empty."""
    return isinstance(x, list) and bool(x) and all(map(is_bool, x))


def _is_array(x: Any, kinds: str, ndim: int | None) -> bool:
    if np.isscalar(x) or not (hasattr(x, "shape") and hasattr(x, "dtype")):
        return False
    kind = getattr(x.dtype, "kind", "")
    return bool(kind) and kind in kinds and (ndim is None or len(x.shape) == ndim)


def is_integer_array(x: Any, ndim: int | None = None) -> bool:
    """Whether this is an array of integers, of so many axes."""
    return _is_array(x, "iu", ndim)


def is_bool_array(x: Any, ndim: int | None = None) -> bool:
    """Whether this is an array of booleans, of so many axes."""
    return _is_array(x, "b", ndim)


def is_int_or_bool_iterable(x: Any) -> bool:
    """Whether this is a list or an array of integers or booleans."""
    return is_integer_list(x) or is_integer_array(x) or is_bool_array(x) or is_bool_list(x)


def is_scalar(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a value is one element; a tuple may be one of a structured dtype."""
    if np.isscalar(value) or getattr(value, "shape", None) == ():
        return True
    names = dtype.names
    return isinstance(value, tuple) and names is not None and len(value) == len(names)


def is_slice(s: Any) -> bool:
    """Whether this is a slice."""
    return isinstance(s, slice)


def is_contiguous_slice(s: Any) -> bool:
    """Whether this is a slice without gaps."""
    return is_slice(s) and s.step in (None, 1)


def is_positive_slice(s: Any) -> bool:
    """Whether this is a slice that goes forward."""
    return is_slice(s) and (s.step is None or s.step >= 1)


def is_contiguous_selection(selection: Any) -> bool:
    """Whether a selection consists of slices without gaps, ellipses and arrays of integers."""
    items = ensure_tuple(selection)
    return all(is_integer_array(s) or is_contiguous_slice(s) or s is Ellipsis for s in items)


def is_basic_selection(selection: Any) -> bool:
    """Whether a selection consists of integers and slices that go forward."""
    return all(is_integer(s) or is_positive_slice(s) for s in ensure_tuple(selection))


def is_pure_fancy_indexing(selection: Any, ndim: int) -> bool:
    """Whether a selection consists of integers and arrays that NumPy would broadcast together."""
    if is_bool_array(selection):
        return True
    if ndim == 1 and (
        is_integer_list(selection) or is_integer_array(selection) or is_bool_list(selection)
    ):
        return True
    if not isinstance(selection, tuple) or len(selection) != ndim:
        return False
    several = [is_integer_list(item) or is_integer_array(item) for item in selection]
    return any(several) and all(
        many or is_integer(item) for many, item in zip(several, selection, strict=True)
    )


def is_pure_orthogonal_indexing(selection: Any, ndim: int) -> bool:
    """Whether the arrays of a selection can only be meant for an axis each."""
    if not ndim:
        return False
    items = ensure_tuple(selection)
    several = [is_int_or_bool_iterable(item) for item in items]
    if len(items) == ndim and all(several):
        return True
    return (
        len(items) <= ndim
        and sum(several) <= 1
        and all(
            many or isinstance(item, int | slice) for many, item in zip(several, items, strict=True)
        )
    )


def is_coordinate_selection(selection: Any, shape: tuple[int, ...]) -> bool:
    """Whether a selection has integers, or an array of them, for every axis."""
    return (
        isinstance(selection, tuple)
        and len(selection) == len(shape)
        and all(is_integer(item) or is_integer_array(item) for item in selection)
    )


def is_mask_selection(selection: Any, shape: tuple[int, ...]) -> bool:
    """Whether a selection is an array of booleans of the shape of the array."""
    return (
        isinstance(selection, tuple)
        and len(selection) == 1
        and is_bool_array(selection[0])
        and selection[0].shape == shape
    )


def replace_lists(selection: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a selection with arrays in place of lists."""
    return tuple(np.asarray(item) if isinstance(item, list) else item for item in selection)


def err_too_many_indices(selection: Any, shape: tuple[int, ...]) -> None:
    """Raise IndexError for a selection of more items than axes."""
    msg = f"too many indices for array; expected {len(shape)}, got {len(selection)}"
    raise IndexError(msg)


def check_selection_length(selection: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    """Raise IndexError if a selection has more items than the array has axes."""
    if len(selection) > len(shape):
        err_too_many_indices(selection, shape)


def replace_ellipsis(selection: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return a selection with one item for each axis, slices in place of what is missing."""
    items = ensure_tuple(selection)
    places = [place for place, item in enumerate(items) if item is Ellipsis]
    if len(places) > 1:
        msg = "an index can only have a single ellipsis ('...')"
        raise IndexError(msg)
    at = places[0] if places else len(items)
    named = items[:at] + items[at + 1 :]
    missing = (slice(None),) * max(len(shape) - len(named), 0)
    found = named[:at] + missing + named[at:]
    check_selection_length(found, shape)
    return found


def normalize_integer_selection(dim_sel: int, dim_len: int) -> int:
    """Return an index that is not negative; raise BoundsCheckError if it is outside the axis."""
    found = int(dim_sel)
    if found < 0:
        found += dim_len
    if not 0 <= found < dim_len:
        raise out_of_bounds(dim_len)
    return found


def out_of_bounds(dim_len: int) -> BoundsCheckError:
    """Return the error for an index outside an axis."""
    return BoundsCheckError(f"index out of bounds for dimension with length {dim_len}")


def wraparound_indices(x: NDArray[Any], dim_len: int) -> NDArray[Any]:
    """Return indices of which those counted from the end are counted from the start."""
    negative = x < 0
    return np.where(negative, x + dim_len, x) if negative.any() else x


def boundscheck_indices(x: NDArray[Any], dim_len: int) -> None:
    """Raise BoundsCheckError if an index is outside the axis."""
    if x.size and (x.min() < 0 or x.max() >= dim_len):
        raise out_of_bounds(dim_len)


def check_axis(item: NDArray[Any], dim_len: int) -> None:
    """Raise IndexError unless an array can select along an axis."""
    what = "Boolean" if is_bool_array(item) else "integer"
    if item.ndim != 1:
        msg = f"{what} arrays in an orthogonal selection must be 1-dimensional only"
        raise IndexError(msg)
    if what == "integer":
        boundscheck_indices(wraparound_indices(item, dim_len), dim_len)
    elif item.shape[0] != dim_len:
        msg = (
            "Boolean array has the wrong length for dimension; "
            f"expected {dim_len}, got {item.shape[0]}"
        )
        raise IndexError(msg)


def check_steps(items: tuple[Any, ...]) -> None:
    """Raise NegativeStepError if a slice goes backward or stands still."""
    for item in items:
        if isinstance(item, slice) and item.step is not None and item.step < 1:
            msg = f"only slices with step >= 1 are supported, got {item}"
            raise NegativeStepError(msg)


BASIC = "basic indexing; expected integer or slice"
ARRAYS = "orthogonal indexing; expected integer, slice, integer array or Boolean array"
BLOCKS = "block indexing; expected integer or slice with step=1"


def unsupported(kind: str, item: Any) -> IndexError:
    """Return the error for an item that a kind of selection does not have."""
    return IndexError(f"unsupported selection item for {kind}, got {type(item)!r}")


def invalid_coordinates(selection: Any) -> IndexError:
    """Return the error for a selection that has not an array of integers for every axis."""
    msg = (
        "invalid coordinate selection; expected one integer (coordinate) array per dimension of "
        f"the target array, got {selection!r}"
    )
    return IndexError(msg)


def invalid_mask(items: Any) -> IndexError:
    """Return the error for a selection that is no mask of the array."""
    msg = (
        "invalid mask selection; expected one Boolean (mask) array with the same shape as the "
        f"target array, got {items!r}"
    )
    return IndexError(msg)


def check_fields(fields: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the chosen fields; raise IndexError if there are no such fields."""
    if fields is None:
        return dtype
    if not isinstance(fields, str | list | tuple):
        msg = f"'fields' argument must be a string or list of strings; found {type(fields)!r}"
        raise IndexError(msg)
    if not fields:
        return dtype
    if dtype.names is None:
        msg = "invalid 'fields' argument, array does not have any fields"
        raise IndexError(msg)
    try:
        if isinstance(fields, str):
            return dtype[fields]
        return np.dtype([(name, dtype[name]) for name in fields])
    except KeyError as error:
        msg = f"invalid 'fields' argument, field not found: {error!r}"
        raise IndexError(msg) from error


def check_no_multi_fields(fields: Any) -> Any:
    """Return a single field; raise IndexError if there are several."""
    if isinstance(fields, list):
        if len(fields) > 1:
            msg = "multiple fields are not supported for this operation"
            raise IndexError(msg)
        return fields[0] if fields else fields
    return fields


def pop_fields(selection: Any) -> tuple[Any, Any]:
    """Return the fields that a selection names, and its other items."""
    if isinstance(selection, str):
        return selection, ()
    if not isinstance(selection, tuple):
        return None, selection
    names = [item for item in selection if isinstance(item, str)]
    rest = tuple(item for item in selection if not isinstance(item, str))
    return names[0] if len(names) == 1 else names, rest[0] if len(rest) == 1 else rest


def make_slice_selection(selection: Any) -> list[Any]:
    """Return a selection of single elements as slices of length 1; others stay as they are."""
    found: list[Any] = []
    for item in selection:
        one = item
        if isinstance(item, np.ndarray):
            if len(item) != 1:
                msg = f"only an array of one index can become a slice, got {item!r}"
                raise ArrayIndexError(msg)
            one = item[0]
        found.append(slice(int(one), int(one) + 1, 1) if is_integer(one) else one)
    return found


def slice_to_range(s: slice, length: int) -> range:
    """Return the indices of a slice along an axis."""
    return range(*s.indices(length))


def ix_(selection: Any, shape: tuple[int, ...]) -> Any:
    """Return an orthogonal selection as NumPy's ``ix_`` does; it may have slices and integers."""
    items = replace_ellipsis(selection, shape)
    return np.ix_(
        *[
            slice_to_range(item, size)
            if isinstance(item, slice)
            else [item]
            if is_integer(item)
            else item
            for item, size in zip(items, shape, strict=True)
        ]
    )


def oindex(a: NDArray[Any], selection: Any) -> NDArray[Any]:
    """Return the elements of a NumPy array that an orthogonal selection selects."""
    items = replace_ellipsis(selection, a.shape)
    found: NDArray[Any] = a[ix_(items, a.shape)]
    return found.squeeze(axis=tuple(i for i, item in enumerate(items) if is_integer(item)))


def oindex_set(a: NDArray[Any], selection: Any, value: Any) -> None:
    """Assign to the elements of a NumPy array that an orthogonal selection selects."""
    items = replace_ellipsis(selection, a.shape)
    single = tuple(i for i, item in enumerate(items) if is_integer(item))
    if single and not np.isscalar(value):
        value = np.expand_dims(np.asanyarray(value), single)
    a[ix_(items, a.shape)] = value


def _iter_grid(
    grid_shape: Sequence[int],
    *,
    origin: Sequence[int] | None = None,
    selection_shape: Sequence[int] | None = None,
    order: str = "lexicographic",
) -> Iterator[tuple[int, ...]]:
    """Iterate over the coordinates of a grid, or of a box of it.

    >>> list(_iter_grid((2, 3), origin=(1, 1)))
    [(1, 1), (1, 2)]
    """
    if order != "lexicographic":
        msg = f"Indexing order {order} is not supported at this time."
        raise NotImplementedError(msg)
    first = (0,) * len(grid_shape) if origin is None else tuple(origin)
    if len(first) != len(grid_shape):
        msg = (
            "Shape and origin parameters must have the same length. "
            f"Got {len(grid_shape)} elements in shape, but {len(first)} elements in origin."
        )
        raise ValueError(msg)
    if selection_shape is None:
        counts = tuple(size - start for start, size in zip(first, grid_shape, strict=True))
    else:
        counts = tuple(selection_shape)
    axes = []
    for axis, (start, size, count) in enumerate(zip(first, grid_shape, counts, strict=True)):
        if start + count > size:
            msg = (
                f"Invalid selection shape ({count}) for origin ({start}) and grid shape ({size}) "
                f"at axis {axis}."
            )
            raise IndexError(msg)
        axes.append(range(start, start + count))
    return product(*axes)


def _iter_regions(
    domain_shape: Sequence[int],
    region_shape: Sequence[int],
    *,
    origin: Sequence[int] | None = None,
    selection_shape: Sequence[int] | None = None,
    order: str = "lexicographic",
    trim_excess: bool = True,
) -> Iterator[tuple[slice, ...]]:
    """Iterate over the regions of one shape of a domain as tuples of slices.

    >>> list(_iter_regions((3,), (2,)))
    [(slice(0, 2, 1),), (slice(2, 3, 1),)]
    """
    sizes = list(zip(domain_shape, region_shape, strict=True))
    grid_shape = tuple(math.ceil(size / step) for size, step in sizes)
    found = _iter_grid(grid_shape, origin=origin, selection_shape=selection_shape, order=order)
    for coords in found:
        yield tuple(
            slice(k * step, min((k + 1) * step, size) if trim_excess else (k + 1) * step, 1)
            for k, (size, step) in zip(coords, sizes, strict=True)
        )
