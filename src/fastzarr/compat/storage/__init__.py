"""The stores of zarr-python, over those of fastzarr."""

import sys
import warnings
from types import ModuleType
from typing import Any

from fastzarr._lazy import make_lazy
from fastzarr.errors import ZarrDeprecationWarning

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "._common": ("StoreLike", "StorePath"),
        "._fsspec": ("FsspecStore",),
        "._local": ("LocalStore",),
        "._logging": ("LoggingStore",),
        "._memory": ("GpuMemoryStore", "ManagedMemoryStore", "MemoryStore"),
        "._obstore": ("ObjectStore",),
        "._wrapper": ("WrapperStore",),
        "._zip": ("ZipStore",),
        "": ("bridge",),
    },
)

__all__ = [
    "FsspecStore",
    "GpuMemoryStore",
    "LocalStore",
    "LoggingStore",
    "ManagedMemoryStore",
    "MemoryStore",
    "ObjectStore",
    "StoreLike",
    "StorePath",
    "WrapperStore",
    "ZipStore",
]


class _Storage(ModuleType):
    """A module in which programs once set the compressor of new arrays."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; warn of that which has no effect any more."""
        if name == "default_compressor":
            msg = (
                "zarr.storage.default_compressor is deprecated, and setting it has no effect; pass "
                "compressors= to the functions that create arrays"
            )
            warnings.warn(msg, ZarrDeprecationWarning, stacklevel=2)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Storage
