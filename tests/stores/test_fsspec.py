"""Stores in file systems of fsspec: the suite of all stores, and what differs between them."""

from __future__ import annotations

import errno
import json
import os
import pickle
import subprocess
import sys
import zipfile
from uuid import uuid4

import fsspec
import numpy as np
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from servers.suites import SuiteInSeaweed

from fastzarr import create_array, open_array, open_group
from fastzarr.config import config
from fastzarr.errors import BaseZarrError, ChunkIOError, RequestAccessError, RequestError
from fastzarr.stores import FsspecStore, FSStore, LocalStore, SQLiteStore, ZipStore, as_store
from fastzarr.stores.capabilities import Request
from fastzarr.stores.keys import TEMPORARY_SUFFIX
from fastzarr.stores.loop import wait
from fastzarr.testing import StoreTests


class TestInMemory(StoreTests):
    @pytest.fixture
    def store(self):
        return FsspecStore(fsspec.filesystem("memory"), path=f"/{uuid4().hex}")


class TestInAFolder(StoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return FsspecStore(fsspec.filesystem("file"), path=str(tmp_path / "a"))


class TestFSStore(StoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return FSStore(str(tmp_path / "a"))


class TestInAFolderOfAnother(StoreTests):
    @pytest.fixture
    def store(self):
        inner = fsspec.filesystem("memory")
        return FsspecStore(fsspec.filesystem("dir", path=f"/{uuid4().hex}", fs=inner))


class TestInS3(SuiteInSeaweed):
    @pytest.fixture
    def store(self, s3):
        return FsspecStore.from_url(s3.url, s3.s3fs())


def written(store, **options):
    """Write an array with a missing chunk."""
    array = create_array(store, name="a", shape=(30, 20), chunks=(10, 20), dtype="i4", **options)
    array[:20] = np.arange(400).reshape(20, 20)
    return array[:]


def test_a_reference_file_system_is_read(tmp_path):
    values = written(str(tmp_path / "data"))
    folder = tmp_path / "data"
    references = {}
    for path in folder.rglob("*"):
        if path.is_file():
            key = path.relative_to(folder).as_posix()
            text = path.read_text() if path.name == "zarr.json" else None
            references[key] = text or [f"file://{path}", 0, path.stat().st_size]
    (tmp_path / "refs.json").write_text(json.dumps({"version": 1, "refs": references}))
    options = {"fo": str(tmp_path / "refs.json"), "remote_protocol": "file"}
    group = open_group("reference://", mode="r", storage_options=options)
    np.testing.assert_array_equal(group["a"][:], values)
    assert list(group) == ["a"]


def test_references_to_objects_are_read(s3):
    values = written(s3.url, storage_options=s3.obstore())
    store = as_store(s3.url, storage_options=s3.obstore())
    references = {
        key: store.get(key).decode() if key.endswith(".json") else [f"{s3.url}/{key}"]
        for key in store.list()
    }
    options = {"fo": references, "remote_protocol": "s3", "remote_options": s3.s3fs()}
    array = open_array("reference://", path="a", mode="r", storage_options=options)
    np.testing.assert_array_equal(array[:], values)


def test_a_zip_file_is_read(tmp_path):
    values = written(str(tmp_path / "data"))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in (tmp_path / "data").rglob("*"):
            archive.write(path, path.relative_to(tmp_path / "data"))
    group = open_group(f"zip://::{tmp_path}/data.zip", mode="r")
    np.testing.assert_array_equal(group["a"][:], values)


def test_a_chain_with_a_cache_is_read(s3, tmp_path):
    values = written(s3.url, storage_options=s3.obstore())
    options = {"s3": s3.s3fs(), "simplecache": {"cache_storage": str(tmp_path)}}
    array = open_array(f"simplecache::{s3.url}", path="a", mode="r", storage_options=options)
    assert isinstance(array.store_path.store, FsspecStore)
    np.testing.assert_array_equal(array[:], values)
    assert list(tmp_path.iterdir())


def test_an_option_that_only_the_file_system_knows_selects_it(s3):
    options = s3.s3fs() | {"s3_additional_kwargs": {}}
    store = as_store(s3.url, storage_options=options)
    assert isinstance(store, FsspecStore)
    store.set("a", b"1")
    assert as_store(s3.url, storage_options=s3.obstore()).get("a") == b"1"


@pytest.mark.parametrize("key", ["c/416/0", "0/416", "416.0", "416"])
def test_a_key_with_a_number_of_http_is_missing_as_any_other(key):
    store = FsspecStore(fsspec.filesystem("memory"), path=f"/{uuid4().hex}")
    assert store.get_ranges(key, [(1, 2)]) is None
    assert list(store.fetch([Request(key, -4)])) == [(0, None)]


def test_a_refused_part_of_a_key_with_a_number_of_http_is_an_error():
    class Refusing(MemoryFileSystem):
        cachable = False

        def cat_file(self, path, *_, **__):
            msg = f"{path}: refused"
            raise PermissionError(msg)

    store = FsspecStore(Refusing(), path=f"/{uuid4().hex}")
    with pytest.raises(RequestAccessError, match="c/416/0"):
        store.get_ranges("c/416/0", [(1, 2)])


@pytest.mark.parametrize("number", [403, 404, 503])
def test_a_number_in_a_key_is_not_the_status_of_a_failure(number):
    class Broken(MemoryFileSystem):
        cachable = False

        def cat_file(self, path, *_, **__):
            raise OSError(errno.EIO, "no disk", path)

    store = FsspecStore(Broken(), path=f"/{uuid4().hex}")
    with config.set({"fetch.deadline": 0.01}), pytest.raises(OSError, match="no disk") as caught:
        store.get(f"c/{number}/0")
    assert not isinstance(caught.value, RequestAccessError)
    assert f"status {number}" not in str(caught.value)


def test_a_missing_shard_with_a_number_of_http_has_the_fill_value():
    store = FsspecStore(fsspec.filesystem("memory"), path=f"/{uuid4().hex}")
    array = create_array(store, shape=(3336,), chunks=(1,), shards=(8,), dtype="u1", fill_value=7)
    assert array[3328] == 7


def test_file_systems_and_mappers_are_stores():
    fs = fsspec.filesystem("memory")
    name = uuid4().hex
    mapper = fs.get_mapper(f"/{name}")
    values = written(mapper)
    assert isinstance(as_store(mapper), FsspecStore)
    np.testing.assert_array_equal(open_group(fs, path=name)["a"][:], values)
    with pytest.raises(TypeError, match="storage_options"):
        as_store(fs, storage_options={"a": 1})
    with pytest.raises(TypeError, match="file system"):
        FsspecStore({})


def test_a_mapper_of_references_is_a_store(tmp_path):
    """References of kerchunk are mostly opened in this way."""
    values = np.arange(6, dtype="<i4")
    array = create_array(tmp_path / "a", data=values, chunks=3, zarr_format=2, compressors=None)
    document = (tmp_path / "a" / ".zarray").read_text()
    chunks = {f"a/{number}": [str(tmp_path / "a" / str(number))] for number in range(2)}
    refs = {".zgroup": '{"zarr_format": 2}', "a/.zarray": document, **chunks}
    mapper = fsspec.filesystem("reference", fo={"version": 1, "refs": refs}).get_mapper("")
    np.testing.assert_array_equal(open_group(mapper, mode="r")["a"][:], array[:])


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_a_upath_of_a_local_file_is_a_path(tmp_path, scheme):
    """Otherwise the promises of a folder, such as no lost updates of processes, would be void."""
    upath = pytest.importorskip("upath", reason="universal_pathlib is not installed")
    for name, cls in (("a.zarr", LocalStore), ("a.zip", ZipStore), ("a.sqlite", SQLiteStore)):
        found = as_store(upath.UPath(f"{scheme}{tmp_path}/{name}"))
        assert type(found) is cls
        assert found == as_store(f"{tmp_path}/{name}")
    assert isinstance(as_store(upath.UPath("memory://a.zarr")), FsspecStore)


class Recording(LocalFileSystem):
    """A file system of local files that notes what is written under which name."""

    cachable = False

    def __init__(self):
        super().__init__(auto_mkdir=True)
        self.written = []

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        self.written.append(path)
        super().pipe_file(path, value, mode, **kwargs)


def test_a_folder_of_a_file_system_is_a_path_in_it(tmp_path):
    """Values are not written in place, where a killed writer would leave a part of one."""
    inner = Recording()
    folder = DirFileSystem("b", DirFileSystem(f"{tmp_path}/a", inner))
    array = create_array(folder, data=np.arange(10), chunks=5)
    array[0] = 7
    assert inner.written
    assert all(path.endswith(TEMPORARY_SUFFIX) for path in inner.written)
    store = FsspecStore(folder)
    assert store == FsspecStore(inner, path=f"{tmp_path}/a/b")
    assert open_array(f"{tmp_path}/a/b")[:].tolist() == [7, *range(1, 10)]
    assert sorted(store) == ["c/0", "c/1", "zarr.json"]


def test_an_awaited_file_system_is_awaited(s3):
    FsspecStore.from_url(s3.url, s3.s3fs()).set("a", b"01234567")
    fs = fsspec.filesystem("s3", asynchronous=True, skip_instance_cache=True, **s3.s3fs())
    store = FsspecStore(fs, path=s3.url)
    assert store.get("a") == b"01234567"
    assert bytes(wait(store.fetch_async(Request("a", -3))).data) == b"567"
    assert wait(store.fetch_async(Request("nothing"))) is None

    async def close():
        await (await fs.set_session()).close()

    wait(close())


def test_a_part_is_requested_as_a_part(s3, proxy):
    through = s3.through(proxy)
    store = FsspecStore.from_url(through.url, through.s3fs())
    store.set("a", bytes(range(256)))
    proxy.forget()
    assert store.get("a") == bytes(range(256))
    assert store.get_ranges("a", [(10, 2), (-3, None)]) == [b"\n\x0b", b"\xfd\xfe\xff"]
    assert proxy.methods() == {"GET": 3}


def test_failures_are_not_missing_keys(s3, proxy):
    through = s3.through(proxy)
    options = through.s3fs() | {"config_kwargs": {"retries": {"max_attempts": 1}}}
    values = written(s3.url, storage_options=s3.obstore())
    array = open_array(FsspecStore.from_url(through.url, options), path="a", mode="r")
    np.testing.assert_array_equal(array[:], values)
    proxy.fault("status", status=403, target="/c/1/0$", times=None)
    with pytest.raises(ChunkIOError, match=r"chunk \(1, 0\)"):
        array[:]
    proxy.clear()
    store = FsspecStore.from_url("s3://nobody-has-this", options)
    with pytest.raises(RequestError, match="bucket does not exist"):
        store.get("a")


def test_denied_access_is_an_error(s3):
    store = FsspecStore.from_url(s3.url, s3.s3fs() | {"secret": "wrong"})
    with pytest.raises(RequestAccessError):
        store.get("a")


def test_a_web_server_has_no_listing():
    pytest.importorskip("aiohttp")
    store = FsspecStore.from_url("http://127.0.0.1:9/data")
    assert str(store) == "http://127.0.0.1:9/data"
    for verb in (store.list, store.list_dir):
        with pytest.raises(RequestError, match="no listing"):
            verb()


def test_an_unknown_scheme_is_refused():
    with pytest.raises(BaseZarrError, match="'gopher'"):
        as_store("gopher://host/path")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("fastzarr.stores.urls.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"fastzarr\[s3\]"):
        as_store("s3://bucket")
    with pytest.raises(ImportError, match=r"fastzarr\[hdfs\]"):
        as_store("hdfs://host/path")


def test_values_of_a_folder_are_replaced_whole(tmp_path):
    store = FsspecStore(fsspec.filesystem("file"), path=str(tmp_path))
    store.set("a", b"old")

    class DiskError(Exception):
        pass

    def fail(*_, **__):
        raise DiskError

    fs = store.fs
    old, fs.mv = fs.mv, fail
    try:
        with pytest.raises(RequestError, match="key 'a'"):
            store.set("a", b"new")
    finally:
        fs.mv = old
    assert store.get("a") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_forked_child_works(s3):
    store = FsspecStore.from_url(s3.url, s3.s3fs())
    store.set("a", b"1")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, store.get("a"))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert file.read() == b"1"
    os.waitpid(child, 0)


def test_it_is_pickled(s3):
    store = FsspecStore.from_url(s3.url, s3.s3fs(), read_only=True)
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again.read_only
    assert again.get("nothing") is None


def test_fsstore_has_the_arguments_of_zarr_python_2(tmp_path):
    store = FSStore(str(tmp_path / "x"), dimension_separator="/", auto_mkdir=True, create=True)
    assert store.key_separator == "/"
    assert (tmp_path / "x").is_dir()
    array = create_array(store, name="a", shape=4, chunks=2, dtype="i4", zarr_format=2)
    array[:] = 5
    assert (tmp_path / "x" / "a" / "0").is_file()
    assert FSStore(str(tmp_path / "x"), mode="r").read_only
    lower = FSStore(str(tmp_path / "y"), normalize_keys=True, check=True)
    lower.set("A/B", b"1")
    assert (tmp_path / "y" / "a" / "b").read_bytes() == b"1"
    with pytest.raises(TypeError, match="file system"):
        FSStore("a", fs=fsspec.filesystem("memory"), anon=True)


def test_missing_exceptions_are_those_given():
    class GoneError(Exception):
        pass

    class Memory(fsspec.get_filesystem_class("memory")):
        cachable = False

        def cat_file(self, path, **_):
            raise GoneError(path)

    assert FSStore("x", fs=Memory(), missing_exceptions=(GoneError,)).get("a") is None
    with config.set({"fetch.deadline": 0.1}), pytest.raises(RequestError):
        FSStore("x", fs=Memory()).get("a")


IDENTITY = """
import sys
from threading import Thread
from fastzarr.stores import FsspecStore

def show(url, **options):
    print(url, FsspecStore.from_url(url, options).place.token)

def show_all():
    show("s3://bucket/x", key=sys.argv[1], client_kwargs={"endpoint_url": "http://host:1"})
    show("s3://bucket/x", client_kwargs={"endpoint_url": "http://host:2"})
    show("memory://x")

show_all()
thread = Thread(target=show_all)
thread.start()
thread.join()
"""


def test_the_place_of_a_url_is_that_in_any_thread_and_process():
    runs = []
    for key in ("first", "second"):
        found = subprocess.run(  # noqa: S603  (this file's program)
            [sys.executable, "-c", IDENTITY, key], check=True, capture_output=True, text=True
        )
        lines = found.stdout.splitlines()
        assert lines[:3] == lines[3:]
        runs.append(lines[:3])
    first, second = runs
    assert first[:2] == second[:2]
    assert first[0] != first[1]
    # The values in the memory of another process are others.
    assert first[2] != second[2]
