"""zarr-python 2's synchronizers: locks by key, held by every change.

Rules of this file:

* The store without locks is a mapping over files, so that only a synchronizer excludes other
  processes. Each write to it deliberately waits, so that others can intervene.
"""

from __future__ import annotations

import errno
import os
import pickle
import threading
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import join, wait_for

import fastzarr as zarr
from fastzarr.stores import LocalStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path


class Files(MutableMapping[str, bytes]):
    """A mapping of names to the files of a folder, which waits a little before each write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __getitem__(self, key: str) -> bytes:
        try:
            return (self.root / key).read_bytes()
        except OSError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, value: bytes) -> None:
        threading.Event().wait(0.0005)
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
        new.write_bytes(value)
        new.replace(path)

    def __delitem__(self, key: str) -> None:
        try:
            (self.root / key).unlink()
        except OSError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        paths = self.root.rglob("*")
        return (path.relative_to(self.root).as_posix() for path in paths if path.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Recording:
    """A user's synchronizer, which records the keys of the locks it was asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __getitem__(self, name: str) -> AbstractContextManager[None]:
        @contextmanager
        def lock() -> Iterator[None]:
            self.names.append(name)
            yield

        return lock()


def in_children(count: int, work: Callable[[int], None]) -> None:
    """Run a function in several forked children; fail the test unless all succeed."""
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(number)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * count


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run a function in several threads."""
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, range(count)))


@pytest.fixture(params=["thread", "process"])
def synchronizer(request: Any, tmp_path: Path) -> Any:
    if request.param == "thread":
        return zarr.ThreadSynchronizer()
    return zarr.ProcessSynchronizer(tmp_path / "locks")


# The locks


def test_one_thread_has_a_lock_at_a_time(synchronizer: Any) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with synchronizer["a/0.0"]:
                inside.append(number)
                threading.Event().wait(0.0001)
                most.append(len(inside))
                inside.remove(number)

    in_threads(4, work)
    assert max(most) == 1
    assert len(most) == 80


def test_another_name_is_another_lock(synchronizer: Any) -> None:
    entered = threading.Event()

    def enter() -> None:
        with synchronizer["b"]:
            entered.set()

    with synchronizer["a"], synchronizer["a/b"[:1]]:
        thread = threading.Thread(target=enter)
        thread.start()
        join(thread)
    assert entered.is_set()


def test_a_lock_is_given_back_when_its_block_raises(synchronizer: Any) -> None:
    with pytest.raises(ValueError, match="inside"), synchronizer["a"]:
        int("inside")
    test_another_name_is_another_lock(synchronizer)
    done = []
    thread = threading.Thread(target=lambda: done.append(synchronizer["a"].__enter__()))
    thread.start()
    join(thread)
    assert done


def test_a_synchronizer_goes_through_a_pickle_with_its_array(synchronizer: Any) -> None:
    z = zarr.zeros(4, chunks=2, synchronizer=synchronizer, store=MemoryStore())
    copy = pickle.loads(pickle.dumps(z))
    assert type(copy.synchronizer) is type(synchronizer)
    copy[0] = 1
    copy.attrs["a"] = 1
    with synchronizer["a"]:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            other = pickle.loads(pickle.dumps(synchronizer, protocol))
            with other["b"]:
                pass
    if isinstance(synchronizer, zarr.ProcessSynchronizer):
        assert copy.synchronizer.path == synchronizer.path


def test_a_child_starts_without_the_locks_of_its_parent(synchronizer: Any) -> None:
    has, go = threading.Event(), threading.Event()

    def hold() -> None:
        with synchronizer["a"]:
            has.set()
            wait_for(go)

    thread = threading.Thread(target=hold)
    thread.start()
    wait_for(has)
    if isinstance(synchronizer, zarr.ThreadSynchronizer):

        def child(_: int) -> None:
            with synchronizer["a"]:
                pass

        in_children(1, child)
    go.set()
    join(thread)

    # A child forked inside the block does not own the lock either.
    with synchronizer["a"]:
        ready, waiting = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                with zarr.ProcessSynchronizer(getattr(synchronizer, "path", "/nowhere"))["b"]:
                    code = 0
                if isinstance(synchronizer, zarr.ProcessSynchronizer):
                    os.write(waiting, b"1")
                    with synchronizer["a"]:
                        os.write(waiting, b"2")
            except OSError:
                code = 0 if isinstance(synchronizer, zarr.ThreadSynchronizer) else 1
            finally:
                os._exit(code)
        # There is nothing to read when the child has ended.
        os.close(waiting)
        if isinstance(synchronizer, zarr.ProcessSynchronizer):
            assert os.read(ready, 1) == b"1"
            threading.Event().wait(0.05)
            os.set_blocking(ready, False)
            with pytest.raises(BlockingIOError):
                os.read(ready, 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_lock_is_kept_while_it_is_acquired_again(tmp_path: Path) -> None:
    synchronizer = zarr.ProcessSynchronizer(tmp_path / "locks")
    (tmp_path / "same").symlink_to(tmp_path / "locks")
    ready, answer = os.pipe()
    with synchronizer["x/0"]:
        for again in (synchronizer, zarr.ProcessSynchronizer(tmp_path / "same")):
            with again["x/0"]:
                pass
        child = os.fork()
        if child == 0:
            try:
                with synchronizer["x/0"]:
                    os.write(answer, b"child")
            finally:
                os._exit(0)
        threading.Event().wait(0.05)
        os.write(answer, b"first")
    os.waitpid(child, 0)
    assert os.read(ready, 10) == b"firstchild"


def test_a_deadlock_falsely_reported_by_the_system_is_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    codes = [errno.EDEADLK, errno.EDEADLK, None, errno.ENOLCK]
    real = fcntl.lockf

    def lockf(*args: Any) -> None:
        code = codes.pop(0)
        if code is not None:
            raise OSError(code, os.strerror(code))
        real(*args)

    monkeypatch.setattr(fcntl, "lockf", lockf)
    synchronizer = zarr.ProcessSynchronizer(tmp_path)
    with synchronizer["a"]:
        assert codes == [errno.ENOLCK]
    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)), synchronizer["a"]:
        pass
    monkeypatch.undo()
    with synchronizer["a"]:
        pass


def test_the_files_of_locks_are_in_their_own_folder(tmp_path: Path) -> None:
    synchronizer = zarr.ProcessSynchronizer(tmp_path / "a" / "locks")
    assert not (tmp_path / "a").exists()
    z = zarr.open_array(
        tmp_path / "z", shape=4, chunks=2, synchronizer=synchronizer, zarr_format=2, mode="w"
    )
    z[0] = 1
    z.attrs["a"] = 1
    assert sorted(path.name for path in (tmp_path / "z").iterdir()) == [".zarray", ".zattrs", "0"]
    found = {path.name for path in (tmp_path / "a" / "locks").iterdir()}
    assert found >= {"0", ".zarray", ".zattrs"}


# Writers


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("kind", ["mapping", "local"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_threads_and_processes_lose_nothing_with_a_process_synchronizer(
    kind: str, zarr_format: int, tmp_path: Path
) -> None:
    place = tmp_path / "z"
    synchronizer = zarr.ProcessSynchronizer(str(tmp_path / "locks"))
    processes, threads, size = 3, 3, 45
    z = zarr.create(
        size,
        chunks=15,
        dtype="i4",
        store=Files(place) if kind == "mapping" else LocalStore(place, durability="none"),
        zarr_format=zarr_format,
        synchronizer=synchronizer,
        fill_value=-1,
    )
    given = pickle.dumps(z)

    def work(process: int) -> None:
        mine = pickle.loads(given)

        def thread(number: int) -> None:
            at = process * threads + number
            mine[at :: processes * threads] = at
            mine.attrs[str(at)] = at
            pickle.loads(given).append([100 + at])

        in_threads(threads, thread)

    in_children(processes, work)
    z = zarr.open_array(z.store, mode="r")
    total = processes * threads
    np.testing.assert_array_equal(z[:size], np.arange(size) % total)
    assert sorted(z[size:]) == list(range(100, 100 + total))
    assert dict(z.attrs) == {str(at): at for at in range(total)}


@pytest.mark.usefixtures("data_path")
def test_threads_lose_nothing_over_a_mapping(tmp_path: Path) -> None:
    for synchronizer in (None, zarr.ThreadSynchronizer()):
        z = zarr.create(
            40,
            chunks=20,
            dtype="i4",
            store=Files(tmp_path / str(synchronizer)),
            fill_value=-1,
            synchronizer=synchronizer,
        )

        def work(number: int, z: zarr.Array = z) -> None:
            z[number::4] = number
            z.attrs[str(number)] = number
            z.append([number])
            zarr.open_array(z.store).resize(100)

        in_threads(4, work)
        z.refresh()
        np.testing.assert_array_equal(z[:40], np.arange(40) % 4)
        assert len(z.attrs) == 4
        assert z.shape[0] >= 100


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_each_key_has_the_lock_of_its_name(zarr_format: int) -> None:
    own = Recording()
    root = zarr.group(MemoryStore(), zarr_format=zarr_format, synchronizer=own)
    z = root.create_array("g/x", shape=4, chunks=2, dtype="i4", fill_value=0)
    own.names.clear()
    chunks = ["g/x/0", "g/x/1"] if zarr_format == 2 else ["g/x/c/0", "g/x/c/1"]
    documents = ["g/x/.zarray", "g/x/.zattrs"] if zarr_format == 2 else ["g/x/zarr.json"]
    z[:] = 1
    assert sorted(own.names) == chunks
    own.names.clear()
    z[1] = 2
    assert own.names == chunks[:1]
    own.names.clear()
    z.attrs["a"] = 1
    assert own.names[-len(documents) :] == documents
    own.names.clear()
    root.attrs["a"] = 1
    # zarr-python 2 holds the lock of the attributes while it changes them.
    assert own.names[-1] == (".zattrs" if zarr_format == 2 else "zarr.json")
    own.names.clear()
    z.append([1, 2])
    assert own.names[-len(documents) - 1 :] == [*documents, chunks[0].replace("0", "2")]
    own.names.clear()
    z.resize(2)
    assert set(documents) <= {*own.names}
    assert z[:].tolist() == [1, 2]


# Functions that accept a synchronizer


OPENERS: dict[str, Callable[..., Any]] = {
    "create": lambda s, **k: zarr.create(4, store=s, **k),
    "array": lambda s, **k: zarr.array([1], store=s, **k),
    "empty": lambda s, **k: zarr.empty(4, store=s, **k),
    "zeros": lambda s, **k: zarr.zeros(4, store=s, **k),
    "ones": lambda s, **k: zarr.ones(4, store=s, **k),
    "full": lambda s, **k: zarr.full(4, 1, store=s, **k),
    "zeros_like": lambda s, **k: zarr.zeros_like(np.zeros(4), store=s, **k),
    "open array": lambda s, **k: zarr.open(s, mode="w", shape=4, **k),
    "open group": lambda s, **k: zarr.open(s, mode="w", **k),
    "open_array": lambda s, **k: zarr.open_array(s, mode="w", shape=4, **k),
    "open_group": lambda s, **k: zarr.open_group(s, mode="w", **k),
    "group": zarr.group,
    "open_like": lambda s, **k: zarr.open_like(zarr.zeros(4), s, mode="w", **k),
    "Array": lambda s, **k: zarr.Array(zarr.create(4, store=s).store, **k),
    "Group": lambda s, **k: zarr.Group(zarr.group(s).store, **k),
    "view": lambda s, **k: zarr.zeros(4, store=s).view(**k),
}


@pytest.mark.parametrize("name", OPENERS)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_every_verb_takes_one(name: str, zarr_format: int) -> None:
    own = Recording()
    with zarr.config.set({"default_zarr_format": zarr_format}):
        node = OPENERS[name](MemoryStore(), synchronizer=own)
    assert node.synchronizer is own
    node.attrs["a"] = 1
    assert own.names
    if isinstance(node, zarr.Array):
        own.names.clear()
        node[0] = 5
        assert len(own.names) == 1


def test_every_function_that_opens_takes_a_synchronizer(tmp_path: Path) -> None:
    own = Recording()
    root = zarr.open_group(tmp_path)
    root["x"] = [1]
    zarr.consolidate_metadata(tmp_path)
    found = [
        zarr.open(tmp_path, synchronizer=own),
        zarr.open(tmp_path / "x", synchronizer=own),
        zarr.open_array(tmp_path, path="x", synchronizer=own),
        zarr.open_group(tmp_path, synchronizer=own),
        zarr.open_consolidated(tmp_path, synchronizer=own),
    ]
    assert [node.synchronizer for node in found] == [own] * 5
    assert found[-1]["x"].synchronizer is own


def test_a_group_hands_it_down() -> None:
    own = Recording()
    root = zarr.group(MemoryStore(), synchronizer=own)
    made = [
        root.create_array("a", shape=1, dtype="i4"),
        root.create_dataset("b", shape=1),
        root.require_array("a", shape=1, dtype="i4"),
        root.require_dataset("c", shape=1, dtype="i4"),
        root.create_group("g"),
        root.require_group("g"),
        *root.create_groups("h", "i/j"),
        *root.require_groups("h", "k"),
        root.zeros(name="d", shape=1),
        root.array(name="e", data=[1]),
        root.zeros_like(name="f", data=np.zeros(1)),
        root["a"],
        root["i"],
        root["i/j"],
        root.g,
        root.get("a"),
        *root.values(),
        *[node for _, node in root.members(max_depth=None)],
        *[node for _, node in root.arrays()],
        *[node for _, node in root.groups()],
    ]
    assert [node.name for node in made if node.synchronizer is not own] == []
    root["a"].attrs["x"] = 1
    assert own.names[-1] == "a/zarr.json"


# Turns
