"""Folders that cannot be renamed: those of a lower layer of overlayfs, as in a container image."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from descriptors import few_descriptors

import fastzarr as zarr
from fastzarr import native
from fastzarr.stores.local import system
from fastzarr.stores.local.system import DIRECTORY, FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("data_path")


def make(folder: Path) -> None:
    for number in (2, 3):
        root = zarr.create_group(folder / f"v{number}", zarr_format=number)
        root.create_array("a/x", data=np.arange(10), chunks=3)
        root.create_array("y", data=np.arange(4), chunks=3)


def run(name: str, *arguments: object) -> None:
    program = which(name)
    if program is None:
        pytest.skip(f"overlayfs cannot be mounted without {name}")
    command = [program, *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (ours)
    if found.returncode and name == "mount":
        pytest.skip(f"overlayfs cannot be mounted here: {found.stderr.strip()}")
    assert not found.returncode, found.stderr


def overlay(tmp_path: Path) -> Iterator[Path]:
    """Mount an overlay whose lower layer has the arrays."""
    base, seen = tmp_path / "base", tmp_path / "seen"
    for folder in (base, seen):
        folder.mkdir()

    # The layers of an overlay must not be in another one, so they have a file system of their own.
    run("mount", "-t", "tmpfs", "tmpfs", base)
    try:
        for name in ("lower", "upper", "work"):
            (base / name).mkdir()
        make(base / "lower")
        layers = ",".join(f"{name}dir={base / name}" for name in ("lower", "upper", "work"))
        run("mount", "-t", "overlay", "overlay", "-o", layers, seen)
        try:
            yield seen
        finally:
            run("umount", seen)
    finally:
        run("umount", base)


def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Refuse to rename the folders that exist now."""
    make(tmp_path)
    lower = {Path(path).stat().st_ino for path, _, _ in os.walk(tmp_path)}
    rename = os.rename

    def check(*paths: str) -> None:
        if any(path.stat().st_ino in lower for path in map(Path, paths) if path.exists()):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), paths[0])

    def renamed(source: str, target: str, **folders: int | None) -> None:
        if Path(source).is_dir():
            check(source)
        rename(source, target, **folders)

    exchange = vars(system)["_exchange_at_once"]

    def exchanged(one: str, other: str) -> None:
        check(one, other)
        exchange(one, other)

    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(system, "_exchange_at_once", exchanged)
    yield tmp_path


@pytest.fixture(params=["overlayfs", "simulated"])
def layers(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    found = overlay(tmp_path) if request.param == "overlayfs" else simulated(tmp_path, monkeypatch)
    yield from found


@pytest.fixture(params=[2, 3], ids=["format 2", "format 3"])
def root(request: Any, layers: Path) -> zarr.Group:
    return zarr.open_group(layers / f"v{request.param}", mode="r+")


def strays(root: zarr.Group) -> list[str]:
    names = [name for _, *both in os.walk(root.store.folder) for found in both for name in found]
    return [name for name in names if name.endswith("tmp")]


def test_a_node_is_deleted(root: zarr.Group) -> None:
    del root["a"]
    del root["y"]
    assert [name for name, _ in root.members(None)] == []
    assert sorted(root.store) == sorted(name for name in root.store if "/" not in name)
    assert strays(root) == []


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("a/x", "new/z"), ("y", "a/y")])
def test_a_node_is_moved(root: zarr.Group, source: str, target: str) -> None:
    before = dict(root.store)
    root.move(source, target)
    assert source not in root
    expected = {
        target + key[len(source) :] if key.startswith(f"{source}/") else key: value
        for key, value in before.items()
    }
    assert expected.items() <= dict(root.store).items()
    assert not any(key.startswith(f"{source}/") for key in root.store)
    assert strays(root) == []


@pytest.mark.parametrize(
    "replace",
    [
        lambda root: root.create_array("a/x", data=np.arange(5) + 50, overwrite=True),
        lambda root: zarr.save_array(root.store, np.arange(5) + 50, path="a/x"),
    ],
    ids=["create", "save"],
)
def test_a_node_is_replaced(root: zarr.Group, replace: Callable[[zarr.Group], object]) -> None:
    replace(root)
    found = zarr.open_group(root.store, mode="r")["a/x"]
    assert found[...].tolist() == [50, 51, 52, 53, 54]
    assert root["y"][...].tolist() == [0, 1, 2, 3]
    assert strays(root) == []


def test_a_root_is_replaced(root: zarr.Group) -> None:
    zarr.create_array(root.store.folder, data=np.arange(5) + 50, overwrite=True)
    assert zarr.open_array(root.store.folder, mode="r")[...].tolist() == [50, 51, 52, 53, 54]


def test_a_move_that_fails_leaves_the_old_tree(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(root.store)

    def full(_: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("fastzarr.native.sync", full)
    with pytest.raises(OSError, match="No space left"):
        root.store.move("a", "b")
    monkeypatch.undo()
    assert dict(root.store) == before
    assert strays(root) == []


def during_the_copy(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Call a function when the tree has been copied and the old one is not deleted yet."""
    sync = vars(native)["sync"]

    def synced(path: str) -> None:
        sync(path)
        monkeypatch.setattr(native, "sync", sync)
        act()

    monkeypatch.setattr(native, "sync", synced)


def test_no_node_of_a_tree_is_changed_while_it_is_copied(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def try_lock(path: str) -> None:
        folder = f"{root.store.folder}/{path}"
        lock = FileLock.open(lambda: os.open(folder, os.O_RDONLY | DIRECTORY))
        found.append(lock.try_lock())
        lock.end()

    during_the_copy(monkeypatch, lambda: [try_lock("a"), try_lock("a/x")])
    root.move("a", "b")
    assert found == [False, False]


def test_a_node_created_while_a_tree_is_copied_is_not_deleted(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    during_the_copy(monkeypatch, lambda: root.create_array("a/new", data=np.arange(3)))
    root.move("a", "b")
    assert zarr.open_group(root.store)["a/new"][...].tolist() == [0, 1, 2]
    assert "a/x" not in root
    assert root["b/x"][...].tolist() == list(range(10))


def test_a_move_that_needs_more_folders_than_can_be_open_says_so(root: zarr.Group) -> None:
    for number in range(80):
        root.create_group(f"a/{number}")
    before = dict(root.store)
    refused = pytest.raises(OSError, match=r"to move this tree.*one by one")
    with few_descriptors(50), refused as caught:
        root.move("a", "b")
    assert "transaction" not in str(caught.value)
    assert dict(root.store) == before
