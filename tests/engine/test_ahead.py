"""Requests that run ahead: how many, how many at once, how many bytes, and what ends them."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from itertools import islice
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from waits import join, until, wait_for

import fastzarr as zarr
from fastzarr.engine.bounds import bounds
from fastzarr.engine.requests import Requests, gather
from fastzarr.errors import ChunkError, ChunkNotFoundError
from fastzarr.nodes.stored import stored_size
from fastzarr.stores import LocalStore, MappingStore, MemoryStore, Store
from fastzarr.stores.capabilities import Request, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

COUNT = 64
pytestmark = pytest.mark.usefixtures("data_path")


class Remote(Store):
    """A store with the four methods, which counts its requests and those under way at once."""

    def __init__(self, stored: dict[str, bytes] | None = None) -> None:
        super().__init__()
        self.stored = {} if stored is None else stored
        self.asked: Counter[str] = Counter()
        self.most = [0, 0]
        self.lock = threading.Lock()
        self.on_get: Callable[[str], None] = lambda _: None

    def _get(self, key: str) -> bytes | None:
        with self.lock:
            self.asked[key] += 1
            self.most[0] += 1
            self.most[1] = max(self.most)
        try:
            self.on_get(key)
            return self.stored.get(key)
        finally:
            with self.lock:
                self.most[0] -= 1

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.stored[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.stored.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        return [key for key in self.stored if not prefix or key.startswith(f"{prefix}/")]


class Together(Remote):
    """A store that answers several requests in one call, the last one first."""

    batch = 10

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        self.asked[f"{len(wanted)} together"] += 1
        for index in reversed(range(len(wanted))):
            found = self._get(wanted[index].key)
            yield index, None if found is None else Value(memoryview(found).toreadonly())


class Awaiting(Remote):
    """A store whose requests are awaited."""

    async def fetch_async(self, wanted: Request) -> Value | None:
        found = self._get(wanted.key)
        return None if found is None else Value(memoryview(found))


class AtHand(Remote):
    """A store whose values are in memory, of which several are asked for in one call."""

    concurrency, batch = 1, 10
    fetch = Together.fetch


KINDS = [Remote, Together, Awaiting, AtHand]


def filled(kind: Any = Remote, count: int = COUNT, **options: Any) -> tuple[Any, Any]:
    """Return a store of chunks of 1 KiB without gaps, and an array that is open for reading."""
    made = zarr.create_array(
        MemoryStore(), **({"shape": count * 128, "chunks": 128, "dtype": "i8"} | options)
    )
    made[...] = np.arange(1, made.size + 1).reshape(made.shape)
    store = kind(dict(made.store))
    array = zarr.open_array(store, mode="r+")
    store.asked.clear()
    return store, array


def numbers(count: int = COUNT) -> Any:
    return np.arange(1, count * 128 + 1)


def meeting(store: Remote, many: int) -> None:
    """Answer no request before ``many`` of them are under way."""
    barrier = threading.Barrier(many, timeout=100)
    store.on_get = lambda _: barrier.wait() and None


@pytest.mark.parametrize("kind", KINDS)
def test_each_chunk_is_requested_once(kind: Any) -> None:
    store, array = filled(kind)
    assert np.array_equal(array[...], numbers())
    together = [key for key in store.asked if key.endswith("together")]
    assert all(int(key.split()[0]) <= 10 for key in together)
    assert bool(together) == (kind in (Together, AtHand))
    chunks = {key: count for key, count in store.asked.items() if key not in together}
    assert chunks == {f"c/{number}": 1 for number in range(COUNT)}


@pytest.mark.parametrize("most", [64, 32, 5])
def test_as_many_requests_are_under_way_as_the_setting_allows(most: int) -> None:
    store, array = filled(count=most * 4)
    meeting(store, most)
    with zarr.config.set({"fetch.concurrency": most}):
        assert np.array_equal(array[...], numbers(most * 4))
    assert store.most[1] == most


def test_callers_share_what_may_be_under_way() -> None:
    store, array = filled(count=40)
    meeting(store, 8)
    found: list[Any] = []
    with zarr.config.set({"fetch.concurrency": 8}):
        threads = [threading.Thread(target=lambda: found.append(array[...])) for _ in range(6)]
        for thread in threads:
            thread.start()
        join(*threads)
    assert len(found) == 6
    assert all(np.array_equal(one, numbers(40)) for one in found)
    assert store.most[1] == 8


def test_a_store_may_want_fewer_requests_at_once() -> None:
    class Few(Remote):
        concurrency = 3

    store, array = filled(Few, 30)
    meeting(store, 3)
    assert np.array_equal(array[...], numbers(30))
    assert store.most[1] == 3


@pytest.mark.parametrize("kind", [Remote, Together, Awaiting])
def test_what_is_fetched_and_not_taken_has_a_bound(kind: Any) -> None:
    store, _ = filled(kind, compressors=None)
    sent = taken = most = 0
    size = 1024
    wanted = [Request(f"c/{number}") for number in range(COUNT)]

    def ask(_: str) -> None:
        nonlocal sent, most
        sent += 1
        most = max(most, sent - taken)

    store.on_get = ask
    with zarr.config.set({"fetch.bytes": 5 * size, "fetch.concurrency": 1}):
        requests = Requests(store, COUNT, wanted.__getitem__, lambda _: size)
        found = {}
        try:
            while len(found) < COUNT:
                taken += 1  # before, because the next one may be sent as soon as one is taken
                one = requests.take_value()
                if one is None:
                    taken -= 1
                else:
                    found[one[0]] = bytes(one[1].data)
        finally:
            requests.end()
    assert most <= 6
    assert all(found[number] == store.stored[f"c/{number}"] for number in range(COUNT))


def test_each_value_that_is_taken_makes_room_for_another_request() -> None:
    store = Remote({str(number): b"0123456789" for number in range(24)})
    barrier = threading.Barrier(8, timeout=100)

    def meet(_: str) -> None:
        barrier.wait()

    store.on_get = meet
    with zarr.config.set({"fetch.bytes": 80, "fetch.concurrency": 8}):
        requests = Requests(store, 24, lambda number: Request(str(number)), lambda _: 10)
        try:
            for left in (16, 8, 0):
                # All eight have come before one is taken, and a request for it is under way before
                # the others are.
                until(lambda: len(requests.arrived) >= 8 and not requests.under_way)
                assert taken(requests) == b"0123456789"
                until(lambda left=left: not left or requests.under_way)
                assert [taken(requests) for _ in range(7)] == [b"0123456789"] * 7
        finally:
            requests.end()


def test_a_thread_that_finds_no_request_does_not_keep_awaited_ones_waiting() -> None:
    store = Awaiting({str(number): b"0123456789" for number in range(24)})
    with zarr.config.set({"fetch.bytes": 80}):
        requests = Requests(store, 24, lambda number: Request(str(number)), lambda _: 10)
        try:
            until(lambda: len(requests.arrived) >= 8 and not requests.under_way)
            # More threads are asked to make requests than are needed, if one makes several.
            idle = threading.Thread(target=resolve_name("fastzarr.engine.requests:_threads.work"))
            idle.start()
            join(idle)
            looks = (requests.take_value() for _ in range(2000))
            come = (one[1].data for one in looks if one is not None)
            found = list(islice(come, 24))
        finally:
            requests.end()
    assert found == [b"0123456789"] * 24


def taken(requests: Requests) -> Any:
    return until(requests.take_value)[1].data


def test_small_values_are_handed_over_several_at_once() -> None:
    store = Remote({str(number): b"0123456789" for number in range(24)})
    meeting(store, 24)
    requests = Requests(store, 24, lambda number: Request(str(number)), lambda _: 10, together=40)
    found: list[list[Any]] = []

    def take() -> bool:
        found.append(requests.take() or [])
        return sum(map(len, found)) >= 24

    try:
        until(take)
    finally:
        requests.end()
    assert {number for come in found for number, _ in come} == set(range(24))
    assert all(data == b"0123456789" for come in found for _, data in come)
    # The last ones are no more than have come when no others will.
    assert [len(come) for come in found if come] == [4] * 6


def test_values_do_not_wait_for_a_request_that_takes_long() -> None:
    store = Remote({str(number): b"0123456789" for number in range(6)})
    released = threading.Event()
    store.on_get = lambda key: wait_for(released) if key == "3" else None
    requests = Requests(
        store, 6, lambda number: Request(str(number)), lambda _: 10, together=1 << 20
    )
    found: list[int] = []

    def take() -> bool:
        found.extend(number for number, _ in requests.take() or [])
        if len(found) == 5:
            released.set()
        return len(found) >= 6

    try:
        until(take)
    finally:
        released.set()
        requests.end()
    assert sorted(found) == list(range(6))
    assert found[-1] == 3


def test_requests_that_have_not_begun_when_a_call_ends_are_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, array = filled()
    held: list[Callable[[], object]] = []

    def submit(work: Callable[[], object], most: int) -> bool:
        held.append(work)
        return most > 0

    with monkeypatch.context() as patch:
        # The threads are slow to begin.
        patch.setattr("fastzarr.engine.requests._fetching.submit", submit)
        requests = Requests(store, 6, lambda number: Request(f"c/{number}"), lambda _: 10)
        requests.end()
    assert len(held) == 6
    for work in held:
        thread = threading.Thread(target=work)
        thread.start()
        join(thread)
    assert not store.asked
    assert np.array_equal(array[...], numbers())


@pytest.mark.parametrize("kind", [Remote, Together, Awaiting])
def test_a_value_larger_than_the_bound_is_fetched_alone(kind: Any) -> None:
    store, array = filled(kind)
    with zarr.config.set({"fetch.bytes": 1}):
        assert np.array_equal(array[...], numbers())
    assert store.most[1] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_missing_chunks_are_fill_values_only_if_that_is_proved(kind: Any) -> None:
    class Blind(kind):  # type: ignore[misc]
        def check_missing(self, key: str) -> None:
            if key == "c/9":
                msg = "the network is gone"
                raise ConnectionError(msg)

    store, array = filled(Blind, fill_value=-1)
    del store.stored["c/7"]
    expected = numbers()
    expected[7 * 128 : 8 * 128] = -1
    assert np.array_equal(array[...], expected)
    with (
        zarr.config.set({"array.read_missing_chunks": False}),
        pytest.raises(ChunkNotFoundError) as missing,
    ):
        zarr.open_array(store, mode="r")[...]
    assert (missing.value.chunk, missing.value.key) == ((7,), "c/7")
    del store.stored["c/9"]
    with pytest.raises(ChunkError, match="the network is gone") as raised:
        array[...]
    assert (raised.value.chunk, raised.value.key) == ((9,), "c/9")
    assert isinstance(raised.value, OSError)


@pytest.mark.parametrize("kind", [Remote, Awaiting])
def test_after_an_error_no_more_requests_are_sent(kind: Any) -> None:
    store, array = filled(kind)

    def fail(key: str) -> None:
        if key == "c/5":
            msg = "no route"
            raise OSError(msg)

    store.on_get = fail
    with (
        zarr.config.set({"fetch.concurrency": 1}),
        pytest.raises(ChunkError, match="no route") as raised,
    ):
        array[...]
    assert (raised.value.array, raised.value.chunk, raised.value.key) == ("", (5,), "c/5")
    assert sorted(store.asked) == [f"c/{number}" for number in range(6)]
    store.on_get = lambda _: None
    assert np.array_equal(array[...], numbers())


@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_that_does_not_decode_is_named(kind: Any) -> None:
    store, array = filled(kind)
    store.stored["c/3"] = b"not a chunk"
    with pytest.raises(ChunkError) as raised:
        array[...]
    assert (raised.value.chunk, raised.value.key) == ((3,), "c/3")


@pytest.mark.parametrize("options", [{}, {"dtype": "str"}])
def test_chunks_at_hand_are_asked_for_in_batches(options: Any) -> None:
    store, array = filled(AtHand, **options)
    array[...]
    together = [key for key in store.asked if key.endswith("together")]
    assert sum(store.asked[key] for key in together) == 7
    assert sum(int(key.split()[0]) * store.asked[key] for key in together) == COUNT


@pytest.mark.parametrize(
    ("kind", "options"), [(Together, {}), (AtHand, {}), (AtHand, {"dtype": "str"})]
)
def test_a_chunk_that_fails_among_others_is_named(kind: Any, options: Any) -> None:
    store, array = filled(kind, **options)

    def fail(key: str) -> None:
        if key == "c/25":
            msg = "no route"
            raise OSError(msg)

    store.on_get = fail
    with pytest.raises(ChunkError, match="no route") as raised:
        array[...]
    assert (raised.value.chunk, raised.value.key) == ((25,), "c/25")


def test_what_is_held_of_chunks_at_hand_has_a_bound() -> None:
    store, array = filled(AtHand)
    with zarr.config.set({"fetch.bytes": 4 * 1024}):
        assert np.array_equal(array[...], numbers())
    assert {key for key in store.asked if key.endswith("together")} == {"4 together"}


def test_a_store_that_leaves_out_a_request_fails() -> None:
    class Forgetful(Together):
        def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
            return (pair for pair in super().fetch(wanted) if wanted[pair[0]].key != "c/2")

        batch = 10

    _, array = filled(Forgetful)
    with pytest.raises(ChunkError, match="did not answer 1 of 1 requests"):
        array[...]


@pytest.mark.parametrize("options", [{}, {"dtype": "str"}])
def test_what_a_store_at_hand_leaves_out_does_not_read_as_missing(options: Any) -> None:
    class Forgetful(AtHand):
        def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
            return (pair for pair in super().fetch(wanted) if wanted[pair[0]].key != "c/2")

        batch, concurrency = 10, 1

    store, array = filled(Forgetful, **options)
    assert np.array_equal(array[...], numbers().astype(array.dtype))
    with pytest.raises(RuntimeError, match="did not answer 1 of 2 requests"):
        store.get_many(["c/1", "c/2"])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", [Remote, Together])
def test_an_interrupted_read_does_not_wait_for_its_requests(kind: Any, threads: int) -> None:
    store, array = filled(kind, count=300)
    released, out = threading.Event(), np.zeros(300 * 128, "i8")
    first = threading.Lock()

    def ask(_: str) -> None:
        # Of many threads, one alone interrupts.
        if first.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)
        wait_for(released)

    store.on_get = ask
    with zarr.config.set({"threading.max_workers": threads}):
        # Nothing is released before the call has ended.
        with pytest.raises(KeyboardInterrupt):
            array.get_basic_selection(..., out=out)
        released.set()
        store.on_get = lambda _: None
        assert np.array_equal(array[...], numbers(300))
    assert not out.any()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", [Remote, Together])
def test_an_interrupt_while_requests_begin_leaves_no_place_taken(
    kind: Any, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, array = filled(kind)
    before, real = bounds.room(), resolve_name("fastzarr.engine.requests:_fetching.submit")
    begun: list[threading.Event] = []

    def interrupted(work: Callable[[], object], most: int) -> bool:
        ended = threading.Event()

        def watched() -> None:
            try:
                work()
            finally:
                ended.set()

        if len(begun) == 2 and not late:
            raise KeyboardInterrupt
        begun.append(ended)
        done: bool = real(watched, most)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr("fastzarr.engine.requests._fetching.submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            array[...]
    for ended in begun:
        wait_for(ended)
    assert bounds.room() == before
    with zarr.config.set({"fetch.concurrency": 1, "fetch.bytes": 1}):
        assert np.array_equal(array[...], numbers())


def test_an_interrupted_read_cancels_what_it_awaits() -> None:
    import asyncio

    ended: list[str] = []

    class Endless(Awaiting):
        async def fetch_async(self, wanted: Request) -> Value | None:
            try:
                if wanted.key == "c/3":
                    os.kill(os.getpid(), signal.SIGINT)
                await asyncio.Event().wait()
            finally:
                ended.append(wanted.key)
            return None

    _, array = filled(Endless, 8)
    with pytest.raises(KeyboardInterrupt):
        array[...]
    other, again = filled(Awaiting, 8)
    assert np.array_equal(again[...], numbers(8))
    assert sorted(ended) == [f"c/{number}" for number in range(8)]
    del other


def test_a_store_may_read_other_arrays_itself() -> None:
    inner, source = filled()

    class Derived(Remote):
        def _get(self, key: str) -> bytes | None:
            if key.startswith("c/"):
                assert np.array_equal(source[...], numbers())
            return super()._get(key)

    _, array = filled(Derived, 8)
    with zarr.config.set({"fetch.concurrency": 2}):
        assert np.array_equal(array[...], numbers(8))
    assert set(inner.asked.values()) == {8}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix systems only")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_forked_child_reads_too(kind: Any) -> None:
    _, array = filled(kind)
    assert np.array_equal(array[...], numbers())
    child = os.fork()
    if not child:
        os._exit(3 if np.array_equal(array[...], numbers()) else 4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert np.array_equal(array[...], numbers())


def test_a_call_reads_again_after_the_threads_were_stopped() -> None:
    _, array = filled()
    for _ in range(2):
        assert np.array_equal(array[...], numbers())
        zarr.cleanup_resources()


def test_values_at_hand_are_never_requested_by_other_threads(tmp_path: Any) -> None:
    here = {threading.get_ident()}
    seen: set[int] = set()

    class Own(dict[str, bytes]):
        def __getitem__(self, key: str) -> bytes:
            seen.add(threading.get_ident())
            return super().__getitem__(key)

    made = zarr.create_array(tmp_path, shape=1000, chunks=10, dtype="i4")
    made[...] = np.arange(1000)
    values = Own((key, LocalStore(tmp_path)[key]) for key in LocalStore(tmp_path))
    for store in (MappingStore(values), MemoryStore(values)):
        assert np.array_equal(zarr.open_array(store, mode="r")[...], np.arange(1000))
    assert seen == here


def test_gathered_values_are_those_of_fetch() -> None:
    store, _ = filled()
    wanted = [Request("c/1"), Request("none"), Request("c/2", 3, 4), Request("c/2", -2)]
    expected = dict(MemoryStore(store.stored).fetch(wanted))
    for made in (store, Together(store.stored), AtHand(store.stored)):
        found = dict(gather(made, wanted[:2]))
        assert found[1] is None
        assert bytes(found[0].data) == bytes(expected[0].data)  # type: ignore[union-attr]
    found = dict(gather(store, wanted))
    assert {at: None if one is None else bytes(one.data) for at, one in found.items()} == {
        at: None if one is None else bytes(one.data) for at, one in expected.items()
    }


def test_other_buffers_and_wrong_values_in_a_dict() -> None:
    store, array = filled(lambda stored: MemoryStore(stored) and Remote(stored))
    values = dict(store.stored)
    values["c/2"] = bytearray(values["c/2"])  # type: ignore[assignment]
    memory = zarr.open_array(MemoryStore(values), mode="r")
    assert np.array_equal(memory[...], array[...])
    values["c/4"] = object()  # type: ignore[assignment]
    with pytest.raises(ChunkError) as raised:
        memory[...]
    assert (raised.value.chunk, raised.value.key) == ((4,), "c/4")


@given(data=st.data())
def test_reads_are_those_of_a_store_in_memory(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 12)), label="shape")
    chunks = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)), label="chunks")
    layout = data.draw(st.sampled_from(["regular", "shards", "nested", "raw"]), label="layout")
    options: dict[str, Any] = {"chunks": chunks}
    if layout == "raw":
        options["compressors"] = None
    elif layout != "regular":
        options["shards"] = tuple(2 * size for size in chunks)
    made = zarr.create_array(MemoryStore(), shape=shape, dtype="i4", fill_value=7, **options)
    made[...] = np.arange(made.size).reshape(shape)
    stored = dict(made.store)
    keys = sorted(key for key in stored if key.startswith("c/"))
    for key in data.draw(st.sets(st.sampled_from(keys)), label="missing"):
        del stored[key]
    broken = data.draw(st.none() | st.sampled_from(keys), label="broken")
    if broken in stored:
        stored[broken] = stored[broken][:-1]
    rows = data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=6), label="rows")
    wanted = data.draw(st.sampled_from([..., (slice(None, None, -2),), (rows,)]), label="wanted")
    settings = {
        "fetch.bytes": data.draw(st.sampled_from([1, 300, 1 << 20]), label="bytes"),
        "fetch.concurrency": data.draw(st.integers(1, 9), label="concurrency"),
    }
    kind = data.draw(st.sampled_from(KINDS), label="kind")

    def result(store: Store) -> tuple[str, Any]:
        array = zarr.open_array(store, mode="r")
        try:
            return "found", array.oindex[wanted].tolist()
        except ChunkError as error:
            return "failed", (error.array, error.chunk, error.key)

    expected = result(MemoryStore(stored))
    with zarr.config.set(settings):
        assert result(kind(stored)) == expected


def test_names_and_sizes_are_asked_for_at_once() -> None:
    stored: dict[str, bytes] = {}
    group = zarr.open_group(MemoryStore(stored), mode="w")
    for number in range(20):
        group.create_array(f"a{number:02}", shape=8, chunks=1, dtype="i4")[:4] = 1
    expected = sum(map(len, stored.values()))
    store = Remote(stored)
    remote = zarr.open_group(store, mode="r+")

    def meet(many: int, suffix: str) -> None:
        """Answer the first requests for such keys when so many of them are under way."""
        barrier, first = threading.Barrier(many, timeout=100), iter(range(many))

        def wait(key: str) -> None:
            if key.endswith(suffix) and key[0] == "a" and next(first, None) is not None:
                barrier.wait()

        store.on_get = wait

    meet(20, "zarr.json")
    assert list(remote) == [f"a{number:02}" for number in range(20)]
    meet(20, "/c/3")
    assert stored_size(store, "") == expected
    array = remote["a03"]
    meet(5, "")
    assert array.nbytes_stored == sum(
        len(value) for key, value in stored.items() if key.startswith("a03/")
    )


def test_an_error_of_a_name_is_told_and_other_errors_are_raised() -> None:
    stored: dict[str, bytes] = {}
    group = zarr.open_group(MemoryStore(stored), mode="w")
    for number in range(5):
        group.create_array(f"a{number}", shape=1, dtype="i4")
    store = Remote(stored)
    remote = zarr.open_group(store, mode="r+")
    failing: list[Exception] = [PermissionError("not this one")]

    def fail(key: str) -> None:
        if key == "a2/zarr.json":
            raise failing[0]

    store.on_get = fail
    with pytest.warns(zarr.errors.ZarrUserWarning, match="not this one"):
        assert list(remote.keys()) == ["a0", "a1", "a3", "a4"]
    failing[0] = ConnectionError("no route")
    with pytest.raises(ConnectionError, match="no route"):
        list(remote.keys())
