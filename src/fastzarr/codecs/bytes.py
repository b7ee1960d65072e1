"""The ``bytes`` codec: the elements of a chunk in C order.

Rules of this file:

* Encoding returns a view of an array that is contiguous and in the stored byte order, and decoding
  returns a view of the input. Callers must not modify a buffer while they use its view.
* Byte order applies to every field of a record and every part of a complex number.
* Insignificant bits of a data type (see ``DataType.masks``) become zero on reading and on writing,
  so that equal values have equal bytes. Any stored boolean other than 0 is True.

Specification: zarr-specs, "Bytes codec", version 1.0. Its former name is ``endian``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.checked import choice
from fastzarr.codecs.base import FAST, ArrayBytesCodec
from fastzarr.dtypes.base import ORDERS
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec, Native
    from fastzarr.codecs.enums import Endian
    from fastzarr.dtypes import DataType

# The largest record whose bytes the extension moves one by one.
_LARGEST = 1024


@dataclass(frozen=True, kw_only=True)
class BytesCodec(ArrayBytesCodec):
    """Stores elements uncompressed in the byte order ``endian``.

    ``endian`` is ``"little"``, ``"big"``, or None. None means the order of the data type's NumPy
    dtype, as in format 2; data types of one byte have no order and always use None.

    >>> BytesCodec().to_dict()
    {'name': 'bytes', 'configuration': {'endian': 'little'}}
    """

    name: ClassVar[str] = "bytes"
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    endian: str | None = "little"

    if TYPE_CHECKING:
        # What is passed has more types than the members have.
        def __init__(self, *, endian: Literal["little", "big"] | Endian | None = "little") -> None:
            """Initialise with the members."""

    def __post_init__(self) -> None:
        """Validate and normalise the byte order."""
        if self.endian is not None:
            object.__setattr__(self, "endian", choice(self.endian, ("little", "big"), "endian"))

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with a configuration, in which a missing ``endian`` means None."""
        codec = super().from_config(config, where)
        return codec if "endian" in config else replace(codec, endian=None)

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {} if self.endian is None else {"endian": self.endian}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec, without ``endian`` if the data type has no byte order.

        Raise ``MetadataError`` if elements vary in length.
        """
        if spec.dtype.itemsize is None:
            msg = (
                f"cannot store {spec.dtype.name!r}, whose elements vary in length; use 'vlen-utf8' "
                "for text, 'vlen-bytes' for bytes, or an object_codec in format 2"
            )
            raise MetadataError(msg)
        if self.endian is not None and not spec.dtype.multibyte:
            return replace(self, endian=None)
        return self

    def native_bytes(self, spec: ChunkSpec) -> tuple[list[Native], list[Native]] | None:
        """Return the codecs of elements.

        The result is None for large records whose fields differ in them, and for those of which
        only some fields are swapped.
        """
        dtype, mask, size = spec.dtype, spec.dtype.mask, spec.dtype.number_size
        memory, stored = dtype.numpy, self.stored(dtype)
        swapped = memory != stored
        if mask is not None:
            typed: list[Native] = [("mask", [mask.bit_length(), 0], "")]
        elif memory.kind == "b":
            typed = [("truth", [], "")]
        elif not swapped and not dtype.masks:
            typed = []
        elif swapped and stored != memory.newbyteorder("S"):
            return None
        elif size is not None and not dtype.masks:
            typed = [("swap", [size], "")]
        elif memory.itemsize > _LARGEST:
            return None
        else:
            masks = dtype.masks or b"\xff" * memory.itemsize
            pairs = zip(dtype.places(swapped=swapped), masks, strict=True)
            typed = [("record", [number for pair in pairs for number in pair], "")]
        return typed, []

    def encoded_size(self, spec: ChunkSpec) -> int:
        """Return the number of elements times the item size."""
        return prod(spec.shape) * (spec.dtype.itemsize or 0)

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Return the bytes of the array; they are copied only if order or layout differs."""
        if not array.size or not spec.dtype.itemsize:
            return b""
        dtype = self.stored(spec.dtype)
        if array.dtype != dtype:
            array = _ordered(array, dtype)
        if spec.dtype.masks:
            array = spec.dtype.cleared(array)
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the bytes as an array, a read-only view if possible.

        Raise ``CodecError`` unless the number of bytes is exactly that of the chunk.
        """
        size = prod(spec.shape) * (spec.dtype.itemsize or 0)
        if not isinstance(data, bytes):
            data = as_view(data)
        found = len(data)
        if found != size:
            msg = (
                f"bytes: expected {size} bytes for shape {spec.shape} of {spec.dtype.name}, "
                f"found {found}"
            )
            raise CodecError(msg)
        dtype = self.stored(spec.dtype)
        if not size:
            return np.zeros(spec.shape, dtype)
        if dtype.kind == "b":
            raw = np.frombuffer(data, np.uint8)
            if raw.max() > 1:
                return np.not_equal(raw, 0).reshape(spec.shape)
        array = np.frombuffer(data, dtype).reshape(spec.shape)
        return spec.dtype.cleared(array) if spec.dtype.masks else array

    def stored(self, dtype: DataType) -> np.dtype[Any]:
        """Return the NumPy dtype of the stored elements."""
        if self.endian is None or not dtype.multibyte:
            return dtype.numpy
        return dtype.numpy.newbyteorder(ORDERS[self.endian])


def _ordered(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return an array in another byte order."""
    if dtype.kind in "mM":
        # NumPy converts times without a unit to a foreign byte order without swapping their bytes.
        return array.byteswap().view(dtype)
    return array.astype(dtype)
