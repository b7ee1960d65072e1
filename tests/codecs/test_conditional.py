"""The conditional codec: masks, the choice of codecs, and damaged data."""

from __future__ import annotations

import gzip
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import fastzarr
from fastzarr import codecs
from fastzarr.codecs.base import BytesBytesCodec
from fastzarr.codecs.conditional import ConditionalCodec
from fastzarr.config import config
from fastzarr.errors import ChunkError, CodecError, MetadataError

GZIP = {"name": "gzip", "configuration": {"level": 1}}
NOISE = np.random.default_rng(0).bytes(1000)


def made(*chain: Any, **more: Any) -> Any:
    document = {"name": "conditional", "configuration": {"codecs": list(chain), **more}}
    return codecs.from_v3(document, "")


def test_a_compressor_is_applied_only_if_that_makes_the_chunk_smaller():
    codec = made(GZIP)
    assert codec.encode(NOISE) == b"\0" + NOISE
    found = codec.encode(bytes(1000))
    assert found[0] == 1
    assert gzip.decompress(found[1:]) == bytes(1000)
    for data in (NOISE, bytes(1000), b""):
        assert bytes(codec.decode(codec.encode(data), len(data))) == data
        assert bytes(codec.decode(codec.encode(data), None)) == data


def test_a_bit_for_each_codec_in_its_order():
    shuffle = {"name": "numcodecs.shuffle", "configuration": {"elementsize": 2}}
    codec = made(shuffle, GZIP, {"name": "crc32c"})
    noise, zeros = codec.encode(NOISE), codec.encode(bytes(1000))
    assert (noise[0], zeros[0]) == (0b101, 0b111)
    assert noise[1:501] == NOISE[::2]
    assert noise[1:1001] == NOISE[::2] + NOISE[1::2]
    # Any mask is read, whatever this package would choose.
    checked = NOISE + codecs.Crc32cCodec().encode(NOISE)[-4:]
    assert bytes(codec.decode(b"\4" + checked, 1000)) == NOISE
    assert bytes(codec.decode(b"\0" + NOISE, 1000)) == NOISE
    assert bytes(codec.decode(b"\2" + gzip.compress(NOISE), 1000)) == NOISE


def test_the_mask_is_little_endian_and_may_be_longer():
    chain = [{"name": "numcodecs.adler32"}] * 9
    assert made(*chain).encode(b"")[:2] == b"\xff\x01"
    wide = made(GZIP, header_bits=32)
    assert wide.encode(NOISE) == bytes(4) + NOISE
    assert wide.to_dict()["configuration"] == {"codecs": [GZIP], "header_bits": 32}
    assert "header_bits" not in made(GZIP).to_dict()["configuration"]
    assert made().encode(b"ab") == b"ab"
    assert made(header_bits=8).encode(b"ab") == b"\0ab"


def test_sizes_are_fixed_without_a_compressor():
    assert made({"name": "crc32c"}).encoded_size(10) == 15
    assert made({"name": "crc32c"}, header_bits=16).encoded_size(10) == 16
    assert made(GZIP).encoded_size(10) is None
    shard = codecs.ShardingCodec(chunk_shape=(2,), index_codecs=["bytes", made(GZIP)])
    with pytest.raises(MetadataError, match="the size of an encoded index must be fixed"):
        fastzarr.create_array({}, shape=4, dtype="i2", chunks=4, serializer=shard)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "expected a header of 1 bytes, found 0"),
        (b"\x02abc", "the mask 0x2 has a bit for none of 1 codecs"),
        (b"\0ab", "expected 3 decoded bytes, but the data holds 2"),
        (b"\0abcd", "expected 3 decoded bytes, but the data holds 4"),
        (b"\1abc", "gzip: "),
        (b"\1" + gzip.compress(b"abcd", mtime=0), "gzip: expected 3 decoded bytes"),
    ],
)
def test_damaged_data_is_an_error(data, says):
    with pytest.raises(CodecError, match=says):
        made(GZIP).decode(data, 3)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "^x: the member 'codecs' is missing"),
        ({"codecs": "gzip"}, r"^x\.codecs: must be a list"),
        ({"codecs": ["bytes"]}, r"^x\.codecs\[0\]: 'bytes' does not encode bytes as bytes"),
        ({"codecs": ["nope"]}, r"^x\.codecs\[0\]: unknown codec 'nope'"),
        ({"codecs": [GZIP], "header_bits": 9}, r"^x\.header_bits: must be a multiple of 8"),
        ({"codecs": [GZIP], "header_bits": 0}, r"^x\.header_bits: must be .* at least 1, got 0"),
        ({"codecs": [GZIP], "header_bits": None}, r"^x\.header_bits: must be an integer"),
        ({"codecs": [GZIP], "header_bits": True}, r"^x\.header_bits: must be an integer"),
        ({"codecs": [GZIP], "other": 1}, r"^x\.other: unknown member"),
        (
            {"codecs": [{"name": "gzip", "configuration": {"level": 10}}]},
            r"^x\.codecs\[0\]\.configuration\.level: must be an integer from 0 to 9",
        ),
    ],
)
def test_a_wrong_configuration_is_placed(wrong, says):
    with pytest.raises(MetadataError, match=says):
        ConditionalCodec.from_config(wrong, "x")


@pytest.mark.usefixtures("data_path")
def test_arrays_and_shards(tmp_path):
    noise = np.frombuffer(NOISE[:800], "i2").reshape(20, 20)
    values = np.zeros((40, 20), "i2")
    values[:20] = noise
    inner = made("blosc", GZIP)
    for name, words in (
        ("a", {"chunks": (20, 20)}),
        ("b", {"chunks": (5, 20), "shards": (20, 20)}),
    ):
        z = fastzarr.create_array(
            tmp_path / name, data=values, compressors=[inner], fill_value=3, **words
        )
        z[3, 4:6] = values[3, 4:6] = 9
        values[20:] = z[20:] = 1
        found = fastzarr.open_array(tmp_path / name)
        assert np.array_equal(found[:], values)
        assert np.array_equal(found[18:22, 3], values[18:22, 3])
        values[20:] = 0
        assert found.metadata == z.metadata
    # Blosc has been resolved: it needs the size of an element.
    document = fastzarr.open_array(tmp_path / "a").metadata.to_dict()
    [found] = [codec for codec in document["codecs"] if codec["name"] == "conditional"]
    assert found["configuration"]["codecs"][0]["configuration"]["typesize"] == 2
    file = tmp_path / "a/c/0/0"
    file.write_bytes(b"\x80" + file.read_bytes()[1:])
    with pytest.raises(ChunkError, match=r"stage conditional: .*the mask 0x80 has a bit for none"):
        fastzarr.open_array(tmp_path / "a")[:]


CODECS = [
    GZIP,
    {"name": "crc32c"},
    {"name": "numcodecs.shuffle"},
    {"name": "zstd"},
    {"name": "blosc"},
]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(CODECS), max_size=10), st.binary(max_size=50), st.data())
def test_any_data_comes_back_behind_any_mask(chain, data, draws):
    spec = codecs.ChunkSpec((len(data),), fastzarr.dtype.UInt8(), np.uint8(0))
    codec = made(*chain).resolve(spec)
    encoded = codec.encode(data)
    checks = sum(c["name"] == "crc32c" for c in chain)
    assert len(encoded) <= codec.size_of_header + len(data) + 4 * checks
    assert bytes(codec.decode(encoded, len(data))) == data
    mask = draws.draw(st.integers(0, (1 << len(chain)) - 1))
    other = data
    for place, inner in enumerate(codec.codecs):
        other = inner.encode(other) if mask >> place & 1 else other
    stored = mask.to_bytes(codec.size_of_header, "little") + bytes(other)
    assert bytes(codec.decode(stored, len(data))) == data


NATIVE = [GZIP, {"name": "crc32c"}, {"name": "zstd"}, {"name": "blosc"}]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(NATIVE), max_size=4), st.data())
def test_the_extension_reads_and_writes_as_its_twin_does(chain, draws):
    values = np.frombuffer(draws.draw(st.binary(min_size=40, max_size=40)), "i2")
    values = np.repeat(values, draws.draw(st.sampled_from([1, 30])))
    codec = made(*chain)
    store: dict[str, Any] = {}
    z = fastzarr.create_array(
        store, data=values, chunks=values.shape, compressors=[codec], fill_value=1
    )
    assert z.metadata.program.native is not None
    with config.set({"data_path": "numpy"}):
        assert np.array_equal(z[:], values)
        z[:] = values
    assert np.array_equal(z[:], values)
    # Any mask over these data, and damaged data.
    [inner] = [c for c in z.metadata.codecs if c.name == "conditional"]
    mask = draws.draw(st.integers(0, (1 << len(chain)) - 1))
    data = values.tobytes()
    for place, one in enumerate(inner.codecs):
        data = bytes(one.encode(data)) if mask >> place & 1 else data
    stored = bytearray(mask.to_bytes(codec.size_of_header, "little") + data)
    if draws.draw(st.booleans()):
        at = draws.draw(st.integers(0, len(stored)))
        stored[at : at + draws.draw(st.integers(0, 2))] = draws.draw(st.binary(max_size=2))
    store["c/0"] = bytes(stored)
    found = []
    for path in ("native", "numpy"):
        with config.set({"data_path": path}):
            try:
                found.append(z[:].tobytes())
            except ChunkError:
                found.append(b"an error")
    assert found[0] == found[1]


def test_it_is_as_cacheable_as_its_codecs():
    class Own(BytesBytesCodec):
        name = "example.own"

    from fastzarr.metadata.cache import _is_cacheable

    assert _is_cacheable(made(GZIP))
    assert not _is_cacheable(ConditionalCodec(codecs=[Own()]))


def test_the_setting_for_padding_applies_inside():
    codec = made(GZIP)
    data = b"\1" + gzip.compress(bytes(100)) + b"\0\0"
    assert bytes(codec.decode(data, 100)) == bytes(100)
    with config.set({"array.read_padded_chunks": False}), pytest.raises(CodecError, match="gzip"):
        codec.decode(data, 100)
