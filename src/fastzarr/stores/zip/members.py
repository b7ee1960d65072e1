"""The values of members: decompressed within bounds and checked, and compressed.

Rules of this file:

* A member is decompressed to at most the size that the archive states, and is refused if it does
  not have exactly this size, or if its checksum differs.
* The stated size is bounded, too: a member of 64 MiB and more must not be larger than its stored
  bytes times ``limits.expansion``, or what deflate can make of them.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from fastzarr.config import config
from fastzarr.errors import ArchiveError, BaseZarrError
from fastzarr.native import crc32
from fastzarr.stores.zip import format as zf

if TYPE_CHECKING:
    from fastzarr.stores.zip.format import Entry

# A size that needs no relation to the number of stored bytes, and the most that deflate expands to.
_MODEST = 64 << 20
_DEFLATE = 1032


def check_readable(entry: Entry) -> None:
    """Raise ArchiveError if a member is encrypted, or too large for what is stored of it."""
    if not entry.plain:
        msg = "it is encrypted, and encrypted members are not supported"
        raise ArchiveError(msg)
    if entry.method == zf.STORED:
        if entry.size != entry.stored:
            msg = f"it has {entry.stored} bytes stored without compression, but states {entry.size}"
            raise ArchiveError(msg)
        return
    most = max(_MODEST, entry.stored * max(int(config.flat["limits.expansion"]), _DEFLATE))
    if entry.size > most:
        msg = (
            f"it states {entry.size} bytes in {entry.stored} compressed ones, more than the "
            f"limit of {most}; raise config['limits.expansion'] if that is right"
        )
        raise ArchiveError(msg)


def checked_value(entry: Entry, data: bytes) -> bytes:
    """Return the value of a member from its stored bytes.

    Raise ArchiveError if they are damaged, or compressed by a method that Python does not have.
    """
    check_readable(entry)
    if entry.method != zf.STORED:
        data = _decompressed(entry, data)
    if crc32(data) != entry.crc:
        msg = "its checksum (CRC-32) differs from that in the archive: it is damaged"
        raise ArchiveError(msg)
    return data


def _decompressed(entry: Entry, data: bytes) -> bytes:
    decoder = _decoder(entry)
    try:
        # One byte more than is wanted shows that there are more.
        found = decoder.decompress(data, entry.size + 1)
    except (zlib.error, OSError, EOFError, ValueError) as error:
        msg = f"its {_name(entry.method)} data is damaged: {error}"
        raise ArchiveError(msg) from error
    if len(found) != entry.size:
        msg = f"it decompresses to another size than the {entry.size} bytes that it states"
        raise ArchiveError(msg)
    return bytes(found)


def _decoder(entry: Entry) -> Any:
    method = entry.method
    if method == zf.DEFLATED:
        return zlib.decompressobj(-15)
    try:
        if method == zf.BZIP2:
            import bz2

            return bz2.BZ2Decompressor()
        if method == zf.LZMA:
            return _Lzma(entry.size)
        if method == zf.ZSTD:
            from compression import zstd  # type: ignore[import-not-found]  # since Python 3.14

            return zstd.ZstdDecompressor()
    except ImportError:
        pass
    msg = f"it is compressed by {_name(method)}, which this Python cannot decompress"
    raise ArchiveError(msg)


class _Lzma:
    """The decompressor of a member, which begins with the properties of LZMA."""

    def __init__(self, size: int) -> None:
        self._size = size

    def decompress(self, data: bytes, most: int) -> bytes:
        import lzma

        size = int.from_bytes(data[2:4], "little")
        if size != 5 or len(data) < 9:
            msg = "the properties are damaged"
            raise ValueError(msg)
        rest, lc = divmod(data[4], 9)
        pb, lp = divmod(rest, 5)
        # A larger window than the value takes memory for nothing.
        window = min(int.from_bytes(data[5:9], "little"), max(self._size, 1 << 12))
        chain = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": window}]
        try:
            coder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
            return coder.decompress(data[9:], most)
        except lzma.LZMAError as error:
            raise ValueError(str(error)) from error


def _name(method: int) -> str:
    return zf.METHODS.get(method, f"method {method}")


def check_method(method: object) -> int:
    """Return a method that members can be written with; raise BaseZarrError for another one."""
    if isinstance(method, int) and method in (zf.STORED, zf.DEFLATED, zf.BZIP2, zf.LZMA):
        return int(method)
    msg = (
        "compression must be zipfile.ZIP_STORED (0), ZIP_DEFLATED (8), ZIP_BZIP2 (12) or "
        f"ZIP_LZMA (14), not {method!r}"
    )
    raise BaseZarrError(msg)


def compressed(value: bytes | memoryview, method: int) -> bytes | memoryview:
    """Return the bytes that are stored of a value."""
    if method == zf.DEFLATED:
        coder = zlib.compressobj(wbits=-15)
        return coder.compress(value) + coder.flush()
    if method == zf.BZIP2:
        import bz2

        return bz2.compress(value)
    if method == zf.LZMA:
        import zipfile

        packed: Any = zipfile.LZMACompressor()  # type: ignore[attr-defined]  # it has no stub
        found: bytes = packed.compress(value) + packed.flush()
        return found
    return value
