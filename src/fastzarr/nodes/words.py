"""Text shared by ``info`` and ``tree``.

Rules of this file:

* Names and values are untrusted: control characters are escaped before they reach a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.dtypes.complexes import SmallComplex

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout


def dtype_words(layout: Layout) -> str:
    """Return the name of a layout's data type."""
    dtype = layout.dtype
    named = dtype.itemsize is None or isinstance(dtype, SmallComplex)
    return dtype.name if named else str(dtype.numpy)


def printable(text: str) -> str:
    """Return text with non-printable characters, such as control sequences, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
