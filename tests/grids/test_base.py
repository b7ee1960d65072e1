"""Every grid divides its axes without gaps, and accepts both numbers and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import strategies
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.grids.regular import RegularGrid


def _starts(grid: Any, axis: int, length: int) -> list[int]:
    """Return the starts of the chunks of an axis, found position by position."""
    numbers = [grid.locate(axis, position) for position in range(length)]
    return [at for at in range(length) if at == 0 or numbers[at] != numbers[at - 1]]


@given(st.data())
def test_chunks_follow_each_other_without_gaps(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1))
    grid = data.draw(strategies.grids(shape))
    for axis, length in enumerate(shape):
        starts = _starts(grid, axis, length)
        count = grid.count(shape)[axis]
        assert [grid.start(axis, k) for k in range(count)] == starts
        assert [grid.locate(axis, start) for start in starts] == list(range(count))
        sizes = [grid.size(axis, k) for k in range(count)]
        assert [grid.start(axis, k + 1) for k in range(count)] == [
            start + size for start, size in zip(starts, sizes, strict=True)
        ]


@given(st.data())
def test_extents_are_the_parts_of_chunks_inside_the_array(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1))
    grid = data.draw(strategies.grids(shape))
    for axis, (length, extents) in enumerate(zip(shape, grid.extents(shape), strict=True)):
        stops = [*_starts(grid, axis, length)[1:], length]
        assert list(extents) == np.diff([0, *stops][: len(extents) + 1]).tolist()
        assert all(type(extent) is int for extent in extents)
    assert grid.total(shape) == np.prod([len(axis) for axis in grid.extents(shape)], dtype=int)


@given(st.data())
def test_numbers_and_arrays_of_numbers_are_answered_alike(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1, min_size=1))
    grid = data.draw(strategies.grids(shape))
    for axis, length in enumerate(shape):
        for verb, count in ((grid.locate, length), (grid.start, 1), (grid.size, 1)):
            one = [verb(axis, number) for number in range(count)]
            several = np.broadcast_to(verb(axis, np.arange(count)), count)
            assert several.tolist() == one


@given(st.data())
def test_the_chunk_at_a_position_is_the_one_that_is_located(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1, min_size=1))
    grid = data.draw(strategies.grids(shape))
    for axis, length in enumerate(shape):
        for position in range(length):
            k = grid.locate(axis, position)
            found = (k, grid.start(axis, k), grid.size(axis, k))
            assert grid.chunk_at(axis, position) == found


@given(st.data())
def test_the_cover_ends_where_the_last_chunk_ends(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1))
    grid = data.draw(strategies.grids(shape))
    for axis, (length, end) in enumerate(zip(shape, grid.cover(shape), strict=True)):
        count = grid.count(shape)[axis]
        assert end == sum(grid.size(axis, k) for k in range(count))
        assert end >= length


@given(st.data())
def test_a_range_is_cut_at_every_boundary_of_as_many_chunks(data: Any) -> None:
    length = data.draw(st.integers(0, 12))
    grid = data.draw(strategies.grids((length,)))
    start, stop = (data.draw(st.integers(0, length)) for _ in range(2))
    times = data.draw(st.integers(1, 3))
    parts = list(grid.cut(0, start, stop, times))
    found = [position for part in parts for position in range(part.start, part.stop)]
    assert found == list(range(start, stop))
    numbers = [{grid.locate(0, at) for at in range(part.start, part.stop)} for part in parts]
    assert all(len(chunks) <= times for chunks in numbers)
    # Only the first and the last part may have fewer chunks, and no chunk is in two parts.
    assert all(len(chunks) == times for chunks in numbers[1:-1])
    assert sum(map(len, numbers)) == len(set().union(*numbers))


def test_a_chunk_at_the_largest_position_does_not_overflow() -> None:
    length = 2**63 - 1
    grid = RegularGrid((2**62,))
    assert grid.count((length,)) == (2,)
    assert grid.extents((length,)) == ((2**62, 2**62 - 1),)
    assert grid.cover((length,)) == (2**63,)
