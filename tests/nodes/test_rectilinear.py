"""Arrays whose chunks, or shards, differ in size: like NumPy, and the same bytes on both paths."""

from __future__ import annotations

import json
from math import prod
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr import codecs, config
from fastzarr.errors import MetadataError, ShapeError, StaleArrayError

PATHS = ("native", "numpy")
CODECS: dict[str, dict[str, Any]] = {
    "default": {},
    "plain": {"compressors": None},
    "big": {"serializer": codecs.BytesCodec(endian="big"), "compressors": None},
    "turned": {"filters": [codecs.TransposeCodec(order=(1, 0))]},
    "zlib": {"compressors": [{"name": "numcodecs.zlib", "configuration": {"level": 1}}]},
}


def create(shape: Any, chunks: Any, store: Any = None, **words: Any) -> fastzarr.Array:
    store = {} if store is None else store
    return fastzarr.create_array(store, shape=shape, chunks=chunks, dtype="i4", **words)


@st.composite
def sizes(draw: Any, length: int, step: int = 1) -> Any:
    """Draw the sizes of the chunks of an axis, multiples of ``step``; never equal ones."""
    found = [step * draw(st.integers(1, 4))]
    found.append(found[0] + step)
    while sum(found) < length:
        found.append(step * draw(st.integers(1, 4)))
    return found


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_all_selections_are_those_of_numpy_and_both_paths_store_the_same(data: Any) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    sharded = data.draw(st.booleans())
    axes = [data.draw(sizes(length, 2 if sharded else 1)) for length in shape]
    if data.draw(st.booleans()):
        axes[1] = 4
    words = {"chunks": axes} | data.draw(st.sampled_from(list(CODECS.values())))
    if sharded:
        words |= {"chunks": (2, data.draw(st.sampled_from([1, 2]))), "shards": axes}
    kinds = ("basic", "orthogonal", "coordinates", "mask", "block")
    steps = []
    for number in range(1, 4):
        kind = data.draw(st.sampled_from(kinds))
        if kind == "basic":
            index = data.draw(strategies.basic(shape))
        elif kind == "orthogonal":
            index = tuple(
                data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True))
                for n in shape
            )
        elif kind == "coordinates":
            count = data.draw(st.integers(1, 5))
            index = tuple(
                data.draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count))
                for n in shape
            )
        elif kind == "mask":
            bits = data.draw(st.integers(0, 2 ** prod(shape) - 1))
            index = np.array([bits >> at & 1 for at in range(prod(shape))], bool).reshape(shape)
        else:
            index = (data.draw(st.integers(0, 1)), slice(0, 1))
        steps.append((number, kind, index))
    stored = []
    for path in PATHS:
        with config.set({"data_path": path}):
            store: dict[str, Any] = {}
            z = fastzarr.create_array(store, shape=shape, dtype="i4", **words)
            expected = np.zeros(shape, "i4")
            for number, kind, index in steps:
                change(z, expected, kind, index, number)
                np.testing.assert_array_equal(fastzarr.open_array(store)[...], expected)
            stored.append(store)
    # The two compress with different implementations of zlib.
    same = set if words.get("compressors") == CODECS["zlib"]["compressors"] else dict
    assert same(stored[0]) == same(stored[1])


def change(z: Any, expected: Any, kind: str, index: Any, number: int) -> None:
    """Write a number to a selection of an array and of NumPy's, and compare what both read."""
    if kind == "basic":
        z[index] = expected[index] = number
        np.testing.assert_array_equal(z[index], expected[index])
    elif kind == "orthogonal":
        z.oindex[index] = expected[np.ix_(*index)] = number
        np.testing.assert_array_equal(z.oindex[index], expected[np.ix_(*index)])
    elif kind == "coordinates":
        z.vindex[index] = expected[index] = number
        np.testing.assert_array_equal(z.vindex[index], expected[index])
    elif kind == "mask":
        z.set_mask_selection(index, number)
        expected[index] = number
        np.testing.assert_array_equal(z.get_mask_selection(index), expected[index])
    else:
        if index[0] >= len(z.write_chunk_sizes[0]):
            return
        ends = [np.cumsum([0, *along]) for along in z.write_chunk_sizes]
        region = (slice(ends[0][index[0]], ends[0][index[0] + 1]), slice(0, ends[1][1]))
        z.blocks[index] = expected[region] = number
        np.testing.assert_array_equal(z.blocks[index], expected[region])


@pytest.mark.parametrize("path", PATHS)
def test_a_chunk_at_the_edge_is_stored_at_its_full_size(path):
    store: dict[str, Any] = {}
    with config.set({"data_path": path}):
        z = create((7, 3), [[2, 4, 6], [5, 1]], store, compressors=None)
        z[...] = np.arange(21).reshape(7, 3)
    found = {key: len(value) for key, value in store.items() if key.startswith("c/")}
    assert found == {"c/0/0": 40, "c/1/0": 80, "c/2/0": 120}


def test_properties_tell_the_sizes_of_chunks():
    z = create((60, 20), [[10, 20, 30], 7])
    assert z.chunks == ((10, 20, 30), 7)
    assert z.read_chunk_sizes == z.write_chunk_sizes == ((10, 20, 30), (7, 7, 6))
    assert z.cdata_shape == (3, 3)
    assert z.nchunks == 9
    assert z.shards is None
    assert "(10 to 30, 7)" in str(z.info)
    assert "<svg" in z._repr_html_()
    z[0, 0] = 1
    assert z.nchunks_initialized == 1
    assert [part[0] for part in z[:, 0:1]] == z[:, 0].tolist()


def test_properties_tell_the_sizes_of_shards():
    z = fastzarr.create_array(
        {}, shape=(24, 12), chunks=(2, 3), shards=[[4, 8, 12], 6], dtype="i4", fill_value=0
    )
    assert z.chunks == (2, 3)
    assert z.shards == ((4, 8, 12), 6)
    assert z.write_chunk_sizes == ((4, 8, 12), (6, 6))
    assert z.cdata_shape == (12, 4)
    assert z.nchunks == 48
    z[0, 0] = z[23, 11] = 1
    assert z.nchunks_initialized == 2


def test_chunks_along_an_axis_are_regular_if_at_most_the_last_is_shorter():
    z = create((25, 9), [[10, 10, 5], (3, 3, 3)])
    assert z.chunks == (10, 3)
    assert z.metadata.to_dict()["chunk_grid"]["name"] == "regular"


@pytest.mark.parametrize(
    "chunks",
    [
        [[10, 20, 30], 7],
        ((10, 20, 30), (7, 7, 6)),
        [np.array([10, 20, 30]), 7],
        [[10, [20, 1], 30], 7],
        {
            "name": "rectilinear",
            "configuration": {"kind": "inline", "chunk_shapes": [[10, 20, 30], 7]},
        },
    ],
    ids=str,
)
def test_chunks_are_given_in_several_forms(chunks):
    assert create((60, 20), chunks).chunks == ((10, 20, 30), 7)


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([[10, 20], 7], r"chunks\[0\]: the chunks are 30 long together, but the axis has length"),
        ([[10, 20, 0, 40], 7], r"chunks\[0\]\[2\]: must be at least 1, got 0"),
        ([[10, "a", 40], 7], r"chunks\[0\]\[1\]"),
        ([[10, 20, 30], 7, 1], "chunks: has 3 entries"),
    ],
)
def test_invalid_sizes_are_an_error(chunks, message):
    with pytest.raises(MetadataError, match=message):
        create((60, 20), chunks)


@pytest.mark.parametrize("zarr_format", [2, "n5"])
def test_other_formats_refuse_chunks_that_differ(zarr_format):
    with pytest.raises(MetadataError, match="differ in length, which only arrays of format 3"):
        create((60, 20), [[10, 20, 30], 7], zarr_format=zarr_format)
    z = create((60, 20), [[10, 20, 30], 7])
    with pytest.raises(MetadataError, match="only for arrays of format 3"):
        fastzarr.empty_like(z, zarr_format=zarr_format)


def test_shards_that_differ_are_whole_numbers_of_chunks():
    with pytest.raises(MetadataError, match=r"shards\[0\]: must be a multiple of the chunk length"):
        create((24, 12), (2, 3), shards=[[4, 7, 13], 6])
    z = create((24, 12), None, shards=[[4, 8, 12], 6])
    assert z.shards == ((4, 8, 12), 6)
    grid = {"kind": "inline", "chunk_shapes": [[4, 8, 12], 6]}
    z = create((24, 12), None, shards={"name": "rectilinear", "configuration": grid})
    assert z.shards == ((4, 8, 12), 6)
    store: dict[str, Any] = {}
    create((24, 12), (2, 3), store, shards=[[4, 8, 12], 6])
    document = json.loads(store["zarr.json"])
    document["chunk_grid"]["configuration"]["chunk_shapes"] = [[4, 7, 13], 6]
    store["zarr.json"] = json.dumps(document).encode()
    with pytest.raises(MetadataError, match="2 does not divide the shard's size"):
        fastzarr.open_array(store)


@pytest.mark.parametrize("path", PATHS)
def test_an_array_grows_by_a_chunk_and_keeps_its_sizes_when_it_shrinks(path):
    store: dict[str, Any] = {}
    with config.set({"data_path": path}):
        z = create((6, 4), [[2, 4], 3], store)
        other = fastzarr.open_array(store)
        z[...] = expected = np.arange(24, dtype="i4").reshape(6, 4)
        z.append(more := np.full((3, 4), 7, "i4"))
        assert z.chunks == ((2, 4, 3), 3)
        expected = np.concatenate([expected, more])
        np.testing.assert_array_equal(fastzarr.open_array(store)[...], expected)
        # A handle from before writes the same chunks.
        other[1:5] = expected[1:5] = -1
        other.refresh()
        np.testing.assert_array_equal(other[...], expected)
        z.resize((3, 4))
        assert z.write_chunk_sizes == ((2, 1), (3, 1))
        with pytest.raises(StaleArrayError):
            other[8] = 1
        z.resize((8, 5))
        document = json.loads(store["zarr.json"])["chunk_grid"]["configuration"]
        assert document["chunk_shapes"] == [[2, 4, 3], 3]
        expected = np.pad(expected[:3], ((0, 5), (0, 1)))
        np.testing.assert_array_equal(z[...], expected)
        np.testing.assert_array_equal(fastzarr.open_array(store)[...], expected)


def test_a_handle_of_other_chunks_writes_nothing():
    store: dict[str, Any] = {}
    z = create((6,), [[2, 4]], store)
    fastzarr.create_array(store, shape=6, chunks=[[3, 2, 4]], dtype="i4", overwrite=True)
    with pytest.raises(StaleArrayError, match="replaced"):
        z[0] = 1


def test_an_axis_without_elements_has_no_chunks_until_it_grows():
    store: dict[str, Any] = {}
    create((0, 3), [[1, 2], 2], store)
    document = json.loads(store["zarr.json"])
    document["chunk_grid"]["configuration"]["chunk_shapes"] = [[], 2]
    store["zarr.json"] = json.dumps(document).encode()
    z = fastzarr.open_array(store)
    assert z[...].shape == (0, 3)
    assert z.nchunks == 0
    z.append(values := np.arange(15, dtype="i4").reshape(5, 3))
    np.testing.assert_array_equal(fastzarr.open_array(store)[...], values)
    assert z.chunks == ((5,), 2)


def test_like_and_copy_keep_the_chunks(tmp_path):
    group = fastzarr.open_group(tmp_path / "a.zarr", mode="w")
    z = group.create_array("x", shape=(60, 20), chunks=[[10, 20, 30], 7], dtype="i4")
    z[...] = values = np.arange(1200, dtype="i4").reshape(60, 20)
    assert fastzarr.zeros_like(z).chunks == z.chunks
    assert fastzarr.zeros_like(z, shape=(70, 20)).chunks == ((10, 20, 30, 10), 7)
    assert fastzarr.zeros_like(z, chunks=(5, 5)).chunks == (5, 5)
    copied = fastzarr.from_array({}, data=z)
    assert copied.chunks == z.chunks
    np.testing.assert_array_equal(copied[...], values)
    other = fastzarr.from_array({}, data=z, chunks=[[50, 60], 20])
    assert other.chunks == ((50, 10), 20)
    np.testing.assert_array_equal(other[...], values)
    regular = fastzarr.from_array({}, data=z, chunks=(15, 20))
    np.testing.assert_array_equal(regular[...], values)
    fastzarr.copy(group["x"], group, name="y")
    assert group["y"].chunks == z.chunks
    np.testing.assert_array_equal(group["y"][...], values)


def test_consolidated_metadata_has_the_grid():
    store: dict[str, Any] = {}
    group = fastzarr.group(store)
    group.create_array("x", shape=(60,), chunks=[[10, 20, 30]], dtype="i4")
    fastzarr.consolidate_metadata(store)
    assert fastzarr.open_consolidated(store)["x"].chunks == ((10, 20, 30),)


def test_chunks_of_dask_are_kept_only_if_they_are_passed():
    array = pytest.importorskip("dask.array")
    values = np.arange(60)
    uneven = array.from_array(values, chunks=((10, 20, 30),))
    assert fastzarr.from_array({}, data=uneven).chunks == (60,)
    z = fastzarr.from_array({}, data=uneven, chunks=uneven.chunks)
    assert z.chunks == uneven.chunks
    np.testing.assert_array_equal(z[...], values)
    assert array.from_array(z, chunks=z.chunks).chunks == uneven.chunks


def test_views_have_the_same_chunks():
    z = create((6,), [[2, 4]])
    z[...] = np.arange(6)
    np.testing.assert_array_equal(z.view(dtype="u4")[...], np.arange(6, dtype="u4"))
    with pytest.raises(ShapeError, match="differ in shape"):
        z.view(shape=(4,))


def test_a_hostile_number_of_chunks_takes_no_memory():
    store: dict[str, Any] = {}
    create((6,), [[2, 4]], store)
    document = json.loads(store["zarr.json"])
    document["shape"] = [10**12]
    document["chunk_grid"]["configuration"]["chunk_shapes"] = [[2, [1, 10**12]]]
    store["zarr.json"] = json.dumps(document).encode()
    z = fastzarr.open_array(store)
    z[10**12 - 1] = 5
    assert z[10**12 - 2 :].tolist() == [0, 5]
    assert f"c/{10**12 - 2}" in store
    document["chunk_grid"]["configuration"]["chunk_shapes"] = [[[10**12, 1]]]
    store["zarr.json"] = json.dumps(document).encode()
    with pytest.raises(MetadataError, match="exceeds"):
        fastzarr.open_array(store)


@pytest.mark.parametrize("path", PATHS)
def test_codecs_that_need_the_shape_of_a_chunk_get_it(path):
    reshaped = {"name": "reshape", "configuration": {"shape": [[0], [1], 1]}}
    with config.set({"data_path": path}):
        z = create((6, 4), [[2, 4], 4], filters=[reshaped])
        z[...] = values = np.arange(24).reshape(6, 4)
        np.testing.assert_array_equal(z[...], values)
        fixed = {"name": "reshape", "configuration": {"shape": [8]}}
        with pytest.raises(MetadataError, match="shape"):
            create((6, 4), [[2, 4], 4], filters=[fixed])


def test_the_files_of_a_local_store_are_read_and_written_natively(tmp_path):
    z = fastzarr.create_array(
        tmp_path / "x.zarr", shape=(60, 20), chunks=[[10, 20, 30], [5, 15]], dtype="f8"
    )
    z[...] = values = np.arange(1200.0).reshape(60, 20)
    np.testing.assert_array_equal(z[...], values)
    z[5:45:3, ::-2] = values[5:45:3, ::-2] = -1
    with config.set({"data_path": "numpy"}):
        np.testing.assert_array_equal(fastzarr.open_array(tmp_path / "x.zarr")[...], values)
