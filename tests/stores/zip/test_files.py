"""What becomes of the file of an archive: damage, deletion, renaming, changes by others."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from talking import talking

import fastzarr as zarr
from fastzarr.config import config
from fastzarr.errors import (
    ArchiveError,
    BaseZarrError,
    ChunkIOError,
    DatabaseError,
    ZarrRuntimeWarning,
)
from fastzarr.storage import StorePath, ZipStore
from fastzarr.stores.zip import archive
from fastzarr.stores.zip.source import FileChange

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = b"#!/bin/sh\n" * 20


def made(**members: bytes) -> bytes:
    """Return an archive of members."""
    held = io.BytesIO()
    with ZipStore(held) as store:
        store.set_many(members.items())
    return held.getvalue()


@pytest.fixture
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stores end as if their process was killed."""
    monkeypatch.setattr(archive.Archive, "finish", lambda _: None)


@pytest.mark.usefixtures("unflushed")
@pytest.mark.parametrize("by_zipfile", [True, False])
def test_changes_behind_a_program_are_seen_by_a_second_store(
    tmp_path: Path, by_zipfile: bool
) -> None:
    """An archive behind other bytes is opened with changes that were not flushed."""
    path = tmp_path / "a.zip"
    whole = made(a=b"1", inside=made(x=b"9"))
    if by_zipfile:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as new:
            new.writestr("a", b"1")
            new.writestr("inside", made(x=b"9"))
        whole = held.getvalue()
    path.write_bytes(PROGRAM + whole)
    expected = {"a": b"1", "inside": made_as(path)}
    store = ZipStore(path)
    for number, value in enumerate((b"2", made(y=b"8"), PROGRAM + made(z=b"7"))):
        store[f"b{number}"] = expected[f"b{number}"] = value
        assert dict(ZipStore(path)) == dict(ZipStore(path, mode="r")) == dict(store) == expected
    ZipStore(path)["c"] = expected["c"] = b"3"
    store.close()
    assert dict(ZipStore(path)) == expected
    with zipfile.ZipFile(path) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == expected
    assert path.read_bytes().startswith(PROGRAM)


def made_as(path: Path) -> bytes:
    """Return the archive that is a value of another."""
    with zipfile.ZipFile(path) as found:
        return found.read("inside")


@pytest.mark.usefixtures("unflushed")
def test_a_writer_that_dies_in_the_first_change_behind_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever its first record ends, the archive is as it was, and can be changed."""
    path = tmp_path / "a.zip"
    whole = PROGRAM + made(a=b"1")
    for size in range(0, 200, 3):
        path.write_bytes(whole)
        with monkeypatch.context() as patch:
            patch.setattr(FileChange, "truncate", lambda *_: None)

            def write(change: FileChange, at: int, parts: Any, size: int = size) -> None:
                os.pwrite(change.lock.file, b"".join(parts)[:size], at)
                raise OSError

            patch.setattr(FileChange, "write", write)
            with pytest.raises(OSError):  # noqa: PT011  (its message is not ours)
                ZipStore(path).set("b", b"2" * 100)
        assert ZipStore(path, mode="r").get("a") == b"1"
        ZipStore(path)["c"] = b"3"
        assert dict(ZipStore(path, mode="r")) == {"a": b"1", "c": b"3"}


@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_changes_of_a_file_that_is_gone_are_an_error(tmp_path: Path, how: str) -> None:
    """A flush that can store nothing says so, once, and the members can still be read."""
    path = tmp_path / "a.zip"
    for end in (ZipStore.flush, ZipStore.close):
        store = ZipStore(path, mode="w")
        store["a"] = b"1"
        path.unlink() if how == "deleted" else path.rename(tmp_path / "b.zip")
        assert store["a"] == b"1"
        with pytest.raises(FileNotFoundError, match=r"before its changes were flushed.*a\.zip"):
            end(store)
        store.close()
    store = ZipStore(path, mode="w")
    store.close()
    path.unlink()
    store.close()


def test_a_change_of_an_archive_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """It is not stored in a new archive, which would have nothing else of the array."""
    path = tmp_path / "a.zip"
    store = ZipStore(path, mode="w")
    array = zarr.create_array(store, name="a", data=[1, 2, 3])
    store.flush()
    path.unlink()
    with pytest.raises(ChunkIOError, match=r"'a/c/0'.*FileNotFoundError.*a\.zip"):
        array[0] = 9
    with pytest.raises(FileNotFoundError, match=r"a\.zip"):
        store["b"] = b"1"
    assert not path.exists()
    assert array[:].tolist() == [1, 2, 3]


def test_a_reader_notices_that_its_file_was_replaced(tmp_path: Path) -> None:
    """A file that has the path now is read, whatever became of the old one."""
    path, other = tmp_path / "a.zip", tmp_path / "b.zip"
    path.write_bytes(made(a=b"1"))
    reader = ZipStore(path, mode="r")
    assert dict(reader) == {"a": b"1"}
    path.rename(other)
    assert dict(reader) == {"a": b"1"}
    path.write_bytes(made(a=b"2"))
    assert dict(reader) == {"a": b"2"}
    other.replace(path)
    assert dict(reader) == {"a": b"1"}


def test_entries_of_folders_and_the_comment_are_kept(tmp_path: Path) -> None:
    """What other programs have put into an archive survives a flush, also by another store."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as found:
        for name in ("a/", "b/", "b/c/"):
            found.mkdir(name)
        found.writestr("a/x", b"1")
        found.writestr("b/c/y", b"2")
        found.comment = b"made by hand"
    store, other = ZipStore(path), ZipStore(path)
    assert dict(other) == {"a/x": b"1", "b/c/y": b"2"}
    for change in (
        lambda: store.set("z", b"3"),
        lambda: other.set("z", b"4"),
        store.compact,
        lambda: other.set("z", b"5"),
        lambda: other.delete_dir("b"),
    ):
        change()
        store.flush()
        with zipfile.ZipFile(path) as found:
            assert found.testzip() is None
            assert found.comment == b"made by hand"
            names = ["a/", "a/x", "z"] if "b/c/y" not in store else None
            assert sorted(found.namelist()) == (names or ["a/", "a/x", "b/", "b/c/", "b/c/y", "z"])
    assert names is not None
    with ZipStore(path, mode="w"):
        pass
    with zipfile.ZipFile(path) as found:
        assert found.namelist() == []


@pytest.mark.filterwarnings("ignore::fastzarr.errors.ZarrRuntimeWarning")
@pytest.mark.parametrize("in_file", [True, False])
def test_a_damaged_archive_is_replaced_with_mode_w(tmp_path: Path, in_file: bool) -> None:
    """Its members are deleted in any case."""
    path = tmp_path / "a.zip"
    whole = made(a=b"1" * 1000, b=b"2")
    for damaged in (whole[:-100], whole[:1100], whole.replace(b"PK\1\2", b"PK\1\3")):
        path.write_bytes(damaged)
        held: Any = path if in_file else io.BytesIO(damaged)
        with ZipStore(held, mode="w") as store:
            assert dict(store) == {}
            store["c"] = b"3"
        with zipfile.ZipFile(held) as found:
            assert found.testzip() is None
            assert found.namelist() == ["c"]
    assert [*tmp_path.iterdir()] == [path]


def test_what_is_left_of_a_damaged_archive_is_copied(tmp_path: Path) -> None:
    """A new archive with the members that were recovered is whole."""
    path = tmp_path / "a.zip"
    zarr.save(path, np.arange(10))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.warns(ZarrRuntimeWarning, match="truncated"):
        damaged = ZipStore(path, mode="r")
    with ZipStore(tmp_path / "b.zip") as new:
        zarr.copy_store(damaged, new)
    np.testing.assert_array_equal(zarr.load(tmp_path / "b.zip"), np.arange(10))


def test_a_truncated_archive_in_another_store_has_no_fill_values() -> None:
    """An archive that ends with an earlier directory is not taken for a whole one."""
    held = io.BytesIO()
    store = ZipStore(held)
    z = zarr.create_array(store, shape=4, chunks=2, dtype="i2", fill_value=0)
    z[:2] = 1
    store.flush()
    earlier = len(held.getvalue())
    z[2:] = 2
    store.flush()
    outer = zarr.MemoryStore({"a.zip": held.getvalue()[:earlier]})
    z = zarr.open_array(ZipStore(StorePath(outer, "a.zip")), mode="r")
    assert z[:2].tolist() == [1, 1]
    with pytest.raises(BaseZarrError, match="lost"):
        z[:]
    outer["a.zip"] = held.getvalue()
    z = zarr.open_array(ZipStore(StorePath(outer, "a.zip")), mode="r")
    assert z[:].tolist() == [1, 1, 2, 2]
    with pytest.raises(ArchiveError):
        ZipStore(StorePath(zarr.MemoryStore({"a.zip": b"text"}), "a.zip"))


def test_an_archive_that_another_program_has_locked_is_waited_for(tmp_path: Path) -> None:
    """Reading and writing wait for some time, and then name the program."""
    pytest.importorskip("fcntl")
    path = str(tmp_path / "a.zip")
    with ZipStore(path) as store:
        store["a"] = b"1"
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+b'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True); input()"
    )
    with talking(code, path) as other:
        other.hear()
        holder = f"process {other.pid}" if sys.platform == "linux" else "process"
        with config.set({"database.timeout": 0.1}):
            with pytest.raises(DatabaseError, match=rf"a\.zip: .* locked by .*{holder}"):
                ZipStore(path, mode="r").get("a")
            with pytest.raises(DatabaseError, match=rf"a\.zip: .* locked by .*{holder}"):
                ZipStore(path).set("b", b"2")
        other.tell()
        # It waits for the end of the program.
        with ZipStore(path) as store:
            store["b"] = b"2"
    assert dict(ZipStore(path, mode="r")) == {"a": b"1", "b": b"2"}
