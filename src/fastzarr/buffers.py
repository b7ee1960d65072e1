"""Buffers of bytes, and flat views of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Buffer as AnyBuffer


Buffer = bytes | bytearray | memoryview | np.ndarray[Any, Any]
"""Contiguous bytes: ``bytes``, ``bytearray``, ``memoryview`` or an array of ``uint8``."""


def nbytes(data: Buffer) -> int:
    """Return the number of bytes in a buffer."""
    return len(data) if isinstance(data, (bytes, bytearray)) else data.nbytes


def as_view(data: Buffer) -> memoryview:
    """Return a buffer as a flat memoryview of bytes; it is copied only if not contiguous."""
    if isinstance(data, np.ndarray):
        # Viewed as uint8 first, because datetime64 and other dtypes do not export a buffer.
        flat: Any = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        return memoryview(flat)
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def flat_bytes(value: AnyBuffer, key: str) -> bytes | memoryview:
    """Return a value as bytes or as a flat view of bytes, in C order, copied only if necessary.

    Raise ``TypeError``, naming ``key``, if the value is not a buffer of bytes, such as an array of
    objects, whose buffer holds pointers.
    """
    if type(value) is bytes:
        return value
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError):
        view = None
    if view is None or "O" in (view.format or ""):
        msg = f"the value of key {key!r} must be bytes or hold bytes, not {type(value).__name__}"
        raise TypeError(msg) from None
    try:
        return view.cast("B")
    except TypeError:
        # Strided, empty, or with items of a format that memoryview cannot cast.
        return view.tobytes()
