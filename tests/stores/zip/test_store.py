"""The store of a zip archive: the published suite, the modes, and what becomes of the file."""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import pickle
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from interrupting import elsewhere
from waits import join

import fastzarr as zarr
from fastzarr.errors import ArchiveError, BaseZarrError, ReadOnlyError
from fastzarr.storage import StorePath, ZipStore
from fastzarr.stores import threads
from fastzarr.stores.zip import archive
from fastzarr.stores.zip.archive import View
from fastzarr.testing import StoreTests

if TYPE_CHECKING:
    from pathlib import Path


class TestZipStore(StoreTests):
    """The common test suite, with an archive in a file."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> ZipStore:
        """Return an empty store."""
        return ZipStore(tmp_path / "a.zip")


class TestDeflatedZipStore(StoreTests):
    """The common test suite, with compressed members."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> ZipStore:
        """Return an empty store."""
        return ZipStore(tmp_path / "a.zip", compression=zipfile.ZIP_DEFLATED)


def names(path: Path) -> list[str]:
    """Return the members of an archive as the standard library lists them, all of them checked."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def test_an_archive_is_opened_by_its_name(tmp_path: Path) -> None:
    """``open``, ``save`` and ``load`` take a path that ends in .zip for an archive."""
    for name in ("a.zip", "b.zarr.zip", "c.ZIP"):
        path = tmp_path / name
        zarr.save(str(path), np.arange(5))
        assert path.is_file()
        np.testing.assert_array_equal(zarr.load(path), np.arange(5))
        z = zarr.open(path, mode="r")
        assert isinstance(z.store, ZipStore)
        with pytest.raises(ReadOnlyError):
            z[0] = 1
    (tmp_path / "folder.zip").mkdir()
    zarr.save(tmp_path / "folder.zip", np.arange(5))
    assert (tmp_path / "folder.zip" / "zarr.json").is_file()


def test_the_modes_of_open(tmp_path: Path) -> None:
    """The modes mean what they mean for a folder."""
    path = tmp_path / "a.zip"
    for mode in ("r", "r+"):
        with pytest.raises(FileNotFoundError):
            zarr.open(path, mode=mode)
        assert not path.exists()
    zarr.open_array(path, mode="w-", shape=(3,), dtype="i4")[:] = 1
    with pytest.raises(FileExistsError):
        zarr.open_array(path, mode="w-", shape=(3,), dtype="i4")
    zarr.open_array(path, mode="r+")[0] = 2
    zarr.open_array(path, mode="a")[1] = 3
    assert zarr.open_array(path, mode="r")[:].tolist() == [2, 3, 1]
    zarr.open_array(path, mode="w", shape=(2,), dtype="u1")[:] = 7
    assert zarr.open_array(path, mode="r")[:].tolist() == [7, 7]


def test_the_modes_of_the_store(tmp_path: Path) -> None:
    """The store checks its mode when it is made."""
    path = tmp_path / "a.zip"
    for mode in ("r", "r+"):
        with pytest.raises(FileNotFoundError):
            ZipStore(path, mode=mode)
    with ZipStore(path, mode="x") as store:
        store["a"] = b"1"
    for mode in ("x", "w-"):
        with pytest.raises(FileExistsError, match="already exists"):
            ZipStore(path, mode=mode)
    with ZipStore(path, mode="r+") as store:
        assert store["a"] == b"1"
    with ZipStore(path, mode="w") as store:
        assert list(store) == []
        store["b"] = b"2"
    assert ZipStore(path, mode="r").read_only
    assert names(path) == ["b"]
    with pytest.raises(BaseZarrError, match="mode"):
        ZipStore(path, mode="q")
    with pytest.raises(BaseZarrError, match="compression"):
        ZipStore(path, compression=77)
    with pytest.raises(BaseZarrError, match="durability"):
        ZipStore(path, durability="much")  # type: ignore[arg-type]


def test_the_parameters_of_both_zarr_pythons(tmp_path: Path) -> None:
    """The positions are those of zarr-python 2, and the keywords those of both."""
    store = ZipStore(str(tmp_path / "a.zip"), 8, True, "w", "/")  # noqa: FBT003
    assert (store.compression, store.allowZip64) == (8, True)
    assert (store.mode, store.dimension_separator) == ("w", "/")
    assert store.path == str(tmp_path / "a.zip")
    with store.mutex:
        store["a"] = b"1"
    store.flush()
    other = ZipStore(tmp_path / "a.zip", mode="a", read_only=True, compression=0, allowZip64=True)
    assert other.read_only
    assert other["a"] == b"1"


@pytest.mark.parametrize("method", [0, 8, 12, 14])
def test_members_are_written_as_the_standard_library_reads_them(
    tmp_path: Path, method: int
) -> None:
    """Each method of compression can be read by ``zipfile``, and by the store itself."""
    path = tmp_path / "a.zip"
    value = bytes(range(256)) * 100
    with ZipStore(path, method, mode="w") as store:
        store["a/b"] = value
        store["\u00e4/\u6d77"] = b""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("a/b") == value
        assert archive.namelist() == ["a/b", "\u00e4/\u6d77"]
        assert archive.getinfo("a/b").compress_type == method
    assert dict(ZipStore(path, mode="r")) == {"a/b": value, "\u00e4/\u6d77": b""}


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    """Another file under the name of an archive is an error, and is not changed."""
    path = tmp_path / "a.zip"
    for content in (b"text", b"\x89HDF\r\n\x1a\n" + bytes(1000), b"PK\5", bytes(5000)):
        path.write_bytes(content)
        for mode in ("r", "r+", "a", "w"):
            with pytest.raises(ArchiveError, match=r"a\.zip.*not a zip archive"):
                zarr.open(path, mode=mode)
        assert path.read_bytes() == content


def test_a_member_is_listed_once(tmp_path: Path) -> None:
    """Replaced and deleted members are not in the directory, and their space can be freed."""
    path = tmp_path / "a.zip"
    store = ZipStore(path)
    for i in range(5):
        store["a"] = bytes([i]) * 1000
        store["b"] = b"b"
        store["c"] = b"c"
        store.flush()
    del store["b"]
    store.flush()
    assert sorted(names(path)) == ["a", "c"]
    before = path.stat().st_size
    store.compact()
    assert path.stat().st_size < before - 4000
    assert sorted(names(path)) == ["a", "c"]
    assert dict(store) == dict(ZipStore(path)) == {"a": b"\4" * 1000, "c": b"c"}
    store["d"] = b"d"
    store.close()
    assert sorted(names(path)) == ["a", "c", "d"]
    assert [*tmp_path.iterdir()] == [path]


def test_closing_frees_space_if_most_of_it_is_free(tmp_path: Path) -> None:
    """Overwriting does not let an archive grow without end."""
    path = tmp_path / "a.zip"
    for i in range(8):
        with ZipStore(path) as store:
            store["a"] = bytes([i]) * (1 << 20)
    assert path.stat().st_size < 4 << 20
    assert names(path) == ["a"]


def test_a_small_archive_has_no_holes_when_it_is_closed(tmp_path: Path) -> None:
    """Each member begins where the one before it ends, so that the directory tells where."""
    path = tmp_path / "a.zip"
    with ZipStore(path) as store:
        store.set_many([("a", b"1"), ("b", b"22")])
        reader = ZipStore(path, mode="r")
        assert reader["a"] == b"1"
        store["a"] = b"333"
        del store["b"]
        store["c"] = b"4"
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        ends = [m.header_offset + 30 + len(m.filename) + m.compress_size for m in members]
        assert ends == [*(m.header_offset for m in members[1:]), archive.start_dir]
    assert dict(reader) == {"a": b"333", "c": b"4"}
    before = path.stat()
    ZipStore(path).close()
    with ZipStore(path) as store:
        store["d"] = b"5"
    assert names(path) == ["a", "c", "d"]
    with ZipStore(path) as store:
        assert store["d"] == b"5"
    assert path.stat().st_size > before.st_size


def test_changes_are_seen_at_once_by_other_stores(tmp_path: Path) -> None:
    """Stores of one archive see each other's changes, whether they are flushed or not."""
    path = tmp_path / "a.zip"
    one = ZipStore(path)
    one["a"] = b"1"
    two, reader = ZipStore(path), ZipStore(path, mode="r")
    assert one == two == reader
    assert two["a"] == reader["a"] == b"1"
    two["a"] = b"2"
    assert one["a"] == reader["a"] == b"2"
    one.set_many([("b", b"3"), ("c/d", b"4"), ("a", None)])
    assert dict(two) == dict(reader) == {"b": b"3", "c/d": b"4"}
    two.delete_dir("c")
    one.flush()
    two.move("b", "x/y")
    assert dict(one) == dict(reader) == {"x/y": b"3"}
    two.compact()
    assert dict(one) == dict(reader) == {"x/y": b"3"}
    one["z"] = b"5"
    one.close()
    assert dict(two) == dict(reader) == {"x/y": b"3", "z": b"5"}
    assert names(path) == ["x/y", "z"]


def test_the_directory_is_written_without_close(tmp_path: Path) -> None:
    """The directory is written when the last store of an archive is gone."""
    path = tmp_path / "a.zip"
    zarr.open_array(path, mode="w", shape=(3,), dtype="i4")[:] = 1
    assert "zarr.json" in names(path)


def _add(path: str, name: str) -> None:
    z = zarr.open_array(path, mode="r+")
    for i in range(int(name) * 5, int(name) * 5 + 5):
        z[i] = i + 1


def test_no_write_of_another_process_is_lost(tmp_path: Path) -> None:
    """Processes that write parts of one chunk lose nothing."""
    path = str(tmp_path / "a.zip")
    zarr.create_array(path, shape=(20,), chunks=(20,), dtype="i4")
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=_add, args=(path, str(i))) for i in range(4)]
    for worker in workers:
        worker.start()
    join(*workers)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert zarr.open_array(path, mode="r")[:].tolist() == list(range(1, 21))


def test_an_open_file(tmp_path: Path) -> None:
    """An archive in an open file is read and written."""
    held = io.BytesIO()
    with ZipStore(held, mode="w") as store:
        zarr.create_array(store, data=np.arange(10), chunks=(3,))
    assert zipfile.ZipFile(held).testzip() is None
    np.testing.assert_array_equal(zarr.open_array(ZipStore(held, mode="r"))[:], np.arange(10))
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(store)
    path = tmp_path / "a.zip"
    path.write_bytes(held.getvalue())
    with path.open("rb") as file:
        assert ZipStore(file, mode="r") == ZipStore(file, mode="r")
        np.testing.assert_array_equal(zarr.open_array(ZipStore(file, mode="r"))[:], np.arange(10))
    with pytest.raises(TypeError, match="binary"):
        ZipStore(io.StringIO("text"))
    wrong: Any = 3
    with pytest.raises(TypeError, match="int"):
        ZipStore(wrong)


def test_an_archive_in_another_store() -> None:
    """An archive that is a value of a store is read by ranges, and not written."""
    held = io.BytesIO()
    with ZipStore(held, mode="w") as store:
        zarr.create_array(store, data=np.arange(10), chunks=(3,))
    outer = {"x/a.zip": held.getvalue()}
    inner = ZipStore(StorePath(zarr.storage.MemoryStore(outer), "x/a.zip"))
    assert inner.read_only
    np.testing.assert_array_equal(zarr.open_array(inner)[:], np.arange(10))
    assert dict(pickle.loads(pickle.dumps(inner))) == dict(inner)
    with pytest.raises(BaseZarrError, match="can only be read"):
        inner.with_read_only(False).set("a", b"1")  # noqa: FBT003
    with pytest.raises(FileNotFoundError, match=r"b\.zip"):
        ZipStore(StorePath(zarr.storage.MemoryStore(outer), "b.zip"))


def test_without_zip64(tmp_path: Path) -> None:
    """An archive that must not have the fields of zip64 does not grow beyond."""
    store = ZipStore(tmp_path / "a.zip", allowZip64=False)
    store.set_many((str(i), b"") for i in range(65_534))
    with pytest.raises(BaseZarrError, match="zip64"):
        store["more"] = b""
    store.close()
    assert len(names(tmp_path / "a.zip")) == 65_534
    with ZipStore(tmp_path / "a.zip") as wide:
        wide.set_many([("more", b""), ("still more", b"")])
    assert len(names(tmp_path / "a.zip")) == 65_536
    assert len(ZipStore(tmp_path / "a.zip", mode="r")) == 65_536


def test_an_interrupt_during_a_change_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that was written when Ctrl-C came is found by the next use of the store."""
    path = tmp_path / "a.zip"
    store = ZipStore(path)
    store["a"] = b"1"
    update = View.update

    def interrupted(*_: object) -> None:
        monkeypatch.setattr(View, "update", update)
        raise KeyboardInterrupt

    monkeypatch.setattr(View, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store["b"] = b"2"
    store["c"] = b"3"
    assert dict(store) == {"a": b"1", "b": b"2", "c": b"3"}
    store.close()
    assert names(path) == ["a", "b", "c"]


def _fill(path: str, most: int) -> None:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = ZipStore(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    for change in (
        lambda: store.set("a", bytes(5000)),
        lambda: store.set_many([("b", bytes(5000)), ("a", None)]),
        store.flush,
        store.compact,
    ):
        before = dict(store)
        try:
            change()
        except OSError as error:
            assert path in str(error.filename)  # noqa: PT017
            assert dict(store) == before
    os._exit(0)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of processes")
@pytest.mark.parametrize("room", [0, 1, 40, 100, 300, 5050, 5200, 10_400, 10_600])
def test_a_full_disk(tmp_path: Path, room: int) -> None:
    """A change for which there is no space is an error, and leaves the archive as it was."""
    path = tmp_path / "a.zip"
    with ZipStore(path) as store:
        store.set_many([("a", b"1"), ("c", b"2")])
    limited = multiprocessing.get_context("fork").Process(
        target=_fill, args=(str(path), path.stat().st_size + room)
    )
    limited.start()
    join(limited)
    assert limited.exitcode == 0
    assert [*tmp_path.iterdir()] == [path]
    store = ZipStore(path)
    assert store["c"] == b"2"
    whole: dict[str, bytes] = {"a": bytes(5000), "c": b"2"}
    assert dict(store) in ({"a": b"1", "c": b"2"}, whole, {"b": bytes(5000), "c": b"2"})
    store["d"] = b"3"
    store.close()
    assert "d" in names(path)


def test_a_key_that_is_stored_while_names_are_collected_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of another thread may come too late for this list, but not for the next one."""
    store = ZipStore(tmp_path / "a.zip")
    store["a/x"] = b"1"
    real, begun = vars(archive)["_name"], list[str]()

    def name(found: dict[str, set[str]], key: str) -> None:
        if not begun:
            begun.append(key)
            with ThreadPoolExecutor(1) as other:
                other.submit(store.set, "b/x", b"2").result()
        real(found, key)

    monkeypatch.setattr(archive, "_name", name)
    store.listdir("")
    assert begun == ["a/x"]
    assert store.listdir("") == ["a", "b"]
    assert not store.is_empty("b")


def test_a_change_that_is_as_long_as_an_incomplete_one_is_kept(tmp_path: Path) -> None:
    """A change that replaces what a dead writer has left is not removed by others."""
    path = tmp_path / "a.zip"
    store, other = ZipStore(path), ZipStore(path)
    store["a"] = b"1"
    before = path.read_bytes()
    store["b"] = b"2"
    record = path.read_bytes()[len(before) :]
    store["c"] = b"3"
    # A record of the same size, of which only the first bytes were written.
    with path.open("ab") as file:
        file.write(record[:4] + bytes(len(record) - 4))
    assert "d" not in store
    assert "d" not in other
    other["d"] = b"4"
    store["e"] = b"5"
    expected = {"a": b"1", "b": b"2", "c": b"3", "d": b"4", "e": b"5"}
    assert dict(store) == dict(other) == dict(ZipStore(path)) == expected


def test_a_store_may_be_collected_while_another_has_locked_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    store, dropped = ZipStore(path), [ZipStore(path)]
    dropped[0].set("a", b"1")

    class Token:
        """A token whose comparison, while the file is locked, drops a store with changes."""

        def __eq__(self, other: object) -> bool:
            dropped.clear()
            gc.collect()
            return True

        __hash__ = None  # type: ignore[assignment]

    assert store.swap("b", b"2", Token())  # type: ignore[arg-type]
    assert dict(store) == {"a": b"1", "b": b"2"}
    store.close()
    assert sorted(zipfile.ZipFile(path).namelist()) == ["a", "b"]


def test_stores_may_be_collected_while_the_thread_is_started_that_finishes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python collects garbage wherever it makes objects, also where a thread has a lock."""
    paths = [tmp_path / f"{name}.zip" for name in "abcd"]
    archive._finishing.close()  # noqa: SLF001  (so that it starts a thread)
    stores: list[list[Any]] = []
    for path in paths:
        stores.append([ZipStore(path)])
        stores[-1][0]["a"] = b"1"

    def dropping(number: int, real: Any) -> Any:
        def call(*args: Any) -> Any:
            stores[number].clear()
            return real(*args)

        return call

    monkeypatch.setattr(threads, "_Member", dropping(1, threads._Member))  # noqa: SLF001
    monkeypatch.setattr(threads, "started", dropping(2, threads.started))

    def change() -> None:
        with stores[3][0]._held.archive._changing():  # noqa: SLF001
            stores[0].clear()

    elsewhere(change)
    archive._finishing.close()  # noqa: SLF001  (this waits for it)
    for path in paths[:3]:
        assert zipfile.ZipFile(path).namelist() == ["a"]
