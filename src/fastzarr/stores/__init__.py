"""The stores: where the bytes of metadata and chunks live, by key.

Rules of this package:

* One store, one file; what all share is in ``base``, the rules of keys in ``keys``.
* A store's file is read when its name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.stores.base import Store
from fastzarr.stores.keys import normalise_path, validate_key

if TYPE_CHECKING:
    from fastzarr.stores.directory import DirectoryStore, NestedDirectoryStore, TempStore
    from fastzarr.stores.local import LocalStore
    from fastzarr.stores.mapping import MappingStore
    from fastzarr.stores.mapping import MappingStore as KVStore
    from fastzarr.stores.memory import MemoryStore
    from fastzarr.stores.memory import MemoryStore as DictStore
    from fastzarr.stores.protocols import (
        Drafts,
        Fetches,
        Files,
        HasFiles,
        Request,
        SetsMany,
        Swaps,
        Times,
        Transacts,
        Validates,
        Value,
    )
    from fastzarr.stores.resolve import StorePath, as_store, as_store_path

_HOMES = {
    "DictStore": ("memory", "MemoryStore"),
    "DirectoryStore": ("directory", "DirectoryStore"),
    "Drafts": ("protocols", "Drafts"),
    "Fetches": ("protocols", "Fetches"),
    "Files": ("protocols", "Files"),
    "HasFiles": ("protocols", "HasFiles"),
    "KVStore": ("mapping", "MappingStore"),
    "LocalStore": ("local", "LocalStore"),
    "MappingStore": ("mapping", "MappingStore"),
    "MemoryStore": ("memory", "MemoryStore"),
    "NestedDirectoryStore": ("directory", "NestedDirectoryStore"),
    "Request": ("protocols", "Request"),
    "SetsMany": ("protocols", "SetsMany"),
    "StorePath": ("resolve", "StorePath"),
    "Swaps": ("protocols", "Swaps"),
    "TempStore": ("directory", "TempStore"),
    "Times": ("protocols", "Times"),
    "Transacts": ("protocols", "Transacts"),
    "Validates": ("protocols", "Validates"),
    "Value": ("protocols", "Value"),
    "as_store": ("resolve", "as_store"),
    "as_store_path": ("resolve", "as_store_path"),
}

__all__ = [
    "DictStore",
    "DirectoryStore",
    "Drafts",
    "Fetches",
    "Files",
    "HasFiles",
    "KVStore",
    "LocalStore",
    "MappingStore",
    "MemoryStore",
    "NestedDirectoryStore",
    "Request",
    "SetsMany",
    "Store",
    "StorePath",
    "Swaps",
    "TempStore",
    "Times",
    "Transacts",
    "Validates",
    "Value",
    "as_store",
    "as_store_path",
    "normalise_path",
    "validate_key",
]


def __getattr__(name: str) -> object:
    """Read the file that defines a name when the name is first used."""
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
