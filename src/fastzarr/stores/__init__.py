"""The stores, which map keys to the bytes of metadata and chunks.

Rules of this package:

* Each store has a file of its own, and the local store a folder. Code that they share is in
  ``base``, and the validation of keys is in ``keys``.
* The file of a store is imported on first access to a name in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.stores.base import Store
from fastzarr.stores.keys import normalise_path, validate_key

if TYPE_CHECKING:
    from fastzarr.stores.abs import ABSStore
    from fastzarr.stores.cache import CacheStore
    from fastzarr.stores.capabilities import (
        Awaits,
        Drafts,
        Fetches,
        Files,
        HasFiles,
        Request,
        SetsMany,
        Swaps,
        SwapsTokens,
        Times,
        Transacts,
        Validates,
        Value,
    )
    from fastzarr.stores.consolidated import ConsolidatedMetadataStore
    from fastzarr.stores.dbm import DBMStore
    from fastzarr.stores.fsspec import FsspecStore
    from fastzarr.stores.fsstore import FSStore, N5FSStore
    from fastzarr.stores.lmdb.store import LMDBStore
    from fastzarr.stores.local.directory import (
        DirectoryStore,
        N5Store,
        NestedDirectoryStore,
        TempStore,
    )
    from fastzarr.stores.local.store import LocalStore
    from fastzarr.stores.logging import LoggingStore
    from fastzarr.stores.lru import LRUStoreCache
    from fastzarr.stores.mapping import MappingStore
    from fastzarr.stores.mapping import MappingStore as KVStore
    from fastzarr.stores.memory import ManagedMemoryStore, MemoryStore
    from fastzarr.stores.memory import MemoryStore as DictStore
    from fastzarr.stores.mongodb import MongoDBStore
    from fastzarr.stores.obstore import ObjectStore
    from fastzarr.stores.path import StorePath
    from fastzarr.stores.redis import RedisStore
    from fastzarr.stores.resolve import as_store, as_store_path
    from fastzarr.stores.sqlite.store import SQLiteStore
    from fastzarr.stores.urls import register_store
    from fastzarr.stores.wrapper import WrapperStore
    from fastzarr.stores.zip.store import ZipStore

_HOMES = {
    "ABSStore": ("abs", "ABSStore"),
    "Awaits": ("capabilities", "Awaits"),
    "CacheStore": ("cache", "CacheStore"),
    "ConsolidatedMetadataStore": ("consolidated", "ConsolidatedMetadataStore"),
    "DBMStore": ("dbm", "DBMStore"),
    "DictStore": ("memory", "MemoryStore"),
    "DirectoryStore": ("local.directory", "DirectoryStore"),
    "Drafts": ("capabilities", "Drafts"),
    "FSStore": ("fsstore", "FSStore"),
    "Fetches": ("capabilities", "Fetches"),
    "Files": ("capabilities", "Files"),
    "FsspecStore": ("fsspec", "FsspecStore"),
    "HasFiles": ("capabilities", "HasFiles"),
    "KVStore": ("mapping", "MappingStore"),
    "LMDBStore": ("lmdb.store", "LMDBStore"),
    "LRUStoreCache": ("lru", "LRUStoreCache"),
    "LocalStore": ("local.store", "LocalStore"),
    "LoggingStore": ("logging", "LoggingStore"),
    "ManagedMemoryStore": ("memory", "ManagedMemoryStore"),
    "MappingStore": ("mapping", "MappingStore"),
    "MemoryStore": ("memory", "MemoryStore"),
    "MongoDBStore": ("mongodb", "MongoDBStore"),
    "N5FSStore": ("fsstore", "N5FSStore"),
    "N5Store": ("local.directory", "N5Store"),
    "NestedDirectoryStore": ("local.directory", "NestedDirectoryStore"),
    "ObjectStore": ("obstore", "ObjectStore"),
    "RedisStore": ("redis", "RedisStore"),
    "Request": ("capabilities", "Request"),
    "SQLiteStore": ("sqlite.store", "SQLiteStore"),
    "SetsMany": ("capabilities", "SetsMany"),
    "StorePath": ("path", "StorePath"),
    "Swaps": ("capabilities", "Swaps"),
    "SwapsTokens": ("capabilities", "SwapsTokens"),
    "TempStore": ("local.directory", "TempStore"),
    "Times": ("capabilities", "Times"),
    "Transacts": ("capabilities", "Transacts"),
    "Validates": ("capabilities", "Validates"),
    "Value": ("capabilities", "Value"),
    "ZipStore": ("zip.store", "ZipStore"),
    "WrapperStore": ("wrapper", "WrapperStore"),
    "as_store": ("resolve", "as_store"),
    "as_store_path": ("resolve", "as_store_path"),
    "register_store": ("urls", "register_store"),
}

__all__ = [
    "ABSStore",
    "Awaits",
    "CacheStore",
    "ConsolidatedMetadataStore",
    "DBMStore",
    "DictStore",
    "DirectoryStore",
    "Drafts",
    "FSStore",
    "Fetches",
    "Files",
    "FsspecStore",
    "HasFiles",
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
    "Request",
    "SQLiteStore",
    "SetsMany",
    "Store",
    "StorePath",
    "Swaps",
    "SwapsTokens",
    "TempStore",
    "Times",
    "Transacts",
    "Validates",
    "Value",
    "WrapperStore",
    "ZipStore",
    "as_store",
    "as_store_path",
    "normalise_path",
    "register_store",
    "validate_key",
]

if not TYPE_CHECKING:
    # A type checker that knew it would accept every misspelled name.
    def __getattr__(name: str) -> object:
        """Import a public name on first access; raise AttributeError if there is none."""
        if name not in _HOMES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module

        module, attribute = _HOMES[name]
        value: object = getattr(import_module(f"{__name__}.{module}"), attribute)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
