"""Any index, normalised to a ``Selection``.

Rules of this file:

* Only this file examines the types of an index. The rest of the package uses ``Selection``, a
  product of *factors* (``factors.py``). A basic selection consists of spans; an orthogonal
  selection has ``Points`` of one axis each; a coordinate selection has ``Points`` of several axes.
* Results and errors are those of NumPy, with one exception that zarr-python 2 and 3 share: if
  exactly one one-dimensional array occurs among integers and slices, as in ``a[i, :, [j, k]]``, its
  axis stays in place (NumPy would move it to the front).
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr import errors
from fastzarr.selection import factors as limits
from fastzarr.selection.factors import Mask, Points, Selection, Span, new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from fastzarr.grids.base import Grid
    from fastzarr.selection.factors import Indices


_VALID = (
    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean "
    "arrays are valid indices"
)


_PLAIN = frozenset({int, slice})
_ALL = slice(None)


def normalise(index: Any, shape: tuple[int, ...]) -> Selection:
    """Return the selection of ``array[index]``.

    Raise an IndexError for an index that NumPy rejects, as all functions of this file do.
    """
    items = index if type(index) is tuple else (index,)
    missing = len(shape) - len(items)
    if missing >= 0 and _PLAIN.issuperset(map(type, items)):
        return _spans(items + (_ALL,) * missing, shape)
    return _build(*_parts(index, shape), _auto)


def basic(index: Any, shape: tuple[int, ...]) -> Selection:
    """Return the selection of an index of integers, slices, an ellipsis and ``newaxis``."""
    return _build(*_parts(index, shape), _refuse_arrays)


def orthogonal(index: Any, shape: tuple[int, ...]) -> Selection:
    """Return the selection of an index whose arrays each select along their own axis."""
    return _build(*_parts(index, shape), _one_axis_each)


def coordinate(index: Any, shape: tuple[int, ...]) -> Selection:
    """Return the selection of an index whose arrays and integers are broadcast together."""
    return _build(*_parts(index, shape), _together)


def mask(index: Any, shape: tuple[int, ...]) -> Selection:
    """Return the selection of a boolean array of shape ``shape``."""
    items, fields = _split_fields(index if type(index) is tuple else (index,))
    array = np.asarray(items[0]) if len(items) == 1 else np.asarray(None)
    if not shape and _is_single(array):
        return _of_single(array, fields)
    if array.dtype != np.bool_ or array.shape != shape:
        what = f"shape {array.shape} and dtype {array.dtype}" if len(items) == 1 else repr(index)
        msg = f"a mask must be a boolean array of the array's shape {shape}, got {what}"
        raise errors.VindexInvalidSelectionError(msg)
    return _build((array,), shape, fields, _together)


def block(index: Any, shape: tuple[int, ...], grid: Grid) -> Selection:
    """Return the selection of an index in units of chunks; an integer keeps its axis."""
    items, fields = _split_fields(index if type(index) is tuple else (index,))
    counts = grid.count(shape)
    spans: list[Any] = []
    for axis, item in enumerate(_expand(items, len(shape))):
        if isinstance(item, slice):
            start, stop, step = item.indices(counts[axis])
            if step != 1:
                msg = f"block indices must be integers or slices with step 1, not {item}"
                raise errors.SelectionError(msg)
        elif item is None or (number := _integer(item)) is None:
            msg = f"block indices must be integers or slices with step 1, not {item!r}"
            raise errors.SelectionError(msg)
        else:
            start = _in_bounds(number, axis, counts[axis])
            stop = start + 1
        size = shape[axis]
        spans.append(slice(min(grid.start(axis, start), size), min(grid.start(axis, stop), size)))
    return _build(tuple(spans), shape, fields, _refuse_arrays)


def _parts(index: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], tuple[int, ...], Any]:
    items, fields = _split_fields(index if type(index) is tuple else (index,))
    return items, shape, fields


def _split_fields(items: tuple[Any, ...]) -> tuple[tuple[Any, ...], str | list[str] | None]:
    """Split an index into its other items and the field names, None if there are none."""
    names: list[str] = []
    single, rest = True, []
    for item in items:
        if isinstance(item, str):
            names.append(item)
        elif isinstance(item, list) and item and all(isinstance(name, str) for name in item):
            names += item
            single = False
        else:
            rest.append(item)
    if not names:
        return items, None
    return tuple(rest), names[0] if single and len(names) == 1 else names


def _build(
    items: tuple[Any, ...], shape: tuple[int, ...], fields: Any, arrange: Callable[..., Selection]
) -> Selection:
    """Return the selection of an index, by ``arrange`` if it needs more than spans."""
    if not shape and len(items) == 1 and _is_single(items[0]):
        return _of_single(items[0], fields)
    if len(items) != len(shape) or not _PLAIN.issuperset(map(type, items)):
        items = tuple(_expand(items, len(shape)))
    kinds = set(map(type, items))
    if np.ndarray in kinds or (arrange is _together and int in kinds):
        return arrange(items, shape, fields)
    return _spans(items, shape)._replace(fields=fields)


def _is_single(item: Any) -> bool:
    """Whether an item of an index is a boolean of NumPy, without dimensions."""
    return isinstance(item, (np.ndarray, np.bool_)) and item.dtype == np.bool_ and not item.ndim


def _of_single(mask: Any, fields: Any) -> Selection:
    """Return the selection of a mask of an array without dimensions: its element, or none."""
    return Selection((), () if mask else (0,), (1,) if mask else (0,), fields)


def _spans(items: tuple[Any, ...], shape: tuple[int, ...], axis: int = 0) -> Selection:
    """Return the selection of integers, slices and None; the first item is for ``axis``."""
    factors: list[Span | Points] = []
    work: list[int] = []
    out: list[int] = []
    for item in items:
        if item is None:
            out.append(1)
            continue
        size = shape[axis]
        if type(item) is int:
            start = item + size if item < 0 else item
            if not 0 <= start < size:
                _in_bounds(item, axis, size)
            factors.append(new(Span, (axis, start, 1, 1)))
            work.append(1)
        else:
            start, stop, step = item.indices(size)
            # The length of range(start, stop, step), for either sign of the step.
            count = max((stop - start + step - (1 if step > 0 else -1)) // step, 0)
            if count <= 1:
                step = 1  # it may be any integer, also one too large for the plan
            factors.append(new(Span, (axis, start, step, count)))
            work.append(count)
            out.append(count)
        axis += 1
    return new(Selection, (tuple(factors), tuple(work), tuple(out), None))


def _expand(items: tuple[Any, ...], ndim: int) -> Iterator[Any]:
    """Yield the items normalised, with slices in place of an ellipsis and of missing items."""
    prepared = [_item(item) for item in items]
    used = sum(_consumed(item) for item in prepared)
    dots = sum(item is Ellipsis for item in prepared)
    if dots > 1:
        msg = "an index can only have a single ellipsis ('...')"
        raise errors.SelectionError(msg)
    if used > ndim:
        msg = f"too many indices for array: array is {ndim}-dimensional, but {used} were indexed"
        raise errors.SelectionError(msg)
    missing = [slice(None)] * (ndim - used)
    for item in prepared:
        if item is Ellipsis:
            yield from missing
        else:
            yield item
    if not dots:
        yield from missing


def _item(item: Any) -> Any:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    number = _integer(item)
    if number is not None:
        return number
    if isinstance(item, (bool, np.bool_, str, bytes, float, complex)):
        msg = f"{_VALID}, not {item!r}"
        raise errors.SelectionError(msg)
    array = np.asarray(item)
    if array.size == 0 and not isinstance(item, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype == np.bool_:
        if array.ndim:
            return array
        msg = f"{_VALID}, not {item!r}"
        raise errors.SelectionError(msg)
    if array.dtype.kind not in "iu":
        msg = f"arrays used as indices must be of integer (or boolean) type, not {array.dtype}"
        raise errors.ArrayIndexError(msg)
    return array


def _integer(item: Any) -> int | None:
    """Return an integer or a zero-dimensional integer array as an int, or None if it is neither."""
    if isinstance(item, (bool, np.bool_)) or (hasattr(item, "ndim") and item.ndim):
        return None
    try:
        return operator.index(item)
    except TypeError:
        return None


def _consumed(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype == np.bool_ else 1


def _in_bounds(number: int, axis: int, size: int) -> int:
    start = number + size if number < 0 else number
    if not 0 <= start < size:
        msg = f"index {number} is out of bounds for axis {axis} with size {size}"
        raise errors.BoundsCheckError(msg)
    return start


def _refuse_arrays(items: tuple[Any, ...], shape: tuple[int, ...], fields: Any) -> Selection:
    del shape, fields
    found = next(item for item in items if isinstance(item, np.ndarray))
    msg = (
        "a basic selection takes integers, slices, an ellipsis and numpy.newaxis, not an array of "
        f"shape {found.shape}; use .oindex or .vindex for arrays"
    )
    raise errors.SelectionError(msg)


def _auto(items: tuple[Any, ...], shape: tuple[int, ...], fields: Any) -> Selection:
    arrays = [item for item in items if isinstance(item, np.ndarray)]
    if len(arrays) == 1 and arrays[0].ndim == 1 and type(None) not in set(map(type, items)):
        return _one_axis_each(items, shape, fields)
    return _together(items, shape, fields)


def _one_axis_each(items: tuple[Any, ...], shape: tuple[int, ...], fields: Any) -> Selection:
    factors: list[Span | Points | Mask] = []
    out: list[int] = []
    axis = 0
    for item in items:
        if isinstance(item, np.ndarray):
            if item.ndim != 1:
                msg = (
                    "the arrays of an orthogonal selection must be one-dimensional, but the one "
                    f"for axis {axis} has shape {item.shape}"
                )
                raise errors.ArrayIndexError(msg)
            mask = _large_mask(item, axis, shape) if item.size > limits.MANY else None
            if mask is None:
                (coords,) = _coordinates(item, axis, shape)
                factors.append(Points((axis,), (coords,), coords.size))
            else:
                factors.append(mask)
            out.append(factors[-1].size)
        else:
            spans = _spans((item,), shape, axis)
            factors += spans.factors
            out += spans.shape
        axis += item is not None
    return Selection(tuple(factors), tuple([f.size for f in factors]), tuple(out), fields)


def _together(items: tuple[Any, ...], shape: tuple[int, ...], fields: Any) -> Selection:
    """Return the selection with arrays and integers broadcast, and axes placed as by NumPy."""
    axes: list[int] = []
    arrays: list[Any] = []
    spans: list[tuple[int, Any]] = []
    places: list[int] = []
    mask: Mask | None = None
    axis = 0
    for place, item in enumerate(items):
        if item is None or isinstance(item, slice):
            spans.append((axis, item))
            axis += item is not None
            continue
        if isinstance(item, np.ndarray) and item.size > limits.MANY and _is_alone(items):
            mask = _large_mask(item, axis, shape)
            if mask is not None:
                places.append(place)
                axis += item.ndim
                continue
        coords = (
            _coordinates(item, axis, shape)
            if isinstance(item, np.ndarray)
            else [np.asarray(_in_bounds(item, axis, shape[axis]), dtype=np.int64)]
        )
        axes += range(axis, axis + len(coords))
        arrays += coords
        places.append(place)
        axis += len(coords)
    points: Points | Mask
    if mask is None:
        try:
            together = np.broadcast_arrays(*arrays)
        except ValueError:
            shapes = " ".join(str(array.shape).replace(" ", "") for array in arrays)
            msg = (
                "shape mismatch: indexing arrays could not be broadcast together with shapes "
                f"{shapes}"
            )
            raise errors.ArrayIndexError(msg) from None
        joint = together[0].shape
        points = Points(tuple(axes), tuple(a.reshape(-1) for a in together), together[0].size)
    else:
        points, joint = mask, (mask.size,)
    # NumPy puts the broadcast axes in place of the indices if these are adjacent, else first.
    first = places[0] if places[-1] - places[0] == len(places) - 1 else 0
    before = sum(item is None or isinstance(item, slice) for item in items[:first])
    factors: list[Span | Points | Mask] = []
    out: list[int] = []
    for number, (axis, item) in enumerate([*spans, (0, points)]):
        if number == before:
            factors.append(points)
            out += joint
        if item is not points:
            found = _spans((item,), shape, axis)
            factors += found.factors
            out += found.shape
    return Selection(tuple(factors), tuple([f.size for f in factors]), tuple(out), fields)


def _is_alone(items: tuple[Any, ...]) -> bool:
    """Whether a single item is an array or integer, so that it is not broadcast."""
    return sum(item is not None and not isinstance(item, slice) for item in items) == 1


def _large_mask(array: NDArray[Any], axis: int, shape: tuple[int, ...]) -> Mask | None:
    """Return an index array as a mask from ``axis`` on; None if it is no mask, or not a large one.

    None is returned for a mask of another shape too.
    """
    axes = tuple(range(axis, axis + array.ndim))
    if array.dtype != np.bool_ or array.shape != tuple([shape[axis] for axis in axes]):
        return None
    # A copy, so that the number of elements stays right if another thread changes the array.
    array = array.copy()
    size = int(np.count_nonzero(array))
    return Mask(axes, array, size) if size > limits.MANY else None


def _coordinates(array: NDArray[Any], axis: int, shape: tuple[int, ...]) -> list[Indices]:
    """Return the non-negative coordinates of an index array, one array for each of its axes."""
    if array.dtype == np.bool_:
        for i, (found, size) in enumerate(zip(array.shape, shape[axis:], strict=False)):
            if found != size:
                msg = (
                    f"boolean index did not match indexed array along axis {axis + i}; "
                    f"size of axis is {size} but size of corresponding boolean axis is {found}"
                )
                raise errors.ArrayIndexError(msg)
        return [found.astype(np.int64, copy=False) for found in array.nonzero()]
    size = shape[axis]
    if array.dtype == np.uint64 and array.size and array.max() >= size:
        _in_bounds(int(array.max()), axis, size)
    coords = array.astype(np.int64, copy=True)
    if coords.size:
        low, high = int(coords.min()), int(coords.max())
        if low < -size or high >= size:
            _in_bounds(low if low < -size else high, axis, size)
        if low < 0:
            coords[coords < 0] += size
    return [coords]
