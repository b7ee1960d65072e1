"""Elements of variable length, split and joined: the twin of the extension's ``elements.rs``.

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
    """Split the stored form of elements of varying length into ``out``; None, or what is wrong.

    The count that ``data`` begins with is that of ``out``, an array of one dimension; what follows
    may be anything. ``kind`` is ``str``, whose bytes are UTF-8, or ``bytes``.
    """
    # Slices of bytes are made faster than those of a memoryview.
    raw, count, position, unpack = bytes(data), out.size, _WORD.size, _WORD.unpack_from
    end = len(raw)
    items: list[str | bytes] = []
    for number in range(count):
        start = position + _WORD.size
        if start > end:
            return f"the data ends early, after {number} of {count} elements: {end} bytes"
        position = start + unpack(raw, position)[0]
        if position > end:
            said, left = position - start, end - start
            return f"element {number} of {count} states {said} bytes, but {left} are left"
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
    """Give the stored form of the elements of an array of one dimension, or what is wrong.

    The elements are those of ``StringDType``, or objects. ``plain`` makes one of ``kind`` of those
    that are not, or raises ``TypeError``.
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
