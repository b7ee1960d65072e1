"""The stores and the functions of zarr-python's module ``storage``, under its name."""

from typing import TYPE_CHECKING

from fastzarr._lazy import make_lazy
from fastzarr.stores import (
    DictStore,
    DirectoryStore,
    KVStore,
    LocalStore,
    ManagedMemoryStore,
    MappingStore,
    MemoryStore,
    N5Store,
    NestedDirectoryStore,
    Store,
    StorePath,
    TempStore,
)

if TYPE_CHECKING:
    from fastzarr.api.storage import (
        array_meta_key,
        attrs_key,
        contains_array,
        contains_group,
        getsize,
        group_meta_key,
        init_array,
        init_group,
        listdir,
        normalize_store_arg,
        rename,
        rmdir,
    )
    from fastzarr.stores import (
        ABSStore,
        CacheStore,
        ConsolidatedMetadataStore,
        DBMStore,
        FsspecStore,
        FSStore,
        LMDBStore,
        LoggingStore,
        LRUStoreCache,
        MongoDBStore,
        N5FSStore,
        ObjectStore,
        RedisStore,
        SQLiteStore,
        WrapperStore,
        ZipStore,
    )
else:
    __getattr__, __dir__ = make_lazy(
        __name__,
        {
            "fastzarr.api.storage": (
                *("array_meta_key", "attrs_key", "contains_array", "contains_group", "getsize"),
                *("group_meta_key", "init_array", "init_group", "listdir", "normalize_store_arg"),
                *("rename", "rmdir"),
            ),
            "fastzarr.stores": (
                *("ABSStore", "CacheStore", "ConsolidatedMetadataStore", "DBMStore"),
                *("FSStore", "FsspecStore", "LMDBStore", "LRUStoreCache", "LoggingStore"),
                *("MongoDBStore", "N5FSStore", "ObjectStore", "RedisStore"),
                *("SQLiteStore", "WrapperStore", "ZipStore"),
            ),
        },
    )

__all__ = [
    "ABSStore",
    "CacheStore",
    "ConsolidatedMetadataStore",
    "DBMStore",
    "DictStore",
    "DirectoryStore",
    "FSStore",
    "FsspecStore",
    "KVStore",
    "LMDBStore",
    "LRUStoreCache",
    "LocalStore",
    "LoggingStore",
    "ManagedMemoryStore",
    "MappingStore",
    "MemoryStore",
    "MongoDBStore",
    "N5FSStore",
    "N5Store",
    "NestedDirectoryStore",
    "ObjectStore",
    "RedisStore",
    "SQLiteStore",
    "Store",
    "StorePath",
    "TempStore",
    "WrapperStore",
    "ZipStore",
    "array_meta_key",
    "attrs_key",
    "contains_array",
    "contains_group",
    "getsize",
    "group_meta_key",
    "init_array",
    "init_group",
    "listdir",
    "normalize_store_arg",
    "rename",
    "rmdir",
]
