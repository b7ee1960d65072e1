"""Arrays of the facade: what a program written for zarr-python sees."""

import asyncio
import pickle

import numpy as np
import pytest

import fastzarr
import fastzarr.compat as zarr
from fastzarr.compat.core.array import AsyncArray, create_array, from_array, init_array
from fastzarr.compat.errors import ContainsArrayError, NegativeStepError
from fastzarr.compat.registry import fully_qualified_name, register_ndbuffer
from fastzarr.compat.storage import MemoryStore, StorePath
from fastzarr.compat.testing.buffer import NDBufferUsingTestNDArrayLike, TestNDArrayLike


def made(data, **words):
    return zarr.Array(asyncio.run(create_array({}, data=np.asarray(data), **words)))


def test_elements_come_back_as_with_numpy():
    data = np.arange(60, dtype="i4").reshape(12, 5)
    z = made(data, chunks=(5, 2))
    for index in [(), 3, (3, 4), (slice(2, 9, 3), 1), ..., ([1, 5], slice(None)), data % 7 == 3]:
        found, expected = z[index], data[index]
        np.testing.assert_array_equal(found, expected)
        assert np.shape(found) == np.shape(expected)
    assert type(z[3, 4]) is np.int32
    z[2:4, :] = z[0]
    z[7] = -1
    data[2:4, :], data[7] = data[0], -1
    np.testing.assert_array_equal(np.asarray(z), data)


def test_the_views_select_by_axis_by_point_and_by_chunk():
    data = np.arange(60).reshape(12, 5)
    z = made(data, chunks=(5, 2))
    np.testing.assert_array_equal(z.oindex[[1, 7], [0, 4]], data[np.ix_([1, 7], [0, 4])])
    np.testing.assert_array_equal(z.vindex[[1, 7], [0, 4]], data[[1, 7], [0, 4]])
    np.testing.assert_array_equal(z.vindex[data > 50], data[data > 50])
    np.testing.assert_array_equal(z.blocks[1, -1], data[5:10, 4:])
    z.oindex[[1, 7], [0, 4]] = [[1, 2], [3, 4]]
    z.vindex[[[0], [2]], [[0], [1]]] = [[8], [9]]
    z.blocks[2, 0] = 0
    data[np.ix_([1, 7], [0, 4])], data[[0, 2], [0, 1]], data[10:, :2] = [[1, 2], [3, 4]], [8, 9], 0
    np.testing.assert_array_equal(z[:], data)


def test_a_slice_does_not_go_backward():
    z = made(np.arange(5))
    for view in (z, z.oindex):
        with pytest.raises(NegativeStepError, match="step >= 1"):
            view[::-1]
    with pytest.raises(NegativeStepError, match="step >= 1"):
        z[::-1] = 1
    with pytest.raises(IndexError):
        z[None]
    assert z[:].tolist() == [0, 1, 2, 3, 4]


def test_a_new_array_has_the_defaults_of_zarr_python():
    store = MemoryStore()
    z = zarr.Array(
        asyncio.run(init_array(store_path=StorePath(store, "a"), shape=(3,), dtype="i4"))
    )
    assert [codec.to_dict() for codec in z.compressors] == [
        {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
    ]
    assert z.store is store
    assert z.name == "/a"
    z = made([1.0], zarr_format=2)
    assert [codec.get_config()["id"] for codec in z.compressors] == ["zstd"]
    assert z.metadata.zarr_format == 2
    assert z.serializer is None


def test_a_node_is_replaced_only_if_that_is_said():
    place = StorePath(MemoryStore(), "a")
    asyncio.run(init_array(store_path=place, shape=(3,), dtype="i4"))
    with pytest.raises(ContainsArrayError):
        asyncio.run(init_array(store_path=place, shape=(4,), dtype="i4"))
    asyncio.run(init_array(store_path=place, shape=(4,), dtype="i4", overwrite=True))
    assert zarr.Array.open(place).shape == (4,)


def test_a_copy_keeps_what_is_not_said_otherwise():
    source = made(np.arange(40).reshape(8, 5), chunks=(2, 5), shards=(4, 5), attributes={"a": [1]})
    copy = zarr.Array(asyncio.run(from_array({}, data=source)))
    assert (copy.chunks, copy.shards, dict(copy.attrs)) == ((2, 5), (4, 5), {"a": [1]})
    assert copy.metadata == source.metadata
    np.testing.assert_array_equal(copy[:], source[:])
    empty = zarr.Array(asyncio.run(from_array({}, data=source, write_data=False, shards=None)))
    assert empty.shards is None
    assert empty.nchunks_initialized == 0


def test_a_copy_onto_its_source_is_refused():
    store = MemoryStore()
    source = zarr.Array(asyncio.run(create_array(store, name="a/b", data=np.arange(3))))
    with pytest.raises(ValueError, match="overlap"):
        asyncio.run(from_array(store, data=source, name="a", overwrite=True))
    assert source[:].tolist() == [0, 1, 2]


def test_an_await_in_memory_lets_others_of_the_loop_go_on() -> None:
    array = asyncio.run(create_array({}, data=np.arange(3)))
    order: list[str] = []

    async def read(name: str) -> None:
        order.append(f"{name} begins")
        await array.getitem(...)
        order.append(f"{name} ends")

    async def work() -> None:
        await asyncio.gather(read("a"), read("b"))

    asyncio.run(work())
    assert order == ["a begins", "b begins", "a ends", "b ends"]


def test_verbs_are_awaited():
    async def work():
        z = await create_array({}, shape=(4, 4), chunks=(2, 2), dtype="i4")
        await z.setitem((slice(1), slice(None)), 3)
        await z.append(np.full((1, 4), 7))
        await z.update_attributes({"units": "K"})
        found = [await z.getitem(0), await z.oindex.getitem(([0, 4], [1]))]
        found.append(await z.vindex.getitem(([0, 4], [1, 1])))
        await z.resize((4, 4))
        return z, found, await z.nchunks_initialized()

    z, found, stored = asyncio.run(work())
    assert [part.tolist() for part in found] == [[3] * 4, [[3], [7]], [3, 7]]
    assert (z.shape, z.attrs, stored) == ((4, 4), {"units": "K"}, 2)


def test_a_stored_shard_counts_all_of_its_chunks():
    z = made(np.zeros(20), chunks=(2,), shards=(8,), fill_value=1.0)
    z[4:] = 1
    assert (z.nchunks, z.nchunks_initialized) == (10, 4)
    assert z.nbytes_stored() > 0


def test_a_handle_of_metadata_is_written_when_that_is_asked_for():
    source = made([1, 2])
    place = StorePath(MemoryStore(), "x")
    z = AsyncArray(source.metadata.to_dict(), place)
    assert z.shape == (2,)
    asyncio.run(z._save_metadata(z.metadata, True))  # noqa: SLF001, FBT003  (pydantic-zarr calls it)
    assert zarr.Array.open(place).metadata == source.metadata


def test_settings_that_are_not_named_stay():
    z = made(np.zeros((2, 3)), config={"write_empty_chunks": True})
    other = z.with_config({"order": "F"})
    assert other[:].flags.f_contiguous
    assert (other.config.order, other.config.write_empty_chunks) == ("F", True)
    assert z.config.order == "C"


def test_handles_of_the_same_array_are_equal_and_survive_pickling(tmp_path):
    z = zarr.Array(asyncio.run(create_array(str(tmp_path), name="a", data=np.arange(3))))
    again = pickle.loads(pickle.dumps(z))
    assert again == z
    assert again[:].tolist() == [0, 1, 2]
    assert z.__dask_tokenize__() == again.__dask_tokenize__()
    assert z != zarr.Array(asyncio.run(create_array({}, data=np.arange(3))))


def test_the_array_inside_is_that_of_fastzarr():
    z = made([1, 2])
    assert isinstance(z.inner, fastzarr.Array)
    assert z.async_array.inner is z.inner


def test_a_description_has_the_lines_of_zarr_python():
    z = made(np.zeros((4, 4), "i4"), chunks=(2, 2))
    text = repr(z.info_complete())
    lines = dict(map(str.strip, line.split(":", 1)) for line in text.splitlines())
    assert list(lines)[:5] == ["Type", "Zarr format", "Data type", "Fill value", "Shape"]
    assert lines["Chunks Initialized"] == "0"


def test_an_index_outside_is_refused_as_by_zarr_python():
    z = made(np.arange(12).reshape(3, 4))
    for view, index in [(z, (3, 0)), (z.oindex, ([3], 0)), (z.vindex, ([0, -4], [0, 0]))]:
        with pytest.raises(IndexError, match="out of bounds"):
            view[index]
        with pytest.raises(IndexError, match="out of bounds"):
            view[index] = 1
    with pytest.raises(IndexError, match="too many indices for array; expected 2, got 3"):
        z[:, :, :]
    with pytest.raises(ValueError, match="shape mismatch"):
        z.oindex[[0, 1], [0, 1]] = np.zeros((2, 3))
    assert z[:].tolist() == np.arange(12).reshape(3, 4).tolist()


def test_a_new_shape_has_the_axes_of_the_old():
    z = made(np.arange(4))
    with pytest.raises(ValueError, match="same number of dimensions"):
        z.resize((2, 2))
    z.shape = 6
    assert z[:].tolist() == [0, 1, 2, 3, 0, 0]


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        ({"zarr_format": 2, "codecs": ["bytes"]}, "filters and compressor"),
        ({"zarr_format": 3, "filters": ["x"]}, "array-to-array codecs"),
        ({"zarr_format": 3, "compressor": None}, "bytes-to-bytes codecs"),
        ({"zarr_format": 3, "dimension_separator": "."}, "chunk_key_encoding"),
    ],
)
def test_a_keyword_of_the_other_format_is_refused(words, instead):
    store = {}
    with pytest.raises(ValueError, match=f"Use {instead} instead"):
        zarr.create(shape=3, dtype="i4", store=store, **words)
    assert store == {}


def test_chunks_that_differ_are_made_where_they_are_enabled():
    words = {"shape": (6,), "chunks": [[1, 2, 3]], "dtype": "i4"}
    with pytest.raises(ValueError, match="experimental and disabled by default"):
        zarr.create_array({}, **words)
    with zarr.config.set({"array.rectilinear_chunks": True}):
        z = zarr.create_array({}, **words)
    z[:] = np.arange(6)
    assert (z.read_chunk_sizes, z[2:5].tolist()) == (((1, 2, 3),), [2, 3, 4])
    with pytest.raises(NotImplementedError, match="read_chunk_sizes"):
        _ = z.chunks


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_nan_of_arithmetic_is_written_by_its_name(zarr_format):
    """It has a sign on some machines, and its bits in hexadecimal are not read by all programs."""
    for dtype, value, named in (
        ("f4", -np.float32("nan"), "NaN"),
        ("f8", -float("nan"), "NaN"),
        ("c8", complex(-float("nan"), np.inf), ("NaN", "Infinity")),
        ("c16", np.complex128(complex(1, -float("nan"))), (1.0, "NaN")),
    ):
        words = {"shape": 1, "dtype": dtype, "zarr_format": zarr_format}
        z = zarr.create_array({}, fill_value=value, **words)
        assert z.metadata.to_dict()["fill_value"] == named
        np.testing.assert_array_equal(z[:], np.array([value], dtype))
        assert not np.signbit(z[:].view(z[:].real.dtype)).any()


def test_other_bits_of_a_nan_are_kept():
    odd = np.uint32(0x7FC00001).view("f4")
    z = zarr.create_array({}, shape=1, dtype="f4", fill_value=odd)
    assert z.metadata.to_dict()["fill_value"] == "0x7fc00001"
    assert z[:].view("u4") == 0x7FC00001


@pytest.mark.parametrize(("delete", "back"), [(True, [1, 1, 1, 0]), (False, [1, 1, 1, 1])])
def test_elements_outside_are_back_as_in_zarr_python(delete, back):
    array = zarr.create_array({}, shape=4, chunks=3, dtype="i1", fill_value=0)
    array[:] = 1
    asyncio.run(array.async_array.resize(1, delete_outside_chunks=delete))
    asyncio.run(array.async_array.resize(4, delete_outside_chunks=delete))
    assert array[:].tolist() == back


@pytest.mark.parametrize("index", [..., slice(1, 3), [0, 2]])
def test_results_are_in_the_memory_that_the_settings_choose(index):
    register_ndbuffer(NDBufferUsingTestNDArrayLike)
    array = zarr.create_array({}, shape=4, chunks=3, dtype="i1", fill_value=5)
    assert type(array[index]) is np.ndarray
    name = fully_qualified_name(NDBufferUsingTestNDArrayLike)
    with zarr.config.set({"ndbuffer": name}):
        found = array[index]
        awaited = asyncio.run(array.async_array.getitem(slice(None)))
    assert type(found) is type(awaited) is TestNDArrayLike
    assert found.tolist() == np.full(4, 5)[index].tolist()


def test_a_store_may_be_in_the_folder_of_an_array(tmp_path):
    outer = zarr.create_array(tmp_path / "a", data=np.arange(4), chunks=2)
    group = zarr.create_group(tmp_path / "a" / "more")
    inner = group.create_array("x", data=np.arange(3))
    zarr.save_array(tmp_path / "a" / "deep" / "er", np.arange(5))
    outer.resize((2,))
    assert outer[:].tolist() == [0, 1]
    assert inner[:].tolist() == zarr.open_group(tmp_path / "a" / "more")["x"][:].tolist()
    assert zarr.open_array(tmp_path / "a" / "deep" / "er")[:].tolist() == [0, 1, 2, 3, 4]
    # A path in one store is another matter, for zarr-python as well.
    with pytest.raises(ContainsArrayError, match=r"A parent of .* is an array"):
        zarr.create_array(tmp_path / "a", name="more/y", shape=2, dtype="i4")
    with pytest.raises(fastzarr.errors.ContainsArrayError, match="is an array, and only groups"):
        fastzarr.create_group(tmp_path / "a" / "other")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_attributes_may_be_nested_a_hundred_levels_deep(zarr_format):
    z = made([1, 2], zarr_format=zarr_format)
    value = "x"
    for level in range(100):
        value = {"a": value} if level % 2 else [value]
    z.attrs["deep"] = value
    assert zarr.open_array(z.store, mode="r").attrs["deep"] == value
