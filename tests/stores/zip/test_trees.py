"""Trees of an archive that are replaced and moved: in one step, and not all in memory."""

from __future__ import annotations

import errno
import io
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.storage import ZipStore
from fastzarr.stores.zip import archive
from fastzarr.stores.zip.source import FileChange, OpenFile

if TYPE_CHECKING:
    from pathlib import Path


class _Full:
    """A disk that is full from a write of an archive on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, *, dead: bool = False) -> None:
        """Let so many writes succeed; a ``dead`` writer removes nothing that it has written."""
        self.writes, self.room = 0, room
        real = FileChange.write

        def write(change: FileChange, at: int, parts: Any) -> None:
            self.writes += bool(parts)
            if self.writes > self.room:
                raise OSError(errno.ENOSPC, "no space")
            real(change, at, parts)

        def truncate(*_: object) -> None:
            raise OSError(errno.EIO, "dead")

        monkeypatch.setattr(FileChange, "write", write)
        if dead:
            monkeypatch.setattr(FileChange, "truncate", truncate)


@pytest.mark.parametrize("kind", ["array", "data", "group", "root"])
def test_a_node_is_replaced_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Wherever a writer fails that overwrites a node, the old one or the new one is there."""
    path = tmp_path / "a.zip"
    name = "" if kind == "root" else "x"

    def overwrite(store: ZipStore) -> None:
        if kind == "group":
            zarr.create_group(store, path=name, overwrite=True)
        elif kind == "array":
            zarr.create_array(store, name=name, shape=3, dtype="i4", overwrite=True)
        else:
            data = np.arange(6, dtype="i4")
            zarr.create_array(store, name=name or None, data=data, chunks=2, overwrite=True)

    def state(place: Path) -> Any:
        with ZipStore(place, mode="r") as store:
            node = zarr.open(store, path=name, mode="r")
            return node[:].tolist() if isinstance(node, zarr.Array) else sorted(node)

    for room in range(20):
        path.unlink(missing_ok=True)
        with ZipStore(path, mode="w") as store:
            zarr.create_array(store, name=name or None, data=np.ones(9, "i4"), chunks=2)
        full = None
        with monkeypatch.context() as patch:
            full = _Full(patch, room)
            store = ZipStore(path)
            with suppress(OSError):
                overwrite(store)
        store.close()
        if full.writes <= room:
            break
        assert state(path) in ([1] * 9, {"group": []}.get(kind, [0] * 3), list(range(6)))
    assert room > 0
    assert state(path) != [1] * 9


def test_a_large_tree_is_moved_and_replaced_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree that is moved, or replaces another, is never in memory as a whole."""
    path = tmp_path / "a.zip"
    values = {f"a/{i}": bytes([i]) * 5000 for i in range(9)}
    store = ZipStore(path)
    store.set_many(values.items())
    store["b/old"] = archive_of("a/1")
    read: list[int] = []
    real = OpenFile.read
    monkeypatch.setattr(archive, "_PIECE", 1000)
    monkeypatch.setattr(OpenFile, "read", lambda *a: read.append(a[-1]) or real(*a))
    store.move("a", "b/c")
    assert max(read) <= 1000
    monkeypatch.undo()
    expected = {f"b/c/{i}": values[f"a/{i}"] for i in range(9)}
    assert dict(store) == dict(ZipStore(path)) == {**expected, "b/old": archive_of("a/1")}
    monkeypatch.setattr(archive, "_PIECE", 1000)
    draft = store.draft("b")
    assert draft is not None
    draft.store.update(values)
    assert draft.publish(replace=True)
    assert dict(store) == dict(ZipStore(path)) == {f"b/{key}": one for key, one in values.items()}
    store.close()
    with zipfile.ZipFile(path) as found:
        assert found.testzip() is None
        assert sorted(found.namelist()) == sorted(f"b/{key}" for key in values)


def archive_of(name: str) -> bytes:
    """Return an archive of another program."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        made.writestr(zipfile.ZipInfo(name), b"2")
    return held.getvalue()


@pytest.mark.parametrize("flushed", [True, False])
def test_pieces_of_a_dead_writer_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: bool
) -> None:
    """A writer that dies between the pieces of a change leaves the values before."""
    path = tmp_path / "a.zip"
    before = {"a/1": b"1" * 3000, "a/2": archive_of("a/1"), "b": b"3"}
    last = -1
    monkeypatch.setattr(archive.Archive, "finish", lambda _: None)
    for room in range(40):
        path.unlink(missing_ok=True)
        with ZipStore(path, mode="w") as store:
            store.set_many(before.items())
        store = ZipStore(path)
        if not flushed:
            store["b"] = b"3"
        with monkeypatch.context() as patch:
            patch.setattr(archive, "_PIECE", 300)
            full = _Full(patch, room, dead=True)
            try:
                store.move("a", "c")
                last = room
            except OSError:
                assert dict(ZipStore(path, mode="r")) == before
                assert dict(store) == before
        if full.writes <= room:
            break
    assert last > 3
    assert dict(ZipStore(path, mode="r")) == {
        "c/1": b"1" * 3000,
        "c/2": archive_of("a/1"),
        "b": b"3",
    }


def test_a_new_node_is_not_kept_in_memory(tmp_path: Path) -> None:
    """Only a node that replaces another is prepared elsewhere first."""
    store = ZipStore(tmp_path / "a.zip")
    assert store.draft("") is None
    store["a/b"] = b"1"
    assert store.draft("a") is not None
    assert store.draft("b") is None
