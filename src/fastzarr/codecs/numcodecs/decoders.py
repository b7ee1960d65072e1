"""Decoders that check the size in the data before numcodecs is called.

Rules of this file:

* Decoders that would trust a size in the data are not called directly: their data is validated
  first, or decoded with a bound.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastzarr.buffers import as_view
from fastzarr.codecs.base import bound, check_size, padded
from fastzarr.codecs.numcodecs.settings import run
from fastzarr.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastzarr.buffers import Buffer


_LZ4_HEADER = 4
_LZMA_MEMORY = 1 << 30
_XZ = b"\xfd7zXZ\x00"
# Of .xz files: the checksums by their numbers, the most filters, and the most bytes that ``delta``
# looks back.
_CHECKS = (0, 1, 4, 10)
_MOST = 4
_FARTHEST = 256


def _lz4(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:
    view = as_view(data)
    if view.nbytes <= _LZ4_HEADER:
        msg = f"lz4: expected more than {_LZ4_HEADER} bytes of data, found {view.nbytes}"
        raise CodecError(msg)
    stated = int.from_bytes(view[:_LZ4_HEADER], "little")
    check_size("lz4", stated, size, "the header states", view.nbytes)
    if not stated:
        return b""
    from numcodecs import lz4

    return run(str(config["id"]), lz4.decompress, view)  # type: ignore[no-any-return]


def _blosc(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:  # noqa: ARG001
    from fastzarr.codecs import blosc

    return blosc.decompress(data, size)


def _zstd(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:  # noqa: ARG001
    from fastzarr.codecs import zstd

    return zstd.decompress(data, size)


def _zlib(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:
    import zlib

    from fastzarr.codecs.gzip import GZIP, MAGIC, ZLIB, decompress

    gzip = config["id"] == "gzip"
    decoder = partial(zlib.decompressobj, GZIP if gzip else ZLIB)
    return decompress(config["id"], decoder, data, size, zlib.error, MAGIC if gzip else None)


def _bz2(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:  # noqa: ARG001
    import bz2

    from fastzarr.codecs.gzip import decompress

    return decompress("bz2", bz2.BZ2Decompressor, data, size, OSError, b"BZh")


def _lzma_limit() -> int:
    # Data states the dictionary size, of which only the filled part takes memory.
    return max(bound(None), _LZMA_MEMORY)


def check_filters(filters: Any) -> None:
    """Raise ``MetadataError`` if a filter of lzma has a larger dictionary than is allowed."""
    for place, each in enumerate(filters if isinstance(filters, list) else ()):
        size = each.get("dict_size") if isinstance(each, dict) else None
        if isinstance(size, int) and size > _lzma_limit():
            msg = (
                f"a dictionary of {size} bytes is over the limit of {_lzma_limit()}; if that is "
                "correct, raise limits.chunk_bytes in config"
            )
            raise MetadataError(msg, f"filters[{place}].dict_size")


def lzma_numbers(config: Mapping[str, Any]) -> list[int] | None:
    """Return the description of an lzma codec for the extension, or None if it is not known there.

    It knows a preset, and filters that are a preset of LZMA2 behind up to three of ``delta``.
    """
    import lzma

    kind, check = config.get("format", lzma.FORMAT_XZ), config.get("check", -1)
    preset, filters = config.get("preset"), config.get("filters")
    distances: list[Any] = []
    if filters is not None:
        found = _simple(filters)
        if preset is not None or found is None or kind == lzma.FORMAT_ALONE:
            return None
        preset, distances = found
    elif kind == lzma.FORMAT_RAW:
        return None
    if kind == lzma.FORMAT_XZ:
        check = lzma.CHECK_CRC64 if check == -1 else check
    elif check == -1:
        check = lzma.CHECK_NONE
    preset = lzma.PRESET_DEFAULT if preset is None else preset
    numbers = [kind, check, preset, _lzma_limit(), int(padded()), *distances]
    if any(type(number) is not int for number in numbers):
        return None
    # Only files of the first kind have checksums.
    known = check in _CHECKS if kind == lzma.FORMAT_XZ else check == lzma.CHECK_NONE
    known &= kind in (lzma.FORMAT_XZ, lzma.FORMAT_ALONE, lzma.FORMAT_RAW)
    known &= preset & ~lzma.PRESET_EXTREME in range(10)
    known &= all(1 <= each <= _FARTHEST for each in distances)
    return numbers if known else None


def _simple(filters: Any) -> tuple[Any, list[Any]] | None:
    """Return the preset of LZMA2 and the distances before it, or None for any other filters."""
    import lzma

    if not isinstance(filters, list) or not all(isinstance(each, dict) for each in filters):
        return None
    names = [each.get("id") for each in filters]
    members = [{"id", "dist"}] * (len(filters) - 1) + [{"id", "preset"}]
    known = all(each.keys() <= own for each, own in zip(filters, members, strict=False))
    if names != [lzma.FILTER_DELTA] * (len(names) - 1) + [lzma.FILTER_LZMA2] or not known:
        return None
    if len(filters) > _MOST:
        return None
    return filters[-1].get("preset"), [each.get("dist", 1) for each in filters[:-1]]


def _lzma(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:
    import lzma

    from fastzarr.codecs.gzip import decompress

    kind = config.get("format", lzma.FORMAT_XZ)
    raw = kind == lzma.FORMAT_RAW
    limit = _lzma_limit()
    settings = {"filters": config.get("filters")} if raw else {"memlimit": limit}
    decoder = partial(lzma.LZMADecompressor, format=kind, **settings)
    # The other formats have no checksum.
    checked = not raw and as_view(data)[: len(_XZ)] == _XZ
    magic = None if raw else _XZ
    return decompress("lzma", decoder, data, size, lzma.LZMAError, magic, checked=checked)


def encode_crc32c(config: Mapping[str, Any], data: Buffer) -> bytes:
    """Return the data with its checksum, at the configured end."""
    from fastzarr.codecs.crc32c import crc32c

    checksum = crc32c(data).to_bytes(4, "little")
    start = config.get("location") == "start"
    return b"".join((checksum, as_view(data)) if start else (as_view(data), checksum))


def _crc32c(config: Mapping[str, Any], data: Buffer, size: int | None) -> Buffer:
    from fastzarr.codecs.crc32c import Crc32cCodec

    view = as_view(data)
    if config.get("location") == "start":
        view = memoryview(b"".join((view[4:], view[:4])))
    return Crc32cCodec().decode(view, size)


DECODERS: dict[str, Callable[[Mapping[str, Any], Buffer, int | None], Buffer]] = {
    "blosc": _blosc,
    "bz2": _bz2,
    "crc32c": _crc32c,
    "gzip": _zlib,
    "lz4": _lz4,
    "lzma": _lzma,
    "zlib": _zlib,
    "zstd": _zstd,
}
