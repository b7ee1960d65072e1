"""Drafts: trees that are moved to their path in one step, and the nodes that they replace.

Rules of this file:

* A test that applies to both the local store and the store in memory runs on both.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import (
    ContainsArrayError,
    ContainsFilesError,
    ContainsGroupError,
    ContainsNodeError,
)
from fastzarr.stores import LocalStore, MemoryStore
from fastzarr.stores.local import draft, system

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores.base import Store


@pytest.fixture(params=["files", "dict"])
def store(request: Any, tmp_path: Path) -> Any:
    return LocalStore(tmp_path / "root") if request.param == "files" else MemoryStore()


def names(folder: Path) -> list[str]:
    """Return the names of all files and folders below a folder, including temporary ones."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


class Failing:
    """An array-like object that cannot be read completely."""

    shape = (4,)
    dtype = np.dtype("i4")

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getitem__(self, index: Any) -> Any:
        if index[0].start:
            raise self.error
        return np.ones(self.shape, "i4")[index]


# The draft itself


def test_a_draft_is_invisible_before_it_is_published(store: Store) -> None:
    store.set("a/zarr.json", b"old")
    store.set("a/c/0", b"old")
    made = store.draft("a")
    made.store.set("zarr.json", b"new")
    made.store.set("c/1", b"new")
    assert dict(store) == {"a/zarr.json": b"old", "a/c/0": b"old"}
    assert made.publish(replace=True)
    assert dict(store) == {"a/zarr.json": b"new", "a/c/1": b"new"}
    made = store.draft("b/c/d")
    made.store.set("zarr.json", b"more")
    made.discard()
    assert [*store.list_dir()] == ["a"]
    assert [*store.list_dir("b")] == []
    made = store.draft("b/c/d")
    made.store.set("zarr.json", b"more")
    assert made.publish(replace=False)
    assert store.get("b/c/d/zarr.json") == b"more"


@pytest.mark.parametrize("there", ["a/zarr.json", "a/.zgroup", "a/b/zarr.json"])
def test_a_node_that_is_there_is_not_replaced_unasked(store: Store, there: str) -> None:
    store.set(there, b"old")
    made = store.draft("a")
    made.store.set("zarr.json", b"new")
    assert not made.publish(replace=False)
    made.discard()
    assert dict(store) == {there: b"old"}


def test_of_two_drafts_of_one_place_one_is_published(store: Store) -> None:
    both = [store.draft("a"), store.draft("a")]
    for number, made in enumerate(both):
        made.store.set("zarr.json", b"%d" % number)
    assert both[1].publish(replace=False)
    assert not both[0].publish(replace=False)
    both[0].discard()
    assert dict(store) == {"a/zarr.json": b"1"}


def test_a_folder_without_a_node_is_filled(store: Store) -> None:
    for key in ("a/c/0", "a/c/7", "a/notes.txt", "a/more/x"):
        store.set(key, b"old")
    made = store.draft("a")
    made.store.set("zarr.json", b"new")
    made.store.set("c/0", b"new")
    assert made.publish(replace=False, owned=lambda key: key.startswith("c/"))
    kept = {"a/notes.txt": b"old", "a/more/x": b"old"}
    assert dict(store) == kept | {"a/zarr.json": b"new", "a/c/0": b"new"}


@pytest.mark.parametrize("call", ["mkdir", "rename"])
def test_an_error_of_a_creation_names_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    group = zarr.open_group(tmp_path, mode="w").create_group("g")

    def fail(path: str, other: str | None = None, **_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path, None, other)

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left") as caught:
        group.create_array("x", shape=4, dtype="i4")
    monkeypatch.undo()
    start = str(tmp_path / "g") + os.sep
    assert caught.value.filename.startswith(start)
    assert caught.value.filename2 in (None, start + "x")
    assert names(tmp_path / "g") == ["zarr.json"]


@pytest.mark.parametrize("attributes", ["as created", "changed since"])
def test_a_node_that_is_created_meanwhile_gets_nothing_of_a_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attributes: str
) -> None:
    store = LocalStore(tmp_path)
    store.set("a/notes.txt", b"old")
    made = store.draft("a")
    for key in (".zattrs", ".zarray", "0"):
        made.store.set(key, b"{}")
    put_new = draft.put_new

    def late(folder: Any, temporary: str, path: str) -> bool:
        if path.endswith(".zarray"):
            store.set("a/.zarray", b"other")
            if attributes == "changed since":
                store.set("a/.zattrs", b"other")
        return put_new(folder, temporary, path)

    monkeypatch.setattr(draft, "put_new", late)
    assert not made.publish(replace=False)
    made.discard()
    kept = {"a/notes.txt": b"old", "a/.zarray": b"other"}
    if attributes == "changed since":
        kept["a/.zattrs"] = b"other"
    assert dict(store) == kept


def test_where_two_folders_cannot_be_exchanged_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(system, "_exchange_at_once", unable)
    root = zarr.open_group(tmp_path)
    root["x"] = [1, 2, 3]
    root["x"] = [4]
    assert zarr.open_group(tmp_path)["x"][:].tolist() == [4]
    assert not [name for name in names(tmp_path) if "tmp" in name]


# Creating


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("shards", [None, 4])
def test_chunks_of_a_dead_writer_are_not_part_of_a_new_array(
    store: Store, zarr_format: int, shards: int | None
) -> None:
    if zarr_format == 2:
        shards = None
    words: dict[str, Any] = {"shape": 8, "chunks": 2, "dtype": "i4", "zarr_format": zarr_format}
    z = zarr.create_array(store, name="g/x", shards=shards, **words)
    z[:] = 1
    for name in ("zarr.json", ".zarray"):
        store.delete(f"g/x/{name}")
    store.set("g/x/notes.txt", b"of nobody")
    left = [*store.list("g/x")]
    assert len(left) > 2
    z = zarr.create_array(store, name="g/x", shards=shards, **words)
    assert not z[:].any()
    assert store.get("g/x/notes.txt") == b"of nobody"
    z = zarr.create_array(store, name="g/y", data=np.arange(8), chunks=2, zarr_format=zarr_format)
    assert z[:].tolist() == list(range(8))


def test_an_array_is_not_put_over_nodes_below_its_path(store: Store) -> None:
    store.set("a/b/zarr.json", zarr.zeros(2).store["zarr.json"])
    with pytest.raises(ContainsGroupError, match="below '/a'"):
        zarr.create_array(store, name="a", shape=4, dtype="i4")
    assert "a/zarr.json" not in store
    assert zarr.open_array(store, path="a/b").shape == (2,)
    assert zarr.create_array(store, name="a", shape=4, dtype="i4", overwrite=True).shape == (4,)
    assert "a/b/zarr.json" not in store


@pytest.mark.parametrize("error", [OSError(5, "unreadable"), KeyboardInterrupt()])
@pytest.mark.parametrize("overwrite", [True, False])
def test_unreadable_data_leaves_the_existing_node(
    store: Store,
    error: BaseException,
    overwrite: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fastzarr.grids.regions._PIECE", 8)
    root = zarr.group(store)
    if overwrite:
        root["g/x"] = [1, 2, 3]
    before = dict(store)
    words: dict[str, Any] = {"chunks": 2, "overwrite": overwrite}
    with pytest.raises(type(error)):
        root.create_array("g/x", data=Failing(error), **words)
    with pytest.raises(ValueError, match="text"):
        root.create_array("g/x", data=np.array(["text"]), dtype="i4", **words)
    assert {key: value for key, value in store.items() if key != "g/zarr.json"} == {
        key: value for key, value in before.items() if key != "g/zarr.json"
    }
    assert not [name for name in names(tmp_path) if "tmp" in name]


@pytest.mark.usefixtures("data_path")
def test_data_from_the_node_that_is_replaced(store: Store) -> None:
    root = zarr.group(store)
    root["a/x"] = np.arange(4)
    root["a/x"] = root["a/x"]
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    root["a"] = root["a/x"].astype("f8")
    assert root["a"][:].tolist() == [0, 1, 2, 3]
    zarr.save_array(store, root["a"])
    assert zarr.open_array(store)[:].tolist() == [0, 1, 2, 3]


def test_a_writer_that_comes_second_opens_the_node_of_the_first() -> None:
    values: dict[str, bytes] = {}

    class Beaten(MemoryStore):
        """A store in which another writer creates each node first."""

        def swap(self, key: str, value: Any, validator: Any) -> bool:
            first.pop()() if first else None
            return super().swap(key, value, validator)

    def array(path: str) -> Callable[[], object]:
        return lambda: zarr.zeros(7, store=MemoryStore(values), path=path, dtype="i4")

    def group(path: str) -> Callable[[], object]:
        return lambda: zarr.group(MemoryStore(values), path=path, attributes={"by": "the first"})

    store = Beaten(values)
    first: list[Callable[[], object]] = []
    zarr.group(MemoryStore(values))
    root = zarr.Group(store)
    for number, open_or_create in enumerate(
        [
            lambda p: zarr.open_group(store, path=p),
            lambda p: zarr.open_group(store, mode="a", path=p),
            lambda p: zarr.group(store, path=p),
            lambda p: zarr.open(store, path=p),
            root.require_group,
        ]
    ):
        first.append(group(f"g{number}"))
        assert open_or_create(f"g{number}").attrs["by"] == "the first"
        first.append(array(f"a{number}"))
        if number != 3:
            with pytest.raises(ContainsArrayError):
                open_or_create(f"a{number}")
        first.append(group(f"h{number}"))
        with pytest.raises(ContainsNodeError):
            zarr.open_group(store, mode="w-", path=f"h{number}")


# Roots


def test_the_root_where_one_works_stays_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "z"
    (place / "below").mkdir(parents=True)
    zarr.save_array(place, [1, 2, 3])
    before = place.stat().st_ino
    for folder in (place, place / "below"):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        zarr.open_array(place, mode="w", shape=2, dtype="i4")[:] = 5
        assert zarr.open_array(place)[:].tolist() == [5, 5]
        assert place.stat().st_ino == before
    monkeypatch.chdir(place)
    zarr.save_array(".", [7])
    assert zarr.open_array(".")[:].tolist() == [7]
    assert names(tmp_path) == ["z", "z/c", "z/c/0", "z/zarr.json"]


def test_a_root_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real")
    for value in ([1, 2], [3]):
        zarr.save_array(link, value)
        assert link.is_symlink()
        assert zarr.open_array(tmp_path / "real")[:].tolist() == value
    link.unlink()
    link.symlink_to("nowhere")
    zarr.save_array(link, [5])
    assert zarr.open_array(link)[:].tolist() == [5]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("make", ["array", "group", "with data", "with attributes"])
def test_other_files_in_the_root_are_kept(zarr_format: int, make: str, tmp_path: Path) -> None:
    def create(*, overwrite: bool) -> None:
        words: dict[str, Any] = {"zarr_format": zarr_format, "overwrite": overwrite}
        if make == "array":
            zarr.create_array(tmp_path, shape=4, dtype="i4", **words)
        elif make == "with data":
            zarr.create_array(tmp_path, data=np.arange(4), **words)
        else:
            attributes = {"a": 1} if make == "with attributes" else None
            zarr.create_group(tmp_path, attributes=attributes, **words)

    (tmp_path / "notes.txt").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "more.txt").write_bytes(b"mine")
    (tmp_path / "empty").mkdir()
    create(overwrite=False)
    assert {"notes.txt", "folder/more.txt", "empty"} <= {*names(tmp_path)}
    assert not [name for name in names(tmp_path) if "tmp" in name]
    with pytest.raises(ContainsNodeError):
        create(overwrite=False)
    assert {"notes.txt", "folder/more.txt"} <= {*names(tmp_path)}
    with pytest.raises(ContainsFilesError, match=r"folder/more\.txt|notes\.txt"):
        create(overwrite=True)
    assert {"notes.txt", "folder/more.txt"} <= {*names(tmp_path)}
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "folder" / "more.txt").unlink()
    create(overwrite=True)
    assert not [name for name in names(tmp_path) if "folder" in name or "tmp" in name]


def test_a_root_whose_folder_above_may_not_be_written() -> None:
    base = Path(tempfile.mkdtemp())
    try:
        place = base / "z"
        place.mkdir()
        place.chmod(0o777)
        base.chmod(0o555)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if not os.geteuid():
                    os.setuid(65534)
                for value in ([1, 2, 3], [4]):
                    zarr.save_array(place, value)
                    assert zarr.open_array(place)[:].tolist() == value
                zarr.open_group(place, mode="w")["x"] = [1]
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert zarr.open_group(place)["x"][:].tolist() == [1]
        assert not [name for name in names(base) if "tmp" in name]
    finally:
        base.chmod(0o755)
        shutil.rmtree(base)


def test_a_root_on_which_something_is_mounted(tmp_path: Path) -> None:
    from torture.starve import may_mount

    if not may_mount():
        pytest.skip("this process may not mount a file system")
    import ctypes

    place = tmp_path / "a place"
    place.mkdir()
    libc = ctypes.CDLL(None)
    for kind, source, flags in ((b"tmpfs", b"tmpfs", 0), (None, b"bound", 4096)):
        given = source
        if source == b"bound":
            (tmp_path / "bound").mkdir()
            given = os.fsencode(tmp_path / "bound")
        done = libc.mount(given, os.fsencode(place), kind, ctypes.c_ulong(flags), None)
        assert not done
        try:
            before = place.stat().st_ino, place.stat().st_dev
            for value in ([1, 2, 3], [4]):
                zarr.save_array(place, value)
                assert zarr.open_array(place)[:].tolist() == value
            assert (place.stat().st_ino, place.stat().st_dev) == before
        finally:
            libc.umount2(os.fsencode(place), 2)
    assert not [name for name in names(tmp_path) if "tmp" in name]
