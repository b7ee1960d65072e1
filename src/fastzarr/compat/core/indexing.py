"""Indexers: which chunks a selection touches, and what of each; and the views for other indexing.

Rules of this file:

* Reading and writing do not use the indexers, which libraries iterate over to plan their work.
* An indexer is iterable any number of times, and yields a ``ChunkProjection`` for each chunk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from types import GenericAlias
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    runtime_checkable,
)

import numpy as np

from fastzarr._lazy import cached
from fastzarr.compat.core._curves import (
    _lexicographic_order,
    _morton_order,
    colexicographic_order_coords,
    decode_morton,
    decode_morton_vectorized,
    lexicographic_order_coords,
    morton_order_coords,
)
from fastzarr.compat.core._dimensions import (
    BoolArrayDimIndexer,
    ChunkDimProjection,
    Dense,
    IntArrayDimIndexer,
    IntDimIndexer,
    Order,
    SliceDimIndexer,
    in_bounds,
    runs_of,
)
from fastzarr.compat.core._selecting import (
    ARRAYS,
    BASIC,
    BLOCKS,
    _iter_grid,
    _iter_regions,
    boundscheck_indices,
    check_fields,
    check_no_multi_fields,
    check_selection_length,
    ensure_tuple,
    err_too_many_indices,
    invalid_coordinates,
    invalid_mask,
    is_basic_selection,
    is_bool,
    is_bool_array,
    is_bool_list,
    is_contiguous_selection,
    is_contiguous_slice,
    is_coordinate_selection,
    is_int_or_bool_iterable,
    is_integer,
    is_integer_array,
    is_integer_list,
    is_mask_selection,
    is_positive_slice,
    is_pure_fancy_indexing,
    is_pure_orthogonal_indexing,
    is_scalar,
    is_slice,
    ix_,
    make_slice_selection,
    normalize_integer_selection,
    oindex,
    oindex_set,
    out_of_bounds,
    pop_fields,
    replace_ellipsis,
    replace_lists,
    slice_to_range,
    unsupported,
    wraparound_indices,
)
from fastzarr.errors import BoundsCheckError, VindexInvalidSelectionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import EllipsisType

    from numpy.typing import NDArray


IntSequence: TypeAlias = "list[int] | NDArray[np.intp]"
ArrayOfIntOrBool: TypeAlias = "NDArray[np.intp] | NDArray[np.bool_]"
BasicSelector: TypeAlias = "int | slice | EllipsisType"
Selector: TypeAlias = "BasicSelector | ArrayOfIntOrBool"
BasicSelection: TypeAlias = "BasicSelector | tuple[BasicSelector, ...]"
CoordinateSelection: TypeAlias = "IntSequence | tuple[IntSequence, ...]"
CoordinateSelectionNormalized: TypeAlias = "tuple[NDArray[np.intp], ...]"
MaskSelection: TypeAlias = "NDArray[np.bool_]"
OrthogonalSelection: TypeAlias = "Selector | tuple[Selector, ...]"
Selection: TypeAlias = "BasicSelection | CoordinateSelection | MaskSelection | OrthogonalSelection"
SelectionNormalized: TypeAlias = "tuple[Selector, ...] | ArrayOfIntOrBool"
SelectionWithFields: TypeAlias = "Selection | str | Sequence[str]"
SelectorTuple: TypeAlias = "tuple[Selector, ...] | NDArray[np.intp] | slice"
Fields: TypeAlias = str | list[str] | tuple[str, ...]
_ArrayIndexingOrder: TypeAlias = Literal["lexicographic"]


class ChunkProjection(NamedTuple):
    """What a selection takes of a chunk, and where it goes in the result."""

    chunk_coords: tuple[int, ...]
    chunk_selection: Any
    out_selection: Any
    is_complete_chunk: bool


@runtime_checkable
class Indexer(Protocol):
    """Chunks that a selection touches."""

    shape: tuple[int, ...]
    drop_axes: tuple[int, ...]

    def __iter__(self) -> Iterator[ChunkProjection]:
        """Iterate over the chunks."""


@dataclass(frozen=True, init=False)
class _Product:
    """An indexer that is the product of one for each axis."""

    dim_indexers: list[Any]
    shape: tuple[int, ...]
    drop_axes: tuple[int, ...]

    def _make(self, dim_indexers: list[Any], drop_axes: tuple[int, ...] = ()) -> None:
        kept = [d for d in dim_indexers if not isinstance(d, IntDimIndexer)]
        vars(self).update(
            dim_indexers=dim_indexers,
            shape=tuple([int(d.nitems) for d in kept]),
            drop_axes=drop_axes,
        )

    def __iter__(self) -> Iterator[ChunkProjection]:
        """Iterate over the chunks."""
        for found in product(*self.dim_indexers):
            yield ChunkProjection(
                tuple(p.dim_chunk_ix for p in found),
                tuple(p.dim_chunk_sel for p in found),
                tuple(p.dim_out_sel for p in found if p.dim_out_sel is not None),
                all(p.is_complete_chunk for p in found),
            )


class BasicIndexer(_Product):
    """The chunks of integers and slices.

    >>> from fastzarr.compat.core.chunk_grids import ChunkGrid
    >>> grid = ChunkGrid.from_sizes((5,), (3,))
    >>> [found.chunk_coords for found in BasicIndexer(slice(2, 5), (5,), grid)]
    [(0,), (1,)]
    """

    def __init__(self, selection: Any, shape: tuple[int, ...], chunk_grid: Any) -> None:
        """Raise IndexError for any other item of a selection."""
        items = replace_ellipsis(selection, shape)
        self._make([_dim_basic(*axis) for axis in _axes(items, shape, chunk_grid)])


def _axes(items: Any, shape: tuple[int, ...], grid: Any) -> Iterator[tuple[Any, int, Any]]:
    return zip(items, shape, grid.dimensions, strict=True)


def _dim_basic(item: Any, size: int, grid: Any) -> Any:
    if is_integer(item):
        return IntDimIndexer(item, size, grid)
    if is_slice(item):
        return SliceDimIndexer(item, size, grid)
    raise unsupported(BASIC, item)


@dataclass(frozen=True, init=False)
class OrthogonalIndexer(_Product):
    """The chunks of integers, slices, and arrays that select along an axis each."""

    dim_grids: tuple[Any, ...] = field(default=())
    is_advanced: bool = field(default=False)

    def __init__(self, selection: Any, shape: tuple[int, ...], chunk_grid: Any) -> None:
        """Raise IndexError for any other item of a selection."""
        items = replace_lists(replace_ellipsis(selection, shape))
        found = [_dim_orthogonal(*axis) for axis in _axes(items, shape, chunk_grid)]
        advanced = not is_basic_selection(items)
        single = tuple(i for i, d in enumerate(found) if isinstance(d, IntDimIndexer))
        self._make(found, single if advanced else ())
        vars(self).update(dim_grids=tuple(chunk_grid.dimensions), is_advanced=advanced)

    def __iter__(self) -> Iterator[ChunkProjection]:
        """Iterate over the chunks; arrays are made those that NumPy broadcasts."""
        for found in super().__iter__():
            arrays = sum(isinstance(item, np.ndarray) for item in found.chunk_selection)
            if not self.is_advanced or not (arrays > 1 or self.drop_axes):
                yield found
                continue
            sizes = zip(self.dim_grids, found.chunk_coords, strict=True)
            chunk_shape = tuple(grid.chunk_size(k) for grid, k in sizes)
            out = found.out_selection
            yield found._replace(
                chunk_selection=ix_(found.chunk_selection, chunk_shape),
                out_selection=out if is_basic_selection(out) else ix_(out, self.shape),
            )


def _dim_orthogonal(item: Any, size: int, grid: Any) -> Any:
    if is_integer_array(item):
        return IntArrayDimIndexer(item, size, grid)
    if is_bool_array(item):
        return BoolArrayDimIndexer(item, size, grid)
    if is_integer(item) or is_slice(item):
        return _dim_basic(item, size, grid)
    raise unsupported(ARRAYS, item)


class BlockIndexer(_Product):
    """The chunks of integers and slices that count chunks."""

    def __init__(self, selection: Any, shape: tuple[int, ...], chunk_grid: Any) -> None:
        """Raise BoundsCheckError for a block outside the array."""
        items = replace_lists(replace_ellipsis(selection, shape))
        self._make([_dim_block(*axis) for axis in _axes(items, shape, chunk_grid)])


def _dim_block(item: Any, size: int, grid: Any) -> SliceDimIndexer:
    count = grid.nchunks
    if is_integer(item):
        start = item + count if item < 0 else item
        stop = start + 1
        if not 0 <= start < count:
            msg = f"block index out of bounds for dimension with {count} chunk(s)"
            raise BoundsCheckError(msg)
    elif is_contiguous_slice(item):
        start = 0 if item.start is None else item.start
        stop = count if item.stop is None else item.stop
        start, stop = (k + count if k < 0 else k for k in (start, stop))
    else:
        raise unsupported(BLOCKS, item)
    first, last = (size if k >= count else grid.chunk_offset(k) for k in (start, stop))
    if not 0 <= first < size:
        raise out_of_bounds(size)
    return SliceDimIndexer(slice(first, last), size, grid)


class CoordinateIndexer(Dense):
    """The chunks of arrays of indices that are broadcast together."""

    drop_axes: tuple[int, ...] = ()

    def __init__(self, selection: Any, shape: tuple[int, ...], chunk_grid: Any) -> None:
        """Raise IndexError unless there is an array of integers for every axis."""
        items = replace_lists(
            tuple(np.asarray([i]) if is_integer(i) else i for i in ensure_tuple(selection))
        )
        if not is_coordinate_selection(items, shape):
            raise invalid_coordinates(selection)
        self.dim_grids = tuple(chunk_grid.dimensions)
        self.cdata_shape = tuple(grid.nchunks for grid in self.dim_grids) or (1,)
        coords = np.broadcast_arrays(
            *[in_bounds(np.asarray(i), size) for i, size in zip(items, shape, strict=True)]
        )
        self.sel_shape: tuple[int, ...] = coords[0].shape if coords else ()
        self.sel_shape = self.sel_shape or (1,)
        flat = [axis.reshape(-1) for axis in coords]
        chunks = [
            np.asarray(grid.indices_to_chunks(axis))
            for grid, axis in zip(self.dim_grids, flat, strict=True)
        ]
        numbers = np.ravel_multi_index(tuple(chunks), self.cdata_shape)
        self.sel_sort: NDArray[np.intp] | None = None
        if (numbers[1:] < numbers[:-1]).any():
            self.sel_sort = np.argsort(numbers, kind="stable")
            flat, numbers = [axis[self.sel_sort] for axis in flat], numbers[self.sel_sort]
        self.selection = tuple(flat)
        self.shape: tuple[int, ...] = flat[0].shape if flat else (1,)
        self.chunk_rixs, self.chunk_run_ends = runs_of(numbers)
        self.chunk_mixs = np.unravel_index(self.chunk_rixs, self.cdata_shape)

    @cached
    def chunk_nitems_cumsum(self) -> NDArray[np.intp]:
        """The number of elements up to each chunk."""
        return np.cumsum(self.dense(self.chunk_rixs, int(np.prod(self.cdata_shape))))

    def __iter__(self) -> Iterator[ChunkProjection]:
        """Iterate over the chunks in which there are elements."""
        start = 0
        found = zip(*[axis.tolist() for axis in self.chunk_mixs], strict=True)
        for coords, stop in zip(found, self.chunk_run_ends.tolist(), strict=True):
            out = slice(start, stop) if self.sel_sort is None else self.sel_sort[start:stop]
            inside = tuple(
                axis[start:stop] - grid.chunk_offset(k)
                for axis, grid, k in zip(self.selection, self.dim_grids, coords, strict=True)
            )
            yield ChunkProjection(coords, inside, out, is_complete_chunk=False)
            start = stop


class MaskIndexer(CoordinateIndexer):
    """The chunks of a mask of the shape of the array."""

    def __init__(self, selection: Any, shape: tuple[int, ...], chunk_grid: Any) -> None:
        """Raise IndexError for anything else."""
        items = replace_lists(ensure_tuple(selection))
        if not is_mask_selection(items, shape):
            raise invalid_mask(items)
        super().__init__(np.nonzero(items[0]), shape, chunk_grid)


def get_indexer(selection: Any, shape: tuple[int, ...], chunk_grid: Any) -> Any:
    """Return the indexer of what square brackets take."""
    _, items = pop_fields(selection)
    if is_pure_fancy_indexing(items, len(shape)):
        named = replace_lists(ensure_tuple(selection))
        kind = vectorized(named, shape, CoordinateIndexer, MaskIndexer)
        return kind(selection, shape, chunk_grid)
    if is_pure_orthogonal_indexing(items, len(shape)):
        return OrthogonalIndexer(selection, shape, chunk_grid)
    return BasicIndexer(selection, shape, chunk_grid)


def vectorized(items: Any, shape: tuple[int, ...], coordinate: Any, mask: Any) -> Any:
    """Return one of two values, by the kind of a selection; raise IndexError if it is neither."""
    if is_coordinate_selection(items, shape):
        return coordinate
    if is_mask_selection(items, shape):
        return mask
    msg = (
        "unsupported selection type for vectorized indexing; only coordinate selection (tuple of "
        "integer arrays) and mask selection (single Boolean array) are supported; got "
        f"{items!r}"
    )
    raise VindexInvalidSelectionError(msg)


def taken(selection: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the fields of a selection and its other items, with arrays in place of lists.

    A selection that is an array in a store is read.
    """
    if hasattr(selection, "async_array"):
        if selection.dtype.kind not in "ib":
            msg = (
                f"Invalid array dtype: {selection.dtype}. Arrays used as indices must be of "
                "integer or boolean type"
            )
            raise IndexError(msg)
        selection = np.asarray(selection)
    fields, items = pop_fields(selection)
    return fields, replace_lists(ensure_tuple(items))


@dataclass(frozen=True)
class OIndex:
    """Orthogonal indexing of an array: each array selects along its own axis."""

    array: Any

    def __getitem__(self, selection: Any) -> Any:
        """Return the selected elements."""
        fields, items = taken(selection)
        return self.array.get_orthogonal_selection(items, fields=fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Assign to the selected elements."""
        fields, items = taken(selection)
        self.array.set_orthogonal_selection(items, value, fields=fields)


@dataclass(frozen=True)
class AsyncOIndex:
    """Orthogonal indexing of an array, awaited."""

    array: Any

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    async def getitem(self, selection: Any) -> Any:
        """Return the selected elements."""
        fields, items = taken(selection)
        return await self.array.get_orthogonal_selection(items, fields=fields)


@dataclass(frozen=True)
class VIndex:
    """Vectorized indexing of an array: by arrays that are broadcast together, or by a mask."""

    array: Any

    def __getitem__(self, selection: Any) -> Any:
        """Return the selected elements."""
        fields, items = taken(selection)
        array = self.array
        get = vectorized(
            items, array.shape, array.get_coordinate_selection, array.get_mask_selection
        )
        return get(items, fields=fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Assign to the selected elements."""
        fields, items = taken(selection)
        array = self.array
        put = vectorized(
            items, array.shape, array.set_coordinate_selection, array.set_mask_selection
        )
        put(items, value, fields=fields)


@dataclass(frozen=True)
class AsyncVIndex:
    """Vectorized indexing of an array, awaited."""

    array: Any

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    async def getitem(self, selection: Any) -> Any:
        """Return the selected elements."""
        fields, items = taken(selection)
        array = self.array
        get = vectorized(
            items, array.shape, array.get_coordinate_selection, array.get_mask_selection
        )
        return await get(items, fields=fields)


@dataclass(frozen=True)
class BlockIndex:
    """Indexing of an array in units of chunks, of shards in a sharded array."""

    array: Any

    def __getitem__(self, selection: Any) -> Any:
        """Return the selected elements."""
        fields, items = taken(selection)
        return self.array.get_block_selection(items, fields=fields)

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Assign to the selected elements."""
        fields, items = taken(selection)
        self.array.set_block_selection(items, value, fields=fields)


__all__ = [
    "ArrayOfIntOrBool",
    "AsyncOIndex",
    "AsyncVIndex",
    "BasicIndexer",
    "BasicSelection",
    "BasicSelector",
    "BlockIndex",
    "BlockIndexer",
    "BoolArrayDimIndexer",
    "ChunkDimProjection",
    "ChunkProjection",
    "CoordinateIndexer",
    "CoordinateSelection",
    "Fields",
    "Indexer",
    "IntArrayDimIndexer",
    "IntDimIndexer",
    "MaskIndexer",
    "MaskSelection",
    "OIndex",
    "Order",
    "OrthogonalIndexer",
    "OrthogonalSelection",
    "Selection",
    "SelectionNormalized",
    "SelectionWithFields",
    "Selector",
    "SelectorTuple",
    "SliceDimIndexer",
    "VIndex",
    "_ArrayIndexingOrder",
    "_iter_grid",
    "_iter_regions",
    "_lexicographic_order",
    "_morton_order",
    "boundscheck_indices",
    "check_fields",
    "check_no_multi_fields",
    "check_selection_length",
    "colexicographic_order_coords",
    "decode_morton",
    "decode_morton_vectorized",
    "ensure_tuple",
    "err_too_many_indices",
    "get_indexer",
    "is_basic_selection",
    "is_bool",
    "is_bool_array",
    "is_bool_list",
    "is_contiguous_selection",
    "is_contiguous_slice",
    "is_coordinate_selection",
    "is_int_or_bool_iterable",
    "is_integer",
    "is_integer_array",
    "is_integer_list",
    "is_mask_selection",
    "is_positive_slice",
    "is_pure_fancy_indexing",
    "is_pure_orthogonal_indexing",
    "is_scalar",
    "is_slice",
    "ix_",
    "lexicographic_order_coords",
    "make_slice_selection",
    "morton_order_coords",
    "normalize_integer_selection",
    "oindex",
    "oindex_set",
    "pop_fields",
    "replace_ellipsis",
    "replace_lists",
    "slice_to_range",
    "wraparound_indices",
]
