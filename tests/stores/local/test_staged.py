"""Transactions: all changes of a block or none, with concurrent readers, crashes and writers.

Rules of this file:

* The content of a store is read by opening it again, as another program would.
* A writer dies in a forked child, which is killed before one of its changes of files.
"""

# ruff: noqa: PT012  (a block of changes raises as a whole)

from __future__ import annotations

import copy
import errno
import itertools
import json
import os
import pickle
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import KeyValidationError, TransactionError
from fastzarr.nodes import documents
from fastzarr.stores import DirectoryStore, LocalStore, NestedDirectoryStore
from fastzarr.stores.keys import JOURNAL_NAME
from fastzarr.stores.local import journal as module

OPTIONS: dict[str, dict[str, Any]] = {
    "format 3": {"zarr_format": 3},
    "format 2": {"zarr_format": 2},
    "shards": {"zarr_format": 3, "shards": 4},
}


@pytest.fixture(params=OPTIONS.values(), ids=OPTIONS.keys())
def options(request: Any) -> dict[str, Any]:
    return dict(request.param)


def make(path: Path, zarr_format: int = 3, **options: Any) -> zarr.Group:
    """Return a new group with two arrays."""
    root = zarr.create_group(path, zarr_format=zarr_format, attributes={"version": 1})
    for name in ("x", "y"):
        z = root.create_array(name, shape=8, chunks=2, dtype="i4", **options)
        z[...] = np.arange(1, 9)
    return root


@pytest.fixture
def root(tmp_path: Path) -> zarr.Group:
    return make(tmp_path / "root")


def again(root: zarr.Group) -> zarr.Group:
    return zarr.open_group(str(root.store.folder), mode="r+")


def content(root: zarr.Group) -> dict[str, Any]:
    """Return everything that a reader sees: attributes, names, values."""
    new = again(root)
    arrays = {name: (z[...].tolist(), dict(z.attrs)) for name, z in new.arrays(recurse=True)}
    return {"": dict(new.attrs), "groups": sorted(new.group_keys())} | arrays


def files(root: zarr.Group) -> dict[str, bytes]:
    """Return all files, including temporary ones."""
    base = Path(root.store.folder)
    return {str(p.relative_to(base)): p.read_bytes() for p in base.rglob("*") if p.is_file()}


def in_child(work: Any) -> int:
    """Run a function in a forked child and return its exit code, which is 70 if it raised."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die(root: zarr.Group, work: Any, before: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run a transaction in a child that dies before one of its changes; return whether it did."""
    number = itertools.count()

    def counted(name: str) -> Any:
        real = getattr(os, name)

        def call(*args: Any, **words: Any) -> Any:
            if next(number) == before:
                os._exit(9)
            return real(*args, **words)

        return call

    def child() -> None:
        with root.transaction():
            work(root)
            for name in ("rename", "replace", "unlink", "makedirs", "rmdir"):
                monkeypatch.setattr(os, name, counted(name))

    code = in_child(child)
    assert code in (0, 9)
    return code == 9


def change_all(root: zarr.Group) -> None:
    """Make a change of every kind."""
    root.attrs["version"] = 2
    root["x"].attrs["units"] = "K"
    root["x"].append(np.arange(9, 12))
    root["x"][1:4] = 0
    root["y"].resize(3)
    root.move("y", "g/moved")
    root.create_array("new", data=np.arange(3), chunks=2)
    root.create_group("g/deep/er", attributes={"a": 1})
    del root["g/deep/er"]
    root.create_array("new", data=np.arange(5), overwrite=True, chunks=2)


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


@pytest.mark.parametrize(("durability", "expected"), [("none", 0), ("replace", 2), ("full", 2)])
def test_all_is_on_the_disk_before_and_after_the_instant(
    durability: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = zarr.open_group(LocalStore(make(tmp_path / "root").store.root, durability=durability))
    synced: list[bool] = []

    def sync(folder: str) -> None:
        synced.append(Path(root.store.folder, JOURNAL_NAME).exists())
        assert Path(folder).is_dir()

    monkeypatch.setattr("fastzarr.native.sync", sync)
    with root.transaction():
        change_all(root)
    assert synced == [False, True][:expected]


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


# Concurrent writers


def change_a_chunk(group: zarr.Group) -> None:
    group["x"][1] = 70


def change_the_attributes(group: zarr.Group) -> None:
    group.attrs["by others"] = 1


def delete_a_node(group: zarr.Group) -> None:
    del group["x"]


@pytest.mark.parametrize("other", [change_a_chunk, change_the_attributes, delete_a_node])
def test_a_change_based_on_a_value_changed_by_another_writer_is_rejected(
    other: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    root = make(tmp_path / "root", **options)
    with pytest.raises(TransactionError, match="changed by another writer"), root.transaction():
        root["x"][0] = 5
        root["y"][...] = 0
        root.attrs["version"] = 2
        other(again(root))
        expected = files(again(root))
        expected = {key: value for key, value in expected.items() if "tmp" not in key}
    assert files(root) == expected
    root["y"][0] = 9
    assert content(root)["y"][0][:2] == [9, 2]


def test_concurrent_changes_of_others_are_kept(root: zarr.Group) -> None:
    with root.transaction():
        root["x"][0] = 5
        other = again(root)
        other["x"][2:] = 0
        other["y"].attrs["a"] = 1
    assert content(root)["x"] == ([5, 2, 0, 0, 0, 0, 0, 0], {})
    assert content(root)["y"][1] == {"a": 1}


def test_a_chunk_created_by_another_writer_is_not_new(root: zarr.Group) -> None:
    root.create_array("z", shape=4, chunks=4, dtype="i4")
    with pytest.raises(TransactionError, match="z/c/0"), root.transaction():
        root["z"][0] = 1
        again(root)["z"][1] = 2
    assert again(root)["z"][...].tolist() == [0, 2, 0, 0]


def test_a_thread_that_is_at_a_change_when_the_block_ends(root: zarr.Group) -> None:
    store = root.store
    with root.transaction():
        root["x"][0] = 5
        late, blind = store.turn("y/zarr.json"), store.turn("free")
        old = late.get()
    assert blind.put(b"kept")
    blind.end()
    assert not late.put(b"made from what was there inside")
    assert late.get() == old == store.get("y/zarr.json")
    assert late.put(old + b" ")
    late.end()
    assert store.get("y/zarr.json") == old + b" "
    assert LocalStore(store.root).get("free") == b"kept"


def test_an_update_of_format_2_during_a_commit_does_not_deadlock(tmp_path: Path) -> None:
    root = make(tmp_path / "root", zarr_format=2)
    inside, go = threading.Event(), threading.Event()

    def patch(latest: Any) -> Any:
        inside.set()
        go.wait()
        return type(latest)(2, latest.attributes | {"patched": 1})

    def commit() -> None:
        with root.transaction():
            root.attrs["version"] = 2
            updating.start()
            inside.wait()
            # The commit waits for its locks soon after this.
            threading.Timer(0.2, go.set).start()

    place = LocalStore(tmp_path / "root")
    updating = threading.Thread(target=documents.update, args=(place, "", patch), daemon=True)
    failed: list[TransactionError] = []

    def committing() -> None:
        try:
            commit()
        except TransactionError as error:
            failed.append(error)

    both = [threading.Thread(target=committing, daemon=True), updating]
    both[0].start()
    inside.wait()
    for thread in both:
        thread.join(30)
    assert not any(thread.is_alive() for thread in both), "they wait for each other"
    assert dict(again(root).attrs) == {"version": 1, "patched": 1}
    assert failed


def test_a_copy_of_the_store_got_inside_serves_on(root: zarr.Group) -> None:
    with root.transaction():
        root["x"][...] = 7
        reader = zarr.open_group(root.store, mode="r")
        assert reader["x"][0] == 7
        root["x"][0] = 8
        assert reader["x"][0] == 8
    root["x"][1] = 9
    assert reader["x"][:3].tolist() == [8, 9, 7]
    with pytest.raises(zarr.errors.ReadOnlyError):
        reader["x"][0] = 1


@pytest.mark.parametrize("leave", [SystemExit, None])
def test_a_child_forked_inside_a_block_does_not_take_part(
    leave: type[BaseException] | None, root: zarr.Group
) -> None:
    with root.transaction():
        root["x"][0] = 5
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with pytest.raises(TransactionError, match="forked child"):
                    root["x"][0] = 6
                assert root["x"][0] == 5
                changes = root.store.suspension.changes
                if leave is None:
                    with pytest.raises(TransactionError, match="forked child"):
                        changes.commit()
                changes.end()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert root["x"][0] == 5
    assert again(root)["x"][0] == 5


# Writers that die


def test_a_writer_that_dies_anywhere_has_changed_all_or_nothing(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(root: zarr.Group) -> None:
        root.attrs["version"] = 2
        root["x"].append([9, 10])
        root["x"][0] = 0
        del root["y"]
        root["g/new"] = [1, 2, 3]

    def fresh(name: str) -> zarr.Group:
        shutil.copytree(tmp_path / "start", tmp_path / name)
        return zarr.open_group(LocalStore(tmp_path / name, durability="none"), mode="r+")

    start = make(tmp_path / "start", **options)
    start.create_group("g")
    old = content(start)
    done = fresh("done")
    with done.transaction():
        change(done)
    new = content(done)
    states = []
    for before in itertools.count():
        root = fresh(str(before))
        died = die(root, change, before, monkeypatch)
        # The first to open it, at the root or below, completes it.
        LocalStore(tmp_path / str(before) / ["", "g", "x"][before % 3])
        assert not (tmp_path / str(before) / JOURNAL_NAME).exists()
        states.append(content(root))
        if not died:
            break
    assert states[0] == old
    assert states[-1] == new
    instant = states.index(new)
    assert states == [old] * instant + [new] * (len(states) - instant)
    assert len(states) - instant > 5, "it can die at several points behind the instant"


def left_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> zarr.Group:
    """Make a store whose last transaction is committed but not completed."""
    root = make(path)

    def child() -> None:
        monkeypatch.setattr(module, "apply", lambda *_: os._exit(9))
        with root.transaction():
            root["x"][0] = 50
            root["y"][0] = 60

    assert in_child(child) == 9
    assert (path / JOURNAL_NAME).is_dir()
    return root


def test_a_transaction_completes_that_of_a_dead_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = left_behind(tmp_path / "root", monkeypatch)
    with pytest.raises(TransactionError, match="changed by another writer"), root.transaction():
        root["x"][1] = 2
    assert root["x"][:2].tolist() == [50, 2]
    left_behind(tmp_path / "other", monkeypatch)
    root = again(left_behind(tmp_path / "third", monkeypatch))
    with root.transaction():
        root["x"][1] = 3
    assert again(root)["x"][:2].tolist() == [50, 3]


def test_a_reader_without_write_permission_gets_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Path(tempfile.mkdtemp())
    try:
        base.chmod(0o755)
        left_behind(base / "root", monkeypatch)
        if os.geteuid():
            (base / "root").chmod(0o555)

        def reader() -> None:
            if not os.geteuid():
                os.setuid(65534)
            with pytest.raises(
                TransactionError, match=r"committed transaction that cannot be completed.*ermission"
            ):
                zarr.open_group(base / "root", mode="r")

        assert in_child(reader) == 0
        (base / "root").chmod(0o755)
        assert zarr.open_array(base / "root" / "x", mode="r")[0] == 50
    finally:
        shutil.rmtree(base)


def test_a_disk_that_fails_behind_the_instant(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def failing(source: str, target: str) -> None:
        if JOURNAL_NAME in str(source) and "x/" in str(target):
            raise OSError(errno.EIO, os.strerror(errno.EIO), source)
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with (
        pytest.raises(TransactionError, match="committed transaction that cannot be completed"),
        root.transaction(),
    ):
        root["y"][0] = 60
        root["x"][0] = 50
    with pytest.raises(TransactionError, match="Input/output error"):
        again(root)
    monkeypatch.undo()
    assert [again(root)[name][0] for name in "xy"] == [50, 60]


def test_ctrl_c_behind_the_instant_leaves_nothing_half_in_place(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace
    pressed: list[str] = []

    def interrupted(source: str, target: str) -> None:
        if JOURNAL_NAME in str(source) and not pressed:
            pressed.append(target)
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), root.transaction():
        root["x"][0] = 50
        root["y"][0] = 60
    assert pressed
    assert [root[name][0] for name in "xy"] == [50, 60]
    assert not Path(root.store.folder, JOURNAL_NAME).exists()


# Obstacles


@pytest.mark.parametrize("kind", ["link out", "file", "folder"])
def test_obstacles_are_found_before_anything_changes(
    kind: str, root: zarr.Group, tmp_path: Path
) -> None:
    place = Path(root.store.folder, "x", "c")
    shutil.rmtree(place)
    if kind == "link out":
        (tmp_path / "outside").mkdir()
        place.symlink_to(tmp_path / "outside")
    elif kind == "file":
        place.write_bytes(b"not a folder")
    else:
        (place / "1" / "deep").mkdir(parents=True)
    with pytest.raises((KeyValidationError, OSError), match="x/c"), root.transaction():
        root["y"][...] = 9
        root["x"][...] = 9
    assert again(root)["y"][...].tolist() == list(range(1, 9))
    assert list(tmp_path.glob("outside/*")) == []
    root["y"][0] = 5
    assert again(root)["y"][0] == 5


def test_a_folder_on_another_disk(root: zarr.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def other_disk(source: str, target: str) -> None:
        if JOURNAL_NAME in str(source):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target)

    monkeypatch.setattr(os, "replace", other_disk)
    with root.transaction():
        root["x"][0] = 50
    assert again(root)["x"][:2].tolist() == [50, 2]
    assert not [name for name in files(root) if "tmp" in name]


def test_a_folder_that_goes_while_a_value_is_put_there(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace
    gone: list[str] = []

    def racing(source: str, target: str) -> None:
        folder = Path(target).parent
        if JOURNAL_NAME in str(source) and not gone and not [*folder.iterdir()]:
            gone.append(str(folder))
            folder.rmdir()
        real(source, target)

    monkeypatch.setattr(os, "replace", racing)
    with root.transaction():
        root["new"] = [1, 2]
    assert gone
    assert again(root)["new"][...].tolist() == [1, 2]


# Journals from elsewhere


@pytest.mark.parametrize("what", ["values", "a value", "journal"])
def test_a_journal_is_not_followed_through_links(what: str, root: zarr.Group) -> None:
    base = Path(root.store.folder)
    outside = base.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    journal = base / JOURNAL_NAME
    (journal if what != "journal" else outside).mkdir(exist_ok=True)
    changes = outside if what == "journal" else journal
    (changes / "changes.json").write_text(json.dumps({"secret": True}))
    if what == "values":
        (journal / "values").symlink_to(outside)
    elif what == "a value":
        (journal / "values").mkdir()
        (journal / "values" / "secret").symlink_to(outside / "secret")
    else:
        (outside / "values").mkdir()
        (outside / "values" / "secret").write_bytes(b"")
        journal.symlink_to(outside)
    with pytest.raises(TransactionError, match="journal"):
        LocalStore(base)
    assert (outside / "secret").read_bytes() == b"secret"
    assert not os.path.lexists(base / "secret")


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "1", '{"../up": true}', '{"../up": false}', '{".b.fastzarr-tmp": false}', "\xff"],
)
def test_a_damaged_journal_is_refused(text: str, root: zarr.Group) -> None:
    base = Path(root.store.folder)
    (base.parent / "up").write_bytes(b"up")
    (base / JOURNAL_NAME / "values").mkdir(parents=True)
    (base / JOURNAL_NAME / "changes.json").write_text(text, "latin-1")
    with pytest.raises(TransactionError, match="committed transaction that cannot be completed"):
        LocalStore(base)
    assert (base.parent / "up").read_bytes() == b"up"
