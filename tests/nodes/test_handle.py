"""The common properties of arrays and groups."""

from __future__ import annotations

import pytest

import fastzarr as zarr
from fastzarr.stores import MemoryStore

SYNCHRONIZER = zarr.ThreadSynchronizer()


@pytest.mark.parametrize("kind", ["array", "group"])
def test_place_and_attributes(kind):
    store, chunks = MemoryStore(), MemoryStore()
    root = zarr.open_group(store, chunk_store=chunks, synchronizer=SYNCHRONIZER)
    node = root.create_array("a/b", shape=3) if kind == "array" else root.create_group("a/b")
    assert node.store is store
    assert node.chunk_store is chunks
    assert (node.path, node.name, node.basename) == ("a/b", "/a/b", "b")
    assert str(node.store_path) == f"{store}/a/b"
    assert (node.read_only, node.synchronizer) == (False, SYNCHRONIZER)
    assert node.meta_array.shape == ()
    assert node.update_attributes(new_attributes={"x": 1}) is node
    assert dict(node.attrs) == {"x": 1}
    assert hash(node) == hash(root["a/b"])
    assert {node, root["a/b"]} == {node}
    assert zarr.zeros(3).chunk_store is not None
