"""The ``vlen-utf8`` and ``vlen-bytes`` codecs: elements of varying length.

Rules of this file:

* The stored form is a count, then for each element in C order its length and its bytes; count and
  lengths are unsigned 32-bit little-endian integers.
* The count must be that of the chunk, and each length fit what is left, before anything is made of
  them. Bytes behind the last element are an error.
* None in an array of objects is stored as the empty element, as numcodecs does.

Specification: zarr-extensions, ``codecs/vlen-utf8`` and ``codecs/vlen-bytes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from struct import Struct
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.codecs.base import ArrayBytesCodec, as_view
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from fastzarr.codecs.base import Buffer, ChunkSpec

_WORD = Struct("<I")
_LIMIT = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class VLenUTF8Codec(ArrayBytesCodec):
    """Store text of varying length as UTF-8.

    >>> VLenUTF8Codec().to_dict()
    {'name': 'vlen-utf8'}
    """

    name: ClassVar[str] = "vlen-utf8"

    def resolve(self, spec: ChunkSpec) -> Self:
        """Raise ``MetadataError`` unless the elements are text."""
        check_elements(spec, "string")
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Give None: the size depends on the values."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:  # noqa: ARG002
        """Encode each element as UTF-8; ``CodecError`` where one is no text."""
        try:
            return _joined([_utf8(item) for item in array.ravel().tolist()])
        except (AttributeError, TypeError, UnicodeEncodeError) as error:
            msg = f"vlen-utf8: an element cannot be stored as text: {error}"
            raise CodecError(msg) from error

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Decode to an array of the spec's data type."""
        try:
            items = [item.decode() for item in _split(self.name, data, spec)]
        except UnicodeDecodeError as error:
            msg = f"vlen-utf8: an element is not UTF-8: {error}"
            raise CodecError(msg) from error
        return _array(items, spec)


@dataclass(frozen=True, kw_only=True)
class VLenBytesCodec(ArrayBytesCodec):
    """Store bytes of varying length.

    >>> VLenBytesCodec().to_dict()
    {'name': 'vlen-bytes'}
    """

    name: ClassVar[str] = "vlen-bytes"

    def resolve(self, spec: ChunkSpec) -> Self:
        """Raise ``MetadataError`` unless the elements are bytes of varying length."""
        check_elements(spec, "bytes")
        return self

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Give None: the size depends on the values."""
        return None

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:  # noqa: ARG002
        """Join the elements; ``CodecError`` where one is not bytes."""
        try:
            return _joined([_bytes(item) for item in array.ravel().tolist()])
        except TypeError as error:
            msg = f"vlen-bytes: an element cannot be stored as bytes: {error}"
            raise CodecError(msg) from error

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Decode to an array of ``bytes`` objects."""
        return _array(_split(self.name, data, spec), spec)


def check_elements(spec: ChunkSpec, name: str) -> None:
    """Raise ``MetadataError`` unless a chunk holds elements of this data type, or objects."""
    if spec.dtype.itemsize is None and spec.dtype.name in (name, "object"):
        return
    msg = f"stores elements of the data type {name!r}, not {spec.dtype.name!r}"
    raise MetadataError(msg)


def _utf8(item: Any) -> bytes:
    if type(item) is str:
        return item.encode()
    if item is None:
        return b""
    if isinstance(item, str):
        return str(item).encode()
    msg = f"{item!r} is no str"
    raise TypeError(msg)


def _bytes(item: Any) -> bytes:
    if type(item) is bytes:
        return item
    if item is None:
        return b""
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    if isinstance(item, np.void):
        return item.tobytes()
    msg = f"{item!r} is no bytes"
    raise TypeError(msg)


def _joined(items: list[bytes]) -> bytes:
    longest = max(map(len, items), default=0)
    if longest > _LIMIT or len(items) > _LIMIT:
        msg = f"{len(items)} elements of up to {longest} bytes; at most {_LIMIT} fit either"
        raise CodecError(msg)
    parts = [b""] * (2 * len(items))
    parts[::2] = map(_WORD.pack, map(len, items))
    parts[1::2] = items
    return b"".join((_WORD.pack(len(items)), *parts))


def _split(name: str, data: Buffer, spec: ChunkSpec) -> list[bytes]:
    view, expected = as_view(data), prod(spec.shape)
    end = view.nbytes
    if end < _WORD.size:
        msg = f"{name}: expected at least {_WORD.size} bytes, found {end}"
        raise CodecError(msg)
    found = _WORD.unpack_from(view)[0]
    if found != expected:
        msg = f"{name}: expected {expected} elements, but the data holds {found}"
        raise CodecError(msg)
    if end < _WORD.size * (1 + found):
        msg = f"{name}: {found} elements take {_WORD.size * (1 + found)} bytes or more, found {end}"
        raise CodecError(msg)
    # Slices of bytes are made faster than those of a memoryview.
    raw, items, position, unpack = bytes(view), [], _WORD.size, _WORD.unpack_from
    for number in range(found):
        start = position + 4
        if start > end:
            msg = f"{name}: the data ends early, after {number} of {found} elements: {end} bytes"
            raise CodecError(msg)
        position = start + unpack(raw, position)[0]
        if position > end:
            msg = (
                f"{name}: element {number} of {found} states {position - start} bytes, but "
                f"{end - start} are left"
            )
            raise CodecError(msg)
        items.append(raw[start:position])
    if position != end:
        msg = f"{name}: expected {position} bytes, found {end}"
        raise CodecError(msg)
    return items


def _array(items: list[Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
    array = np.empty(len(items), dtype=spec.dtype.numpy)
    array[:] = items
    return array.reshape(spec.shape)
