"""Consolidated metadata of both formats."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from fastzarr.errors import MetadataError
from fastzarr.metadata import consolidated, json, v2, v3
from fastzarr.metadata.layout import GroupLayout
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.metadata.v3 import FORMAT as V3

GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {"a": 1}}
BROKEN = {"zarr_format": 3, "node_type": "array"}


def inline(metadata: Any, **members: Any) -> dict[str, Any]:
    return {"kind": "inline", "must_understand": False, "metadata": metadata} | members


def test_format_3_round_trip():
    nodes = {"a": GroupLayout(V3, {"x": 1}), "a/b": GroupLayout(V3)}
    found = consolidated.from_member(V3, consolidated.to_member(V3, nodes))
    assert found == nodes
    assert list(found) == ["a", "a/b"]
    group = GroupLayout(V3, {}, nodes)
    assert v3.parse(v3.document(group)) == group


def test_format_2_round_trip():
    nodes = {"": GroupLayout(V2, {"x": 1}), "a": GroupLayout(V2), "a/b": GroupLayout(V2)}
    doc = V2.write_consolidated(nodes)
    assert doc["metadata"][".zattrs"] == {"x": 1}
    assert V2.parse_consolidated(doc, ".zmetadata") == nodes


def test_documents_of_zarr_python_are_read_and_agree_with_the_nodes(golden):
    docs = golden("zarr-python-3.1.6-format-3")
    group = v3.parse(json.loads(docs["zarr.json"], "zarr.json"))
    keys = {key.removesuffix("/zarr.json"): key for key in docs if key != "zarr.json"}
    assert set(group.consolidated) == set(keys)
    for path, key in keys.items():
        assert group.consolidated[path] == v3.parse(json.loads(docs[key], key), key)
    again = v3.parse(json.loads(json.dumps(v3.document(group)), "zarr.json"))
    assert again.consolidated == group.consolidated


@pytest.mark.parametrize("name", ["zarr-python-3.1.6-format-2", "zarr-python-2.18.7-format-2"])
def test_documents_of_format_2_are_read_and_agree_with_the_nodes(golden, name):
    docs = {key: json.loads(data, key) for key, data in golden(name).items()}
    nodes = V2.parse_consolidated(docs[".zmetadata"], ".zmetadata")
    paths = {
        key.rpartition("/")[0] for key in docs if key.rpartition("/")[2] in (".zarray", ".zgroup")
    }
    assert set(nodes) == paths
    for path, node in nodes.items():
        prefix = f"{path}/" if path else ""
        attributes = docs.get(prefix + ".zattrs", {})
        if prefix + ".zarray" in docs:
            assert node == v2.parse_array(docs[prefix + ".zarray"], attributes)
        else:
            assert repr(node) == repr(v2.parse_group(docs[prefix + ".zgroup"], attributes))
    written = json.loads(json.dumps(V2.write_consolidated(nodes)), ".zmetadata")
    assert set(V2.parse_consolidated(written, ".zmetadata")) == paths


def test_one_broken_node_does_not_hide_the_others():
    nodes = consolidated.from_member(V3, inline({"good": GROUP, "bad": BROKEN}))
    assert nodes["good"] == GroupLayout(V3, {"a": 1})
    assert "bad" in nodes
    with pytest.raises(MetadataError, match=r"^consolidated_metadata\.metadata\.bad: .*'shape'"):
        nodes["bad"]
    with pytest.raises(KeyError):
        nodes["missing"]
    assert consolidated.to_member(V3, nodes)["metadata"]["bad"] == BROKEN


def test_a_copy_within_the_copy_is_ignored():
    nodes = consolidated.from_member(
        V3, inline({"a": GROUP | {"consolidated_metadata": {"kind": 5}}})
    )
    assert nodes["a"].consolidated is None
    assert "consolidated_metadata" not in consolidated.to_member(V3, nodes)["metadata"]["a"]
    child = GroupLayout(V3, {}, {"b": GroupLayout(V3)})
    assert "consolidated_metadata" not in consolidated.to_member(V3, {"a": child})["metadata"]["a"]


def test_another_kind_that_need_not_be_understood_is_kept_and_not_used():
    other = {"kind": "elsewhere", "must_understand": False}
    doc = {"zarr_format": 3, "node_type": "group", "attributes": {}, "consolidated_metadata": other}
    group = v3.parse(doc)
    assert group.consolidated is None
    assert v3.document(group) == doc


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (5, ""),
        ({}, ".kind"),
        ({"kind": "elsewhere", "must_understand": True}, ".kind"),
        ({"kind": 5, "must_understand": False}, ".kind"),
        (inline({}, must_understand="no"), ".must_understand"),
        ({"kind": "inline"}, ""),
        (inline([]), ".metadata"),
        (inline({"a": 5}), ".metadata.a"),
        (inline({"": GROUP}), ".metadata['']"),
        (inline({"a//b": GROUP}), ".metadata['a//b']"),
        (inline({"../b": GROUP}), ".metadata['../b']"),
        (inline({"/b": GROUP}), ".metadata['/b']"),
        (inline({"b/": GROUP}), ".metadata['b/']"),
    ],
)
def test_broken_members_of_format_3(value, place):
    doc = {"zarr_format": 3, "node_type": "group", "consolidated_metadata": value}
    with pytest.raises(MetadataError) as caught:
        v3.parse(doc, "g/zarr.json")
    assert caught.value.where == "g/zarr.json: consolidated_metadata" + place


@pytest.mark.parametrize(
    ("doc", "place"),
    [
        ([], ".zmetadata"),
        ({}, ".zmetadata"),
        ({"zarr_consolidated_format": 1}, ".zmetadata"),
        (
            {"zarr_consolidated_format": 2, "metadata": {}},
            ".zmetadata: zarr_consolidated_format",
        ),
        (
            {"zarr_consolidated_format": True, "metadata": {}},
            ".zmetadata: zarr_consolidated_format",
        ),
        ({"zarr_consolidated_format": 1, "metadata": []}, ".zmetadata: metadata"),
        (
            {"zarr_consolidated_format": 1, "metadata": {"a/.zgroup": 5}},
            ".zmetadata: metadata['a/.zgroup']",
        ),
        (
            {"zarr_consolidated_format": 1, "metadata": {"a/0.0": {}}},
            ".zmetadata: metadata['a/0.0']",
        ),
        (
            {"zarr_consolidated_format": 1, "metadata": {"../.zgroup": {}}},
            ".zmetadata: metadata['../.zgroup']",
        ),
        (
            {"zarr_consolidated_format": 1, "metadata": {"/.zgroup": {}}},
            ".zmetadata: metadata['/.zgroup']",
        ),
    ],
)
def test_broken_documents_of_format_2(doc, place):
    with pytest.raises(MetadataError) as caught:
        V2.parse_consolidated(doc, ".zmetadata")
    assert caught.value.where == place


def test_a_broken_node_of_format_2_names_its_place():
    doc = {"zarr_consolidated_format": 1, "metadata": {"a/.zarray": {"zarr_format": 2}}}
    with pytest.raises(MetadataError, match=r"^\.zmetadata: metadata\['a/\.zarray'\]: .*'shape'"):
        V2.parse_consolidated(doc, ".zmetadata")["a"]


def test_attributes_alone_are_not_a_node():
    doc = {"zarr_consolidated_format": 1, "metadata": {"a/.zattrs": {}}}
    assert len(V2.parse_consolidated(doc, ".zmetadata")) == 0


def test_nodes_are_pickled_and_shown():
    nodes = consolidated.from_member(V3, inline({"a": GROUP}))
    assert pickle.loads(pickle.dumps(nodes)) == nodes
    assert repr(nodes) == "<consolidated metadata of 'a'>"
