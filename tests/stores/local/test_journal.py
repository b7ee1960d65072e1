"""The journals of transactions: writers that die, obstacles, readers, journals from elsewhere.

Rules of this file:

* A writer dies in a forked child, which is killed before one of its changes of files.
"""

# ruff: noqa: PT012  (a block of changes raises as a whole)

from __future__ import annotations

import errno
import itertools
import json
import os
import resource
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from descriptors import few_descriptors
from transactions import (
    again,
    change_all,
    content,
    die,
    everything,
    files,
    in_child,
    make,
)
from waits import join, wait_for

import fastzarr as zarr
from fastzarr.errors import KeyValidationError, TransactionError
from fastzarr.stores import LocalStore
from fastzarr.stores.keys import JOURNAL_NAME
from fastzarr.stores.local import journal as module

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


@pytest.mark.usefixtures("data_path")
def test_a_reader_without_write_permission_sees_the_committed_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = Path(tempfile.mkdtemp())
    try:
        base.chmod(0o755)
        left_behind(base / "root", monkeypatch)
        if os.geteuid():
            (base / "root").chmod(0o555)

        def reader() -> None:
            if not os.geteuid():
                os.setuid(65534)
            for mode in ("r", "r+"):
                group = zarr.open_group(base / "root", mode=mode)
                assert [group[name][0] for name in "xy"] == [50, 60]
                assert zarr.open_array(base / "root" / "x", mode=mode)[:2].tolist() == [50, 2]
            with pytest.raises(OSError, match="a committed transaction must"):
                group["x"][0] = 1

        assert in_child(reader) == 0
        (base / "root").chmod(0o755)
        assert (base / "root" / JOURNAL_NAME).exists()
        assert zarr.open_array(base / "root" / "x", mode="r+")[0] == 50
        assert not (base / "root" / JOURNAL_NAME).exists()
    finally:
        shutil.rmtree(base)


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("way", ["mode", "store"])
def test_a_reader_sees_the_committed_values_and_writes_nothing(
    way: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "root", **options)
    root.create_group("g")
    with root.transaction():
        change_all(root)
    expected = content(root)
    shutil.rmtree(tmp_path / "root")
    root = make(tmp_path / "root", **options)
    root.create_group("g")

    def child() -> None:
        monkeypatch.setattr(module, "apply", lambda *_: os._exit(9))
        with root.transaction():
            change_all(root)

    assert in_child(child) == 9

    def opened(path: str = "") -> Any:
        if way == "mode":
            return zarr.open(tmp_path / "root" / path, mode="r")
        return zarr.open(LocalStore(tmp_path / "root" / path, read_only=True))

    before = everything(tmp_path)
    reader = opened()
    arrays = {name: (z[...].tolist(), dict(z.attrs)) for name, z in reader.arrays(recurse=True)}
    found = {"": dict(reader.attrs), "groups": sorted(reader.group_keys())} | arrays
    assert found == expected
    assert opened("x")[...].tolist() == expected["x"][0]
    assert opened("g")["moved"][...].tolist() == expected["g/moved"][0]
    assert "y" not in reader
    assert everything(tmp_path) == before
    # When another program has completed the journal, the reader sees what it writes then.
    again(root)["x"][0] = 99
    again(root)["y"] = [1]
    assert not (tmp_path / "root" / JOURNAL_NAME).exists()
    assert reader["x"][0] == 99
    assert reader["y"][...].tolist() == [1]


def test_a_disk_that_fails_behind_the_instant(
    root: zarr.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def failing(source: str, target: str) -> None:
        if JOURNAL_NAME in str(source) and "x/" in str(source):
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


# Programs that had the store open when the writer died


def whole_chunks(root: zarr.Group) -> None:
    root["x"][...] = 5


def one_element(root: zarr.Group) -> None:
    root["x"][3] = 5


def attribute(root: zarr.Group) -> None:
    root.attrs["version"] = 5


def shrink(root: zarr.Group) -> None:
    root["x"].resize(2)


def grow(root: zarr.Group) -> None:
    root["x"].append([5, 5])


def delete(root: zarr.Group) -> None:
    del root["x"]


def move(root: zarr.Group) -> None:
    root.move("x", "z")


def replace(root: zarr.Group) -> None:
    root.create_array("x", data=[5], overwrite=True)


def transact(root: zarr.Group) -> None:
    # The first one fails, because it has not seen what it completes.
    with suppress(TransactionError), root.transaction():
        root["x"][0] = 5
    with root.transaction():
        root["x"][0] = 5


LATER = [whole_chunks, one_element, attribute, shrink, grow, delete, move, replace, transact]


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("at", ["root", "node", "above"])
def test_what_others_write_after_the_writer_died_is_kept(
    later: Any, at: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zarr.create_group(tmp_path / "above", zarr_format=options["zarr_format"])
    make(tmp_path / "above" / "root", **options)
    inside = zarr.open_group(tmp_path / "above" / "root", mode="r+")
    root = again(inside)
    x = root["x"]
    if at == "node":
        x = zarr.open_array(tmp_path / "above" / "root" / "x", mode="r+")
    elif at == "above":
        root = zarr.open_group(tmp_path / "above", mode="r+")["root"]
        x = root["x"]

    def child() -> None:
        monkeypatch.setattr(module, "apply", lambda *_: os._exit(9))
        with inside.transaction():
            inside["x"][...] = 50
            inside["y"][...] = 60
            inside.attrs["version"] = 2
            inside["x"].attrs["by the transaction"] = 1

    assert in_child(child) == 9
    expected = content(make(tmp_path / "serial", **options))
    if at == "node" and later is whole_chunks:
        x[...] = 5
    elif at == "node" and later is one_element:
        x[3] = 5
    elif at == "node":
        pytest.skip("a verb of the group")
    else:
        later(root)
    found = content(again(inside))
    serial = zarr.open_group(tmp_path / "serial", mode="r+")
    serial["x"][...] = 50
    serial["y"][...] = 60
    serial.attrs["version"] = 2
    serial["x"].attrs["by the transaction"] = 1
    later(serial)
    expected = content(serial)
    assert found == expected
    assert not (tmp_path / "above" / "root" / JOURNAL_NAME).exists()


def test_marks_that_lead_nowhere_are_deleted(root: zarr.Group) -> None:
    base = Path(root.store.folder)
    other = again(root)

    def child() -> None:
        real = os.rename

        def dying(source: str, target: str) -> None:
            if JOURNAL_NAME in str(target):
                os._exit(9)
            real(source, target)

        with root.transaction():
            root["x"][0] = 5
            os.rename = dying  # type: ignore[assignment]

    assert in_child(child) == 9
    assert (base / "x" / JOURNAL_NAME).read_bytes() == b"1\n"
    assert again(root)["x"][0] == 1
    other["x"][1] = 7
    assert not (base / "x" / JOURNAL_NAME).exists()
    assert content(root)["x"][0][:2] == [1, 7]


@pytest.mark.parametrize("text", [b"", b"1", b"12", b"\0\0"])
def test_a_mark_that_is_not_completely_written_is_deleted(text: bytes, root: zarr.Group) -> None:
    mark = Path(root.store.folder, "x", JOURNAL_NAME)
    mark.write_bytes(text)
    root["x"][0] = 5
    assert not mark.exists()
    assert content(root)["x"][0][0] == 5


@pytest.mark.parametrize("text", [b"0\n", b"-1\n", b"../..", b"9" * 9])
def test_an_invalid_mark_is_refused(text: bytes, root: zarr.Group) -> None:
    mark = Path(root.store.folder, "x", JOURNAL_NAME)
    mark.write_bytes(text)
    with pytest.raises(TransactionError, match="not a mark"):
        root["x"][0] = 5
    assert again(root)["x"][0] == 1
    mark.unlink()
    root["x"][0] = 5


@pytest.mark.usefixtures("data_path")
def test_a_first_write_to_a_chunk_during_a_commit_is_kept(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "root", **options)
    root.create_array("z", shape=4, chunks=2, dtype="i4")
    other = again(root)["z"]
    begun = threading.Event()

    def write() -> None:
        begun.set()
        other[1] = 2

    writer = threading.Thread(target=write)
    real = module.apply

    def apply(*args: Any) -> None:
        # The other thread cannot finish before the commit does; it must not have read yet.
        writer.start()
        wait_for(begun)
        assert (tmp_path / "root" / "z" / JOURNAL_NAME).exists()
        writer.join(0.05)
        assert writer.is_alive()
        real(*args)

    monkeypatch.setattr(module, "apply", apply)
    with root.transaction():
        root["z"][0] = 1
    join(writer)
    assert again(root)["z"][...].tolist() == [1, 2, 0, 0]


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
        if JOURNAL_NAME in str(source) and not gone and folder.samefile(empty):
            gone.append(str(folder))
            folder.rmdir()
        real(source, target)

    root.create_array("new", shape=2, dtype="i4")
    empty = Path(root.store.folder, "new", "c")
    empty.mkdir()
    monkeypatch.setattr(os, "replace", racing)
    with root.transaction():
        root["new"][...] = [1, 2]
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


def plant(base: Path, text: str | bytes, **values: bytes) -> dict[str, Any]:
    """Put a journal into a store; return all files and their times."""
    (base / JOURNAL_NAME / "values" / "x" / "c").mkdir(parents=True)
    data = text.encode() if isinstance(text, str) else text
    (base / JOURNAL_NAME / "changes.json").write_bytes(data)
    for name, value in values.items():
        (base / JOURNAL_NAME / name).write_bytes(value)
    return everything(base)


FOREIGN = {
    "a file": '{"x/c/0": false, "notes.txt": false}',
    "a file beside chunks": '{"x/c/0": false, "x/c/notes.txt": false}',
    "a file like a chunk in a group": '{"x/c/0": false, "c/0": false}',
    "no array": '{"x/c/0": false, "z/c/0": true}',
    "a value that is missing": '{"x/c/0": false, "x/c/./1": true}',
    "twice": '{"x/c/0": false, "x/c/0": false}',
    "deep": '{"x/c/0": false, "x": ' + '{"x": ' * 100_000 + "false" + "}" * 100_001,
    "deep lists": "[" * 100_000,
    "long": '{"x/c/0": false' + " " * (1 << 26) + "}",
    "many": "{" + ", ".join(f'"x/c/{n}": false' for n in range((1 << 18) + 1)) + "}",
    "more behind": '{"x/c/0": false} {"x/c/1": false}',
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_journal_that_no_transaction_writes_changes_nothing(
    text: str, read_only: bool, root: zarr.Group
) -> None:
    base = Path(root.store.folder)
    for name in ("notes.txt", "x/c/notes.txt", "c/0"):
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_bytes(b"mine")
    before = plant(base, text)
    with pytest.raises(TransactionError, match=r"nothing was changed|\.journal"):
        LocalStore(base, read_only=read_only)
    assert everything(base) == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("name", ["other", "values/notes", "values/x/c/1", "values/x/c/0.bak"])
def test_a_journal_with_other_files_changes_nothing(
    name: str, read_only: bool, root: zarr.Group
) -> None:
    base = Path(root.store.folder)
    before = plant(base, '{"x/c/0": true}', **{"values/x/c/0": b"", name: b"other"})
    with pytest.raises(TransactionError, match=name):
        LocalStore(base, read_only=read_only)
    assert everything(base) == before


def test_a_transaction_changes_only_documents_and_chunks(root: zarr.Group) -> None:
    base = Path(root.store.folder)
    (base / "notes.txt").write_bytes(b"mine")
    for change in (
        lambda: root.store.delete("notes.txt"),
        lambda: root.store.set("other.txt", b""),
        lambda: root.store.set("c/0", b""),  # of no array
    ):
        refused = pytest.raises(TransactionError, match="neither a document nor a chunk")
        with refused, root.transaction():
            root["x"][0] = 50
            change()
        assert root["x"][0] == 1
    assert (base / "notes.txt").read_bytes() == b"mine"
    assert not (base / "c").exists()


def test_too_many_changes_are_refused(root: zarr.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CHANGES", 4)
    before = files(root)
    refused = pytest.raises(TransactionError, match="at most 4 documents and chunks")
    with refused, root.transaction():
        root["x"][...] = 0
        root["y"][...] = 0
    assert files(root) == before


def test_the_number_of_descriptors_does_not_depend_on_that_of_chunks(root: zarr.Group) -> None:
    z = root.create_array("z", data=np.arange(300), chunks=1)
    w = root.create_array("w", data=np.arange(300), chunks=1)
    with few_descriptors(50) as limit:
        with root.transaction():
            root["x"][0] = int(z[...].sum())
            w[...] += 1
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == limit
    assert again(root)["x"][0] == 299 * 150
    assert again(root)["w"][...].tolist() == list(range(1, 301))


def test_a_transaction_that_needs_more_folders_than_can_be_open_says_so(root: zarr.Group) -> None:
    groups = [root.create_group(f"many/{number}") for number in range(80)]
    before = files(root)
    refused = pytest.raises(TransactionError, match=r"changes 80 nodes.*make several transactions")
    with few_descriptors(50), refused, root.transaction():
        for group in groups:
            group.attrs["a"] = 1
    assert files(root) == before
