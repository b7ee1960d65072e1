"""The gzip codec: members, limits, and compatibility with Python's gzip module."""

from __future__ import annotations

import gzip
import time
import zlib

import numpy as np
import pytest

from fastzarr.codecs.gzip import GzipCodec
from fastzarr.config import config
from fastzarr.errors import CodecError, MetadataError

DATA = bytes(range(100)) * 3


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("data", [b"", b"a", DATA])
def test_agrees_with_python(level, data):
    encoded = GzipCodec(level=level).encode(data)
    assert gzip.decompress(encoded) == data
    assert GzipCodec().decode(encoded, len(data)) == data
    assert GzipCodec().decode(gzip.compress(data, level), len(data)) == data
    assert GzipCodec().decode(memoryview(encoded), None) == data


def test_encoding_is_the_same_at_any_time():
    assert GzipCodec().encode(DATA)[4:8] == bytes(4)


def test_encodes_arrays():
    array = np.arange(6, dtype="u1")
    assert GzipCodec().decode(np.frombuffer(GzipCodec().encode(array), "u1"), 6) == bytes(range(6))


def test_members_are_joined():
    parts = gzip.compress(b"abc") + gzip.compress(b"") + gzip.compress(b"def")
    assert GzipCodec().decode(parts, 6) == b"abcdef"
    with pytest.raises(CodecError, match="expected 5"):
        GzipCodec().decode(parts, 5)


def test_damage_is_found_or_harmless(damaged):
    # The header's time and system have no effect; everything else is covered by the checksum.
    for what, data in damaged(GzipCodec().encode(DATA)):
        try:
            assert GzipCodec().decode(data, len(DATA)) == DATA, what
        except CodecError as error:
            assert "gzip" in str(error)  # noqa: PT017


@pytest.mark.parametrize("end", [0, 5, 17, -8, -1])
def test_truncated_data_is_reported(end):
    with pytest.raises(CodecError, match=r"ends early|cannot be decoded"):
        GzipCodec().decode(GzipCodec().encode(DATA)[:end], len(DATA))


@pytest.mark.parametrize("behind", [b"\0", b"garbage", gzip.compress(b"x", mtime=0)])
def test_what_follows_is_an_error(behind):
    with config.set({"array.read_padded_chunks": False}), pytest.raises(CodecError):
        GzipCodec().decode(GzipCodec().encode(DATA) + behind, len(DATA))


@pytest.mark.parametrize("behind", [b"\0", b"garbage", b"\x1f", bytes(5000)])
def test_padding_is_ignored_if_the_size_is_known(behind):
    data = GzipCodec().encode(DATA) + behind
    assert GzipCodec().decode(data, len(DATA)) == DATA
    for size in (None, len(DATA) - 1, len(DATA) + 1):
        with pytest.raises(CodecError):
            GzipCodec().decode(data, size)


@pytest.mark.parametrize("length", [2, 10, 15, 18, None])
def test_a_further_member_is_no_padding(length):
    behind = gzip.compress(b"x", mtime=0)[:length]
    with pytest.raises(CodecError):
        GzipCodec().decode(GzipCodec().encode(DATA) + behind, len(DATA))
    padded = GzipCodec().encode(DATA) + gzip.compress(b"x", mtime=0) + b"\0"
    assert GzipCodec().decode(padded, len(DATA) + 1) == DATA + b"x"


@pytest.mark.parametrize("size", [0, 1, len(DATA) - 1, len(DATA) + 1, 10**12])
def test_another_size_is_an_error(size):
    with pytest.raises(CodecError, match=f"{size}"):
        GzipCodec().decode(GzipCodec().encode(DATA), size)


def test_a_bomb_is_not_unpacked():
    coder = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(coder.compress(bytes(1 << 20)) for _ in range(64)) + coder.flush()
    with pytest.raises(CodecError, match="hold more"):
        GzipCodec().decode(bomb, 100)
    with config.set({"limits.chunk_bytes": 1000}), pytest.raises(CodecError, match="limits"):
        GzipCodec().decode(bomb, None)


def test_many_members_take_time_that_grows_with_their_number():
    member = GzipCodec().encode(b"")
    start = time.process_time()
    assert GzipCodec().decode(member * 100_000, 0) == b""
    # If each decoder copied all data after its member, it would be 100 GB.
    assert time.process_time() - start < 5


@pytest.mark.parametrize("size", [0, 1, 4000, 5000, 100_000])
def test_members_longer_than_the_first_are_joined(size):
    noise = np.random.default_rng(1).bytes(size)
    data = b"".join(GzipCodec().encode(part) for part in (b"a", noise, b"b", noise))
    joined = b"a" + noise + b"b" + noise
    assert GzipCodec().decode(data, len(joined)) == joined
    with pytest.raises(CodecError, match="ends early"):
        GzipCodec().decode(data[:-1], len(joined))


@pytest.mark.parametrize("wrong", [-1, 10, 1.0, True, "1", None])
def test_wrong_level_is_placed(wrong):
    with pytest.raises(MetadataError, match=r"^x\.level: must be an integer from 0 to 9"):
        GzipCodec.from_config({"level": wrong}, "x")


def test_metadata():
    assert GzipCodec(level=1).to_dict() == {"name": "gzip", "configuration": {"level": 1}}
    assert GzipCodec(level=np.int64(1)).to_v2() == {"id": "gzip", "level": 1}
    assert GzipCodec().encoded_size(1) is None
