"""The stores, re-exported from ``fastzarr.stores`` under zarr-python's module name."""

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
