"""The names, defaults and results of zarr-python 2 that differ from those of zarr-python 3.

Expected values are facts of zarr-python 2.18.7.
"""

from __future__ import annotations

import pickle
import tempfile

import numcodecs
import numpy as np
import pytest

import fastzarr
import fastzarr.v2 as zarr


def test_an_array_has_the_defaults_of_format_2():
    store = {}
    z = zarr.create(100, dtype="i4", store=store)
    assert z.compressor == numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE)
    assert z.filters is None
    assert z.fill_value == 0
    assert z.write_empty_chunks
    assert sorted(store) == [".zarray"]
    z[:] = 0
    assert sorted(store) == [".zarray", "0"]


@pytest.mark.parametrize(
    ("shape", "dtype", "chunks"),
    [
        ((10000, 10000), "i4", (625, 625)),
        ((1000, 1000, 10), "f8", (125, 250, 3)),
        (100, "u1", (100,)),
        ((0, 3), "i2", (1, 3)),
    ],
)
def test_chunks_are_guessed_as_in_zarr_python_2(shape, dtype, chunks):
    assert zarr.empty(shape, dtype=dtype).chunks == chunks


def test_a_single_element_is_a_scalar():
    z = zarr.array([1, 2, 3])
    assert type(z[0]) is np.int64
    assert type(z.get_basic_selection(-1)) is np.int64


def test_an_array_without_axes_reads_as_an_array_or_an_element():
    z = zarr.array(np.float32(2))
    assert z[...].shape == ()
    assert type(z[...]) is np.ndarray
    assert type(z[()]) is np.float32
    assert z.compressor is None


def test_a_chunk_at_the_edge_keeps_what_an_array_was_shrunk_by():
    z = zarr.array(np.arange(10), chunks=4)
    z.resize(5)
    assert sorted(z.store) == [".zarray", "0", "1"]
    z.resize(10)
    assert z[:].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 0]


def test_a_root_array_has_no_name():
    z = zarr.zeros(3)
    assert z.name is None
    assert z.basename is None
    assert repr(z).endswith(".Array (3,) float64>")
    named = zarr.group().zeros("a/b", shape=3)
    assert (named.name, named.basename) == ("/a/b", "b")


def test_comparison_is_of_handles_not_of_elements():
    z = zarr.array([1, 2])
    assert (z == np.array([1, 2])) is False
    assert z == zarr.Array(z.store)


def test_a_value_must_have_the_shape_of_the_selection():
    z = zarr.zeros((2, 3))
    for value in ([1, 2, 3], np.ones((1, 3)), np.ones((2, 1))):
        with pytest.raises(ValueError, match="value"):
            z[:] = value
    assert not z[:].any()
    z[:] = 5
    assert z[:].all()


@pytest.mark.parametrize(
    "index", [slice(None, None, -1), np.newaxis, 1.5, np.array([True, False, True])]
)
def test_indices_beyond_those_of_zarr_python_2_are_refused(index):
    z = zarr.array([1, 2, 3])
    with pytest.raises(IndexError):
        z[index]


def test_a_leading_slash_means_the_root():
    root = zarr.group()
    below = root.create_group("a")
    below.create_group("/b")
    assert sorted(root) == ["a", "b"]
    assert "/a" in below
    assert below["/b"].name == "/b"


def test_a_group_is_a_mapping():
    root = zarr.group()
    root["x"] = [1, 2]
    root.create_group("y")
    assert list(root.keys()) == ["x", "y"]
    assert root.get("z") is None
    assert root.x[1] == 2
    assert [name for name, _ in root.arrays()] == ["x"]
    assert isinstance(root.pop("x"), zarr.Array)
    assert list(root) == ["y"]


def test_a_store_is_the_mapping_that_was_passed():
    store = zarr.KVStore({})
    z = zarr.zeros(3, store=store, path="a")
    assert z.store is store
    assert b'"zarr_format"' in z.store["a/.zarray"]
    assert sorted(z.store) == [".zgroup", "a/.zarray"]


class Counting(zarr.storage.Store):
    """A store of a user, which is no more than a mapping."""

    def __init__(self):
        self.values = {}
        self.reads = 0

    def __getitem__(self, key):
        self.reads += 1
        return self.values[key]

    def __setitem__(self, key, value):
        self.values[key] = value

    def __delitem__(self, key):
        del self.values[key]

    def __iter__(self):
        return iter(self.values)

    def __len__(self):
        return len(self.values)


def test_a_subclass_of_store_is_asked_for_every_value():
    store = Counting()
    z = zarr.zeros(4, chunks=2, store=store)
    z[:] = 1
    before = store.reads
    assert z[:2].tolist() == [1, 1]
    assert store.reads == before + 1


def test_a_subclass_of_a_store_that_overrides_reading_is_asked():
    class Folder(zarr.DirectoryStore):
        seen = ()

        def __getitem__(self, key):
            self.seen = (*self.seen, key)
            return super().__getitem__(key)

    store = Folder(tempfile.mkdtemp())
    z = zarr.zeros(4, chunks=2, store=store)
    z[:] = 1
    assert z[2:].tolist() == [1, 1]
    assert "1" in store.seen


def test_attributes_are_a_document_in_any_mapping():
    store = {"k": b'{"a": 1}'}
    attrs = zarr.attrs.Attributes(store, key="k")
    attrs.update(b=2)
    assert attrs.asdict() == {"a": 1, "b": 2}
    with pytest.warns(DeprecationWarning, match="string"):
        attrs[3] = "c"
    assert zarr.util.json_loads(store["k"]) == {"a": 1, "b": 2, "3": "c"}


def test_opening_says_what_is_in_the_way():
    store = {}
    zarr.group(store).zeros("a", shape=3)
    with pytest.raises(zarr.errors.ContainsGroupError):
        zarr.open_array(store, "r")
    with pytest.raises(zarr.errors.ContainsArrayError):
        zarr.open_group(store, "r", path="a")
    with pytest.raises(zarr.errors.ArrayNotFoundError):
        zarr.open_array(store, "r", path="b")
    with pytest.raises(zarr.errors.PathNotFoundError):
        zarr.open(store, "r", path="b")
    assert zarr.load(store, path="b") is None


def test_handles_can_be_pickled():
    z = zarr.array([1, 2, 3], store={}, path="a")
    other = pickle.loads(pickle.dumps(z))
    assert other[:].tolist() == [1, 2, 3]
    assert other.name == "/a"


def test_consolidated_metadata_is_read_once():
    store = Counting()
    zarr.group(store)["a"] = np.arange(4)
    root = zarr.consolidate_metadata(store)
    assert isinstance(root.store, zarr.storage.ConsolidatedMetadataStore)
    root["a"][:2] = 7
    assert root["a"][:].tolist() == [7, 7, 2, 3]
    with pytest.raises(PermissionError):
        root.zeros("b", shape=3)


def test_the_tree_is_drawn_as_in_zarr_python_2():
    root = zarr.group()
    root.create_group("b").zeros("c", shape=(2, 3), dtype="i2")
    root.create_group("d")
    assert repr(root.tree()) == "/\n ├── b\n │   └── c (2, 3) int16\n └── d"
    assert bytes(zarr.tree(root, level=1)) == b"/\n +-- b\n +-- d"


def test_copies_are_logged_line_by_line():
    lines = []
    source, dest = zarr.group(), zarr.group()
    source.zeros("a/x", shape=4, dtype="u1")
    result = zarr.copy(source["a"], dest, name="b", log=lines.append)
    assert result == (2, 0, 4)
    assert lines == [
        "copy /a",
        "copy /a/x (4,) uint8",
        "all done: 2 copied, 0 skipped, 4 bytes copied",
    ]
    with pytest.raises(zarr.CopyError):
        zarr.copy(source["a/x"], dest["b"])


def test_the_description_has_the_lines_of_zarr_python_2():
    z = zarr.zeros(4, chunks=2, dtype="i4", store={}, path="a", compressor=None)
    names = [name for name, _ in z.info_items()]
    assert names == [
        "Name",
        "Type",
        "Data type",
        "Shape",
        "Chunk shape",
        "Order",
        "Read-only",
        "Compressor",
        "Store type",
        "No. bytes",
        "No. bytes stored",
        "Storage ratio",
        "Chunks initialized",
    ]
    assert dict(z.info_items())["Chunks initialized"] == "0/2"
    assert repr(z.info).startswith("Name               : /a\n")


def test_an_n5_container_is_presented_as_format_2(tmp_path):
    with pytest.warns(FutureWarning, match="N5Store"):
        store = zarr.N5Store(tmp_path / "a.n5")
    z = zarr.group(store).zeros("b", shape=(4, 6), chunks=(2, 3), dtype="i2")
    z[:2, 3:] = 7
    z.attrs["units"] = "K"
    document = zarr.util.json_loads(store["b/.zarray"])
    assert (document["shape"], document["dtype"]) == ([4, 6], "<i2")
    assert document["compressor"]["id"] == "n5_wrapper"
    assert store.listdir("b") == [".zarray", ".zattrs", "0.1"]
    assert zarr.util.json_loads(store["b/.zattrs"]) == {"units": "K"}
    assert (tmp_path / "a.n5" / "b" / "1" / "0").exists()
    assert z.compressor.decode(store["b/0.1"]).tolist() == [[7, 7, 7], [7, 7, 7]]


def test_a_checksum_is_that_of_zarr_python_2():
    z = zarr.create((20, 35), chunks=10, dtype="<i4", compressor=numcodecs.Zlib(1), fill_value=None)
    assert z.hexdigest() == "c7190ad2bea1e9d2e73eaa2d3ca9187be1ead261"


def test_only_what_created_an_array_may_unpickle():
    store = {}
    z = zarr.create(2, dtype=object, object_codec=numcodecs.Pickle(), store=store)
    z[0] = {"a": 1}
    assert z[0] == {"a": 1}
    with pytest.raises(zarr.errors.MetadataError, match="allow_pickle"):
        zarr.Array(store)
    assert zarr.open_array(store, "r", allow_pickle=True)[0] == {"a": 1}


def test_strings_are_objects():
    z = zarr.array(["a", "bcd"], dtype=str)
    assert z.dtype == object
    assert z[:].dtype == object
    assert z[1] == "bcd"


def test_overwriting_replaces_an_array_above_by_a_group():
    root = zarr.group()
    root.zeros("a", shape=3)
    with pytest.raises(ValueError, match="array"):
        root.zeros("a/b", shape=3)
    root.zeros("a/b", shape=3, overwrite=True)
    assert isinstance(root["a"], zarr.Group)


def test_the_store_that_created_an_array_may_unpickle():
    store = zarr.KVStore({})
    zarr.storage.init_array(store, 2, dtype=object, object_codec=numcodecs.Pickle())
    zarr.Array(store)[0] = {"a": 1}
    assert zarr.Array(store)[0] == {"a": 1}
    with pytest.raises(zarr.errors.MetadataError, match="allow_pickle"):
        zarr.Array(pickle.loads(pickle.dumps(store)))


def test_chunks_in_folders_are_listed_as_chunks():
    store = zarr.NestedDirectoryStore(tempfile.mkdtemp())
    zarr.ones((4, 4), chunks=2, store=store)[:2] = 3
    assert store.listdir() == [".zarray", "0/0", "0/1"]
    assert sorted(store) == [".zarray", "0/0", "0/1"]
    assert "a/" not in store


def test_results_have_the_type_of_the_meta_array():
    class Mine(np.ndarray):
        pass

    z = zarr.array([1, 2, 3], meta_array=np.empty(()).view(Mine))
    assert type(z[:2]) is Mine
    assert z[:2].tolist() == [1, 2]


def test_changes_are_in_consolidated_metadata_or_end_it(tmp_path):
    root = zarr.open_group(tmp_path)
    root["a/x"] = [1, 2]
    zarr.consolidate_metadata(root.store)
    root["a/x"].attrs["units"] = "K"
    assert zarr.open_consolidated(tmp_path)["a/x"].attrs["units"] == "K"
    root.move("a/x", "b")
    del root["a"]
    assert sorted(root) == ["b"]
    assert ".zmetadata" not in root.store


def test_what_is_deleted_does_not_come_back():
    chunks = zarr.KVStore({})
    root = zarr.group(chunk_store=chunks)
    root["x"] = [1, 2]
    del root["x"]
    assert root.zeros("x", shape=2, dtype="i8")[:].tolist() == [0, 0]
    assert list(chunks) == []


def test_a_fill_value_can_be_assigned():
    z = zarr.zeros((2, 2), dtype="i4", chunks=1, write_empty_chunks=False)
    z[0, 0] = 5
    z.fill_value = 7
    assert z[:].tolist() == [[5, 7], [7, 7]]
    assert zarr.util.json_loads(z.store[".zarray"])["fill_value"] == 7
    assert zarr.Array(z.store)[1, 1] == 7
    z[1] = 8
    assert zarr.Array(z.store)[1].tolist() == [8, 8]


def test_keys_are_in_lower_case_if_they_are_normalized(tmp_path):
    store = zarr.DirectoryStore(tmp_path, normalize_keys=True)
    zarr.group(store)["A/B"] = [1, 2]
    assert (tmp_path / "a" / "b" / ".zarray").exists()
    assert zarr.open_group(store, "r")["a/B"][:].tolist() == [1, 2]
    assert pickle.loads(pickle.dumps(store))["A/b/.zarray"] == store["a/b/.zarray"]


def test_objects_of_a_consolidated_group_are_unpickled_if_allowed():
    store = {}
    z = zarr.group(store).create_dataset(
        "a", shape=1, dtype=object, object_codec=numcodecs.Pickle()
    )
    z[0] = {1}
    zarr.consolidate_metadata(store)
    assert zarr.open_consolidated(store, allow_pickle=True)["a"][0] == {1}
    with pytest.raises(fastzarr.errors.PickleCodecDisabledError):
        zarr.open_consolidated(store)["a"][:]


def test_a_group_is_no_array():
    store = {}
    zarr.group(store).create_group("g")
    for path in ("g", "missing"):
        with pytest.raises(zarr.errors.ArrayNotFoundError, match=f"path '{path}'"):
            zarr.Array(store, path=path)
