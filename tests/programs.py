"""First programs of newcomers, by the topics of the tutorials of zarr-python 2 and 3."""

from __future__ import annotations

ZARR_2 = {
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
    "a zip archive": """
        store = zarr.ZipStore("a.zip", mode="w")
        root = zarr.group(store=store)
        root.zeros("x", shape=(4, 4), chunks=2)[:] = 1
        store.close()
        store = zarr.storage.ZipStore("a.zip", mode="r")
        assert zarr.open_group(store, mode="r")["x"][:].sum() == 16
        zarr.save("b.zip", a=np.arange(3))
        assert zarr.load("b.zip")["a"].tolist() == [0, 1, 2]
    """,
    "a file system of fsspec": """
        import fsspec

        store = zarr.storage.FSStore("memory://newcomer/a", dimension_separator="/")
        root = zarr.group(store, overwrite=True)
        root["x"] = np.arange(10)
        mapper = fsspec.get_mapper("memory://newcomer/a")
        assert zarr.open_group(mapper, mode="r")["x"][3] == 3
        url = "simplecache::memory://newcomer/a"
        assert zarr.open_group(url, mode="r")["x"][4] == 4
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
    "views of an array": """
        z = zarr.array(np.arange(10), chunks=4)
        assert z.astype("f4")[2:4].dtype == np.float32
        assert z.view(dtype="M8[s]")[1] == np.datetime64(1, "s")
        assert [int(value) for value in z.islice(3, 5)] == [3, 4]
        before = z.hexdigest()
        z[0] = 1
        assert len(z.digest()) == 20 and z.hexdigest() != before
    """,
    "visitors of a group": """
        root = zarr.group()
        a, b = root.create_groups("a", "b")
        a.ones("x", shape=3, chunks=2)
        assert root.visitvalues(lambda node: node.name if node.name == "/a/x" else None) == "/a/x"
        paths = []
        root.visitkeys(paths.append)
        root.visititems(lambda path, node: paths.append((path, node.name)))
        assert paths[:3] == ["a", "a/x", "b"] and paths[-1] == ("b", "/b")
        assert [array.name for array in a.array_values()] == ["/a/x"]
    """,
    "the files of format 2": """
        import json, os, zlib

        z = zarr.create(
            shape=(4, 4), chunks=(2, 2), dtype="<i4", fill_value=42, compression="zlib",
            compression_opts=1, store=zarr.DirectoryStore("a"), overwrite=True, zarr_format=2,
        )
        assert os.listdir("a") == [".zarray"]
        with open("a/.zarray") as file:
            document = json.load(file)
        assert (document["dtype"], document["compressor"]) == ("<i4", {"id": "zlib", "level": 1})
        z[:2, :2] = 1
        z.attrs["x"] = "y"
        assert sorted(os.listdir("a")) == [".zarray", ".zattrs", "0.0"]
        with open("a/0.0", "rb") as file:
            assert np.frombuffer(zlib.decompress(file.read()), "<i4").tolist() == [1] * 4
    """,
}

ZARR_3 = {
    "stores of objects and file systems": """
        from obstore.store import MemoryStore

        store = zarr.storage.ObjectStore(MemoryStore())
        zarr.create_array(store, name="a", data=np.arange(12), chunks=(5,))
        assert zarr.open_array(store, path="a", mode="r")[4:7].tolist() == [4, 5, 6]
        fs_store = zarr.storage.FsspecStore.from_url("memory://newcomer/b", read_only=False)
        zarr.create_group(fs_store, attributes={"n": 1}, overwrite=True)
        assert zarr.open_group("simplecache::memory://newcomer/b", mode="r").attrs["n"] == 1
    """,
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
    "codecs of numcodecs in format 3": """
        from fastzarr.codecs.numcodecs import LZMA, Delta

        words = {"filters": Delta(dtype="i4"), "compressors": LZMA(preset=1)}
        z = zarr.create_array({}, data=np.arange(100, dtype="i4"), **words)
        assert z.filters[0].name == "numcodecs.delta" and z.compressors[0].name == "numcodecs.lzma"
        assert z.metadata.zarr_format == 3 and z[7:9].tolist() == [7, 8]
        assert zarr.codecs.PCodec(level=3).level == 3
    """,
    "chunks and shards": """
        z = zarr.create_array({}, shape=(10, 4), chunks=(2, 2), shards=(4, 4), dtype="u1")
        assert z.write_chunk_sizes == ((4, 4, 2), (4,))
        assert z.read_chunk_sizes == ((2,) * 5, (2, 2))
        z[:2] = 1
        info = str(z.info_complete())
        assert "(4, 4)" in info and "2/10" in info
        whole = zarr.create_array({}, shape=(10, 4), chunks="auto", shards="auto", dtype="u1")
        assert whole.shards is not None
    """,
    "missing chunks": """
        z = zarr.create_array({}, shape=4, chunks=2, dtype="i4", fill_value=7)
        z[:2] = 1
        assert z[:].tolist() == [1, 1, 7, 7]
        strict = z.with_config({"read_missing_chunks": False})
        assert strict[:2].tolist() == [1, 1]
        try:
            strict[:]
        except zarr.errors.ChunkNotFoundError:
            pass
        else:
            raise AssertionError
    """,
    "an unknown codec": """
        import json

        z = zarr.create_array("a", shape=4, dtype="i4", compressors=None)
        document = z.metadata.to_dict()
        document["codecs"].append({"name": "example_jpeg"})
        store = {"zarr.json": json.dumps(document).encode()}
        try:
            zarr.open_array(store, mode="r")
        except zarr.errors.UnknownCodecError as error:
            assert "example_jpeg" in str(error)
        else:
            raise AssertionError
    """,
    "a codec of one's own": """
        from dataclasses import dataclass
        from typing import ClassVar

        from fastzarr.codecs import BytesBytesCodec, register_codec

        @dataclass(frozen=True, kw_only=True)
        class Inverted(BytesBytesCodec):
            name: ClassVar[str] = "newcomer.inverted"
            mask: int = 255
            def encoded_size(self, size):
                return size
            def encode(self, data):
                return (np.frombuffer(data, "u1") ^ self.mask).tobytes()
            def decode(self, data, size):
                return self.encode(data)

        register_codec(Inverted)
        z = zarr.create_array("a", data=np.arange(4), compressors=Inverted(mask=3))
        again = zarr.open_array("a", mode="r")
        assert again.compressors == (Inverted(mask=3),) and again[:].tolist() == [0, 1, 2, 3]
    """,
    "data types and their JSON": """
        from fastzarr.dtype import DateTime64, Int8, parse_dtype

        int8 = Int8.from_native_dtype(np.dtype("int8"))
        assert int8 == parse_dtype("int8", zarr_format=3)
        assert int8.to_native_dtype() == np.dtype("int8")
        assert int8.to_json(zarr_format=3) == "int8" and int8.default_scalar() == 0
        assert int8.to_json_scalar(42, zarr_format=3) == 42
        assert int8.from_json_scalar(42, zarr_format=3) == np.int8(42)
        ten = {"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 10}}
        for spec in ("M8[10s]", np.dtype("M8[10s]"), ten):
            assert parse_dtype(spec, zarr_format=3) == DateTime64(unit="s", scale_factor=10)
        assert parse_dtype("M8[10s]", zarr_format=3).to_json(zarr_format=3) == ten
        z = zarr.create_array({}, shape=2, dtype=DateTime64(unit="s", scale_factor=10))
        assert z.metadata.dtype.to_json(zarr_format=3) == ten
    """,
    "structured data types": """
        dtype = np.dtype([("a", "<f8"), ("b", [("c", "<i4"), ("d", "u1")])])
        for number in (2, 3):
            z = zarr.create_array({}, shape=2, dtype=dtype, zarr_format=number)
            z[0] = (1.5, (2, 3))
            assert z[0]["b"]["c"] == 2 and z[1].tolist() == (0.0, (0, 0))
    """,
    "the metadata of nodes": """
        root = zarr.create_group({}, attributes={"name": "root"})
        root.create_group("foo")
        root.create_array("bar", shape=(100, 10), chunks=(10, 10), dtype="f4")
        nodes = {"": root.metadata} | {name: node.metadata for name, node in root.members()}
        made = dict(zarr.create_hierarchy(store=zarr.storage.MemoryStore(), nodes=nodes))
        assert made[""].attrs == root.attrs and made["bar"].chunks == (10, 10)
    """,
    "from format 2 to format 3": """
        old = zarr.create_array("a", data=np.arange(6), chunks=2, zarr_format=2)
        old.attrs["units"] = "m"
        new = zarr.from_array("b", data=old, zarr_format=3)
        assert new.metadata.zarr_format == 3 and new.chunks == (2,)
        assert dict(new.attrs) == {"units": "m"} and new[:].tolist() == old[:].tolist()
        with zarr.config.set({"default_zarr_format": 2}):
            assert zarr.group().metadata.zarr_format == 2
    """,
    "what is installed": """
        zarr.print_debug_info()
        assert zarr.__version__
    """,
}
