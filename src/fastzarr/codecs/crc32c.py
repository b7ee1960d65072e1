"""The ``crc32c`` codec, which appends a checksum, and the computation of that checksum.

Rules of this file:

* A checksum mismatch is an error, unless the setting ``array.verify_checksums`` is False.
* Decoding returns a view of the data, without a copy.
* The checksum is computed with NumPy. A message is a polynomial over GF(2), and its checksum is the
  remainder of division by the Castagnoli polynomial. Rows of words are added by Horner's rule:
  multiply the sum by x^(bits in a row), then add the next row. The final sum is a message of one
  row with the same remainder, which is folded again in narrower rows. Finally, the remainders of
  the powers of x for the set bits of the narrow row are added.

Specification: zarr-specs, "CRC32C codec", version 1.0; RFC 3720, appendix B.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.codecs.base import FAST, BytesBytesCodec, check_size, verified
from fastzarr.config import config
from fastzarr.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastzarr.buffers import Buffer

_POLYNOMIAL = 0x82F63B78
_ONES = 0xFFFFFFFF
_SIZE = 4
# The number of words in a row of each folding. Wide rows amortise the cost of NumPy calls, and a
# state of 4096 words still fits in the L1 cache (measured).
_WIDE, _NARROW = 4096, 256


@dataclass(frozen=True, kw_only=True)
class Crc32cCodec(BytesBytesCodec):
    """Appends the little-endian CRC32C checksum of the data, and verifies it on reading.

    >>> Crc32cCodec().encode(b"123456789")[-4:].hex()
    '839206e3'
    """

    name: ClassVar[str] = "crc32c"
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST
    ignored: ClassVar[frozenset[str]] = frozenset({"check_crc"})

    def to_v2(self) -> dict[str, Any]:
        """Return the numcodecs configuration."""
        return {"id": "crc32c"}

    def native(self) -> tuple[str, list[int], str] | None:
        """Return the location of the checksum: after the data. None if it is not to be compared."""
        return ("crc32c", [], "end") if verified() else None

    def encoded_size(self, size: int | None) -> int | None:
        """Return ``size`` plus four bytes."""
        return None if size is None else size + _SIZE

    def encode(self, data: Buffer) -> bytes:
        """Return the data followed by its checksum."""
        view = as_view(data)
        return b"".join((view, crc32c(view).to_bytes(_SIZE, "little")))

    def decode(self, data: Buffer, size: int | None) -> memoryview:
        """Return the data without its checksum; raise ``CodecError`` if that does not match."""
        view = as_view(data)
        if view.nbytes < _SIZE:
            msg = f"crc32c: expected at least {_SIZE} bytes for the checksum, found {view.nbytes}"
            raise CodecError(msg)
        if size is not None and view.nbytes - _SIZE != size:
            check_size(self.name, view.nbytes - _SIZE, size)
        stored, payload = int.from_bytes(view[-_SIZE:], "little"), view[:-_SIZE]
        # Not `verified()`: each chunk that the twin reads is a call less.
        if not config.flat["array.verify_checksums"]:
            return payload
        computed = _checksum(payload)
        if stored != computed:
            msg = (
                f"crc32c: the checksum of {payload.nbytes} bytes is {computed:#010x}, but "
                f"{stored:#010x} is stored with them: the data is damaged"
            )
            raise CodecError(msg)
        return payload


def crc32c(data: Buffer) -> int:
    """Return the CRC32C checksum of a buffer.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    return _checksum(as_view(data))


def _checksum(view: memoryview) -> int:
    size = view.nbytes
    if size < _SIZE:
        return reduce(_by_byte, view, _ONES) ^ _ONES
    wide = size >= 8 * _SIZE * _WIDE
    # Leading zeros do not change the remainder of a message. The initial value of all ones is
    # equivalent to inverting the first four bytes.
    row = _SIZE * (_WIDE if wide else _NARROW)
    raw = np.empty(-(-size // row) * row, dtype=np.uint8)
    start = raw.size - size
    raw[:start] = 0
    raw[start:] = view
    raw[start : start + _SIZE] ^= 0xFF
    words = raw.view("<u4")
    if wide:
        words = _fold(words, _WIDE)
    if words.size > _NARROW:
        words = _fold(words, _NARROW)
    bits = np.unpackbits(words.view(np.uint8), bitorder="little")
    return int(np.bitwise_xor.reduce(_powers() * bits)) ^ _ONES


def _fold(words: NDArray[np.uint32], width: int) -> NDArray[np.uint32]:
    rows = words.reshape(-1, width)
    low, high = _multiplier(32 * width)
    total: NDArray[np.int64] = rows[0].astype(np.int64)
    index, part = np.empty_like(total), np.empty_like(total)
    for row in rows[1:]:
        np.bitwise_and(total, 0xFFFF, out=index)
        np.right_shift(total, 16, out=total)
        # Every index is in range; mode="clip" avoids the bounds check.
        high.take(total, out=part, mode="clip")
        low.take(index, out=total, mode="clip")
        np.bitwise_xor(total, part, out=total)
        np.bitwise_xor(total, row, out=total)
    return total.astype(np.dtype("<u4"))


@cache
def _powers() -> NDArray[np.uint32]:
    """Return the remainder of the power of x of each bit in a narrow row, highest power first."""
    powers, remainder = [], _POLYNOMIAL
    for _ in range(32 * _NARROW):
        powers.append(remainder)
        remainder = _times_x(remainder)
    return np.array(powers[::-1], dtype=np.uint32)


@cache
def _multiplier(bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return tables of v * x^bits for the low and the high 16 bits of a word v."""
    column = reduce(lambda word, _: _times_x(word), range(bits), 1 << 31)
    columns: list[int] = []
    for _ in range(32):
        columns.insert(0, column)
        column = _times_x(column)
    return _table(columns[:16]), _table(columns[16:])


def _times_x(word: int) -> int:
    # Bit i of a word is the coefficient of x^(31 - i).
    return word >> 1 ^ (_POLYNOMIAL if word & 1 else 0)


def _table(columns: list[int]) -> NDArray[np.int64]:
    table = np.zeros(1 << len(columns), dtype=np.int64)
    for i, column in enumerate(columns):
        table[1 << i : 2 << i] = table[: 1 << i] ^ column
    return table


def _by_byte(state: int, byte: int) -> int:
    return reduce(lambda word, _: _times_x(word), range(8), state ^ byte)
