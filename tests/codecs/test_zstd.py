"""The zstd codec: all kinds of frames, the sizes they state, and hostile frames."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numcodecs import zstd

from fastzarr.codecs.zstd import ZstdCodec
from fastzarr.config import config
from fastzarr.errors import CodecError, MetadataError

DATA = bytes(range(100)) * 3
MAGIC = bytes.fromhex("28b52ffd")


def raw(data, *, last):
    return (len(data) << 3 | last).to_bytes(3, "little") + data


def rle(byte, size, *, last):
    return (size << 3 | 2 | last).to_bytes(3, "little") + bytes([byte])


def frame(*blocks, content=None):
    """Return a frame as in RFC 8878; without a content size it needs a window size."""
    if content is None:
        return MAGIC + b"\x00\x58" + b"".join(blocks)
    return MAGIC + b"\xe0" + content.to_bytes(8, "little") + b"".join(blocks)


UNSIZED = frame(rle(7, 1000, last=False), raw(b"abc", last=True))


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("level", [-5, 0, 3, 22])
@pytest.mark.parametrize("data", [b"", b"a", DATA, bytes(300_000)])
def test_agrees_with_numcodecs(level, checksum, data):
    encoded = ZstdCodec(level=level, checksum=checksum).encode(data)
    assert encoded == zstd.compress(data, level, checksum)
    assert bytes(ZstdCodec().decode(encoded, len(data))) == data
    assert bytes(ZstdCodec().decode(np.frombuffer(encoded, "u1"), None)) == data


@pytest.mark.parametrize("size", [None, 1003])
def test_a_frame_without_content_size_decodes(size):
    assert bytes(ZstdCodec().decode(UNSIZED, size)) == b"\x07" * 1000 + b"abc"


@pytest.mark.parametrize("size", [0, 1002, 1004])
def test_a_frame_without_content_size_must_fit(size):
    with pytest.raises(CodecError, match=f"{size}"):
        ZstdCodec().decode(UNSIZED, size)


def test_an_empty_frame_without_content_size():
    assert bytes(ZstdCodec().decode(frame(raw(b"", last=True)), 0)) == b""


@pytest.mark.parametrize("size", [0, None])
def test_a_damaged_frame_of_no_bytes_is_an_error(size):
    # It needs a dictionary; what it decodes to would be taken for elements that a block lacks.
    damaged = MAGIC + bytes.fromhex("09 20 00 01 00 00")
    for good in (b"", frame(raw(b"", last=True), content=0), frame(raw(b"", last=True))):
        assert not good or bytes(ZstdCodec().decode(good, size)) == b""
        with pytest.raises(CodecError, match="cannot be decoded"):
            ZstdCodec().decode(good + damaged, size)


def test_frames_are_joined_and_skippable_ones_skipped():
    skippable = bytes.fromhex("532a4d18") + (5).to_bytes(4, "little") + b"12345"
    parts = zstd.compress(b"abc", 3) + skippable + zstd.compress(b"", 3) + UNSIZED
    assert bytes(ZstdCodec().decode(parts, 1006)) == b"abc" + b"\x07" * 1000 + b"abc"
    assert bytes(ZstdCodec().decode(UNSIZED * 2, 2006)) == (b"\x07" * 1000 + b"abc") * 2
    with pytest.raises(CodecError, match="expected 2005 decoded bytes"):
        ZstdCodec().decode(UNSIZED * 2, 2005)


def test_damage_without_a_checksum_never_changes_the_size(damaged):
    for _, data in damaged(ZstdCodec().encode(DATA)):
        try:
            assert len(ZstdCodec().decode(data, len(DATA))) == len(DATA)
        except CodecError as error:
            assert "zstd" in str(error)  # noqa: PT017


def test_damage_under_a_checksum_is_found(damaged):
    for what, data in damaged(ZstdCodec(checksum=True).encode(DATA)):
        try:
            assert bytes(ZstdCodec().decode(data, len(DATA))) == DATA, what
        except CodecError as error:
            assert "zstd" in str(error)  # noqa: PT017


@pytest.mark.parametrize("behind", [b"\0", b"garbage", MAGIC, bytes.fromhex("502a4d18ffffffff")])
def test_what_follows_is_an_error(behind):
    with pytest.raises(CodecError, match=r"no frame follows|ends early"):
        ZstdCodec().decode(ZstdCodec().encode(DATA) + behind, len(DATA))


def test_truncation_gives_the_sizes():
    encoded = ZstdCodec().encode(DATA)
    with pytest.raises(CodecError, match=f"ends early: {len(encoded) - 1} bytes found"):
        ZstdCodec().decode(encoded[:-1], len(DATA))


@pytest.mark.parametrize("size", [0, 299, 301, 10**12])
def test_another_size_is_an_error(size):
    with pytest.raises(CodecError, match=rf"expected {size} decoded bytes, .* 300"):
        ZstdCodec().decode(ZstdCodec().encode(DATA), size)


def test_a_size_beyond_the_blocks_is_not_believed():
    with pytest.raises(CodecError, match="hold at most 3"):
        ZstdCodec().decode(frame(raw(b"abc", last=True), content=2**62), None)
    with pytest.raises(CodecError, match="hold at most 3"):
        ZstdCodec().decode(frame(raw(b"abc", last=True), content=4), 4)


def test_a_bomb_is_not_unpacked():
    blocks = [rle(0, 1 << 17, last=False)] * 99 + [rle(0, 1 << 17, last=True)]
    size = 100 << 17
    for bomb in (frame(*blocks), frame(*blocks, content=size)):
        with config.set({"limits.chunk_bytes": size - 1}), pytest.raises(CodecError, match="limit"):
            ZstdCodec().decode(bomb, None)
        with pytest.raises(CodecError):
            ZstdCodec().decode(bomb, 100)
        assert bytes(ZstdCodec().decode(bomb, None)) == bytes(size)


def test_a_reserved_block_is_an_error():
    with pytest.raises(CodecError, match="block at byte 6 of 9 is damaged"):
        ZstdCodec().decode(frame(b"\x07\0\0"), 0)


@pytest.mark.parametrize("wrong", [-131073, 23, 1.0, True, "1", None])
def test_wrong_level_is_placed(wrong):
    with pytest.raises(MetadataError, match=r"^x\.level: must be an integer from -131072 to 22"):
        ZstdCodec.from_config({"level": wrong}, "x")


@pytest.mark.parametrize("wrong", [1, "true", None])
def test_wrong_checksum_is_placed(wrong):
    with pytest.raises(MetadataError, match=r"^x\.checksum: must be true or false"):
        ZstdCodec.from_config({"level": 1, "checksum": wrong}, "x")


def test_a_false_checksum_is_written_in_format_3_alone():
    assert ZstdCodec(level=1).config() == {"level": 1, "checksum": False}
    assert ZstdCodec.from_config({"level": 1}, "") == ZstdCodec(level=1)
    assert ZstdCodec(level=1, checksum=True).config() == {"level": 1, "checksum": True}
    assert ZstdCodec(level=1).to_v2() == {"id": "zstd", "level": 1}
    assert ZstdCodec.from_config({"level": 1, "checksum": False}, "") == ZstdCodec(level=1)


SKIPPABLE = bytes.fromhex("502a4d1804000000") + b"abcd"


@pytest.mark.parametrize("before", [b"", SKIPPABLE, frame(raw(b"", last=True)), frame(content=0)])
def test_frames_without_a_content_size_are_bounded_by_the_expected_size(before):
    if before == frame(content=0):
        before += raw(b"", last=True)
    # 1 GiB in 32 KiB, twice.
    bomb = frame(rle(0, 1 << 17, last=False) * 8000, raw(b"", last=True))
    tracemalloc.start()
    with pytest.raises(CodecError, match="expected 300000 decoded bytes"):
        ZstdCodec().decode(before + bomb + bomb, 300_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    two = before + UNSIZED + UNSIZED
    assert bytes(ZstdCodec().decode(two, 2006)) == bytes(ZstdCodec().decode(two, None))
    for size in (2005, 2007):
        with pytest.raises(CodecError, match=f"{size}"):
            ZstdCodec().decode(two, size)
