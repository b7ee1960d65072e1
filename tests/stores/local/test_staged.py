"""Transactions: all changes of a block or none, and the store meanwhile.

Rules of this file:

* The content of a store is read by opening it again, as another program would.
"""

# ruff: noqa: PT012, PT031  (a block of changes raises as a whole)

from __future__ import annotations

import copy
import errno
import fcntl
import os
import pickle
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from transactions import (
    again,
    change_all,
    content,
    files,
    make,
)
from waits import join, until

import fastzarr as zarr
from fastzarr.errors import TransactionError, ZarrRuntimeWarning
from fastzarr.stores import DirectoryStore, LocalStore, NestedDirectoryStore
from fastzarr.stores.keys import JOURNAL_NAME

# The effects of a block


@pytest.mark.usefixtures("data_path")
def test_all_that_a_block_changes_is_seen_at_its_end(
    options: dict[str, Any], tmp_path: Path
) -> None:
    root = make(tmp_path / "root", **options)
    x = root["x"]
    before = content(root)
    with root.transaction() as same:
        assert same is root
        change_all(root)
        # Handles obtained before take part; other stores see no change.
        assert x[:4].tolist() == [1, 0, 0, 0]
        assert x.refresh()[...].tolist() == [1, 0, 0, 0, 5, 6, 7, 8, 9, 10, 11]
        assert root["g/moved"][...].tolist() == [1, 2, 3]
        assert sorted(root) == ["g", "new", "x"]
        assert content(root) == before
    expected = {
        "": {"version": 2},
        "groups": ["g"],
        "x": ([1, 0, 0, 0, 5, 6, 7, 8, 9, 10, 11], {"units": "K"}),
        "g/moved": ([1, 2, 3], {}),
        "new": ([0, 1, 2, 3, 4], {}),
    }
    assert content(root) == expected
    assert sorted(again(root)["g"]) == ["deep", "moved"]
    assert not [name for name in files(root) if "tmp" in name]
    x[0] = 7
    assert again(root)["x"][0] == 7


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_raises_changes_nothing(error: type[BaseException], root: zarr.Group) -> None:
    before = files(root)
    with pytest.raises(error), root.transaction():
        change_all(root)
        raise error
    assert files(root) == before
    assert not list(Path(root.store.folder).glob(".*"))
    assert dict(root.attrs) == {"version": 1}
    root.attrs["version"] = 3
    assert again(root).attrs["version"] == 3


def test_consolidated_metadata_made_inside(options: dict[str, Any], tmp_path: Path) -> None:
    root = make(tmp_path / "root", **options)
    with root.transaction():
        root["x"].resize(4)
        zarr.consolidate_metadata(root.store)
    found = zarr.open_consolidated(tmp_path / "root")
    assert found["x"].shape == (4,)
    assert set(found) == {"x", "y"}


def test_a_group_covers_only_paths_below_it(root: zarr.Group) -> None:
    group = root.create_group("g")
    group["z"] = [1, 2]
    root["gg"] = [3]
    with group.transaction():
        group["z"][0] = 5
        root["x"][0] = 50
        root["gg"][0] = 4
        assert again(root)["g/z"][...].tolist() == [1, 2]
        assert again(root)["x"][0] == 50
        assert again(root)["gg"][0] == 4
    assert again(root)["g/z"][...].tolist() == [5, 2]


def test_a_block_without_changes_writes_nothing(root: zarr.Group) -> None:
    before = Path(root.store.folder).stat().st_ino, files(root)
    with root.transaction():
        assert root["x"][0] == 1
    assert (Path(root.store.folder).stat().st_ino, files(root)) == before


def test_values_are_in_place_before_the_document_that_shows_them(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[str] = []
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (placed.append(str(b)), real(a, b))[1])
    with root.transaction():
        root["x"].attrs["first"] = "the document"
        root["x"].append([9, 10])
        placed.clear()
    ends = [name.rpartition("/")[2] for name in placed]
    assert ends.index("4") < ends.index("zarr.json")


@pytest.mark.parametrize("durability", ["none", "replace", "full"])
@pytest.mark.parametrize("new", [False, True])
def test_all_is_on_the_disk_before_and_after_the_instant(
    durability: str, new: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = zarr.open_group(LocalStore(make(tmp_path / "root").store.root, durability=durability))
    synced: list[bool] = []

    def sync(folder: str) -> None:
        synced.append(Path(root.store.folder, JOURNAL_NAME).exists())
        assert Path(folder).is_dir()

    monkeypatch.setattr("fastzarr.native.sync", sync)
    with root.transaction():
        root["x"][0] = 9
        if new:
            change_all(root)
    # The values, and everything in its place: new folders are moved there with their values.
    assert synced == ([False, True] if durability != "none" else [])


# The store during a transaction


class Named(DirectoryStore):
    """A custom store with a name and an attribute."""

    def __str__(self) -> str:
        """Return a name."""
        return f"named:{self.label}"

    label = "mine"


@pytest.mark.parametrize("kind", [LocalStore, DirectoryStore, NestedDirectoryStore, Named])
def test_a_store_stays_of_its_kind(kind: Any, tmp_path: Path) -> None:
    store = kind(tmp_path / "root")
    root = zarr.create_group(store, zarr_format=2)
    separator = store.dimension_separator
    with root.transaction():
        assert type(store) is kind
        assert type(root.store_path.store) is kind
        assert type(store.with_read_only()) is kind
        assert (str(store), repr(store)) == (str(kind(tmp_path / "root")), repr(kind(store.root)))
        assert store == kind(tmp_path / "root")
        assert store.dimension_separator == separator
        if kind is not LocalStore:
            assert store.path == str(tmp_path / "root")
        z = root.create_array("z", shape=(4, 4), chunks=(2, 2), dtype="i4")
        z[...] = 7
        expected = "z/0/0" if kind is NestedDirectoryStore else "z/0.0"
        assert expected in [*store]
        assert "z" in store.listdir()
        assert store.listdir("z") == sorted(store.listdir("z"))
        inside = [*store.list("z")]
        with pytest.raises(TransactionError, match=f"under way in {store}"), root.transaction():
            pass
    assert type(store) is kind
    assert [*store.list("z")] == inside == [*kind(tmp_path / "root").list("z")]


def test_a_subclass_keeps_its_verbs(tmp_path: Path) -> None:
    asked: list[str] = []

    class Counting(LocalStore):
        transaction = LocalStore.transaction
        _turn = LocalStore._turn  # noqa: SLF001  (declared again, as its author may)

        def _get(self, key: str, check: Any = None) -> bytes | None:
            asked.append(key)
            return super()._get(key, check)

    root = make(tmp_path / "root")
    root = zarr.open_group(Counting(tmp_path / "root"), mode="r+")
    with root.transaction():
        root["x"][0] = 5
        asked.clear()
        assert root["x"][:2].tolist() == [5, 2]
        assert "x/c/0" in asked
    assert again(root)["x"][0] == 5


def test_a_subclass_with_its_own_turns_has_no_transactions(tmp_path: Path) -> None:
    class Reading(LocalStore):
        transaction = LocalStore.transaction

        def _get(self, key: str, check: Any = None) -> bytes | None:
            return super()._get(key, check)

    store = Reading(tmp_path)
    with pytest.raises(TransactionError, match="_turn"):
        store.transaction("")


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("error", [None, ValueError])
def test_a_copy_of_the_store_made_before_takes_part(error: Any, root: zarr.Group) -> None:
    reader = zarr.open_group(root.store, mode="r")
    store = copy.copy(root.store)
    x = reader["x"]
    assert x[0] == 1
    with suppress(ValueError), root.transaction():
        root["x"][:2] = 7
        root["new"] = [1]
        del root["y"]
        assert x[:3].tolist() == [7, 7, 3]
        assert sorted(reader) == ["new", "x"]
        assert not store.exists("y/zarr.json")
        store.set("x/c/1", store["x/c/0"])
        assert x[2] == root["x"][2] == 7
        assert again(root)["x"][:3].tolist() == [1, 2, 3]
        with pytest.raises(TransactionError, match="already under way"), store.transaction(""):
            pass
        if error:
            raise error
    expected = [1, 2, 3] if error else [7, 7, 7]
    assert x[:3].tolist() == again(root)["x"][:3].tolist() == expected
    root["x"][0] = 9
    assert x[0] == 9


def test_arrays_are_read_as_before_when_it_is_over(root: zarr.Group) -> None:
    before = root["x"]
    with root.transaction():
        inside = root["x"]
        inside[0] = 5
        assert root.store.files() is None
        assert before[0] == 5
    assert root.store.files() is not None
    asked: list[str] = []
    plain = type(root.store).get_valid

    def get(store: Any, key: str) -> Any:
        asked.append(key)
        return plain(store, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(root.store), "get_valid", get)
        with zarr.config.set({"data_path": "native"}):
            assert before[:2].tolist() == inside[:2].tolist() == [5, 2]
    assert not [key for key in asked if "/c/" in key]


# Errors


def test_one_at_a_time(root: zarr.Group) -> None:
    group = root.create_group("g")
    with root.transaction():
        for other in (root, group):
            with pytest.raises(TransactionError, match="already under way"), other.transaction():
                pass
        root.attrs["version"] = 2
    assert again(root).attrs["version"] == 2


class Inverting(LocalStore):
    """A store that inverts the bytes of values."""

    def _get(self, key: str, _check: Any = None) -> bytes | None:
        value = super()._get(key)
        return None if value is None else bytes(255 - byte for byte in value)

    def _set(self, key: str, value: Any) -> None:
        super()._set(key, bytes(255 - byte for byte in bytes(value)))


def test_other_stores_have_none(tmp_path: Path) -> None:
    groups = [
        zarr.group(),
        zarr.group(zarr.storage.KVStore({})),
        zarr.group(tmp_path / "a", chunk_store=tmp_path / "b"),
        zarr.create_group(Inverting(tmp_path / "c")),
    ]
    for group in groups:
        with (
            pytest.raises(TransactionError, match="does not support transactions"),
            group.transaction(),
        ):
            pass
        group.attrs["a"] = 1
        assert dict(zarr.open_group(group.store).attrs) == {"a": 1}


def test_a_read_only_group_has_none(root: zarr.Group) -> None:
    reader = zarr.open_group(root.store, mode="r")
    with pytest.raises(zarr.errors.ReadOnlyError), reader.transaction():
        pass


def test_a_store_in_a_transaction_is_not_pickled(root: zarr.Group) -> None:
    with root.transaction():
        for value in (root, root["x"], root.store):
            with pytest.raises(TransactionError, match="during a transaction"):
                pickle.dumps(value)
    assert pickle.loads(pickle.dumps(root["x"]))[0] == 1


def test_a_commit_waits_for_changes_by_threads_where_folders_cannot_be_locked(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "")))
    store = root.store
    path = f"{root.path}/x".lstrip("/")
    held, paths = store.pinned(path), store.place.paths
    done = []

    def change() -> None:
        with zarr.open_group(store.folder).transaction() as group:
            group["x"][0] = 77
        done.append(True)

    with pytest.warns(ZarrRuntimeWarning, match="lacks locks of files or folders"):
        thread = Thread(target=change)
        thread.start()
        until(lambda: vars(paths)["_alone"].known or not thread.is_alive())
        assert not done, "it has not waited"
        held.end()
        join(thread)
    assert done
    assert zarr.open_group(store.folder)["x"][0] == 77
