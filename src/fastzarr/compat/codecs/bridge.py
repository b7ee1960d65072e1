"""Codecs of fastzarr under zarr-python's names, and the other way round.

Rules of this file:

* A codec of others comes back as the very object that was passed.
* A codec of fastzarr that zarr-python does not have is shown as a dress without members of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from fastzarr._lazy import cached
from fastzarr.codecs import base, foreign
from fastzarr.codecs.bytes import BytesCodec as _Bytes
from fastzarr.codecs.parse import from_v3
from fastzarr.codecs.sharding import ShardingCodec as _Sharding
from fastzarr.compat import registry
from fastzarr.compat.codecs._dress import (
    ArrayArrayDress,
    ArrayBytesDress,
    BytesBytesDress,
    Dress,
    codec_of,
    dress,
    inner_codec,
    kind_of,
    parse_codecs,
)
from fastzarr.compat.codecs.bytes import BytesCodec
from fastzarr.compat.codecs.sharding import ShardingCodec, order_of

__all__ = ["codec_of", "inner_codec", "outer_codec", "parse_codecs"]


@dataclass(frozen=True, init=False)
class _Other(Dress):
    """A codec that zarr-python does not have; ``document`` is its own."""

    document: dict[str, Any]

    def __init__(self, document: Any) -> None:
        """Initialise with the document of format 3."""
        found = {"name": document} if isinstance(document, str) else dict(document)
        object.__setattr__(self, "document", found)

    @cached
    def inner(self) -> Any:
        """The codec of fastzarr."""
        return from_v3(self.document, "")

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as in a document of format 3."""
        return dict(self.document)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the codec of a document of format 3."""
        return cls(data)

    def _taken(self, inner: Any) -> Self:
        return self if inner == self.inner else type(self)(inner.to_dict()).holding(inner)


@dress
class OtherArrayArray(_Other, ArrayArrayDress):
    """A codec of fastzarr that encodes an array as another one."""

    name: ClassVar[str] = ""


@dress
class OtherArrayBytes(_Other, ArrayBytesDress):
    """A codec of fastzarr that encodes an array as bytes."""

    name: ClassVar[str] = ""


@dress
class OtherBytesBytes(_Other, BytesBytesDress):
    """A codec of fastzarr that encodes bytes as other bytes."""

    name: ClassVar[str] = ""


_OTHERS: dict[Any, type[_Other]] = {
    base.ArrayArrayCodec: OtherArrayArray,
    base.ArrayBytesCodec: OtherArrayBytes,
    base.BytesBytesCodec: OtherBytesBytes,
}


def outer_codec(codec: Any) -> Any:
    """Return a codec of fastzarr as zarr-python's.

    >>> from fastzarr.codecs import GzipCodec
    >>> outer_codec(GzipCodec(level=1)).to_dict()
    {'name': 'gzip', 'configuration': {'level': 1}}
    """
    if isinstance(codec, foreign.Foreign):
        return codec.outer
    if isinstance(codec, _Sharding):
        return ShardingCodec(
            chunk_shape=codec.chunk_shape,
            codecs=[outer_codec(one) for one in codec.codecs],
            index_codecs=[outer_codec(one) for one in codec.index_codecs],
            index_location=codec.index_location,  # type: ignore[arg-type]  # one of the two
            subchunk_write_order=order_of(codec),
        )
    kind = kind_of(codec)
    if kind is None:
        return codec
    document = codec.to_dict()
    if isinstance(codec, _Bytes):
        return BytesCodec.from_dict(document).holding(codec)
    if registry.is_known(codec.name):
        made = registry.built_in(codec.name)
        if made is not None:
            return made.from_dict({"configuration": {}} | document).holding(codec)
    return _OTHERS[kind](document).holding(codec)
