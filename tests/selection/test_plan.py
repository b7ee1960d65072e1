"""A plan covers its selection: every element once, with the right chunk and position."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.grids.regular import RegularGrid
from fastzarr.selection import index as selection
from fastzarr.selection import plan
from fastzarr.selection.apply import take
from fastzarr.selection.factors import Span

if TYPE_CHECKING:
    from fastzarr.grids.base import Grid
    from fastzarr.selection.factors import Selection


def _run(found: Selection, array: Any, grid: Grid) -> Any:
    """Copy each piece from its chunk, as an engine does."""
    made = plan.make(found.factors, array.shape, grid)
    out = np.full(found.work, -1)
    seen = set()
    assert not made.size or made.is_whole() is all(made.piece(n).whole for n in range(made.size))
    for number in range(made.size):
        piece = made.piece(number)
        assert piece.chunk not in seen
        seen.add(piece.chunk)
        starts = [grid.start(axis, k) for axis, k in enumerate(piece.chunk)]
        stops = [grid.start(axis, k + 1) for axis, k in enumerate(piece.chunk)]
        chunk = array[tuple(map(slice, starts, stops))]
        assert piece.extent == chunk.shape
        part = take(chunk, piece.factors)
        assert (np.asarray(out[piece.out]) == -1).all()
        out[piece.out] = part
        if piece.whole:
            assert np.unique(part).size == chunk.size
        elif all(isinstance(factor, Span) for factor in piece.factors):
            assert part.size < chunk.size
    return out.reshape(found.shape)


@given(st.data())
def test_a_basic_plan_covers_its_selection(data: Any) -> None:
    shape = data.draw(strategies.shapes())
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    index = data.draw(strategies.basic(shape))
    found = _run(selection.basic(index, shape), array, data.draw(strategies.grids(shape)))
    np.testing.assert_array_equal(found, array[index])


@given(st.data())
def test_an_orthogonal_plan_covers_its_selection(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    index = data.draw(strategies.orthogonal(shape))
    mesh, result_shape = strategies.orthogonal_numpy(array, index)
    found = _run(selection.orthogonal(index, shape), array, data.draw(strategies.grids(shape)))
    np.testing.assert_array_equal(found, array[mesh].reshape(result_shape))


@given(st.data())
def test_a_plan_of_coordinates_covers_its_selection(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    index = data.draw(strategies.coordinates(shape))
    found = _run(selection.coordinate(index, shape), array, data.draw(strategies.grids(shape)))
    np.testing.assert_array_equal(found, array[index])


def test_a_plan_lists_chunks_by_axis_and_not_one_by_one() -> None:
    found = selection.basic(np.s_[:, :], (1000, 1000))
    made = plan.make(found.factors, (1000, 1000), RegularGrid((10, 10)))
    assert made.counts == (100, 100)
    assert made.size == 10_000
    assert all(len(part.chunk) == 100 for part in made.parts)


def test_a_step_longer_than_a_chunk_passes_chunks_over() -> None:
    found = selection.basic(np.s_[::25], (100,))
    made = plan.make(found.factors, (100,), RegularGrid((10,)))
    assert [made.piece(n).chunk for n in range(made.size)] == [(0,), (2,), (5,), (7,)]


def test_the_last_of_two_values_for_one_element_comes_last() -> None:
    found = selection.orthogonal(([5, 0, 5],), (8,))
    made = plan.make(found.factors, (8,), RegularGrid((4,)))
    piece = made.piece(1)
    assert piece.factors[0].coords[0].tolist() == [1, 1]
    assert np.asarray(piece.out[0]).tolist() == [0, 2]


@pytest.mark.parametrize("chunk", [1, 3, 2**59, 2**60 + 1])
@pytest.mark.parametrize("index", [np.s_[:: 2**60], np.s_[:: -(2**60)], np.s_[5 : 2**62 : 2**59]])
def test_a_stride_costs_as_much_as_the_chunks_that_it_meets(index: slice, chunk: int) -> None:
    shape = (2**63 - 1,)
    found = selection.basic(index, shape)
    tracemalloc.start()
    made = plan.make(found.factors, shape, RegularGrid((chunk,)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    positions = [-1] * found.work[0]
    for number in range(made.size):
        piece = made.piece(number)
        (span,) = piece.factors
        assert isinstance(span, Span)
        assert 0 <= span.start < piece.extent[0] <= chunk
        low = piece.chunk[0] * chunk + span.start
        positions[piece.out[0]] = [low + n * span.step for n in range(span.size)]
    assert positions == list(range(*index.indices(shape[0])))
    assert peak < 100_000


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((100,), (7,)), ((70_000,), (1,)), ((300, 300), (1, 1)), ((2**20, 2**20), (2, 2))],
)
def test_unsorted_points_of_few_and_of_many_chunks(shape, chunks):
    rng = np.random.default_rng(0)
    coords = tuple(rng.integers(0, size, 500) for size in shape)
    coords = tuple(np.concatenate((along, along[:50])) for along in coords)  # some occur twice
    part = plan.make(selection.coordinate(coords, shape).factors, shape, RegularGrid(chunks)).parts[
        0
    ]
    numbers = list(
        zip(*(along // chunk for along, chunk in zip(coords, chunks, strict=True)), strict=True)
    )
    order = sorted(range(550), key=numbers.__getitem__)  # stable
    assert part.out.tolist() == order
    assert part.chunk == sorted(set(numbers))
    for g, chunk in enumerate(part.chunk):
        there = part.out[part.bounds[g] : part.bounds[g + 1]]
        assert {numbers[at] for at in there} == {chunk}
        for axis, inner in enumerate(part.inner):
            expected = coords[axis][there] - chunk[axis] * chunks[axis]
            assert inner[part.bounds[g] : part.bounds[g + 1]].tolist() == expected.tolist()


def test_the_last_of_several_values_for_one_element_is_kept():
    for size, chunk in ((50, 7), (300_000, 1)):
        z, expected = zarr.zeros(size, chunks=chunk, dtype="i4"), np.zeros(size, "i4")
        points = np.random.default_rng(1).integers(0, size // 10, 200)
        z.vindex[points] = expected[points] = np.arange(200)
        assert np.array_equal(z[: size // 10], expected[: size // 10])


def test_all_points_of_a_chunk_make_it_whole():
    points = np.array([3, 0, 1, 2, 2, 9, 8, 6, 5, 4, 4])
    part = plan.make(selection.coordinate(points, (10,)).factors, (10,), RegularGrid((4,))).parts[0]
    assert (part.chunk, part.whole) == ([(0,), (1,), (2,)], [True, False, True])


@given(st.data())
def test_a_plan_of_a_mask_covers_its_selection(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    mask = np.random.default_rng(data.draw(st.integers(0, 99))).random(shape) < data.draw(
        st.sampled_from([0, 0.1, 0.5, 0.9, 1])
    )
    found = _run(selection.mask(mask, shape), array, data.draw(strategies.grids(shape)))
    np.testing.assert_array_equal(found, array[mask])


@pytest.mark.parametrize(
    ("shape", "chunks", "most"), [((500, 500), (100, 100), 56), ((1 << 18,), (1 << 15,), 24)]
)
def test_a_mask_costs_few_bytes_for_each_element(
    shape: tuple[int, ...], chunks: tuple[int, ...], most: int
) -> None:
    mask = np.random.default_rng(0).random(shape) < 0.5
    grid = RegularGrid(chunks)
    tracemalloc.start()
    made = plan.make(selection.mask(mask, shape).factors, shape, grid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.size == grid.count(shape)[0] ** len(shape)
    assert peak < most * mask.sum()


def test_points_are_sorted_by_chunk_in_a_grid_of_any_size() -> None:
    size = 2**62
    rows, columns = [size - 1, 5, size - 1, 5, 5], [7, size - 1, 3, 9, size - 1]
    found = selection.coordinate((np.array(rows), np.array(columns)), (size, size))
    made = plan.make(found.factors, (size, size), RegularGrid((2, 2)))
    pieces = [made.piece(number) for number in range(made.size)]
    half = size // 2 - 1
    assert [piece.chunk for piece in pieces] == [(2, 4), (2, half), (half, 1), (half, 3)]
    assert [np.asarray(piece.out[0]).tolist() for piece in pieces] == [[3], [1, 4], [2], [0]]
