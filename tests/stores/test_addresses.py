"""The URLs of stores: what a store is called in texts and messages opens it again."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections import UserDict
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

import fastzarr
from fastzarr import storage
from fastzarr.errors import BaseZarrError, ReadOnlyError
from fastzarr.stores import Store, StorePath, as_store, as_store_path


def packed(tmp_path, kind):
    """Return the path of an archive with an array."""
    folder = tmp_path / "data"
    fastzarr.create_array(str(folder), data=[1, 2, 3])
    path = tmp_path / f"data.{kind}"
    files = [each for each in sorted(folder.rglob("*")) if each.is_file()]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for each in files:
                archive.write(each, each.relative_to(folder))
    elif kind == "tar":
        with tarfile.open(path, "w") as archive:
            archive.add(folder, "", recursive=True)
    else:
        refs = {each.relative_to(folder).as_posix(): [f"file://{each}"] for each in files}
        path.write_text(json.dumps({"version": 1, "refs": refs}))
    return path


def in_a_zip_elsewhere(tmp_path, inner):
    inner["a/data.zip"] = packed(tmp_path, "zip").read_bytes()
    return storage.ZipStore(StorePath(inner, "a/data.zip"), mode="r")


def consolidated(tmp_path):
    fastzarr.open_group(tmp_path / "c", mode="w", zarr_format=2)
    fastzarr.consolidate_metadata(tmp_path / "c")
    return storage.ConsolidatedMetadataStore(tmp_path / "c")


def of_obstore(name):
    stores = pytest.importorskip("obstore.store")
    return getattr(stores, name)


def by_fsspec(url, **options):
    return storage.FsspecStore.from_url(url, options)


# Those that need no server, by the name of their class and what is special.
KINDS = {
    "ABSStore": lambda _: storage.ABSStore("box", "a/b", account_name="me", account_key="aGk="),
    "CacheStore": lambda p: storage.CacheStore(str(p / "a"), cache_store=p / "cache"),
    "ConsolidatedMetadataStore": consolidated,
    "DBMStore": lambda p: storage.DBMStore(p / "a b.dbm"),
    "DirectoryStore": lambda p: storage.DirectoryStore(p / "a"),
    "FSStore": lambda p: storage.FSStore(str(p / "a")),
    "FSStore in memory": lambda _: storage.FSStore(f"memory://{uuid4().hex}/a"),
    "FsspecStore": lambda p: by_fsspec(f"file://{p}/a"),
    "FsspecStore of copies": lambda p: by_fsspec(
        f"simplecache::memory://{uuid4().hex}", simplecache={"cache_storage": str(p)}
    ),
    "FsspecStore in memory": lambda _: by_fsspec(f"memory://{uuid4().hex}"),
    "FsspecStore of a tar file": lambda p: by_fsspec(f"tar://::{packed(p, 'tar')}"),
    "FsspecStore of a zip file": lambda p: by_fsspec(f"zip://::{packed(p, 'zip')}"),
    "FsspecStore of references": lambda p: by_fsspec("reference://", fo=str(packed(p, "json"))),
    "LMDBStore": lambda p: storage.LMDBStore(p / "a b"),
    "LMDBStore in a file": lambda p: storage.LMDBStore(p / "a", subdir=False),
    "LRUStoreCache": lambda p: storage.LRUStoreCache(str(p / "a"), max_size=None),
    "LocalStore": lambda p: storage.LocalStore(p / "a b%20ö"),
    "LoggingStore": lambda p: storage.LoggingStore(str(p / "a"), log_level="WARNING"),
    "ManagedMemoryStore": lambda _: storage.ManagedMemoryStore("url-of-a-test"),
    "MappingStore": lambda _: storage.MappingStore(UserDict()),
    "MemoryStore": lambda _: storage.MemoryStore(),
    "MemoryStore of a dict": lambda _: storage.MemoryStore({}),
    "N5FSStore": lambda _: storage.N5FSStore(f"memory://{uuid4().hex}/a"),
    "N5FSStore by its name": lambda _: storage.N5FSStore(f"memory://{uuid4().hex}/a.n5"),
    "N5Store": lambda p: storage.N5Store(p / "a"),
    "N5Store by its name": lambda p: storage.N5Store(p / "a.n5"),
    "NestedDirectoryStore": lambda p: storage.NestedDirectoryStore(p / "a"),
    "ObjectStore": lambda _: storage.ObjectStore(of_obstore("MemoryStore")()),
    "ObjectStore in a folder": lambda p: storage.ObjectStore(
        of_obstore("LocalStore")(p / "a", mkdir=True)
    ),
    "SQLiteStore": lambda p: storage.SQLiteStore(p / "a b%20?#ö.x"),
    "TempStore": lambda _: storage.TempStore(),
    "WrapperStore": lambda p: storage.WrapperStore(str(p / "a")),
    "ZipStore": lambda p: storage.ZipStore(p / "a b%20.x"),
    "ZipStore in a folder": lambda p: in_a_zip_elsewhere(p, storage.LocalStore(p / "b")),
    "ZipStore in memory": lambda p: in_a_zip_elsewhere(p, storage.MemoryStore()),
}
SERVED = ("MongoDBStore", "RedisStore")


@pytest.fixture
def store(kind, tmp_path):
    """Return a store of a kind."""
    return KINDS[kind](tmp_path)


def check_same(store, again):
    """Check that both have the same values."""
    # What is passed as an option is not in a URL.
    assert again.place is store.place or again == store or type(store) is storage.FsspecStore
    assert again.zarr_format == store.zarr_format
    if store.read_only or str(store).startswith(("tar:", "zip://::")):
        assert set(again) >= set(store)
        return
    store["a"] = b"1"
    assert again["a"] == b"1"
    if not again.read_only:
        again["b"] = b"2"
        assert store["b"] == b"2"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ABSStore"])
def test_the_text_of_a_store_opens_it_again(store):
    check_same(store, as_store(str(store)))
    assert str(as_store(str(store))) == str(store)
    assert as_store(str(store), mode="r").read_only
    assert str(store) in repr(store)
    assert str(store) in str(StorePath(store, "x"))


def test_the_text_of_a_store_of_a_server_opens_it_again(redis, mongo, s3, http_server):
    check_same(made := storage.RedisStore("data/a b", **redis), as_store(str(made)))
    check_same(made := storage.MongoDBStore("data", "arrays", **mongo), as_store(str(made)))
    for made in (
        storage.ObjectStore(s3.url, storage_options=s3.obstore()),
        storage.FsspecStore.from_url(s3.url, s3.s3fs()),
    ):
        again = as_store(str(made), storage_options=s3.obstore())
        made["a"] = b"1"
        assert again["a"] == b"1"
    (http_server.path / "a").write_bytes(b"1")
    for made in (storage.ObjectStore(http_server.url()), by_fsspec(http_server.url())):
        assert as_store(str(made))["a"] == b"1"


def test_the_text_of_an_array_in_a_server_opens_it_again(redis, mongo):
    for store in (
        storage.RedisStore("data/a", **redis),
        storage.MongoDBStore("data", "arrays/of/x", **mongo),
    ):
        array = fastzarr.open_group(store).create_array("a/b", data=[1, 2])
        assert f" {array.store_path} " in repr(array)
        assert fastzarr.open_array(str(array.store_path), mode="r") == array
        assert fastzarr.open_group(f"{store}#/a")["b"] == array


def test_the_text_of_a_store_by_sftp_opens_it_again(tmp_path):
    pytest.importorskip("paramiko", reason="paramiko is not installed (fastzarr[servers])")
    from servers.sftp import PASSWORD, USER, sftp

    options = {"username": USER, "password": PASSWORD, "look_for_keys": False}
    with sftp() as port:
        store = by_fsspec(f"sftp://127.0.0.1{tmp_path}/a", port=port, **options)
        assert str(store) == f"sftp://127.0.0.1:{port}{tmp_path}/a"
        check_same(store, as_store(str(store), storage_options=options))


def test_the_text_of_a_container_of_azure_opens_it_again():
    store = KINDS["ABSStore"](None)
    again = as_store(str(store), storage_options={"account_key": "aGk="})
    assert str(again) == str(store) == "az://box@me/a/b"
    assert again.place is store.place


def test_each_class_of_stores_is_tested():
    classes = {
        name
        for name in storage.__all__
        if isinstance(found := getattr(storage, name), type) and issubclass(found, Store)
    }
    same = {"DictStore": "MemoryStore", "KVStore": "MappingStore"}
    tested = {kind.partition(" ")[0] for kind in KINDS} | {*SERVED, *same, "Store"}
    assert classes == tested


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in KINDS
        if kind.partition(" ")[0] not in ("ABSStore", "ConsolidatedMetadataStore", "ZipStore")
        and not any(word in kind for word in ("tar", "zip", "references"))
    ]
    + ["ZipStore"],
)
def test_the_text_of_an_array_opens_it_again(store):
    array = fastzarr.open_group(store).create_array("a/b", shape=4, chunks=2, dtype="f8")
    array[:] = 7
    again = fastzarr.open_array(str(array.store_path), mode="r")
    assert str(again.store_path) == str(array.store_path)
    assert again[:].tolist() == [7] * 4
    shown = repr(array).partition(" ")[2].rpartition(" shape=")[0]
    assert shown == str(array.store_path)


def test_an_array_in_an_archive_elsewhere_is_opened_by_its_text(tmp_path):
    fastzarr.open_group(tmp_path / "a.zip").create_array("x/y", data=[1, 2])
    inner = storage.MemoryStore({"a.zip": (tmp_path / "a.zip").read_bytes()})
    array = fastzarr.open_array(storage.ZipStore(StorePath(inner, "a.zip")), path="x/y", mode="r")
    assert fastzarr.open_array(str(array.store_path), mode="r")[:].tolist() == [1, 2]


def test_what_was_in_memory_is_not_opened_as_something_else():
    texts = [str(KINDS[kind](None)) for kind in ("MappingStore", "ObjectStore")]
    for text in texts:
        with pytest.raises(BaseZarrError, match=f"no store of this process is called {text}"):
            as_store(text)
    for text in ("sqlite://:memory:", "zip://<BytesIO>", "lmdb://a", "dbm://a/b"):
        with pytest.raises(BaseZarrError, match=r"absolute path .* \w+:///"):
            as_store(text)


def test_an_archive_in_another_store_is_only_read():
    inner = storage.MemoryStore()
    for mode in ("a", "r+", "w", "w-"):
        with pytest.raises(ReadOnlyError, match=f"mode '{re.escape(mode)}' writes, but an archive"):
            fastzarr.open_group(f"zip::{inner}/a.zip", mode=mode)
    with pytest.raises(FileNotFoundError, match=r"no archive 'a\.zip'"):
        fastzarr.open_group(f"zip::{inner}/a.zip")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://", "http:// cannot be opened: empty host"),
        ("s3://", "s3:// cannot be opened"),
        ("mongodb://", "arguments of MongoDB are not valid: .*hostname"),
        ("redis://h:x/0", "no valid host and port"),
        ("lmdb://", "URLs of lmdb:// must have an absolute path"),
        ("n5::", "not a valid path"),
        ("n5::foo://x", "'foo' URLs are not known"),
        ("simplecache::foo://x", "simplecache::foo://x cannot be opened: .*foo"),
    ],
)
def test_a_url_that_lacks_something_is_refused(url, words):
    with pytest.raises(BaseZarrError, match=words):
        as_store(url)


def test_a_mode_and_options_of_a_url(tmp_path):
    store = as_store(f"sqlite://{tmp_path}/a.db", storage_options={"durability": "full"})
    assert store.durability == "full"
    assert as_store(f"zip://{tmp_path}/a.x", storage_options={"compression": 8}).compression == 8
    with pytest.raises(FileNotFoundError, match=r"b\.x"):
        as_store(f"zip://{tmp_path}/b.x", mode="r")
    assert as_store_path(f"SQLITE://localhost{tmp_path}/a.db").path == ""
    assert not list(Path(tmp_path).iterdir())


def test_the_memory_of_fsspec_has_no_names():
    fs, name = fsspec.filesystem("memory"), uuid4().hex
    fastzarr.create_array(f"memory:///{name}", data=[1, 2])
    assert fs.exists(f"/{name}/zarr.json")
    assert name not in fastzarr.open_group(f"memory://{name}")
