"""The ``packbits`` codec: some bits of each number, without gaps between them.

Rules of this file:

* The first number is in the lowest bits of the first byte. numcodecs' codec of the same name, which
  is ``numcodecs.packbits`` here, begins with the highest bit: they are two codecs.
* Bits that are not stored are decoded as copies of the sign in signed integers, and as zero in
  others.
* The byte that tells how many bits of padding there are is compared if a whole chunk is decoded. A
  part of a chunk is decoded from the bytes that have its bits.

Specification: zarr-extensions, ``codecs/packbits``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.checked import as_int, choice, show
from fastzarr.codecs.base import FAST, ArrayBytesCodec, check_size
from fastzarr.codecs.numbers import Numbers, numbers_of
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec, Native

_ENCODINGS = ("none", "first_byte", "last_byte")
_BITS = 8


@dataclass(frozen=True, kw_only=True)
class PackbitsCodec(ArrayBytesCodec):
    r"""Stores the bits from ``first_bit`` to ``last_bit`` of each number.

    Bits are counted from the lowest one. None means the first or last bit of the data type: a truth
    value has one bit, ``int4`` has four. ``padding_encoding`` is ``"first_byte"`` or
    ``"last_byte"`` if a byte before or behind the others tells how many bits of padding there are.

    >>> import fastzarr
    >>> store = {}
    >>> z = fastzarr.create_array(
    ...     store, shape=9, dtype="bool", serializer=PackbitsCodec(), compressors=None
    ... )
    >>> z[:] = [True, False, False, False, False, False, False, False, True]
    >>> bytes(store["c/0"])
    b'\x01\x01'
    """

    name: ClassVar[str] = "packbits"
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    padding_encoding: Literal["none", "first_byte", "last_byte"] = "none"
    first_bit: int | None = None
    last_bit: int | None = None

    def __post_init__(self) -> None:
        """Validate the members."""
        encoding = choice(self.padding_encoding, _ENCODINGS, "padding_encoding")
        object.__setattr__(self, "padding_encoding", encoding)
        for name in ("first_bit", "last_bit"):
            bit = getattr(self, name)
            if bit is not None:
                object.__setattr__(self, name, as_int(bit, name, 0, 63))
        if self.last_bit is not None and self.last_bit < (self.first_bit or 0):
            msg = f"must be at least first_bit, {self.first_bit or 0}, got {self.last_bit}"
            raise MetadataError(msg, "last_bit")

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object, without members that have their defaults."""
        found = {**super().config()}
        if self.padding_encoding == "none":
            del found["padding_encoding"]
        return {name: value for name, value in found.items() if value is not None}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` if the elements lack these bits."""
        self._numbers(spec)
        return self

    def native_bytes(self, spec: ChunkSpec) -> tuple[list[Native], list[Native]]:
        """Return the codec of elements."""
        numbers, first, bits = self._numbers(spec)
        width = numbers.bits if numbers.kind == "i" else 0
        described = [numbers.size, first, bits, width, 0]
        return [("packbits", described, self.padding_encoding)], []

    def encoded_size(self, spec: ChunkSpec) -> int:
        """Return the size of the packed bits, and of the byte that tells the padding."""
        numbers, _, bits = self._numbers(spec)
        count = prod(spec.shape) * numbers.count
        return -(-count * bits // _BITS) + (self.padding_encoding != "none")

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:
        """Return the packed bits of the array."""
        numbers, first, bits = self._numbers(spec)
        order = array.dtype.newbyteorder("<")
        flat = np.ascontiguousarray(array, order).reshape(-1).view(np.uint8)
        every = np.unpackbits(flat.reshape(-1, numbers.size), axis=1, bitorder="little")
        packed = np.packbits(every[:, first : first + bits], bitorder="little").tobytes()
        padding = bytes([-(every.shape[0] * bits) % _BITS])
        if self.padding_encoding == "first_byte":
            return padding + packed
        return packed + padding if self.padding_encoding == "last_byte" else packed

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decoded chunk; raise ``CodecError`` if size or padding is wrong."""
        numbers, first, bits = self._numbers(spec)
        view, count = as_view(data), prod(spec.shape) * numbers.count
        check_size(self.name, view.nbytes, self.encoded_size(spec))
        if self.padding_encoding != "none":
            place = 0 if self.padding_encoding == "first_byte" else -1
            stated, padding = view[place], -(count * bits) % _BITS
            if stated != padding:
                msg = f"packbits: expected {padding} bits of padding, but {stated} are stated"
                raise CodecError(msg)
            view = view[1:] if place == 0 else view[:-1]
        packed = np.frombuffer(view, np.uint8)
        stored = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
        every = np.zeros((count, _BITS * numbers.size), np.uint8)
        every[:, first : first + bits] = stored
        if numbers.kind == "i":
            every[:, first + bits : numbers.bits] = stored[:, -1:]
        memory = spec.dtype.numpy
        flat = np.packbits(every, axis=1, bitorder="little").reshape(-1)
        return flat.view(memory.newbyteorder("<")).astype(memory, copy=False).reshape(spec.shape)

    def _numbers(self, spec: ChunkSpec) -> tuple[Numbers, int, int]:
        """Return the numbers of the elements, the first bit, and the number of bits."""
        found = numbers_of(spec.dtype)
        if found is None or spec.dtype.numpy.kind in "mM":
            msg = f"packs truth values and numbers, not {show(spec.dtype.name)}"
            raise MetadataError(msg)
        first = self.first_bit or 0
        last = found.bits - 1 if self.last_bit is None else self.last_bit
        for name, bit in (("first_bit", first), ("last_bit", last)):
            if bit >= found.bits:
                msg = f"must be less than {found.bits} for {spec.dtype.name!r}, got {bit}"
                raise MetadataError(msg, name)
        return found, first, last - first + 1
