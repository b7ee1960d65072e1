"""Chunks that are decoded by the threads that have fetched them, against the twin."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from waits import join

import fastzarr as zarr
from fastzarr.errors import ChunkError
from fastzarr.stores import MemoryStore, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Slow(Store):
    """A store whose values come in any order, and are bytes or views."""

    def __init__(self, stored: dict[str, bytes], *, views: bool = False) -> None:
        super().__init__()
        self.stored, self.views = stored, views
        self.on_get: Callable[[str], None] = lambda _: None

    def _get(self, key: str) -> Any:
        self.on_get(key)
        found = self.stored.get(key)
        if found is None or not self.views:
            return found
        # As those of obstore, which are neither bytes nor arrays.
        return memoryview(bytearray(found)).toreadonly()

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.stored[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.stored.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        return [key for key in self.stored if key.startswith(prefix)]


def made(shape: Any, chunks: Any, codec: str | None, **options: Any) -> tuple[Any, Any]:
    values = np.random.default_rng(3).integers(0, 9, shape).astype("i4")
    array = zarr.create_array(
        MemoryStore(), shape=shape, chunks=chunks, dtype="i4", compressors=codec, **options
    )
    array[...] = values
    return values, dict(array.store)


@settings(max_examples=25)
@given(
    codec=st.sampled_from([None, "zstd", "gzip"]),
    chunk=st.sampled_from([(3, 5), (40, 64), (100, 128)]),
    missing=st.sets(st.integers(0, 30), max_size=4),
    selected=st.sampled_from(["all", "rows", "box", "steps"]),
    concurrency=st.sampled_from([1, 3, 16, 64]),
    room=st.sampled_from([1 << 12, 1 << 26]),
    views=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_read_is_what_the_twin_reads(
    codec: str | None,
    chunk: Any,
    missing: set[int],
    selected: str,
    concurrency: int,
    room: int,
    views: bool,
    seed: int,
) -> None:
    _, stored = made((chunk[0] * 7, chunk[1] * 5 - 1), chunk, codec, fill_value=-3)
    keys = sorted(key for key in stored if key.startswith("c/"))
    for number in missing:
        del stored[keys[number]]
    chance = random.Random(seed)
    store = Slow(stored, views=views)
    store.on_get = lambda _: time.sleep(chance.choice([0, 0, 0.001]))
    array = zarr.open_array(store, mode="r")
    rows = np.random.default_rng(seed).integers(0, array.shape[0], 20)
    read = {
        "all": lambda: array[...],
        "rows": lambda: array.oindex[rows],
        "box": lambda: array[2:-2, 1:-1],
        "steps": lambda: array[::-3, ::2],
    }[selected]
    with zarr.config.set({"fetch.concurrency": concurrency, "fetch.bytes": room}):
        found = read()
        with zarr.config.set({"data_path": "numpy"}):
            expected = read()
    assert np.array_equal(found, expected)


def test_a_chunk_that_does_not_decode_on_a_thread_that_fetches_is_named() -> None:
    values, stored = made((64, 4096), (1, 4096), "zstd")
    good, stored["c/41/0"] = stored["c/41/0"], b"not a chunk"
    store = Slow(stored)
    array = zarr.open_array(store, mode="r")
    for _ in range(5):
        with pytest.raises(ChunkError) as raised:
            array[...]
        assert (raised.value.chunk, raised.value.key) == ((41, 0), "c/41/0")
    store.stored["c/41/0"] = good
    assert np.array_equal(array[...], values)


def test_several_callers_read_at_once() -> None:
    values, stored = made((96, 4096), (1, 4096), "zstd")
    array = zarr.open_array(Slow(stored), mode="r")
    found: list[Any] = []
    callers = [threading.Thread(target=lambda: found.append(array[...])) for _ in range(8)]
    for caller in callers:
        caller.start()
    join(*callers)
    assert len(found) == 8
    assert all(np.array_equal(one, values) for one in found)


def test_a_caller_without_threads_waits_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    values, stored = made((64, 4096), (1, 4096), "zstd")
    array = zarr.open_array(Slow(stored), mode="r")
    monkeypatch.setattr("fastzarr.engine.requests._fetching.submit", lambda *_: False)
    # A wait would be seen.
    monkeypatch.setattr("fastzarr.engine.requests._LOOK", 3600)
    assert np.array_equal(array[...], values)


def test_a_value_that_is_no_buffer_is_the_error_of_its_chunk() -> None:
    class Odd(Slow):
        def _get(self, key: str) -> Any:
            return 7 if key == "c/5/0" else super()._get(key)

    _, stored = made((64, 4096), (1, 4096), None)
    array = zarr.open_array(Odd(stored), mode="r")
    with pytest.raises(ChunkError) as raised:
        array[...]
    assert raised.value.chunk == (5, 0)
