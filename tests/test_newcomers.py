"""First programs of newcomers: one for each topic of the tutorials of zarr-python 2 and 3.

``python -m pytest tests/test_newcomers.py`` runs each program as a user would, in an empty folder,
with ``import fastzarr as zarr``. What does not run yet is in ``MISSING``, with the feature that
will bring it; an entry whose program begins to run fails its test until it is removed. What runs
with another result is in ``DIFFERENT``, with the reason. ``MISTAKES`` are calls that raise an error
which says what to do.
"""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

import fastzarr
from fastzarr import errors

PROGRAMS = {
    # Topics of zarr-python 2.
    "create an array": """
        z = zarr.zeros((100, 100), chunks=(10, 10), dtype="i4")
        assert (z.shape, z.chunks, z.dtype, z.nchunks) == ((100, 100), (10, 10), np.int32, 100)
        for made, value in ((zarr.ones(3), 1), (zarr.full(3, 7), 7), (zarr.empty(3), 0)):
            assert made[:].tolist() == [value] * 3
    """,
    "read and write": """
        z = zarr.zeros((20, 20), chunks=(5, 5), dtype="i4")
        z[:] = 42
        z[0, :] = np.arange(20)
        z[:, 0] = np.arange(20)
        assert z[0, 0] == 0 and z[-1, -1] == 42
        assert z[3, :].tolist() == [3] + 19 * [42]
        assert z[::7, 1].tolist() == [1, 42, 42]
    """,
    "a persistent array": """
        z = zarr.open("a.zarr", mode="w", shape=(20, 20), chunks=(5, 5), dtype="i4")
        z[:] = np.arange(400).reshape(20, 20)
        again = zarr.open("a.zarr", mode="r")
        assert np.array_equal(again[:], z[:])
        try:
            again[0, 0] = 1
        except PermissionError:
            pass
        else:
            raise AssertionError
    """,
    "save and load": """
        a, b = np.arange(10), np.linspace(0, 1, 5)
        zarr.save("a.zarr", a)
        assert zarr.load("a.zarr").tolist() == a.tolist()
        zarr.save("two.zarr", a, b)
        assert zarr.load("two.zarr")["arr_1"].tolist() == b.tolist()
        zarr.save("named.zarr", first=a, second=b)
        assert sorted(zarr.load("named.zarr")) == ["first", "second"]
    """,
    "resize and append": """
        z = zarr.zeros((4, 6), chunks=(2, 3), dtype="f8")
        z.resize(8, 6)
        assert z.shape == (8, 6)
        z.append(np.ones((2, 6)))
        z.append(np.full((10, 2), 2.0), axis=1)
        assert z.shape == (10, 8) and z[-1].tolist() == 6 * [1.0] + 2 * [2.0]
    """,
    "compressors of numcodecs": """
        from numcodecs import LZMA, Blosc, Zstd

        data = np.arange(1000, dtype="i4")
        blosc = Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE)
        for codec in (blosc, Zstd(1), LZMA(), None):
            z = zarr.array(data, compressor=codec)
            assert z.compressor == codec
            assert np.array_equal(z[:], data)
        assert zarr.Blosc is Blosc
        assert "Compressor" in str(zarr.array(data, compressor=Blosc()).info)
    """,
    "filters of numcodecs": """
        from numcodecs import Blosc, Delta

        z = zarr.array(np.arange(1000, dtype="i4"), filters=[Delta(dtype="i4")], compressor=Blosc())
        assert z.filters[0] == Delta(dtype="i4")
        assert z[10:13].tolist() == [10, 11, 12]
    """,
    "groups": """
        root = zarr.group()
        baz = root.create_group("foo").create_group("bar").zeros("baz", shape=10, chunks=5)
        assert root["foo/bar/baz"] == baz and root["foo"]["bar"].name == "/foo/bar"
        assert "foo/bar" in root and list(root.group_keys()) == ["foo"]
        assert root.tree() is not None and "baz" in str(root.tree())
        persistent = zarr.open_group("g.zarr", mode="w")
        persistent.create_dataset("x/y", shape=4, dtype="i2")
        assert list(zarr.open_group("g.zarr", mode="r")["x"].array_keys()) == ["y"]
    """,
    "h5py's verbs": """
        root = zarr.group()
        root.require_group("a")
        x = root["a"].require_dataset("x", shape=(4,), dtype="f4")
        assert root.require_dataset("a/x", shape=4, dtype="f4") == x
        names = []
        root.visit(names.append)
        assert names == ["a", "a/x"]
        root.move("a/x", "b/x")
        del root["a"]
        assert list(root.groups())[0][0] == "b" and len(root) == 1
    """,
    "array and group diagnostics": """
        root = zarr.group()
        x = root.create_dataset("x", data=np.zeros((10, 10)), chunks=(5, 5))
        text = str(x.info)
        assert "float64" in text and "(5, 5)" in text
        assert "Type" in str(root.info) and x.info._repr_html_()
        assert x.nchunks_initialized <= x.nchunks and x.nbytes == 800
    """,
    "attributes": """
        root = zarr.group()
        root.attrs["title"] = "t"
        z = root.zeros("z", shape=3)
        z.attrs.update({"units": "K", "range": [1, 2.5]})
        assert sorted(z.attrs) == ["range", "units"] and z.attrs["range"] == [1, 2.5]
        del z.attrs["units"]
        assert z.attrs.asdict() == {"range": [1, 2.5]} and root.attrs.get("title") == "t"
        z.attrs.put({"only": None})
        assert dict(z.attrs) == {"only": None}
    """,
    "coordinates and masks": """
        z = zarr.array(np.arange(12).reshape(3, 4), chunks=2)
        assert z.vindex[[0, 2], [1, 3]].tolist() == [1, 11]
        assert z.get_coordinate_selection(([0, 2], [1, 3])).tolist() == [1, 11]
        z.set_coordinate_selection(([0, 2], [1, 3]), [-1, -2])
        mask = z[:] < 0
        assert z.get_mask_selection(mask).tolist() == z.vindex[mask].tolist() == [-1, -2]
        z.set_mask_selection(mask, 0)
        assert (z[:] >= 0).all()
    """,
    "orthogonal and block indexing": """
        data = np.arange(24).reshape(4, 6)
        z = zarr.array(data, chunks=(2, 3))
        assert np.array_equal(z.oindex[[0, 2], 1:3], data[[0, 2], 1:3])
        found = z.get_orthogonal_selection(([0, 3], [5, 1]))
        assert np.array_equal(found, data[np.ix_([0, 3], [5, 1])])
        z.oindex[[0], [0]] = 9
        assert np.array_equal(z.blocks[1, 0], data[2:, :3])
        z.set_block_selection((0, 1), -1)
        assert (z[:2, 3:] == -1).all()
    """,
    "fields of structured arrays": """
        dtype = [("n", "S2"), ("i", "i4"), ("x", "f8")]
        records = np.array([(b"a", 1, 2.5), (b"b", 3, 4.5)], dtype=dtype)
        z = zarr.array(records)
        assert z["i"].tolist() == [1, 3] and z["n", "x"].dtype.names == ("n", "x")
        assert z.get_basic_selection(slice(0, 1), fields="x").tolist() == [2.5]
    """,
    "a dictionary as a store": """
        store = {}
        root = zarr.group(store=store, overwrite=True)
        root.zeros("x", shape=4, chunks=2)[:] = 1
        assert any(key.startswith("x/") for key in store)
        assert zarr.open_group(store, mode="r")["x"][:].sum() == 4
    """,
    "stores of folders": """
        for kind in (zarr.DirectoryStore, zarr.NestedDirectoryStore, zarr.TempStore):
            store = kind() if kind is zarr.TempStore else kind(kind.__name__)
            zarr.zeros((4, 4), chunks=2, store=store)[:] = 1
            assert zarr.open_array(store, mode="r")[:].sum() == 16
    """,
    "consolidated metadata": """
        root = zarr.open_group("c.zarr", mode="w")
        root.create_group("a").zeros("x", shape=3)
        zarr.consolidate_metadata("c.zarr")
        opened = zarr.open_consolidated("c.zarr")
        assert opened["a/x"].shape == (3,)
        found = opened.metadata.consolidated_metadata
        assert sorted(found.metadata) == ["a"] and sorted(found.flattened_metadata) == ["a", "a/x"]
        assert found.metadata["a"].consolidated_metadata.metadata["x"].shape == (3,)
        live = zarr.open_group("c.zarr", use_consolidated=False)
        assert live.metadata.consolidated_metadata is None
    """,
    "copy data": """
        source, dest = zarr.group(), zarr.group()
        source.create_dataset("foo/bar/baz", data=np.arange(100), chunks=50)
        lines = []
        assert zarr.copy(source["foo"], dest, log=lines.append) == (3, 0, 800)
        assert lines[-1] == "all done: 3 copied, 0 skipped, 800 bytes copied"
        n_copied, n_skipped, n_bytes = zarr.copy_all(source, dest, if_exists="skip")
        assert (n_copied, n_skipped, n_bytes) == (2, 1, 0)
        one, other = {"a/b": b"12"}, {}
        assert zarr.copy_store(one, other, dest_path="z") == (1, 0, 2)
    """,
    "copy from HDF5": """
        import h5py

        with h5py.File("a.h5", "w") as source:
            source["foo/x"] = np.arange(10)
            source["foo"].attrs["units"] = "m"
            dest = zarr.open_group("a.zarr", mode="w")
            zarr.copy(source["foo"], dest)
        assert dest["foo/x"][3] == 3 and dest["foo"].attrs["units"] == "m"
    """,
    "text": """
        words = ["Grüße", "سلام", "你好"]
        fixed = zarr.array(words, dtype="U5")
        any_length = zarr.array(words, dtype=str)
        coded = zarr.array(words, dtype=object, object_codec=zarr.VLenUTF8())
        for z in (fixed, any_length, coded):
            assert z[:].tolist() == words
        data = zarr.array([word.encode() for word in words], dtype=bytes)
        assert data[:].tolist()[0].decode() == words[0]
    """,
    "objects": """
        import numcodecs

        for codec in (numcodecs.JSON(), numcodecs.MsgPack(), numcodecs.Pickle()):
            z = zarr.empty(3, dtype=object, object_codec=codec)
            z[0], z[1], z[2] = 42, "foo", ["bar", {"a": 1}]
            assert z[:].tolist() == [42, "foo", ["bar", {"a": 1}]]
    """,
    "ragged arrays": """
        z = zarr.empty(3, dtype="array:i8")
        z[0], z[1] = np.array([1, 3, 5]), np.array([4])
        z[2] = np.array([], dtype="i8")
        assert [row.tolist() for row in z[:]] == [[1, 3, 5], [4], []]
    """,
    "sizes of chunks": """
        data = np.zeros((1000, 1000))
        assert zarr.array(data, chunks=False).chunks == (1000, 1000)
        assert zarr.array(data, chunks=(100, None)).chunks == (100, 1000)
        assert zarr.array(data, chunks=10).chunks == (10, 10)
        assert all(size <= 1000 for size in zarr.array(data).chunks)
        rechunked = zarr.array(zarr.array(data, chunks=(1000, 1)), chunks=(1, 1000))
        assert rechunked.chunks == (1, 1000)
    """,
    "the order of elements in format 2": """
        data = np.arange(12).reshape(3, 4)
        for order in "CF":
            z = zarr.array(data, order=order, zarr_format=2)
            assert z.order == order and np.array_equal(z[:], data)
    """,
    "empty chunks": """
        for write, stored in ((True, 4), (False, 0)):
            z = zarr.zeros(8, chunks=2, write_empty_chunks=write)
            z[:] = 0
            assert z.nchunks_initialized == stored
    """,
    "synchronizers": """
        from concurrent.futures import ThreadPoolExecutor

        for lock in (zarr.ThreadSynchronizer(), zarr.ProcessSynchronizer("p.sync")):
            words = {"shape": 40, "chunks": 10, "dtype": "i4", "synchronizer": lock}
            z = zarr.open_array("a.zarr", mode="w", **words)
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda at, z=z: z.__setitem__(at, at), range(40)))
            assert z[:].tolist() == list(range(40))
    """,
    "pickle": """
        import pickle

        zarr.save("a.zarr", np.arange(5))
        z = zarr.open("a.zarr", mode="r")
        again = pickle.loads(pickle.dumps(z))
        assert again == z and again[:].tolist() == [0, 1, 2, 3, 4]
        assert len(pickle.dumps(z)) < 2000
    """,
    "dates and durations": """
        z = zarr.array(["2007-07-13", "2006-01-13", "2010-08-13"], dtype="M8[D]")
        assert z[0] == np.datetime64("2007-07-13")
        z[0] = "1999-12-31"
        assert str(z[0].astype(object)) == "1999-12-31"
        assert zarr.array(np.array([1, 2], "m8[s]"))[:].sum() == np.timedelta64(3, "s")
    """,
    "dask": """
        import dask.array as da

        z = zarr.array(np.arange(100).reshape(10, 10), chunks=5)
        assert da.from_array(z, chunks=z.chunks).sum().compute() == 4950
    """,
    # Topics of zarr-python 3.
    "create an array of format 3": """
        z = zarr.create_array(
            store="a.zarr", shape=(100, 100), chunks=(10, 10), shards=(50, 50), dtype="f4",
            dimension_names=["y", "x"], attributes={"units": "m"}, fill_value=-1,
        )
        z[:50] = 1
        assert zarr.open_array("a.zarr", mode="r")[49:51, 0].tolist() == [1, -1]
        assert (z.shards, z.attrs["units"]) == ((50, 50), "m")
        assert z.metadata.dimension_names == ("y", "x")
    """,
    "codecs of format 3": """
        from fastzarr.codecs import BloscCodec, GzipCodec, ZstdCodec

        blosc = BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
        for codec in (blosc, GzipCodec(level=1), ZstdCodec()):
            z = zarr.create_array({}, data=np.arange(100), compressors=codec)
            assert z.compressors[0].name == codec.name and z[5] == 5
        assert zarr.create_array({}, data=np.arange(3), compressors=None).compressors == ()
    """,
    "from another array": """
        source = zarr.create_array("a.zarr", data=np.arange(16.0), chunks=4)
        assert zarr.from_array("b.zarr", data=source, chunks=8)[:].tolist() == source[:].tolist()
        assert zarr.from_array("c.zarr", data=np.arange(3))[:].tolist() == [0, 1, 2]
    """,
    "groups of format 3": """
        root = zarr.create_group(store="g.zarr", attributes={"title": "t"})
        root.create_array(name="a/x", shape=(4,), dtype="u1")
        assert [name for name, _ in root.members(max_depth=None)] == ["a", "a/x"]
        assert root["a"].nmembers() == 1 and dict(root.attrs) == {"title": "t"}
    """,
    "many nodes at once": """
        group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        made = dict(zarr.create_hierarchy(store="h.zarr", nodes={"a/b": group}))
        assert sorted(made)[-1] == "a/b" and "a" in zarr.open_group("h.zarr", mode="r")
    """,
    "complete diagnostics": """
        z = zarr.create_array({}, data=np.ones((10, 10)), chunks=5)
        assert "No. bytes stored" in str(z.info_complete())
    """,
    "settings": """
        import io

        before = zarr.config.get("array.order")
        with zarr.config.set({"array.write_empty_chunks": True}):
            z = zarr.zeros(4, chunks=2)
            z[:] = 0
        assert z.nchunks_initialized == 2 and zarr.config.get("array.order") == before
        shown = io.StringIO()
        zarr.config.pprint(stream=shown, width=60)
        assert "'order': 'C'" in shown.getvalue()
    """,
    "settings of an array": """
        z = zarr.create_array({}, shape=10, dtype="i1", config={"write_empty_chunks": True})
        assert z.config.write_empty_chunks
        assert z.with_config({"order": "F"}).order == "F"
    """,
    "data types": """
        for name in ("bool", "int8", "uint64", "float16", "complex64", "string"):
            assert zarr.create_array({}, shape=2, dtype=name)[:].shape == (2,)
        assert zarr.create_array({}, shape=2, dtype="M8[ms]").dtype == np.dtype("M8[ms]")
    """,
    "a store of one's own": """
        from fastzarr.stores import Store

        class Mine(Store):
            def __init__(self):
                super().__init__()
                self.values = {}
            def _get(self, key):
                return self.values.get(key)
            def _set(self, key, value):
                self.values[key] = bytes(value)
            def _delete(self, key):
                self.values.pop(key, None)
            def _list(self, prefix):
                return [key for key in self.values if key.startswith(prefix)]

        z = zarr.create_array(Mine(), data=np.arange(6), chunks=2)
        assert z[3:].tolist() == [3, 4, 5]
    """,
    "keys in memory": """
        store = zarr.storage.MemoryStore()
        zarr.create_array(store=store, data=np.arange(4), chunks=2, name="x")
        assert zarr.open_array(store, path="x", mode="r")[3] == 3
        assert zarr.storage.LocalStore("a") == zarr.storage.LocalStore("a")
        zarr.create_array("memory://sea", data=[1, 2])
        assert zarr.open_array("memory://sea", mode="r")[:].tolist() == [1, 2]
    """,
    "what is installed": """
        zarr.print_debug_info()
        assert zarr.__version__
    """,
}

OTHER_STORES = "stores of object storage, and URLs"
ARCHIVES = "stores in a file: zip and databases"
FACADE = "use by libraries that import zarr-python under its own name"
ASYNC = "an async API"

# name: (a program, the feature that will bring it, the error until then)
MISSING = {
    "a URL": ("zarr.open_group('s3://bucket/x', mode='r')", OTHER_STORES, ValueError),
    "FsspecStore": ("zarr.storage.FsspecStore", OTHER_STORES, AttributeError),
    "FSStore": ("zarr.storage.FSStore", OTHER_STORES, AttributeError),
    "ObjectStore": ("zarr.storage.ObjectStore", OTHER_STORES, AttributeError),
    "ABSStore": ("zarr.storage.ABSStore", OTHER_STORES, AttributeError),
    "LRUStoreCache": ("zarr.storage.LRUStoreCache", OTHER_STORES, AttributeError),
    "CacheStore": ("import fastzarr.experimental", OTHER_STORES, ImportError),
    "ZipStore": ("zarr.storage.ZipStore", ARCHIVES, AttributeError),
    "DBMStore": ("zarr.storage.DBMStore", ARCHIVES, AttributeError),
    "LMDBStore": ("zarr.storage.LMDBStore", ARCHIVES, AttributeError),
    "SQLiteStore": ("zarr.storage.SQLiteStore", ARCHIVES, AttributeError),
    "RedisStore": ("zarr.storage.RedisStore", ARCHIVES, AttributeError),
    "MongoDBStore": ("zarr.storage.MongoDBStore", ARCHIVES, AttributeError),
    "N5Store": ("zarr.n5", "the format N5", AttributeError),
    "irregular chunks": (
        "zarr.create_array({}, shape=(6,), chunks=[[1, 2, 3]], dtype='i1')",
        "irregular chunk grids",
        ValueError,
    ),
    "async functions": ("zarr.api.asynchronous", ASYNC, AttributeError),
    "AsyncArray": ("zarr.AsyncArray", ASYNC, AttributeError),
    "GPU buffers": ("zarr.config.enable_gpu()", "arrays in a GPU's memory", NotImplementedError),
    "classes of documents": ("import fastzarr.core.group", FACADE, ImportError),
    "abstract classes": ("import fastzarr.abc", FACADE, ImportError),
    "the command line": ("import fastzarr.__main__", "a command line", ImportError),
}

# name: (a program that shows the difference, the reason)
DIFFERENT = {
    "the compressor of an array of the default format": (
        """
        z = zarr.zeros(3)
        try:
            z.compressor
        except TypeError:
            assert len(z.compressors) == 2
        """,
        "the default format is 3, as in zarr-python 3, and has a list of compressors",
    ),
    "the default compressor of zarr-python 2": (
        """
        zarr.storage.default_compressor = None
        try:
            assert zarr.zeros(3, zarr_format=2).compressor is not None
        finally:
            del zarr.storage.default_compressor
        """,
        "a variable of a module is no setting here; pass compressor= instead",
    ),
    "column-major order in the default format": (
        """
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            zarr.zeros((2, 2), order="F")
        assert "TransposeCodec" in str(caught[0].message)
        """,
        "format 3 stores the order as a codec; the warning says how",
    ),
    "an array in memory and its pickled copy": (
        """
        import pickle

        z = zarr.array([1, 2])
        again = pickle.loads(pickle.dumps(z))
        again[0] = 9
        assert z != again and z[0] == 1
        """,
        "two stores are equal if a change of one is seen in the other",
    ),
}

# name: (a wrong call, the error, what its message says)
MISTAKES = {
    "a misspelled mode": ("zarr.open('a', mode='rw')", ValueError, r"one of 'r', 'r\+', 'a'"),
    "a missing node": ("zarr.open('b', mode='r')", FileNotFoundError, "mode='r' does not create"),
    "an array without a shape": ("zarr.open('b', mode='w', dtype='i4')", TypeError, "shape="),
    "a misspelled keyword": ("zarr.open('b', shpe=3)", TypeError, "did you mean shape="),
    "the word of another library": (
        "zarr.create_array({}, shape=3, dtype='i4', dims=['x'])",
        TypeError,
        "did you mean dimension_names=",
    ),
    "an array that exists": ("zarr.create_array('a', shape=3)", ValueError, "overwrite=True"),
    "an array opened as a group": ("zarr.open_group('a')", ValueError, "is an array, not a group"),
    "the data before the store": (
        "zarr.save(np.zeros(3), 'b')",
        TypeError,
        "the store is passed before the data",
    ),
    "a mapping of arrays": ("zarr.save('b', {'x': [1]})", TypeError, r"save\(store, \*\*arrays"),
    "a path as a mapping": ("zarr.storage.MemoryStore('a')", TypeError, "a folder is a LocalStore"),
    "a mapping as a path": ("zarr.storage.LocalStore({})", TypeError, "a path, not dict"),
    "the shape of other data": (
        "zarr.create_array({}, shape=3, data=np.zeros(4))",
        ValueError,
        r"the shape of the data, \(4,\)",
    ),
    "chunks of another dimension": (
        "zarr.create_array({}, shape=(4, 4), dtype='i4', chunks=(2, 2, 2))",
        ValueError,
        "3 entries.* 2 dimensions",
    ),
    "shards between the chunks": (
        "zarr.create_array({}, shape=30, dtype='i4', chunks=10, shards=15)",
        ValueError,
        "multiple of the chunk length 10",
    ),
    "shards in format 2": (
        "zarr.create_array({}, shape=30, dtype='i4', shards=10, zarr_format=2)",
        ValueError,
        "pass zarr_format=3",
    ),
    "a compressor as a filter": (
        "zarr.create_array({}, shape=3, dtype='i4', filters=zarr.codecs.GzipCodec())",
        ValueError,
        "a filter is an array-to-array codec",
    ),
    "the class of a codec": (
        "zarr.create_array({}, shape=3, dtype='i4', compressors=zarr.codecs.GzipCodec)",
        ValueError,
        "pass an instance",
    ),
    "two compressors in format 2": (
        "zarr.create_array({}, shape=3, compressors=[zarr.Blosc(), zarr.Zlib()], zarr_format=2)",
        ValueError,
        "as filters=",
    ),
    "a codec of another name": (
        "zarr.create_array({}, shape=3, dtype='i4', compressors='lz5')",
        ValueError,
        "known codecs: blosc",
    ),
    "another key encoding": (
        "zarr.create_array({}, shape=3, dtype='i4', chunk_key_encoding='v3')",
        ValueError,
        "known are default, v2",
    ),
    "objects": ("zarr.array([object()])", ValueError, "pass object_codec="),
    "a fill value of another type": (
        "zarr.create_array({}, shape=3, dtype='u1', fill_value=-1)",
        OverflowError,
        "fill_value -1 is not valid for uint8",
    ),
    "a write to what is read-only": (
        "zarr.open('a', mode='r')[:] = 1",
        PermissionError,
        r"mode='r\+'",
    ),
    "rows of another length": (
        "zarr.open('a').append(np.zeros((1, 4)))",
        ValueError,
        "all other axes must agree",
    ),
    "an index out of bounds": ("zarr.open('a')[5]", IndexError, "axis 0 with size 2"),
    "an attribute that is no JSON": (
        "zarr.open('a').attrs['x'] = {1, 2}",
        TypeError,
        "convert it to a string, a number, a list or a mapping",
    ),
    "attributes that are no mapping": (
        "zarr.open('a').update_attributes([1])",
        TypeError,
        "a mapping of names to values",
    ),
    "nodes that are no mapping": (
        "zarr.create_hierarchy(store={}, nodes=['a'])",
        TypeError,
        "a mapping of paths to metadata",
    ),
    "a copy without a name": ("zarr.copy(zarr.open('a'), zarr.group())", TypeError, "pass name="),
    "an invalid setting": (
        "zarr.config.set({'array.order': 'Z'})",
        ValueError,
        "array.order: must be one of 'C', 'F'",
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(program):
    code = compile("import numpy as np\n" + textwrap.dedent(program), "<program>", "exec")
    exec(code, {"zarr": fastzarr})  # noqa: S102  (a program of this file)


@pytest.mark.parametrize("topic", PROGRAMS)
def test_program(topic):
    if topic == "dask":
        pytest.importorskip("dask.array")
    run(PROGRAMS[topic])


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_different_on_purpose(name):
    run(DIFFERENT[name][0])


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_says_so(name):
    program, _, error = MISSING[name]
    with pytest.raises(error):
        run(program)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_raises_an_error_that_says_what_to_do(name):
    call, error, message = MISTAKES[name]
    fastzarr.save_array("a", [[1, 2, 3], [4, 5, 6]])
    with pytest.raises(error, match=message):
        run(call)
    assert fastzarr.load("a").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_keywords_without_effect_on_an_existing_array_cause_a_warning(recwarn):
    z = fastzarr.create_array("a", shape=3, dtype="i4")
    for words in ({"dtype": "i4"}, {"dtype": ">i4"}, {"dtype": np.int32, "shape": 9}):
        assert fastzarr.open("a", **words) == fastzarr.open_array("a", **words) == z
    fastzarr.create_array("t", shape=3, dtype=object, object_codec=fastzarr.MsgPack())
    fastzarr.open("t", dtype=object, shape=3)
    assert not recwarn.list
    with pytest.warns(errors.ZarrUserWarning, match=r"int32, and dtype='f8' has no effect.*'w'"):
        assert fastzarr.open("a", dtype="f8", shape=3).dtype == np.int32
    with pytest.warns(errors.ZarrUserWarning, match=r"exists: data= is not written; .*mode='w'"):
        assert fastzarr.open_array("a", data=[1, 2, 3])[:].tolist() == [0, 0, 0]
    for mode in ("r", "r+"):
        assert fastzarr.open_array("a", mode=mode, dtype="f8") == z
    assert fastzarr.open_array("a", mode="w", data=[1.5])[:].tolist() == [1.5]
