"""The functions of zarr-python 2's module ``storage``."""

from __future__ import annotations

import fastzarr as zarr
from fastzarr import storage


def test_nodes_and_keys_by_path(tmp_path):
    for store in ({}, tmp_path):
        storage.init_group(store)
        storage.init_array(store, 4, 2, "i4", path="a/b", compressor=None, fill_value=7)
        assert storage.contains_group(store)
        assert storage.contains_group(store, "a")
        assert storage.contains_array(store, "a/b")
        assert not storage.contains_array(store, "a")
        assert not storage.contains_group(store, "c")
        array = zarr.open_array(store, path="a/b")
        array[:2] = 1
        assert storage.listdir(store, "a") == ["b", "zarr.json"]
        assert storage.getsize(store, "a/b/c/0") == 8
        document = storage.getsize(store, "a/b/zarr.json")
        assert storage.getsize(store, "a/b") == document
        storage.rename(store, "a/b", "a/x")
        assert zarr.open_array(store, path="a/x")[:].tolist() == [1, 1, 7, 7]
        storage.rmdir(store, "a")
        assert storage.listdir(store) == ["zarr.json"]
        storage.rmdir(store)
        assert storage.listdir(store) == []


def test_groups_without_a_document():
    store = {"a/b": b"1"}
    assert not storage.contains_group(store, "a")
    assert storage.contains_group(store, "a", explicit_only=False)
    assert not storage.contains_group(store, "c", explicit_only=False)


def test_names():
    assert (storage.array_meta_key, storage.group_meta_key) == (".zarray", ".zgroup")
    assert storage.attrs_key == ".zattrs"
    assert storage.normalize_store_arg({}).read_only
    assert {"init_array", "MemoryStore"} <= {*dir(storage)}
