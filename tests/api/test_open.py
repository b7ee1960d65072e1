"""The functions that open nodes: modes, errors, formats."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import LocalStore, MemoryStore


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "data.zarr")


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_modes_that_create_nothing(store, mode):
    for verb, error in (
        (zarr.open, errors.PathNotFoundError),
        (zarr.open_array, errors.ArrayNotFoundError),
        (zarr.open_group, errors.GroupNotFoundError),
    ):
        with pytest.raises(error, match="does not create one"):
            verb(store, mode=mode)
        with pytest.raises(FileNotFoundError):
            verb(store, mode=mode)
        with pytest.raises(ValueError, match="does not create one"):
            verb(store, mode=mode, path="a/b")
    assert list(store) == []


def test_opening_a_folder_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        zarr.open(tmp_path / "none.zarr", mode="r")
    assert list(tmp_path.iterdir()) == []


def test_mode_r_refuses_writing(store):
    zarr.create_array(store, name="a", data=[1, 2])
    for node in (zarr.open(store, mode="r", path="a"), zarr.open_group(store, "r")["a"]):
        assert node.read_only
        with pytest.raises(errors.ReadOnlyError):
            node[:] = 0
        with pytest.raises(errors.ReadOnlyError):
            node.attrs["a"] = 1
    group = zarr.open_group(store, mode="r")
    for change in (
        lambda: group.create_group("b"),
        lambda: group.create_array("b", shape=3),
        lambda: group.require_group("b"),
        lambda: group.__delitem__("a"),
        lambda: group.__setitem__("b", 1),
        lambda: group.move("a", "b"),
        lambda: group.attrs.put({}),
    ):
        with pytest.raises(errors.ReadOnlyError):
            change()
    assert zarr.open(store, path="a")[:].tolist() == [1, 2]


def test_mode_r_plus_writes_to_existing_nodes(store):
    zarr.create_array(store, name="a", data=[1, 2])
    zarr.open(store, mode="r+", path="a")[0] = 9
    assert zarr.open(store, mode="r", path="a")[:].tolist() == [9, 2]


def test_mode_a_creates_missing_nodes(store):
    zarr.open(store, mode="a", path="x", shape=(3,), dtype="i2")[:] = 5
    with pytest.warns(errors.ZarrUserWarning, match="dtype='f8' has no effect"):
        again = zarr.open(store, mode="a", path="x", shape=(99,), dtype="f8")
    assert again.shape == (3,)
    assert again[:].tolist() == [5, 5, 5]
    assert isinstance(zarr.open(store, path="g"), zarr.Group)
    assert isinstance(zarr.open(store), zarr.Group)


def test_mode_w_replaces(store):
    zarr.create_array(store, name="x", data=[1, 2, 3])
    assert zarr.open(store, mode="w", path="x", shape=2)[:].tolist() == [0, 0]
    assert list(zarr.open(store, mode="w")) == []
    assert list(store) == ["zarr.json"]


@pytest.mark.parametrize("mode", ["w-", "x"])
def test_mode_w_minus_never_replaces(store, mode):
    zarr.open(store, mode=mode, path="x", shape=2)
    with pytest.raises(errors.ContainsArrayError):
        zarr.open(store, mode=mode, path="x", shape=2)
    with pytest.raises(errors.ContainsArrayError):
        zarr.open_group(store, mode=mode, path="x")
    zarr.open(store, mode=mode, path="g")
    with pytest.raises(errors.ContainsGroupError):
        zarr.open(store, mode=mode, path="g")
    with pytest.raises(FileExistsError):
        zarr.open_group(store, mode=mode, path="g")


def test_an_unknown_mode_is_an_error(store):
    for verb in (zarr.open, zarr.open_array, zarr.open_group):
        with pytest.raises(ValueError, match=r"mode must be one of .*, not 'q'"):
            verb(store, mode="q")


def test_the_other_kind_of_node_is_an_error(store):
    zarr.create_array(store, name="x", shape=2)
    zarr.create_group(store, path="g")
    with pytest.raises(errors.NodeTypeValidationError, match=r"the node at '/g' .* is a group"):
        zarr.open_array(store, path="g")
    with pytest.raises(errors.ContainsArrayError, match=r"the node at '/x' .* is an array"):
        zarr.open_group(store, path="x")
    with pytest.raises(errors.ContainsGroupError):
        zarr.open(store, path="g", shape=3)
    with pytest.raises(errors.ContainsArrayError):
        zarr.Group(store, "x")


def test_open_array_needs_a_shape_to_create():
    with pytest.raises(TypeError, match="shape="):
        zarr.open_array({}, mode="a")


def test_open_array_takes_the_arguments_of_zarr_python_2_by_position(store):
    z = zarr.open_array(store, "w", (4, 4), (2, 2), "i2", None, 7)
    assert (z.shape, z.chunks, z.dtype, z.fill_value) == ((4, 4), (2, 2), "i2", 7)
    assert z.metadata.zarr_format == 2


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_format_can_be_requested(store, zarr_format):
    zarr.open_group(store, mode="w", zarr_format=zarr_format)
    zarr.open_array(store, path="a", shape=2)
    assert zarr.open(store).zarr_format == zarr_format
    assert zarr.open(store, path="a").metadata.zarr_format == zarr_format
    assert zarr.open_group(store, mode="r", zarr_version=zarr_format).zarr_format == zarr_format
    with pytest.raises(errors.GroupNotFoundError):
        zarr.open_group(store, mode="r", zarr_format=5 - zarr_format)


def test_a_read_only_store_opens_for_reading(store):
    zarr.create_array(store, name="x", data=[1])
    fixed = store.with_read_only()
    assert zarr.open(fixed)["x"].read_only
    assert zarr.open_group(fixed).read_only
    for mode in ("r+", "a", "w"):
        with pytest.raises(errors.ReadOnlyError):
            zarr.open(fixed, mode=mode)


def test_group_opens_or_creates(store):
    zarr.group(store).create_group("a")
    assert list(zarr.group(store)) == ["a"]
    assert list(zarr.group(store, overwrite=True)) == []
    assert zarr.group(store, path="b/c", attributes={"x": 1}).attrs["x"] == 1


def test_create_group_is_exclusive(store):
    zarr.create_group(store, path="a", attributes={"x": 1})
    with pytest.raises(errors.ContainsGroupError):
        zarr.create_group(store, path="a")
    assert dict(zarr.create_group(store, path="a", overwrite=True).attrs) == {}


def test_the_attributes_of_a_group_that_is_there_stay(store):
    zarr.create_group(store, attributes={"x": 1})
    assert dict(zarr.open_group(store, attributes={"y": 2}).attrs) == {"x": 1}


def test_unknown_keywords(store):
    with pytest.raises(TypeError, match="nonsense"):
        zarr.open(store, nonsense=1)
    with pytest.raises(TypeError, match="shap"):
        zarr.open_array(store, shap=3)


def test_a_node_of_the_other_format_is_named():
    store = {}
    zarr.create_group(store, zarr_format=3)
    for opening in (zarr.open, zarr.open_group, zarr.open_array):
        with pytest.raises(
            errors.NodeNotFoundError, match=r"of format 2 .* but there is one of format 3"
        ):
            opening(store, mode="r", zarr_format=2)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_folder_inside_an_array_does_not_become_a_group(tmp_path, zarr_format):
    words = {"zarr_format": zarr_format}
    if zarr_format == 2:
        words["dimension_separator"] = "/"
    root = zarr.open_group(tmp_path / "a.zarr", zarr_format=zarr_format)
    root.create_array("x", data=np.arange(8).reshape(2, 2, 2), chunks=1, **words)
    before = sorted(tmp_path.rglob("*"))
    for folder in ("x/c", "x/c/0", "x/0", "x/new/new"):
        place = tmp_path / "a.zarr" / folder
        for mode in (None, "a", "w-"):
            with pytest.raises(errors.ContainsArrayError, match=r"a\.zarr/x' is an array"):
                zarr.open(place, mode=mode)
        with pytest.raises(errors.ContainsArrayError):
            zarr.save(place, [1])
        with pytest.raises(errors.ContainsArrayError):
            zarr.create_array(place, name="y", shape=3)
    assert sorted(tmp_path.rglob("*")) == before
    assert zarr.open(tmp_path / "a.zarr" / "new").path == ""
