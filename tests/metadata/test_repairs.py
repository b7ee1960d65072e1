"""Invalid chunk shapes that zarr-python has stored: how they are read, and when they are mended."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

import fastzarr
from fastzarr.errors import MetadataError, StaleArrayError, ZarrUserWarning
from fastzarr.metadata.repairs import repair_v2, repair_v3

KEYS = {2: "a/.zarray", 3: "a/zarr.json"}


def sizes(doc: dict[str, Any]) -> list[Any]:
    found: list[Any] = doc["chunks"] if "chunks" in doc else _shape(doc["chunk_grid"])
    return found


def _shape(grid: dict[str, Any]) -> list[Any]:
    found: list[Any] = grid["configuration"]["chunk_shape"]
    return found


def stored(
    zarr_format: int, shape: tuple[int, ...], said: list[Any], **words: Any
) -> dict[str, bytes]:
    """Return a store with an array whose document has a chunk shape."""
    store: dict[str, bytes] = {}
    words = {"chunks": (2,) * len(shape), "dtype": "i2", "fill_value": 7} | words
    fastzarr.create_array(store, name="a", shape=shape, zarr_format=zarr_format, **words)  # type: ignore[arg-type]
    doc = json.loads(store[KEYS[zarr_format]])
    sizes(doc)[:] = said
    store[KEYS[zarr_format]] = json.dumps(doc).encode()
    return store


def document(store: dict[str, bytes], zarr_format: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store[KEYS[zarr_format]])
    return found


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("zero", [0, False])
def test_an_array_of_no_elements_grows_into_chunks_that_others_find(
    zarr_format: int, zero: Any
) -> None:
    store = stored(zarr_format, (0, 4), [zero, 2])
    array = fastzarr.open_array(store, path="a", mode="r+")
    assert array.chunks == (1, 2)
    array.append(np.arange(8).reshape(2, 4))
    assert sizes(document(store, zarr_format)) == [1, 2]
    np.testing.assert_array_equal(
        fastzarr.open_array(store, path="a")[:], np.arange(8).reshape(2, 4)
    )


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_is_written_under_a_valid_document(zarr_format: int) -> None:
    store = stored(zarr_format, (3,), [0])
    with pytest.warns(ZarrUserWarning, match=r"memory://\d+/a.* is read as \[1\]"):
        array = fastzarr.open_array(store, path="a", mode="r+")
    np.testing.assert_array_equal(array[:], [7, 7, 7])
    array[1:1] = 5
    assert sizes(document(store, zarr_format)) == [0]  # nothing was written
    array[1] = 5
    assert sizes(document(store, zarr_format)) == [1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(fastzarr.open_array(store, path="a")[:], [7, 5, 7])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("change", [{}, {"units": "K"}])
def test_a_change_of_attributes_stores_a_valid_document(
    zarr_format: int, change: dict[str, Any]
) -> None:
    store = stored(zarr_format, (0,), [0])
    fastzarr.open_array(store, path="a", mode="r+").update_attributes(change)
    assert sizes(document(store, zarr_format)) == [1]
    assert fastzarr.open_array(store, path="a").attrs == change


def test_the_size_of_an_inner_chunk_is_the_smallest_of_a_shard() -> None:
    store = stored(3, (0,), [0], chunks=(4,), shards=(8,))
    array = fastzarr.open_array(store, path="a", mode="r+")
    assert (array.shards, array.chunks) == ((4,), (4,))
    array.append(np.arange(9))
    np.testing.assert_array_equal(fastzarr.open_array(store, path="a")[:], np.arange(9))


def test_lists_of_sizes_in_a_regular_grid_are_those_of_all_chunks() -> None:
    store = stored(3, (6, 20), [2, [5, 10.0, 5]], chunks=(2, 5))
    with pytest.warns(ZarrUserWarning, match="rectilinear"):
        array = fastzarr.open_array(store, path="a", mode="r+")
    assert array.read_chunk_sizes == ((2, 2, 2), (5, 10, 5))
    array[:] = 1
    grid = document(store, 3)["chunk_grid"]
    assert grid == {
        "name": "rectilinear",
        "configuration": {"kind": "inline", "chunk_shapes": [2, [5, 10, 5]]},
    }


def test_sizes_that_are_only_spelled_otherwise_are_left_as_they_are() -> None:
    store = stored(3, (3,), [True])
    before = store[KEYS[3]]
    array = fastzarr.open_array(store, path="a", mode="r+")
    array[:] = 1
    assert array.chunks == (1,)
    assert store[KEYS[3]] == before


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_nothing_is_written_if_another_writer_has_chosen_other_chunks(zarr_format: int) -> None:
    store = stored(zarr_format, (3,), [0])
    with pytest.warns(ZarrUserWarning):
        array = fastzarr.open_array(store, path="a", mode="r+")
    doc = document(store, zarr_format)
    sizes(doc)[:] = [3]
    store[KEYS[zarr_format]] = json.dumps(doc).encode()
    before = dict(store)
    with pytest.raises(StaleArrayError, match=r"'/a' .* has changed .* reopen"):
        array[:] = 1
    assert store == before


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_metadata_has_a_member_as_it_is_stored(zarr_format: int) -> None:
    store = stored(zarr_format, (3,), [0])
    fastzarr.group(store, zarr_format=zarr_format)  # type: ignore[arg-type,call-overload]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fastzarr.consolidate_metadata(store)
        array: Any = fastzarr.open_consolidated(store)["a"]
    array[:] = 1
    assert sizes(document(store, zarr_format)) == [1]


@pytest.mark.parametrize(
    ("shape", "chunks", "message"),
    [
        ([3], [-1], "must be at least 1, got -1"),
        ([3], [1.0], "must be an integer"),
        ([3], [[1, 2]], "must be an integer"),
        ([3, 3], [2], "1 sizes for the 2 axes"),
    ],
)
def test_other_sizes_are_refused(shape: list[int], chunks: list[Any], message: str) -> None:
    doc = {"shape": shape, "chunks": chunks}
    assert repair_v2(doc) is None
    store = stored(3, tuple(shape), chunks)
    with pytest.raises(MetadataError, match=message):
        fastzarr.open_array(store, path="a")


def test_a_valid_document_is_not_repaired() -> None:
    store = stored(3, (3,), [2])
    assert repair_v3(document(store, 3)) is None
    assert repair_v2({"shape": [3], "chunks": [2]}) is None
