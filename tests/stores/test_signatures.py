"""The arguments of the stores of both zarr-pythons: each is taken by the store of the same name."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec

import pytest

import fastzarr.v2
from fastzarr import storage

# The parameters of zarr-python 2.18.7, in their order; a star is any further ones by name.
ZARR_2 = {
    "ABSStore": (
        "container prefix account_name account_key blob_service_kwargs dimension_separator client"
    ),
    "ConsolidatedMetadataStore": "store metadata_key",
    "DBMStore": "path flag mode open write_lock dimension_separator *",
    "DictStore": "root cls dimension_separator",
    "DirectoryStore": "path normalize_keys dimension_separator",
    "FSStore": (
        "url normalize_keys key_separator mode exceptions dimension_separator fs check create "
        "missing_exceptions *"
    ),
    "KVStore": "mutablemapping",
    "LMDBStore": "path buffers dimension_separator *",
    "LRUStoreCache": "store max_size",
    "MemoryStore": "root cls dimension_separator",
    "MongoDBStore": "database collection dimension_separator *",
    "N5FSStore": (
        "url normalize_keys key_separator mode exceptions dimension_separator fs check create "
        "missing_exceptions *"
    ),
    "N5Store": "path normalize_keys dimension_separator",
    "NestedDirectoryStore": "path normalize_keys dimension_separator",
    "RedisStore": "prefix dimension_separator *",
    "SQLiteStore": "path dimension_separator *",
    "TempStore": "suffix prefix dir normalize_keys dimension_separator",
    "ZipStore": "path compression allowZip64 mode dimension_separator",
}
# Those of zarr-python 3.4.2; what follows a bar is passed by name only.
ZARR_3 = {
    "CacheStore": "store | cache_store max_age_seconds max_size cache_set_data",
    "FsspecStore": "fs read_only path allowed_exceptions",
    "FsspecStore.from_mapper": "fs_map read_only allowed_exceptions",
    "FsspecStore.from_upath": "upath read_only allowed_exceptions",
    "FsspecStore.from_url": "url storage_options read_only allowed_exceptions",
    "LocalStore": "root | read_only",
    "LoggingStore": "store log_level log_handler",
    "ManagedMemoryStore": "name | path read_only",
    "MemoryStore": "store_dict | read_only",
    "ObjectStore": "store | read_only",
    "StorePath": "store path",
    "WrapperStore": "store",
    "ZipStore": "path | mode read_only compression allowZip64",
}


def found_in(module, name):
    """Return the class, or the method of a class, that a module has."""
    name, _, method = name.partition(".")
    found = getattr(module, name)
    return getattr(found, method) if method else found


def refusals(call, words):
    """Return the arguments that a call does not take in this way."""
    plain, _, named = words.partition(" | ")
    positional = [name for name in plain.split() if name != "*"]
    known = inspect.signature(call).parameters.values()
    by_name = {one.name for one in known if one.kind is not one.POSITIONAL_ONLY}
    takes_any = any(one.kind is one.VAR_KEYWORD for one in known)
    takes_all = any(one.kind is one.VAR_POSITIONAL for one in known)
    at_places = [
        one for one in known if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    found = []
    if not takes_any:
        found += [name for name in (*positional, *named.split()) if name not in by_name]
        found += ["**kwargs"] * ("*" in plain.split())
    if not takes_all and len(at_places) < len(positional):
        found += [f"{name} by its position" for name in positional[len(at_places) :]]
    return found


def test_what_a_store_does_not_take_is_found():
    def call(a, *, b):
        return a, b

    assert refusals(call, "a | b") == []
    assert refusals(call, "a b c *") == ["c", "**kwargs", "b by its position", "c by its position"]


@pytest.mark.parametrize("name", ZARR_2)
def test_a_store_takes_the_arguments_of_zarr_python_2(name):
    assert refusals(found_in(storage, name), ZARR_2[name]) == []
    module = fastzarr.v2.n5 if name.startswith("N5") else fastzarr.v2.storage
    assert refusals(found_in(module, name), ZARR_2[name]) == []


@pytest.mark.parametrize("name", ZARR_3)
def test_a_store_takes_the_arguments_of_zarr_python_3(name):
    ours = import_module("fastzarr.experimental.cache_store") if name == "CacheStore" else storage
    assert refusals(found_in(ours, name), ZARR_3[name]) == []
    theirs = "experimental.cache_store" if name == "CacheStore" else "storage"
    facade = import_module(f"fastzarr.compat.{theirs}")
    assert refusals(found_in(facade, name), ZARR_3[name]) == []


def _words(call):
    """Return the parameters of a call as the tables have them."""
    known = list(inspect.signature(call).parameters.values())
    plain = [one.name for one in known if one.kind is one.POSITIONAL_OR_KEYWORD]
    plain += ["*"] * any(one.kind is one.VAR_KEYWORD for one in known)
    named = [one.name for one in known if one.kind is one.KEYWORD_ONLY]
    return " ".join([*plain, *(["|", *named] if named else [])])


@pytest.mark.skipif(find_spec("zarr") is None, reason="zarr-python is not installed")
@pytest.mark.parametrize("name", ZARR_3)
def test_the_table_has_the_arguments_of_the_installed_zarr_python(name):
    """Earlier versions have fewer."""
    where = "zarr.experimental.cache_store" if name == "CacheStore" else "zarr.storage"
    module = pytest.importorskip(where)
    if not hasattr(module, name.partition(".")[0]):
        pytest.skip("it is of a later zarr-python 3")
    theirs = _words(found_in(module, name)).replace("|", "").split()
    assert set(theirs) <= set(ZARR_3[name].replace("|", "").split())


def test_memory_of_another_class_and_by_position():
    class Values(dict):
        pass

    for store in (storage.MemoryStore(cls=Values), storage.MemoryStore(None, Values, "/")):
        assert type(store.mapping) is Values
    assert store.dimension_separator == "/"
