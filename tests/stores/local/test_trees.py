"""Trees of a local store that are deleted or moved while the group above is moved or deleted."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

import fastzarr as zarr
from fastzarr.errors import NodeNotFoundError

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
