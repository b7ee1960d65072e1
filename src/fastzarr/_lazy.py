"""Names of a package that are imported on first access (PEP 562)."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# fmt: off
NUMCODECS = (
    "Adler32", "AsType", "BZ2", "Base64", "BitRound", "Blosc", "CRC32", "Categorize", "Delta",
    "FixedScaleOffset", "Fletcher32", "GZip", "JSON", "JenkinsLookup3", "LZ4", "LZMA", "MsgPack",
    "PackBits", "Pickle", "Quantize", "Shuffle", "VLenArray", "VLenBytes", "VLenUTF8", "Zlib",
    "Zstd",
)
# fmt: on
"""The classes of numcodecs that zarr-python 2 re-exports."""


def make_lazy(
    package: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package.

    ``homes`` maps a module, relative to the package or absolute, to the names that it defines.
    Submodules are listed under the empty string.
    """
    home_of = {name: home for home, names in homes.items() for name in names}
    namespace = vars(sys.modules[package])

    def load(name: str) -> Any:
        if name not in home_of:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        module = import_module(home_of[name] or f".{name}", package)
        value = namespace[name] = getattr(module, name) if home_of[name] else module
        return value

    return load, lambda: sorted({*namespace, *home_of})
