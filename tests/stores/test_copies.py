"""File systems of fsspec that keep copies of the files of another one."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.cached import SimpleCacheFileSystem, WholeFileCacheFileSystem
from fsspec.implementations.local import LocalFileSystem
from servers.suites import PASSING
from waits import join, wait_for

from fastzarr import create_array, open_array, open_group
from fastzarr.config import config
from fastzarr.errors import RequestError
from fastzarr.stores import FsspecStore

KINDS = ("simplecache", "filecache", "blockcache")
FAULTS = PASSING | {"stalled body": {"kind": "stall", "after": 1}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_partial_write_keeps_what_is_stored(s3, kind, tmp_path):
    """Neither what the store itself has written since it made the copy, nor what others have."""
    direct = create_array(s3.store("fastzarr"), data=np.zeros((4, 4), "i4"), chunks=2)
    options = {kind: {"cache_storage": str(tmp_path)}, "s3": s3.s3fs()}
    url = f"{kind}::{s3.url}"
    assert not open_array(url, mode="r", storage_options=options)[:].any()
    z = open_array(url, mode="r+", storage_options=options)
    z[0, 0] = 1
    direct[0, 1] = 2
    z[1, 0] = 3
    z.append(np.full((2, 4), 4))
    want = [[1, 2, 0, 0], [3, 0, 0, 0], [0] * 4, [0] * 4, [4] * 4, [4] * 4]
    assert z[:].tolist() == open_array(s3.store("fastzarr"), mode="r")[:].tolist() == want


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["http", "file", "s3"])
def test_chunks_and_shards_are_read_by_many_threads(request, kind, scheme, tmp_path):
    """A file system of each thread has the same folder of copies."""
    values = np.arange(10_000).reshape(100, 100)
    if scheme == "s3":
        s3 = request.getfixturevalue("s3")
        behind, url, options = s3.store("fastzarr"), s3.url, {"s3": s3.s3fs()}
    elif scheme == "http":
        http = request.getfixturevalue("http_server")
        behind, url, options = str(http.path), http.url(), {}
    else:
        behind, url, options = str(tmp_path / "data"), f"file://{tmp_path}/data", {}
    group = open_group(behind, mode="w")
    group.create_array("a", data=values, chunks=(25, 100), compressors=None)
    group.create_array("s", data=values, chunks=(5, 5), shards=(50, 50))
    options[kind] = {"cache_storage": str(tmp_path / "copies")}

    def work(name):
        found = open_group(f"{kind}::{url}", mode="r", storage_options=options)
        np.testing.assert_array_equal(found[name][20:60, 3:60], values[20:60, 3:60])
        np.testing.assert_array_equal(found[name][:], values)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ["s", "a"] * 4))


class Halting(LocalFileSystem):
    """A file system of local files whose transfers halt in the middle."""

    cachable = False
    protocol = "halting"

    def __init__(self):
        super().__init__()
        self.half, self.go, self.transfers = threading.Event(), threading.Event(), 0

    def get_file(self, path1, path2):
        self.transfers += 1
        data = Path(path1).read_bytes()
        with Path(path2).open("wb") as copy:
            copy.write(data[: len(data) // 2])
            copy.flush()
            self.half.set()
            wait_for(self.go)
            copy.write(data[len(data) // 2 :])


@pytest.mark.parametrize("cls", [SimpleCacheFileSystem, WholeFileCacheFileSystem])
def test_a_part_of_a_copy_is_not_read(cls, tmp_path):
    """A second reader waits for the transfer of the first, in place of its own."""
    (tmp_path / "a").write_bytes(b"12345678")
    halting = Halting()
    fs = cls(fs=halting, cache_storage=str(tmp_path / "copies"))
    store = FsspecStore(fs, read_only=True, path=str(tmp_path))
    found = []
    threads = [threading.Thread(target=lambda: found.append(store.get("a"))) for _ in range(2)]
    threads[0].start()
    wait_for(halting.half)
    threads[1].start()
    # Time for a reader that does not wait.
    threads[1].join(0.2)
    assert found == []
    halting.go.set()
    join(*threads)
    assert found == [b"12345678"] * 2
    assert halting.transfers == 1


def _of_copies(url, tmp_path, kind):
    """Return the URL and the options of a web server, of which a file system keeps copies."""
    return f"{kind}::{url}", {kind: {"cache_storage": str(tmp_path / "copies")}}


def _of_references(url, tmp_path, _kind):
    keys = ("zarr.json", "c/0", "c/1")
    path = tmp_path / "references.json"
    path.write_text(json.dumps({"version": 1, "refs": {key: [f"{url}/{key}"] for key in keys}}))
    words = {"fo": str(path), "remote_protocol": "http", "skip_instance_cache": True}
    return "reference://", words


def _of_references_alone(url, tmp_path, kind):
    """Return references of which fsspec finds out the protocol."""
    url, words = _of_references(url, tmp_path, kind)
    return url, {name: value for name, value in words.items() if name != "remote_protocol"}


WRAPPED = {
    **dict.fromkeys(KINDS, _of_copies),
    "reference": _of_references,
    "reference alone": _of_references_alone,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", WRAPPED)
def test_a_failure_of_the_server_below(http_server, http_proxy, tmp_path, kind, fault):
    """One that passes is not noticed, nor does a part of a copy remain; one that lasts is named."""
    values = np.arange(1, 201)
    create_array(str(http_server.path), data=values, chunks=100, compressors=None)
    url = http_server.through(http_proxy).url()
    url, options = WRAPPED[kind](url, tmp_path, kind)
    with config.set({"fetch.deadline": 8.0, "fetch.timeout": 0.3}):
        z = open_array(url, mode="r", storage_options=options)
        http_proxy.fault(**FAULTS[fault], target="/c/0")
        assert z[:].tolist() == values.tolist()
        assert z[:].tolist() == values.tolist()
    with config.set({"fetch.deadline": 1.0, "fetch.timeout": 0.3}):
        http_proxy.fault(**FAULTS[fault], target="/c/1", times=None)
        shutil.rmtree(tmp_path / "copies", ignore_errors=True)
        with pytest.raises(RequestError, match="c/1"):
            open_array(url, mode="r", storage_options=options)[:]


class Failing(LocalFileSystem):
    """A file system of a disk that is broken."""

    protocol = "failing"

    def info(self, *_args, **_kwargs):
        msg = "the disk is broken"
        raise OSError(msg)

    get_file = info


@pytest.mark.parametrize("cls", [SimpleCacheFileSystem, WholeFileCacheFileSystem])
def test_a_file_that_cannot_be_copied_is_not_missing(cls, tmp_path):
    """For fsspec, any failure means that a file does not exist."""
    z = create_array(str(tmp_path / "a"), data=np.ones(10))
    fs = cls(fs=Failing(), cache_storage=str(tmp_path / "copies"))
    store = FsspecStore(fs, read_only=True, path=str(tmp_path / "a"))
    with pytest.raises(OSError, match="the disk is broken"):
        store.get("c/0")
    assert z[:].all()


@pytest.mark.parametrize("kind", ["simplecache", "filecache"])
def test_copies_are_made_again(http_server, http_proxy, tmp_path, kind):
    """Whoever deletes them loses nothing; those that are there are read without a request."""
    create_array(str(http_server.path), data=np.arange(200), chunks=100)
    url, options = _of_copies(http_server.through(http_proxy).url(), tmp_path, kind)
    z = open_array(url, mode="r", storage_options=options)
    assert z[:].sum() == 19900
    for path in (tmp_path / "copies").iterdir():
        path.unlink()
    http_proxy.forget()
    assert z[:].sum() == z[:].sum() == 19900
    assert http_proxy.count() == 2


def test_references_to_files_of_several_kinds(http_server):
    """Of these, fsspec opens the first alone."""
    z = create_array(str(http_server.path), data=np.arange(200), chunks=100)
    inner = fsspec.filesystem("memory")
    inner.pipe("/references/c1", z.store.get("c/1"))
    refs = {
        "zarr.json": [f"file://{http_server.path}/zarr.json"],
        "c/0": [f"{http_server.url()}/c/0"],
        "c/1": ["memory://references/c1"],
    }
    found = open_array("reference://", storage_options={"fo": {"version": 1, "refs": refs}})
    np.testing.assert_array_equal(found[:], np.arange(200))
    refs["c/1"] = ["unknown://host/c1"]
    found = open_array("reference://", storage_options={"fo": {"version": 1, "refs": refs}})
    with pytest.raises(RequestError, match=r"target unknown://host/c1: ValueError: .*unknown"):
        found[:]
