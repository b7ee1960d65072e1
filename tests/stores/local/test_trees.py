"""Trees of a local store that are deleted or moved while the group above is moved or deleted."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import NodeNotFoundError, TransactionError
from fastzarr.stores import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

needs_open_folders = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has paths of open folders"
)


@pytest.fixture(params=[2, 3])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> zarr.Group:
    made = zarr.open_group(tmp_path / "g", mode="w", zarr_format=request.param)
    made.create_array("s/x", data=[1, 2, 3])
    return made


@pytest.fixture
def before_rename(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Return a function that lets something happen before the next rename."""
    rename = os.rename

    def happens(action: Callable[[], Any]) -> None:
        def late(source: str, target: str) -> None:
            monkeypatch.setattr(os, "rename", rename)
            action()
            rename(source, target)

        monkeypatch.setattr(os, "rename", late)

    return happens


@needs_open_folders
def test_a_deletion_follows_a_group_that_is_moved(
    root: zarr.Group, tmp_path: Path, before_rename: Any
) -> None:
    before_rename(lambda: (tmp_path / "g/s").rename(tmp_path / "g/t"))
    del root["s/x"]
    assert sorted(root) == ["t"]
    assert [*root["t"]] == []
    assert not [*tmp_path.glob("**/*-tmp")]


@needs_open_folders
def test_a_move_follows_a_group_that_is_moved(
    root: zarr.Group, tmp_path: Path, before_rename: Any
) -> None:
    before_rename(lambda: (tmp_path / "g/s").rename(tmp_path / "g/t"))
    root.move("s/x", "s/y")
    assert sorted(root) == ["t"]
    assert root["t/y"][:].tolist() == [1, 2, 3]
    assert [*root["t"]] == ["y"]


def test_a_node_is_deleted_or_moved_once(
    root: zarr.Group, tmp_path: Path, before_rename: Any
) -> None:
    before_rename(lambda: shutil.rmtree(tmp_path / "g/s/x"))
    with pytest.raises(KeyError, match="s/x"):
        del root["s/x"]
    root.create_array("s/x", data=[1])
    before_rename(lambda: shutil.rmtree(tmp_path / "g/s/x"))
    with pytest.raises(NodeNotFoundError, match="cannot move 's/x'"):
        root.move("s/x", "y")
    assert sorted(root) == ["s"]
    assert [*root["s"]] == []


def test_the_parent_of_a_tree_is_not_created_again(
    root: zarr.Group, tmp_path: Path, before_rename: Any
) -> None:
    before_rename(lambda: shutil.rmtree(tmp_path / "g/s"))
    with pytest.raises(KeyError, match="s/x"):
        del root["s/x"]
    assert [*root] == []
    assert not (tmp_path / "g/s").exists()


@pytest.mark.parametrize("shards", [None, 4])
def test_arrays_go_along_with_the_folder_of_their_store(tmp_path: Path, shards: int | None) -> None:
    store = LocalStore(tmp_path / "old")
    root = zarr.create_group(store)
    values = np.arange(12, dtype="i4")
    z = root.create_array("z", data=values, chunks=2, shards=shards, attributes={"unit": "m"})
    part = root.create_array("part", shape=12, chunks=2, shards=shards, dtype="i4", fill_value=7)
    part[4:8] = values[4:8]
    reader = zarr.open_array(store.with_read_only(), path="z")
    assert np.array_equal(reader[:], values)
    store.move_root(tmp_path / "new" / "place")
    assert not (tmp_path / "old").exists()
    assert store.root == tmp_path / "new" / "place"
    assert store.place is LocalStore(tmp_path / "new" / "place").place
    # Elements that were never written, or that were, are where they have been.
    assert part[:].tolist() == [7, 7, 7, 7, 4, 5, 6, 7, 7, 7, 7, 7]
    assert np.array_equal(z[:], values)
    assert np.array_equal(asyncio.run(z.getitem_async(slice(None))), values)
    assert (z[3], dict(z.attrs), sorted(root)) == (3, {"unit": "m"}, ["part", "z"])
    z[3:9], values[3:9] = -1, -1
    z.resize(20)
    z.attrs["unit"] = "km"
    root.create_array("more", data=[1])
    assert np.array_equal(reader.refresh()[:12], values)
    again = zarr.open_group(tmp_path / "new" / "place")
    assert np.array_equal(again["z"][:12], values)
    assert (again["z"].attrs["unit"], again["more"][0]) == ("km", 1)
    assert np.array_equal(pickle.loads(pickle.dumps(z))[:12], values)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_is_neither_moved_onto_another_nor_in_a_transaction(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "old")
    (tmp_path / "new").mkdir()
    with pytest.raises(FileNotFoundError):
        store.move_root(tmp_path / "other")
    store.set("a", b"1")
    with pytest.raises(FileExistsError, match="new already exists"):
        store.move_root(tmp_path / "new")
    with store.transaction(""), pytest.raises(TransactionError, match="cannot be moved"):
        store.move_root(tmp_path / "other")
    assert store.get("a") == b"1"
    assert (tmp_path / "old" / "a").read_bytes() == b"1"
