"""Creation of many nodes at once, from their metadata."""

from __future__ import annotations

import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.metadata import v2, v3
from fastzarr.metadata.layout import GroupLayout
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.metadata.v3 import FORMAT as V3

GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {"g": 1}}


@pytest.fixture
def layout():
    return zarr.create_array({}, shape=(4,), dtype="i2", attributes={"u": "m"}).layout


class Metadata:
    """An object that returns a document, like metadata objects of zarr-python."""

    def __init__(self, doc):
        self.doc = doc

    def to_dict(self):
        return self.doc


def test_layouts_documents_and_objects(layout):
    store = {}
    nodes = {
        "": GroupLayout(V3, {"r": 1}),
        "a": GROUP,
        "a/b/x": layout,
        "c": Metadata(v3.document(layout)),
    }
    made = list(zarr.create_hierarchy(store=store, nodes=nodes))
    assert [path for path, _ in made] == ["", "a", "a/b/x", "c"]
    root = zarr.open_group(store)
    assert dict(root.attrs) == {"r": 1}
    assert dict(root["a"].attrs) == {"g": 1}
    assert root["a/b/x"].layout == layout == root["c"].layout
    assert isinstance(root["a/b"], zarr.Group)
    assert dict(made)["c"].attrs["u"] == "m"


def test_format_2():
    old = zarr.create((4,), dtype="i2", zarr_format=2, attributes={"u": "m"}).layout
    doc = v2.documents(old)[".zarray"] | {"attributes": {"u": "m"}, "node_type": "array"}
    store = {}
    nodes = {"a/x": doc, "b": {"zarr_format": 2, "attributes": {"g": 1}}, "c": old}
    dict(zarr.create_hierarchy(store=store, nodes=nodes))
    root = zarr.open_group(store)
    assert root.zarr_format == 2
    assert dict(root["a/x"].attrs) == {"u": "m"}
    assert dict(root["b"].attrs) == {"g": 1}


def test_all_is_created_without_going_through_the_result():
    store = {}
    zarr.create_hierarchy(store=store, nodes={"a": GROUP})
    assert "a" in zarr.open_group(store)


def test_what_is_there(layout):
    store = {}
    root = zarr.create_group(store)
    root.create_array("a/x", data=[1])
    before = dict(store)
    for nodes, error in (
        ({"b": GROUP, "a/x": layout}, errors.ContainsArrayError),
        ({"b": GROUP, "a": GROUP}, errors.ContainsGroupError),
        ({"b": GROUP, "a/x/y": layout}, errors.ContainsArrayError),
        ({"b": layout, "b/c": layout}, errors.ContainsArrayError),
        ({"b": GROUP, "c": GroupLayout(V2)}, errors.MetadataError),
        ({"b": GROUP, "c": {"zarr_format": 3}}, errors.MetadataError),
        ({"b": GROUP, "c": 5}, errors.MetadataError),
        ({"b": GROUP, "../c": GROUP}, errors.KeyValidationError),
        ({"b": GROUP, "c/zarr.json": GROUP}, errors.KeyValidationError),
    ):
        with pytest.raises(error):
            zarr.create_hierarchy(store=store, nodes=nodes)
        assert store == before
    zarr.create_hierarchy(store=store, nodes={"a": GROUP, "b": GROUP}, overwrite=True)
    assert [path for path, _ in root.members(None)] == ["a", "b"]


def test_a_read_only_store_is_refused():
    store = zarr.MemoryStore(read_only=True)
    with pytest.raises(errors.ReadOnlyError):
        zarr.create_hierarchy(store=store, nodes={"a": GROUP})
