"""Regular chunk grids."""

from __future__ import annotations

import tracemalloc

import pytest

import fastzarr
from fastzarr.grids.regular import RegularGrid


def test_grid_counts_the_chunk_at_the_edge() -> None:
    assert RegularGrid((3, 3, 5)).count((10, 9, 1)) == (4, 3, 1)


def test_an_axis_of_no_elements_has_no_chunks() -> None:
    assert RegularGrid((3, 5)).total((0, 10)) == 0


def test_an_array_without_axes_has_one_chunk() -> None:
    assert RegularGrid(()).total(()) == 1


@pytest.mark.parametrize("shards", [None, (2**21,)])
def test_one_element_of_a_huge_array_costs_what_one_chunk_costs(
    shards: tuple[int, ...] | None,
) -> None:
    z = fastzarr.create_array({}, shape=(2**60,), chunks=(2**20,), shards=shards, dtype="u1")
    tracemalloc.start()
    z[-1] = 7
    assert z[-1] == 7
    assert z.oindex[[2**60 - 1, 0]].tolist() == z.vindex[[2**60 - 1, 0]].tolist() == [7, 0]
    assert z[2**59 : 2**59 + 2].tolist() == [0, 0]
    assert z.nchunks_initialized == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20
    for number, wanted in ((z.nchunks, 2**40), (z.size, 2**60), (z.nbytes, 2**60)):
        assert type(number) is int
        assert number == wanted


def test_an_array_has_as_many_axes_as_numpy_allows() -> None:
    z = fastzarr.create_array({}, shape=(1,) * 63 + (3,), chunks=(1,) * 63 + (2,), dtype="i4")
    z[...] = [1, 2, 3]
    assert z[(0,) * 63].tolist() == [1, 2, 3]
    with pytest.raises(fastzarr.errors.LimitError, match="65 dimensions"):
        fastzarr.create_array({}, shape=(1,) * 65, dtype="i4")
