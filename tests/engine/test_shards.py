"""Shards in stores without files: which bytes of them are requested, and when."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.engine.cache import Cache, indexes
from fastzarr.errors import ChunkError, ChunkNotFoundError
from fastzarr.stores import MemoryStore, Store
from fastzarr.stores.capabilities import Request, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

pytestmark = pytest.mark.usefixtures("data_path")
Wanted = tuple[str, int, int | None]


class Ranged(Store):
    """A store that reads parts of values, and records what is requested."""

    def __init__(self, stored: dict[str, bytes]) -> None:
        super().__init__()
        self.stored = stored
        self.asked: list[Wanted] = []
        self.bytes = 0
        self.on_get: Callable[[str, int], object] = lambda *_: None

    def _part(self, key: str, start: int, length: int | None) -> bytes | None:
        self.asked.append((key, start, length))
        self.on_get(key, start)
        value = self.stored.get(key)
        if value is None:
            return None
        start = max(len(value) + start, 0) if start < 0 else start
        found = value[start : None if length is None else start + length]
        self.bytes += len(found)
        return found

    def _get(self, key: str) -> bytes | None:
        return self._part(key, 0, None)

    def _get_ranges(self, key: str, ranges: Sequence[tuple[int, int | None]]) -> list[bytes] | None:
        found = [self._part(key, start, length) for start, length in ranges]
        return None if None in found else [part for part in found if part is not None]

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.stored[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.stored.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        return [key for key in self.stored if not prefix or key.startswith(f"{prefix}/")]


class Tokens(Ranged):
    """A store that returns tokens with its values."""

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        for index, (key, start, length) in enumerate(wanted):
            found = self._part(key, start, length)
            whole = self.stored.get(key)
            token = None if whole is None else hash(whole)
            size = None if whole is None else len(whole)
            yield index, None if found is None else Value(found, token, size)


class Batched(Tokens):
    """A store that answers many requests in one round trip, which it counts."""

    batch = 64
    trips = 0

    def fetch(self, wanted: Sequence[Request]) -> Iterator[tuple[int, Value | None]]:
        self.trips += 1
        return super().fetch(wanted)


class Wholes(Ranged):
    """A store that reads values as a whole."""

    _get_ranges = Store._get_ranges  # noqa: SLF001  (the one of a store that does not override it)


SHAPE, SHARDS, CHUNKS = (64, 64), (16, 16), (2, 2)


def made(**options: Any) -> dict[str, bytes]:
    array = zarr.create_array(
        MemoryStore(),
        **(
            {"shape": SHAPE, "chunks": CHUNKS, "shards": SHARDS, "dtype": "i4", "fill_value": -7}
            | options
        ),
    )
    array[...] = np.arange(array.size).reshape(array.shape)
    return dict(array.store)


VALUES = np.arange(64 * 64).reshape(64, 64)


def opened(kind: Any = Ranged, **options: Any) -> tuple[Any, Any]:
    store = kind(made(**options))
    array = zarr.open_array(store, mode="r+")
    store.asked.clear()
    store.bytes = 0
    return store, array


@pytest.fixture(autouse=True)
def _no_known_indexes() -> None:
    indexes.clear()


def test_the_indexes_of_all_shards_are_requested_at_once() -> None:
    store, array = opened()
    barrier = threading.Barrier(16, timeout=100)

    def meet(_: str, start: int) -> None:
        if start < 0:
            barrier.wait()

    store.on_get = meet
    assert np.array_equal(array[::16, ::16], VALUES[::16, ::16])
    assert sorted(one for one in store.asked if one[1] < 0) == [
        (f"c/{i}/{j}", -1028, 1028) for i in range(4) for j in range(4)
    ]
    assert len(store.asked) == 32


def test_inner_chunks_that_are_close_are_one_request() -> None:
    store, array = opened(compressors=None, filters=None)
    # Inner chunks of 16 bytes in C order: those of two rows are close to each other.
    assert np.array_equal(array[4:8, 2:6], VALUES[4:8, 2:6])
    assert [one[0] for one in store.asked] == ["c/0/0"] * 2
    assert store.bytes < 2000


def test_half_of_a_shard_is_read_as_a_whole() -> None:
    store, array = opened()
    assert np.array_equal(array[:16, 16:24], VALUES[:16, 16:24])
    assert store.asked == [("c/0/1", 0, None)]
    store.asked.clear()
    assert np.array_equal(array[...], VALUES)
    assert sorted(store.asked) == [(f"c/{i}/{j}", 0, None) for i in range(4) for j in range(4)]


def test_a_large_shard_is_read_in_parts_at_once() -> None:
    store, array = opened(shape=(64, 64), shards=(64, 64), compressors=None)
    barrier = threading.Barrier(4, timeout=100)

    def meet(_: str, start: int) -> None:
        if start >= 0:
            barrier.wait()

    store.on_get = meet
    # Parts of 2 KiB each come at once.
    with zarr.config.set({"fetch.bytes": 32 << 10, "fetch.concurrency": 4}):
        assert np.array_equal(array[...], VALUES)
    index, *parts = store.asked
    assert index[1] < 0
    assert [length for _, _, length in parts] == [2 << 10] * 8
    assert sorted(start for _, start, _ in parts) == list(range(0, 16 << 10, 2 << 10))


def test_a_store_without_parts_reads_each_shard_once() -> None:
    store, array = opened(Wholes)
    assert np.array_equal(array[::16, ::16], VALUES[::16, ::16])
    assert sorted(store.asked) == [(f"c/{i}/{j}", 0, None) for i in range(4) for j in range(4)]


@pytest.mark.parametrize("kind", [Ranged, Tokens, Wholes])
def test_missing_shards_and_inner_chunks(kind: Any) -> None:
    store, array = opened(kind)
    del store.stored["c/1/1"]
    array[0:2, 32:34] = -7
    expected = VALUES.copy()
    expected[16:32, 16:32] = expected[0:2, 32:34] = -7
    for rows in (slice(None), slice(None, None, 16), slice(1, None, -1)):
        assert np.array_equal(array[rows, ::5], expected[rows, ::5])
        assert np.array_equal(array[rows], expected[rows])
    with zarr.config.set({"array.read_missing_chunks": False}):
        strict = zarr.open_array(store, mode="r")
        for wanted, chunk in (((20, 20), (1, 1)), ((0, 33), (0, 2))):
            with pytest.raises(ChunkNotFoundError) as raised:
                strict[wanted]
            assert raised.value.chunk == chunk
        with pytest.raises(ChunkNotFoundError, match=r"inner chunk \(0, 0\)"):
            strict[0, 33]


@pytest.mark.parametrize("start", [-1, 0])
def test_an_error_names_the_shard_and_ends_the_call(start: int) -> None:
    store, array = opened()

    def fail(key: str, at: int) -> None:
        if key == "c/2/1" and (at < 0) == (start < 0):
            msg = "no route"
            raise OSError(msg)

    store.on_get = fail
    with (
        zarr.config.set({"fetch.concurrency": 1}),
        pytest.raises(ChunkError, match="no route") as raised,
    ):
        array[::16, ::16]
    assert (raised.value.chunk, raised.value.key) == ((2, 1), "c/2/1")
    assert len(store.asked) == 10 if start < 0 else len(store.asked) < 33


def test_an_inner_chunk_that_does_not_decode_is_named() -> None:
    store, array = opened()
    shard = bytearray(store.stored["c/0/0"])
    shard[0] ^= 0xFF
    store.stored["c/0/0"] = bytes(shard)
    with pytest.raises(ChunkError, match=r"inner chunk \(0, 0\)") as raised:
        array[0, 0]
    assert raised.value.key == "c/0/0"


def test_a_shard_that_is_deleted_in_between_is_an_error() -> None:
    store, array = opened()
    store.on_get = lambda key, start: start < 0 or store.stored.pop(key)
    with pytest.raises(ChunkError, match="deleted while it was read"):
        array[0, 0]


def test_a_shard_that_is_replaced_in_between_is_read_again() -> None:
    store, array = opened(Tokens)
    other = made()
    changed = zarr.open_array(MemoryStore(other), mode="r+")
    changed[...] = 1000 + VALUES[::-1]
    times = iter(range(3))

    def replace(key: str, start: int) -> None:
        if start >= 0 and next(times, None) is not None:
            value = store.stored[key]
            store.stored[key], other[key] = other[key], value

    store.on_get = replace
    found = array[0:16:8, 0:16:8]
    # Three replacements: the shard is the other one in the end, and nothing is of the first one.
    assert np.array_equal(found, 1000 + VALUES[::-1][0:16:8, 0:16:8])


def test_a_shard_that_is_replaced_for_ever_is_an_error() -> None:
    store, array = opened(Tokens)
    count = iter(range(1000))
    value = store.stored["c/0/0"]

    def replace(key: str, _: int) -> None:
        store.stored[key] = bytes(next(count)) + value

    store.on_get = replace
    with pytest.raises(ChunkError, match="was replaced 16 times while it was read"):
        array[0, 0]


def test_the_index_of_a_shard_is_kept_if_there_are_tokens() -> None:
    store, array = opened(Tokens)
    assert array[0, 0] == 0
    assert [start < 0 for _, start, _ in store.asked] == [True, False]
    store.asked.clear()
    assert array[0, 4] == 4
    assert [start < 0 for _, start, _ in store.asked] == [False]
    # Another value has another token.
    array[0:2, 0:2] = 5
    store.asked.clear()
    assert (array[0, 0], array[0, 4]) == (5, 4)
    assert [start < 0 for _, start, _ in store.asked] == [False, True, False, False]


def test_a_known_index_of_missing_chunks_is_checked() -> None:
    store, array = opened(Tokens)
    before = store.stored["c/0/0"]
    array[0:2, 0:2] = -7
    assert array[0, 0] == -7
    store.stored["c/0/0"] = before
    assert array[0, 0] == 0


def test_without_tokens_no_index_is_kept() -> None:
    store, array = opened()
    for _ in range(2):
        store.asked.clear()
        assert array[0, 0] == 0
        assert [start < 0 for _, start, _ in store.asked] == [True, False]


def test_what_is_kept_has_a_bound() -> None:
    cache = Cache(10)
    for number in range(20):
        cache.put(number, "token", b"abc", 3)
        cache.get(0)
    assert cache.get(0) == ("token", b"abc")
    assert [number for number in range(20) if cache.get(number)] == [0, 18, 19]
    cache.put(0, "other", b"x" * 11, 11)
    assert cache.get(0) is None


def test_what_is_fetched_of_shards_has_a_bound() -> None:
    _, array = opened()
    with zarr.config.set({"fetch.bytes": 1, "fetch.concurrency": 8}):
        assert np.array_equal(array[::16, ::16], VALUES[::16, ::16])
        assert np.array_equal(array[...], VALUES)


def _nested(stored: MemoryStore, shape: tuple[int, int], *, start: bool) -> Any:
    where = "start" if start else "end"
    inner = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [2, 2],
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "crc32c"},
            ],
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "index_location": where,
        },
    }
    return zarr.create_array(
        stored,
        shape=shape,
        dtype="i4",
        chunks=(4, 6),
        shards=(12, 12),
        serializer=inner,
        compressors=None,
        fill_value=-1,
    )


@given(data=st.data())
def test_shards_are_read_as_from_memory(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 30)), label="shape")
    memory = MemoryStore()
    layout = data.draw(st.sampled_from(["plain", "transposed", "start", "end"]), label="layout")
    if layout in ("start", "end"):
        array = _nested(memory, shape, start=layout == "start")
    else:
        array = zarr.create_array(
            memory,
            shape=shape,
            dtype="i4",
            chunks=(2, 3),
            shards=(12, 12),
            fill_value=-1,
            filters=[{"name": "transpose", "configuration": {"order": [1, 0]}}]
            if layout == "transposed"
            else None,
        )
    array[...] = np.arange(array.size).reshape(shape)
    rows, columns = (
        data.draw(st.lists(st.integers(0, size - 1), max_size=5), label="points") for size in shape
    )
    array.oindex[rows, columns] = -1
    stored = dict(memory)
    keys = sorted(key for key in stored if key.startswith("c/"))
    if keys:
        for key in data.draw(st.sets(st.sampled_from(keys), max_size=2), label="missing"):
            del stored[key]
    step = data.draw(st.sampled_from([1, 3, -1, 7, -11]), label="step")
    lines = data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=5), label="lines")
    wanted = data.draw(
        st.sampled_from([(slice(None, None, step), slice(0, 9)), (lines,), (rows, columns)]),
        label="wanted",
    )
    expected = zarr.open_array(MemoryStore(stored), mode="r").oindex[wanted]
    kind = data.draw(st.sampled_from([Ranged, Tokens, Wholes, Batched]), label="kind")
    settings = {"fetch.bytes": data.draw(st.sampled_from([1, 2000, 1 << 20]), label="bytes")}
    settings["threading.max_workers"] = data.draw(st.sampled_from([1, 3]), label="threads")
    again = zarr.open_array(kind(stored), mode="r")
    with zarr.config.set(settings):
        for _ in range(2):  # the second time, the indexes may be known
            assert np.array_equal(again.oindex[wanted], expected)


def test_parts_of_many_shards_are_two_round_trips() -> None:
    """The indexes are requested together, and then all that they tell of."""
    store, array = opened(Batched)
    assert np.array_equal(array[:, ::16], VALUES[:, ::16])
    assert (store.trips, len(store.asked)) == (2, 32)
    # The indexes are known.
    assert np.array_equal(array[:, ::16], VALUES[:, ::16])
    assert (store.trips, len(store.asked)) == (3, 48)
    assert np.array_equal(array[...], VALUES)
    assert (store.trips, len(store.asked)) == (4, 64)


@pytest.mark.parametrize("batch", [1, 5])
def test_no_call_has_more_requests_than_a_store_answers_together(batch: int) -> None:
    store, array = opened(Batched)
    store.batch = batch
    assert np.array_equal(array[:, ::16], VALUES[:, ::16])
    assert len(store.asked) == 32
    assert store.trips >= 32 / batch
