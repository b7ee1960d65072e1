"""The keys of chunks: those of the specification, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.grids.keys import ChunkKeys

ENCODINGS = [ChunkKeys(name, separator) for name in ("default", "v2") for separator in "/."]


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
