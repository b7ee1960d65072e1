"""Array: properties, selection methods, views, copies, protocols."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import fastzarr
from fastzarr import errors
from fastzarr.codecs import ZstdCodec
from fastzarr.nodes.array import Array
from fastzarr.stores import LocalStore, MemoryStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("data_path")

DATA = np.arange(24, dtype="i4").reshape(4, 6)


@pytest.fixture(params=[2, 3], ids=["format 2", "format 3"])
def z(request: Any) -> Array:
    """Return an array of each format with the elements ``DATA``."""
    made = fastzarr.create(
        (4, 6),
        chunks=(3, 4),
        dtype="i4",
        store=MemoryStore(),
        path="a/b",
        zarr_format=request.param,
    )
    made[...] = DATA
    return made


@pytest.fixture
def records() -> Array:
    """Return a structured array of two fields."""
    values = np.array([(1, 1.5), (2, 2.5), (3, 3.5), (4, 4.5)], dtype=[("a", "i4"), ("b", "f8")])
    return fastzarr.array(values, chunks=3)


def test_the_properties_of_an_array(z: Array) -> None:
    assert (z.shape, z.chunks, z.shards, z.ndim, z.size) == ((4, 6), (3, 4), None, 2, 24)
    assert (z.dtype, z.itemsize, z.nbytes) == (np.dtype("i4"), 4, 96)
    assert (z.name, z.path, z.basename) == ("/a/b", "a/b", "b")
    assert (z.cdata_shape, z.nchunks, z.nchunks_initialized, z.initialized) == ((2, 2), 4, 4, 4)
    assert (z.fill_value, z.order, z.read_only, z.is_view) == (0, "C", False, False)
    assert z.read_chunk_sizes == z.write_chunk_sizes == ((3, 1), (4, 2))
    assert repr(z) == f"<Array {z.store_path} shape=(4, 6) dtype=int32>"


def test_the_root_array_is_named_as_in_zarr_python_3() -> None:
    root = fastzarr.zeros(3)
    assert (root.name, root.path, root.basename) == ("/", "", "")


def test_nbytes_stored_is_a_number_and_a_call(z: Array) -> None:
    assert z.nbytes_stored == z.nbytes_stored()
    assert z.nbytes_stored == sum(
        len(value) for key, value in z.store.items() if key.startswith("a/b/")
    )


def test_a_sharded_array_has_shards_and_chunks() -> None:
    z = fastzarr.create_array({}, shape=(10, 10), shards=(6, 4), chunks=(3, 2), dtype="f4")
    assert (z.shards, z.chunks, z.cdata_shape, z.nchunks) == ((6, 4), (3, 2), (4, 5), 20)
    assert z.write_chunk_sizes == ((6, 4), (4, 4, 2))
    z[0, 0] = 1
    assert z.nchunks_initialized == 1


def test_a_whole_integer_index_gives_an_array_and_a_scalar_array_a_scalar(z: Array) -> None:
    assert isinstance(z[1, 2], np.ndarray)
    assert z[1, 2].shape == ()
    scalar = fastzarr.array(2.5)
    assert type(scalar[...]) is type(scalar[()]) is np.float64
    scalar[...] = 3
    assert scalar[()] == 3


CASES = {
    "basic": (np.s_[1:3, ::-2], np.s_[1:3, ::-2]),
    "orthogonal": (([3, 0], slice(1, 4)), (np.array([[3], [0]]), np.array([1, 2, 3]))),
    "coordinate": (([3, 0], [1, 1]), ([3, 0], [1, 1])),
    "mask": (DATA % 5 == 0, DATA % 5 == 0),
    "block": ((1, 0), np.s_[3:4, 0:4]),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_of_selection_has_methods_to_get_and_set(z: Array, kind: str) -> None:
    index, numpy_index = CASES[kind]
    expected = DATA.copy()
    found = getattr(z, f"get_{kind}_selection")(index)
    np.testing.assert_array_equal(found, expected[numpy_index])
    out = np.empty(found.shape, "f8")
    assert getattr(z, f"get_{kind}_selection")(index, out=out) is out
    np.testing.assert_array_equal(out, expected[numpy_index])
    getattr(z, f"set_{kind}_selection")(index, -found)
    expected[numpy_index] *= -1
    np.testing.assert_array_equal(z[...], expected)


def test_out_may_have_any_strides(z: Array) -> None:
    whole = np.zeros((12, 12), "i4", order="F")
    z.get_basic_selection(np.s_[:, :], out=whole[::3, ::-2])
    np.testing.assert_array_equal(whole[::3, ::-2], DATA)
    z.get_coordinate_selection(([[0, 1], [2, 3]], [[0, 1], [2, 3]]), out=whole[:2, :4:2])
    np.testing.assert_array_equal(whole[:2, :4:2], [[0, 7], [14, 21]])


@pytest.mark.parametrize(
    ("out", "kind", "message"),
    [
        (
            np.empty((2, 6), "i4"),
            ValueError,
            r"out has shape \(2, 6\), but the selection has shape",
        ),
        (np.empty((4, 6), "?"), TypeError, "to out's dtype bool"),
        ([0], TypeError, "out must be a NumPy array, not list"),
    ],
)
def test_a_wrong_out_is_refused(z: Array, out: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        z.get_basic_selection(..., out=out)


@pytest.mark.parametrize(
    ("out", "overlaps"),
    [
        (sliding_window_view(np.zeros(9, "i4"), 6, writeable=True), True),
        (as_strided(np.zeros(24, "i4"), (4, 6), (24, 2)), True),
        (as_strided(np.zeros(9, "i4"), (4, 6), (0, 4)), True),
        (as_strided(np.zeros(200, "i4"), (4, 6), (5 * 4, 3 * 4)), True),
        (as_strided(np.zeros(200, "i4"), (4, 6), (3 * 4, 5 * 4)), False),
        (as_strided(np.zeros(200, "i4"), (4, 6), (2 * 4, 9 * 4)), False),
        (as_strided(np.zeros(200, "i4"), (4, 6), (3 * 4, 4 * 4)), False),
        (np.zeros((6, 4), "i4").T[::-1, ::-1], False),
    ],
)
@pytest.mark.parametrize("dtype", ["i4", "f4"])
def test_an_out_whose_elements_share_memory_is_refused(
    z: Array, out: Any, overlaps: bool, dtype: str
) -> None:
    # As f4, the elements are cast in a second step.
    out = out.view(dtype)
    if overlaps:
        with pytest.raises(ValueError, match="has elements that share memory"):
            z.get_basic_selection(..., out=out)
        assert not out.any()
    else:
        assert z.get_basic_selection(..., out=out) is out
        np.testing.assert_array_equal(out, DATA)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "index", [np.s_[:], np.s_[1:, ::-1], np.s_[3], (..., [1, 2, 300])], ids=str
)
def test_large_results_begin_at_multiples_of_64_bytes(order: str, index: Any) -> None:
    data = np.arange(100 * 400, dtype="u8").reshape(100, 1, 400)
    z = fastzarr.create_array({}, data=data, chunks=(10, 1, 100), order=order, zarr_format=2)
    kept = [z[index] for _ in range(5)]
    for found in kept:
        np.testing.assert_array_equal(found, data[index])
        assert found.flags.writeable
        assert found.nbytes < 1 << 16 or found.ctypes.data % 64 == 0
        assert found.flags.f_contiguous if order == "F" else found.flags.c_contiguous
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)), found)


def test_one_field_is_read_and_written_alone(records: Array) -> None:
    np.testing.assert_array_equal(records["a"], [1, 2, 3, 4])
    records["a"] = 9
    np.testing.assert_array_equal(records["a"], [9, 9, 9, 9])
    np.testing.assert_array_equal(records["b"], [1.5, 2.5, 3.5, 4.5])
    records["b", 1:3] = [7, 8]
    np.testing.assert_array_equal(records["b"], [1.5, 7, 8, 4.5])
    np.testing.assert_array_equal(records.get_basic_selection(0, fields="b"), 1.5)
    records.oindex["a", [3, 0]] = [30, 10]
    assert records["a"].tolist() == [10, 9, 9, 30]


def test_several_fields_are_read_and_written_together(records: Array) -> None:
    found = records[["b", "a"]]
    assert found.dtype.names == ("b", "a")
    assert found.tolist() == [(1.5, 1), (2.5, 2), (3.5, 3), (4.5, 4)]
    records[["b", "a"]] = (0.5, 5)
    assert records[...].tolist() == [(5, 0.5)] * 4


def test_a_tuple_is_one_record(records: Array) -> None:
    records[2] = (8, 8.5)
    assert records[2].tolist() == (8, 8.5)


@pytest.mark.parametrize("name", ["c", ["a", "c"]])
def test_an_unknown_field_is_named(records: Array, name: Any) -> None:
    with pytest.raises(IndexError, match="unknown field 'c'; its fields are a, b"):
        _ = records[name]
    with pytest.raises(ValueError, match="unknown field 'c'"):
        records[name] = 1


def test_format_2_in_f_order_reads_f_contiguous() -> None:
    z = fastzarr.create((4, 6), chunks=(3, 4), dtype="i4", order="F", zarr_format=2)
    z[...] = DATA
    assert z.order == "F"
    assert z[...].flags.f_contiguous
    np.testing.assert_array_equal(z[...], DATA)
    np.testing.assert_array_equal(z[1:, None, 2], DATA[1:, None, 2])


def test_writing_to_a_read_only_array_is_refused(z: Array) -> None:
    closed = fastzarr.open_array(z.store, path="a/b", mode="r")
    actions: list[Any] = [
        lambda: closed.__setitem__(0, 1),
        lambda: closed.resize(1, 1),
        lambda: closed.append(DATA),
        lambda: closed.attrs.update({"a": 1}),
    ]
    for action in actions:
        with pytest.raises(PermissionError, match="read-only"):
            action()
        with pytest.raises(ValueError, match=r"mode='r\+'"):
            action()


def test_astype_converts_on_reading_and_is_read_only(z: Array) -> None:
    view = z.astype("f8")
    assert (view.dtype, view[1].dtype, z.dtype) == (np.dtype("f8"), np.dtype("f8"), np.dtype("i4"))
    assert view.is_view
    np.testing.assert_array_equal(view[...], DATA)
    with pytest.raises(PermissionError):
        view[0] = 1


def test_view_shows_the_same_bytes_as_another_type(z: Array) -> None:
    view = z.view(dtype="u1", shape=(4, 24), chunks=(3, 16))
    np.testing.assert_array_equal(view[...], DATA.view("u1"))
    with pytest.raises(PermissionError, match="is a view"):
        view.resize(1, 1)
    assert z.view(read_only=True).read_only


def test_with_config_gives_another_handle(z: Array) -> None:
    other = z.with_config({"write_empty_chunks": True})
    other[...] = 0
    assert z.nchunks_initialized == 4
    assert not z.write_empty_chunks
    z[...] = 0
    assert z.nchunks_initialized == 0


def test_an_array_can_be_converted_to_numpy(z: Array) -> None:
    np.testing.assert_array_equal(np.asarray(z), DATA)
    assert np.asarray(z, dtype="f4").dtype == np.dtype("f4")
    assert np.add(z, 1)[0, 0] == 1
    np.testing.assert_array_equal(np.from_dlpack(z), DATA)
    assert (z == DATA).all()
    with pytest.raises(ValueError, match="always read as a copy"):
        np.array(z, copy=False)


def test_an_array_has_a_length_is_true_and_can_be_iterated(z: Array) -> None:
    assert len(z) == 4
    np.testing.assert_array_equal(list(z), list(DATA))
    np.testing.assert_array_equal(list(z.islice(1, -1)), list(DATA[1:-1]))
    empty = fastzarr.zeros((0, 3))
    assert (len(empty), bool(empty), list(empty)) == (0, True, [])
    for action in (len, iter):
        with pytest.raises(TypeError):
            action(fastzarr.array(1))


def test_going_through_reads_each_chunk_once(z: Array) -> None:
    keys = []

    class Counting(MemoryStore):
        def _get(self, key: str) -> Any:
            keys.append(key)
            return super()._get(key)

    counted = fastzarr.open_array(Counting(dict(z.store.items())), path="a/b")
    keys.clear()
    assert len(list(counted)) == 4
    assert len(keys) == len(set(keys)) == 4


def test_two_handles_of_one_array_are_equal(z: Array) -> None:
    again = fastzarr.open_array(z.store, path="a/b")
    assert z == again
    assert hash(z) == hash(again)
    again.attrs["x"] = 1
    assert z != again
    assert z != fastzarr.zeros((4, 6))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_array_pickles_with_its_store(z: Array, tmp_path: Any, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(z, protocol))
    np.testing.assert_array_equal(again[...], DATA)
    disk = fastzarr.array(DATA, store=LocalStore(tmp_path))
    again = pickle.loads(pickle.dumps(disk, protocol))
    again[0] = 0
    assert not disk[0].any()
    assert again == disk


def test_digests_tell_arrays_apart_and_not_handles(z: Array) -> None:
    assert z.hexdigest() == fastzarr.open_array(z.store, path="a/b").hexdigest() == z.digest().hex()
    before = z.hexdigest("md5")
    z[0, 0] = 5
    assert z.hexdigest("md5") != before


def test_a_separate_chunk_store_has_the_chunks() -> None:
    metadata, chunks = MemoryStore(), MemoryStore()
    z = fastzarr.create((4,), chunks=(2,), dtype="i4", store=metadata, chunk_store=chunks)
    z[:] = 1
    assert list(metadata) == ["zarr.json"]
    assert sorted(chunks) == ["c/0", "c/1"]
    assert fastzarr.open_array(metadata, chunk_store=chunks)[:].tolist() == [1, 1, 1, 1]


def test_a_handle_without_cached_metadata_sees_changes_of_others(z: Array) -> None:
    watching = fastzarr.open_array(z.store, path="a/b", cache_metadata=False)
    z.resize(2, 6)
    assert watching.shape == (2, 6)
    assert watching[...].shape == (2, 6)


def test_dask_tells_arrays_by_place_and_metadata(z: Array) -> None:
    again = fastzarr.open_array(z.store, path="a/b")
    assert z.__dask_tokenize__() == again.__dask_tokenize__()
    assert z.__dask_tokenize__() != z.astype("f4").__dask_tokenize__()


@pytest.mark.parametrize("kind", ["memory", "folder", "sqlite"])
def test_dask_does_not_take_what_was_read_for_what_was_written_since(
    kind: str, tmp_path: Path
) -> None:
    stores = {"memory": MemoryStore, "folder": lambda: LocalStore(tmp_path / "a")}
    store = stores.get(kind, lambda: SQLiteStore(tmp_path / "a.sqlite"))()
    root = fastzarr.create_group(store)
    z = root.create_array("z", shape=6, chunks=3, dtype="i4")
    seen = [z.__dask_tokenize__()]
    again = root["z"]
    changes: list[Callable[[], object]] = [
        lambda: z.__setitem__(0, 1),
        lambda: again.__setitem__(slice(2, 5), 7),
        lambda: asyncio.run(z.setitem_async(1, 2)),
        lambda: again.append(np.arange(3)),
        lambda: root.create_array("z", shape=9, chunks=3, dtype="i4", overwrite=True),
    ]
    for change in changes:
        change()
        fresh = root["z"]
        seen.append(fresh.__dask_tokenize__())
        assert fresh.__dask_tokenize__() == root["z"].__dask_tokenize__()
    assert len(set(seen)) == len(seen)


def test_opening_a_missing_node_raises() -> None:
    with pytest.raises(errors.ArrayNotFoundError, match="'/nothing'"):
        Array(MemoryStore(), "nothing")
    group = fastzarr.group()
    with pytest.raises(ValueError, match="is a group"):
        Array(group.store, "")


def test_from_dict_makes_an_array_of_a_document(z: Array) -> None:
    document = {"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<i4", "compressor": None}
    document |= {"fill_value": 7, "order": "C", "filters": None, "attributes": {"a": 1}}
    made = Array.from_dict(MemoryStore(), document)
    assert (made[:].tolist(), dict(made.attrs)) == ([7] * 4, {"a": 1})
    del z


def test_format_3_has_compressors_and_no_compressor() -> None:
    with pytest.raises(TypeError, match=r"\.compressors"):
        _ = fastzarr.zeros(3).compressor


def test_the_words_of_zarr_python_3_for_arguments() -> None:
    z = fastzarr.array(np.arange(12).reshape(3, 4), chunks=2)
    for kind in ("basic", "orthogonal", "coordinate", "block"):
        selection = ([1], [1]) if kind == "coordinate" else (slice(0, 1), slice(None))
        getattr(z, f"set_{kind}_selection")(selection=selection, value=5)
        assert (getattr(z, f"get_{kind}_selection")(selection=selection) == 5).all()
    z.resize(new_shape=(2, 2))
    assert z.shape == (2, 2)
    assert dict(z.update_attributes(new_attributes={"a": 1}).attrs) == {"a": 1}


def test_indexers_pickle() -> None:
    z = fastzarr.array(np.arange(6).reshape(2, 3))
    for name in ("oindex", "vindex", "blocks"):
        again = pickle.loads(pickle.dumps(getattr(z, name)))
        assert (again[0] == getattr(z, name)[0]).all()


def test_out_that_cannot_be_written_is_refused_before_reading() -> None:
    z = fastzarr.array([1.5, 2.5, 3.5])
    out = np.zeros(3)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        z.get_basic_selection(..., out=out)
    whole = z.astype("i4").get_basic_selection(..., out=np.zeros(3, "i4"))
    assert whole.tolist() == [1, 2, 3]


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="write_empty_chunk"):
        fastzarr.zeros(3, config={"write_emtpy_chunks": True})
    with pytest.raises(ValueError, match=r"config.order: must be 'C' or 'F', not 'Q'"):
        fastzarr.zeros(3).with_config({"order": "Q"})
    assert fastzarr.zeros(3, config={"rectilinear_chunks": False}).shape == (3,)


def test_the_codecs_of_a_sharded_array_are_those_of_its_chunks() -> None:
    words = {"shape": (8, 8), "dtype": "i4", "chunks": (2, 2), "compressors": ZstdCodec(level=3)}
    plain = fastzarr.create_array({}, **words)
    sharded = fastzarr.create_array({}, **words, shards=(4, 4))
    for name in ("filters", "serializer", "compressors"):
        assert getattr(sharded, name) == getattr(plain, name)
    again = fastzarr.from_array({}, data=sharded)
    assert again.shards == (4, 4)
    assert again.compressors == plain.compressors


def test_metadata_gives_its_document(z: Array) -> None:
    z.attrs["units"] = "K"
    document = z.metadata.to_dict()
    assert document["attributes"] == {"units": "K"}
    again = Array.from_dict(z.store_path, document)
    assert again.layout == z.layout
    assert (z.metadata.node_type, z.metadata.fill_value) == ("array", 0)
    assert z.metadata.data_type.numpy == z.dtype


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("sharing", ["local", "memory"])
def test_a_handle_does_not_write_to_a_replacement_of_its_array(
    tmp_path: Any, zarr_format: int, sharing: str
) -> None:
    """A write raises an error if the array was replaced by a different one, or deleted."""
    store = tmp_path / "a" if sharing == "local" else {}
    root = fastzarr.open_group(store, mode="w", zarr_format=zarr_format)
    old = root.create_array("x", shape=4, dtype="i4")
    old[:] = 1
    root["x"].attrs["a"] = 1
    root["x"].resize(8)
    old[0] = 2  # a changed shape and changed attributes do not matter
    assert root["x"][0] == 2
    root.create_array("x", shape=4, dtype="f4", overwrite=True)
    with pytest.raises(errors.StaleArrayError, match="replaced"):
        old[0] = 3
    assert root["x"][0] == 0
    del root["x"]
    with pytest.raises(errors.StaleArrayError, match="no longer"):
        old[0] = 3
    assert list(root) == []


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("kind", ["[]", "vindex", "oindex", "mask"])
def test_a_mask_of_an_array_without_dimensions(kind: str) -> None:
    def at(z: Array) -> Any:
        return {"[]": z, "vindex": z.vindex, "oindex": z.oindex}[kind]

    z = fastzarr.array(np.array(5))
    yes, no = np.array([True, False])
    for mask in (np.array(yes), yes, np.array(no)):
        expected = np.array(5)[mask]
        found = z.get_mask_selection(mask) if kind == "mask" else at(z)[mask]
        np.testing.assert_array_equal(found, expected)
        assert found.shape == expected.shape
    for mask, value in ((True, 7), (False, 8)):
        if kind == "mask":
            z.set_mask_selection(np.array(mask), value)
        else:
            at(z)[np.array(mask)] = value
    assert z[...] == 7
    with pytest.raises(IndexError):
        z[True]


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("step", [2**62, 2**63, 2**70, -(2**63), -(2**70)])
def test_a_step_of_any_size(step: int) -> None:
    data = np.arange(12).reshape(4, 3)
    z = fastzarr.array(data, chunks=2)
    for index in (np.s_[::step], np.s_[2::step, 1:], np.s_[:, 1::step], np.s_[3:0:step]):
        np.testing.assert_array_equal(z[index], data[index])
        np.testing.assert_array_equal(z.oindex[index], data[index])
    z[1::step] = data[1::step] = 9
    np.testing.assert_array_equal(z[:], data)


def test_a_single_element_of_a_basic_selection_is_a_scalar() -> None:
    z = fastzarr.array(np.arange(6).reshape(2, 3))
    assert type(z.get_basic_selection((1, 2))) is np.int64
    assert type(fastzarr.array(np.array(5)).get_basic_selection()) is np.int64
    assert z.get_basic_selection(1).tolist() == [3, 4, 5]
    assert type(z[1, 2]) is np.ndarray
    out = np.zeros((), "i8")
    assert z.get_basic_selection((1, 2), out=out) is out
    text = fastzarr.array(np.array(["a", "b"], dtype="T"))
    assert text.get_basic_selection(1) == "b"


def test_a_missing_attribute_is_missing():
    z = fastzarr.array([1, 2, 3])
    for name in ("sum", "T", "shpe", "_shape", "__array_interface__"):
        assert not hasattr(z, name)
        with pytest.raises(
            AttributeError, match=f"'Array' object has no attribute '{name}'"
        ) as got:
            getattr(z, name)
        assert (got.value.name, got.value.obj) == (name, z)

    class Broken(Array):
        @property
        def sum(self):
            return self.nonsense

    with pytest.raises(AttributeError, match="'nonsense'"):
        Broken(z.store).sum()
