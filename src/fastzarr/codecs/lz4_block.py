"""The ``lz4`` compression of N5: the block stream of the Java library lz4-java.

Rules of this file:

* A stream consists of blocks, each with a header: a magic number, the method and the largest size
  of a block in one byte, both sizes, and a checksum of the decoded bytes. A block without content
  ends it. Every field is checked before anything is decoded.
* z5 stores a bare LZ4 block under the same name. It cannot begin with the magic number, which would
  be a match before the first decoded byte, so both are read. What is written is a stream.
* The checksum is XXH32 with a seed of lz4-java's, of which it keeps 28 bits.

Specification: N5, "File-system specification", version 4.0.0; lz4-java, ``LZ4BlockOutputStream``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fastzarr.buffers import as_view
from fastzarr.checked import as_int
from fastzarr.codecs.base import FAST, BytesBytesCodec, bound, padded
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from fastzarr.buffers import Buffer

MAGIC = b"LZ4Block"
"""What every block begins with."""
_HEADER = struct.Struct("<8sBIII")
_RAW, _LZ4 = 0x10, 0x20
_BASE = 10
"""The largest size of a block is 2 to the power of this plus the lower half of a header's byte."""
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF
_KEPT = 0x0FFFFFFF
_PRIMES = (2654435761, 2246822519, 3266489917, 668265263, 374761393)


@dataclass(frozen=True, kw_only=True)
class Lz4BlockCodec(BytesBytesCodec):
    """LZ4 in blocks of at most ``blockSize`` decoded bytes, from 64 to 32 MiB.

    >>> codec = Lz4BlockCodec()
    >>> bytes(codec.decode(codec.encode(b"abc" * 9), 27)) == b"abc" * 9
    True
    """

    name: ClassVar[str] = "n5_lz4"
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    blockSize: int = 1 << 16  # noqa: N815  (the member's name in N5)

    def __post_init__(self) -> None:
        """Validate the size."""
        size = as_int(self.blockSize, "blockSize", 64, 1 << 25)
        object.__setattr__(self, "blockSize", size)

    def to_dict(self) -> dict[str, Any]:
        """Raise ``MetadataError``: the codec has no name in format 3."""
        msg = "the lz4 of N5 is not a codec of format 3; use zstd or blosc with lz4 instead"
        raise MetadataError(msg)

    def native(self) -> tuple[str, list[int], str]:
        """Return the size of a block and ``padded``."""
        return self.name, [self.blockSize, padded()], ""

    def encoded_size(self, size: int | None) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values."""
        return None

    def encode(self, data: Buffer) -> bytes:
        """Return the bytes as a stream."""
        from numcodecs import lz4

        view = as_view(data)
        level = max(0, (self.blockSize - 1).bit_length() - _BASE)
        parts: list[Any] = []
        for start in range(0, view.nbytes, self.blockSize):
            block = view[start : start + self.blockSize]
            # numcodecs puts the decoded size in front.
            packed: Any = lz4.compress(block)[4:]
            method = _LZ4
            if len(packed) >= block.nbytes:
                method, packed = _RAW, block
            check = xxh32(block) & _KEPT
            parts += (_HEADER.pack(MAGIC, method | level, len(packed), block.nbytes, check), packed)
        parts.append(_HEADER.pack(MAGIC, _RAW | level, 0, 0, 0))
        return b"".join(parts)

    def decode(self, data: Buffer, size: int | None) -> bytes:
        """Return the decoded bytes of a stream, or of a bare LZ4 block of a known size."""
        view = as_view(data)
        if view[: len(MAGIC)] != MAGIC and size is not None and size < 1 << 31:
            return _decode_block(view, size) if view.nbytes or size else b""
        return _decode_stream(view, size)


def _decode_stream(view: memoryview, size: int | None) -> bytes:
    most = bound(size, view.nbytes)
    parts: list[bytes] = []
    position = found = 0
    while True:
        if view.nbytes - position < _HEADER.size:
            msg = f"lz4: the data ends early, after {found} decoded bytes"
            raise CodecError(msg if size is None else f"{msg} of {size} expected")
        magic, token, packed, plain, check = _HEADER.unpack_from(view, position)
        method, largest = token & 0xF0, 1 << (_BASE + (token & 0x0F))
        position += _HEADER.size
        empty = (packed == 0, plain == 0)
        same = method == _LZ4 or (method == _RAW and packed == plain)
        if magic != MAGIC or not same or empty[0] != empty[1] or plain > largest:
            msg = (
                f"lz4: the header of the block at byte {position - _HEADER.size} is damaged: "
                f"{magic!r}, method {method:#x}, {packed} bytes for {plain} decoded bytes"
            )
            raise CodecError(msg)
        if not plain:
            break
        found += plain
        if found > most:
            msg = f"lz4: expected at most {most} decoded bytes, but the headers state {found}"
            raise CodecError(msg)
        block = view[position : position + packed]
        position += packed
        if block.nbytes != packed:
            msg = f"lz4: a block of {packed} bytes ends early, after {block.nbytes}"
            raise CodecError(msg)
        content = bytes(block) if method == _RAW else _decode_block(block, plain)
        if xxh32(content) & _KEPT != check:
            msg = f"lz4: the checksum of {plain} decoded bytes is not the stored {check:#010x}"
            raise CodecError(msg)
        parts.append(content)
    if size is not None and found != size:
        msg = f"lz4: expected {size} decoded bytes, but the data holds {found}"
        raise CodecError(msg)
    if position != view.nbytes and not padded():
        msg = f"lz4: {view.nbytes - position} bytes follow the end of the data"
        raise CodecError(msg)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decode_block(block: memoryview, size: int) -> bytes:
    from numcodecs import lz4

    try:
        return lz4.decompress(b"".join((size.to_bytes(4, "little"), block)))  # type: ignore[no-any-return]
    except (RuntimeError, ValueError) as error:
        msg = f"lz4: {block.nbytes} bytes cannot be decoded to {size}: {error}"
        raise CodecError(msg) from error


def xxh32(data: Buffer, seed: int = _SEED) -> int:
    """Return the checksum XXH32 of bytes.

    >>> hex(xxh32(b"", 0))
    '0x2cc5d05'
    """
    view = as_view(data)
    one, two, three, four, five = _PRIMES
    end = view.nbytes & ~15
    if end:
        lanes = [seed + one + two, seed + two, seed, seed - one]
        a, b, c, d = (lane & _MASK for lane in lanes)
        for w, x, y, z in struct.iter_unpack("<4I", view[:end]):
            a = (a + w * two) & _MASK
            a = ((a << 13 | a >> 19) * one) & _MASK
            b = (b + x * two) & _MASK
            b = ((b << 13 | b >> 19) * one) & _MASK
            c = (c + y * two) & _MASK
            c = ((c << 13 | c >> 19) * one) & _MASK
            d = (d + z * two) & _MASK
            d = ((d << 13 | d >> 19) * one) & _MASK
        total = _turned(a, 1) + _turned(b, 7) + _turned(c, 12) + _turned(d, 18)
    else:
        total = seed + five
    total = (total + view.nbytes) & _MASK
    while end + 4 <= view.nbytes:
        word = int.from_bytes(view[end : end + 4], "little")
        total = (_turned((total + word * three) & _MASK, 17) * four) & _MASK
        end += 4
    for byte in view[end:]:
        total = (_turned((total + byte * five) & _MASK, 11) * one) & _MASK
    total = ((total ^ total >> 15) * two) & _MASK
    total = ((total ^ total >> 13) * three) & _MASK
    return total ^ total >> 16


def _turned(number: int, count: int) -> int:
    return (number << count | number >> (32 - count)) & _MASK
