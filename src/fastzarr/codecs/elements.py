"""Encoding of elements of variable length: the twin of the extension's ``elements.rs``.

Rules of this file:

* The functions have the names and the contracts of ``_native.pyi``.
* A length is checked against the remaining data before it is used.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from fastzarr.buffers import Buffer

    Array = np.ndarray[Any, Any]


_WORD = Struct("<I")
_MOST = 2**32 - 1


def vlen_decode(data: Buffer, kind: type[str | bytes], out: Array) -> str | None:
    """Decode elements into ``out``, an array of one dimension; return None, or the fault found.

    The caller has checked that the count at the start of ``data`` is the size of ``out``; the rest
    of the data is untrusted. ``kind`` is ``str``, stored as UTF-8, or ``bytes``.
    """
    # Slicing bytes is faster than slicing a memoryview.
    raw, count, position, unpack = bytes(data), out.size, _WORD.size, _WORD.unpack_from
    end = len(raw)
    items: list[str | bytes] = []
    for number in range(count):
        start = position + _WORD.size
        if start > end:
            return f"the data ends early, after {number} of {count} elements: {end} bytes"
        position = start + unpack(raw, position)[0]
        if position > end:
            stated, left = position - start, end - start
            return f"element {number} of {count} states {stated} bytes, but {left} are left"
        item = raw[start:position]
        try:
            items.append(item.decode() if kind is str else item)
        except UnicodeDecodeError:
            return f"element {number} of {count} is not UTF-8"
    if position != end:
        return f"expected {position} bytes, found {end}"
    out[:] = items
    return None


def vlen_encode(
    array: Array, kind: type[str | bytes], plain: Callable[[Any], str | bytes]
) -> bytes | str:
    """Return the encoded elements of an array of one dimension, or the fault found as a string.

    The array is of ``StringDType`` or of objects. ``plain`` converts an object that is not of
    ``kind``, or raises ``TypeError``.
    """
    count = array.size
    if count > _MOST:
        return f"{count} elements; at most {_MOST} fit"
    parts = [_WORD.pack(count)]
    for number, item in enumerate(array.tolist()):
        try:
            found = item if isinstance(item, kind) else plain(item)
            data = str.encode(found) if isinstance(found, str) else bytes(found)
        except (TypeError, UnicodeEncodeError) as error:
            what = "text" if kind is str else "bytes"
            return f"element {number} of {count} cannot be stored as {what}: {error}"
        if len(data) > _MOST:
            return f"element {number} of {count} has {len(data)} bytes; at most {_MOST} fit"
        parts += _WORD.pack(len(data)), data
    return b"".join(parts)
