"""Many nodes created at once from their metadata."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fastzarr import compat as zarr
from fastzarr.compat.core import group as awaited
from fastzarr.compat.core import sync_group
from fastzarr.compat.core.group import GroupMetadata
from fastzarr.compat.errors import ContainsArrayError, ContainsGroupError
from fastzarr.compat.storage import MemoryStore


def array(zarr_format: int) -> Any:
    return zarr.create_array({}, shape=3, dtype="i4", zarr_format=zarr_format).metadata


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_missing_groups_are_created_too(zarr_format: int) -> None:
    store, node = MemoryStore(), array(zarr_format)
    group = GroupMetadata(attributes={"k": 1}, zarr_format=zarr_format)
    made = dict(sync_group.create_hierarchy(store=store, nodes={"a/b/x": node, "a": group}))
    assert sorted(made) == ["", "a", "a/b", "a/b/x"]
    assert made["a"].metadata == group
    assert made["a/b/x"].metadata == node
    assert zarr.open_group(store)["a/b/x"] == made["a/b/x"]
    # Groups above that exist are left as they are.
    again = dict(zarr.create_hierarchy(store=store, nodes={"a/c": group}))
    assert list(again) == ["a/c"]


def test_existing_nodes_are_replaced_only_if_asked() -> None:
    store = MemoryStore()
    zarr.create_array(store, name="a", shape=2, dtype="i4")
    zarr.create_group(store, path="b/c", attributes={"old": 1})
    for name, kind in (("a", ContainsArrayError), ("b", ContainsGroupError)):
        with pytest.raises(kind, match=f"exists in store .* at path '{name}'"):
            list(zarr.create_hierarchy(store=store, nodes={name: GroupMetadata()}))
    nodes = {"a": GroupMetadata(), "b": GroupMetadata()}
    made = dict(zarr.create_hierarchy(store=store, nodes=nodes, overwrite=True))
    assert sorted(made) == ["a", "b"]
    assert list(zarr.open_group(store, path="b")) == []


def test_a_group_is_put_above_nodes_that_exist() -> None:
    store = MemoryStore()
    list(sync_group.create_nodes(store=store, nodes={"a/b": GroupMetadata(attributes={"k": 1})}))
    list(zarr.create_hierarchy(store=store, nodes={"a": GroupMetadata(), "a/x": array(3)}))
    root = zarr.open_group(store)
    assert sorted(root["a"]) == ["b", "x"]
    assert root["a/b"].attrs["k"] == 1


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ({"a": array(3), "a/b": GroupMetadata()}, "Only Zarr groups can contain other nodes"),
        ({"a": GroupMetadata(zarr_format=2), "b": GroupMetadata()}, "both Zarr v2 and Zarr v3"),
        ({"a": GroupMetadata(), "/a/": GroupMetadata()}, "same path"),
    ],
)
def test_an_impossible_hierarchy_changes_nothing(nodes: dict[str, Any], match: str) -> None:
    store = MemoryStore()
    with pytest.raises(ValueError, match=match):
        list(zarr.create_hierarchy(store=store, nodes=nodes))
    assert asyncio.run(store.is_empty(""))


def test_nodes_below_a_group_have_its_format() -> None:
    root = zarr.create_group({}, path="a")
    made = dict(root.create_hierarchy({"b/x": array(3)}))
    assert sorted(made) == ["b", "b/x"]
    with pytest.raises(ValueError, match="must be the same as the parent group"):
        list(root.create_hierarchy({"c": GroupMetadata(zarr_format=2)}))
    with pytest.raises(ValueError, match="error to use this method to create a root node"):
        list(root.create_hierarchy({"/": GroupMetadata()}))


def test_a_hierarchy_with_a_root_returns_it() -> None:
    store = MemoryStore()
    root = sync_group.create_rooted_hierarchy(
        store=store, nodes={"a": GroupMetadata(), "a/x": array(3)}
    )
    assert (root.path, list(root)) == ("a", ["x"])
    with pytest.raises(ValueError, match="does not specify a root node"):
        sync_group.create_rooted_hierarchy(
            store=store, nodes={"b": GroupMetadata(), "c": GroupMetadata()}
        )


def test_awaitable_functions_do_what_the_others_do() -> None:
    store, nodes = MemoryStore(), {"a": GroupMetadata(), "a/x": array(3)}

    async def run() -> list[Any]:
        made = [path async for path, _ in awaited.create_nodes(store=store, nodes=nodes)]
        node = await awaited.get_node(store, "a/x", 3)
        with pytest.raises(FileNotFoundError):
            await awaited.get_node(store, "b", 3)
        more = {f"b/{path}": each for path, each in nodes.items()}
        later = [path async for path, _ in awaited.create_hierarchy(store=store, nodes=more)]
        root = await awaited.create_rooted_hierarchy(store=store, nodes={"c": GroupMetadata()})
        return [made, node.shape, sorted(later), root.path]

    assert asyncio.run(run()) == [["a", "a/x"], (3,), ["", "b", "b/a", "b/a/x"], "c"]
    assert sync_group.get_node(store, "a/x", 3).shape == (3,)
