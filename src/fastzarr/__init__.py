"""fastzarr: hierarchies of chunked, compressed, N-dimensional arrays in Zarr formats 2 and 3.

This module only re-exports public names. Each is imported on first access, so that importing the
package is cheap.

>>> import fastzarr as zarr
>>> z = zarr.zeros((100, 100), chunks=(10, 10), dtype="f4")
>>> z[5, :3] = 1
>>> z[5, :5]
array([1., 1., 1., 0., 0.], dtype=float32)
"""

from typing import TYPE_CHECKING

from fastzarr._lazy import NUMCODECS, make_lazy
from fastzarr.config import config
from fastzarr.versions import __version__

if TYPE_CHECKING:
    from numcodecs import (
        BZ2 as BZ2,
    )
    from numcodecs import (
        CRC32 as CRC32,
    )
    from numcodecs import (
        JSON as JSON,
    )
    from numcodecs import (
        LZ4 as LZ4,
    )
    from numcodecs import (
        LZMA as LZMA,
    )
    from numcodecs import (
        Adler32 as Adler32,
    )
    from numcodecs import (
        AsType as AsType,
    )
    from numcodecs import (
        Base64 as Base64,
    )
    from numcodecs import (
        BitRound as BitRound,
    )
    from numcodecs import (
        Blosc as Blosc,
    )
    from numcodecs import (
        Categorize as Categorize,
    )
    from numcodecs import (
        Delta as Delta,
    )
    from numcodecs import (
        FixedScaleOffset as FixedScaleOffset,
    )
    from numcodecs import (
        Fletcher32 as Fletcher32,
    )
    from numcodecs import (
        GZip as GZip,
    )
    from numcodecs import (
        JenkinsLookup3 as JenkinsLookup3,
    )
    from numcodecs import (
        MsgPack as MsgPack,
    )
    from numcodecs import (
        PackBits as PackBits,
    )
    from numcodecs import (
        Pickle as Pickle,
    )
    from numcodecs import (
        Quantize as Quantize,
    )
    from numcodecs import (
        Shuffle as Shuffle,
    )
    from numcodecs import (
        VLenArray as VLenArray,
    )
    from numcodecs import (
        VLenBytes as VLenBytes,
    )
    from numcodecs import (
        VLenUTF8 as VLenUTF8,
    )
    from numcodecs import (
        Zlib as Zlib,
    )
    from numcodecs import (
        Zstd as Zstd,
    )
    from numcodecs.registry import (
        codec_registry as codec_registry,
    )
    from numcodecs.registry import (
        get_codec as get_codec,
    )
    from numcodecs.registry import (
        register_codec as register_codec,
    )

    from fastzarr import codecs, dtype, errors, storage, types
    from fastzarr.api.awaitable import (
        consolidate_metadata_async,
        create_array_async,
        create_async,
        create_group_async,
        from_array_async,
        group_async,
        load_async,
        open_array_async,
        open_async,
        open_consolidated_async,
        open_group_async,
        save_array_async,
        save_async,
        save_group_async,
    )
    from fastzarr.api.consolidate import consolidate_metadata, open_consolidated
    from fastzarr.api.create import (
        array,
        create,
        create_array,
        create_hierarchy,
        empty,
        empty_like,
        from_array,
        full,
        full_like,
        ones,
        ones_like,
        open_like,
        zeros,
        zeros_like,
    )
    from fastzarr.api.open import create_group, group, open, open_array, open_group
    from fastzarr.api.save import load, save, save_array, save_group
    from fastzarr.engine.threads import cleanup_resources
    from fastzarr.errors import (
        CopyError as CopyError,
    )
    from fastzarr.errors import (
        MetadataError as MetadataError,
    )
    from fastzarr.nodes.array import Array
    from fastzarr.nodes.group import Group
    from fastzarr.nodes.tree import tree
    from fastzarr.stores import (
        ABSStore as ABSStore,
    )
    from fastzarr.stores import (
        DBMStore as DBMStore,
    )
    from fastzarr.stores import (
        DictStore as DictStore,
    )
    from fastzarr.stores import (
        DirectoryStore as DirectoryStore,
    )
    from fastzarr.stores import (
        KVStore as KVStore,
    )
    from fastzarr.stores import (
        LMDBStore as LMDBStore,
    )
    from fastzarr.stores import (
        LRUStoreCache as LRUStoreCache,
    )
    from fastzarr.stores import (
        MemoryStore as MemoryStore,
    )
    from fastzarr.stores import (
        MongoDBStore as MongoDBStore,
    )
    from fastzarr.stores import (
        N5FSStore as N5FSStore,
    )
    from fastzarr.stores import (
        N5Store as N5Store,
    )
    from fastzarr.stores import (
        NestedDirectoryStore as NestedDirectoryStore,
    )
    from fastzarr.stores import (
        RedisStore as RedisStore,
    )
    from fastzarr.stores import (
        SQLiteStore as SQLiteStore,
    )
    from fastzarr.stores import (
        TempStore as TempStore,
    )
    from fastzarr.stores import (
        ZipStore as ZipStore,
    )
    from fastzarr.stores.synchronizers import (
        ProcessSynchronizer as ProcessSynchronizer,
    )
    from fastzarr.stores.synchronizers import (
        ThreadSynchronizer as ThreadSynchronizer,
    )
    from fastzarr.transfer.awaitable import copy_all_async, copy_async, copy_store_async
    from fastzarr.transfer.copy import copy, copy_all
    from fastzarr.transfer.stores import copy_store
    from fastzarr.versions import print_debug_info, show_versions
else:
    # Type checkers do not see it, so that they still find misspelled names.
    __getattr__, __dir__ = make_lazy(
        __name__,
        {
            "": ("codecs", "dtype", "errors", "storage", "testing", "types"),
            ".nodes.array": ("Array",),
            ".api.awaitable": (
                "consolidate_metadata_async",
                "create_array_async",
                "create_async",
                "create_group_async",
                "from_array_async",
                "group_async",
                "load_async",
                "open_array_async",
                "open_async",
                "open_consolidated_async",
                "open_group_async",
                "save_array_async",
                "save_async",
                "save_group_async",
            ),
            ".api.create": (
                "array",
                "create",
                "create_array",
                "create_hierarchy",
                "empty",
                "empty_like",
                "from_array",
                "full",
                "full_like",
                "ones",
                "ones_like",
                "open_like",
                "zeros",
                "zeros_like",
            ),
            ".nodes.tree": ("tree",),
            ".engine.threads": ("cleanup_resources",),
            ".errors": ("CopyError", "MetadataError"),
            ".nodes.group": ("Group",),
            ".stores.synchronizers": ("ProcessSynchronizer", "ThreadSynchronizer"),
            ".api.consolidate": ("consolidate_metadata", "open_consolidated"),
            ".api.open": ("create_group", "group", "open", "open_array", "open_group"),
            ".api.save": ("load", "save", "save_array", "save_group"),
            ".stores": (
                "ABSStore",
                "DBMStore",
                "DictStore",
                "DirectoryStore",
                "KVStore",
                "LMDBStore",
                "LRUStoreCache",
                "MemoryStore",
                "MongoDBStore",
                "N5FSStore",
                "N5Store",
                "NestedDirectoryStore",
                "RedisStore",
                "SQLiteStore",
                "TempStore",
                "ZipStore",
            ),
            ".transfer.awaitable": ("copy_all_async", "copy_async", "copy_store_async"),
            ".transfer.copy": ("copy", "copy_all"),
            ".transfer.stores": ("copy_store",),
            ".versions": ("print_debug_info", "show_versions"),
            # zarr-python 2 re-exports these from numcodecs.
            "numcodecs.registry": ("codec_registry", "get_codec", "register_codec"),
            "numcodecs": NUMCODECS,
        },
    )

__all__ = [
    "Array",
    "Group",
    "__version__",
    "array",
    "cleanup_resources",
    "codecs",
    "config",
    "consolidate_metadata",
    "consolidate_metadata_async",
    "copy",
    "copy_all",
    "copy_all_async",
    "copy_async",
    "copy_store",
    "copy_store_async",
    "create",
    "create_array",
    "create_array_async",
    "create_async",
    "create_group",
    "create_group_async",
    "create_hierarchy",
    "dtype",
    "empty",
    "empty_like",
    "errors",
    "from_array",
    "from_array_async",
    "full",
    "full_like",
    "group",
    "group_async",
    "load",
    "load_async",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_array_async",
    "open_async",
    "open_consolidated",
    "open_consolidated_async",
    "open_group",
    "open_group_async",
    "open_like",
    "print_debug_info",
    "save",
    "save_array",
    "save_array_async",
    "save_async",
    "save_group",
    "save_group_async",
    "show_versions",
    "storage",
    "tree",
    "types",
    "zeros",
    "zeros_like",
]
