"""The keys of chunks: encoding as specified, and decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastzarr
from fastzarr.checked import check_members
from fastzarr.errors import MetadataError
from fastzarr.grids.keys import KEYS, ChunkKeys, KeyEncoding, parse_keys
from fastzarr.stores import LocalStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

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
def test_other_keys_decode_to_none(key: str) -> None:
    assert ChunkKeys("default", "/").decode(key, 2) is None


@dataclass(frozen=True)
class Reversed(KeyEncoding):
    """A key encoding with the last axis first."""

    name: str = "example.reversed"
    prefix: str = "r"

    @classmethod
    def from_config(cls, name: str, config: dict[str, Any], where: str) -> Reversed:
        check_members(config, {"prefix": False}, where)
        return cls(name, **config)

    def config(self) -> dict[str, Any]:
        return {"prefix": self.prefix}

    def encode(self, coords: tuple[int, ...]) -> str:
        return "/".join([self.prefix, *map(str, reversed(coords))])

    def decode(self, key: str, ndim: int) -> tuple[int, ...] | None:
        prefix, *parts = key.split("/")
        if prefix != self.prefix or len(parts) != ndim or not all(map(str.isdecimal, parts)):
            return None
        return tuple(map(int, reversed(parts)))


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("local", [False, True])
def test_a_registered_encoding_names_the_chunks_of_an_array(local: bool, tmp_path: Path) -> None:
    store: Any = LocalStore(tmp_path) if local else MemoryStore()
    KEYS.register("example.reversed", Reversed)
    words = {"name": "example.reversed", "configuration": {"prefix": "x"}}
    z = fastzarr.create_array(
        store, shape=(4, 6), chunks=(2, 2), dtype="i4", chunk_key_encoding=words
    )
    data = np.arange(24).reshape(4, 6)
    z[...] = data
    keys = {f"x/{j}/{i}" for i in range(2) for j in range(3)}
    assert set(store.list()) == {"zarr.json", *keys}
    opened = fastzarr.open_array(store)
    assert opened.layout.keys == Reversed(prefix="x")
    assert (opened[...] == data).all()
    assert opened.nchunks_initialized == 6
    opened.resize((2, 6))
    assert set(store.list()) == {"zarr.json", *(key for key in keys if key.endswith("/0"))}
    with pytest.raises(MetadataError, match=r"configuration\.other: unknown member; known members"):
        parse_keys(words | {"configuration": {"other": 1}}, "a")
    with pytest.raises(MetadataError, match=r"^a: unknown chunk key encoding 'example\.none'"):
        parse_keys("example.none", "a")
