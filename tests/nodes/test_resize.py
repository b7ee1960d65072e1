"""Resize and append: elements outside the shape are deleted, and never reappear."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import fastzarr
from fastzarr import errors
from fastzarr.stores import LocalStore, MemoryStore, Store

pytestmark = pytest.mark.usefixtures("data_path")

OPTIONS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (3, 4)},
    "shards": {"chunks": (3, 4), "shards": (6, 8)},
    "format 2": {"chunks": (3, 4), "zarr_format": 2, "order": "F"},
    "fill": {"chunks": (3, 4), "fill_value": 5},
}


@pytest.fixture(params=OPTIONS.values(), ids=OPTIONS.keys())
def z(request: Any) -> fastzarr.Array:
    """Return an array that is a little larger than one chunk along each axis."""
    made = fastzarr.create_array({}, shape=(8, 10), dtype="i4", name="a", **request.param)
    made[...] = 1
    return made


def test_deleted_elements_do_not_reappear(z: fastzarr.Array) -> None:
    z.resize(4, 5)
    assert z[...].tolist() == [[1] * 5] * 4
    z.resize((8, 10))
    expected = np.full((8, 10), z.fill_value)
    expected[:4, :5] = 1
    np.testing.assert_array_equal(z[...], expected)


def test_chunks_outside_are_deleted(z: fastzarr.Array) -> None:
    stored = z.nchunks_initialized
    z.resize(1, 1)
    assert z.nchunks_initialized < stored
    z.resize(0, 0)
    assert [key for key in z.store.list("a") if "zarr" not in key and "zattrs" not in key] == []
    z.resize(8, 10)
    assert (z[...] == z.fill_value).all()


def test_growing_one_axis_while_shrinking_the_other(z: fastzarr.Array) -> None:
    z.resize(10, 3)
    expected = np.full((10, 3), z.fill_value)
    expected[:8] = 1
    np.testing.assert_array_equal(z[...], expected)


def test_values_of_other_writers_beyond_the_edge_are_never_shown() -> None:
    z = fastzarr.create_array({}, shape=(5,), chunks=(4,), dtype="u1", compressors=None)
    z[:] = 1
    z.store.set("c/1", bytes([1, 9, 9, 9]))
    z.store.set("c/2", bytes([9, 9, 9, 9]))
    z.resize(10)
    assert z[:].tolist() == [1] * 5 + [0] * 5


def test_another_handle_keeps_its_shape_until_refreshed(z: fastzarr.Array) -> None:
    other = fastzarr.open_array(z.store, path="a")
    z.resize(2, 2)
    assert other.shape == (8, 10)
    assert other.refresh().shape == (2, 2)


def test_a_stale_handle_does_not_undo_changes_of_others(z: fastzarr.Array) -> None:
    other = fastzarr.open_array(z.store, path="a")
    z.attrs["units"] = "K"
    z.resize(9, 11)
    other.attrs["more"] = 1
    assert fastzarr.open_array(z.store, path="a").shape == (9, 11)
    assert dict(z.attrs) | dict(other.refresh().attrs) == {"units": "K", "more": 1}


def test_append_grows_one_axis_and_gives_the_new_shape(z: fastzarr.Array) -> None:
    assert z.append(np.full((3, 10), 2)) == (11, 10)
    assert z.append(np.full((11, 2), 3), axis=-1) == (11, 12)
    expected = np.ones((11, 12))
    expected[8:] = 2
    expected[:, 10:] = 3
    np.testing.assert_array_equal(z[...], expected)


def test_a_stale_handle_appends_after_the_data_of_others(z: fastzarr.Array) -> None:
    other = fastzarr.open_array(z.store, path="a")
    z.append(np.full((1, 10), 2))
    other.append(np.full((1, 10), 3))
    assert other[7:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(3, 9), (10,), (1, 3, 10)])
def test_data_that_does_not_fit_is_not_appended(z: fastzarr.Array, shape: tuple[int, ...]) -> None:
    before = dict(z.store.items())
    with pytest.raises(ValueError, match=rf"cannot append data of shape \{str(shape)[:-1]}"):
        z.append(np.ones(shape))
    with pytest.raises(IndexError, match="axis 2 is out of bounds"):
        z.append(np.ones((1, 10)), axis=2)
    assert dict(z.store.items()) == before


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5), (-1, 3), (2.5, 3), (True, 3), ("3", 3)])
def test_a_wrong_shape_is_refused(z: fastzarr.Array, shape: tuple[Any, ...]) -> None:
    with pytest.raises(errors.BaseZarrError, match="shape"):
        z.resize(shape)
    assert z.shape == (8, 10)


def test_a_failed_append_leaves_the_old_length() -> None:
    class Full(MemoryStore):
        full = False

        def _set(self, key: str, value: Any) -> None:
            if self.full and "c/" in key:
                raise OSError(28, "No space left on device")
            super()._set(key, value)

    store = Full()
    z = fastzarr.create_array(store, shape=(4,), chunks=(2,), dtype="i4")
    z[:] = 1
    store.full = True
    with pytest.raises(OSError, match="No space left"):
        z.append([2, 3, 4])
    store.full = False
    assert fastzarr.open_array(store)[:].tolist() == [1, 1, 1, 1]
    z.append([5])
    assert z[:].tolist() == [1, 1, 1, 1, 5]
    z.resize(7)
    assert z[:].tolist() == [1, 1, 1, 1, 5, 0, 0]


class Counting(Store):
    """A store with the four methods, which counts the requests of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()

    def _get(self, key: str) -> bytes | None:
        self.requests["get"] += 1
        return self.stored.get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self.requests["set"] += 1
        self.stored[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.requests["delete"] += 1
        self.stored.pop(key, None)

    def _list(self, prefix: str) -> list[str]:
        self.requests["list"] += 1
        return [key for key in self.stored if not prefix or key.startswith(f"{prefix}/")]


@pytest.mark.parametrize("options", [{}, {"shards": (4, 2)}, {"zarr_format": 2}], ids=str)
def test_a_growth_visits_the_stored_chunks_alone(options: dict[str, Any]) -> None:
    def requests(width: int) -> Counter[str]:
        store = Counting()
        z = fastzarr.create_array(
            store, shape=(3, width), chunks=(2, 1), dtype="u1", fill_value=7, **options
        )
        z[2, 2] = 1
        store.requests.clear()
        z.resize(4, width)
        assert z[:, 2].tolist() == [7, 7, 1, 7]
        assert z.nchunks_initialized == 1
        return store.requests

    assert requests(1000) == requests(4)


def test_a_growth_makes_no_table_of_chunks_that_are_not_stored() -> None:
    z = fastzarr.zeros((3, 2**40), chunks=(2, 1), dtype="u1")
    z[2, 2**39] = 1
    tracemalloc.start()
    z.resize(4, 2**40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert z[:, 2**39].tolist() == [0, 0, 1, 0]
    assert peak < 1 << 20


def test_a_growth_clears_each_stored_chunk_beyond_the_old_edge(data_path: str) -> None:
    assert data_path
    z = fastzarr.create_array(
        {}, shape=(9, 9), chunks=(2, 2), dtype="u1", compressors=None, write_empty_chunks=True
    )
    expected = np.zeros((12, 11), "u1")
    for k in [(0, 0), (4, 0), (4, 1), (4, 3), (4, 4), (0, 4), (2, 4), (3, 4)]:
        z.store.set(f"c/{k[0]}/{k[1]}", bytes([5] * 4))
        expected[2 * k[0] : 2 * k[0] + 2, 2 * k[1] : 2 * k[1] + 2] = 5
    expected[9:] = expected[:, 9:] = 0
    z.resize(12, 11)
    np.testing.assert_array_equal(z[...], expected)
    assert z.nchunks_initialized == 8


def test_a_digest_walks_the_stored_chunks_alone() -> None:
    sparse = fastzarr.zeros(2**60, chunks=1, dtype="u1")
    before = sparse.hexdigest()
    sparse[5] = 1
    assert sparse.hexdigest() != before
    for axis in ("x", 1.0):
        with pytest.raises(TypeError, match="integer"):
            sparse.append([1], axis=axis)


@pytest.mark.parametrize("options", [{}, {"shards": (4, 8)}, {"zarr_format": 2}], ids=str)
def test_a_stale_handle_keeps_data_of_others_beyond_its_shape(
    options: dict[str, Any],
) -> None:
    z = fastzarr.create_array({}, shape=(3, 6), chunks=(4, 4), dtype="i4", **options)
    z[...] = 1
    stale = fastzarr.open_array(z.store)
    z.resize(6, 8)
    z[3:] = 2
    z[:, 6:] = 3
    expected = z[...]
    # All elements that the handle knows in the chunks at its edge, and a single one.
    stale[...] = 5
    stale[2, 5] = 6
    expected[:3, :6] = 5
    expected[2, 5] = 6
    np.testing.assert_array_equal(z[...], expected)
    stale[...] = 0
    expected[:3, :6] = 0
    np.testing.assert_array_equal(z[...], expected)


@pytest.mark.parametrize("options", [{}, {"shards": (4, 8)}, {"zarr_format": 2}], ids=str)
def test_a_broken_chunk_at_the_edge_can_be_replaced(options: dict[str, Any]) -> None:
    z = fastzarr.create_array({}, shape=(3, 6), chunks=(4, 4), dtype="i4", **options)
    z[...] = 1
    key = next(key for key in z.store.list() if key.endswith("0"))
    z.store[key] = b"broken"
    with pytest.raises(errors.ChunkError, match=key):
        z[0, 0] = 2
    assert z.store[key] == b"broken"
    z[...] = 3
    assert (z[...] == 3).all()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_writers_that_append_and_resize_at_once_lose_nothing(
    zarr_format: int, tmp_path: Any
) -> None:
    made = fastzarr.create_array(
        tmp_path, shape=3, chunks=4, dtype="i4", zarr_format=zarr_format, fill_value=-1
    )
    made[:] = 0

    def work(number: int) -> None:
        mine = fastzarr.open_array(LocalStore(tmp_path, durability="none"), mode="r+")
        for step in range(5):
            mine.append([number * 5 + step] * 3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    found = made.refresh()[3:].reshape(-1, 3)
    assert (found == found[:, :1]).all()
    assert sorted(found[:, 0]) == list(range(20))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("outside", "back"),
    [("clear", [0, 1, 0, 0, 0, 0]), ("delete", [0, 1, 2, 0, 0, 0]), ("keep", range(6))],
)
def test_elements_outside_are_back_on_request(zarr_format: int, outside: Any, back: Any) -> None:
    z = fastzarr.create_array({}, shape=6, chunks=3, dtype="i4", zarr_format=zarr_format)  # type: ignore[arg-type]
    z[:] = np.arange(6)
    z.resize(2, outside=outside)
    z.resize(6, outside=outside)
    np.testing.assert_array_equal(z[:], back)
    np.testing.assert_array_equal(fastzarr.open_array(z.store)[:], back)


def test_a_word_for_elements_outside_that_is_none() -> None:
    z = fastzarr.zeros(3)
    with pytest.raises(ValueError, match="'clear', 'delete', 'keep', got 'leave'"):
        z.resize(2, outside="leave")  # type: ignore[call-overload]
    assert z.shape == (3,)


def test_an_empty_document_of_attributes_stays() -> None:
    store: dict[str, bytes] = {}
    z = fastzarr.create_array(store, shape=3, zarr_format=2)
    store[".zattrs"] = b"{}"
    z.resize(4)
    z.update_attributes({"a": 1})
    z.attrs.clear()
    assert ".zattrs" not in store
    store[".zattrs"] = b"{}"
    z.resize(5)
    assert store[".zattrs"] == b"{}"
