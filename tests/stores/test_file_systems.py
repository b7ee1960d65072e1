"""File systems of fsspec that need a package or a server of their own, as far as they run without.

pyarrow's HDFS needs a cluster and libhdfs. Its file system of local files runs through the same
wrapper of fsspec, if pyarrow is installed. That of GitHub is asked through a server that answers
like GitHub's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor

import fsspec
import numpy as np
import pytest
from servers.answering import Reply, answering
from servers.suites import SuiteInSeaweed

from fastzarr import create_group, open_group
from fastzarr.config import config
from fastzarr.errors import BaseZarrError
from fastzarr.stores import FsspecStore, as_store
from fastzarr.testing import StoreTests

VALUES = np.arange(400).reshape(20, 20)


def written(store):
    """Write a group with a plain and a sharded array."""
    group = create_group(store)
    group.create_array("a", data=VALUES, chunks=(10, 20))
    group.create_array("b/s", data=VALUES, chunks=(5, 5), shards=(10, 10))


def check(group):
    """Read all of a group, and a part of a shard."""
    assert sorted(group) == ["a", "b"]
    np.testing.assert_array_equal(group["a"][:], VALUES)
    np.testing.assert_array_equal(group["b/s"][3:7, 2:4], VALUES[3:7, 2:4])
    assert "nothing" not in group


class TestByArrow(SuiteInSeaweed):
    """The wrapper of fsspec for the file systems of pyarrow, over local files.

    Folders stay when they are empty, as they do for some time in SeaweedFS.
    """

    @pytest.fixture
    def store(self, tmp_path):
        pytest.importorskip("pyarrow", reason="pyarrow is not installed (fastzarr[hdfs])")
        from fsspec.implementations.arrow import ArrowFSWrapper
        from pyarrow.fs import LocalFileSystem

        return FsspecStore(ArrowFSWrapper(LocalFileSystem()), path=str(tmp_path / "a"))

    def test_a_group_is_read(self, store):
        written(store)
        check(open_group(store, mode="r"))


@pytest.fixture(scope="module")
def sftp_options():
    """Return the options of a URL of an SFTP server in this process."""
    pytest.importorskip("paramiko", reason="paramiko is not installed (fastzarr[servers])")
    from servers.sftp import PASSWORD, USER, sftp

    with sftp() as port:
        yield {"port": port, "username": USER, "password": PASSWORD, "look_for_keys": False}


class TestSftp(StoreTests):
    """Files behind a server of SSH, by one connection that answers one request at a time."""

    rounds = 6

    @pytest.fixture
    def store(self, sftp_options, tmp_path):
        return FsspecStore.from_url(f"sftp://127.0.0.1{tmp_path}/a", sftp_options)

    def test_a_group_is_read(self, store, tmp_path):
        written(store)
        check(open_group(store, mode="r"))
        # They are ordinary files.
        check(open_group(tmp_path / "a", mode="r"))

    def test_a_url_is_opened(self, store, sftp_options, tmp_path):
        written(store)
        url = f"sftp://127.0.0.1{tmp_path}/a"
        check(open_group(url, mode="r", storage_options=sftp_options))
        assert sftp_options["password"] not in repr(store)
        with pytest.raises(FileNotFoundError):
            open_group(f"{url}/nothing", mode="r", storage_options=sftp_options)

    def test_a_file_that_may_not_be_read_is_an_error(self, store, tmp_path):
        written(store)
        (tmp_path / "a" / "a" / "c" / "0" / "0").unlink()
        (tmp_path / "a" / "a" / "c" / "0" / "0").mkdir()
        assert store.get("a/c/1/0") is not None
        with config.set({"fetch.deadline": 0.2}), pytest.raises((OSError, BaseZarrError)):
            open_group(store, mode="r")["a"][:]


def test_hdfs_without_a_cluster_is_an_error():
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (fastzarr[hdfs])")
    with pytest.raises((OSError, BaseZarrError), match=r"libhdfs|libjvm|HDFS"):
        as_store("hdfs://127.0.0.1:9/data").get("zarr.json")


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_tar_file_is_read(tmp_path, ending):
    written(str(tmp_path / "data"))
    with tarfile.open(tmp_path / f"data.{ending}", "w:gz" if "gz" in ending else "w") as archive:
        for path in sorted((tmp_path / "data").rglob("*")):
            archive.add(path, path.relative_to(tmp_path / "data"), recursive=False)
    url = f"tar://::{tmp_path}/data.{ending}"
    check(open_group(url, mode="r"))

    # All threads and stores have one file that is open.
    def work(path):
        for _ in range(10):
            np.testing.assert_array_equal(open_group(url, mode="r")[path][:], VALUES)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ["a", "b/s"] * 2))


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_a_cache_of_a_web_server_is_read(http_server, http_proxy, tmp_path, cache):
    """By ``simplecache``, each chunk is requested once, also if it is opened again."""
    written(str(http_server.path))
    url = f"{cache}::{http_server.through(http_proxy).url()}"
    options = {cache: {"cache_storage": str(tmp_path / "cache")}}
    for _ in range(2):
        group = open_group(url, mode="r", storage_options=options)
        np.testing.assert_array_equal(group["a"][:], VALUES)
    targets = [one.target for one in http_proxy.log() if one.method == "GET"]
    chunks = [target for target in targets if "/a/c/" in target]
    assert len(set(chunks)) == 2
    assert cache != "simplecache" or len(chunks) == 2


def test_a_repository_of_github_is_read(tmp_path):
    """By the requests of GitHub's interface: trees by their hashes, and contents of files."""
    written(str(tmp_path / "data"))
    trees = {}

    def tree_of(folder):
        entries = [
            {
                "path": each.name,
                "mode": "040000" if each.is_dir() else "100644",
                "type": "tree" if each.is_dir() else "blob",
                "size": each.stat().st_size,
                "sha": tree_of(each) if each.is_dir() else "0",
            }
            for each in sorted(folder.iterdir())
        ]
        name = hashlib.sha256(str(folder).encode()).hexdigest()
        trees[name] = entries
        return name

    root = tree_of(tmp_path)

    def answer(asked):
        kind, _, rest = asked.target.removeprefix("/").partition("/")
        rest = rest.partition("?")[0]
        if kind == "trees":
            return Reply(
                200, json.dumps({"tree": trees[root if rest == "main" else rest]}).encode()
            )
        path = tmp_path / rest
        if not path.is_file():
            return Reply(404, b"{}")
        content = base64.b64encode(path.read_bytes()).decode()
        return Reply(200, json.dumps({"content": content, "encoding": "base64"}).encode())

    github = fsspec.get_filesystem_class("github")
    with answering(answer) as server:

        class Answered(github):
            url = f"{server.url}/trees/{{sha}}"
            content_url = f"{server.url}/contents/{{path}}?ref={{sha}}"

        fs = Answered("org", "repo", sha="main", skip_instance_cache=True)
        check(open_group(FsspecStore(fs, path="data"), mode="r"))
        with config.set({"fetch.deadline": 0.2}):
            assert FsspecStore(fs, path="data").get("nothing") is None
