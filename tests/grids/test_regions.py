"""The regions in which a whole array is copied."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import strategies
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.grids import regions as module
from fastzarr.grids.regions import boxes, regions
from fastzarr.grids.regular import RegularGrid

if TYPE_CHECKING:
    import pytest


@given(st.data())
def test_pieces_cover_the_array_once_and_share_no_chunk(data: Any) -> None:
    shape = data.draw(strategies.shapes())
    grid = data.draw(strategies.grids(shape))
    itemsize = data.draw(st.sampled_from([1, 1 << 20, 1 << 24, 1 << 26]))
    seen = np.zeros(shape, int)
    chunks: set[tuple[int, ...]] = set()
    for piece in regions(shape, grid, itemsize):
        seen[piece] += 1
        ranges = [
            range(grid.locate(axis, part.start), grid.locate(axis, part.stop - 1) + 1)
            for axis, part in enumerate(piece)
        ]
        mine = set(np.ndindex(*map(len, ranges)))
        mine = {tuple(r[i] for r, i in zip(ranges, place, strict=True)) for place in mine}
        assert not mine & chunks
        chunks |= mine
        assert len(mine) == 1 or seen[piece].size * itemsize <= 64 << 20
    assert (seen == 1).all()


def test_a_piece_takes_as_many_chunks_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 12)
    pieces = list(regions((4, 5), RegularGrid((2, 2)), 1))
    assert pieces == [
        (slice(0, 2), slice(0, 5)),
        (slice(2, 4), slice(0, 5)),
    ]


def test_pieces_of_a_huge_array_are_made_one_by_one() -> None:
    pieces = regions((2**60, 2**60), RegularGrid((2**20, 2**20)), 1)
    assert next(pieces) == (slice(0, 2**20), slice(0, 2**20))
    assert next(pieces) == (slice(0, 2**20), slice(2**20, 2**21))


@given(st.data())
def test_boxes_contain_each_chunk_once(data: Any) -> None:
    ndim = data.draw(st.integers(0, 3))
    coords = data.draw(st.sets(st.tuples(*[st.integers(0, 4)] * ndim)))
    found = [one for box in boxes(coords) for one in itertools.product(*box)]
    assert sorted(found) == sorted(coords)


def test_a_whole_grid_is_one_box() -> None:
    coords = itertools.product(range(3), range(2, 5), range(4))
    assert boxes(coords) == [(range(3), range(2, 5), range(4))]
