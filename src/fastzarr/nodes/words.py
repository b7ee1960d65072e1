"""``info`` and ``tree``: arrays and groups described as text, and as HTML in a notebook.

Rules of this file:

* The content is collected once, as pairs or as a list of lines, and then formatted as text or HTML.
* Names and values are untrusted. They are escaped in HTML, and control characters are escaped for
  the terminal.
* ``info`` reads no chunk and lists no key; only ``info_complete`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout


def dtype_words(layout: Layout) -> str:
    """Return the name of a layout's data type."""
    return layout.dtype.name if layout.dtype.itemsize is None else str(layout.dtype.numpy)


def printable(text: str) -> str:
    """Return text with non-printable characters, such as control sequences, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
