"""The chunk grids of zarr-python, over those of fastzarr."""

from __future__ import annotations

import numpy as np
import pytest

from fastzarr.compat.core.chunk_grids import (
    ChunkGrid,
    guess_chunks,
    normalize_chunks_nd,
    resolve_outer_and_inner_chunks,
)
from fastzarr.errors import ZarrUserWarning

GRIDS = [
    ((10, 7), (4, 7)),
    ((10, 7), ((4, 4, 2), 3)),
    ((12, 7), ((1, 10, 5), (7, 1))),
    ((), ()),
    ((0, 3), (2, 2)),
]


@pytest.mark.parametrize(("shape", "sizes"), GRIDS)
def test_a_grid_has_the_chunks_of_fastzarrs_grid(shape, sizes):
    grid = ChunkGrid.from_sizes(shape, sizes)
    inner = grid.inner
    assert inner.count(shape) == grid.grid_shape
    assert inner.extents(shape) == grid.chunk_sizes
    seen = np.zeros(shape, int)
    for coords, chunk in zip(grid.all_chunk_coords(), grid, strict=True):
        seen[chunk.slices] += 1
        assert chunk.codec_shape == tuple(inner.size(axis, k) for axis, k in enumerate(coords))
        for axis, (k, part) in enumerate(zip(coords, chunk.slices, strict=True)):
            assert inner.start(axis, k) == part.start
            assert grid.dimensions[axis].index_to_chunk(part.stop - 1) == k
    assert (seen == 1).all()


def test_a_grid_that_grows_gets_a_chunk_for_what_is_missing():
    grid = ChunkGrid.from_sizes((30,), ((10, 20),)).update_shape((35,))
    assert grid.chunk_sizes == ((10, 20, 5),)
    assert grid.update_shape((12,)).chunk_sizes == ((10, 2),)


@pytest.mark.parametrize(
    ("shape", "itemsize", "chunks"),
    [
        ((4000, 4000), 4, (500, 500)),
        ((100,), 8, (100,)),
        ((0, 5), 8, (1, 5)),
        ((10**9,), 8, (488282,)),
        ((10,) * 6, 8, (5, 5, 5, 5, 10, 10)),
        ((), 4, ()),
        ((5, 5), 0, (5, 5)),
    ],
)
def test_chunks_are_chosen_as_by_zarr_python(shape, itemsize, chunks):
    assert guess_chunks(shape, itemsize).chunk_shape == chunks


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        (0, "must be positive or -1, got 0"),
        ((3, 4, 5), "3 dimensions but shape has 2"),
        (([5, 6], 20), "do not sum to span 10"),
        (([5, 2.5], 20), r"element\(s\) \(2.5,\) at indices \(1,\)"),
        (1.5, "must be an integer"),
        (None, "not a valid chunk input"),
    ],
)
def test_what_is_wrong_with_chunks_is_named(chunks, message):
    with pytest.raises((TypeError, ValueError), match=message):
        normalize_chunks_nd(chunks, (10, 20))


def test_automatic_shards_are_whole_chunks_of_the_target_size():
    chunks = normalize_chunks_nd((10, 10), (1000, 20))
    with pytest.warns(ZarrUserWarning, match="experimental"):
        layout = resolve_outer_and_inner_chunks(
            array_shape=(1000, 20), chunks=chunks, shard_shape="auto", item_size=8
        )
    assert layout.outer_chunks.chunk_shape == (20, 10)
    assert layout.inner.outer_chunks is chunks
