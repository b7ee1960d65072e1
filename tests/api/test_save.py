"""Saving NumPy arrays and loading them."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors


def test_one_array_is_saved_as_an_array(tmp_path):
    data = np.arange(12).reshape(3, 4)
    zarr.save(tmp_path / "a.zarr", data)
    assert isinstance(zarr.open(tmp_path / "a.zarr"), zarr.Array)
    loaded = zarr.load(tmp_path / "a.zarr")
    assert type(loaded) is np.ndarray
    assert np.array_equal(loaded, data)


def test_several_are_saved_as_a_group():
    store = {}
    zarr.save(store, [1, 2], [3.5], name=["x"])
    loaded = zarr.load(store)
    assert sorted(loaded) == ["arr_0", "arr_1", "name"]
    assert loaded["arr_0"].tolist() == [1, 2]
    assert loaded["arr_0"] is loaded["arr_0"]
    assert loaded["name"].tolist() == ["x"]
    assert len(loaded) == 3
    assert repr(loaded) == "<LazyLoader: arr_0, arr_1, name>"
    with pytest.raises(KeyError):
        loaded["nope"]


def test_one_array_by_name_is_a_group():
    store = {}
    zarr.save(store, x=[1])
    assert list(zarr.load(store)) == ["x"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_format_and_path(zarr_format):
    store = {}
    zarr.save(store, [1, 2], zarr_format=zarr_format, path="a/b")
    zarr.save_group(store, [1, 2], zarr_version=zarr_format, path="g")
    assert zarr.open(store).zarr_format == zarr_format
    assert zarr.load(store, "a/b").tolist() == [1, 2]
    assert zarr.load(store, path="a/b", zarr_format=zarr_format).tolist() == [1, 2]
    assert zarr.load(store, zarr_format, "a/b").tolist() == [1, 2]
    assert zarr.load(store)["g"]["arr_0"].tolist() == [1, 2]


def test_saving_replaces():
    store = {}
    zarr.save(store, [1, 2], x=[3])
    zarr.save(store, [4])
    assert zarr.load(store).tolist() == [4]
    zarr.save(store, y=[5])
    assert list(zarr.load(store)) == ["y"]
    with pytest.raises(errors.ContainsNodeError):
        zarr.save_array(store, [1], mode="w-")
    with pytest.raises(errors.ContainsNodeError):
        zarr.save_array(store, [1], overwrite=False)


def test_saving_at_a_path_leaves_the_rest():
    store = {}
    zarr.save(store, a=[1], b=[2])
    zarr.save(store, [9], path="b")
    assert zarr.load(store)["a"].tolist() == [1]
    assert zarr.load(store)["b"].tolist() == [9]


def test_keywords_of_an_array():
    store = {}
    zarr.save_array(store, np.arange(10), chunks=3, compressors=None, attributes={"a": 1})
    z = zarr.open(store)
    assert (z.chunks, z.compressors, z.attrs["a"]) == ((3,), (), 1)


def test_wrong_arguments_cost_nothing():
    store = {}
    zarr.save(store, [1, 2])
    before = dict(store)
    with pytest.raises(ValueError, match="at least one array"):
        zarr.save(store)
    for wrong in (None, "text", {"a": 1}):
        with pytest.raises(TypeError, match="must be an array"):
            zarr.save(store, wrong)
        with pytest.raises(TypeError, match="x= must be an array"):
            zarr.save(store, x=wrong)
    with pytest.raises(ValueError, match="object_codec"):
        zarr.save(store, [1], x=np.array([object()]))
    with pytest.raises(TypeError, match="'arr_0' both by position and by keyword"):
        zarr.save(store, [1], arr_0=[2])
    with pytest.raises(TypeError, match="nonsense"):
        zarr.save_array(store, [1], nonsense=1)
    assert store == before


def test_loading_a_missing_node():
    with pytest.raises(errors.PathNotFoundError):
        zarr.load({})
    with pytest.raises(FileNotFoundError):
        zarr.load({}, path="a")


def test_no_dimensions():
    store = {}
    zarr.save(store, np.float64(2.5))
    assert zarr.load(store) == 2.5


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_saving_an_array_over_itself_keeps_its_values(tmp_path, zarr_format):
    zarr.save(tmp_path / "a", np.arange(5), zarr_format=zarr_format)
    zarr.save(tmp_path / "a", zarr.open(tmp_path / "a", "r"))
    assert zarr.load(tmp_path / "a").tolist() == [0, 1, 2, 3, 4]
    zarr.save(tmp_path / "g", x=np.arange(5), y=[1])
    # The same place, through a store for a parent folder.
    inner = zarr.open_group(tmp_path, "r", path="g")["x"]
    zarr.save(tmp_path / "g", z=inner, w=inner.astype("f4"))
    loaded = zarr.load(tmp_path / "g")
    assert sorted(loaded) == ["w", "z"]
    assert loaded["z"].tolist() == loaded["w"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("local", [True, False])
def test_a_group_is_saved_with_all_below(tmp_path, local):
    root = zarr.group(zarr_format=2, attributes={"title": "demo"})
    root.create_array("a/x", data=np.arange(4), chunks=2).attrs["units"] = "m"
    target = tmp_path / "out" if local else {}
    zarr.save(target, [1, 2])
    zarr.save(target, root)
    found = zarr.open_group(target, mode="r")
    assert (found.zarr_format, dict(found.attrs)) == (2, {"title": "demo"})
    assert found["a/x"][:].tolist() == [0, 1, 2, 3]
    assert (found["a/x"].chunks, dict(found["a/x"].attrs)) == ((2,), {"units": "m"})
    zarr.save(target, root["a"], path="b", zarr_format=2)
    assert list(zarr.open_group(target, mode="r", path="b")) == ["x"]
    with pytest.raises(errors.BaseZarrError, match="one is below the other"):
        zarr.save(target, found)
    assert zarr.open_group(target, mode="r")["a/x"].shape == (4,)
