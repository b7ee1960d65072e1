"""Copies of nodes."""

from __future__ import annotations

import io

import h5py
import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import MappingStore, MemoryStore


@pytest.fixture(params=[2, 3])
def source(request):
    root = zarr.create_group({}, zarr_format=request.param, attributes={"title": "t"})
    root.create_array("a/x", data=np.arange(10), chunks=3, attributes={"u": "m"}, fill_value=-1)
    root.create_array("a/b/y", data=np.ones((2, 2), "f4"))
    root.create_array("s", data=np.array(["a", "bcd"]), dtype=str)
    return root


@pytest.fixture(params=[2, 3])
def dest(request):
    return zarr.create_group({}, zarr_format=request.param)


def same(left, right):
    names = [name for name, _ in left.members(None)]
    assert names == [name for name, _ in right.members(None)]
    for name in names:
        assert dict(left[name].attrs) == dict(right[name].attrs)
        if isinstance(left[name], zarr.Array):
            assert left[name].dtype == right[name].dtype
            assert left[name].chunks == right[name].chunks
            assert left[name][...].tolist() == right[name][...].tolist()
            assert left[name].fill_value == right[name].fill_value


def test_copy_all(source, dest):
    copied, skipped, size = zarr.copy_all(source, dest)
    assert (copied, skipped) == (5, 0)
    assert size >= 80 + 16
    same(source, dest)
    assert dict(dest.attrs) == {"title": "t"}


class Forbidding(MemoryStore):
    """A store that refuses to look up or read some keys."""

    forbidden = ""

    def exists(self, key):
        self._refuse(key)
        return super().exists(key)

    def _get(self, key):
        self._refuse(key)
        return super()._get(key)

    def _refuse(self, key):
        if self.forbidden and key.startswith(self.forbidden):
            msg = f"{key} cannot be read"
            raise PermissionError(msg)


@pytest.mark.parametrize("broken", ["may not be read", "is not valid"])
@pytest.mark.parametrize("format", [2, 3])
def test_members_that_cannot_be_read_are_left_out_and_named(broken, format):
    store = Forbidding()
    root = zarr.create_group(store, zarr_format=format)
    for name in ("g/x", "g/y", "h"):
        root[name] = np.arange(3)
    if broken == "may not be read":
        store.forbidden = "g/x/"
    else:
        store["g/x/" + (".zarray" if format == 2 else "zarr.json")] = b"{"
    with pytest.raises(errors.CopyError, match="/g/x: ") as caught:
        zarr.copy_all(root, zarr.group())
    assert [item.path for item in caught.value.report.left_out] == ["/g/x"]
    dest = zarr.group()
    report = zarr.copy_all(root, dest, on_error="skip", progress=lambda *_: None)
    assert [(item.path, item.attribute) for item in report.left_out] == [("/g/x", None)]
    assert report.left_out[0].reason
    assert [name for name, _ in dest.members(None)] == ["g", "g/y", "h"]


def test_copy_a_group(source, dest):
    assert zarr.copy(source["a"], dest)[:2] == (4, 0)
    same(source["a"], dest["a"])
    assert "s" not in dest
    zarr.copy(source["a/b"], dest, name="c/d")
    same(source["a/b"], dest["c/d"])
    with pytest.raises(TypeError, match="name="):
        zarr.copy(source, dest)
    zarr.copy(source, dest, name="all")
    same(source, dest["all"])


def test_copy_an_array(source, dest):
    assert zarr.copy(source["a/x"], dest) == (1, 0, 80)
    assert dest["x"][:].tolist() == list(range(10))
    zarr.copy(source["a/x"], dest, name="x2", chunks=5, fill_value=7, without_attrs=True)
    assert (dest["x2"].chunks, dest["x2"].fill_value, dict(dest["x2"].attrs)) == ((5,), 7, {})


def test_codecs_are_kept_within_a_format():
    source, dest = zarr.group(), zarr.group()
    source.create_array("x", data=np.ones((8, 8)), chunks=2, shards=4, compressors=["gzip"])
    zarr.copy_all(source, dest)
    assert dest["x"].layout == source["x"].layout
    old = zarr.create_group({}, zarr_format=2)
    old.create_dataset("x", data=[1, 2], compressor=numcodecs.BZ2(), order="F")
    into = zarr.create_group({}, zarr_format=2)
    zarr.copy_all(old, into)
    assert into["x"].layout == old["x"].layout


def test_shallow(source, dest):
    zarr.copy(source["a"], dest, shallow=True)
    assert [name for name, _ in dest.members(None)] == ["a", "a/x"]


def test_what_is_there(source, dest):
    dest.create_array("a/x", data=[9])
    with pytest.raises(errors.CopyError, match="'x' already exists"):
        zarr.copy(source["a"], dest)
    with pytest.raises(RuntimeError):
        zarr.copy(source["a"], dest)
    del dest["a/b"]
    assert zarr.copy(source["a"], dest, if_exists="skip")[:2] == (3, 1)
    assert dest["a/x"][:].tolist() == [9]
    del dest["a/b"]
    assert zarr.copy(source["a"], dest, if_exists="skip_initialized")[:2] == (3, 1)
    assert zarr.copy(source["a"], dest, if_exists="replace")[:2] == (4, 0)
    same(source["a"], dest["a"])
    dest.create_array("b", data=[9])
    with pytest.raises(errors.CopyError):
        zarr.copy(source["a/b"], dest)
    assert zarr.copy(source["a/b"], dest, if_exists="skip") == (0, 1, 0)
    zarr.copy(source["a/b"], dest, if_exists="replace")
    same(source["a/b"], dest["b"])
    with pytest.raises(ValueError, match="if_exists"):
        zarr.copy(source["a"], dest, if_exists="maybe")


def test_a_dry_run_logs_and_writes_nothing(source, dest):
    before = dict(dest.store)
    log = []
    assert zarr.copy(source["a"], dest, dry_run=True, log=log.append) == (4, 0, 0)
    assert log[0] == "copy /a"
    assert "copy /a/x (10,) int64" in log
    assert log[-1] == "dry run: 4 copied, 0 skipped"
    assert dict(dest.store) == before


def test_logs(source, dest, tmp_path):
    stream = io.StringIO()
    zarr.copy(source["a/x"], dest, log=stream)
    assert stream.getvalue().splitlines() == [
        "copy /a/x (10,) int64",
        "all done: 1 copied, 0 skipped, 80 bytes copied",
    ]
    zarr.copy(source["a/x"], dest, log=str(tmp_path / "log"), if_exists="skip")
    assert (tmp_path / "log").read_text().splitlines()[0] == "skip /a/x (10,) int64"
    with pytest.raises(TypeError, match="log"):
        zarr.copy(source["a/x"], dest, log=5)


def test_only_groups_are_copied_into(source):
    with pytest.raises(TypeError, match="dest must be a group"):
        zarr.copy(source["a"], source["a/x"])
    with pytest.raises(TypeError, match="source must be a group"):
        zarr.copy_all(source["a/x"], source)


def test_to_h5py_and_back(tmp_path):
    source = zarr.create_group({}, attributes={"title": "t"})
    source.create_array("a/x", data=np.arange(10), chunks=3, attributes={"u": "m"}, fill_value=-1)
    source.create_array("scalar", data=5.0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert zarr.copy_all(source, file)[:2] == (3, 0)
        assert file["a/x"][:].tolist() == list(range(10))
        assert file["a/x"].attrs["u"] == "m"
        assert file["scalar"][()] == 5
        text = file.create_dataset("text", data=["ab", "c"], dtype=h5py.string_dtype())
        text.attrs["fixed"] = np.bytes_("x")
        text.attrs["many"] = np.array([b"x", b"y"])
        back = zarr.group()
        zarr.copy_all(file, back)
        with pytest.raises(ValueError, match="if_exists"):
            zarr.copy_all(source, file, if_exists="skip_initialized")
    assert dict(back.attrs) == {"title": "t"}
    assert back["a/x"][:].tolist() == list(range(10))
    assert (back["a/x"].chunks, back["a/x"].fill_value) == ((3,), -1)
    assert dict(back["a/x"].attrs) == {"u": "m"}
    assert back["text"][:].tolist() == ["ab", "c"]
    assert dict(back["text"].attrs) == {"fixed": "x", "many": ["x", "y"]}


def test_large_arrays_go_in_pieces(monkeypatch):
    monkeypatch.setattr("fastzarr.grids.regions._PIECE", 100)
    source, dest = zarr.group(), zarr.group()
    data = np.arange(1000).reshape(20, 50)
    source.create_array("x", data=data, chunks=(3, 7))
    zarr.copy_all(source, dest)
    assert np.array_equal(dest["x"][:], data)


def test_an_array_replaces_itself_and_its_parent(source):
    zarr.copy(source["a/x"], source["a"], "x", if_exists="replace", chunks=5)
    assert source["a/x"][:].tolist() == list(range(10))
    assert source["a/x"].chunks == (5,)
    zarr.copy(source["a/x"], source, "a", if_exists="replace")
    assert source["a"][:].tolist() == list(range(10))


def test_a_group_is_not_copied_into_itself(source):
    before = [name for name, _ in source.members(None)]
    with pytest.raises(errors.CopyError, match="below it"):
        zarr.copy(source, source, name="again")
    with pytest.raises(errors.CopyError, match="below it"):
        zarr.copy(source["a"], source["a/b"])
    with pytest.raises(errors.CopyError, match="below it"):
        zarr.copy_all(source, source["a"])
    assert [name for name, _ in source.members(None)] == before
    zarr.copy(source["a"], source, name="ab")
    same(source["a"], source["ab"])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["link", "kinds", "nested"])
def test_a_group_is_not_copied_into_itself_through_another_store(kind, turned, tmp_path):
    if kind == "kinds":
        values = {}
        pair = MemoryStore(values), MappingStore(values)
    else:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        pair = tmp_path / "real", tmp_path / "link"
    one, other = reversed(pair) if turned else pair
    root = zarr.create_group(one)
    root["g/x"] = [1, 2]
    root.create_group("h")
    place = zarr.open_group(other, path="g")
    if kind == "nested":
        place = zarr.open_group(f"{other}/g")
    with pytest.raises(errors.CopyError, match="below it"):
        zarr.copy(root["g"], place, "again")
    with pytest.raises(errors.CopyError, match="below it"):
        zarr.copy_all(root, place)
    assert [name for name, _ in root.members(None)] == ["g", "g/x", "h"]
    # A copy beside it, or out of it, terminates.
    zarr.copy(root["g"], zarr.open_group(other), "beside")
    zarr.copy(place["x"], root, "x")
    assert root["beside/x"][:].tolist() == root["x"][:].tolist() == [1, 2]
