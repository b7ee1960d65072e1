"""The metadata of groups: documents, and the way to layouts and back."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from fastzarr import compat as zarr
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.group import ConsolidatedMetadata, GroupMetadata, ImplicitGroupMarker
from fastzarr.compat.errors import MetadataValidationError, NodeTypeValidationError


def array(zarr_format: int = 3) -> Any:
    return zarr.create_array({}, shape=3, dtype="i4", zarr_format=zarr_format).metadata


def tree(zarr_format: int = 3) -> GroupMetadata:
    below = ConsolidatedMetadata({"x": array(zarr_format)})
    group = GroupMetadata({"k": 1}, zarr_format, below)
    copy = ConsolidatedMetadata({"a": group, "y": array(zarr_format)})
    return GroupMetadata(zarr_format=zarr_format, consolidated_metadata=copy)


def test_a_document_comes_back_as_it_was() -> None:
    extra = {"ext": {"must_understand": False, "v": 1}}
    document = {"zarr_format": 3, "node_type": "group", "attributes": {"k": [1]}, **extra}
    found = GroupMetadata.from_dict(document)
    assert found == GroupMetadata({"k": [1]}, extra_fields=extra)
    assert found.to_dict() == document
    assert GroupMetadata.from_layout(found.layout) == found


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_copy_comes_back_as_it_was(zarr_format: int) -> None:
    group = tree(zarr_format)
    copy = group.consolidated_metadata
    assert copy is not None
    document = copy.to_dict()
    assert list(document["metadata"]) == ["a", "y", "a/x"]
    assert ConsolidatedMetadata.from_dict(document) == copy
    shuffled = dict(reversed(document["metadata"].items()))
    assert ConsolidatedMetadata.from_dict(document | {"metadata": shuffled}) == copy
    assert pickle.loads(pickle.dumps(group)) == group


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_documents_are_those_in_a_store(zarr_format: int) -> None:
    values = tree(zarr_format).to_buffer_dict(default_buffer_prototype())
    root = zarr.open_consolidated(zarr.storage.MemoryStore(dict(values)))
    assert sorted(root) == ["a", "y"]
    assert root["a/x"].shape == (3,)
    assert root["a"].attrs["k"] == 1
    assert ("consolidated_metadata" in json.loads(values.popitem()[1].to_bytes())) is (
        zarr_format == 3
    )


@pytest.mark.parametrize("value", [{"must_understand": True}, {}, "text", 1])
def test_an_extension_that_must_be_understood_is_rejected(value: object) -> None:
    with pytest.raises(MetadataValidationError, match="my_extension"):
        GroupMetadata.from_dict({"zarr_format": 3, "node_type": "group", "my_extension": value})


def test_invalid_members_are_rejected() -> None:
    with pytest.raises(NodeTypeValidationError, match="node_type"):
        GroupMetadata.from_dict({"zarr_format": 3, "node_type": "array"})
    with pytest.raises(ValueError, match="zarr_format"):
        GroupMetadata(zarr_format=4)  # type: ignore[arg-type]  # that is the question
    with pytest.raises(TypeError, match="string keys"):
        GroupMetadata(attributes={1: 2})  # type: ignore[dict-item]  # that is the question
    with pytest.raises(ValueError, match="collide with keys reserved"):
        GroupMetadata(extra_fields={"attributes": {"must_understand": False}})
    with pytest.raises(ValueError, match="Zarr format 2 group metadata does not support"):
        GroupMetadata(zarr_format=2, extra_fields={"a": {"must_understand": False}})


def test_a_marker_is_no_group() -> None:
    assert ImplicitGroupMarker() == ImplicitGroupMarker(zarr_format=3)
    assert ImplicitGroupMarker() != GroupMetadata()
