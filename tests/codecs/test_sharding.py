"""Shards: stored bytes as specified, validation of the index, and partial access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import fastzarr
from fastzarr import errors
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.crc32c import Crc32cCodec
from fastzarr.codecs.program import MISSING
from fastzarr.codecs.sharding import ShardingCodec
from fastzarr.config import config
from fastzarr.dtypes import from_numpy
from fastzarr.stores import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("data_path")

LITTLE = BytesCodec(endian="little")
SPEC = ChunkSpec((4, 4), from_numpy("uint8"), np.uint8(0))


def _codec(**options: Any) -> ShardingCodec:
    made = ShardingCodec(
        **({"chunk_shape": (2, 2), "codecs": (BytesCodec(endian=None),)} | options)
    )
    return made.resolve(SPEC)


def _index(*rows: tuple[int, int]) -> bytes:
    return np.array(rows, "<u8").tobytes()


def test_a_shard_is_its_inner_chunks_and_their_index() -> None:
    array = np.zeros((4, 4), np.uint8)
    array[:2, :2] = 1
    array[2:, 2:] = [[2, 3], [4, 5]]
    data = bytes(_codec(index_codecs=(LITTLE,)).encode(array, SPEC))
    missing = (MISSING, MISSING)
    assert data == bytes([1, 1, 1, 1, 2, 3, 4, 5]) + _index((0, 4), missing, missing, (4, 4))


def test_the_index_may_be_at_the_start() -> None:
    array = np.zeros((4, 4), np.uint8)
    array[0, 0] = 9
    data = bytes(_codec(index_codecs=(LITTLE,), index_location="start").encode(array, SPEC))
    missing = (MISSING, MISSING)
    assert data == _index((64, 4), missing, missing, missing) + bytes([9, 0, 0, 0])


@given(st.binary(min_size=16, max_size=16), st.sampled_from(["start", "end"]))
def test_a_shard_decodes_to_what_was_encoded(values: bytes, location: str) -> None:
    array = np.frombuffer(values, np.uint8).reshape(4, 4)
    codec = _codec(index_location=location)
    np.testing.assert_array_equal(codec.decode(codec.encode(array, SPEC), SPEC), array)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 4), (2, 4)], r"inner chunk \(0, 1\) at offset 2, size 4, which overlaps another"),
        ([(0, 4), (0, 3)], "overlaps another"),
        ([(0, 4), (0, 4), (2, 4)], r"inner chunk \(1, 0\) at offset 2, size 4, which overlaps"),
        ([(5, 4)], "lies outside bytes 0 to 8"),
        ([(2**63, 4)], "lies outside"),
        ([(0, 2**64 - 2)], "lies outside"),
        ([(2**64 - 4, 8)], "lies outside"),
        ([(MISSING, 4)], "lies outside"),
        ([(0, 3)], "expected 4"),
        ([(0, 5)], "expected 4"),
    ],
)
def test_a_lying_index_is_an_error_that_names_the_inner_chunk(
    rows: list[tuple[int, int]], message: str
) -> None:
    rows = rows + [(MISSING, MISSING)] * (4 - len(rows))
    with pytest.raises(errors.CodecError, match=message):
        _codec(index_codecs=(LITTLE,)).decode(bytes(8) + _index(*rows), SPEC)


def test_inner_chunks_may_share_a_range(tmp_path: Path) -> None:
    z = fastzarr.create_array(
        tmp_path, shape=(4, 4), dtype="u1", chunks=(2, 2), shards=(4, 4), compressors=None
    )
    z[...] = 1
    index = Crc32cCodec().encode(_index((0, 4), (4, 4), (0, 4), (MISSING, MISSING)))
    (tmp_path / "c/0/0").write_bytes(bytes([1, 2, 3, 4, 5, 6, 7, 8]) + index)
    expected = [[1, 2, 5, 6], [3, 4, 7, 8], [1, 2, 0, 0], [3, 4, 0, 0]]
    np.testing.assert_array_equal(z[...], expected)
    z[2, 0] = 9
    expected[2][0] = 9
    np.testing.assert_array_equal(z[...], expected)


def test_a_flipped_bit_of_the_index_is_found_by_its_checksum() -> None:
    codec = _codec()
    data = bytearray(codec.encode(np.ones((4, 4), np.uint8), SPEC))
    for place in range(16, len(data)):
        bad = bytearray(data)
        bad[place] ^= 16
        with pytest.raises(errors.CodecError, match="crc32c"):
            codec.decode(bytes(bad), SPEC)


@pytest.mark.parametrize("size", [0, 1, 67])
def test_a_shard_shorter_than_its_index_is_an_error(size: int) -> None:
    with pytest.raises(errors.CodecError, match=f"index takes 68 bytes, but only {size}"):
        _codec().decode(bytes(size), SPEC)


def test_gaps_between_inner_chunks_are_allowed() -> None:
    missing = (MISSING, MISSING)
    data = bytes([7, 7, 0, 0, 1, 2, 3, 4]) + _index((4, 4), missing, missing, missing)
    found = _codec(index_codecs=(LITTLE,)).decode(data, SPEC)
    assert found[:2, :2].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"chunk_shape": (3, 2)}, "chunk_shape[0]"),
        ({"chunk_shape": (2,)}, "chunk_shape"),
        ({"chunk_shape": (0, 2)}, "chunk_shape[0]"),
        ({"chunk_shape": (2.0, 2)}, "chunk_shape[0]"),
        ({"chunk_shape": "22"}, "chunk_shape"),
        ({"codecs": ()}, "codecs"),
        ({"codecs": (Crc32cCodec(),)}, "codecs"),
        ({"index_location": "middle"}, "index_location"),
        ({"index_codecs": ({"name": "no-such"},)}, "index_codecs[0]"),
    ],
)
def test_a_wrong_configuration_is_an_error_at_its_member(options: Any, where: str) -> None:
    with pytest.raises(errors.MetadataError) as caught:
        _codec(**options)
    assert caught.value.where.startswith(where)


BIG = {"name": "bytes", "configuration": {"endian": "big"}}
INDEXES: list[tuple[list[Any], tuple[str, ...]]] = [
    ([{"name": "bytes", "configuration": {"endian": "little"}}], ("zarr", "zarrista")),
    ([BIG, "crc32c", "crc32c"], ("zarr", "zarrista")),
    (
        [{"name": "transpose", "configuration": {"order": [2, 0, 1]}}, BIG, "crc32c"],
        ("zarr", "zarrista"),
    ),
    ([{"name": "transpose", "configuration": {"order": [1, 0, 2]}}, BIG], ("zarr", "zarrista")),
    ([{"name": "reshape", "configuration": {"shape": [-1]}}, BIG], ("zarrista",)),
    ([{"name": "numcodecs.delta", "configuration": {"dtype": "<u8"}}, BIG], ()),
]


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize(("chain", "peers"), INDEXES, ids=str)
def test_the_index_is_stored_as_its_codecs_say(
    chain: list[Any], peers: tuple[str, ...], location: str, tmp_path: Path
) -> None:
    values = np.arange(24, dtype="i4").reshape(4, 6)
    chain = [{"name": codec} if isinstance(codec, str) else codec for codec in chain]
    shard = {
        "chunk_shape": [1, 3],
        "codecs": [BIG],
        "index_codecs": chain,
        "index_location": location,
    }
    stored = []
    for path in ("native", "numpy"):
        with config.set({"data_path": path}):
            z = fastzarr.create_array(
                tmp_path / path,
                data=values,
                chunks=(4, 6),
                serializer={"name": "sharding_indexed", "configuration": shard},
                compressors=None,
            )
            assert np.array_equal(z[:], values)
            assert np.array_equal(z[1:3, 4], values[1:3, 4])
            stored.append((tmp_path / path / "c/0/0").read_bytes())
            z[2, 1] = values[2, 1]
            assert np.array_equal(fastzarr.open_array(tmp_path / path)[:], values)
    assert stored[0] == stored[1]
    if "zarr" in peers:
        assert np.array_equal(zarr.open_array(tmp_path / "native", mode="r")[:], values)
    if "zarrista" in peers:
        zarrista = pytest.importorskip("zarrista")
        store = zarrista.store.FilesystemStore(str(tmp_path / "native"))
        assert np.array_equal(zarrista.Array.open(store, "/")[...].to_numpy(), values)


def test_index_codecs_of_no_fixed_size_are_refused() -> None:
    gzip = {"name": "gzip", "configuration": {"level": 1}}
    with pytest.raises(errors.MetadataError, match=r"must be fixed.*bytes, gzip") as caught:
        _codec(index_codecs=(LITTLE, gzip))
    assert caught.value.where == "index_codecs"


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("behind", [[], [{"name": "gzip", "configuration": {"level": 1}}]])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_nested_shards_behind_a_transpose_agree_with_numpy(
    location: str, behind: list[Any], order: list[int]
) -> None:
    turned = [(4, 4, 8)[axis] for axis in order]
    inner = [size // 4 for size in turned]
    nested = ShardingCodec(
        chunk_shape=[size // 2 for size in turned],
        codecs=[ShardingCodec(chunk_shape=inner, codecs=[LITTLE], index_location=location)],
        index_location=location,
    )
    codecs = [{"name": "transpose", "configuration": {"order": order}}, nested, *behind]
    z = fastzarr.create(
        (7, 9, 10), chunks=(4, 4, 8), dtype="i2", codecs=codecs, store=MemoryStore()
    )
    a = np.zeros(z.shape, "i2")
    rng = np.random.default_rng(0)
    for index in [np.s_[1:6, ::2, 3:9], np.s_[6], np.s_[..., -1], np.s_[::-1, 4:5], np.s_[0, 0, 0]]:
        value = rng.integers(0, 9, a[index].shape)
        z[index] = a[index] = value
        np.testing.assert_array_equal(z[...], a)
        np.testing.assert_array_equal(z[index], a[index])
    assert z.oindex[[6, 0], 1:8, [9, 1]].tolist() == a[[6, 0]][:, 1:8][..., [9, 1]].tolist()


def test_writing_one_inner_chunk_keeps_the_bytes_of_the_others() -> None:
    store = MemoryStore()
    z = fastzarr.create_array(
        store, shape=(8,), shards=(8,), chunks=(2,), dtype="u1", compressors=None
    )
    z[:] = np.arange(8) + 1
    z[2:4] = 0
    assert store["c/0"][:6] == bytes([1, 2, 5, 6, 7, 8])
    z[...] = 0
    assert "c/0" not in store


def test_a_document_has_inner_codecs_in_the_form_of_format_3() -> None:
    config = {"chunk_shape": [2, 2], "codecs": [{"id": "zlib"}]}
    with pytest.raises(errors.MetadataError, match=r"codecs\[1\].configuration.codecs\[0\]"):
        ShardingCodec.from_config(config, "zarr.json: codecs[1].configuration")


@pytest.mark.parametrize("behind", [[], [{"name": "gzip", "configuration": {"level": 1}}]])
@pytest.mark.parametrize("dtype", ["i4", "string", "bytes", [("a", "i2"), ("b", "f4")]])
def test_a_zero_dimensional_array_may_be_sharded(dtype: Any, behind: list[Any]) -> None:
    serializer = {"string": "vlen-utf8", "bytes": "vlen-bytes"}.get(str(dtype), "bytes")
    inner = {"name": serializer}
    if serializer == "bytes":
        inner["configuration"] = {"endian": "little"}
    codecs = [ShardingCodec(chunk_shape=(), codecs=[inner]), *behind]
    z = fastzarr.create((), chunks=(), dtype=dtype, codecs=codecs, store=MemoryStore())
    plain = fastzarr.create((), chunks=(), dtype=dtype, store=MemoryStore())
    value = {"string": "text", "bytes": b"bytes", "i4": 5}.get(str(dtype), (1, 2.5))
    z[...] = plain[...] = value
    assert z[()] == plain[()] == z[...]
    assert type(z[()]) is type(plain[()])
