"""``zarr.core.chunk_grids``: how the chunks of an array lie along its axes.

Rules of this file:

* A grid has an object for each axis, which knows the length of the axis as well. The grids of
  fastzarr, which do all work with chunks, know no array; ``ChunkGrid.inner`` is that one.
* Chunks beyond the end of an axis are part of its declaration, but not of the array.
"""

from __future__ import annotations

import itertools
import math
import operator
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastzarr._lazy import cached
from fastzarr.compat.core._axes import DimensionGrid, FixedDimension, VaryingDimension
from fastzarr.compat.core.common import ceildiv_int, parse_shapelike
from fastzarr.compat.core.config import config
from fastzarr.errors import ZarrUserWarning
from fastzarr.grids.rectilinear import RectilinearGrid
from fastzarr.grids.regular import RegularGrid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastzarr.grids.base import Grid

__all__ = [
    "SHARDED_INNER_CHUNK_MAX_BYTES",
    "ChunkGrid",
    "ChunkLayout",
    "ChunkSpec",
    "DimensionGrid",
    "FixedDimension",
    "VaryingDimension",
    "full_span_chunk_size",
    "guess_chunks",
    "is_regular_1d",
    "is_regular_nd",
    "normalize_chunks_1d",
    "normalize_chunks_nd",
    "resolve_outer_and_inner_chunks",
]

SHARDED_INNER_CHUNK_MAX_BYTES: int = 1048576
"""The most bytes of a chunk in a shard, if its shape is chosen automatically."""


@dataclass(frozen=True)
class ChunkSpec:
    """A chunk: which elements of the array it has, and its shape as stored."""

    slices: tuple[slice, ...]
    codec_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many elements of the array the chunk has along each axis."""
        return tuple(part.stop - part.start for part in self.slices)

    @property
    def is_boundary(self) -> bool:
        """Whether the chunk reaches beyond the array."""
        return self.shape != self.codec_shape


def is_regular_1d(dim_chunks: Sequence[int]) -> bool:
    """Whether chunks have one length, of which the last may be shorter.

    >>> is_regular_1d([4, 4, 2]), is_regular_1d([4, 2, 4])
    (True, False)
    """
    if len(dim_chunks) <= 1:
        return True
    first, last = dim_chunks[0], dim_chunks[-1]
    return all(size == first for size in dim_chunks[1:-1]) and last <= first


def is_regular_nd(chunks: Iterable[Sequence[int]]) -> bool:
    """Whether the chunks along each axis have one length, of which the last may be shorter."""
    return all(map(is_regular_1d, chunks))


@dataclass(frozen=True)
class ChunkGrid:
    """The chunks of an array along each of its axes.

    >>> grid = ChunkGrid.from_sizes((10, 30), (4, (10, 20)))
    >>> grid.grid_shape, grid.chunk_sizes, grid[2, 1].slices[0]
    ((3, 2), ((4, 4, 2), (10, 20)), slice(8, 10, 1))
    """

    _dimensions: tuple[Any, ...]
    _is_regular: bool

    def __init__(self, *, dimensions: tuple[Any, ...]) -> None:
        """Initialise with the chunks along each axis."""
        regular = all(isinstance(axis, FixedDimension) for axis in dimensions)
        object.__setattr__(self, "_dimensions", dimensions)
        object.__setattr__(self, "_is_regular", regular)

    def __repr__(self) -> str:
        """Return the class name with the lengths of the chunks and the shape of the array."""
        sizes = ", ".join(size_text(axis) for axis in self._dimensions)
        shape = tuple(axis.extent for axis in self._dimensions)
        return f"ChunkGrid(chunk_sizes=({sizes}), array_shape={shape})"

    @cached
    def inner(self) -> Grid:
        """The grid of fastzarr with these chunks."""
        if self._is_regular:
            return RegularGrid(self.chunk_shape)
        return RectilinearGrid(tuple(axis.inner for axis in self._dimensions))

    @classmethod
    def from_metadata(cls, metadata: Any) -> ChunkGrid:
        """Return the grid of the metadata of an array, of either format."""
        if metadata.zarr_format == 2:
            return cls.from_sizes(metadata.shape, metadata.chunks)
        grid = metadata.chunk_grid
        for name in ("chunk_shape", "chunk_shapes"):
            sizes = getattr(grid, name, None)
            if isinstance(sizes, tuple):
                return cls.from_sizes(metadata.shape, sizes)
        msg = f"Unknown chunk grid metadata type: {type(grid)}"
        raise TypeError(msg)

    @classmethod
    def from_sizes(cls, array_shape: Any, chunk_sizes: Sequence[int | Sequence[int]]) -> ChunkGrid:
        """Return the grid of a shape with one length, or all lengths, for each axis."""
        extents = parse_shapelike(array_shape)
        if len(extents) != len(chunk_sizes):
            msg = (
                f"array_shape has {len(extents)} dimensions but chunk_sizes has "
                f"{len(chunk_sizes)} dimensions"
            )
            raise ValueError(msg)
        axes = tuple(
            FixedDimension(sizes, extent)
            if isinstance(sizes, int)
            else VaryingDimension(sizes, extent)
            for sizes, extent in zip(chunk_sizes, extents, strict=True)
        )
        return cls(dimensions=axes)

    @property
    def dimensions(self) -> tuple[Any, ...]:
        """The chunks along each axis."""
        return self._dimensions

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._dimensions)

    @property
    def is_regular(self) -> bool:
        """Whether the chunks along each axis were declared by one length."""
        return self._is_regular

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """The number of chunks along each axis."""
        return tuple(axis.nchunks for axis in self._dimensions)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of all chunks; raise ValueError if they may differ."""
        if not self._is_regular:
            msg = (
                "chunk_shape is only available for regular chunk grids. "
                "Use grid[coords] for per-chunk sizes."
            )
            raise ValueError(msg)
        return tuple(axis.size for axis in self._dimensions)

    @property
    def chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """How many elements of the array the chunks along each axis have."""
        return tuple(
            tuple(axis.data_size(chunk) for chunk in range(axis.nchunks))
            for axis in self._dimensions
        )

    def __getitem__(self, coords: int | tuple[int, ...]) -> ChunkSpec | None:
        """Return the chunk at these coordinates, or None if there is none."""
        coords = (coords,) if isinstance(coords, int) else coords
        if len(coords) != self.ndim:
            msg = (
                f"Expected {self.ndim} coordinate(s) for a {self.ndim}-d chunk grid, got "
                f"{len(coords)}."
            )
            raise ValueError(msg)
        pairs = tuple(zip(self._dimensions, coords, strict=True))
        if any(not 0 <= chunk < axis.nchunks for axis, chunk in pairs):
            return None
        starts = [axis.chunk_offset(chunk) for axis, chunk in pairs]
        sizes = [axis.data_size(chunk) for axis, chunk in pairs]
        slices = [slice(start, start + size, 1) for start, size in zip(starts, sizes, strict=True)]
        return ChunkSpec(tuple(slices), tuple(axis.chunk_size(chunk) for axis, chunk in pairs))

    def __iter__(self) -> Iterator[ChunkSpec]:
        """Iterate over all chunks."""
        return filter(None, map(self.__getitem__, self.all_chunk_coords()))

    def all_chunk_coords(
        self,
        *,
        origin: Sequence[int] | None = None,
        selection_shape: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, ...]]:
        """Iterate over the coordinates of chunks, or of a block of them."""
        counts = self.grid_shape
        starts = (0,) * self.ndim if origin is None else tuple(origin)
        if selection_shape is None:
            selection_shape = [n - start for n, start in zip(counts, starts, strict=True)]
        ranges = []
        for axis, (start, size, count) in enumerate(
            zip(starts, selection_shape, counts, strict=True)
        ):
            if start + size > count:
                msg = (
                    f"Invalid selection shape ({size}) for origin ({start}) and grid shape "
                    f"({count}) at axis {axis}."
                )
                raise IndexError(msg)
            ranges.append(range(start, start + size))
        return itertools.product(*ranges)

    def iter_chunk_regions(
        self,
        *,
        origin: Sequence[int] | None = None,
        selection_shape: Sequence[int] | None = None,
    ) -> Iterator[tuple[slice, ...]]:
        """Iterate over the elements of chunks, or of a block of them."""
        for coords in self.all_chunk_coords(origin=origin, selection_shape=selection_shape):
            chunk = self[coords]
            if chunk is not None:
                yield chunk.slices

    def get_nchunks(self) -> int:
        """Return the number of chunks."""
        return math.prod(self.grid_shape)

    def update_shape(self, new_shape: tuple[int, ...]) -> ChunkGrid:
        """Return the grid of the array after a resize."""
        if len(new_shape) != self.ndim:
            msg = (
                f"new_shape has {len(new_shape)} dimensions but chunk grid has {self.ndim} "
                "dimensions"
            )
            raise ValueError(msg)
        pairs = zip(self._dimensions, new_shape, strict=True)
        return ChunkGrid(dimensions=tuple(axis.resize(extent) for axis, extent in pairs))


size_text = operator.attrgetter("_size_repr")
"""Return the lengths of the chunks along an axis as text."""


class ChunkLayout(NamedTuple):
    """The stored objects of an array, and the chunks inside each of them if they are shards."""

    outer_chunks: ChunkGrid
    inner: ChunkLayout | None = None


def full_span_chunk_size(span: int, unit: int = 1) -> int:
    """Return the length of one chunk along a whole axis, rounded up to a multiple of ``unit``.

    >>> full_span_chunk_size(10, 4), full_span_chunk_size(0)
    (12, 1)
    """
    return unit * max(1, ceildiv_int(span, unit))


def _guess_regular_chunks(
    shape: tuple[int, ...] | int,
    typesize: int,
    *,
    increment_bytes: int = 256 * 1024,
    min_bytes: int = 128 * 1024,
    max_bytes: int = 64 * 1024 * 1024,
) -> tuple[int, ...]:
    """Return the chunk shape that zarr-python chooses, by the rule of h5py and PyTables.

    The target grows with the logarithm of the size of the array, and the axes are halved in turn.
    """
    if min_bytes >= max_bytes:
        msg = f"Cannot have more min_bytes ({min_bytes}) than max_bytes ({max_bytes})"
        raise ValueError(msg)
    chunks = list(map(full_span_chunk_size, (shape,) if isinstance(shape, int) else shape))
    if typesize == 0:
        return tuple(chunks)
    mebibytes = math.prod(chunks) * typesize / 2**20
    target = min(max(increment_bytes * 2 ** math.log10(mebibytes), min_bytes), max_bytes)
    for axis in itertools.cycle(range(len(chunks)) or [0]):
        size = math.prod(chunks) * typesize
        near = size < target or (size - target) / target < 0.5
        if (near and size < max_bytes) or math.prod(chunks) == 1:
            break
        chunks[axis] = -(-chunks[axis] // 2)
    return tuple(chunks)


def _chunk_int(value: Any) -> int | None:
    # NumPy's booleans count as integers for Python.
    if getattr(value, "dtype", None) == np.bool_:
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _chunk_list(chunks: Any) -> list[Any]:
    try:
        return list(chunks)
    except TypeError:
        msg = (
            "Chunk specification must be an integer or an iterable of integers; got "
            f"{chunks!r} of type {type(chunks).__name__}."
        )
        raise TypeError(msg) from None


def normalize_chunks_1d(chunks: Any, span: int, unit: int = 1) -> Any:
    """Return the chunks along an axis of length ``span``.

    ``chunks`` is the length of all, -1 for one chunk of whole ``unit``, or has all lengths.

    >>> normalize_chunks_1d(-1, 10), normalize_chunks_1d([3, 7], 10).edges
    (FixedDimension(size=10, extent=10), (3, 7))
    """
    size = _chunk_int(chunks)
    if size is not None:
        if size < -1 or size == 0:
            msg = f"Chunk size must be positive or -1, got {size}"
            raise ValueError(msg)
        return FixedDimension(full_span_chunk_size(span, unit) if size == -1 else size, span)
    sizes = _chunk_list(chunks)
    if not sizes:
        msg = "Chunk specification must not be empty"
        raise ValueError(msg)
    numbers = [_chunk_int(item) for item in sizes]
    wrong = [at for at, number in enumerate(numbers) if number is None]
    if wrong:
        msg = (
            "Each chunk size must be an integer; got non-integer element(s) "
            f"{tuple(sizes[at] for at in wrong)!r} at indices {tuple(wrong)!r}. Pass the sizes of "
            "the chunks as a flat sequence of positive integers, such as [3, 3, 1]"
        )
        raise TypeError(msg)
    found = [number for number in numbers if number is not None]
    if any(number <= 0 for number in found):
        msg = f"All chunk sizes must be positive, got {found}"
        raise ValueError(msg)
    if span > 0 and sum(found) != span:
        msg = f"Chunk sizes {found} do not sum to span {span}"
        raise ValueError(msg)
    return VaryingDimension(found, span)


def normalize_chunks_nd(
    chunks: Any, shape: tuple[int, ...], unit: tuple[int, ...] | None = None
) -> ChunkGrid:
    """Return the grid of an argument ``chunks`` that says the shape.

    >>> normalize_chunks_nd((4, -1), (10, 20))
    ChunkGrid(chunk_sizes=(4, 20), array_shape=(10, 20))
    """
    for name in ("chunk_shape", "chunk_shapes"):
        if hasattr(chunks, name):
            return ChunkGrid.from_sizes(shape, getattr(chunks, name))
    if chunks is None or chunks is True:
        msg = (
            f"{chunks!r} is not a valid chunk input. Pass an integer or a tuple of integers, or "
            'chunks="auto" to the functions that create arrays'
        )
        raise ValueError(msg)
    size = -1 if chunks is False else _chunk_int(chunks)
    found = [size] * len(shape) if size is not None else _chunk_list(chunks)
    if len(found) != len(shape):
        msg = f"chunks has {len(found)} dimensions but shape has {len(shape)} dimensions"
        raise ValueError(msg)
    rows = zip(found, shape, unit or (1,) * len(shape), strict=True)
    return ChunkGrid(dimensions=tuple(normalize_chunks_1d(*row) for row in rows))


def guess_chunks(
    shape: tuple[int, ...], typesize: int, *, max_bytes: int | None = None
) -> ChunkGrid:
    """Return the grid that zarr-python chooses for a shape and a size of elements.

    >>> guess_chunks((4000, 4000), 4)
    ChunkGrid(chunk_sizes=(500, 500), array_shape=(4000, 4000))
    """
    limits = {} if max_bytes is None else {"max_bytes": max_bytes}
    return normalize_chunks_nd(_guess_regular_chunks(shape, typesize, **limits), shape)


def _guess_num_chunks_per_axis_shard(
    chunk_shape: tuple[int, ...], item_size: int, max_bytes: int, array_shape: tuple[int, ...]
) -> int:
    """Return how many chunks along each axis a shard of at most ``max_bytes`` has."""
    size = math.prod(chunk_shape) * item_size
    if not chunk_shape or size == 0 or max_bytes < size:
        return 1
    most = min(whole // chunk for chunk, whole in zip(chunk_shape, array_shape, strict=True))
    count = 1
    while count < most and size * (count + 1) ** len(chunk_shape) <= max_bytes:
        count += 1
    return count


def resolve_outer_and_inner_chunks(
    *, array_shape: tuple[int, ...], chunks: ChunkGrid, shard_shape: Any, item_size: int
) -> ChunkLayout:
    """Return the stored objects of an array from the chunks and the argument ``shards``."""
    if shard_shape is None:
        return ChunkLayout(chunks)
    inner = chunks.chunk_shape
    if isinstance(shard_shape, str) and shard_shape == "auto":
        msg = "Automatic shard shape inference is experimental and may change without notice."
        warnings.warn(msg, ZarrUserWarning, stacklevel=2)
        target = config.get("array.target_shard_size_bytes", None)
        if target is None:
            shard_shape = tuple(
                chunk * 2 if whole // chunk > 8 else chunk
                for whole, chunk in zip(array_shape, inner, strict=True)
            )
        else:
            count = _guess_num_chunks_per_axis_shard(inner, item_size, target, array_shape)
            shard_shape = tuple(chunk * count for chunk in inner)
    elif isinstance(shard_shape, dict):
        shard_shape = shard_shape["shape"]
    outer = normalize_chunks_nd(shard_shape, array_shape, unit=inner)
    return ChunkLayout(outer, ChunkLayout(chunks))
