"""The crc32c checksum, compared with published vectors and a simple loop, and its codec."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.codecs.crc32c import Crc32cCodec, crc32c
from fastzarr.errors import CodecError, MetadataError

# RFC 3720, appendix B.4, and the check value of the CRC catalogue.
VECTORS = {
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    bytes.fromhex(
        "01c00000000000000000000000000000140000000000040000000014000000182800000000000000"
        "0200000000000000"
    ): 0xD9963A56,
    b"123456789": 0xE3069283,
    b"": 0,
}


def by_bits(data: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@pytest.mark.parametrize(("data", "expected"), VECTORS.items())
def test_published_vectors(data, expected):
    assert crc32c(data) == expected


@given(st.binary(max_size=3000))
def test_agrees_with_the_definition(data):
    assert crc32c(data) == by_bits(data)


@pytest.mark.parametrize("size", [4095, 131071, 131072, 131073, 200_001])
def test_agrees_with_the_definition_for_long_data(size):
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == by_bits(data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda d: np.frombuffer(d, "u1")])
def test_round_trip_of_any_buffer(kind):
    encoded = Crc32cCodec().encode(kind(b"123456789"))
    assert encoded == b"123456789" + (0xE3069283).to_bytes(4, "little")
    assert bytes(Crc32cCodec().decode(kind(encoded), 9)) == b"123456789"
    assert bytes(Crc32cCodec().decode(kind(encoded), None)) == b"123456789"


def test_decoding_does_not_copy():
    data = bytearray(Crc32cCodec().encode(b"abc"))
    payload = Crc32cCodec().decode(data, 3)
    data[0] = ord("x")
    assert bytes(payload) == b"xbc"


@pytest.mark.parametrize("size", [None, 20])
def test_any_damage_is_found(damaged, size):
    for what, data in damaged(Crc32cCodec().encode(bytes(range(20)))):
        with pytest.raises(CodecError, match="crc32c"):
            pytest.fail(f"{what}: {bytes(Crc32cCodec().decode(data, size))!r}")


def test_wrong_size_names_both():
    with pytest.raises(CodecError, match=r"expected 5 decoded bytes.* 3"):
        Crc32cCodec().decode(Crc32cCodec().encode(b"abc"), 5)


def test_metadata():
    assert Crc32cCodec().to_dict() == {"name": "crc32c"}
    assert Crc32cCodec().to_v2() == {"id": "crc32c"}
    assert Crc32cCodec().encoded_size(3) == 7
    assert Crc32cCodec().encoded_size(None) is None
    with pytest.raises(MetadataError, match=r"a\.location: unknown member; known members: none"):
        Crc32cCodec.from_config({"location": "end"}, "a")
