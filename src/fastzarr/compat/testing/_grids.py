"""Strategies for chunks: their shapes, lists of their lengths, and how documents say them.

Rules of this file:

* An axis has few chunks, and so has an array, since tests visit each of them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis import event

from fastzarr.compat.core.config import config
from fastzarr.compat.core.metadata.v3 import (
    RectilinearChunkGridMetadata,
    RegularChunkGridMetadata,
)

if TYPE_CHECKING:
    from fastzarr.compat.core.metadata._grids import RectilinearDimSpecJSON

#: How many chunks an axis has at most, by the number of axes.
_MOST = {0: 20, 1: 20, 2: 20, 3: 7, 4: 4}


@st.composite
def chunk_shapes(draw: st.DrawFn, *, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Draw the shape of the chunks of an array."""
    counts = [draw(st.integers(min(size, 1), max(size, 1))) for size in shape]
    chunks = tuple(
        max(1, size // count) if count else 1 for size, count in zip(shape, counts, strict=True)
    )
    for chunk in chunks:
        event("chunk size", chunk)
    if any(size % chunk for size, chunk in zip(shape, chunks, strict=True)):
        event("smaller last chunk")
    return chunks


@st.composite
def shard_shapes(
    draw: st.DrawFn, *, shape: tuple[int, ...], chunk_shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Draw the shape of shards of whole chunks."""
    return tuple(
        chunk * draw(st.integers(1, size // chunk))
        for size, chunk in zip(shape, chunk_shape, strict=True)
    )


def _most(ndim: int) -> int:
    return _MOST.get(ndim, 2)


@st.composite
def rectilinear_dim_edges(draw: st.DrawFn, *, extent: int, max_chunks: int = _MOST[1]) -> list[int]:
    """Draw lengths of chunks whose sum is ``extent``, or any if that is 0."""
    if not extent:
        return draw(st.lists(st.integers(1, 10), min_size=1, max_size=5))
    if draw(st.booleans()):
        most = min(extent, max_chunks) - 1
        cuts = draw(st.sets(st.integers(1, extent - 1), max_size=most)) if extent > 1 else set()
        ends = [0, *sorted(cuts), extent]
        return [end - start for start, end in itertools.pairwise(ends)]
    size = draw(st.integers(-(-extent // max_chunks), extent))
    whole, rest = divmod(extent, size)
    return draw(st.permutations([size] * whole + [rest] * bool(rest)))


def _step(extent: int, most: int) -> st.SearchStrategy[int]:
    """Return a strategy for the length of all chunks of an axis; one may be longer than it."""
    return st.integers(max(1, -(-extent // most)), extent + 3)


@st.composite
def rectilinear_chunks(draw: st.DrawFn, *, shape: tuple[int, ...]) -> list[list[int]]:
    """Draw chunks as the lengths of all along each axis."""
    most = _most(len(shape))
    return [draw(rectilinear_dim_edges(extent=extent, max_chunks=most)) for extent in shape]


@st.composite
def _rectilinear_chunks(draw: st.DrawFn, *, shape: tuple[int, ...]) -> list[int | list[int]]:
    """Draw chunks: along each axis the length of every chunk, or a list of the lengths of all.

    At least one axis has a list, so there must be one.
    """
    most = _most(len(shape))
    listed = draw(st.integers(0, len(shape) - 1))
    chunks: list[int | list[int]] = []
    for axis, extent in enumerate(shape):
        lengths = rectilinear_dim_edges(extent=extent, max_chunks=most)
        if axis == listed:
            chunks.append(draw(lengths))
        else:
            chunks.append(draw(_step(extent, most) | lengths))
    return chunks


@st.composite
def _stored_lengths(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int | tuple[int, ...], ...]:
    """Draw the lengths of chunks as stored, which may reach beyond the array."""
    most = _most(len(shape))
    axes: list[int | tuple[int, ...]] = []
    for extent in shape:
        if draw(st.booleans()):
            axes.append(draw(_step(extent, most)))
            continue
        lengths = draw(rectilinear_dim_edges(extent=extent, max_chunks=most))
        beyond = draw(st.integers(0, 5)) if extent else 0
        if beyond and draw(st.booleans()):
            lengths = [*lengths, beyond]
        elif beyond:
            lengths = [*lengths[:-1], lengths[-1] + beyond]
        axes.append(tuple(lengths))
    return tuple(axes)


@st.composite
def _runs(draw: st.DrawFn, lengths: tuple[int, ...]) -> list[Any]:
    """Draw a spelling of lengths in which repeated ones may be pairs of length and count."""
    spelled: list[Any] = []
    for length, run in itertools.groupby(lengths):
        left = len(list(run))
        while left:
            count = draw(st.integers(1, left))
            bare = count == 1 and draw(st.booleans())
            spelled.append(length if bare else [length, count])
            left -= count
    return spelled


@st.composite
def rectilinear_chunk_shape_declarations(
    draw: st.DrawFn, *, shape: tuple[int, ...]
) -> tuple[list[RectilinearDimSpecJSON], tuple[int | tuple[int, ...], ...]]:
    """Draw the lengths of chunks as a document may say them, and what they mean."""
    meant = draw(_stored_lengths(shape))
    said: list[Any] = [
        axis if isinstance(axis, int) else draw(st.just(list(axis)) | _runs(axis)) for axis in meant
    ]
    return said, meant


@st.composite
def rectilinear_chunk_grids(
    draw: st.DrawFn, *, shape: tuple[int, ...]
) -> RectilinearChunkGridMetadata:
    """Draw a grid of chunks whose lengths may differ, and which may reach beyond the array."""
    return RectilinearChunkGridMetadata(chunk_shapes=draw(_stored_lengths(shape)))


@st.composite
def chunk_grids(
    draw: st.DrawFn, *, shape: tuple[int, ...]
) -> RegularChunkGridMetadata | RectilinearChunkGridMetadata:
    """Draw a grid; its chunks have one length only, unless the setting allows others."""
    if config.get("array.rectilinear_chunks") and draw(st.booleans()):
        event("chunks of differing lengths")
        return draw(rectilinear_chunk_grids(shape=shape))
    return RegularChunkGridMetadata(chunk_shape=draw(chunk_shapes(shape=shape)))


def chunks_param_from_rectilinear(meta: RectilinearChunkGridMetadata) -> list[int | list[int]]:
    """Return what ``chunks=`` takes for a grid.

    >>> chunks_param_from_rectilinear(RectilinearChunkGridMetadata(chunk_shapes=((1, 2), 1)))
    [[1, 2], 1]
    """
    return [axis if isinstance(axis, int) else list(axis) for axis in meta.chunk_shapes]
