"""The stores of zarr-python, over those of fastzarr."""

from fastzarr._lazy import make_lazy

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
