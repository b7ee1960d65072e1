"""The native extension, imported in one place.

Rules of this file:

* No other file imports the extension. If it is not built, reading and writing run in NumPy, and one
  warning says so.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from fastzarr import errors

native_extension: Any = None


@cache
def extension() -> Any:
    """Return the extension module, or None if it is not built."""
    try:
        from fastzarr import _native
    except ImportError:
        return None
    return _native


try:
    from fastzarr import _native as native_extension
except ImportError:
    import warnings

    warnings.warn(
        "the native extension of fastzarr is not built, so that reading and writing run in NumPy: "
        "right, and slower. Install a Rust toolchain and reinstall fastzarr to build it",
        errors.ZarrRuntimeWarning,
        stacklevel=2,
    )


def sync(root: str) -> None:
    """Have all that was written to the file system of a folder outlast a power cut."""
    if native_extension is None:
        # Python's library can flush all file systems only.
        os.sync()
    else:
        native_extension.sync(root)
