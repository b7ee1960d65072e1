"""The native extension, or its twins in Python.

Rules of this file:

* No other file imports the extension. ``extension`` is the module, or None if it is not built; a
  warning is then issued once.
* Each function of the extension has a twin in Python of the same name and contract
  (``engine/reference.py``, ``codecs/elements.py``), which can replace it.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastzarr.config import config
from fastzarr.errors import ZarrRuntimeWarning, caller_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

extension: Any = None
try:
    from fastzarr import _native as extension
except ImportError:
    import warnings

    warnings.warn(
        "the native extension of fastzarr is not built, so arrays are read and written with NumPy, "
        "which is slower; to build it, install a Rust toolchain and reinstall fastzarr",
        ZarrRuntimeWarning,
        stacklevel=caller_level(),
    )

#: Whether the extension opens files itself, which it does on Unix systems.
HAS_FILES: bool = extension is not None and extension.HAS_FILES


def native_or(twin: Any) -> Any:
    """Return the extension, or ``twin`` if it is not built or disabled (setting ``data_path``)."""
    return twin if extension is None or config.flat["data_path"] == "numpy" else extension


def crc32(value: Buffer) -> int:
    """Return the CRC-32 of the bytes of a buffer."""
    return zlib.crc32(value) if extension is None else int(extension.crc32(value))


def constant(value: bytes | memoryview) -> bytes:
    """Return bytes that nobody can change: a copy, unless they are such bytes already.

    A view of the extension's memory counts as bytes.
    """
    lent = extension is not None and type(value) is memoryview
    if lent and type(value.obj) is extension.Lent:  # type: ignore[union-attr]  # a view
        return value  # type: ignore[return-value]  # it is used as bytes are
    return bytes(value)


def scan(folder: str, above: str) -> tuple[list[str], list[str]] | None:
    """Return the keys of the files and of the folders in a folder, each beginning with ``above``.

    Return None if the entries must be looked at: for links and temporary files, and after an error.
    """
    found: Any = native_or(None)
    return found.scan(folder, above) if HAS_FILES and found is not None else None


def first_values(
    root: str, groups: Sequence[Sequence[str]], most: int, *, follow_links: bool
) -> dict[str, bytes | None] | None:
    """Return values of files in a folder as ``Store.get_small``, of at most so many bytes.

    Return None if the files must be looked at: for links, other values, and after an error.
    """
    found: Any = native_or(None)
    if not HAS_FILES or found is None:
        return None
    values: dict[str, bytes | None] | None = found.first_values(root, groups, most, follow_links)
    return values


def is_unmarked(root: str, mark: str, groups: Sequence[str]) -> bool:
    """Whether neither a folder nor the groups above it have an entry named ``mark``.

    A folder is that of a group if it has an entry of one of the names in ``groups``. False also
    says that it must be looked at.
    """
    found: Any = native_or(None)
    return HAS_FILES and found is not None and bool(found.is_unmarked(root, mark, groups))


def is_real(path: str) -> bool:
    """Whether an absolute path exists and has no links; False also says that it is not known."""
    found: Any = native_or(None)
    return HAS_FILES and found is not None and bool(found.is_real(path))


def sorted_keys(names: list[bytes], cut: int) -> list[str]:
    r"""Return the keys in names, which follow the first ``cut`` bytes: sorted, and each once.

    Names that are not text have none.

    >>> sorted_keys([b"zarr:b", b"zarr:a", b"zarr:a", b"zarr:\xff"], 5)
    ['a', 'b']
    """
    found: Any = native_or(None)
    if found is not None:
        keys: list[str] = found.sorted_keys(names, cut)
        return keys
    return sorted({key for name in names if (key := _text(name[cut:])) is not None})


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def sync(root: str) -> None:
    """Flush everything written to the file system of a folder, so that it survives a power cut."""
    if HAS_FILES:
        extension.sync(root)
    elif hasattr(os, "sync"):
        # Python's standard library can only sync all file systems at once.
        os.sync()
    else:
        _sync_each_file(root)


def _sync_each_file(root: str) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            path = f"{folder}/{name}"
            with suppress(FileNotFoundError):  # another writer has deleted it
                # Windows syncs only files that are open for writing.
                if os.access(path, os.W_OK):
                    file = os.open(path, os.O_RDWR)
                    try:
                        os.fsync(file)
                    finally:
                        os.close(file)
