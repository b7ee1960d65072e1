"""Writes to stores that set many values at once: how many calls, and what they leave."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import written_alike
from waits import join, wait_for

import fastzarr as zarr
from fastzarr.errors import ChunkError
from fastzarr.storage import LRUStoreCache
from fastzarr.stores import MemoryStore, Store
from fastzarr.stores.capabilities import Request, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from typing_extensions import Buffer

COUNT = 64
pytestmark = pytest.mark.usefixtures("data_path")


class Bank(Store):
    """A store in one process that sets many values at once, and counts its calls."""

    concurrency = 1

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        self.batches: list[list[str]] = []
        self.sizes: list[int] = []
        self.lock = threading.Lock()
        self.on: Callable[[str, Sequence[str]], object] = lambda *_: None

    def _get(self, key: str) -> bytes | None:
        self.calls["get"] += 1
        found = self.stored.get(key)
        self.on("get", [key])
        return found

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.calls["set"] += 1
        self.on("set", [key])
        self.stored[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.calls["delete"] += 1
        self.stored.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        return [key for key in tuple(self.stored) if not prefix or key.startswith(f"{prefix}/")]

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        many = list(values)
        self._check_write(*(key for key, _ in many))
        self.on("set_many", [key for key, _ in many])
        with self.lock:
            self.batches.append([key for key, _ in many])
            self.sizes.append(sum(memoryview(value).nbytes for _, value in many if value))
            for key, value in many:
                if value is None:
                    self.stored.pop(key, None)
                else:
                    self.stored[key] = bytes(value)


class Keeping(Bank):
    """A store that keeps what it is given, without a copy."""

    def set_many(self, values: Iterable[tuple[str, Buffer | None]]) -> None:
        many: Any = list(values)
        self.batches.append([key for key, _ in many])
        self.stored |= dict(many)


class Swapping(Bank):
    """A store that compares and swaps, too."""

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        for index, request in enumerate(wanted):
            found = self._get(request.key)
            yield index, None if found is None else Value(found, found)

    def validator(self, key: str) -> Hashable | None:
        return self.stored.get(key)

    def swap(self, key: str, value: Any, token: Hashable | None) -> bool:
        self.calls["swap"] += 1
        with self.lock:
            same = self.stored.get(key) == token
            if same and value is None:
                self.stored.pop(key, None)
            elif same:
                self.stored[key] = bytes(value)
            return same


class SwappingMany(Swapping):
    """A store that compares and swaps many values at once, too."""

    def swap_many(self, changes: Sequence[tuple[str, Buffer | None, Any]]) -> list[bool]:
        self.on("swap_many", [key for key, _, _ in changes])
        self.batches.append([key for key, _, _ in changes])
        with self.lock:
            done = [self.stored.get(key) == token for key, _, token in changes]
            for (key, value, _), same in zip(changes, done, strict=True):
                if same and value is None:
                    self.stored.pop(key, None)
                elif same:
                    self.stored[key] = bytes(value or b"")
        return done


class Remote(Bank):
    """A store to which several calls may be made at once."""

    concurrency = None


class RemoteSwapping(Swapping):
    """A store that compares and swaps, and to which several calls may be made at once."""

    concurrency = None


class RemoteSwappingMany(SwappingMany):
    """A store that swaps many values at once, and to which several calls may be made at once."""

    concurrency = None


KINDS = [Bank, Swapping, SwappingMany, Remote, RemoteSwapping, RemoteSwappingMany]


def empty(kind: Any = Bank, count: int = COUNT, **options: Any) -> tuple[Any, Any]:
    """Return a store, and an empty array of chunks of 1 KiB in it."""
    store = kind()
    array = zarr.create_array(
        store,
        **(
            {"shape": count * 128, "chunks": 128, "dtype": "i8", "fill_value": -1, "filters": None}
            | {"compressors": None, "serializer": "auto"}
            | options
        ),
    )
    store.calls.clear()
    store.batches.clear()
    store.sizes.clear()
    return store, array


def numbers(count: int = COUNT) -> Any:
    return np.arange(count * 128)


def keys(count: int = COUNT) -> list[str]:
    return [f"c/{number}" for number in range(count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"dtype": "str"}])
def test_the_chunks_of_a_call_are_stored_in_batches(kind: Any, options: Any) -> None:
    class Tens(kind):  # type: ignore[misc]
        batch = 10

    store, array = empty(Tens, **options)
    values = numbers().astype(array.dtype)
    array[...] = values
    assert sorted(map(len, store.batches)) == [4, 10, 10, 10, 10, 10, 10]
    assert sorted(key for many in store.batches for key in many) == sorted(keys())
    assert not store.calls["set"]
    assert np.array_equal(array[...], values)


@pytest.mark.parametrize("kind", KINDS)
def test_all_chunks_are_one_batch_if_they_are_small(kind: Any) -> None:
    store, array = empty(kind)
    array[...] = numbers()
    assert [sorted(many) for many in store.batches] == [sorted(keys())]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_has_a_bound_of_bytes(kind: Any) -> None:
    store, array = empty(kind)
    with zarr.config.set({"fetch.bytes": 32 << 10, "threading.max_workers": 1}):
        array[...] = numbers()
    assert max(store.sizes) <= 8 << 10
    assert sum(store.sizes) == COUNT << 10
    # Several threads may leave a batch no room, so that it is stored sooner.
    assert store.sizes == [8 << 10] * 8 or kind.concurrency is None
    assert np.array_equal(array[...], numbers())


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_that_become_empty_are_deleted_in_batches(kind: Any) -> None:
    store, array = empty(kind)
    array[...] = numbers()
    array[128:-128] = -1
    assert sorted(store.batches[1]) == sorted(keys()[1:-1])
    assert not store.calls["delete"]
    assert sorted(store.list("c")) == [keys()[0], keys()[-1]]


@pytest.mark.parametrize("kind", [Bank, Swapping, Remote, RemoteSwapping])
def test_a_chunk_that_is_changed_in_part_is_read_and_stored_alone(kind: Any) -> None:
    store, array = empty(kind)
    array[...] = numbers()
    store.calls.clear()
    array[64:-64] = -numbers()[64:-64]
    assert sorted(store.batches[1]) == sorted(keys()[1:-1])
    assert store.calls["set"] + store.calls["swap"] == 2
    expected = -numbers()
    expected[:64], expected[-64:] = numbers()[:64], numbers()[-64:]
    assert np.array_equal(array[...], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_fails_is_stored_one_by_one(kind: Any) -> None:
    store, array = empty(kind)

    def fail(verb: str, _: Sequence[str]) -> None:
        if verb == "set_many":
            msg = "too many"
            raise OSError(msg)

    store.on = fail
    array[...] = numbers()
    assert store.calls["set"] == COUNT
    store.on = lambda *_: None
    assert np.array_equal(array[...], numbers())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [5, 63])
def test_the_chunk_for_which_a_batch_fails_is_named(kind: Any, chunk: int) -> None:
    store, array = empty(kind)

    def fail(verb: str, given: Sequence[str]) -> None:
        if verb != "get" and f"c/{chunk}" in given:
            msg = "no route"
            raise OSError(msg)

    store.on = fail
    with (
        zarr.config.set({"fetch.bytes": 40 << 10}),
        pytest.raises(ChunkError, match="no route") as raised,
    ):
        array[...] = numbers()
    assert (raised.value.chunk, raised.value.key) == ((chunk,), f"c/{chunk}")
    store.on = lambda *_: None
    array[...] = numbers()
    assert np.array_equal(array[...], numbers())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_stored_any_more_after_an_interrupt(kind: Any) -> None:
    store, array = empty(kind)

    def interrupt(verb: str, _: Sequence[str]) -> None:
        if verb == "set_many":
            raise KeyboardInterrupt

    store.on = interrupt
    with zarr.config.set({"fetch.bytes": 40 << 10}), pytest.raises(KeyboardInterrupt):
        array[...] = numbers()
    assert not list(store.list("c"))
    store.on = lambda *_: None
    array[...] = numbers()
    assert np.array_equal(array[...], numbers())


@pytest.mark.parametrize("kind", [Bank, Remote])
def test_a_batch_waits_for_a_chunk_that_is_being_changed(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, array = empty(kind)
    array[...] = numbers()
    locks, met = store.place.locks, threading.Event()
    take = locks.take
    writer = threading.Thread(target=lambda: array.__setitem__(..., 7))

    def take_seen(name: str) -> Any:
        if threading.current_thread() is not changer and name == "c/3":
            met.set()
        return take(name)

    def on(verb: str, given: Sequence[str]) -> None:
        if verb == "get" and given == ["c/3"] and not writer.ident:
            writer.start()
            # It either asks for the lock of this chunk, or has stored its batch.
            wait_for(met)
        elif verb == "set_many":
            stored.append(list(given))
            met.set()

    stored: list[list[str]] = []
    changer = threading.current_thread()
    monkeypatch.setattr(locks, "take", take_seen)
    store.on = on
    array[3 * 128] = 5
    join(writer)
    assert np.array_equal(array[...], np.full(array.size, 7))
    assert len(stored) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_writers_in_any_order_do_not_wait_for_each_other_for_ever(kind: Any) -> None:
    _, array = empty(kind, 16)

    def write(part: int) -> None:
        for _ in range(5):
            array[...] = numbers(16)[::-1] if part % 2 else numbers(16)
            array[64 + part : -64] = part

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    with zarr.config.set({"fetch.bytes": 16 << 10, "fetch.concurrency": 2}):
        for thread in threads:
            thread.start()
        join(*threads)
    assert set(array[128:-128].tolist()) <= {*range(4), *numbers(16).tolist()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_holds_the_locks_of_a_synchronizer(kind: Any) -> None:
    store, array = empty(kind, 100)
    held: set[str] = set()
    seen: list[set[str]] = []

    class Locks:
        """A synchronizer whose locks cannot be taken twice."""

        @contextmanager
        def __getitem__(self, key: str) -> Iterator[None]:  # type: ignore[misc]
            assert key not in held
            held.add(key)
            try:
                yield
            finally:
                held.remove(key)

    def look(verb: str, given: Sequence[str]) -> None:
        if verb == "set_many":
            seen.append(held & set(given))
            assert seen[-1] == set(given)
            if len(seen) == 1:
                msg = "once"
                raise OSError(msg)
        elif verb != "get":
            assert set(given) <= held

    store.on = look
    synchronized = zarr.open_array(store, mode="r+", synchronizer=Locks())
    with zarr.config.set({"threading.max_workers": 1, "fetch.concurrency": 1}):
        synchronized[...] = numbers(100)
    assert sorted(map(len, seen)) == [36, 64]
    assert not held
    assert np.array_equal(array[...], numbers(100))


def test_batches_of_a_store_with_one_call_at_a_time_are_stored_one_at_a_time() -> None:
    store, array = empty(count=256)
    under_way: list[int] = []
    most: list[int] = []

    def count(verb: str, _: Sequence[str]) -> None:
        if verb == "set_many":
            under_way.append(1)
            most.append(len(under_way))
            under_way.pop()

    store.on = count
    with zarr.config.set({"fetch.bytes": 16 << 10, "threading.max_workers": 4}):
        array[...] = numbers(256)
    assert set(most) == {1}
    assert sum(map(len, store.batches)) == 256


def test_batches_go_through_a_cache() -> None:
    store, array = empty(Swapping)
    cached = zarr.open_array(LRUStoreCache(store, max_size=None), mode="r+")
    assert (cached[...] == -1).all()
    cached[...] = numbers()
    assert len(store.batches) == 1
    assert np.array_equal(cached[...], numbers())
    assert np.array_equal(array[...], numbers())


def test_values_in_memory_are_set_in_batches() -> None:
    calls: list[int] = []

    class Counting(MemoryStore):
        def set_many(self, values: Any) -> None:
            many = list(values)
            calls.append(len(many))
            super().set_many(many)

    array = zarr.create_array(Counting(), shape=4096, chunks=2, dtype="i4")
    calls.clear()
    array[...] = np.arange(1, 4097)
    assert calls == [1024, 1024]
    assert np.array_equal(array[...], np.arange(1, 4097))


def test_a_store_with_other_writes_or_turns_is_not_asked_to_set_many() -> None:
    class Changed(Bank):
        def _set(self, key: str, value: bytes | memoryview) -> None:
            super()._set(key, value)

    class Turning(Bank):
        def turn(self, key: str) -> Any:
            return super().turn(key)

    for kind in (Changed, Turning):
        store, array = empty(kind)
        array[...] = numbers()
        assert store.set_many is None
        assert store.calls["set"] == COUNT
        assert np.array_equal(array[...], numbers())


@given(data=st.data())
def test_writes_are_those_to_any_store(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS), label="kind")

    class Few(kind):  # type: ignore[misc]
        batch = data.draw(st.integers(1, 5), label="batch")

    written_alike(data, Few())


def test_a_value_that_a_store_keeps_does_not_change() -> None:
    """The memory of a chunk is used for another one only if the store does not refer to it."""
    values = np.arange(COUNT * 16_384, dtype="i4").reshape(COUNT, -1)
    store = Keeping()
    store.batch_bytes = 200_000
    z = zarr.create_array(
        store, shape=values.shape, chunks=(1, 16_384), dtype="i4", compressors=None
    )
    z[:] = values
    for key in [f"c/{i}/0" for i in range(0, COUNT, 3)]:
        del store.stored[key]
    z[1] = -1
    values[1] = -1
    for i in range(COUNT):
        if i % 3:
            assert bytes(store.stored[f"c/{i}/0"])[: 16_384 * 4] == values[i].tobytes()


def test_a_batch_has_no_more_bytes_than_the_store_says() -> None:
    """A store that gains nothing from large batches gets small ones."""
    store = Bank()
    store.batch_bytes = 10_000
    data = np.arange(COUNT * 1000, dtype="i4")
    zarr.create_array(store, data=data, chunks=1000, compressors=None)
    assert len(store.batches) > COUNT // 8
    assert max(store.sizes) < 16_000


def test_small_chunks_are_stored_by_the_thread_of_the_caller() -> None:
    """Threads would only wait for each other's turns at the interpreter."""
    store, threads = Bank(), set[int]()
    store.on = lambda *_: threads.add(threading.get_ident())
    zarr.create_array(store, data=np.arange(1 << 17, dtype="i4"), chunks=1 << 10)
    assert threads == {threading.get_ident()}


class SwappingUnseen(SwappingMany):
    """A store that tells the token of a value only when it is asked for it."""

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        for index, request in enumerate(wanted):
            found = self._get(request.key)
            yield index, None if found is None else Value(found)


@pytest.mark.parametrize("kind", [SwappingMany, RemoteSwappingMany, SwappingUnseen])
def test_chunks_that_are_changed_in_part_are_stored_together(kind: Any) -> None:
    """A call that changes a part of each chunk makes a few batches, and no other stores."""
    store, z = empty(kind)
    z[:] = 1
    store.batches.clear()
    store.calls.clear()
    z[::2] = 2
    assert sorted(key for batch in store.batches for key in batch) == sorted(
        f"c/{i}" for i in range(COUNT)
    )
    assert len(store.batches) <= 2
    assert not store.calls["set"] + store.calls["swap"]
    assert (z[:].reshape(-1, 2) == [2, 1]).all()


@pytest.mark.parametrize("kind", [SwappingMany, RemoteSwappingMany, SwappingUnseen])
def test_a_chunk_that_another_writer_has_changed_is_written_again(kind: Any) -> None:
    """No change of another writer is lost, whenever it comes."""
    store, z = empty(kind)
    z[:] = 1
    other = kind()
    other.stored = store.stored
    theirs = zarr.open_array(other, mode="r+")
    size = z.chunks[0]

    def meet(verb: str, keys: Sequence[str]) -> None:
        if verb == "swap_many":
            store.on = lambda *_: None
            for key in keys[::3]:
                number = int(key.rpartition("/")[2])
                theirs[number * size + 1] = 3

    store.on = meet
    z[::2] = 2
    expected = np.ones(COUNT * size, z.dtype)
    expected[::2] = 2
    changed = np.flatnonzero(z[:] == 3)
    assert len(changed) > COUNT // 8
    expected[changed] = 3
    np.testing.assert_array_equal(z[:], expected)


@pytest.mark.parametrize("kind", [SwappingMany, RemoteSwappingMany])
def test_a_chunk_that_fails_among_those_changed_in_part_is_named(kind: Any) -> None:
    """If a batch fails, its chunks are swapped one by one, to find the one that fails."""
    store, z = empty(kind)
    z[:] = 1

    def fail(verb: str, _: Sequence[str]) -> None:
        if verb == "swap_many":
            raise OSError(5, "broken")

    store.on = fail
    real = store.swap

    def swap(key: str, value: Any, token: Any) -> bool:
        if key == "c/7":
            raise OSError(5, "broken")
        return bool(real(key, value, token))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "swap", lambda _, *words: swap(*words))
        with pytest.raises(ChunkError, match=r"chunk \(7,\)"):
            z[::2] = 2
    z[::2] = 2
    assert (z[:].reshape(-1, 2) == [2, 1]).all()


@pytest.mark.parametrize("name", ["zip", "sqlite", "lmdb"])
def test_stores_swap_many_values_in_one_step(name: str, tmp_path: Any) -> None:
    """Only values whose tokens are current are stored or deleted; the others are told."""
    path = str(tmp_path / "a")
    stores = {"zip": "ZipStore", "sqlite": "SQLiteStore", "lmdb": "LMDBStore"}
    if name == "lmdb":
        pytest.importorskip("lmdb")
    store = getattr(zarr.storage, stores[name])(path)
    store.set_many([("a", b"1"), ("b", b"2"), ("c", b"3")])
    old = {key: store.validator(key) for key in "abc"}
    store["b"] = b"other"
    done = store.swap_many(
        [
            ("a", b"4", old["a"]),
            ("b", b"5", old["b"]),
            ("c", None, old["c"]),
            ("d", b"6", None),
            ("e", None, None),
            ("f", None, old["a"]),
        ]
    )
    assert done == [True, False, True, True, True, False]
    assert dict(store) == {"a": b"4", "b": b"other", "d": b"6"}
    z = zarr.create_array(store, name="x", data=np.zeros(COUNT * 4, "i4"), chunks=4)
    z[::2] = 1
    z[1::4] = 2
    assert z[:].tolist() == [1, 2, 1, 0] * COUNT
    store.close()
