"""What an index means to zarr-python 2."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from fastzarr.v2.errors import (
    ArrayIndexError,
    BoundsCheckError,
    NegativeStepError,
    VindexInvalidSelectionError,
    err_too_many_indices,
)


def is_integer(x: Any) -> bool:
    """Whether a value is an integer.

    >>> is_integer(np.int8(1)), is_integer(1.0)
    (True, False)
    """
    return isinstance(x, numbers.Integral)


def is_integer_list(x: Any) -> bool:
    """Whether a value is a list that begins with an integer.

    >>> is_integer_list([1, 2]), is_integer_list([])
    (True, False)
    """
    return isinstance(x, list) and len(x) > 0 and is_integer(x[0])


def is_integer_array(x: Any, ndim: int | None = None) -> bool:
    """Whether a value is an array of integers, of ``ndim`` axes.

    >>> is_integer_array(np.arange(3), 1)
    True
    """
    found = not np.isscalar(x) and hasattr(x, "shape") and hasattr(x, "dtype")
    return found and x.dtype.kind in "ui" and ndim in (None, len(x.shape))


def is_bool_array(x: Any, ndim: int | None = None) -> bool:
    """Whether a value is a boolean array, of ``ndim`` axes.

    >>> is_bool_array(np.zeros(3, bool), 2)
    False
    """
    return (
        hasattr(x, "shape")
        and hasattr(x, "dtype")
        and x.dtype == bool
        and ndim in (None, len(x.shape))
    )


def is_scalar(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a value is a single element of a dtype.

    >>> is_scalar(1, np.dtype("i4")), is_scalar([1], np.dtype("i4"))
    (True, False)
    """
    if np.isscalar(value):
        return True
    if isinstance(value, tuple) and dtype.names and len(value) == len(dtype.names):
        return True
    return dtype.kind == "O" and not isinstance(value, np.ndarray)


def is_pure_fancy_indexing(selection: Any, ndim: int) -> bool:
    """Whether an index has integers and lists or arrays of integers only, one for each axis.

    >>> is_pure_fancy_indexing(([0, 1], 2), 2)
    True
    """
    if ndim == 1 and _is_integers(selection):
        return True
    return (
        isinstance(selection, tuple)
        and len(selection) == ndim
        and all(is_integer(item) or _is_integers(item) for item in selection)
        and any(map(_is_integers, selection))
    )


def is_pure_orthogonal_indexing(selection: Any, ndim: int) -> bool:
    """Whether an index has at most one list or array of integers, among integers and slices.

    >>> is_pure_orthogonal_indexing(([0, 1], slice(None)), 2)
    True
    """
    if not ndim:
        return False
    if is_integer_list(selection) or is_integer_array(selection, ndim=1):
        return True
    return (
        isinstance(selection, tuple)
        and len(selection) == ndim
        and sum(map(_is_integers, selection)) <= 1
        and all(_is_integers(item) or isinstance(item, (int, slice)) for item in selection)
    )


def _is_integers(item: Any) -> bool:
    return is_integer_list(item) or is_integer_array(item)


def normalize_integer_selection(dim_sel: Any, dim_len: int) -> int:
    """Return an index of an axis, counted from its start.

    >>> normalize_integer_selection(-1, 10)
    9
    """
    index = int(dim_sel)
    if index < 0:
        index += dim_len
    if not 0 <= index < dim_len:
        msg = f"index {dim_sel} is out of bounds for dimension with length {dim_len}"
        raise BoundsCheckError(msg)
    return index


def ensure_tuple(v: Any) -> tuple[Any, ...]:
    """Return a value in a tuple, unless it is one.

    >>> ensure_tuple(1)
    (1,)
    """
    return v if isinstance(v, tuple) else (v,)


def replace_ellipsis(selection: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return an index with one item for each axis.

    >>> replace_ellipsis((0, ...), (4, 5, 6))
    (0, slice(None, None, None), slice(None, None, None))
    """
    items = list(ensure_tuple(selection))
    places = [place for place, item in enumerate(items) if item is Ellipsis]
    if len(places) > 1:
        msg = "an index can only have a single ellipsis ('...')"
        raise IndexError(msg)
    place = places[0] if places else len(items)
    rest = items[place + 1 :]
    found = items[:place] + [slice(None)] * (len(shape) - place - len(rest)) + rest
    if len(found) > len(shape):
        err_too_many_indices(found, shape)
    return tuple(found)


def is_slice(s: Any) -> bool:
    """Whether an item of an index is a slice.

    >>> is_slice(slice(3))
    True
    """
    return isinstance(s, slice)


def is_contiguous_slice(s: Any) -> bool:
    """Whether an item of an index is a slice of neighbours.

    >>> is_contiguous_slice(slice(0, 9, 2))
    False
    """
    return isinstance(s, slice) and s.step in (None, 1)


def is_positive_slice(s: Any) -> bool:
    """Whether an item of an index is a slice that goes up.

    >>> is_positive_slice(slice(9, 0, -1))
    False
    """
    return isinstance(s, slice) and (s.step is None or s.step >= 1)


def is_contiguous_selection(selection: Any) -> bool:
    """Whether all items of an index are slices of neighbours, arrays of integers or an ellipsis.

    >>> is_contiguous_selection(slice(3))
    True
    """
    return all(
        is_integer_array(item) or is_contiguous_slice(item) or item is Ellipsis
        for item in ensure_tuple(selection)
    )


def is_basic_selection(selection: Any) -> bool:
    """Whether all items of an index are integers or slices that go up.

    >>> is_basic_selection((0, slice(3)))
    True
    """
    return all(is_integer(item) or is_positive_slice(item) for item in ensure_tuple(selection))


def check_steps(selection: Any) -> None:
    """Raise NegativeStepError for a slice that does not go up.

    >>> check_steps(slice(3))
    """
    for item in ensure_tuple(selection):
        if isinstance(item, slice) and item.step is not None and item.step < 1:
            msg = f"only slices with step >= 1 are supported, not {item}"
            raise NegativeStepError(msg)


def check_kind(kind: str, selection: Any) -> None:
    """Raise IndexError for an item that a kind of selection does not take.

    >>> check_kind("orthogonal", (0, slice(3), [1]))
    """
    check_steps(selection)
    for item in ensure_tuple(selection):
        wrong = kind == "coordinate" and (isinstance(item, slice) or item is Ellipsis)
        if item is None or wrong:
            msg = f"unsupported selection item for {kind} indexing: {item!r}"
            raise IndexError(msg)


def check_blocks(selection: Any, counts: tuple[int, ...]) -> None:
    """Raise BoundsCheckError for a slice of chunks that begins behind the last one.

    >>> check_blocks(slice(0, 9), (3,))
    """
    for item, count in zip(replace_ellipsis(selection, counts), counts, strict=True):
        start = item.start or 0 if isinstance(item, slice) else 0
        if not -count <= start < max(count, 1):
            msg = f"chunk {start} is out of bounds for dimension with {count} chunks"
            raise BoundsCheckError(msg)


def check_basic(selection: Any) -> None:
    """Raise IndexError for an item that is no integer, slice or ellipsis.

    >>> check_basic((0, ...))
    """
    for item in ensure_tuple(selection):
        if not (is_integer(item) or isinstance(item, slice) or item is Ellipsis):
            msg = (
                "unsupported selection item for basic indexing; expected integer or slice, got "
                f"{type(item)!r}"
            )
            raise IndexError(msg)
    check_steps(selection)


def pop_fields(selection: Any) -> tuple[Any, Any]:
    """Return the names of fields in an index, None if there are none, and the rest of it.

    >>> pop_fields(("a", slice(3)))
    ('a', slice(None, 3, None))
    """
    if isinstance(selection, str):
        return selection, ()
    if not isinstance(selection, tuple):
        return None, selection
    names = [item for item in selection if isinstance(item, str)]
    if not names:
        return None, selection
    rest = tuple(item for item in selection if not isinstance(item, str))
    return names[0] if len(names) == 1 else names, rest[0] if len(rest) == 1 else rest


def check_fields(fields: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of fields; raise IndexError if one does not exist.

    >>> check_fields("a", np.dtype([("a", "i4")]))
    dtype('int32')
    """
    if fields is None:
        return dtype
    if not isinstance(fields, (str, list, tuple)):
        msg = f"'fields' argument must be a string or list of strings; found {type(fields)!r}"
        raise IndexError(msg)
    names = [fields] if isinstance(fields, str) else list(fields)
    if dtype.names is None:
        msg = "invalid 'fields' argument, array does not have any fields"
        raise IndexError(msg)
    for name in names:
        if not isinstance(name, str) or name not in dtype.names:
            msg = f"invalid 'fields' argument, {name!r} is not one of {dtype.names}"
            raise IndexError(msg)
    return dtype[fields] if isinstance(fields, str) else dtype[names]


def check_no_multi_fields(fields: Any) -> Any:
    """Return the name of one field; raise IndexError for several.

    >>> check_no_multi_fields(["a"])
    'a'
    """
    if not isinstance(fields, list):
        return fields
    if len(fields) == 1:
        return fields[0]
    if fields:
        msg = "multiple fields are not supported for this operation"
        raise IndexError(msg)
    return None


def replace_lists(selection: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an index with arrays in place of lists.

    >>> replace_lists(([0, 1], 2))
    (array([0, 1]), 2)
    """
    return tuple(np.asarray(item) if isinstance(item, list) else item for item in selection)


def is_coordinate_selection(selection: tuple[Any, ...], array: Any) -> bool:
    """Whether an index has an integer or an array of integers for each axis."""
    return len(selection) == len(array.shape) and all(
        is_integer(item) or is_integer_array(item) for item in selection
    )


def is_mask_selection(selection: tuple[Any, ...], array: Any) -> bool:
    """Whether an index is one boolean array of the array's shape."""
    return len(selection) == 1 and is_bool_array(selection[0]) and selection[0].shape == array.shape


def _parts(selection: Any) -> tuple[Any, tuple[Any, ...]]:
    fields, rest = pop_fields(selection)
    return fields, replace_lists(ensure_tuple(rest))


class OIndex:
    """Orthogonal selection by square brackets."""

    def __init__(self, array: Any) -> None:
        """Initialise with the array."""
        self.array = array

    def __getitem__(self, selection: Any) -> Any:
        """Read a selection."""
        fields, rest = _parts(selection)
        return self.array.get_orthogonal_selection(rest, fields=fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Write a selection."""
        fields, rest = _parts(selection)
        self.array.set_orthogonal_selection(rest, value, fields=fields)


class VIndex:
    """Selection of coordinates, or by a mask, by square brackets."""

    def __init__(self, array: Any) -> None:
        """Initialise with the array."""
        self.array = array

    def __getitem__(self, selection: Any) -> Any:
        """Read a selection."""
        fields, rest = _parts(selection)
        if is_coordinate_selection(rest, self.array):
            return self.array.get_coordinate_selection(rest, fields=fields)
        self._check_mask(rest)
        return self.array.get_mask_selection(rest[0], fields=fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Write a selection."""
        fields, rest = _parts(selection)
        if is_coordinate_selection(rest, self.array):
            self.array.set_coordinate_selection(rest, value, fields=fields)
            return
        self._check_mask(rest)
        self.array.set_mask_selection(rest[0], value, fields=fields)

    def _check_mask(self, selection: tuple[Any, ...]) -> None:
        if not is_mask_selection(selection, self.array):
            msg = (
                "vindex takes coordinates (a tuple of integer arrays) or a mask (one boolean "
                f"array), not {selection!r}"
            )
            raise VindexInvalidSelectionError(msg)


class BlockIndex:
    """Selection of whole chunks by square brackets."""

    def __init__(self, array: Any) -> None:
        """Initialise with the array."""
        self.array = array

    def __getitem__(self, selection: Any) -> Any:
        """Read a selection."""
        fields, rest = _parts(selection)
        return self.array.get_block_selection(rest, fields=fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Write a selection."""
        fields, rest = _parts(selection)
        self.array.set_block_selection(rest, value, fields=fields)


def make_slice_selection(selection: Any) -> list[Any]:
    """Return an index with slices in place of integers and arrays of one.

    >>> make_slice_selection((1, slice(3)))
    [slice(1, 2, 1), slice(None, 3, None)]
    """
    found = []
    for item in selection:
        if is_integer(item):
            found.append(slice(int(item), int(item) + 1, 1))
        elif isinstance(item, np.ndarray):
            if len(item) != 1:
                msg = f"an index array of {len(item)} elements is not a slice"
                raise ArrayIndexError(msg)
            found.append(slice(int(item[0]), int(item[0]) + 1, 1))
        else:
            found.append(item)
    return found


def _open_mesh(selection: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """Return an index of NumPy for an orthogonal selection, and the axes that it leaves over."""
    items = replace_ellipsis(selection, shape)
    axes = tuple(axis for axis, item in enumerate(items) if is_integer(item))
    lists: list[Any] = []
    for item, size in zip(items, shape, strict=True):
        if isinstance(item, slice):
            lists.append(np.arange(size)[item])
        elif is_integer(item):
            lists.append([int(item)])
        else:
            lists.append(np.flatnonzero(item) if is_bool_array(item) else item)
    return np.ix_(*lists), axes


def oindex(a: Any, selection: Any) -> Any:
    """Return an orthogonal selection of an array of NumPy.

    >>> oindex(np.arange(6).reshape(2, 3), ([1, 0], [0, 2]))
    array([[3, 5],
           [0, 2]])
    """
    index, axes = _open_mesh(selection, a.shape)
    return a[index].squeeze(axis=axes)


def oindex_set(a: Any, selection: Any, value: Any) -> None:
    """Assign to an orthogonal selection of an array of NumPy.

    >>> a = np.zeros((2, 2), int)
    >>> oindex_set(a, ([0, 1], [1]), 7)
    >>> a.tolist()
    [[0, 7], [0, 7]]
    """
    index, axes = _open_mesh(selection, a.shape)
    a[index] = np.expand_dims(value, axes) if axes and np.ndim(value) else value


class PartialChunkIterator:
    """The parts of a chunk that a partial decompression needs, which is not supported."""

    def __init__(self, selection: Any, arr_shape: tuple[int, ...]) -> None:
        """Raise NotImplementedError: parts of chunks are read by the engine."""
        msg = "chunks are not decompressed in parts by the user"
        raise NotImplementedError(msg)
