"""Writes to stores without files: how many are under way at once, and what they leave."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from asked import AskedStore
from hypothesis import given
from hypothesis import strategies as st
from strategies import written_alike
from waits import join

import fastzarr as zarr
from fastzarr.errors import ChunkError, StaleArrayError
from fastzarr.stores import MemoryStore
from fastzarr.stores.capabilities import Request, Value
from fastzarr.stores.stopping import STOP

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

pytestmark = pytest.mark.usefixtures("data_path")


class Remote(AskedStore):
    """A store that counts its requests and those under way at once."""

    def __init__(self, stored: dict[str, bytes] | None = None) -> None:
        super().__init__(stored)
        self.asked: Counter[tuple[str, str]] = Counter()
        self.most = [0, 0]

    def begin(self, verb: str, key: str) -> None:
        self.asked[verb, key] += 1
        self.most[0] += 1
        self.most[1] = max(self.most)

    def end(self, verb: str, key: str) -> None:
        del verb, key
        self.most[0] -= 1


class Swapping(Remote):
    """A store with compare-and-swap, whose tokens come with the values."""

    def fetch(self, wanted: Sequence[Request]) -> Iterable[tuple[int, Value | None]]:
        for index, request in enumerate(wanted):
            found = self._get(request.key)
            yield index, None if found is None else Value(found, found)

    def validator(self, key: str) -> Hashable | None:
        return self._get(key)

    def swap(self, key: str, value: Any, token: Hashable | None) -> bool:
        def answer() -> bool:
            with self.lock:
                same = self.stored.get(key) == token
                if same and value is None:
                    self.stored.pop(key, None)
                elif same:
                    self.stored[key] = bytes(value)
                return same

        swapped: bool = self._ask("set", key, answer)
        return swapped


def empty(kind: Any = Remote, count: int = 64, **options: Any) -> tuple[Any, Any]:
    store = kind()
    array = zarr.create_array(
        store, **({"shape": count * 128, "chunks": 128, "dtype": "i8", "fill_value": -1} | options)
    )
    store.asked.clear()
    return store, array


def numbers(count: int = 64) -> Any:
    return np.arange(count * 128)


def chunks_of(store: Any, verb: str) -> dict[str, int]:
    return {key: n for (one, key), n in store.asked.items() if one == verb and key[0] == "c"}


def meeting(store: Any, many: int, verb: str = "set") -> None:
    """Answer the first requests for chunks when ``many`` of them are under way."""
    barrier, first = threading.Barrier(many, timeout=100), iter(range(many))

    def wait(one: str, key: str) -> None:
        if one == verb and key[0] == "c" and next(first, None) is not None:
            barrier.wait()

    store.on = wait


@pytest.mark.parametrize("kind", [Remote, Swapping])
@pytest.mark.parametrize("most", [64, 20])
def test_as_many_chunks_are_stored_at_once_as_the_setting_allows(kind: Any, most: int) -> None:
    store, array = empty(kind, most * 2)
    meeting(store, most)
    store.most[1] = 0
    with zarr.config.set({"fetch.concurrency": most}):
        array[...] = numbers(most * 2)
    assert store.most[1] == most
    assert chunks_of(store, "set") == {f"c/{number}": 1 for number in range(most * 2)}
    assert not chunks_of(store, "get")
    store.on = lambda *_: None
    assert np.array_equal(array[...], numbers(most * 2))


@pytest.mark.parametrize("kind", [Remote, Swapping])
def test_chunks_are_changed_at_once(kind: Any) -> None:
    store, array = empty(kind)
    array[...] = numbers()
    store.asked.clear()
    meeting(store, 32, "get")
    with zarr.config.set({"fetch.concurrency": 32}):
        array[::128] = -5
    assert chunks_of(store, "get") == chunks_of(store, "set")
    assert chunks_of(store, "set") == {f"c/{number}": 1 for number in range(64)}
    store.on = lambda *_: None
    expected = numbers()
    expected[::128] = -5
    assert np.array_equal(array[...], expected)


def test_callers_share_what_may_be_under_way() -> None:
    store, array = empty(count=40)
    meeting(store, 8)
    store.most[1] = 0

    def write(part: int) -> None:
        size = array.size // 4
        array[part * size : (part + 1) * size] = numbers(40)[part * size : (part + 1) * size]

    with zarr.config.set({"fetch.concurrency": 8}):
        threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        join(*threads)
    store.on = lambda *_: None
    assert np.array_equal(array[...], numbers(40))
    assert store.most[1] <= 8 + 4  # the callers also look at the document of the array


@pytest.mark.parametrize("kind", [Remote, Swapping])
def test_no_update_of_a_shared_chunk_is_lost(kind: Any) -> None:
    _, array = empty(kind, 16)

    def write(part: int) -> None:
        array[part::4] = numbers(16)[part::4]

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert np.array_equal(array[...], numbers(16))


def test_the_chunks_of_a_call_have_a_bound() -> None:
    store, array = empty()
    store.most[1] = 0
    with zarr.config.set({"fetch.bytes": 8 * 1024, "threading.max_workers": 2}):
        array[...] = numbers()
    assert store.most[1] <= 4
    assert np.array_equal(array[...], numbers())


@pytest.mark.parametrize("kind", [Remote, Swapping])
def test_a_chunk_that_is_not_stored_is_named(kind: Any) -> None:
    store, array = empty(kind)

    def fail(verb: str, key: str) -> None:
        if (verb, key) == ("set", "c/5"):
            msg = "no route"
            raise OSError(msg)

    store.on = fail
    with pytest.raises(ChunkError, match="no route") as raised:
        array[...] = numbers()
    assert (raised.value.array, raised.value.chunk, raised.value.key) == ("", (5,), "c/5")
    store.on = lambda *_: None
    array[...] = numbers()
    assert np.array_equal(array[...], numbers())


def test_nothing_is_stored_any_more_after_an_interrupt() -> None:
    store, array = empty(count=200)
    first = threading.Lock()

    def interrupt(verb: str, _: str) -> None:
        # Of many threads, one alone interrupts.
        if verb == "set" and first.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)

    store.on = interrupt
    with pytest.raises(KeyboardInterrupt):
        array[...] = numbers(200)
    assert store.most[0] == 0
    stored = dict(store.stored)
    array[...] = numbers(200)
    assert np.array_equal(array[...], numbers(200))
    whole = zarr.open_array(MemoryStore(store.stored), mode="r")
    part = zarr.open_array(MemoryStore(stored), mode="r")[...]
    assert np.array_equal(part[part >= 0], whole[...][part >= 0])


def test_a_turn_that_is_lost_does_not_keep_others_out() -> None:
    _, array = empty()

    class FailingError(Exception):
        pass

    class Lost(Remote):
        def turn(self, key: str) -> Any:
            if key.startswith("c/"):
                raise FailingError
            return super().turn(key)

    _, failing = empty(Lost)
    with zarr.config.set({"fetch.concurrency": 2}):
        for _ in range(4):
            with pytest.raises(ChunkError):
                failing[...] = numbers()
        array[...] = numbers()
    assert np.array_equal(array[...], numbers())


def test_a_store_may_write_other_arrays_itself() -> None:
    _, target = empty(count=8)

    class Mirroring(Remote):
        def _set(self, key: str, value: bytes | memoryview) -> None:
            if key.startswith("c/"):
                target[...] = numbers(8)
            super()._set(key, value)

    _, array = empty(Mirroring, 8)
    with zarr.config.set({"fetch.concurrency": 2}):
        array[...] = numbers(8)
    assert np.array_equal(array[...], numbers(8))
    assert np.array_equal(target[...], numbers(8))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix systems only")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_writes_too() -> None:
    _, array = empty()
    array[...] = numbers()
    child = os.fork()
    if not child:
        array[...] = -numbers()
        os._exit(3 if np.array_equal(array[...], -numbers()) else 4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert np.array_equal(array[...], numbers())


DOCUMENT = "zarr.json"


def opened(store: Any, **options: Any) -> Any:
    """Return a new handle of the array, which has not looked at its document."""
    array = zarr.open_array(store, mode="r+", **options)
    store.asked.clear()
    return array


@pytest.mark.parametrize("count", [1, 4])
def test_a_write_asks_for_the_document_once(count: int) -> None:
    store, array = empty(Swapping, count)
    array[...] = numbers(count)
    array = opened(store)
    for _ in range(2):
        array[1:-1] = 7
        # The value with its token, and later the token.
        assert store.asked["get", DOCUMENT] == 1
        store.asked.clear()
    other = opened(store)
    other.resize(count * 128 + 5)
    store.asked.clear()
    array[1:-1] = 8
    # The token, and both.
    assert store.asked["get", DOCUMENT] == 2


def test_the_first_read_of_a_missing_chunk_asks_for_the_document_once() -> None:
    store, array = empty(Swapping)
    array = opened(store)
    for _ in range(2):
        assert (array[...] == -1).all()
        assert store.asked["get", DOCUMENT] == 1
        store.asked.clear()


@pytest.mark.parametrize("count", [1, 4])
def test_the_document_is_asked_for_while_chunks_are_read(count: int) -> None:
    store, array = empty(Swapping, count)
    array[...] = numbers(count)
    array = opened(store)
    barrier = threading.Barrier(2)

    def meet(verb: str, key: str) -> None:
        if verb == "get" and key in {DOCUMENT, "c/0"}:
            barrier.wait(60)

    store.on = meet
    array[1 : count * 128] = 7
    store.on = lambda *_: None
    assert array[...].tolist() == [0, *[7] * (count * 128 - 1)]


@pytest.mark.parametrize("part", [slice(None), slice(1, -1), slice(5, 6)], ids=str)
@pytest.mark.parametrize("value", [7, -1], ids=["value", "fill value"])
def test_nothing_is_stored_in_an_array_that_has_been_deleted(part: slice, value: int) -> None:
    store, array = empty(Swapping, 4)
    array[...] = numbers(4)
    array = opened(store)
    read = threading.Event()

    def delete(verb: str, key: str) -> None:
        if verb == "get" and key == DOCUMENT:
            # A chunk that is changed in part has been read by then.
            assert part == slice(None) or read.wait(60)
            store.stored.clear()
        elif verb == "get":
            read.set()

    store.on = delete
    with pytest.raises(StaleArrayError, match="no longer in"):
        array[part] = value
    assert not store.stored


def test_an_array_that_was_replaced_is_the_error_whatever_its_chunks_are() -> None:
    store, array = empty(Swapping, 4)
    array[...] = numbers(4)
    zarr.create_array(store, shape=512, chunks=128, dtype="i1", compressors=None, overwrite=True)
    store.stored |= {f"c/{number}": b"x" for number in range(4)}
    before = dict(store.stored)
    with pytest.raises(StaleArrayError, match="replaced"):
        array[1:-1] = 7
    assert store.stored == before


def test_the_document_is_within_the_bound_of_requests() -> None:
    arrays = [empty(Swapping, 8)[1] for _ in range(4)]
    lock, under_way, most = threading.Lock(), [0], [0]

    def count(change: int) -> None:
        with lock:
            under_way[0] += change
            most[0] = max(most[0], under_way[0])

    for array in arrays:
        array.store.begin = lambda *_: count(1)
        array.store.end = lambda *_: count(-1)
    with zarr.config.set({"fetch.concurrency": 1}):
        threads = [
            threading.Thread(target=array.__setitem__, args=(slice(1, -1), 7)) for array in arrays
        ]
        for thread in threads:
            thread.start()
        join(*threads)
    assert most[0] == 1
    assert all((array[1:-1] == 7).all() for array in arrays)


def test_fill_values_for_a_missing_chunk_delete_nothing_of_another_writer() -> None:
    class Keeping(Swapping):
        """A store that does not compare tokens when it deletes, as those of objects."""

        swaps_deletes = False

    store, array = empty(Keeping, 1)
    other = opened(store)
    kept = np.r_[np.full(64, -1), np.full(64, 7)]

    def meet(verb: str, key: str) -> None:
        if verb == "delete" and key == "c/0":
            store.on = lambda *_: None
            other[64:] = 7

    store.on = meet
    array[:64] = -1
    if not chunks_of(store, "set"):
        other[64:] = 7
    assert np.array_equal(opened(store)[:], kept)


def left(ended: threading.Event) -> None:
    """Answer a request when the call has ended, or stopped if one of its own threads makes it."""
    stopped = STOP.get()
    while not ended.is_set() and (stopped is None or not stopped()):
        ended.wait(0.001)


def test_a_write_that_is_interrupted_during_its_check_stores_nothing() -> None:
    store, array = empty(Swapping, 4)
    array[...] = numbers(4)
    before = dict(store.stored)
    array = opened(store)
    ended = threading.Event()

    def interrupt(verb: str, key: str) -> None:
        if verb == "get" and key == DOCUMENT:
            os.kill(os.getpid(), signal.SIGINT)
            left(ended)

    store.on = interrupt
    with pytest.raises(KeyboardInterrupt):
        array[...] = 7
    ended.set()
    assert store.stored == before
    store.on = lambda *_: None
    array[...] = 7
    assert (array[...] == 7).all()


def test_an_interrupt_of_the_store_on_the_thread_of_the_caller_stops_the_others() -> None:
    store, array = empty(Swapping, 4)
    array[...] = numbers(4)
    before = dict(store.stored)
    array = opened(store)
    begun, ended = threading.Event(), threading.Event()

    def interrupt(verb: str, key: str) -> None:
        if verb == "get" and key == DOCUMENT:
            begun.set()
            left(ended)
        elif verb == "get" and threading.current_thread() is threading.main_thread():
            assert begun.wait(60)
            # Python runs the handler in this function, so that nobody else hears of the signal.
            signal.raise_signal(signal.SIGINT)

    store.on = interrupt
    with pytest.raises(KeyboardInterrupt):
        # A part of each chunk is replaced, so that each is read.
        array[::2] = 7
    ended.set()
    assert store.stored == before


@given(data=st.data())
def test_writes_are_those_to_a_store_in_memory(data: st.DataObject) -> None:
    written_alike(data, data.draw(st.sampled_from([Remote, Swapping]), label="kind")())
