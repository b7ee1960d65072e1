"""Consolidated metadata in use: how snapshots become invalid."""

from __future__ import annotations

import json
import pickle

import pytest

import fastzarr as zarr
from fastzarr.nodes.snapshot import Snapshot
from fastzarr.stores import LocalStore, MemoryStore


@pytest.fixture(params=[2, 3])
def zarr_format(request):
    return request.param


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path, zarr_format):
    store = MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "data.zarr")
    root = zarr.create_group(store, zarr_format=zarr_format)
    root.create_array("a/x", data=[1, 2, 3])
    root.create_group("b")
    zarr.consolidate_metadata(store)
    return store


def has_copy(store):
    if ".zgroup" in store:
        return ".zmetadata" in store
    return "consolidated_metadata" in json.loads(store["zarr.json"])


CHANGES = {
    "create group": lambda root: root.create_group("new"),
    "create array": lambda root: root["b"].create_array("new", shape=3),
    "overwrite": lambda root: root.create_array("a/x", shape=9, overwrite=True),
    "delete": lambda root: root.__delitem__("a/x"),
    "delete from below": lambda root: root["a"].__delitem__("x"),
    "move": lambda root: root.move("b", "c"),
    "resize": lambda root: root["a/x"].resize(5),
    "append": lambda root: root["a"]["x"].append([4]),
}


ATTRIBUTES = {
    "an array": lambda root: root["a/x"].attrs.update(u=1),
    "a group": lambda root: root["b"].attrs.update(u=1),
    "many": lambda root: [root[path].attrs.update(u=1) for path in ("a", "b", "a/x")],
}


def attributes(store, **words):
    nodes = zarr.open_group(store, mode="r", **words).members(None)
    return {path: dict(node.attrs) for path, node in nodes}


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_change_of_attributes_keeps_it_true(store, name, opened):
    root = zarr.open_group(store, use_consolidated=opened)
    zarr.consolidate_metadata(store, path="a")
    ATTRIBUTES[name](root)
    assert has_copy(store)
    live = attributes(store, use_consolidated=False)
    assert attributes(store, use_consolidated=True) == live
    assert {"u": 1} in live.values()
    assert {path: dict(node.attrs) for path, node in root.members(None)} == live
    inner = zarr.open_consolidated(store, path="a")
    assert dict(inner["x"].attrs) == live["a/x"]
    peer = pytest.importorskip("zarr")
    values = {key: peer.core.buffer.cpu.Buffer.from_bytes(value) for key, value in store.items()}
    theirs = peer.open_consolidated(peer.storage.MemoryStore(values))
    assert {path: dict(node.attrs) for path, node in theirs.members(None)} == live


class Slow(MemoryStore):
    """A store of four verbs, in which a copy is not made again."""

    draft = None


@pytest.mark.parametrize("large", [True, False])
def test_a_copy_that_a_change_of_attributes_deletes_causes_a_warning(zarr_format, large):
    store = MemoryStore() if large else Slow()
    root = zarr.open_group(store, mode="w", zarr_format=zarr_format)
    root.create_group("x/a")
    for number in range(150 if large else 0):
        root.create_group(f"x/g{number}", overwrite=False)
    zarr.consolidate_metadata(store)
    if large:
        assert len(list(root["x"])) > 100
    with pytest.warns(zarr.errors.ZarrUserWarning, match="call consolidate_metadata") as caught:
        root["x/a"].attrs["u"] = 1
    assert [warning.filename for warning in caught] == [__file__]
    assert not has_copy(store)
    root["x/a"].attrs["u"] = 2  # the second one finds none


def test_a_writer_that_dies_leaves_no_copy(store, monkeypatch):
    root = zarr.open_group(store, use_consolidated=False)

    def dies(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastzarr.nodes.consolidating.write_copy", dies)
    with pytest.raises(KeyboardInterrupt):
        root["b"].attrs["u"] = 1
    assert not has_copy(store)
    assert dict(zarr.open_group(store)["b"].attrs) == {"u": 1}


def test_a_change_while_the_copy_is_made_again_is_in_it(store, monkeypatch):
    root = zarr.open_group(store, use_consolidated=False)
    from fastzarr.nodes import consolidating

    walk, other = consolidating._nodes, []  # noqa: SLF001  (the moment to meet)

    def meanwhile(*args):
        found = walk(*args)
        if not other:
            other.append(1)
            root["a/x"].attrs["v"] = 2
        return found

    monkeypatch.setattr(consolidating, "_nodes", meanwhile)
    root["b"].attrs["u"] = 1
    live = attributes(store, use_consolidated=False)
    assert (live["a/x"], live["b"]) == ({"v": 2}, {"u": 1})
    assert not has_copy(store) or attributes(store, use_consolidated=True) == live


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_ends_it(store, name):
    root = zarr.open_consolidated(store)
    below = root["a"]
    assert has_copy(store)
    CHANGES[name](root)
    assert not has_copy(store)
    live = zarr.open_group(store, use_consolidated=False)
    for handle in (root, zarr.open_group(store)):
        found = [(path, node.metadata) for path, node in handle.members(None)]
        assert [p for p, _ in found] == [p for p, _ in live.members(None)]
        for path, node in live.members(None):
            assert dict(handle[path].attrs) == dict(node.attrs)
            assert getattr(handle[path], "shape", None) == getattr(node, "shape", None)
    assert list(below) == list(live["a"])
    assert root.metadata.consolidated_metadata is None
    with pytest.raises(ValueError, match="no consolidated metadata"):
        zarr.open_consolidated(store)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_by_another_handle_of_this_process_ends_it(store, name):
    root = zarr.open_consolidated(store)
    CHANGES[name](zarr.open_group(store, use_consolidated=False))
    assert not has_copy(store)
    live = zarr.open_group(store, use_consolidated=False)
    assert [path for path, _ in root.members(None)] == [path for path, _ in live.members(None)]


@pytest.mark.parametrize("method", ["get", "has", "names"])
def test_a_copy_that_ends_while_it_is_read_hides_no_members(store, method, monkeypatch):
    root = zarr.open_group(store, mode="r")
    read = getattr(Snapshot, method)

    def late(snapshot, path):
        # As another thread does that changes a node, once it has been seen that there is a copy.
        snapshot.end()
        return read(snapshot, path)

    monkeypatch.setattr(Snapshot, method, late)
    assert list(root) == ["a", "b"]
    assert "a/x" in zarr.open_group(store, mode="r")
    root = zarr.open_group(store, mode="r")
    assert [path for path, _ in root.members(None)] == ["a", "a/x", "b"]
    assert list(zarr.open_group(store, mode="r")["a"].arrays())


def test_reading_and_writing_chunks_does_not(store):
    root = zarr.open_consolidated(store)
    root["a/x"][0] = 9
    assert root["a/x"][:].tolist() == [9, 2, 3]
    assert "nope" not in root
    root["a/x"].attrs.refresh()
    assert has_copy(store)


def test_the_attributes_of_the_group_itself(store):
    root = zarr.open_consolidated(store)
    root.attrs["title"] = "t"
    # In format 2 they are in the copy, in format 3 beside it.
    assert has_copy(store)
    assert zarr.open_consolidated(store).attrs["title"] == "t"
    assert zarr.open_group(store).attrs["title"] == "t"
    assert list(zarr.open_group(store)) == ["a", "b"]


def test_a_change_elsewhere_does_not(store):
    other = MemoryStore()
    root = zarr.open_consolidated(store)
    zarr.create_group(other).create_group("a")
    assert has_copy(store)
    assert root.metadata.consolidated_metadata is not None


def test_a_read_only_handle_turns_live(store):
    root = zarr.open_group(store, mode="r")
    zarr.open_group(store, use_consolidated=False).create_group("new")
    assert "new" in root


def test_replacing_the_group_itself_ends_it(store):
    root = zarr.open_consolidated(store)
    zarr.open_group(store, mode="w")
    assert list(root) == []
    assert not has_copy(store)


def test_live_members_can_be_requested(store):
    root = zarr.open_consolidated(store)
    found = root.members(None, use_consolidated_for_children=False)
    assert [path for path, _ in found] == ["a", "a/x", "b"]


def test_it_survives_a_pickle(store):
    root = pickle.loads(pickle.dumps(zarr.open_consolidated(store)))
    assert list(root) == ["a", "b"]
    root.create_group("new")
    assert list(root) == ["a", "b", "new"]


def test_a_group_below_serves_its_part(store):
    below = zarr.open_consolidated(store)["a"]
    assert list(below) == ["x"]
    assert below["x"].shape == (3,)
    assert below.get("b") is None


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_handle_older_than_the_copy_removes_it(tmp_path, zarr_format):
    root = zarr.open_group(tmp_path / "g", "w", zarr_format=zarr_format)
    root.create_array("a/x", shape=3, dtype="i4")
    zarr.consolidate_metadata(tmp_path / "g", path="a")
    zarr.consolidate_metadata(tmp_path / "g")
    root.create_group("a/x", overwrite=True)
    again = zarr.open_group(tmp_path / "g", "r")
    assert isinstance(again["a/x"], zarr.Group)
    assert again.metadata.consolidated_metadata is None
    assert zarr.open_group(tmp_path / "g", "r", path="a").metadata.consolidated_metadata is None
    zarr.consolidate_metadata(tmp_path / "g")
    del root["a/x"]
    assert list(zarr.open_group(tmp_path / "g", "r")["a"]) == []


def test_a_copy_that_was_only_read_is_removed_by_a_later_change(tmp_path):
    zarr.open_group(tmp_path / "g", "w").create_group("a")
    zarr.consolidate_metadata(tmp_path / "g")
    reader = zarr.open_group(tmp_path / "g", "r")
    zarr.open_group(tmp_path / "g", use_consolidated=False).create_group("b")
    assert sorted(reader) == ["a", "b"]
    assert sorted(zarr.open_group(tmp_path / "g", "r")) == ["a", "b"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_changes_by_others_in_a_folder_override_the_copy(tmp_path, zarr_format):
    """Changes by a program that ignores consolidated metadata are noticed."""
    root = zarr.open_group(tmp_path, mode="w", zarr_format=zarr_format)
    root.create_array("x", shape=3)
    root.create_array("y", shape=3)
    zarr.consolidate_metadata(tmp_path)
    name = "zarr.json" if zarr_format == 3 else ".zarray"
    document = tmp_path / "x" / name
    document.write_text(document.read_text().replace("3\n", "4\n", 1))
    (tmp_path / "y" / name).unlink()
    seen = zarr.open_consolidated(tmp_path)
    assert seen["x"].shape == (4,)
    assert "y" not in seen
