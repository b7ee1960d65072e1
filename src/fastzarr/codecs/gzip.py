"""The ``gzip`` codec, and bounded decompression with the standard library's decoders.

Rules of this file:

* A decoder never produces more than one byte beyond the expected size; that byte shows that the
  data is too long.
* Data may consist of several concatenated members, as RFC 1952 allows. Anything else after the end
  of the stream is an error, unless it is ignored as padding (see ``padded``). Bytes that begin as a
  further member does are never padding.
* Encoding is deterministic: the header contains no time.

Specification: zarr-specs, "Gzip codec", version 1.0; RFC 1952.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fastzarr.buffers import as_view
from fastzarr.checked import as_int
from fastzarr.codecs import base
from fastzarr.codecs.base import BytesBytesCodec, bound, padded
from fastzarr.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.buffers import Buffer

GZIP, ZLIB = 31, 15
"""The values of zlib's ``wbits`` for a gzip member and for a zlib stream."""
MAGIC = b"\x1f\x8b"
"""The bytes that a gzip member begins with."""
_WINDOW = 1 << 12


@dataclass(frozen=True, kw_only=True)
class GzipCodec(BytesBytesCodec):
    """Gzip compression at a ``level`` from 0 (none) to 9 (best).

    >>> codec = GzipCodec(level=1)
    >>> bytes(codec.decode(codec.encode(b"abc"), 3))
    b'abc'
    """

    name: ClassVar[str] = "gzip"
    cacheable: ClassVar[bool] = True

    level: int = 5

    def __post_init__(self) -> None:
        """Validate the level."""
        object.__setattr__(self, "level", as_int(self.level, "level", 0, 9))

    def to_v2(self) -> dict[str, Any]:
        """Return the numcodecs configuration."""
        return {"id": "gzip", "level": self.level}

    def native(self) -> tuple[str, list[int], str]:
        """Return the level and ``padded``."""
        return "gzip", [self.level, padded()], ""

    def encoded_size(self, size: int | None) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values."""
        return None

    def encode(self, data: Buffer) -> bytes:
        """Return the bytes as one gzip member."""
        coder = zlib.compressobj(self.level, zlib.DEFLATED, GZIP)
        return coder.compress(as_view(data)) + coder.flush()

    def decode(self, data: Buffer, size: int | None) -> bytes:
        """Return the decompressed bytes of one or more gzip members."""
        return decompress("gzip", lambda: zlib.decompressobj(GZIP), data, size, zlib.error, MAGIC)


def decompress(
    name: str,
    decoder: Callable[[], Any],
    data: Buffer,
    size: int | None,
    failure: type[Exception],
    magic: bytes | None,
    *,
    checked: bool = True,
) -> bytes:
    """Return the decompressed bytes: exactly ``size``, or up to the configured limit if None.

    ``decoder`` returns a new decoder with the interface of ``zlib``, ``bz2`` and ``lzma``, which
    raises ``failure`` on damaged data. ``magic`` is what a further stream begins with, or None if
    none may follow the first. ``checked`` is whether streams have a checksum, so that bytes behind
    them may be padding. Raise ``CodecError`` if the data is damaged, truncated, or decodes to
    another size.
    """
    view = as_view(data)
    position, end = 0, view.nbytes
    limit, found, parts = bound(size, end), 0, []
    window = end
    stream = decoder()
    while True:
        try:
            part = stream.decompress(view[position : position + window], limit - found + 1)
        except (failure, EOFError, ValueError) as error:
            msg = f"{name}: {end} bytes of data cannot be decoded: {error}"
            raise CodecError(msg) from error
        parts.append(part)
        found += len(part)
        if found > limit:
            what = f"expected {size} decoded bytes" if size is not None else f"the limit is {limit}"
            msg = f"{name}: {what}, but the {end} bytes of data hold more"
            if size is None:
                msg += f"; {base.limit(end)[1]}"
            raise CodecError(msg)
        position = min(position + window, end)
        if not stream.eof:
            if position < end:
                window *= 2
                continue
            expected = "" if size is None else f" of {size} expected"
            msg = f"{name}: the data ends early, after {found} decoded bytes{expected}"
            raise CodecError(msg)
        position -= len(stream.unused_data)
        rest = view[position:]
        if not rest or (checked and found == size and _is_padding(rest, magic)):
            break
        if magic is None:
            msg = f"{name}: {len(rest)} bytes follow the end of the data"
            raise CodecError(msg)
        # A decoder copies all input after its stream, so small windows keep many small members from
        # taking quadratic time.
        stream, window = decoder(), _WINDOW
    if size is not None and found != size:
        msg = f"{name}: expected {size} decoded bytes, but the data holds {found}"
        raise CodecError(msg)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _is_padding(rest: memoryview, magic: bytes | None) -> bool:
    return padded() and (magic is None or rest[: len(magic)] != magic)
