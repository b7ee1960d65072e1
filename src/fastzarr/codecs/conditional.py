"""The ``conditional`` codec: codecs that are applied to some chunks and not to others.

Rules of this file:

* An encoded chunk begins with a mask of ``header_bits``, little-endian. Bit ``i`` states whether
  codec ``i`` is applied; the bits behind those of the codecs are zero, or the data is an error.
* A codec whose encoded size varies, which is a compressor, is applied only if its output is smaller
  than its input. Others, such as shuffles and checksums, are always applied.
* A chunk is therefore never larger than the header, its decoded bytes, and the checksums.

Specification: zarr-extensions, ``codecs/conditional``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fastzarr.buffers import as_view, nbytes
from fastzarr.checked import as_int, check_members, member, placed
from fastzarr.codecs.base import FAST, BytesBytesCodec, Codec, check_size
from fastzarr.codecs.parse import from_v3, parse_each
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastzarr import hints
    from fastzarr.buffers import Buffer
    from fastzarr.codecs.base import ChunkSpec

_BYTE = 8
_MOST_BITS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class ConditionalCodec(BytesBytesCodec):
    """Applies each of its codecs only where that makes a chunk smaller.

    ``codecs`` are bytes-to-bytes codecs. ``header_bits`` is the size of the mask in bits, a
    multiple of 8; by default, the least that has a bit for each codec.

    >>> codec = ConditionalCodec(codecs=["gzip"])
    >>> len(codec.encode(b"ab")), len(codec.encode(b"ab" * 1000)) < 100
    (3, True)
    """

    name: ClassVar[str] = "conditional"
    cacheable: ClassVar[bool] = True

    codecs: tuple[BytesBytesCodec, ...]
    header_bits: int | None = None

    if TYPE_CHECKING:
        # What is passed has more types than the members have.
        def __init__(
            self,
            *,
            codecs: Sequence[Codec | hints.HasCodecConfig | Mapping[str, Any] | str],
            header_bits: int | None = None,
        ) -> None:
            """Initialise with the members."""

    def __post_init__(self) -> None:
        """Validate the codecs and the size of the mask."""
        found = parse_each(self.codecs, "codecs")
        for place, codec in enumerate(found):
            if not isinstance(codec, BytesBytesCodec):
                msg = f"{codec.name!r} does not encode bytes as bytes"
                raise MetadataError(msg, member("codecs", place))
        object.__setattr__(self, "codecs", found)
        if self.header_bits is not None:
            bits = as_int(self.header_bits, "header_bits", 0, _MOST_BITS)
            if bits % _BYTE or bits < len(found):
                msg = f"must be a multiple of 8 of at least {len(found)}, got {bits}"
                raise MetadataError(msg, "header_bits")
            object.__setattr__(self, "header_bits", bits)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with the configuration of a document, parsing its inner codecs."""
        check_members(config, cls.members(), where)
        found = dict(config)
        if isinstance(config["codecs"], list):
            place = member(where, "codecs")
            found["codecs"] = [from_v3(c, member(place, i)) for i, c in enumerate(config["codecs"])]
        if "header_bits" in config and config["header_bits"] is None:
            msg = "must be an integer, got None"
            raise MetadataError(msg, member(where, "header_bits"))
        return placed(lambda: cls(**found), where)

    @property
    def pace(self) -> int:  # type: ignore[override]  # it is that of the slowest codec
        """The bytes that the slowest codec processes promptly.

        >>> ConditionalCodec(codecs=["crc32c"]).pace == FAST
        True
        """
        return min((codec.pace for codec in self.codecs), default=FAST)

    @property
    def size_of_header(self) -> int:
        """The size of the mask in bytes.

        >>> ConditionalCodec(codecs=["gzip"], header_bits=16).size_of_header
        2
        """
        bits = len(self.codecs) if self.header_bits is None else self.header_bits
        return -(-bits // _BYTE)

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        found: dict[str, Any] = {"codecs": [codec.to_dict() for codec in self.codecs]}
        return found if self.header_bits is None else found | {"header_bits": self.header_bits}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with its inner codecs resolved, naming the one at fault."""
        fitted = tuple(
            placed(partial(codec.resolve, spec), member("codecs", place))
            for place, codec in enumerate(self.codecs)
        )
        return replace(self, codecs=fitted)

    def native(self) -> tuple[str, list[int], str] | None:
        """Return the descriptions of all codecs for the extension; None if it cannot run one."""
        numbers, lines = [self.size_of_header], []
        for codec in self.codecs:
            found = codec.native()
            if found is None or found[0] == self.name:
                return None
            numbers += [len(found[1]), *found[1]]
            lines.append(f"{found[0]} {found[2]}")
        return self.name, numbers, "\n".join(lines)

    def nested(self) -> tuple[Codec, ...]:
        """Return the inner codecs."""
        return self.codecs

    def encoded_size(self, size: int | None) -> int | None:
        """Return the size if no inner codec is a compressor; otherwise it depends on the values."""
        for codec in self.codecs:
            size = codec.encoded_size(size)
        return None if size is None else size + self.size_of_header

    def encode(self, data: Buffer) -> bytes:
        """Return the mask and the bytes encoded by the codecs that it states."""
        mask = 0
        for place, codec in enumerate(self.codecs):
            encoded, size = codec.encode(data), nbytes(data)
            if codec.encoded_size(size) is not None or nbytes(encoded) < size:
                mask |= 1 << place
                data = encoded
        return b"".join((mask.to_bytes(self.size_of_header, "little"), as_view(data)))

    def decode(self, data: Buffer, size: int | None) -> Buffer:
        """Return the bytes decoded by the codecs that the mask states."""
        view, header = as_view(data), self.size_of_header
        if view.nbytes < header:
            msg = f"conditional: expected a header of {header} bytes, found {view.nbytes}"
            raise CodecError(msg)
        mask = int.from_bytes(view[:header], "little")
        if mask >> len(self.codecs):
            msg = f"conditional: the mask {mask:#x} has a bit for none of {len(self.codecs)} codecs"
            raise CodecError(msg)
        applied = [codec for place, codec in enumerate(self.codecs) if mask >> place & 1]
        sizes = [size]
        for codec in applied:
            sizes.append(codec.encoded_size(sizes[-1]))
        found: Buffer = view[header:]
        for codec, decoded in zip(reversed(applied), reversed(sizes[:-1]), strict=True):
            found = codec.decode(found, decoded)
        check_size(self.name, nbytes(found), size)
        return found
