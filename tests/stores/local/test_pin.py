"""Folders that are held open and locked for the length of a change."""

from __future__ import annotations

import errno
from pathlib import Path
from threading import Event, Thread

import pytest
from descriptors import open_below
from waits import join, wait_for

from fastzarr.stores import LocalStore
from fastzarr.stores.local.folder import Folder
from fastzarr.stores.local.pin import pin, pin_alone
from fastzarr.stores.local.system import fcntl, temporary_name
from fastzarr.stores.local.trees import remove
from fastzarr.stores.local.turn import FileTurn, put

needs_open_folders = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir() or fcntl is None,
    reason="this system has no paths of open folders",
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a folder with a node ``a``."""
    made = Folder(str(tmp_path))
    put(made, "a/zarr.json", b"1")
    return made


@needs_open_folders
def test_files_are_reached_through_the_open_folder_wherever_it_is_moved(
    folder: Folder, tmp_path: Path
) -> None:
    held = pin(folder, "a")
    (tmp_path / "a").rename(tmp_path / "b")
    put(folder, "a/zarr.json", b"another")
    put(held.folder, "zarr.json", b"2")
    put(held.folder, "c/0", b"3")
    held.end()
    assert (tmp_path / "b" / "zarr.json").read_bytes() == b"2"
    assert (tmp_path / "b" / "c" / "0").read_bytes() == b"3"
    assert sorted(folder.keys_below("")) == ["a/zarr.json", "b/c/0", "b/zarr.json"]
    assert folder.read("a/zarr.json") == b"another"


@needs_open_folders
@pytest.mark.parametrize("durability", ["none", "replace", "full"])
@pytest.mark.parametrize("key", ["zarr.json", "c/0", "c/0/1"])
def test_a_deleted_folder_is_never_created_again(
    folder: Folder, tmp_path: Path, durability: str, key: str
) -> None:
    held = pin(folder.with_durability(durability), "a")
    assert not held.is_deleted()
    remove(folder, "a")
    with pytest.raises(FileNotFoundError) as caught:
        put(held.folder, key, b"2")
    assert held.is_deleted()
    held.rename(caught.value)
    assert str(caught.value.filename).startswith(f"{tmp_path}/a/")
    held.end()
    assert list(tmp_path.iterdir()) == []


@needs_open_folders
def test_a_folder_that_a_network_file_system_has_forgotten_is_deleted_if_it_has_gone(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written to a deleted folder is given up, and nobody is told."""

    def forgotten(_: int) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    held = pin(folder, "a")
    with monkeypatch.context() as patch:
        patch.setattr("fastzarr.stores.local.pin.os.fstat", forgotten)
        with pytest.raises(OSError, match="Stale"):
            held.is_deleted()
    remove(folder, "a")
    with monkeypatch.context() as patch:
        patch.setattr("fastzarr.stores.local.pin.os.fstat", forgotten)
        assert held.is_deleted()
    held.end()


def test_a_missing_folder_is_an_error(folder: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        pin(folder, "b")


def test_a_folder_behind_a_link_that_leads_out_is_not_opened(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    Path(folder.base, "b").symlink_to(outside)
    with pytest.raises(Exception, match="leads out of the store"):
        pin(folder, "b")


@needs_open_folders
def test_changes_share_the_lock_and_a_transaction_has_it_alone(folder: Folder) -> None:
    one, other = pin(folder, "a"), pin(folder, "a")
    begun, held = Event(), Event()

    def alone() -> None:
        begun.set()
        mine = pin_alone(folder, "a", (), wait=True)
        assert mine is not None
        held.set()
        mine.end()

    thread = Thread(target=alone)
    thread.start()
    wait_for(begun)
    one.end()
    assert not held.is_set()
    other.end()
    join(thread)
    assert held.is_set()


@needs_open_folders
def test_a_turn_in_an_open_folder_excludes_one_by_path(folder: Folder, tmp_path: Path) -> None:
    held = pin(folder, "a")
    turn = FileTurn(held.folder, "zarr.json")
    assert turn.get() == b"1"
    begun = Event()

    def change() -> None:
        begun.set()
        put(folder, "a/zarr.json", b"3")

    thread = Thread(target=change)
    thread.start()
    wait_for(begun)
    assert turn.put(b"2")
    turn.end()
    join(thread)
    assert (tmp_path / "a" / "zarr.json").read_bytes() == b"3"
    held.end()


@needs_open_folders
def test_an_open_folder_costs_no_descriptor_when_it_is_released(folder: Folder) -> None:
    before = open_below(Path(folder.root))
    pin(folder, "a").end()
    with pytest.raises(FileNotFoundError):
        pin(folder, "b")
    assert open_below(Path(folder.root)) == before


def test_a_folder_can_be_reached_by_its_path_where_open_folders_have_none(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastzarr.stores.local.pin._has_paths_of_open_folders", lambda: False)
    held = pin(folder, "a")
    put(held.folder, "c/0", b"2")
    held.end()
    assert folder.read("a/c/0") == b"2"
    assert temporary_name(held.folder.root).startswith(f"{folder.base}a/")


@needs_open_folders
def test_a_tree_is_used_again_only_after_its_end_and_for_the_same_path_and_store(
    folder: Folder, tmp_path: Path
) -> None:
    put(folder, "b/zarr.json", b"2")
    store = LocalStore(tmp_path)
    held = store.pinned("a")
    assert held is not None
    other = store.pinned("a")
    assert other is not None
    assert other is not held
    assert other.store is not held.store
    other.store.set("zarr.json", b"3")
    other.end()
    held.store.set("c/0", b"4")
    held.end()
    assert store.get("a/zarr.json") == b"3"

    first = store.pinned("a")
    assert first is not None
    first.end()
    again = store.pinned("a")
    assert again is first
    again.store.set("zarr.json", b"5")
    again.end()
    assert store.get("a/zarr.json") == b"5"

    elsewhere = store.pinned("b")
    assert elsewhere is not None
    assert elsewhere is not first
    assert elsewhere.store.get("zarr.json") == b"2"
    elsewhere.end()

    before = store.pinned("b")
    assert before is not None
    before.end()
    store.mark = "x"  # type: ignore[attr-defined]  (a user's attribute)
    after = store.pinned("b")
    assert after is not None
    assert after.store.mark == "x"
    after.end()


@needs_open_folders
def test_a_folder_that_replaces_another_is_the_one_that_is_changed(
    folder: Folder, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)
    for value in (b"2", b"3"):
        held = store.pinned("a")
        assert held is not None
        held.store.set("zarr.json", value)
        held.end()
        (tmp_path / "a").rename(tmp_path / f"old{value.decode()}")
        put(folder, "a/zarr.json", b"new")
    assert [store.get(key) for key in ("old2/zarr.json", "old3/zarr.json")] == [b"2", b"3"]
    assert store.get("a/zarr.json") == b"new"
