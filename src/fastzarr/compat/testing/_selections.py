"""Strategies for selections, with those by which NumPy selects the same elements."""

from __future__ import annotations

import itertools
import math
from typing import Any

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np


def is_negative_slice(idx: Any) -> bool:
    """Whether an index is a slice that runs backwards."""
    return isinstance(idx, slice) and idx.step is not None and idx.step < 0


@st.composite
def end_slices(draw: st.DrawFn, *, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Draw slices at the end of each axis, where chunks may be smaller."""
    starts = [draw(st.integers(size // 2, size - 1)) for size in shape]
    return tuple(
        slice(start, start + draw(st.integers(0, size - start)))
        for size, start in zip(shape, starts, strict=True)
    )


@st.composite
def basic_indices(
    draw: st.DrawFn,
    *,
    shape: tuple[int, ...],
    min_dims: int = 0,
    max_dims: int | None = None,
    allow_newaxis: bool = False,
    allow_ellipsis: bool = True,
) -> Any:
    """Draw a basic index without slices that run backwards."""
    strategy: Any = npst.basic_indices
    found: st.SearchStrategy[Any] = strategy(
        shape,
        min_dims=min_dims,
        max_dims=max_dims,
        allow_newaxis=allow_newaxis,
        allow_ellipsis=allow_ellipsis,
    ).filter(lambda index: not any(map(is_negative_slice, _as_tuple(index))))
    if math.prod(shape) >= 3:
        found = end_slices(shape=shape) | found
    return draw(found)


def _as_tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


@st.composite
def orthogonal_indices(
    draw: st.DrawFn, *, shape: tuple[int, ...]
) -> tuple[tuple[Any, ...], tuple[np.ndarray[Any, Any], ...]]:
    """Draw an index of each axis, and the arrays by which NumPy selects the same elements."""
    chosen: list[Any] = []
    points: list[np.ndarray[Any, Any]] = []
    for size in shape:
        one: st.SearchStrategy[Any] = basic_indices(min_dims=1, shape=(size,), allow_ellipsis=False)
        if size:
            lists = npst.integer_array_indices(
                (size,), result_shape=npst.array_shapes(min_side=1, max_side=size, max_dims=1)
            )
            one = lists | one | st.integers(-size, size - 1)
        (index,) = draw(one.map(_as_tuple).filter(bool))
        chosen.append(index)
        if isinstance(index, slice):
            points.append(np.arange(*index.indices(size)))
        else:
            points.append(np.array(index))
    lengths = itertools.count()
    kept = sum(point.ndim for point in points)
    shaped = [
        point.reshape([-1 if axis == at else 1 for axis in range(kept)]) if point.ndim else point
        for point, at in ((one, next(lengths) if one.ndim else 0) for one in points)
    ]
    return tuple(chosen), tuple(np.broadcast_arrays(*shaped))


def _block_index(count: int) -> st.SearchStrategy[int | slice]:
    """Return a strategy for a number of a block, or a slice that begins at one."""
    start = st.integers(-count, count - 1) | st.none()
    stop = st.integers(-count, count + 1) | st.none()
    spans = st.builds(slice, start, stop, st.sampled_from([None, 1]))
    # One value does not shrink to the other, so both are drawn often.
    return st.integers(-count, count - 1) | spans


@st.composite
def block_indices(
    draw: st.DrawFn, *, chunk_sizes: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int | slice, ...], tuple[slice, ...]]:
    """Draw an index of blocks, and that of the same elements.

    ``chunk_sizes`` has the lengths of the blocks along each axis, as ``Array.write_chunk_sizes``.
    """
    blocks: list[int | slice] = []
    elements: list[slice] = []
    for sizes in chunk_sizes:
        edges = [0, *itertools.accumulate(sizes)]
        chosen = draw(_block_index(len(sizes)))
        blocks.append(chosen)
        if isinstance(chosen, slice):
            start, stop, _ = chosen.indices(len(sizes))
        else:
            start = chosen % len(sizes)
            stop = start + 1
        elements.append(slice(edges[start], edges[stop]))
    return tuple(blocks), tuple(elements)
