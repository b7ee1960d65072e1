"""Shards in stores at hand: several are read by one call of the store, as whole chunks are."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from at_hand import KINDS
from hypothesis import given
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.errors import ChunkError
from fastzarr.stores import (
    LMDBStore,
    MappingStore,
    MemoryStore,
    Store,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Counted(LMDBStore):
    """A store that counts the calls that ask for several values."""

    asked: Counter[int]

    def views(self, keys: Sequence[str]) -> Any:
        self.asked[len(keys)] += 1
        return super().views(keys)


class Batches(MemoryStore):
    """A store without views, whose values are copied."""

    views = None
    asked: Counter[int]

    def get_many_valid(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked[len(keys)] += 1
        return super().get_many_valid(keys)


def made(store: Store, count: int, **options: Any) -> Any:
    """Return an array of shards of 1 KiB, each of 16 inner chunks, without gaps."""
    words: dict[str, Any] = {"shape": count * 128, "chunks": 8, "shards": 128, "dtype": "i8"}
    array: Any = zarr.create_array(store, **(words | options))
    array[...] = np.arange(1, array.size + 1)
    return array


_place = st.one_of(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 5)).map(lambda t: slice(*t)),
    st.lists(st.integers(0, 29), max_size=6),
)


@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(["native", "numpy"]),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 29)), max_size=8),
    st.tuples(_place, _place),
    st.tuples(st.sampled_from([None, "auto"]), st.sampled_from([1, 2000, 1 << 20])),
)
def test_shards_read_together_are_those_read_one_by_one(
    kind: str, path: Any, written: Any, selection: Any, settings: Any
) -> None:
    """Any selection of shards, some of them missing, is that of a store that is asked alone."""
    layout: Any = {"shape": (40, 30), "chunks": (3, 2), "shards": (6, 10), "dtype": "i4"}
    layout["compressors"], room = settings
    with (
        tempfile.TemporaryDirectory() as folder,
        zarr.config.set({"data_path": path}),
        KINDS[kind](str(Path(folder, "a"))) as store,
    ):
        slow = zarr.create_array(MappingStore({}), fill_value=7, **layout)
        fast = zarr.create_array(store, fill_value=7, **layout)
        for array in (slow, fast):
            for number, (row, column) in enumerate(written):
                array[row : row + 4, column : column + 9] = number
        with zarr.config.set({"fetch.bytes": room}):
            assert np.array_equal(fast.oindex[selection], slow.oindex[selection])
            assert np.array_equal(fast[...], slow[...])


@pytest.mark.parametrize("path", ["native", "numpy"])
def test_many_shards_are_one_request(tmp_path: Path, path: Any) -> None:
    """All shards, or a part of each, are asked for in batches; views are not copied."""
    lent, copied = Counted(tmp_path / "a.lmdb"), Batches()
    for store in (lent, copied):
        store.asked = Counter()
        array = made(store, 200)
        with zarr.config.set({"data_path": path}):
            for index in (slice(None), slice(3, None, 128)):
                store.asked.clear()
                assert np.array_equal(array[index], np.arange(1, array.size + 1)[index])
                assert sum(store.asked.values()) == 1 or (path, store) == ("numpy", lent)
    lent.close()


def test_one_shard_is_not_copied(tmp_path: Path) -> None:
    """The inner chunks of a large shard are read where the shard is."""
    store = Counted(tmp_path / "a.lmdb")
    store.asked = Counter()
    array = made(store, 1, shape=1 << 16, shards=1 << 16)
    with zarr.config.set({"fetch.bytes": 100}):
        assert np.array_equal(array[5:20], np.arange(6, 21))
    assert store.asked == {1: 1}
    store.close()


def test_large_values_that_are_copied_are_read_alone() -> None:
    """Their memory is used again, which several of them would not fit into."""
    store = Batches()
    store.asked = Counter()
    array = made(store, 3, shape=3 << 16, chunks=1 << 12, shards=1 << 16)
    assert np.array_equal(array[...], np.arange(1, array.size + 1))
    assert not store.asked


@pytest.mark.parametrize("path", ["native", "numpy"])
def test_a_shard_that_fails_among_others_is_named(path: Any) -> None:
    """The others are asked for one by one, and the error names the shard."""

    class Failing(Batches):
        def _get(self, key: str) -> bytes | None:
            if key == "c/25":
                msg = "no route"
                raise OSError(msg)
            return super()._get(key)

        def get_many_valid(self, keys: Sequence[str]) -> list[bytes | None]:
            return [self.get(key) for key in keys]

        concurrency, batch = 1, 1024

    store = Failing()
    store.asked = Counter()
    array = made(store, 40)
    with (
        zarr.config.set({"data_path": path}),
        pytest.raises(ChunkError, match="no route") as raised,
    ):
        array[...]
    assert (raised.value.chunk, raised.value.key) == ((25,), "c/25")


class Live(bytes):
    """A value that is counted as long as somebody has it."""

    now, most = 0, 0

    def __new__(cls, value: bytes) -> Self:
        cls.now += 1
        cls.most = max(cls.most, cls.now)
        return super().__new__(cls, value)

    def __del__(self) -> None:
        Live.now -= 1


def test_large_shards_that_are_in_memory_are_few_at_a_time() -> None:
    """No more are read together than have 64 MiB, decoded."""

    class Lent(MemoryStore):
        def _get(self, key: str) -> bytes | None:
            found = super()._get(key)
            return None if found is None else Live(found)

        views = None
        concurrency, batch = 1, 1024

    store = Lent()
    # Shards of 8 MiB, most of whose inner chunks are missing.
    array: Any = zarr.create_array(
        store, shape=24 << 20, chunks=1 << 12, shards=1 << 20, dtype="i8", fill_value=0
    )
    for number in range(24):
        array[number << 20] = number + 1
    Live.most = 0
    assert np.array_equal(array[:: 1 << 20], np.arange(1, 25))
    # What has been read is only released when the next one is asked for.
    assert 1 <= Live.most <= 16
