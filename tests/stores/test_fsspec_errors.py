"""What fails in a file system of fsspec, while it is made and later: each error names the URL."""

from __future__ import annotations

import ftplib
import json
import pickle
import sys
import tarfile

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from servers.answering import Reply, answering

import fastzarr
from fastzarr.config import config
from fastzarr.errors import ReadOnlyError, RequestAccessError, RequestError
from fastzarr.stores import FsspecStore, FSStore, as_store


@pytest.fixture
def sftp_port():
    pytest.importorskip("paramiko", reason="paramiko is not installed (fastzarr[servers])")
    from servers.sftp import sftp

    with sftp() as port:
        yield port


def test_a_server_of_sftp_that_refuses_is_named(sftp_port):
    options = {"port": sftp_port, "username": "user", "password": "hidden", "look_for_keys": False}
    url = "sftp://127.0.0.1/data"
    with pytest.raises(RequestAccessError, match=rf"^{url}, status Authentic\w+: ") as caught:
        as_store(url, storage_options=options)
    assert "hidden" not in str(caught.value)
    assert caught.value.store == url


def test_a_server_that_is_not_there_is_named():
    pytest.importorskip("paramiko", reason="paramiko is not installed (fastzarr[servers])")
    for url in ("sftp://me:hidden@127.0.0.1:9/data", "ftp://me:hidden@127.0.0.1:9/data"):
        shown = url.replace("me:hidden@", "")
        with pytest.raises(RequestError, match=f"^{shown}, no answer: ") as caught:
            as_store(url)
        assert "hidden" not in str(caught.value)


def test_a_repository_that_is_missing_or_secret_is_named(monkeypatch):
    pytest.importorskip("requests")
    github = fsspec.get_filesystem_class("github")
    url = "github://org:repo@main/data"
    answers = {"status": 404}
    with answering(lambda _: Reply(answers["status"], b"{}")) as server:
        monkeypatch.setattr(github, "url", f"{server.url}/{{sha}}")
        with pytest.raises(FileNotFoundError, match=f"{url} cannot be opened"):
            as_store(url)
        for status, cls in ((403, RequestAccessError), (500, RequestError)):
            answers["status"] = status
            with pytest.raises(cls, match=f"^{url}, status {status}"):
                as_store(url)


def test_a_file_that_holds_the_others_is_named(tmp_path):
    missing, broken = tmp_path / "missing.json", tmp_path / "broken"
    broken.write_text("{")
    for url in (f"reference::{missing}", f"tar://::{missing}", f"zip://::{missing}"):
        with pytest.raises(FileNotFoundError) as caught:
            as_store(url)
        assert f"{url} cannot be opened" in str(caught.value)
    for url in (f"reference::{broken}", f"tar://::{broken}", f"zip://::{broken}"):
        with pytest.raises((ValueError, OSError)) as caught:
            as_store(url)
        assert str(caught.value).startswith(url)
    for url, word in (("reference://", "fo"), ("sftp:///data", "host")):
        with pytest.raises(TypeError, match=f"^{url} cannot be opened: .*'{word}'"):
            as_store(url)


# A class of errors, which makes no connection.
Refusal = ftplib.error_perm


class Failing(MemoryFileSystem):
    """A file system whose requests raise an error."""

    cachable = False
    error: BaseException = OSError()

    def cat_file(self, *_args, **_kwargs):
        raise self.error

    pipe_file = rm_file = info = find = ls = cat_file


@pytest.mark.parametrize(
    "error",
    [OSError("Socket is closed"), OSError(5, "no disk"), EOFError(), Refusal("553 no")],
)
@pytest.mark.parametrize(
    "work",
    [
        lambda store: store.get("a"),
        lambda store: store.set("a", b"1"),
        lambda store: store.delete("a"),
        lambda store: store.exists("a"),
        lambda store: list(store.list()),
    ],
)
def test_any_failure_of_the_system_names_the_store(monkeypatch, work, error):
    monkeypatch.setattr(Failing, "error", error)
    store = FsspecStore(Failing(), path="/data")
    with config.set({"fetch.deadline": 0.1}), pytest.raises(RequestError) as caught:
        work(store)
    assert str(caught.value).startswith("memory:///data")
    assert (str(error) or type(error).__name__) in str(caught.value)
    assert caught.value.errno == getattr(error, "errno", None)
    assert pickle.loads(pickle.dumps(caught.value)).errno == caught.value.errno


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ("550 No such file or directory.", None),
        ("550 /no/access.zarr/c/0: file not found", None),
        ("550 Permission denied.", 550),
        ("530 Not logged in.", 530),
        ("421 Timeout.", 421),
    ],
)
def test_only_a_reply_of_ftp_that_says_so_makes_a_key_missing(reply, status):
    """Each failure is one of a missing file for fsspec."""

    class Ftp(MemoryFileSystem):
        cachable = False

        def cat_file(self, path, *_args, **_kwargs):
            kind = ftplib.error_temp if reply.startswith("4") else ftplib.error_perm
            raise FileNotFoundError(path) from kind(reply)

    store = FsspecStore(Ftp(), path="/data")
    with config.set({"fetch.deadline": 0.1}):
        if status is None:
            assert store.get("c/0") is None
            return
        with pytest.raises(RequestError, match=reply[4:]) as caught:
            store.get("c/0")
    assert caught.value.status == status
    assert isinstance(caught.value, RequestAccessError) == (status == 530)


def test_a_file_system_that_only_reads_says_so(tmp_path):
    fastzarr.create_array(tmp_path / "data", data=[1, 2])
    (tmp_path / "a.tar").write_bytes(b"")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "data", "")
    url = f"tar://::{tmp_path}/a.tar"
    array = fastzarr.open_array(url, mode="r+")
    assert array[:].tolist() == [1, 2]
    for change in (
        lambda: array.__setitem__(0, 7),
        lambda: array.attrs.__setitem__("a", 1),
        lambda: array.store.delete("zarr.json"),
        array.store.clear,
    ):
        with pytest.raises((ReadOnlyError, OSError), match="only reads"):
            change()
    assert fastzarr.open_array(url, mode="r")[:].tolist() == [1, 2]


# References


@pytest.fixture
def references(tmp_path):
    """Return the path of a file of references to an array."""
    fastzarr.create_array(tmp_path / "data", data=[1, 2, 3])
    found = [each for each in (tmp_path / "data").rglob("*") if each.is_file()]
    refs = {each.relative_to(tmp_path / "data").as_posix(): [str(each)] for each in found}
    path = tmp_path / "refs.json"
    path.write_text(json.dumps({"version": 1, "refs": refs}))
    return str(path)


def test_changes_of_references_are_refused(references):
    """They would stay in the memory of fsspec."""
    options = {"fo": references}
    array = fastzarr.open("reference://", storage_options=options)
    assert array.read_only
    assert array[:].tolist() == [1, 2, 3]
    reason = "read-only: changes of references would stay in the memory of this process"
    for mode in ("a", "r+", "w"):
        with pytest.raises(ReadOnlyError, match=reason):
            fastzarr.open("reference://", mode=mode, storage_options=options)
    for change in (
        lambda: array.__setitem__(0, 7),
        lambda: array.attrs.__setitem__("a", 1),
        lambda: FSStore("reference://", **options).set("a", b"1"),
        lambda: fastzarr.save("reference://", [1], storage_options=options),
    ):
        with pytest.raises(ReadOnlyError, match=reason):
            change()


def test_references_that_the_caller_holds_can_be_changed_and_saved(references, tmp_path):
    fs = fsspec.filesystem("reference", fo=references)
    fastzarr.open_array(fs, mode="r+").attrs["a"] = 1
    fs.save_json(str(tmp_path / "new.json"))
    again = fastzarr.open_array(f"reference::{tmp_path}/new.json", mode="r")
    assert again.attrs["a"] == 1
    assert again[:].tolist() == [1, 2, 3]
    (tmp_path / "data" / "c" / "0").unlink()
    with pytest.raises(fastzarr.errors.ChunkError, match=r"reference://::file:///.*new\.json"):
        fastzarr.open_array(f"reference::{tmp_path}/new.json", mode="r")[:]


# Packages


@pytest.mark.parametrize(
    ("url", "packages", "words"),
    [
        ("sftp://host/a", "paramiko", '"paramiko"'),
        ("github://org:repo@main/a", "requests", "requests"),
        ("s3://bucket/a", "s3fs", r"'fastzarr\[s3\]'"),
        ("simplecache::s3://bucket/a", "s3fs", "s3fs"),
    ],
)
def test_a_package_that_fsspec_needs_is_named(monkeypatch, url, packages, words):
    from fsspec.registry import _registry, known_implementations

    name = url.rpartition("::")[2].partition("://")[0]
    module = known_implementations[name]["class"].rpartition(".")[0]
    for each in (packages, module):
        monkeypatch.setitem(sys.modules, each, None)
    monkeypatch.delitem(_registry, name, raising=False)
    with pytest.raises(ImportError, match=f"URLs need more packages: .*{words}"):
        FsspecStore.from_url(url)


def test_without_fsspec_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("fastzarr.stores.clients.find_spec", lambda _: None)
    for url, extra in (("s3://bucket", "s3"), ("hdfs://host/a", "hdfs"), ("sftp://h/a", "fsspec")):
        for make in (FSStore, FsspecStore.from_url):
            with pytest.raises(ImportError, match=rf"pip install 'fastzarr\[{extra}\]'"):
                make(url)
