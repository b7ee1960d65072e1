"""Buffers of bytes, flat views of them, and the memory of arrays."""

from __future__ import annotations

import math
from contextlib import suppress
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

    An object with a method ``to_bytes``, such as a buffer of zarr-python 3, is a value too. Raise
    ``TypeError``, naming ``key``, if the value is not a buffer of bytes, such as an array of
    objects, whose buffer holds pointers.
    """
    if type(value) is bytes:
        return value
    view: memoryview | None
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError):
        view = _of_method(value)
    if view is None or "O" in (view.format or ""):
        msg = f"the value of key {key!r} must be bytes or hold bytes, not {type(value).__name__}"
        raise TypeError(msg) from None
    try:
        return view.cast("B")
    except TypeError:
        # Strided, empty, or with items of a format that memoryview cannot cast.
        return view.tobytes()


def _of_method(value: object) -> memoryview | None:
    """Return the result of the method ``to_bytes``; None if there is none. Numbers have another."""
    method = None if isinstance(value, int) else getattr(value, "to_bytes", None)
    data = method() if callable(method) else None
    return memoryview(data) if isinstance(data, (bytes, bytearray, memoryview)) else None


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], order: Any = "C") -> np.ndarray[Any, Any]:
    """Return a new array as ``np.empty`` does, in the byte order of ``dtype``.

    ``np.empty`` makes times without a unit in native order, whatever the order of the dtype.

    >>> empty((2,), np.dtype(">m8")).dtype.str
    '>m8'
    """
    if dtype.kind in "mM":
        return np.ndarray(shape, dtype, order=order)
    return np.empty(shape, dtype, order)


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any], order: Any = "C") -> Any:
    """Return a new array that begins at a multiple of 64 bytes.

    The copying of chunks of 16 KiB takes a quarter longer to the addresses that ``np.empty``
    returns for large arrays, which are never multiples of 32. The array is a view of its memory.
    Raise the errors of ``np.empty``, which makes arrays of objects.
    """
    if not dtype.hasobject:
        nbytes = math.prod(shape) * dtype.itemsize
        # If there is not that much memory, `np.empty` says so of this shape.
        with suppress(MemoryError, ValueError):
            memory = np.empty(nbytes + 63, np.uint8)
            start = -memory.__array_interface__["data"][0] % 64
            return np.ndarray(shape, dtype, memory, start, order=order)
    return np.empty(shape, dtype, order)


def overlaps_itself(array: np.ndarray[Any, Any]) -> bool:
    """Whether two elements of an array share memory, as in a view by ``as_strided``.

    >>> windows = np.lib.stride_tricks.sliding_window_view(np.zeros(5), 2)
    >>> overlaps_itself(windows), overlaps_itself(windows[::2])
    (True, False)
    """
    if not array.size:
        return False
    axes = sorted(
        (abs(stride), size)
        for stride, size in zip(array.strides, array.shape, strict=True)
        if size > 1
    )
    extent = array.itemsize
    nested = True
    for stride, size in axes:
        # If each axis steps over all elements of those before it, none overlap.
        nested = nested and stride >= extent
        extent += stride * (size - 1)
    if nested:
        return False
    if array.nbytes > extent:
        return True
    # Only unusual strides come here. There are no more elements than bytes.
    offsets = np.zeros(1, np.int64)
    for stride, size in axes:
        offsets = np.add.outer(offsets, np.arange(size) * stride).reshape(-1)
    offsets.sort()
    return bool((offsets[1:] - offsets[:-1] < array.itemsize).any())
