"""zarr-python 2.18.7's public names and semantics, over fastzarr.

``import fastzarr.v2 as zarr`` lets a program that was written for zarr-python 2 run: format 2 and
its defaults, stores as mappings, groups as mappings, results, errors and warnings.

Rules of this package:

* A class holds an object of fastzarr, ``inner``, which does the work. What is here gives it the
  names, arguments, defaults and results of zarr-python 2.
* Data is no less safe: changes of one chunk or document by several writers are all kept.

>>> import fastzarr.v2 as zarr
>>> z = zarr.array([1, 2, 3])
>>> z[0], z.compressor
(np.int64(1), Blosc(cname='lz4', clevel=5, shuffle=SHUFFLE, blocksize=0))
"""

from fastzarr._lazy import NUMCODECS, make_lazy

__version__ = "2.18.7"

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "": (
            *("attrs", "codecs", "context", "convenience", "core", "creation", "errors"),
            *("hierarchy", "indexing", "meta", "meta_v1", "n5", "storage", "sync", "types"),
            *("util", "version"),
        ),
        ".codecs": (*NUMCODECS, "codec_registry", "get_codec", "register_codec"),
        ".convenience": (
            *("consolidate_metadata", "copy", "copy_all", "copy_store", "load", "open"),
            *("open_consolidated", "save", "save_array", "save_group", "tree"),
        ),
        ".core": ("Array",),
        ".creation": (
            *("array", "create", "empty", "empty_like", "full", "full_like", "ones"),
            *("ones_like", "open_array", "open_like", "zeros", "zeros_like"),
        ),
        ".errors": ("CopyError", "MetadataError"),
        ".hierarchy": ("Group", "group", "open_group"),
        ".n5": ("N5FSStore", "N5Store"),
        "._storage.store": ("KVStore", "v3_api_available"),
        "._storage.classes": (
            *("ABSStore", "DBMStore", "DictStore", "DirectoryStore", "LMDBStore"),
            *("LRUStoreCache", "MemoryStore", "MongoDBStore", "NestedDirectoryStore"),
            *("RedisStore", "SQLiteStore", "TempStore", "ZipStore"),
        ),
        ".sync": ("ProcessSynchronizer", "ThreadSynchronizer"),
    },
)
