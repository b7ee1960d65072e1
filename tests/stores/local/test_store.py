"""The local store, and failures of the file system."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from descriptors import open_below
from waits import join

from fastzarr.stores import DirectoryStore, HasFiles, LocalStore, NestedDirectoryStore, TempStore
from fastzarr.stores.local import folder
from fastzarr.testing import StoreTests


class TestLocalStore(StoreTests):
    """The common test suite."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        """Return a store whose folder and its parent folder are missing."""
        return LocalStore(tmp_path / "some" / "root")


class TestTempStore(StoreTests):
    """The common test suite, for the classes of zarr-python 2."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> TempStore:
        """Return a store in a new folder."""
        return TempStore(dir=str(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Return an empty store."""
    return LocalStore(tmp_path / "root")


def files(store: LocalStore) -> dict[str, bytes]:
    """Return all files in the file system, including temporary ones."""
    found = (path for path in store.root.rglob("*") if path.is_file())
    return {path.relative_to(store.root).as_posix(): path.read_bytes() for path in found}


def folders(store: LocalStore) -> list[str]:
    """Return all folders in the file system."""
    found = (path for path in store.root.rglob("*") if path.is_dir())
    return sorted(path.relative_to(store.root).as_posix() for path in found)


def fails(code: int) -> object:
    """Return a function that fails as a system call does."""

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


# Files and folders


def test_a_value_is_the_file_of_that_name(store: LocalStore) -> None:
    store.set("a/b", b"1")
    assert (store.root / "a" / "b").read_bytes() == b"1"
    (store.root / "a" / "c").write_bytes(b"2")
    assert store.get("a/c") == b"2"
    assert isinstance(store, HasFiles)
    assert store.files().root == str(store.root)


def test_nothing_is_made_before_the_first_write(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "x" / "y")
    assert store.get("a") is None
    assert store.is_empty()
    store.delete("a")
    store.clear()
    assert not (tmp_path / "x").exists()


def test_the_root_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStore("here")
    monkeypatch.chdir("/")
    store.set("a", b"1")
    assert (tmp_path / "here" / "a").read_bytes() == b"1"
    assert str(store) == f"file://{tmp_path}/here"


def test_a_file_is_not_a_valid_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match=r"this is a file.*file'"):
        LocalStore(tmp_path / "file")


def test_new_files_have_the_usual_permissions(store: LocalStore) -> None:
    old = os.umask(0o027)
    try:
        store.set("a", b"1")
    finally:
        os.umask(old)
    assert (store.root / "a").stat().st_mode & 0o777 == 0o640


def test_delete_removes_folders_left_empty(store: LocalStore) -> None:
    store.set("a/b/c/d", b"1")
    store.set("a/e", b"1")
    store.delete("a/b/c/d")
    assert folders(store) == ["a"]
    store.delete("a/e")
    assert folders(store) == []
    assert store.root.is_dir()
    store.set("x/y/z", b"1")
    store.delete_dir("x/y")
    assert folders(store) == []


def test_a_move_is_one_rename(store: LocalStore) -> None:
    store.set("a/b/c", b"1")
    before = (store.root / "a" / "b").stat().st_ino
    store.move("a/b", "x/y")
    assert (store.root / "x" / "y").stat().st_ino == before
    assert folders(store) == ["x", "x/y"]


def test_a_move_that_fails_leaves_all_as_it_was(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.set("a/b", b"1")
    monkeypatch.setattr(os, "rename", fails(errno.EACCES))
    with pytest.raises(PermissionError):
        store.move("a", "x/y/z")
    assert files(store) == {"a/b": b"1"}
    assert folders(store) == ["a"]


# Obstacles


def test_a_folder_where_a_value_should_be(store: LocalStore) -> None:
    store.set("a/b", b"1")
    for verb in (
        lambda: store.get("a"),
        lambda: store.get_ranges("a", [(0, 1)]),
        lambda: store.getsize("a"),
        lambda: store.validator("a"),
        lambda: store.set("a", b"2"),
        lambda: store.delete("a"),
    ):
        with pytest.raises(IsADirectoryError, match=r"root/a'"):
            verb()
    assert not store.exists("a")
    assert files(store) == {"a/b": b"1"}


def test_a_file_where_a_folder_should_be(store: LocalStore) -> None:
    store.set("a", b"1")
    for key in ("a/b", "a/b/c"):
        assert store.get(key) is None
        assert store.get_ranges(key, [(0, 1)]) is None
        assert not store.exists(key)
        store.delete(key)
        with pytest.raises(NotADirectoryError, match=f"cannot store key '{key}'"):
            store.set(key, b"2")
    assert [*store.list("a")] == []
    store.delete_dir("a/b")
    store.delete_dir("a")
    assert files(store) == {"a": b"1"}


def test_a_pipe_where_a_value_should_be(store: LocalStore) -> None:
    """Reading a pipe raises an error immediately instead of waiting for a writer."""
    store.set("a", b"1")
    os.mkfifo(store.root / "pipe")
    with pytest.raises(OSError, match="other than a regular file"):
        store.get("pipe")
    with pytest.raises(OSError, match="other than a regular file"):
        store.get_ranges("pipe", [(0, 1)])
    assert [*store.list()] == ["a"]


# Failing system calls


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_failing_open_is_not_a_missing_key(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store.set("a/b", b"1")
    monkeypatch.setattr(os, "open", fails(code))
    for verb in (
        lambda: store.get("a/b"),
        lambda: store["a/b"],
        lambda: store.get_many(["a/b"]),
        lambda: store.get_ranges("a/b", [(0, 1)]),
        lambda: store.set("a/b", b"2"),
        lambda: store.set("new", b"2"),
    ):
        with pytest.raises(OSError, match=r".") as caught:
            verb()
        assert caught.value.errno == code


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_failing_stat_is_not_a_missing_key(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store.set("a/b", b"1")
    monkeypatch.setattr(os, "stat", fails(code))
    # The extension leaves a folder to Python if it cannot be listed.
    monkeypatch.setattr(folder, "scan", lambda *_: None)
    monkeypatch.setattr(os, "scandir", fails(code))
    for verb in (
        lambda: store.exists("a/b"),
        lambda: store.getsize("a/b"),
        lambda: store.validator("a/b"),
        lambda: [*store.list()],
        lambda: [*store.list_dir("a")],
        store.is_empty,
        lambda: len(store),
        store.clear,
    ):
        with pytest.raises(OSError, match=r".") as caught:
            verb()
        assert caught.value.errno == code


@pytest.mark.parametrize(
    ("function", "verb"),
    [
        ("read", lambda store: store.get("a/b")),
        ("pread", lambda store: store.get_ranges("a/b", [(0, 1)])),
        ("write", lambda store: store.set("a/b", b"2")),
    ],
)
def test_a_failing_disk_is_named(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, function: str, verb: object
) -> None:
    store.set("a/b", b"1")
    monkeypatch.setattr(os, function, fails(errno.EIO))
    with pytest.raises(OSError, match=r"root/a/b'") as caught:
        verb(store)
    assert caught.value.errno == errno.EIO
    assert files(store) == {"a/b": b"1"}


def test_reads_and_writes_in_pieces(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading and writing continue if the system processes fewer bytes than requested."""
    read, pread, write = os.read, os.pread, os.write
    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, 3)))
    monkeypatch.setattr(os, "pread", lambda file, size, at: pread(file, min(size, 2), at))
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    store.set("a", b"0123456789")
    assert store.get("a") == b"0123456789"
    assert store.get_ranges("a", [(1, 7), (-3, None)]) == [b"1234567", b"789"]


@pytest.mark.parametrize("function", ["read", "pread"])
def test_a_file_cut_while_it_is_read(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Reading a file that is truncated at the same time raises an error."""
    store.set("a", b"0123456789")
    real = os.pread

    def cut(file: int, size: int, at: int = 0) -> bytes:
        data = real(file, size, at)
        os.truncate(store.root / "a", 4)
        return data[:4] if at == 0 else data

    monkeypatch.setattr(os, function, cut)
    verb = {"read": store.get, "pread": lambda key: store.get_ranges(key, [(0, None)])}[function]
    with pytest.raises(OSError, match=r"byte 4.*truncated while read.*root/a'"):
        verb("a")


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_write_that_fails_half_way(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, after: int, old: bytes | None
) -> None:
    """A failing write keeps the old value, if any, and leaves no temporary file."""
    if old is not None:
        store.set("a/b", old)
    real, calls = os.write, []

    def write(file: int, data: memoryview) -> int:
        calls.append(file)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data[:4])

    monkeypatch.setattr(os, "write", write)
    for verb in (
        lambda: store.set("a/b", b"0123456789"),
        lambda: store.swap("a/b", b"0123456789", store.validator("a/b")),
    ):
        calls.clear()
        with pytest.raises(OSError, match=r"No space.*root/a/b'"):
            verb()
        assert len(calls) == after + 1
    assert files(store) == ({} if old is None else {"a/b": old})
    assert store.get("a/b") == old


@pytest.mark.parametrize("function", ["replace", "close"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "disk error"), KeyboardInterrupt()])
def test_a_write_that_fails_at_its_end(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException
) -> None:
    """A failing or interrupted rename keeps the old value and leaves no temporary file."""
    store.set("a", b"old")
    real = os.close

    def fail(*args: object) -> None:
        if function == "close":
            real(*args)
        raise error

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(error)):
        store.set("a", b"new")
    monkeypatch.undo()
    assert files(store) == {"a": b"old"}


def test_a_new_value_that_fails_at_its_end(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing exclusive creation leaves no file."""
    monkeypatch.setattr(os, "link", fails(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        store.swap("a", b"1", None)
    assert files(store) == {}


def test_a_tree_is_deleted_in_one_step(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree is invisible as soon as its deletion begins, even if that fails halfway."""
    store.set("g/a/b", b"1")
    store.set("g/a/c", b"1")
    monkeypatch.setattr("shutil.rmtree", fails(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        store.delete_dir("g/a")
    assert store.is_empty()
    assert [*store.list_dir("g")] == []


def test_temporary_files_are_never_shown(store: LocalStore) -> None:
    """Files left by a killed process are never listed; deleting everything deletes them."""
    store.set("a/b", b"1")
    for name in (".1.fastzarr-tmp", "a/.2.fastzarr-tmp"):
        (store.root / name).write_bytes(b"half")
    (store.root / ".3.fastzarr-tmp" / "x").mkdir(parents=True)
    (store.root / ".3.fastzarr-tmp" / "x" / "y").write_bytes(b"half")
    assert [*store.list()] == [*store] == ["a/b"]
    assert [*store.list_dir()] == ["a"]
    assert [*store.list_dir("a")] == ["b"]
    assert len(store) == store.getsize_prefix() == 1
    store.delete("a/b")
    assert store.is_empty()
    store.clear()
    assert files(store) == {}


# Concurrency


def test_trees_go_while_others_write_in_them(store: LocalStore) -> None:
    """A write during the removal of its folder succeeds, entirely before or entirely after it."""
    failures: list[BaseException] = []
    done = threading.Event()

    def write(name: str) -> None:
        try:
            for i in range(150):
                store.set(f"a/b/{name}", bytes([i]) * 5000)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    def remove() -> None:
        try:
            while not done.is_set():
                store.delete_dir("a/b")
                store.clear()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    writers = [threading.Thread(target=write, args=(name,)) for name in "xyz"]
    remover = threading.Thread(target=remove)
    for thread in (*writers, remover):
        thread.start()
    join(*writers)
    done.set()
    join(remover)
    assert not failures
    for name in "xyz":
        store.set(f"a/b/{name}", b"end")
    assert files(store) == {f"a/b/{name}": b"end" for name in "xyz"}


def test_processes_lose_no_update(store: LocalStore) -> None:
    """Several processes that count by compare-and-swap reach the total number of swaps."""
    store.set("n", b"0")
    program = (
        "import sys; from fastzarr.stores import LocalStore\n"
        "store = LocalStore(sys.argv[1])\n"
        "for _ in range(50):\n"
        "    while True:\n"
        "        token = store.validator('n'); n = int(store['n'])\n"
        "        if store.swap('n', b'%d' % (n + 1), token): break\n"
        "print(store.swap('new', b'1', None))\n"
    )
    command = [sys.executable, "-c", program, str(store.root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]  # noqa: S603
    answers = sorted(process.communicate()[0].strip() for process in running)
    assert answers == [b"False", b"False", b"False", b"True"]
    assert store["n"] == b"200"


# Budgets


def test_a_read_takes_three_frames(store: LocalStore) -> None:
    store.set("a/c/0/0", b"x" * 100_000)
    store.get("a/c/0/0")
    frames: list[str] = []

    def count(frame: object, event: str, _arg: object) -> None:
        if event == "call" and "fastzarr" in frame.f_code.co_filename:
            frames.append(frame.f_code.co_name)

    sys.setprofile(count)
    try:
        store.get("a/c/0/0")
    finally:
        sys.setprofile(None)
    assert len(frames) <= 3, frames


def test_no_file_stays_open(store: LocalStore) -> None:
    store.set("a/b", b"1")
    before = open_below(Path(store.root))
    for _ in range(3):
        store.get("a/b")
        store.get_ranges("a/b", [(0, 1)])
        store.get("x")
        store.swap("a/b", b"2", store.validator("a/b"))
        with pytest.raises(IsADirectoryError):
            store.get("a")
        [*store.list()]
    assert open_below(Path(store.root)) == before


# The names of zarr-python 2


def test_directory_stores(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    assert (store.path, store.dimension_separator) == (str(tmp_path), None)
    assert DirectoryStore(tmp_path, False, "/").dimension_separator == "/"  # noqa: FBT003
    assert NestedDirectoryStore(tmp_path).dimension_separator == "/"
    assert store == NestedDirectoryStore(tmp_path) == LocalStore(tmp_path)
    assert store != LocalStore(tmp_path / "x")
    assert pickle.loads(pickle.dumps(NestedDirectoryStore(tmp_path))).dimension_separator == "/"
    with pytest.raises(ValueError, match="normalize_keys"):
        DirectoryStore(tmp_path, normalize_keys=True)
    with pytest.raises(ValueError, match=r"must be '/' in a nested store, not '\.'"):
        NestedDirectoryStore(tmp_path, dimension_separator=".")


def test_a_temporary_store_goes_with_its_process(tmp_path: Path) -> None:
    """The folder is deleted when its process exits, but not when a forked child exits."""
    program = (
        "import os, sys; from fastzarr.stores import TempStore\n"
        "store = TempStore(prefix='pre', suffix='suf', dir=sys.argv[1]); store['a'] = b'1'\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(store['a'], os.path.basename(store.path))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603
    value, name = answer.stdout.split()
    assert value == "b'1'"
    assert name.startswith("pre")
    assert name.endswith("suf")
    assert not any(tmp_path.iterdir())


def test_a_turn_that_found_nothing_removes_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    turn = store.turn("a")
    assert turn.get() is None
    store.set("a", b"of another writer")
    assert turn.put(None)
    turn.end()
    assert store.get("a") == b"of another writer"


def test_old_temporary_files_of_dead_writers_are_deleted(store: LocalStore) -> None:
    """Listing deletes temporary files and folders that are old, unless they are locked."""
    import fcntl

    store.set("g/a", b"1")
    old, young = store.root / "g/.1.fastzarr-tmp", store.root / "g/.2.fastzarr-tmp"
    tree, held = store.root / "g/.3.fastzarr-tmp", store.root / "g/.4.fastzarr-tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    for path in (tree, held):
        path.mkdir()
        (path / "zarr.json").write_bytes(b"half")
    for path in (old, tree, held):
        os.utime(path, (1, 1))
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert [*store.with_read_only().list_dir("g")] == ["a"]
    assert old.exists()
    assert [*store.list_dir("g")] == ["a"]
    assert [path.exists() for path in (old, tree, young, held)] == [False, False, True, True]
    os.close(lock)
    assert [*store.list("g")] == ["g/a"]
    assert not held.exists()
