"""The lz4 of N5: streams of lz4-java, and bare blocks."""

from __future__ import annotations

import struct

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from fastzarr import errors
from fastzarr.codecs.lz4_block import MAGIC, Lz4BlockCodec, xxh32
from fastzarr.config import config

DATA = np.random.default_rng(1).integers(0, 9, 1000).astype("u1").tobytes()


@pytest.mark.parametrize(
    ("data", "seed", "checksum"),
    [
        # The test vectors of the specification of XXH32.
        (b"", 0, 0x02CC5D05),
        (b"", 2654435761, 0x36B78AE7),
        (b"a", 0, 0x550D7456),
        (b"abc", 0, 0x32D153FF),
        (b"Nobody inspects the spammish repetition", 0, 0xE2293B2F),
    ],
)
def test_the_checksum_has_known_values(data: bytes, seed: int, checksum: int) -> None:
    assert xxh32(data, seed) == checksum


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 1000])
def test_a_stream_has_a_header_for_each_block_and_an_empty_one(size: int) -> None:
    codec = Lz4BlockCodec(blockSize=64)
    encoded = codec.encode(DATA[:size])
    assert encoded.count(MAGIC) == -(-size // 64) + 1
    assert encoded[-21:] == MAGIC + b"\x10" + bytes(12)
    assert codec.decode(encoded, size) == DATA[:size]
    assert codec.decode(encoded, None) == DATA[:size]


def test_a_block_that_does_not_shrink_is_stored() -> None:
    noise = np.random.default_rng(2).bytes(100)
    encoded = Lz4BlockCodec().encode(noise)
    assert encoded[8:9] == b"\x16"
    assert encoded[21:121] == noise
    assert Lz4BlockCodec().decode(encoded, 100) == noise


def test_a_stream_of_lz4_java_is_read() -> None:
    # Made with the class LZ4BlockOutputStream's layout: 12 bytes stored, then the end.
    content = bytes(range(12))
    check = xxh32(content) & 0x0FFFFFFF
    stream = MAGIC + struct.pack("<BIII", 0x16, 12, 12, check) + content
    stream += MAGIC + struct.pack("<BIII", 0x16, 0, 0, 0)
    assert Lz4BlockCodec().decode(stream, 12) == content


def test_a_bare_block_is_read_as_z5_writes_it() -> None:
    bare = b"\xc0" + bytes(range(12))
    assert Lz4BlockCodec().decode(bare, 12) == bytes(range(12))
    with pytest.raises(errors.CodecError, match="lz4"):
        Lz4BlockCodec().decode(bare, 13)
    with pytest.raises(errors.CodecError, match="ends early"):
        Lz4BlockCodec().decode(bare, None)


def _header(packed: int, plain: int, check: int = 0, token: int = 0x26) -> bytes:
    return MAGIC + struct.pack("<BIII", token, packed, plain, check)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (MAGIC, "ends early, after 0 decoded bytes of 12"),
        (Lz4BlockCodec().encode(bytes(range(12)))[:-21], "ends early, after 12 decoded bytes"),
        (_header(0, 12), "header of the block at byte 0 is damaged"),
        (_header(12, 0), "damaged"),
        (_header(12, 12, token=0x36), "method 0x30"),
        (_header(11, 12, token=0x16), "damaged"),
        (_header(12, 1 << 17), "damaged"),
        (_header(2**32 - 1, 13), "at most 12 decoded bytes, but the headers state 13"),
        (_header(12, 12) + bytes(3), "12 bytes ends early, after 3"),
        (_header(12, 12) + bytes(12), "cannot be decoded to 12"),
        (_header(12, 12, 1, 0x16) + bytes(range(12)), "checksum of 12 decoded bytes"),
        (_header(0, 0), "expected 12 decoded bytes, but the data holds 0"),
    ],
)
def test_a_damaged_stream_raises_an_error(data: bytes, says: str) -> None:
    with pytest.raises(errors.CodecError, match=says):
        Lz4BlockCodec().decode(data, 12)


def test_bytes_behind_the_end_are_padding_if_that_is_allowed() -> None:
    data = Lz4BlockCodec().encode(DATA) + b"\0\0"
    assert Lz4BlockCodec().decode(data, len(DATA)) == DATA
    with (
        config.set({"array.read_padded_chunks": False}),
        pytest.raises(errors.CodecError, match="2 bytes follow the end"),
    ):
        Lz4BlockCodec().decode(data, len(DATA))


@given(st.integers(0, 200), st.binary(max_size=4), st.integers(0, 3))
def test_damaged_data_is_found(at: int, new: bytes, gone: int) -> None:
    encoded = bytearray(Lz4BlockCodec(blockSize=64).encode(DATA[:100]))
    encoded[at : at + gone] = new
    try:
        found = Lz4BlockCodec().decode(bytes(encoded), 100)
    except errors.CodecError:
        return
    # Only the level of a header and what follows the end are not covered by a checksum.
    assert found == DATA[:100]


@pytest.mark.parametrize("size", [0, 63, (1 << 25) + 1, "a", True])
def test_sizes_out_of_bounds_are_refused(size: object) -> None:
    with pytest.raises(errors.MetadataError, match="blockSize: must be an integer from 64"):
        Lz4BlockCodec(blockSize=size)  # type: ignore[arg-type]


def test_the_codec_is_none_of_format_3() -> None:
    with pytest.raises(errors.MetadataError, match="not a codec of format 3"):
        Lz4BlockCodec().to_dict()
