"""Transactions and other writers: what is compared, and who takes part."""

# ruff: noqa: PT012  (a block of changes raises as a whole)

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import pytest
from transactions import (
    again,
    content,
    files,
    in_thread,
    make,
)
from waits import PATIENCE, wait_for

import fastzarr as zarr
from fastzarr.errors import BaseZarrError, TransactionError
from fastzarr.nodes import documents
from fastzarr.stores import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

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


def read_a_chunk(root: zarr.Group) -> None:
    assert root["x"][1] == 2


def read_a_missing_chunk(root: zarr.Group) -> None:
    assert root["z"][0] == 0


def read_an_attribute(root: zarr.Group) -> None:
    assert root.attrs["version"] == 1


def read_the_attributes_of_an_array(root: zarr.Group) -> None:
    assert not root["y"].attrs


def look_for_a_node(root: zarr.Group) -> None:
    assert "new" not in root


READ: dict[str, tuple[Any, Any]] = {
    "a chunk": (read_a_chunk, change_a_chunk),
    "a missing chunk": (read_a_missing_chunk, lambda other: other["z"].set_basic_selection(1, 5)),
    "an attribute": (read_an_attribute, change_the_attributes),
    "those of an array": (
        read_the_attributes_of_an_array,
        lambda other: other["y"].attrs.update({"a": 1}),
    ),
    "a missing node": (look_for_a_node, lambda other: other.create_group("new")),
}


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("conflict", [True, False])
@pytest.mark.parametrize(("read", "change"), READ.values(), ids=READ.keys())
def test_what_is_only_read_is_compared(
    read: Any, change: Any, conflict: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    root = make(tmp_path / "root", **options)
    root.create_array("z", shape=4, chunks=2, dtype="i4")
    root.create_array("target", data=[0])
    rejected = pytest.raises(TransactionError, match=r"changed by another writer.*repeat the trans")
    with rejected if conflict else nullcontext(), root.transaction():
        read(root)
        if conflict:
            change(again(root))
        root["target"][0] += 1
    assert again(root)["target"][0] == (not conflict)


def test_nothing_is_compared_if_nothing_is_changed(root: zarr.Group) -> None:
    with root.transaction():
        read_a_chunk(root)
        change_a_chunk(again(root))
    assert root["x"][1] == 70


def test_handles_obtained_before_read_the_attributes_of_the_store(
    options: dict[str, Any], tmp_path: Path
) -> None:
    root = make(tmp_path / "root", **options)
    x = root["x"]
    x.attrs["n"] = 1
    again(root).attrs["version"] = 5
    again(root)["x"].attrs["n"] = 2
    with root.transaction():
        assert (root.attrs["version"], x.attrs["n"]) == (5, 2)
        x.attrs["n"] += 1
        with x.attrs.batch():
            x.attrs["n"] += 1
        root.attrs["version"] += 1
        assert (root.attrs["version"], x.attrs["n"]) == (6, 4)
    assert (root.attrs["version"], x.attrs["n"]) == (6, 4)
    assert pickle.loads(pickle.dumps(x)).attrs["n"] == 4
    with pytest.raises(ZeroDivisionError), root.transaction():
        x.attrs["n"] = 100
        _ = 1 // 0
    assert x.attrs["n"] == 4


COUNT = """
import sys
import fastzarr as zarr
from fastzarr.errors import BaseZarrError, TransactionError
root = zarr.open_group(sys.argv[1], mode="r+")
x = root["x"]
for _ in range(40):
    while True:
        try:
            with root.transaction():
                x[0] += 1
                root.attrs["n"] += 1
                x.attrs["n"] += 1
        except TransactionError:
            continue
        break
"""


def test_no_increment_of_four_processes_is_lost(options: dict[str, Any], tmp_path: Path) -> None:
    root = make(tmp_path / "root", **options)
    root["x"][0] = 0
    root.attrs["n"] = 0
    root["x"].attrs["n"] = 0
    command = [sys.executable, "-c", COUNT, str(tmp_path / "root")]
    running = [subprocess.Popen(command) for _ in range(4)]  # noqa: S603  (our own program)
    assert [process.wait(3 * PATIENCE) for process in running] == [0] * 4
    new = again(root)
    assert (new["x"][0], new.attrs["n"], new["x"].attrs["n"]) == (160, 160, 160)


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("write", [False, True])
def test_an_array_that_is_replaced_before_its_chunks_are_read(
    write: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    root = make(tmp_path / "root", **options)
    old = root["x"]
    with pytest.raises(TransactionError, match="changed by another writer") as raised:  # noqa: SIM117
        with root.transaction():
            x = root["x"]
            again(root).create_array("x", shape=9, chunks=3, dtype="f8", overwrite=True)[...] = 1
            root.attrs["version"] = 2
            if write:
                x[0] = 5
            else:
                x[...]
    assert isinstance(raised.value.__cause__, BaseZarrError)
    assert again(root)["x"][...].tolist() == [1] * 9
    assert root.attrs["version"] == 1
    # Nothing is wrong with what this block has read.
    with pytest.raises(BaseZarrError) as raised, root.transaction():
        old[...]
    assert not isinstance(raised.value, TransactionError)


# Threads


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("fails", [False, True])
def test_other_threads_take_no_part(fails: bool, options: dict[str, Any], tmp_path: Path) -> None:
    root = make(tmp_path / "root", **options)
    x, y = root["x"], root["y"]

    def other() -> None:
        assert x[0] == 1
        assert root["x"][:2].tolist() == [1, 2]
        y[0] = 7
        root["y"].attrs["other"] = 1
        root.create_group("other")
        root.store.flush()
        assert pickle.loads(pickle.dumps(y))[0] == 7

    with suppress(ZeroDivisionError), root.transaction():
        x[...] = 5
        in_thread(other)
        assert x[0] == 5
        _ = 1 // 0 if fails else 0
    expected = [1, 2] if fails else [5, 5]
    assert x[:2].tolist() == again(root)["x"][:2].tolist() == expected
    assert content(root)["y"] == ([7, *range(2, 9)], {"other": 1})
    assert content(root)["groups"] == ["other"]
    # Later calls, of any thread, open the files directly again.
    assert in_thread(root.store.files) is not None


@pytest.mark.usefixtures("data_path")
def test_the_threads_of_a_call_act_for_its_caller(tmp_path: Path) -> None:
    root = zarr.create_group(tmp_path / "root")
    z = root.create_array("z", shape=(64, 4096), chunks=(1, 4096), dtype="i4")
    z[...] = 1
    with zarr.config.set({"threading.max_workers": 4}):
        with root.transaction():
            z[...] = 2
            assert (again(root)["z"][...] == 1).all()
            assert (z[...] == 2).all()
        assert (again(root)["z"][...] == 2).all()


def test_each_thread_has_its_own_transaction(root: zarr.Group) -> None:
    def other() -> None:
        with root.transaction():
            root["y"][0] = 7
            assert root["x"][0] == 1

    with root.transaction():
        root["x"][0] = 5
        in_thread(other)
        assert again(root)["y"][0] == 7
    assert [again(root)[name][0] for name in "xy"] == [5, 7]


def test_an_update_of_format_2_during_a_commit_does_not_deadlock(tmp_path: Path) -> None:
    root = make(tmp_path / "root", zarr_format=2)
    inside, go = threading.Event(), threading.Event()

    def patch(latest: Any) -> Any:
        inside.set()
        wait_for(go)
        return type(latest)(2, latest.attributes | {"patched": 1})

    def commit() -> None:
        with root.transaction():
            root.attrs["version"] = 2
            updating.start()
            wait_for(inside)
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
    wait_for(inside)
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
                changes = root.store.suspension.mine()
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
