"""The stores, under zarr-python's name for their room; ``fastzarr.stores`` has them."""

from fastzarr.stores import (
    DictStore,
    DirectoryStore,
    KVStore,
    LocalStore,
    MappingStore,
    MemoryStore,
    NestedDirectoryStore,
    Store,
    StorePath,
    TempStore,
)

__all__ = [
    "DictStore",
    "DirectoryStore",
    "KVStore",
    "LocalStore",
    "MappingStore",
    "MemoryStore",
    "NestedDirectoryStore",
    "Store",
    "StorePath",
    "TempStore",
]
