"""The ``n5_default`` codec: a block of N5, which begins with its own shape.

Rules of this file:

* A block is a header of big-endian integers, which are the mode, the number of axes and the shape,
  then the elements in column-major order, big-endian, compressed by at most one codec.
* A block at the edge of an array may be smaller than the others. It is read as the first elements
  along each axis, and the fill value elsewhere, wherever it is. What is written is always of full
  size, as by zarr-python 2 and TensorStore: otherwise a block would lose the elements that another
  writer has gained by a resize.
* No field of a header is trusted: a block has the axes of the chunk, and is not larger than it.
* Of the three modes only the first is supported; the others store elements of variable length.

Specification: zarr-extensions, ``codecs/n5_default``; N5, "File-system specification", 4.0.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.checked import check_members, member, placed
from fastzarr.codecs.base import ArrayBytesCodec, BytesBytesCodec, Codec
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.chain import resolve_chain
from fastzarr.codecs.parse import from_v3, parse_each
from fastzarr.codecs.transpose import TransposeCodec
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from fastzarr import hints
    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec, Native

_START = struct.Struct(">HH")
_MODES = {1: "varlength", 2: "object"}
_KINDS = "biufmM"
"""The kinds of NumPy dtypes whose elements a block can hold."""
_LONGEST = 2**32 - 1
_MOST_AXES = 2**16 - 1


@dataclass(frozen=True, kw_only=True)
class N5DefaultCodec(ArrayBytesCodec):
    """Stores a chunk as a block of N5.

    ``codecs`` are a ``transpose`` that reverses the axes, ``bytes`` in big-endian order, and at
    most one compressor.

    >>> codec = N5DefaultCodec(codecs=blocks(2))
    >>> [each.name for each in codec.codecs]
    ['transpose', 'bytes']
    """

    name: ClassVar[str] = "n5_default"
    cacheable: ClassVar[bool] = True
    pads: ClassVar[bool] = True

    codecs: tuple[Codec, ...]

    if TYPE_CHECKING:
        # What is passed has more types than the members have.
        def __init__(
            self, *, codecs: Sequence[Codec | hints.HasCodecConfig | Mapping[str, Any] | str]
        ) -> None:
            """Initialise with the members."""

    def __post_init__(self) -> None:
        """Validate the kinds of the codecs and their order."""
        found = parse_each(self.codecs, "codecs")
        kinds = (TransposeCodec, BytesCodec, BytesBytesCodec)
        fits = all(isinstance(codec, kind) for codec, kind in zip(found, kinds, strict=False))
        if not fits or len(found) not in (2, 3):
            names = ", ".join(repr(codec.name) for codec in found)
            msg = f"must be 'transpose', 'bytes' and at most one compressor, got {names or 'none'}"
            raise MetadataError(msg, "codecs")
        object.__setattr__(self, "codecs", found)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with the configuration of a document, parsing its inner codecs."""
        check_members(config, cls.members(), where)
        chain = config["codecs"]
        if isinstance(chain, list):
            place = member(where, "codecs")
            chain = [from_v3(codec, member(place, i)) for i, codec in enumerate(chain)]
        return placed(lambda: cls(codecs=chain), where)

    @property
    def compressor(self) -> BytesBytesCodec | None:
        """The compressor, or None.

        >>> N5DefaultCodec(codecs=blocks(2)).compressor is None
        True
        """
        found = self.codecs[-1]
        return found if isinstance(found, BytesBytesCodec) else None

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {"codecs": [codec.to_dict() for codec in self.codecs]}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with its inner codecs resolved.

        Raise ``MetadataError`` if the data type is none of N5's, if the axes are not reversed or
        the byte order is not big-endian, and for a chunk whose header would overflow.
        """
        if spec.dtype.itemsize is None or spec.dtype.numpy.kind not in _KINDS:
            msg = f"cannot store {spec.dtype.name!r}; N5 has integers and floats of fixed size"
            raise MetadataError(msg)
        if len(spec.shape) > _MOST_AXES or max(spec.shape, default=0) > _LONGEST:
            msg = f"a block of N5 has at most {_MOST_AXES} axes of {_LONGEST}, not {spec.shape}"
            raise MetadataError(msg)
        chain = resolve_chain(self.codecs, spec, "codecs")
        axes = tuple(range(len(spec.shape)))[::-1]
        if getattr(chain[0], "order", None) != axes:
            msg = f"must reverse the axes, as {list(axes)} does"
            raise MetadataError(msg, "codecs[0].configuration.order")
        if spec.dtype.multibyte and getattr(chain[1], "endian", None) != "big":
            msg = "must be 'big'"
            raise MetadataError(msg, "codecs[1].configuration.endian")
        return replace(self, codecs=chain)

    def nested(self) -> tuple[Codec, ...]:
        """Return the inner codecs."""
        return self.codecs

    def native_bytes(self, spec: ChunkSpec) -> tuple[list[Native], list[Native]] | None:
        """Return the codec's description for the extension; None if it cannot run there.

        The extension fills what a smaller block lacks with zeros.
        """
        inner = None if self.compressor is None else self.compressor.native()
        known = self.compressor is None or inner is not None
        if not known or np.asarray(spec.fill, spec.dtype.numpy).tobytes().strip(b"\0"):
            return None
        name, numbers, word = ("", [], "") if inner is None else inner
        serializer: Any = self.codecs[1]
        found: tuple[list[Native], list[Native]] | None = serializer.native_bytes(spec)
        if found is None:
            return None
        header = [spec.dtype.itemsize or 0, len(spec.shape), *spec.shape]
        return found[0], [(self.name, [*header, *numbers], f"{name} {word}" if name else "")]

    def stored_order(self, order: tuple[int, ...]) -> tuple[int, ...]:
        """Return the axes reversed, because the first is contiguous."""
        return order[::-1]

    def encoded_size(self, spec: ChunkSpec) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: blocks may be smaller than the chunk."""
        return None

    def stored_form(self, spec: ChunkSpec) -> Hashable:
        """Return the shape, which the header states, and the size of an element."""
        return spec.shape, spec.dtype.itemsize

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:
        """Return a block of full size."""
        header = struct.pack(f">HH{len(spec.shape)}I", 0, len(spec.shape), *spec.shape)
        serializer: Any = self.codecs[1]
        data = serializer.encode(array.transpose(), replace(spec, shape=spec.shape[::-1]))
        if self.compressor is not None:
            data = self.compressor.encode(data)
        return b"".join((header, as_view(data)))

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the decoded chunk, of shape ``spec.shape``; it may be a view of ``data``.

        Raise ``CodecError`` for a header that does not fit the chunk.
        """
        view = as_view(data)
        shape = _read_header(view, spec.shape)
        payload: Buffer = view[_START.size + 4 * len(shape) :]
        if self.compressor is not None:
            payload = self.compressor.decode(payload, prod(shape) * (spec.dtype.itemsize or 0))
        serializer: Any = self.codecs[1]
        block = serializer.decode(payload, replace(spec, shape=shape[::-1])).transpose()
        if shape == spec.shape:
            return block  # type: ignore[no-any-return]
        chunk = np.full(spec.shape, spec.fill, dtype=spec.dtype.numpy)
        chunk[tuple(map(slice, shape))] = block
        return chunk


def blocks(ndim: int, compressor: Codec | None = None) -> tuple[Codec, ...]:
    """Return the ``codecs`` of blocks of so many axes.

    >>> [codec.name for codec in blocks(3)]
    ['transpose', 'bytes']
    """
    chain: tuple[Codec, ...] = (
        TransposeCodec(order=tuple(range(ndim))[::-1]),
        BytesCodec(endian="big"),
    )
    return chain if compressor is None else (*chain, compressor)


def _read_header(view: memoryview, chunk: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a block; raise ``CodecError`` if it does not fit the chunk."""
    ndim, size = len(chunk), _START.size + 4 * len(chunk)
    if view.nbytes < _START.size:
        msg = f"n5_default: expected a header of {size} bytes, found {view.nbytes}"
        raise CodecError(msg)
    mode, found = _START.unpack_from(view)
    if mode:
        named = f" ({_MODES[mode]})" if mode in _MODES else ""
        msg = f"n5_default: the block has mode {mode}{named}, and only mode 0 is supported"
        raise CodecError(msg)
    if found != ndim:
        msg = f"n5_default: the block has {found} axes, but the chunk has {ndim}"
        raise CodecError(msg)
    if view.nbytes < size:
        msg = f"n5_default: expected a header of {size} bytes, found {view.nbytes}"
        raise CodecError(msg)
    shape: tuple[int, ...] = struct.unpack_from(f">{ndim}I", view, _START.size)
    if any(length > most for length, most in zip(shape, chunk, strict=True)):
        msg = f"n5_default: the block has shape {shape}, larger than a chunk of shape {chunk}"
        raise CodecError(msg)
    return shape
