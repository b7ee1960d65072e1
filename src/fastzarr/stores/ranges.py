"""Byte ranges of a value."""

from __future__ import annotations

from fastzarr.errors import BaseZarrError


def clip_range(start: int, length: int | None, size: int) -> tuple[int, int]:
    """Return the start and the end of a byte range in a value of ``size`` bytes.

    Raise ``BaseZarrError`` for a negative length.

    >>> clip_range(-3, None, 10), clip_range(8, 5, 10), clip_range(20, 1, 10)
    ((7, 10), (8, 10), (10, 10))
    """
    if length is not None and length < 0:
        msg = f"the length of a byte range must be at least 0, not {length}"
        raise BaseZarrError(msg)
    first = max(size + start, 0) if start < 0 else min(start, size)
    return first, size if length is None else min(first + length, size)
