"""The stores of zarr-python 2's experimental format, which are not supported.

Rules of this file:

* The names exist, so that programs which import them start; an instance cannot be made.
"""

from typing import Any, NoReturn

from fastzarr.v2._storage.store import BaseStore, KVStore, assert_zarr_v3_api_available
from fastzarr.v2.util import normalize_storage_path

__all__ = [
    "ABSStoreV3",
    "BaseStore",
    "ConsolidatedMetadataStoreV3",
    "DBMStoreV3",
    "DirectoryStoreV3",
    "FSStoreV3",
    "KVStore",
    "KVStoreV3",
    "LMDBStoreV3",
    "LRUStoreCacheV3",
    "MemoryStoreV3",
    "MongoDBStoreV3",
    "RedisStoreV3",
    "RmdirV3",
    "SQLiteStoreV3",
    "StoreV3",
    "ZipStoreV3",
    "normalize_storage_path",
]


class RmdirV3:
    """A mixin of stores."""


class StoreV3(BaseStore):
    """The base class of stores of the experimental format."""

    _store_version = 3

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        assert_zarr_v3_api_available()
        raise AssertionError

    __init__ = _refuse
    __getitem__ = __setitem__ = __delitem__ = __iter__ = __len__ = _refuse


ABSStoreV3 = ConsolidatedMetadataStoreV3 = DBMStoreV3 = DirectoryStoreV3 = StoreV3
FSStoreV3 = KVStoreV3 = LMDBStoreV3 = LRUStoreCacheV3 = MemoryStoreV3 = MongoDBStoreV3 = StoreV3
RedisStoreV3 = SQLiteStoreV3 = ZipStoreV3 = StoreV3
