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
from fastzarr.grids.keys import KEYS, AffixKeys, ChunkKeys, FanoutKeys, KeyEncoding, parse_keys
from fastzarr.stores import LocalStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

ENCODINGS: list[KeyEncoding] = [
    *(ChunkKeys(name, separator) for name in ("default", "v2") for separator in "/."),
    FanoutKeys(3),
    FanoutKeys(),
    AffixKeys("suffix", ".x"),
    AffixKeys("prefix", "c/"),
]


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
def test_a_key_decodes_to_its_coordinates(keys: KeyEncoding, coords: tuple[int, ...]) -> None:
    assert keys.decode(keys.encode(coords), len(coords)) == coords


@pytest.mark.parametrize("keys", ENCODINGS, ids=str)
@given(data=st.data(), prefix=st.sampled_from(["", "a/", "50%d/"]), ndim=st.integers(0, 3))
def test_many_keys_are_those_of_each(
    keys: KeyEncoding, data: st.DataObject, prefix: str, ndim: int
) -> None:
    axes = [st.integers(0, 10**18)] * ndim
    chunks = data.draw(st.lists(st.tuples(*axes), max_size=4))
    assert keys.encode_many(prefix, chunks) == [prefix + keys.encode(one) for one in chunks]


def test_many_keys_are_those_of_an_encoding_like_ours() -> None:
    class Own(ChunkKeys):
        def encode(self, coords: tuple[int, ...]) -> str:
            return "own/" + super().encode(coords)

    assert Own("v2", ".").encode_many("a/", [(1, 2)]) == ["a/own/1.2"]


@pytest.mark.parametrize(
    "key", ["zarr.json", "c/01/2", "c/1", "c/1/2/3", "c/-1/2", "c/1/2x", "1/2"]
)
def test_other_keys_decode_to_none(key: str) -> None:
    assert ChunkKeys("default", "/").decode(key, 2) is None


def test_keys_of_fanout_are_those_of_the_specification() -> None:
    keys = parse_keys({"name": "fanout", "configuration": {"max_children": 101}}, "a")
    assert keys.encode(()) == "c"
    assert keys.encode((123,)) == "d0/1/23/c"
    assert keys.encode((1234, 5, 67890)) == "d0/12/34/d1/5/d2/6/78/90/c"
    assert parse_keys("fanout", "a").config() == {"max_children": 1001}
    for key in ("d0/01/23/c", "d0/1/100/c", "d0/c", "d1/1/c", "d0/1/d0/1/c", "d0/1", "c/1"):
        assert keys.decode(key, 1) is None
    with pytest.raises(MetadataError, match=r"max_children: must be at least 3, got 2"):
        parse_keys({"name": "fanout", "configuration": {"max_children": 2}}, "a")


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ({"name": "suffix", "configuration": {"suffix": ".tiff"}}, "c/1/2.tiff"),
        (
            {"name": "suffix", "configuration": {"suffix": ".zip", "base-encoding": "v2"}},
            "1.2.zip",
        ),
        (
            {"name": "prefix", "configuration": {"prefix": "x/", "base_encoding": "v2"}},
            "x/1.2",
        ),
        (
            {
                "name": "zarrs.default_suffix",
                "configuration": {"separator": ".", "suffix": ".tiff"},
            },
            "c.1.2.tiff",
        ),
        (
            {"name": "suffix", "configuration": {"suffix": "/x", "base_encoding": "fanout"}},
            "d0/1/d1/2/c/x",
        ),
    ],
)
def test_a_text_before_or_behind_keys(encoding: Any, expected: str) -> None:
    keys = parse_keys(encoding, "a")
    assert keys.encode((1, 2)) == expected
    assert keys.decode(expected, 2) == (1, 2)
    assert keys.decode("c/1/2", 2) is None
    assert keys.decode(expected, 1) is None
    assert parse_keys({"name": keys.name, "configuration": keys.config()}, "a") == keys


@pytest.mark.parametrize("kind", ["prefix", "suffix"])
@pytest.mark.parametrize("text", ["", "/../x", "/", "//x", "\\", "\0", "/zarr.json/", 1, None])
def test_a_text_that_makes_invalid_keys_is_an_error(kind: str, text: Any) -> None:
    encoding = {"name": kind, "configuration": {kind: text, "base_encoding": "v2"}}
    with pytest.raises(MetadataError, match=f"configuration.{kind}: must be a text"):
        parse_keys(encoding, "a")
    hidden = {"suffix": "/zarr.json", "prefix": "zarr.json/"}[kind]
    encoding["configuration"][kind] = hidden
    with pytest.raises(MetadataError, match="must be a text"):
        parse_keys(encoding, "a")


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(
    "encoding",
    [
        "fanout",
        {"name": "suffix", "configuration": {"suffix": ".raw"}},
        {"name": "prefix", "configuration": {"prefix": "p/q", "base_encoding": "default"}},
    ],
    ids=["fanout", "suffix", "prefix"],
)
def test_arrays_with_encodings_of_the_registry(local: bool, encoding: Any, tmp_path: Path) -> None:
    store: Any = LocalStore(tmp_path) if local else MemoryStore()
    z = fastzarr.create_array(
        store, shape=(4, 6), chunks=(2, 2), dtype="i4", chunk_key_encoding=encoding
    )
    z[...] = data = np.arange(24).reshape(4, 6)
    opened = fastzarr.open_array(store)
    np.testing.assert_array_equal(opened[...], data)
    assert opened.nchunks_initialized == 6
    opened.resize((2, 6))
    assert opened.nchunks_initialized == 3
    assert len(set(store.list())) == 4


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
