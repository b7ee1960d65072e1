"""The functions that create arrays, and the keys they write to a store."""

from __future__ import annotations

import json

import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import MemoryStore, StorePath


class Dead(MemoryStore):
    """A store whose n-th write from now on fails."""

    alive = 10**9

    def _set(self, key, value):
        self.alive -= 1
        if self.alive < 0:
            raise OSError(28, "No space left on device")
        super()._set(key, value)


def test_create_array_writes_one_document_and_the_groups_above():
    store = {}
    z = zarr.create_array(store, name="a/b/c", shape=(4,), dtype="i2")
    assert sorted(store) == ["a/b/c/zarr.json", "a/b/zarr.json", "a/zarr.json", "zarr.json"]
    assert json.loads(store["a/zarr.json"])["node_type"] == "group"
    assert (z.path, z.name, z.basename) == ("a/b/c", "/a/b/c", "c")
    assert z[:].tolist() == [0, 0, 0, 0]


def test_groups_above_are_of_the_same_format():
    store = {}
    zarr.create_array(store, name="a/b", shape=(4,), dtype="i2", zarr_format=2)
    assert sorted(store) == [".zgroup", "a/.zgroup", "a/b/.zarray"]


def test_the_parent_group_determines_the_format():
    store = {}
    zarr.create_group(store, path="old", zarr_format=2)
    assert zarr.create_array(store, name="old/x", shape=3).metadata.zarr_format == 2
    says = r"zarr_format: must be 2, the format of group '/' .*, not 3"
    with pytest.raises(errors.MetadataError, match=says):
        zarr.create_array(store, name="old/y", shape=3, zarr_format=3)
    assert "old/y/zarr.json" not in store


def test_nothing_is_created_below_an_array():
    store = {}
    zarr.create_array(store, name="a", shape=(4,), dtype="i2")
    before = dict(store)
    for make in (zarr.create_array, zarr.create):
        with pytest.raises(errors.ContainsArrayError, match="'/a' is an array"):
            make(store=store, shape=(4,), name="a/b/c")
    with pytest.raises(errors.ContainsArrayError, match="'/a' is an array"):
        zarr.create_group(store, path="a/b")
    assert store == before


def test_existing_nodes_are_replaced_only_if_requested():
    store = {}
    zarr.create_array(store, name="a", data=[1, 2, 3])
    with pytest.raises(errors.ContainsArrayError, match="overwrite=True"):
        zarr.create_array(store, name="a", shape=(4,))
    with pytest.raises(FileExistsError):
        zarr.create_array(store, name="a", shape=(4,))
    zarr.create_group(store, path="g/h")
    with pytest.raises(errors.ContainsGroupError, match="'/g'"):
        zarr.create_array(store, name="g", shape=(4,))
    assert zarr.open(store, path="a")[:].tolist() == [1, 2, 3]


@pytest.mark.parametrize("before", [2, 3])
@pytest.mark.parametrize("after", [2, 3])
def test_overwrite_replaces_nodes_of_either_kind_and_format(before, after):
    store = {}
    zarr.create_group(store, zarr_format=before)
    zarr.create_group(store, path="g", attributes={"old": 1})
    zarr.create_array(store, name="g/x", data=[1, 2])
    root = {key for key in store if "/" not in key}
    if before == after:
        zarr.create_array(store, name="g", shape=2, overwrite=True, zarr_format=after)
        assert {key for key in store if "/" in key} == {
            "g/.zarray" if after == 2 else "g/zarr.json"
        }
        assert {key for key in store if "/" not in key} == root
    zarr.create_array(store, shape=2, overwrite=True, zarr_format=after)
    assert set(store) == {".zarray" if after == 2 else "zarr.json"}


def test_data_is_written():
    data = np.arange(12.0).reshape(3, 4)
    assert np.array_equal(zarr.create_array({}, data=data)[:], data)
    assert np.array_equal(zarr.array(data, chunks=2)[:], data)
    assert zarr.array(5)[()] == 5
    assert zarr.array([1, 2], dtype="f4").dtype == np.dtype("f4")
    assert zarr.create_array({}, data=data, write_data=False)[:].max() == 0


def test_an_array_is_seen_only_with_its_data():
    store = Dead()
    store.alive = 3
    with pytest.raises(OSError, match="No space left"):
        zarr.create_array(store, name="a/b", data=np.arange(1, 10), chunks=2)
    assert list(store) == []


def test_a_failure_does_not_delete_existing_nodes():
    store = Dead()
    zarr.create_array(store, name="a/b/below", data=[1])
    store.delete("a/b/zarr.json")
    store.alive = 1
    with pytest.raises(OSError, match="No space left"):
        zarr.create_array(store, name="a/b", data=np.arange(1, 10), chunks=2)
    assert zarr.open(store, path="a/b/below")[:].tolist() == [1]


def test_a_value_that_cannot_be_cast_costs_nothing():
    store = {}
    zarr.create_array(store, name="a", data=[1, 2, 3])
    before = dict(store)
    with pytest.raises(ValueError, match="invalid literal"):
        zarr.create_array(store, name="a", data=np.array(["x"]), dtype="i4", overwrite=True)
    assert store == before


@pytest.mark.parametrize(
    "words",
    [
        {"chunks": 0},
        {"fill_value": "x"},
        {"compressors": ["nope"]},
        {"attributes": {"a": object()}},
        {"dimension_names": ["a", "b"]},
        {"dtype": "nope"},
        {"zarr_format": 5},
        {"nonsense": 1},
    ],
)
def test_wrong_arguments_write_nothing_and_remove_nothing(words):
    store = {}
    zarr.create_array(store, name="a", data=[1, 2, 3])
    before = dict(store)
    for name, overwrite in (("a", True), ("b/c", False)):
        with pytest.raises((ValueError, TypeError)):
            zarr.create_array(
                store, **{"name": name, "shape": 3, "dtype": "i4", "overwrite": overwrite} | words
            )
    assert store == before


@pytest.mark.parametrize(
    "name", ["..", "a/../b", "a/./b", "zarr.json", "a/.zarray", "a\\b", "a\x00"]
)
def test_names_that_cannot_be(name):
    store = {}
    with pytest.raises(errors.KeyValidationError):
        zarr.create_array(store, name=name, shape=3)
    with pytest.raises(errors.KeyValidationError):
        zarr.create_group(store, path=name)
    assert store == {}


def test_names_are_normalised():
    assert zarr.create_array({}, name="/a//b/", shape=3).path == "a/b"


def test_a_read_only_store_is_refused():
    store = MemoryStore(read_only=True)
    with pytest.raises(errors.ReadOnlyError):
        zarr.create_array(store, shape=3)
    with pytest.raises(PermissionError):
        zarr.create_group(store)


def test_create_takes_the_arguments_of_zarr_python_2_by_position():
    store = {}
    z = zarr.create((20, 20), (5, 5), "i4", numcodecs.Zlib(1), 7, "F", store, None, 1, "a")
    assert (z.shape, z.chunks, z.dtype, z.fill_value, z.order) == ((20, 20), (5, 5), "i4", 7, "F")
    assert z.compressor == numcodecs.Zlib(1)
    assert z.metadata.zarr_format == 2
    assert "a/.zarray" in store


def test_create_takes_keywords_of_both():
    z = zarr.create(
        shape=(20, 20),
        chunk_shape=(5, 5),
        codecs=["bytes", "gzip"],
        dimension_names=("y", "x"),
        synchronizer=None,
        cache_metadata=True,
        meta_array=None,
        write_empty_chunks=True,
        attributes={"a": 1},
    )
    assert z.chunks == (5, 5)
    assert z.attrs["a"] == 1
    assert z.write_empty_chunks is True
    with pytest.raises(TypeError, match="nonsense"):
        zarr.create(3, nonsense=1)
    with pytest.raises(TypeError, match="multiple values"):
        zarr.zeros(3, shape=3)


def test_an_array_can_be_created_to_be_read_only():
    z = zarr.create(3, read_only=True)
    with pytest.raises(errors.ReadOnlyError):
        z[:] = 1


def test_a_store_path_and_a_name_add_up():
    store = MemoryStore()
    assert zarr.create_array(StorePath(store, "a"), name="b", shape=3).path == "a/b"


def test_the_separator_of_a_store_holds_for_format_2():
    store = MemoryStore(dimension_separator="/")
    z = zarr.create(shape=(4, 4), chunks=2, store=store, zarr_format=2)
    z[:] = 1
    assert "0/0" in store


@pytest.mark.parametrize(
    ("verb", "value"),
    [(zarr.zeros, 0), (zarr.ones, 1), (zarr.empty, 0), (lambda s, **k: zarr.full(s, 5, **k), 5)],
)
def test_arrays_of_one_value(verb, value):
    for zarr_format in (2, 3):
        z = verb((3, 4), dtype="i2", zarr_format=zarr_format, store={})
        assert z[:].tolist() == np.full((3, 4), value).tolist()
        assert z.nchunks_initialized == 0


def test_zeros_of_other_types():
    assert zarr.zeros(1, dtype=str)[0] == ""
    assert zarr.zeros(1, dtype="U3")[0] == ""
    assert zarr.zeros(1, dtype="M8[s]")[0] == np.datetime64(0, "s")
    assert zarr.zeros(1, dtype=[("a", "i4"), ("b", "S2")])[0].item() == (0, b"")
    assert zarr.zeros(2).dtype == np.dtype("f8")


def test_likes():
    z = zarr.create((20, 30), chunks=(5, 7), dtype="i2", fill_value=3, attributes={"a": 1})
    for verb, value in ((zarr.zeros_like, 0), (zarr.ones_like, 1), (zarr.empty_like, 3)):
        like = verb(z)
        assert (like.shape, like.chunks, like.dtype) == (z.shape, z.chunks, z.dtype)
        assert (like[:] == value).all()
        assert dict(like.attrs) == {}
    assert zarr.full_like(z, 9).fill_value == 9
    assert zarr.full_like(z, fill_value=9, shape=4).shape == (4,)
    assert zarr.zeros_like(np.ones((3, 4), "f4")).dtype == np.dtype("f4")
    assert zarr.zeros_like(z, zarr_format=2).metadata.zarr_format == 2
    assert zarr.zeros_like(z, chunks=(None, -1)).chunks == (20, 30)


def test_from_array_keeps_the_properties_of_an_array():
    data = np.arange(600).reshape(20, 30)
    z = zarr.create_array(
        {},
        data=data,
        chunks=(5, 6),
        shards=(10, 12),
        compressors=["gzip"],
        attributes={"a": 1},
        dimension_names=("y", "x"),
        fill_value=4,
    )
    copy = zarr.from_array({}, data=z, name="copy")
    assert copy.layout == z.layout
    assert np.array_equal(copy[:], data)
    other = zarr.from_array({}, data=z, chunks=(20, 3), attributes={}, compressors="auto")
    assert (other.chunks, other.shards, dict(other.attrs)) == ((20, 3), None, {})
    assert np.array_equal(other[:], data)
    old = zarr.from_array({}, data=z, zarr_format=2)
    assert old.metadata.zarr_format == 2
    assert np.array_equal(old[:], data)
    assert zarr.from_array({}, data=z, write_data=False)[0, 0] == 4
    assert np.array_equal(zarr.from_array({}, data=data)[:], data)


def test_array_takes_chunks_over():
    assert zarr.array(zarr.array(np.arange(100), chunks=7)).chunks == (7,)

    class Dask:
        shape, dtype, chunks = (10,), np.dtype("i4"), ((4, 4, 2),)

        def __getitem__(self, index):
            return np.arange(10, dtype="i4")[index]

    z = zarr.array(Dask())
    assert z.chunks == (4,)
    assert z[:].tolist() == list(range(10))


def test_open_like():
    z = zarr.create((20, 30), chunks=(5, 7), dtype="i2", fill_value=3)
    store = {}
    like = zarr.open_like(z, store)
    assert (like.shape, like.chunks, like.fill_value) == (z.shape, z.chunks, 3)
    assert zarr.open_like(z, "a/b", store={}).path == "a/b"


def test_objects_and_permission_to_unpickle_them():
    data = np.array([{"a": 1}, [2], None], dtype=object)
    store = {}
    z = zarr.array(data, store=store, dtype=object, object_codec=numcodecs.Pickle())
    assert z[:].tolist() == data.tolist()
    with pytest.raises(errors.PickleCodecDisabledError):
        zarr.open_array(store)[:]
    assert zarr.open_array(store, allow_pickle=True)[:].tolist() == data.tolist()
    assert zarr.open(store, mode="r", allow_pickle=True)[:].tolist() == data.tolist()
    safe = zarr.array(data, store={}, dtype=object, object_codec=numcodecs.JSON())
    assert zarr.open_array(safe.store)[:].tolist() == data.tolist()


def test_chunks_may_live_in_a_store_of_their_own():
    store, chunks = {}, {}
    z = zarr.create((4,), chunks=2, store=store, chunk_store=chunks, path="a")
    z[:] = 1
    assert not any("/c/" in key for key in store)
    assert all("/c/" in key for key in chunks)
    again = zarr.open_array(store, path="a", chunk_store=chunks)
    assert again[:].tolist() == [1, 1, 1, 1]
    zarr.create((4,), store=store, chunk_store=chunks, path="a", overwrite=True)
    assert chunks == {}


def test_create_hierarchy_is_re_exported():
    made = dict(zarr.create_hierarchy(store={}, nodes={"a": zarr.group().layout}))
    assert made["a"].path == "a"


def test_a_group_created_concurrently_is_kept():
    class Late(MemoryStore):
        """Create the parent group as another writer while this one writes its data."""

        other = None

        def _set(self, key, value):
            if key == "a/x/c/0" and self.other is None:
                self.other = zarr.create_group(self, path="a", attributes={"theirs": 1})
            super()._set(key, value)

    store = Late()
    zarr.create_array(store, name="a/x", data=[1, 2])
    assert dict(zarr.open(store, path="a").attrs) == {"theirs": 1}


def test_a_copy_is_of_the_format_of_the_group_it_goes_into():
    old = zarr.create_array({}, data=[1, 2, 3], zarr_format=2, compressors=None)
    store = {}
    zarr.create_group(store, zarr_format=3)
    assert zarr.from_array(store, name="a", data=old)[:].tolist() == [1, 2, 3]
    assert zarr.zeros_like(old, store=store, path="b").metadata.zarr_format == 3
    with pytest.raises(errors.MetadataError, match="zarr_format"):
        zarr.from_array(store, name="c", data=old, zarr_format=2)


def test_data_types_unknown_to_numpy_are_copied_from_an_array():
    source = zarr.array(np.array([b"a", b"bc"], dtype=object), dtype=bytes)
    for verb in (zarr.array, zarr.zeros_like, lambda z: zarr.from_array({}, data=z)):
        assert verb(source).layout.dtype == source.layout.dtype
    assert zarr.array(source)[:].tolist() == [b"a", b"bc"]
    view = zarr.array([1.5, 2.5]).astype("i4")
    assert zarr.zeros_like(view).dtype == np.dtype("i4")
    assert zarr.from_array({}, data=view)[:].tolist() == [1, 2]


def test_nuls_at_the_end_of_given_strings_stay(tmp_path):
    assert zarr.array([b"a\0"], dtype=bytes)[:].tolist() == [b"a\0"]
    assert zarr.array([["a\0", "b"]], dtype=str)[:].tolist() == [["a\0", "b"]]
    zarr.save_array(tmp_path / "a", ["a\0"], dtype=str)
    assert zarr.load(tmp_path / "a").tolist() == ["a\0"]
    with pytest.raises(ValueError, match="inhomogeneous"):
        zarr.array(["a", ["b"]], dtype=str)
    with pytest.raises(TypeError, match="dtype='nope'"):
        zarr.array(["a"], dtype="nope")
