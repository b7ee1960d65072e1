"""Writing of values in a local store: turns, durability, and limited file systems.

Rules of this file:

* Both data paths are observed by their system calls (``torture/trap.py``).
* A file system without locks or links is simulated by system calls that fail as they do there.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import pkgutil
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from platform import machine
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from descriptors import open_below
from waits import join

import fastzarr as zarr
from fastzarr import native
from fastzarr.errors import ChunkIOError, KeyValidationError, ZarrRuntimeWarning
from fastzarr.stores import LocalStore
from fastzarr.stores.local import system

if TYPE_CHECKING:
    from collections.abc import Callable

SHARDS: dict[str, Any] = {"chunks": 2, "shards": 4}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "root")


def there(folder: Path) -> list[str]:
    """Return the names of all files, including temporary ones."""
    found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def fails(code: int) -> Callable[..., None]:
    """Return a function that fails as a system call does."""

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


# Turns


def test_a_writer_that_found_no_value_does_not_replace_one(store: LocalStore) -> None:
    turn = store.turn("a")
    assert turn.get() is None
    LocalStore(store.root).set("a", b"theirs")
    assert not turn.put(b"mine")
    assert turn.get() == b"theirs"
    assert turn.put(b"mine after theirs")
    turn.end()
    assert store.get("a") == b"mine after theirs"
    turn = store.turn("b")
    assert turn.get() is None
    store.set("b", b"theirs")
    assert turn.put(None)
    turn.end()
    assert store.get("b") == b"theirs"


@pytest.mark.parametrize("last", [b"12", None])
def test_who_waits_sees_what_the_one_before_has_left(last: bytes | None, store: LocalStore) -> None:
    store.set("a", b"1")
    seen: list[bytes | None] = []

    def make(old: bytes | None) -> bytes:
        seen.append(old)
        return (old or b"") + b"x"

    first = store.turn("a")
    assert first.get() == b"1"
    other = LocalStore(store.root)
    waiting = threading.Thread(target=other.change, args=("a", make))
    waiting.start()
    threading.Event().wait(0.05)
    assert seen == []
    first.put(last)
    first.end()
    join(waiting)
    assert seen == [last]
    assert store.get("a") == (last or b"") + b"x"


def test_a_turn_ends_though_a_child_was_forked_in_it(store: LocalStore) -> None:
    store.set("a", b"1")
    end, go = os.pipe()
    turn = store.turn("a")
    turn.get()
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(end, 1)  # until the parent has exited
        os._exit(0)
    os.close(end)
    turn.end()
    words = ("a", lambda old: (old or b"") + b"2")
    other = threading.Thread(target=store.change, args=words, daemon=True)
    other.start()
    other.join(30)
    ended = not other.is_alive()
    os.close(go)
    os.waitpid(child, 0)
    assert ended, "the child still has the lock"
    assert store.get("a") == b"12"


@pytest.mark.parametrize(
    "hold",
    [
        "turn = store.turn('a'); turn.get()",
        "draft = store.draft('b')",
        "block = store.transaction(''); block.__enter__()",
    ],
)
def test_a_lock_ends_with_its_process_though_a_forked_child_lives(
    hold: str, store: LocalStore
) -> None:
    store.set("a", b"1")
    code = (
        "import os, signal\n"
        "from fastzarr.stores import LocalStore\n"
        f"store = LocalStore({str(store.root)!r})\n"
        f"{hold}\n"
        "if os.fork() == 0:\n"
        "    print('forked', flush=True)\n"
        "    os.read(0, 1)\n"  # until the test closes the pipe
        "    os._exit(0)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", code]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:  # noqa: S603
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"forked\n"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        paths = [store.root, *Path(store.root).rglob("*")]
        locked = [path for path in paths if system.is_locked(str(path))]
        process.stdin.close()
    assert locked == []


def test_a_forked_child_does_not_end_the_lock_of_its_parent(store: LocalStore) -> None:
    store.set("a", b"1")
    turn = store.turn("a")
    turn.get()
    child = os.fork()
    if child == 0:
        turn.end()
        os._exit(0)
    os.waitpid(child, 0)
    assert system.is_locked(f"{store.root}/a")
    turn.end()
    assert not system.is_locked(f"{store.root}/a")


def test_nothing_is_left_of_a_turn(store: LocalStore, tmp_path: Path) -> None:
    for key in ("a/b", "new", "gone"):
        store.set("gone", b"1")
        before = open_below(tmp_path)
        store.change(key, lambda old: None if old else b"x")
        store.set(key, b"2")
        with pytest.raises(ZeroDivisionError):
            store.change(key, lambda _: b"%d" % (1 // 0))
        assert open_below(tmp_path) == before
    assert there(tmp_path / "root") == ["a/b", "gone", "new"]


# Other things in place of a chunk


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("options", [{"chunks": 4}, SHARDS], ids=["chunks", "shards"])
@pytest.mark.parametrize("target", ["nowhere", "outside", "inside"])
def test_a_link_at_the_place_of_a_chunk_is_replaced_not_written_through(
    target: str, options: dict[str, Any], tmp_path: Path
) -> None:
    z = zarr.create_array(tmp_path / "z", shape=8, dtype="i4", **options)
    z[:] = np.arange(1, 9)
    chunk, other = (tmp_path / "z" / "c" / name for name in "01")
    outside = tmp_path / "outside"
    outside.write_bytes(chunk.read_bytes())
    chunk.unlink()
    chunk.symlink_to({"nowhere": "gone", "outside": outside, "inside": other}[target])
    before = outside.read_bytes(), other.read_bytes()
    if target == "outside":
        # The old value cannot be read, so no part of it can be kept.
        with pytest.raises(KeyValidationError, match="leads out"):
            z[0] = 50
        assert chunk.is_symlink()
    else:
        z[0] = 50
        rest = [6, 7, 8] if target == "inside" else [0, 0, 0]
        assert z[:4].tolist() == [50, *rest]
        assert not chunk.is_symlink()
        chunk.unlink()
        chunk.symlink_to({"nowhere": "gone", "inside": other}[target])
    z[:4] = 60
    assert z[:].tolist() == [60] * 4 + [5, 6, 7, 8]
    assert not chunk.is_symlink()
    assert (outside.read_bytes(), other.read_bytes()) == before
    chunk.unlink()
    chunk.symlink_to("gone")
    z[:4] = 0
    assert not chunk.is_symlink()
    assert z[:4].tolist() == [0] * 4


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("kind", ["link out", "link inside", "folder"])
def test_what_may_be_on_the_way_to_a_chunk(kind: str, tmp_path: Path) -> None:
    z = zarr.create_array(tmp_path / "z", shape=(4, 4), chunks=2, dtype="i4")
    z[...] = 1
    row = tmp_path / "z" / "c" / "0"
    elsewhere = (tmp_path / "z" if kind == "link inside" else tmp_path) / "elsewhere"
    row.rename(elsewhere)
    if kind == "folder":
        (row / "0").mkdir(parents=True)
        for value in (5, [[5, 5], [5, 5]]):
            with pytest.raises(OSError, match=r"c/0/0"):
                z[:2, :2] = value
        with pytest.raises(OSError, match=r"c/0/0"):
            z[0, 0]
        z[:2, 2:] = 5
        assert (z[:2, 2:] == 5).all()
        return
    row.symlink_to(elsewhere)
    z = zarr.open_array(tmp_path / "z")
    before = {path.name: path.read_bytes() for path in elsewhere.iterdir()}
    if kind == "link inside":
        z[0, :] = 5
        assert z[:2].tolist() == [[5] * 4, [1] * 4]
        assert row.is_symlink()
        return
    for value in (5, 0):
        with pytest.raises(KeyValidationError, match="leads out"):
            z[0, :] = value
        with pytest.raises(KeyValidationError, match="leads out"):
            z[:2] = value
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == before
    z[2:] = 7
    assert (z[2:] == 7).all()


# Durability


class Watched:
    """Records the files that are synced during some work, with the data path of the test."""

    def __init__(self, folder: Path) -> None:
        from torture.trap import CHANGES, Trap

        self.folder, self.watch, self.trap = folder, CHANGES, Trap()

    def synced(self, work: Callable[[], object]) -> list[str]:
        """Return the paths that were synced, sorted; a temporary file is called "file"."""
        from torture.trap import read_trace

        trace = self.folder.parent / "trace"
        outcome = self.trap.run(work, self.folder, watch=self.watch, trace=str(trace))
        assert not outcome.trouble, outcome.trouble
        found = [
            call["path"] for call in read_trace(trace) if call["kind"] in ("fsync", "fdatasync")
        ]
        trace.unlink()
        return sorted("file" if path.endswith("tmp") else path for path in found)


@pytest.fixture
def watched(tmp_path: Path, data_path: str) -> Watched:
    assert data_path
    if sys.platform != "linux" or machine() != "x86_64":
        pytest.skip("the traps know Linux on x86-64 only")
    (tmp_path / "root").mkdir()
    return Watched(tmp_path / "root")


@pytest.mark.parametrize("options", [{}, {"shards": 4}, {"zarr_format": 2}], ids=str)
@pytest.mark.parametrize("durability", ["replace", "full"])
def test_a_shrink_syncs_each_folder_once_for_all_its_chunks(
    durability: str, options: dict[str, Any], watched: Watched
) -> None:
    store = LocalStore(watched.folder / "g", durability=durability)
    z = zarr.create_array(store, name="x", shape=120, chunks=2, dtype="i1", **options)
    z[:] = 1
    many = watched.synced(lambda: z.resize(20))
    assert z.nchunks_initialized == 10
    assert watched.synced(lambda: z.resize(12)) == many
    z.resize(100)
    assert z[:].tolist() == [1] * 12 + [0] * 88


@pytest.mark.parametrize("durability", ["none", "replace", "full"])
def test_many_keys_are_deleted_with_one_sync_of_each_folder(
    durability: str, watched: Watched
) -> None:
    store = LocalStore(watched.folder / "g", durability=durability)
    keys = [f"a/{x}/{y}" for x in "bc" for y in range(9)]
    store.setitems(dict.fromkeys([*keys, "a/b/kept"], b"1"))
    folders = ["", "g", "g/a", "g/a/b"] if durability == "full" else []
    found = watched.synced(lambda: store.delitems([*keys, "a/missing"]))
    assert found == folders
    assert [*store] == ["a/b/kept"]
    assert [path.name for path in (watched.folder / "g" / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("given", ["argument", "config"])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("durability", "new", "again", "document"),
    [("none", 0, 0, 0), ("replace", 0, 1, 1), ("full", 1, 1, 1)],
)
def test_files_synced_before_a_call_returns(
    durability: str,
    new: int,
    again: int,
    document: int,
    given: str,
    zarr_format: int,
    watched: Watched,
) -> None:
    z = zarr.create_array(
        LocalStore(watched.folder / "g", durability="none"),
        name="x",
        shape=6,
        chunks=2,
        dtype="i4",
        zarr_format=zarr_format,
    )
    z[:4] = 1
    argument = durability if given == "argument" else None
    if given == "config":
        zarr.config.set({"durability": durability})
    z = zarr.open_array(LocalStore(watched.folder / "g", durability=argument), path="x")
    files = watched.synced(lambda: z.__setitem__(slice(4, 6), 2)).count("file")
    assert files == new
    assert watched.synced(lambda: z.__setitem__(slice(0, 2), 3)).count("file") == again
    assert watched.synced(lambda: z.__setitem__(slice(1, 3), 4)).count("file") == 2 * again
    assert watched.synced(lambda: z.attrs.update(a=1)).count("file") == document
    folders = [path for path in watched.synced(lambda: z.__setitem__(5, 3)) if path != "file"]
    assert bool(folders) == (durability == "full")
    if durability == "none":
        everything = [
            lambda: z.append([1, 2]),
            lambda: z.resize(3),
            lambda: zarr.zeros(4, store=z.store, path="y", overwrite=True),
            lambda: zarr.group(z.store, path="g", overwrite=True),
            lambda: zarr.open_group(z.store).move("y", "h/z"),
            lambda: zarr.open_group(z.store).__delitem__("x"),
            z.store.close,
        ]
        for work in everything:
            assert watched.synced(work) == []


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("durability", "files"), [("none", 0), ("replace", 3), ("full", 3)])
def test_an_append_syncs_its_chunks_and_its_document_once(
    durability: str, files: int, zarr_format: int, watched: Watched
) -> None:
    store = LocalStore(watched.folder / "g", durability=durability)
    made: dict[str, Any] = {"chunks": (2, 2), "dtype": "i4", "zarr_format": zarr_format}
    z = zarr.create_array(store, name="x", shape=(3, 4), **made)
    z[:] = 1
    # Two chunks are replaced, then two are new.
    for _ in range(2):
        synced = watched.synced(lambda: z.append(np.full((1, 4), 2, "i4")))
        assert synced.count("file") == files
    found = zarr.open_array(store, path="x")[:]
    assert found.tolist() == [[1] * 4] * 3 + [[2] * 4] * 2


@pytest.mark.parametrize("durability", ["none", "replace", "full"])
def test_the_disk_has_the_document_of_an_append_before_its_data(
    durability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastzarr.nodes import resize

    root = tmp_path / "x"
    z = zarr.create_array(LocalStore(root, durability=durability), shape=4, chunks=4, dtype="i4")
    z[:] = 1
    before = there(root)
    values = {name: (root / name).read_bytes() for name in before}
    meanwhile: list[str] = []

    def fail(*_args: object, **_more: object) -> None:
        meanwhile.extend(set(there(root)).difference(before))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(resize.run, "run_write", fail)
    with pytest.raises(OSError, match="No space left"):
        z.append([2])
    # Only then the disk can write all of it at once.
    assert len(meanwhile) == (0 if durability == "none" or not system.HAS_LOCKS else 1)
    # The failure leaves nothing.
    assert {name: (root / name).read_bytes() for name in there(root)} == values
    monkeypatch.undo()
    z.append([3])
    assert zarr.open_array(root)[:].tolist() == [1, 1, 1, 1, 3]


def test_another_durability_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none, replace, full, not 'ful'"):
        LocalStore(tmp_path, durability="ful")
    with pytest.raises(ValueError, match="not True"):
        LocalStore(tmp_path, durability=True)
    store = LocalStore(tmp_path)
    z = zarr.zeros(4, store=store, chunks=2)
    for data_path in ("native", "numpy"):
        with (
            pytest.raises(ValueError, match=r"durability: must be one of .*, not 'maximum'"),
            zarr.config.set({"durability": "maximum", "data_path": data_path}),
        ):
            z[:] = 1
    assert not z[:].any()
    assert there(tmp_path) == ["zarr.json"]


def test_flush_and_close_sync_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(native, "sync", synced.append)
    store = LocalStore(tmp_path / "z")
    store.flush()
    store.close()
    assert synced == [] or not (tmp_path / "z").exists()
    root = zarr.open_group(store)
    root["x"] = [1, 2]
    synced.clear()
    for node in (root, root["x"], store):
        node.flush()
    assert synced == [str(tmp_path / "z")] * 3
    root["x"].close()
    assert len(synced) == 3, "nothing was written since"
    root["x"][0] = 5
    root.close()
    assert len(synced) == 4
    with zarr.open_group(store) as group:
        group.attrs["a"] = 1
    assert len(synced) == 5
    careless = zarr.open_group(LocalStore(tmp_path / "z", durability="none"))
    careless["x"][0] = 6
    careless.close()
    assert len(synced) == 5
    careless.flush()
    assert len(synced) == 6


# Limited file systems


POOR = [errno.ENOSYS, errno.EPERM, errno.ENOLCK, errno.EOPNOTSUPP]


@pytest.mark.parametrize("code", POOR, ids=errno.errorcode.__getitem__)
def test_threads_lose_nothing_without_locks_and_links(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", fails(code))
    monkeypatch.setattr(os, "link", fails(code))
    zarr.config.set({"data_path": "numpy"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        z = zarr.open_array(tmp_path / "z", mode="w", shape=40, chunks=20, dtype="i4")
        made = []

        def work(number: int) -> None:
            store = LocalStore(tmp_path / "z", durability="none")
            mine = zarr.open_array(store, mode="r+")
            mine[number::4] = number + 1
            mine.attrs[str(number)] = number
            made.append(store.swap("c/2", b"%d" % number, None))
            zarr.open_group(LocalStore(tmp_path / "g", durability="none"), mode="a")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert z[:].tolist() == [1, 2, 3, 4] * 10
        zarr.zeros(3, store=tmp_path / "z", overwrite=True, zarr_format=2)[0] = 1
    assert sorted(made) == [False, False, False, True]
    said = [w for w in caught if issubclass(w.category, ZarrRuntimeWarning)]
    assert len(said) == 2, "once of each store"
    assert "different processes must not" in str(said[0].message)
    assert [name for name in there(tmp_path) if "tmp" in name] == []


def test_a_store_without_locks_is_warned_of_once_for_all_its_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing refers to the store between two changes."""
    monkeypatch.setattr(fcntl, "flock", fails(errno.ENOLCK))
    monkeypatch.setattr(os, "link", fails(errno.EPERM))
    zarr.config.set({"data_path": "numpy"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in "abc":
            zarr.open_group(tmp_path / "g", mode="a").create_array(name, shape=4, dtype="i4")
            gc.collect()
            zarr.open_group(tmp_path / "g")[name][:3] = 1
            gc.collect()
            with zarr.open_group(tmp_path / "g").transaction() as group:
                group[name][2:] = 2
            gc.collect()
    [warning] = caught
    assert f"file://{tmp_path / 'g'} lacks locks of files" in str(warning.message)
    assert warning.filename == __file__


def test_a_file_is_locked_open_for_writing_where_only_that_can_be(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On network file systems, which only lock files open for writing, locking works too."""
    real, locked = fcntl.flock, []

    def flock(file: int, operation: int) -> None:
        if not fcntl.fcntl(file, fcntl.F_GETFL) & os.O_RDWR:
            raise OSError(errno.EBADF, "Bad file descriptor")
        locked.append(operation)
        real(file, operation)

    store.set("a", b"1")
    monkeypatch.setattr(fcntl, "flock", flock)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.change("a", lambda old: (old or b"") + b"2")
    assert store["a"] == b"12"
    assert locked == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN]


def test_the_twin_runs_what_the_extension_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    z = zarr.create_array(tmp_path / "z", shape=4, chunks=2, dtype="i4")

    class Extension:
        code = errno.ENOLCK

        def write(self, *_given: object) -> tuple[object, ...]:
            return (0,), "store", "io", os.strerror(self.code), self.code, None

        read = write

    monkeypatch.setattr("fastzarr.engine.run.extension", Extension())
    z[:3] = [1, 2, 3]
    assert z[:].tolist() == [1, 2, 3, 0]
    Extension.code = errno.EIO
    for verb in (lambda: z[:], lambda: z.__setitem__(0, 5)):
        with pytest.raises(ChunkIOError, match="Input/output"):
            verb()


def test_a_lock_that_fails_otherwise_is_an_error(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.set("a", b"1")
    monkeypatch.setattr(system.fcntl, "flock", fails(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        store.set("a", b"2")
    monkeypatch.undo()
    monkeypatch.setattr(os, "link", fails(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        store.set("b", b"2")
    assert dict(store) == {"a": b"1"}
    assert there(store.root) == ["a"]


def test_a_lock_that_has_ended_closes_no_other_file(tmp_path: Path) -> None:
    """A thread that looks through all locks refers to this one a little longer."""
    looking = pkgutil.resolve_name("fastzarr.stores.local.system:_forks").held
    lock = system.FileLock.open(lambda: os.open(tmp_path, os.O_RDONLY))
    number, seen = lock.file, tuple(looking.values())
    lock.end()
    other = os.open(tmp_path, os.O_RDONLY)
    del lock
    gc.collect()
    assert seen
    assert other == number
    os.close(other)
