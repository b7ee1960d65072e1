"""The ``zstd`` codec.

Rules of this file:

* Before any frame is decoded, all frames are scanned: magic number, header, and the size of every
  block. Truncation, trailing bytes and a wrong content size are therefore found first.
* A frame without a content size, as streaming writers produce it, is decoded into exactly the
  expected size.
* Data may consist of several frames; skippable frames are skipped.
* In format 3, ``checksum`` is written even if false, because zarrs requires it. In format 2 it is
  omitted if false, because older readers do not know it.

Specification: zarr-extensions, ``codecs/zstd``; RFC 8878.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from fastzarr.buffers import as_view
from fastzarr.checked import as_int, boolean
from fastzarr.codecs.base import BytesBytesCodec, bound, check_size
from fastzarr.errors import CodecError

if TYPE_CHECKING:
    from fastzarr.buffers import Buffer

_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_UNSIZED = _MAGIC + b"\x00\x58\x01\x00\x00"
"""A frame without content, which states no size."""
_BLOCK = 1 << 17
"""The largest decoded size of a block, in bytes."""


@dataclass(frozen=True, kw_only=True)
class ZstdCodec(BytesBytesCodec):
    """Zstandard compression at a ``level`` from -131072 to 22; 0 selects the default.

    If ``checksum`` is True, each frame contains a checksum of its content.

    >>> codec = ZstdCodec(level=3)
    >>> bytes(codec.decode(codec.encode(b"abc"), 3))
    b'abc'
    """

    name: ClassVar[str] = "zstd"
    cacheable: ClassVar[bool] = True

    level: int = 0
    checksum: bool = False

    def __post_init__(self) -> None:
        """Validate level and checksum."""
        object.__setattr__(self, "level", as_int(self.level, "level", -131072, 22))
        object.__setattr__(self, "checksum", boolean(self.checksum, "checksum"))

    def to_v2(self) -> dict[str, Any]:
        """Return the numcodecs configuration, which omits a false ``checksum``."""
        found: dict[str, Any] = {"id": "zstd", "level": self.level}
        return found | {"checksum": True} if self.checksum else found

    def native(self) -> tuple[str, list[int], str]:
        """Return the level, and 1 if a checksum is stored."""
        return "zstd", [self.level, int(self.checksum)], ""

    def encoded_size(self, size: int | None) -> int | None:  # noqa: ARG002  (never fixed)
        """Return None: the size depends on the values."""
        return None

    def encode(self, data: Buffer) -> bytes:
        """Return the bytes as one frame that states its content size."""
        from numcodecs import zstd

        return zstd.compress(as_view(data), self.level, self.checksum)  # type: ignore[no-any-return]

    def decode(self, data: Buffer, size: int | None) -> Buffer:
        """Return the decompressed bytes of all frames."""
        return decompress(data, size)


class _Frame(NamedTuple):
    start: int
    stop: int
    content: int | None
    most: int


def decompress(data: Buffer, size: int | None) -> Buffer:
    """Return the decoded bytes of Zstandard frames.

    They are exactly ``size`` bytes, or up to the configured limit if ``size`` is None. Raise
    ``CodecError`` if the data is damaged, truncated, or decodes to another size.
    """
    view = as_view(data)
    frames = _frames(view)
    if len(frames) == 1 and frames[0].content == size != 0:
        return _decode(view, size)
    known = [frame.content for frame in frames if frame.content is not None]
    if len(known) == len(frames):
        size = check_size("zstd", sum(known), size, "the frames state", view.nbytes)
    elif size is None:
        # Without a size, the number of blocks bounds the decoded size.
        most = sum(frame.most for frame in frames)
        check_size("zstd", most, None, "the blocks may hold up to", view.nbytes)
        parts = [_decode(view[f.start : f.stop], f.content) for f in frames]
        return parts[0] if len(parts) == 1 else b"".join(as_view(part) for part in parts)
    elif sum(known) > size:
        check_size("zstd", sum(known), size, "the frames state at least")
    # All frames are decoded into one buffer of the expected size, whatever sizes the data states.
    return _decode(view, size)


def _decode(frame: memoryview, size: int | None) -> Buffer:
    from numcodecs import zstd

    if size == 0:
        # numcodecs decodes no frame that states 0 bytes, unless another one precedes it.
        frame = memoryview(_UNSIZED + bytes(frame))
    try:
        if size is None:
            return zstd.decompress(frame)  # type: ignore[no-any-return]
        out = np.empty(size, dtype=np.uint8)
        zstd.decompress(frame, out)
    except (RuntimeError, ValueError) as error:
        expected = "" if size is None else f"; expected {size} decoded bytes"
        msg = f"zstd: {frame.nbytes} bytes of data cannot be decoded{expected}: {error}"
        raise CodecError(msg) from error
    return out


def _frames(view: memoryview) -> list[_Frame]:
    frames: list[_Frame] = []
    position, end = 0, view.nbytes
    if not end:
        msg = "zstd: expected at least one frame, found 0 bytes of data"
        raise CodecError(msg)
    while position < end:
        start = position
        magic = bytes(view[start : start + 4])
        if magic == _MAGIC:
            frames.append(_frame(view, start))
            position = frames[-1].stop
        elif magic[1:] == _SKIPPABLE and magic[0] >> 4 == 5:
            position = start + 8 + _number(view, start + 4, 4)
            if position > end:
                raise _truncated(view, position)
        else:
            what = "the data does not start with a frame" if not start else "no frame follows"
            msg = f"zstd: {what} at byte {start} of {end}: found {magic.hex() or 'nothing'}"
            raise CodecError(msg)
    return frames


def _frame(view: memoryview, start: int) -> _Frame:
    # A truncated header reads as zeros here; the check at the first block detects it.
    header = int.from_bytes(view[start + 4 : start + 5], "little")
    single = header >> 5 & 1
    position = start + 5 + (1 - single) + (0, 1, 2, 4)[header & 3]
    width = (single, 2, 4, 8)[header >> 6]
    content = None
    if width:
        content = int.from_bytes(view[position : position + width], "little")
        content += 256 if width == 2 else 0
        position += width
    most = 0
    last = 0
    while not last:
        # Inlined instead of calling _number, since large chunks have many blocks.
        if position + 3 > view.nbytes:
            raise _truncated(view, position + 3)
        block = int.from_bytes(view[position : position + 3], "little")
        last, kind, size = block & 1, block >> 1 & 3, block >> 3
        if kind == 3 or size > _BLOCK:
            msg = f"zstd: the block at byte {position} of {view.nbytes} is damaged"
            raise CodecError(msg)
        most += _BLOCK if kind == 2 else size
        position += 3 + (1 if kind == 1 else size)
    if header & 4:
        position += 4
    if position > view.nbytes:
        raise _truncated(view, position)
    if content is not None and content > most:
        msg = f"zstd: the frame states {content} bytes, but its blocks hold at most {most}"
        raise CodecError(msg)
    if content is None and most > bound(None):
        check_size("zstd", most, None, "the blocks may hold up to")
    return _Frame(start, position, content, most)


def _number(view: memoryview, start: int, width: int) -> int:
    if start + width > view.nbytes:
        raise _truncated(view, start + width)
    return int.from_bytes(view[start : start + width], "little")


def _truncated(view: memoryview, wanted: int) -> CodecError:
    return CodecError(f"zstd: the data ends early: {view.nbytes} bytes found, {wanted} expected")
