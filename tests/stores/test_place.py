"""The identity of stores' values, and the state that belongs to it."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from copy import copy, deepcopy
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from interrupting import Interrupt, elsewhere
from waits import join

import fastzarr as zarr
from fastzarr.stores import DirectoryStore, LocalStore, MappingStore, MemoryStore, Store
from fastzarr.stores.place import Place, of_folder
from fastzarr.stores.resolve import as_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Plain(Store):
    """A store with only the four required methods."""

    def __init__(self) -> None:
        """Initialise with a new dict."""
        super().__init__()
        self.values_: dict[str, bytes] = {}

    def _get(self, key: str) -> bytes | None:
        return self.values_.get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.values_[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.values_.pop(key, None)

    def _list(self, prefix: str) -> list[str]:
        start = f"{prefix}/" if prefix else ""
        return [key for key in self.values_ if key.startswith(start)]


class Stateful(Plain):
    """A store with a custom pickled state."""

    def __getstate__(self) -> dict[str, Any]:
        """Return only the values."""
        return {"values_": self.values_, "read_only": self.read_only}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the values."""
        vars(self).update(state)


# Stores with the same place


def test_stores_over_one_mapping_are_one_place() -> None:
    values: dict[str, bytes] = {}
    kinds = [MemoryStore(values), MappingStore(values), MemoryStore(values).with_read_only()]
    assert len({id(store.place) for store in kinds}) == 1
    assert kinds[0] == kinds[1] == kinds[2]
    # Stores with equal values may have different places.
    assert MemoryStore({}).place is not MemoryStore({}).place
    again = pickle.loads(pickle.dumps(kinds[0]))
    assert again.place is not kinds[0].place
    assert copy(kinds[0]).place is kinds[0].place


def test_paths_to_one_folder_are_one_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    kinds = [LocalStore(tmp_path / "link"), DirectoryStore(tmp_path / "real")]
    for _ in range(2):  # missing, then existing
        assert kinds[0].place is kinds[1].place
        assert kinds[0] == kinds[1] == pickle.loads(pickle.dumps(kinds[0]))
        assert kinds[0].with_read_only().place is kinds[0].lasting().place is kinds[0].place
        kinds[1].set("a", b"1")
    assert LocalStore(tmp_path / "link").place is kinds[0].place
    assert LocalStore(tmp_path).place is not kinds[0].place
    assert kinds[0] != LocalStore(tmp_path)


@pytest.mark.parametrize("kind", [Plain, Stateful])
def test_copies_of_any_store_are_its_place(kind: type[Plain]) -> None:
    store = kind()
    other = store.with_read_only().with_read_only(read_only=False)
    assert other.place is store.place
    assert other == store != kind()
    if kind is Plain:
        for again in (pickle.loads(pickle.dumps(store)), deepcopy(store), copy(store)):
            assert again.place is store.place
            assert again == store


def test_concurrent_threads_find_one_place() -> None:
    for _ in range(50):
        store, found, start = Plain(), [], threading.Barrier(4, timeout=100)

        def ask(store: Store = store, found: list[Place] = found, start: Any = start) -> None:
            start.wait()
            found.append(store.place)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        join(*threads)
        assert len({id(place) for place in found}) == 1


def test_a_recreated_folder_is_the_same_place(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "a")
    missing = store.place
    store.set("x", b"1")
    assert store.place is missing
    (tmp_path / "a").rename(tmp_path / "old")
    assert store.place is missing
    store.set("x", b"2")
    assert store.place is missing
    # The folder that was moved away is another place now.
    assert LocalStore(tmp_path / "old").place is not missing
    assert LocalStore(tmp_path / "old").place is LocalStore(tmp_path / "old").place
    store.delete("x")
    zarr.create_array(store, shape=2, dtype="i4", overwrite=True)
    assert store.place is LocalStore(tmp_path / "a").place is missing


def test_a_link_that_leads_elsewhere_is_another_place(tmp_path: Path) -> None:
    one, other = LocalStore(tmp_path / "one"), LocalStore(tmp_path / "other")
    one.set("x", b"1")
    other.set("x", b"2")
    (tmp_path / "link").symlink_to("one")
    store = LocalStore(tmp_path / "link")
    assert store.place is one.place
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("other")
    assert store.place is other.place is not one.place


def test_an_inode_that_is_used_again_is_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders that had the same inode at different times are different places."""
    store = LocalStore(tmp_path / "a")
    store.set("x", b"1")
    place = store.place
    real = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        info = real(path, **options)
        if os.fspath(path) == str(tmp_path / "b"):
            return os.stat_result((info[0], place.inode[1], *info[2:]))  # type: ignore[index]
        return info

    (tmp_path / "a").rename(tmp_path / "gone")
    (tmp_path / "b").mkdir()
    monkeypatch.setattr("fastzarr.stores.place.os.stat", stat)
    assert LocalStore(tmp_path / "b").place is not place
    assert store.place is place


def test_places_end_with_their_stores(tmp_path: Path) -> None:
    from fastzarr.stores import place as module

    gc.collect()
    before = len(module._places)  # noqa: SLF001
    stores = [MemoryStore(), Plain(), LocalStore(tmp_path)]
    assert len({id(store.place) for store in stores}) == 3
    assert len(module._places) > before  # noqa: SLF001
    del stores
    gc.collect()
    assert len(module._places) == before  # noqa: SLF001


def test_paths_that_a_place_covers(tmp_path: Path) -> None:
    root = LocalStore(tmp_path)
    root.set("a/b/c", b"1")
    root.set("ab/c", b"1")
    (tmp_path / "link").symlink_to("a")
    inner = LocalStore(tmp_path / "link" / "b")
    assert root.place.covers("", inner.place, "")
    assert root.place.covers("a", inner.place, "")
    assert root.place.covers("link", root.place, "a/b")
    assert inner.place.covers("", root.place, "a/b/new/x")
    assert not root.place.covers("ab", inner.place, "")
    assert not root.place.covers("a", root.place, "ab")
    assert not inner.place.covers("", root.place, "a")
    memory = MemoryStore()
    assert memory.place.covers("a", memory.place, "a/b")
    assert not memory.place.covers("a", memory.place, "ab")
    assert not memory.place.covers("", root.place, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("make", [MemoryStore, Plain, lambda: MappingStore({})])
def test_a_forked_child_starts_with_no_turn_taken(make: Callable[[], Store]) -> None:
    store = make()
    synchronizer = zarr.ThreadSynchronizer()
    turn = store.turn("a")
    turn.get()
    with synchronizer["x"], store.place.guard:
        child = os.fork()
        if child == 0:

            def work() -> None:
                store.change("a", lambda _: b"1")
                with synchronizer["x"], store.place.guard:
                    store.set("b", b"2")

            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            thread.join(20)
            os._exit(0 if store.get("a") == b"1" and store.get("b") == b"2" else 1)
    assert os.waitpid(child, 0)[1] == 0
    turn.end()


def fork() -> None:
    """Fork a child that ends at once."""
    parent = os.getpid()
    try:
        os.fork()
    finally:
        if os.getpid() != parent:
            os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("make", [zarr.SQLiteStore, zarr.LMDBStore, zarr.DBMStore])
def test_an_interrupted_fork_keeps_no_thread_waiting(
    make: Callable[[str], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a signal handler that raises another error."""
    store = make(str(tmp_path / "store"))
    store.set("a", b"1")
    # Python cannot raise the error of an interrupt that comes before the first line of a hook.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    for error in (KeyboardInterrupt, TimeoutError):
        for point in count(1):
            interrupt = Interrupt(point, ("place", "users", "sqlite", "lmdb", "dbm"), error)
            with suppress(error), interrupt.during():
                fork()
            if interrupt.left:
                assert point > 20
                break
            elsewhere(lambda: store.set("a", b"2"))
            elsewhere(fork)


# Arrays and groups


def test_arrays_and_groups_are_equal_by_their_place() -> None:
    """Comparison uses places and metadata, and never the values of stores."""
    read = []

    class Counted(dict[str, bytes]):
        def items(self) -> Any:
            read.append("items")
            return super().items()

        def __eq__(self, other: object) -> bool:
            read.append("==")
            return super().__eq__(other)

        __hash__ = None

    values = Counted()
    z = zarr.create_array(MemoryStore(values), name="a", data=np.arange(4), chunks=2)
    twin = zarr.open_array(MemoryStore(Counted(values)), path="a")
    read.clear()
    assert z != twin
    assert zarr.open_group(z.store, mode="r") != zarr.open_group(twin.store, mode="r")
    assert z.store_path != twin.store_path
    same = zarr.open_array(MappingStore(values), path="a")
    assert z == same
    assert hash(z) == hash(same)
    assert zarr.open_group(z.store) == zarr.open_group(same.store)
    assert z.store_path == same.store_path
    assert not read


def test_an_array_through_a_link_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    z = zarr.create_array(tmp_path / "real", data=[1, 2])
    same = zarr.open_array(tmp_path / "link")
    assert z == same
    assert hash(z) == hash(same)
    assert z.__dask_tokenize__() == same.__dask_tokenize__()
    assert z != zarr.create_array(tmp_path / "other", data=[1, 2])


def test_dask_knows_an_array_in_a_folder_in_every_process(tmp_path: Path) -> None:
    z = zarr.create_array(tmp_path, data=[1, 2])
    code = f"import fastzarr; print(fastzarr.open_array({str(tmp_path)!r}).__dask_tokenize__()[1])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert out.stdout.strip() == z.__dask_tokenize__()[1]


def test_dask_tells_arrays_apart_that_live_one_after_the_other() -> None:
    seen = set()
    for _ in range(50):
        values: dict[str, bytes] = {}
        seen.add(zarr.create_array(MemoryStore(values), data=[1, 2]).__dask_tokenize__())
        del values
    assert len(seen) == 50


@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_chunk_store_at_the_same_place_is_the_same_store(kind: str, tmp_path: Path) -> None:
    """Chunks are counted and moved only once, even if two stores refer to them."""
    values: dict[str, bytes] = {}
    store: Any = values if kind == "memory" else tmp_path
    root = zarr.open_group(store, mode="w", chunk_store=store)
    root.create_array("a", data=[1, 2])
    assert root["a"].nbytes_stored == zarr.open_array(store, path="a").nbytes_stored
    root.move("a", "b")
    assert root["b"][:].tolist() == [1, 2]
    assert zarr.open_array(store, path="b")[:].tolist() == [1, 2]


# State that belongs to another store


def test_the_state_of_a_place_ends_with_its_mapping() -> None:
    """No key is deleted from a mapping that has reused the ``id`` of another one."""
    for _ in range(200):
        values: dict[str, bytes] = {}
        zarr.create_group(values, zarr_format=2)
        zarr.consolidate_metadata(values, metadata_key="notes")
        former = id(values)
        del values
        other: dict[str, Any] = {}
        if id(other) == former:
            break
    else:
        pytest.skip("no dict was given the id of an earlier one")
    other["notes"] = b"mine"
    root = zarr.create_group(other, zarr_format=2)
    root.attrs["x"] = 1
    assert other["notes"] == b"mine"


@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_copy_under_a_custom_key_is_deleted_after_its_store_is_closed(
    kind: str, tmp_path: Path
) -> None:
    store: Any = {} if kind == "memory" else tmp_path
    zarr.create_group(store, zarr_format=2)
    zarr.consolidate_metadata(store, metadata_key="copy")
    gc.collect()
    zarr.open_group(store, use_consolidated=False).create_array("x", shape=1)
    assert as_store(store).get("copy") is None


def places(tmp_path: Path) -> dict[str, Callable[[], tuple[Any, Any]]]:
    """Return functions by name, each of which returns two stores with the same place."""

    def linked() -> tuple[Any, Any]:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        return tmp_path / "real", tmp_path / "link"

    def mapped() -> tuple[Any, Any]:
        values: dict[str, bytes] = {}
        return MemoryStore(values), MappingStore(values)

    def copied() -> tuple[Any, Any]:
        store = Plain()
        return store, store.with_read_only().with_read_only(read_only=False)

    return {"link": linked, "kinds": mapped, "copy": copied}


@pytest.fixture(params=["link", "kinds", "copy"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Any]:
    """Return two stores with the same place."""
    return places(tmp_path)[request.param]()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("turned", [False, True])
def test_a_change_through_one_store_invalidates_the_snapshots_of_another(
    pair: tuple[Any, Any], zarr_format: int, turned: bool
) -> None:
    one, other = reversed(pair) if turned else pair
    root = zarr.create_group(one, zarr_format=zarr_format)
    root.create_array("x", data=[1, 2])
    zarr.consolidate_metadata(one)
    if zarr_format == 2:
        zarr.consolidate_metadata(one, metadata_key=".own")
    served = zarr.open_consolidated(one)
    zarr.open_group(other, use_consolidated=False).create_array("y", data=[3])
    assert sorted(served) == ["x", "y"]
    assert served["y"][:].tolist() == [3]
    assert ".own" not in root.store


def test_a_link_to_another_folder_invalidates_the_snapshot(tmp_path: Path) -> None:
    for name, length in (("new", 5), ("old", 3)):
        root = zarr.create_group(tmp_path / name)
        root.create_array("x", data=np.zeros(length))
        zarr.consolidate_metadata(tmp_path / name)
    (tmp_path / "link").symlink_to("old")
    served = zarr.open_consolidated(tmp_path / "link")
    assert served["x"].shape == (3,)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("new")
    assert served["x"].shape == (5,)


def test_a_store_is_unpickled_at_the_place_it_finds(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "a")
    assert pickle.loads(pickle.dumps(store.place)) is store.place is of_folder(str(store.root))
    assert pickle.loads(pickle.dumps(Plain().place)) is not None
    plain = Plain()
    assert pickle.loads(pickle.dumps(plain.place)) is plain.place


def test_an_array_can_be_written_after_an_interrupt_at_any_point() -> None:
    for point in count(1):
        array = zarr.zeros(4, chunks=4, dtype="i4")
        interrupt = Interrupt(point)
        try:
            with interrupt.during():
                array[...] = 1
        except KeyboardInterrupt:
            pass
        elsewhere(lambda: array.__setitem__(..., 2))  # noqa: B023
        assert array[0] == 2
        if interrupt.left > 0:
            break
    assert point > 20
