"""Buffers in the memory of a graphics processor, which need the package cupy."""

from __future__ import annotations

from typing import Any, Self, cast

from fastzarr.compat.core.buffer import core

NONE = "fastzarr has no buffers in the memory of a graphics processor: use those of zarr.buffer.cpu"


class Buffer(core.Buffer):
    """A flat block of bytes in the memory of a graphics processor, of which none can be made."""

    def __new__(cls, array_like: Any) -> Self:
        """Raise ImportError."""
        del array_like
        raise ImportError(NONE)


class NDBuffer(core.NDBuffer):
    """A block of elements in the memory of a graphics processor, of which none can be made."""

    def __new__(cls, array: Any) -> Self:
        """Raise ImportError."""
        del array
        raise ImportError(NONE)


buffer_prototype = core.BufferPrototype(cast("Any", Buffer), cast("Any", NDBuffer))
