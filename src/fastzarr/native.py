"""The native extension, imported in one place.

Rules of this file:

* No other file imports the extension. Where it is not built, reading and writing run in NumPy, and
  one warning says so.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def extension() -> Any:
    """Return the extension module, or None if it is not built."""
    try:
        from fastzarr import _native
    except ImportError:
        return None
    return _native
