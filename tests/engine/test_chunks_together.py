"""Chunks in stores at hand: many are asked for together, and read by several threads meanwhile."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from at_hand import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.errors import ChunkError, ChunkNotFoundError
from fastzarr.stores import (
    MappingStore,
    MemoryStore,
)
from fastzarr.stores.capabilities import Views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KEYS: list[dict[str, Any]] = [
    {},
    {"zarr_format": 2},
    {"zarr_format": 2, "dimension_separator": "/"},
    {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    # The extension does not spell these.
    {"chunk_key_encoding": {"name": "fanout", "configuration": {"max_children": 11}}},
]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    keys=st.sampled_from(KEYS),
    columns=st.sampled_from([1, 7, 150]),
    missing=st.sets(st.integers(0, 299), max_size=20),
    selection=st.tuples(st.integers(0, 20), st.integers(150, 300), st.sampled_from([1, 3, 256])),
    coded=st.booleans(),
)
def test_many_chunks_are_those_read_one_by_one(
    kind: str, keys: Any, columns: int, missing: Any, selection: Any, coded: bool
) -> None:
    """Any of hundreds of chunks, some of them missing, is that of a store that is asked alone."""
    layout: Any = {"shape": (300, columns), "chunks": (1, 150), "dtype": "f8", "fill_value": 7}
    layout["compressors"] = "auto" if coded else None
    values = np.random.default_rng(columns).random((300, columns))
    index = slice(*selection)
    with (
        tempfile.TemporaryDirectory() as folder,
        KINDS[kind](str(Path(folder, "a"))) as store,
    ):
        slow = zarr.create_array(MappingStore({}), name="a/b", **layout, **keys)
        fast = zarr.create_array(store, name="a/b", **layout, **keys)
        for array in (slow, fast):
            array[...] = values
        for number in missing:
            for array in (slow, fast):
                array[number] = 7
        with zarr.config.set({"data_path": "numpy"}):
            expected = slow[index]
        assert np.array_equal(fast[index], expected)
        values[[*missing]] = 7
        assert np.array_equal(fast[...], values)


class Lazy(MemoryStore):
    """A store whose values are looked for when they are taken."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked = self.taken = 0
        self.on_take: Callable[[str], object] = lambda _: None

    def views(self, keys: Sequence[str]) -> Views:
        self.asked += 1
        return Views(None, self._each(keys))

    def _each(self, keys: Sequence[str]) -> Iterator[Any]:
        for key in keys:
            self.taken += 1
            self.on_take(key)
            yield self.get(key)


def lazy(**options: Any) -> tuple[Lazy, Any]:
    store = Lazy()
    words: dict[str, Any] = {"shape": 400 << 7, "chunks": 128, "dtype": "i8", "fill_value": -1}
    array: Any = zarr.create_array(store, **(words | options))
    array[...] = np.arange(1, array.size + 1)
    return store, array


def test_all_are_asked_for_once_and_taken_as_they_are_needed() -> None:
    """A store that has begun to tell of many values is not asked again."""
    store, array = lazy()
    assert np.array_equal(array[...], np.arange(1, array.size + 1))
    assert (store.asked, store.taken) == (1, 400)


def test_a_value_that_is_missing_among_others_is_a_fill_value_or_an_error() -> None:
    store, array = lazy()
    del store["c/300"]
    found = array[...]
    assert (found[300 << 7 : 301 << 7] == -1).all()
    assert (np.delete(found, slice(300 << 7, 301 << 7)) > 0).all()
    with (
        zarr.config.set({"array.read_missing_chunks": False}),
        pytest.raises(ChunkNotFoundError) as raised,
    ):
        zarr.open_array(store, mode="r")[...]
    assert (raised.value.chunk, raised.value.key) == ((300,), "c/300")


@pytest.mark.parametrize("short", [False, True])
def test_what_cannot_be_told_is_read_alone(short: bool) -> None:
    """A store that fails to tell of one value, or tells of too few, is asked for each."""
    store, array = lazy()

    def fail(key: str) -> None:
        if key == "c/250":
            if short:
                raise StopIteration
            msg = "no view"
            raise OSError(msg)

    store.on_take = fail
    if short:
        store.views = lambda keys: Views(None, map(store.get, keys[:250]))  # type: ignore[method-assign]
    assert np.array_equal(array[...], np.arange(1, array.size + 1))


def test_an_interrupt_while_values_are_told_ends_the_call() -> None:
    store, array = lazy()

    def interrupt(key: str) -> None:
        if key == "c/250":
            raise KeyboardInterrupt

    store.on_take = interrupt
    with pytest.raises(KeyboardInterrupt):
        array[...]
    store.on_take = lambda _: None
    assert np.array_equal(array[...], np.arange(1, array.size + 1))


def test_a_value_that_does_not_decode_is_named() -> None:
    store, array = lazy()
    store["c/333"] = b"not a chunk"
    with pytest.raises(ChunkError) as raised:
        array[...]
    assert (raised.value.chunk, raised.value.key) == ((333,), "c/333")
