"""Nodes that are created while another writer deletes, moves or replaces the group above.

Rules of this file:

* The other writer acts before one of the file operations of the creation, whichever it is. The
  creation must then happen before or after it as a whole, or raise an error and change nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import join, until

import fastzarr as zarr
from fastzarr.errors import PathNotFoundError
from fastzarr.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

needs_open_folders = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has paths of open folders"
)
VERBS = ("open", "mkdir", "rename", "link")


def _array(root: zarr.Group) -> Any:
    return zarr.zeros(3, zarr_format=root.layout.format.number).layout


CREATIONS = {
    "array": lambda _, s: s.create_array("n", data=np.arange(4), chunks=2),
    "replaced array": lambda _, s: s.create_array("x", data=np.arange(4), overwrite=True),
    "group": lambda _, s: s.create_group("n", attributes={"a": 1}),
    "deep array": lambda root, _: root.create_array("s/t/n", data=np.arange(4)),
    "hierarchy": lambda root, s: zarr.create_hierarchy(
        store=root.store, nodes={"s/n": s.layout, "s/n/a": _array(root)}
    ),
    "save": lambda root, _: zarr.save_group(root.store, path="s/n", a=np.arange(4)),
}
OTHERS = {
    "delete": lambda root: root.__delitem__("s"),
    "move": lambda root: root.move("s", "moved"),
    "replace": lambda root: root.create_group("s", attributes={"new": 1}, overwrite=True),
}


@pytest.fixture(params=[2, 3], ids=["format 2", "format 3"])
def root(tmp_path: Path, request: Any) -> zarr.Group:
    made = zarr.open_group(tmp_path / "g", mode="w", zarr_format=request.param)
    made.create_array("s/x", data=[1, 2, 3])
    return made


@pytest.fixture
def unsynced() -> Iterator[None]:
    with zarr.config.set({"durability": "none"}):
        yield


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], list[str]]:
    """Return a function that lets something happen before an operation of a number.

    It returns a list to which the names of the operations are added.
    """

    def happens(at: int, action: Callable[[], object]) -> list[str]:
        seen: list[str] = []

        def wrapped(name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
            def late(*args: Any, **words: Any) -> Any:
                seen.append(name)
                if len(seen) == at:
                    action()
                return verb(*args, **words)

            return late

        for name in VERBS:
            monkeypatch.setattr(os, name, wrapped(name, getattr(os, name)))
        return seen

    return happens


def tree(folder: Path) -> dict[str, Any]:
    """Return the elements of all arrays and the attributes of all groups, by path."""
    opened = zarr.open_group(folder, mode="r", use_consolidated=False)
    found: dict[str, Any] = {"": dict(opened.attrs)}
    for path, node in opened.members(None):
        is_array = isinstance(node, zarr.Array)
        found[path] = node[...].tolist() if is_array else dict(node.attrs)
    return found


def copies(root: zarr.Group, tmp_path: Path) -> Iterator[tuple[zarr.Group, Path]]:
    """Yield copies of the tree, as many as needed."""
    for number in count():
        copy = tmp_path / f"copy {number}"
        shutil.copytree(root.store.folder, copy)
        yield zarr.open_group(copy, mode="r+"), copy


@needs_open_folders
@pytest.mark.usefixtures("unsynced")
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("creation", CREATIONS)
def test_a_creation_meets_a_change_of_its_group(
    root: zarr.Group, tmp_path: Path, monkeypatch: Any, before: Any, creation: str, other: str
) -> None:
    create, act = CREATIONS[creation], OTHERS[other]
    fresh = copies(root, tmp_path)
    allowed = []
    for order in ((act,), (create, act), (act, create)):
        here, folder = next(fresh)
        group = here["s"]
        try:
            for verb in order:
                verb(here) if verb is act else verb(here, group)
        except (KeyError, FileNotFoundError):
            continue
        allowed.append(tree(folder))
    number = 1
    while True:
        here, folder = next(fresh)
        group, there = here["s"], zarr.open_group(folder, mode="r+")
        seen = before(number, lambda there=there: act(there))
        raised = False
        try:
            create(here, group)
        except (PathNotFoundError, KeyError):
            raised = True
        finally:
            monkeypatch.undo()
        if len(seen) < number:
            break
        found = tree(folder)
        assert found in (allowed[:1] if raised else allowed[1:]), (number, seen[number - 1])
        left = [path for path in folder.rglob("*") if path.name.endswith("-tmp")]
        assert not left, (number, seen[number - 1])
        number += 1
    assert number > 5


@needs_open_folders
def test_an_error_of_a_creation_names_the_path_of_the_node(
    root: zarr.Group, tmp_path: Path
) -> None:
    (tmp_path / "g/s/f").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as caught:
        root.create_array("s/f/n", shape=3, dtype="i4")
    assert "/proc/" not in str(caught.value)
    document = tmp_path / "g/s" / ("zarr.json" if root.metadata.zarr_format == 3 else ".zgroup")
    document.write_bytes(b"{")
    with pytest.raises(zarr.errors.MetadataError, match=f"s/{document.name}"):
        root.create_array("s/n", shape=3, dtype="i4")


@needs_open_folders
def test_the_document_of_a_group_may_be_a_link_in_the_store(
    root: zarr.Group, tmp_path: Path
) -> None:
    name = "zarr.json" if root.metadata.zarr_format == 3 else ".zgroup"
    (tmp_path / "g/s" / name).unlink()
    (tmp_path / "g/s" / name).symlink_to(tmp_path / "g" / name)
    root.create_array("s/n", data=[7])
    assert root["s/n"][:].tolist() == [7]


def test_a_thread_waits_for_a_creation_before_it_deletes_the_group() -> None:
    root = zarr.open_group(MemoryStore(), mode="w")
    root.create_group("s")
    waiting = vars(root.store.place.paths)["_alone"]

    class Slow:
        shape, dtype = (4,), np.dtype("i4")

        def __getitem__(self, index: Any) -> np.ndarray[Any, Any]:
            deleting.start()
            until(lambda: waiting or not deleting.is_alive())
            return np.ones(self.shape, "i4")[index]

    def delete() -> None:
        del root["s"]

    deleting = Thread(target=delete)
    root.create_array("s/n", data=Slow())
    join(deleting)
    assert [*root.store] == ["zarr.json"]
