"""Chunk grids and chunk keys."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastzarr
from fastzarr.grid import ChunkKeys, chunk_count, grid_shape

ENCODINGS = [ChunkKeys(name, separator) for name in ("default", "v2") for separator in "/."]


def test_grid_counts_the_chunk_at_the_edge() -> None:
    assert grid_shape((10, 9, 1), (3, 3, 5)) == (4, 3, 1)


def test_an_axis_of_no_elements_has_no_chunks() -> None:
    assert chunk_count((0, 10), (3, 5)) == 0


def test_an_array_without_axes_has_one_chunk() -> None:
    assert chunk_count((), ()) == 1


@pytest.mark.parametrize(
    ("keys", "coords", "expected"),
    [
        (ChunkKeys("default", "/"), (1, 23), "c/1/23"),
        (ChunkKeys("default", "."), (1, 23), "c.1.23"),
        (ChunkKeys("v2", "."), (1, 23), "1.23"),
        (ChunkKeys("v2", "/"), (1, 23), "1/23"),
        (ChunkKeys("default", "/"), (), "c"),
        (ChunkKeys("default", "."), (), "c"),
        (ChunkKeys("v2", "."), (), "0"),
    ],
)
def test_keys_are_those_of_the_specification(
    keys: ChunkKeys, coords: tuple[int, ...], expected: str
) -> None:
    assert keys.encode(coords) == expected


@pytest.mark.parametrize("keys", ENCODINGS, ids=str)
@given(coords=st.lists(st.integers(0, 10**18), max_size=4).map(tuple))
def test_a_key_decodes_to_its_coordinates(keys: ChunkKeys, coords: tuple[int, ...]) -> None:
    assert keys.decode(keys.encode(coords), len(coords)) == coords


@pytest.mark.parametrize(
    "key", ["zarr.json", "c/01/2", "c/1", "c/1/2/3", "c/-1/2", "c/1/2x", "1/2"]
)
def test_what_is_no_chunk_key_decodes_to_none(key: str) -> None:
    assert ChunkKeys("default", "/").decode(key, 2) is None


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
