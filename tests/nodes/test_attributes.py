"""Attributes are written immediately, as patches; an invalid change is rejected as a whole."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.stores import MemoryStore


class Counting(MemoryStore):
    """A store that counts its writes."""

    writes = 0

    def _set(self, key, value):
        self.writes += 1
        super()._set(key, value)


@pytest.fixture(params=[2, 3])
def zarr_format(request):
    return request.param


@pytest.fixture
def store():
    return Counting()


@pytest.fixture(params=["array", "group"])
def node(request, store, zarr_format):
    if request.param == "group":
        return zarr.create_group(store, path="n", zarr_format=zarr_format)
    return zarr.create_array(store, name="n", shape=(3,), dtype="i2", zarr_format=zarr_format)


def stored(node):
    data = node.store.get(node.attrs.key)
    doc = {} if data is None else json.loads(data)
    return doc["attributes"] if node.attrs.key.endswith("zarr.json") else doc


def test_a_mapping_that_writes_through(node):
    node.attrs["a"] = 1
    node.attrs["b"] = {"c": [1, 2, None]}
    assert stored(node) == {"a": 1, "b": {"c": [1, 2, None]}} == dict(node.attrs)
    assert zarr.open(node.store, path="n").attrs["b"] == {"c": [1, 2, None]}
    del node.attrs["a"]
    assert stored(node) == {"b": {"c": [1, 2, None]}}
    assert "a" not in node.attrs
    assert len(node.attrs) == 1
    assert list(node.attrs) == node.attrs._ipython_key_completions_() == ["b"]
    assert node.attrs.pop("b") == {"c": [1, 2, None]}
    assert stored(node) == {}
    assert node.attrs.setdefault("x", 5) == 5
    assert node.attrs.get("y") is None
    assert repr(node.attrs) == "{'x': 5}"
    assert node.attrs == {"x": 5}


def test_a_missing_name_is_a_key_error(node):
    with pytest.raises(KeyError, match="nope"):
        node.attrs["nope"]
    with pytest.raises(KeyError, match="nope"):
        del node.attrs["nope"]


def test_put_update_and_clear(node):
    node.attrs.update({"a": 1}, b=2)
    node.attrs.update([("c", 3)])
    assert stored(node) == {"a": 1, "b": 2, "c": 3}
    node.attrs.put({"d": 4})
    assert stored(node) == {"d": 4}
    node.attrs.clear()
    assert stored(node) == {} == node.attrs.asdict()


def test_the_document_of_attributes_goes_with_the_last_of_them(node, zarr_format):
    node.attrs["a"] = 1
    node.attrs.clear()
    assert (node.attrs.key in node.store) is (zarr_format == 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda attrs: attrs.update({"a": 1, "b": 2}),
        lambda attrs: attrs.put({"a": 1, "b": 2}),
        lambda attrs: attrs.__setitem__("a", 1),
    ],
)
def test_one_call_is_one_write(node, change):
    before = node.store.writes
    change(node.attrs)
    assert node.store.writes == before + 1


def test_a_batch_is_one_write(node):
    before = node.store.writes
    with node.attrs.batch() as attrs:
        node.attrs["a"] = 1
        attrs["b"] = 2
        del node.attrs["a"]
        with node.attrs.batch():
            attrs.update(c=3)
        assert node.attrs.asdict() == {"b": 2, "c": 3}
        assert node.store.writes == before
    assert node.store.writes == before + 1
    assert stored(node) == {"b": 2, "c": 3} == dict(node.attrs)


def test_a_batch_without_changes_writes_nothing(node):
    before = node.store.writes
    with node.attrs.batch():
        pass
    assert node.store.writes == before


def test_a_batch_that_fails_changes_nothing(node):
    node.attrs["a"] = 1

    def fail():
        with node.attrs.batch():
            node.attrs["a"] = 2
            node.attrs["b"] = object()

    with pytest.raises(TypeError, match="b"):
        fail()
    assert stored(node) == {"a": 1} == dict(node.attrs)
    node.attrs["c"] = 3
    assert stored(node) == {"a": 1, "c": 3}


@pytest.mark.parametrize(
    "value", [object(), 1j, b"x", {1, 2}, np.datetime64("2020-01-01"), [object()]]
)
def test_a_rejected_attribute_changes_nothing(node, value):
    node.attrs["a"] = 1
    for change in (
        lambda: node.attrs.__setitem__("bad", value),
        lambda: node.attrs.update(good=1, bad=value),
        lambda: node.attrs.put({"good": 1, "bad": value}),
        lambda: node.update_attributes({"bad": value}),
    ):
        with pytest.raises(TypeError, match="bad"):
            change()
    assert stored(node) == {"a": 1} == dict(node.attrs)
    node.attrs["b"] = 2
    assert stored(node) == {"a": 1, "b": 2}


def test_conversions_are_the_same_on_every_path(node):
    given = {"f": np.float32(0.5), "i": np.int64(3), "t": (1, 2), 4: np.arange(2), "n": np.nan}
    wanted = {"f": 0.5, "i": 3, "t": [1, 2], "4": [0, 1], "n": np.nan}
    node.attrs.put(given)
    assert repr(node.attrs) == repr(wanted) == repr(stored(node))
    node.attrs.clear()
    for name, value in given.items():
        node.attrs[name] = value
    assert repr(node.attrs) == repr(wanted) == repr(stored(node))
    made = zarr.create_group({}, attributes=given)
    assert repr(made.attrs) == repr(wanted)
    assert node.attrs[4] == [0, 1]
    assert 4 in node.attrs
    del node.attrs[4]
    assert "4" not in node.attrs


def test_neither_what_is_given_nor_what_is_read_is_shared(node):
    given = {"a": [1]}
    node.attrs.update(given)
    given["a"].append(2)
    node.attrs["a"].append(3)
    node.attrs.asdict()["a"].append(4)
    assert node.attrs["a"] == [1]
    node.attrs["b"] = 1
    assert stored(node) == {"a": [1], "b": 1}


def test_a_stale_handle_does_not_undo_others(node):
    other = zarr.open(node.store, path="n")
    node.attrs["a"] = 1
    other.attrs["b"] = 2
    assert stored(node) == {"a": 1, "b": 2}
    with node.attrs.batch():
        node.attrs["c"] = 3
        other.attrs["d"] = 4
    assert stored(node) == {"a": 1, "b": 2, "c": 3, "d": 4}
    del other.attrs["b"]
    assert stored(node) == {"a": 1, "c": 3, "d": 4}


def test_attributes_do_not_undo_a_resize(store, zarr_format):
    z = zarr.create_array(store, name="n", shape=(3,), dtype="i2", zarr_format=zarr_format)
    stale = zarr.open(store, path="n")
    z.resize(7)
    stale.attrs["a"] = 1
    assert stale.shape == (3,)
    assert zarr.open(store, path="n").shape == (7,)


def test_refresh_reads_again(node):
    other = zarr.open(node.store, path="n")
    node.attrs["a"] = 1
    assert "a" not in other.attrs
    other.attrs.refresh()
    assert other.attrs["a"] == 1


def test_without_a_cache_each_look_reads(store, zarr_format):
    zarr.create_group(store, path="n", zarr_format=zarr_format)
    root = zarr.open_group(store, path="n", cache_attrs=False)
    assert root.attrs.cache is False
    zarr.open_group(store, path="n").attrs["a"] = 1
    assert root.attrs["a"] == 1
    assert zarr.open_group(store, path="n").attrs.cache is True


def test_a_missing_node_is_named(node):
    del zarr.open_group(node.store)["n"]
    with pytest.raises(errors.PathNotFoundError, match="'/n'"):
        node.attrs["a"] = 1
    with pytest.raises(errors.PathNotFoundError, match="'/n'"):
        node.attrs.refresh()
    assert node.attrs.key not in node.store


def test_reading_only(node):
    node.attrs["a"] = 1
    fixed = zarr.open(node.store, path="n", mode="r")
    assert fixed.attrs.read_only
    assert not node.attrs.read_only
    assert fixed.attrs["a"] == 1
    for change in (
        lambda: fixed.attrs.update(a=2),
        lambda: fixed.attrs.put({}),
        fixed.attrs.clear,
        lambda: fixed.attrs.__delitem__("a"),
        lambda: fixed.attrs.batch().__enter__(),
    ):
        with pytest.raises(errors.ReadOnlyError, match="'/n'"):
            change()
    assert stored(node) == {"a": 1}


def test_the_key_is_that_of_the_document(node, zarr_format):
    assert node.attrs.key == ("n/.zattrs" if zarr_format == 2 else "n/zarr.json")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, [1.5, {"x": np.nan}]])
def test_non_finite_numbers_stay_numbers(node, value):
    node.attrs["a"] = value
    for found in (node, zarr.open(node.store, path="n", mode="r")):
        assert repr(found.attrs["a"]) == repr(json.loads(json.dumps(value)))
    assert repr(stored(node)) == repr({"a": json.loads(json.dumps(value))})


def test_nan_of_others_stays_nan_whatever_else_changes(zarr_format):
    """Rows, another attribute, consolidated metadata and a copy leave it as it is."""
    store = {}
    group = zarr.create_group(store, zarr_format=zarr_format)
    array = group.create_array("x", shape=(2,), chunks=(2,), dtype="f4", attributes={"a": "NAN"})
    store[array.attrs.key] = store[array.attrs.key].replace(b'"NAN"', b"NaN")
    zarr.open_array(store, path="x", mode="r+").append(np.ones(2, "f4"))
    zarr.open_array(store, path="x", mode="r+").attrs["b"] = 1
    zarr.consolidate_metadata(store)
    copy = {}
    zarr.copy_all(
        zarr.open_group(store, mode="r"), zarr.open_group(copy, mode="w", zarr_format=zarr_format)
    )
    for each in (store, copy):
        assert b'"a": NaN' in each[array.attrs.key]
        for consolidated in (None, False):
            found = zarr.open_group(each, mode="r", use_consolidated=consolidated)["x"].attrs
            assert repr(dict(found)) == "{'a': nan, 'b': 1}"


def test_integers_of_numpy_name_the_same_attribute(node):
    node.attrs[np.int64(3)] = 1
    assert node.attrs[np.int64(3)] == node.attrs[np.uint8(3)] == node.attrs[3] == 1
    assert np.int32(3) in node.attrs
    assert np.timedelta64(3, "s") not in node.attrs
    del node.attrs[np.int64(3)]
    assert dict(node.attrs) == {}


def test_lone_surrogates_are_refused_before_anything_is_written(node, store):
    node.attrs["a"] = 1
    before = dict(store)
    for change in (
        lambda: node.attrs.update({"b": 2, "c": ["\ud800"]}),
        lambda: node.attrs.put({"\ud800": 2}),
        lambda: zarr.create_group(store, path="m", attributes={"c": "\udfff"}),
        lambda: zarr.create_array(store, name="m", shape=1, dtype="i4", attributes={"c": "\udfff"}),
    ):
        with pytest.raises(errors.MetadataError, match="lone surrogate"):
            change()
    assert dict(store) == before


def test_lone_surrogates_of_others_are_kept(node):
    node.attrs["a"] = "SURROGATE"
    key = node.attrs.key
    node.store[key] = node.store[key].replace(b"SURROGATE", b"\\ud800")
    found = zarr.open(node.store, path="n", mode="r+")
    found.attrs["b"] = 1
    assert dict(found.attrs) == {"a": "\ud800", "b": 1}
    assert b'"\\ud800"' in node.store[key]


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_root_group_of_a_cleared_store_is_written_again(zarr_format, local, tmp_path):
    store = tmp_path / "x" if local else None
    root = zarr.group(store, zarr_format=zarr_format, attributes={"a": 1})
    array = root.create_array("x", shape=3)
    below = root.create_group("g")
    root.store.clear()
    for node in (array, below):
        with pytest.raises(errors.PathNotFoundError):
            node.attrs["u"] = 1
    assert list(root.store) == []
    root.attrs["b"] = 2
    assert dict(root.attrs) == {"a": 1, "b": 2}
    again = zarr.open_group(root.store, mode="r")
    assert (again.zarr_format, dict(again.attrs)) == (zarr_format, {"a": 1, "b": 2})
    root["x"] = [1]
    del root["x"]
    root.store.clear()
    root.create_array("y", shape=3)
    with pytest.raises(errors.PathNotFoundError):
        array.attrs["u"] = 1
    if local:  # a folder that was deleted is not created again
        shutil.rmtree(store)
        with pytest.raises(errors.PathNotFoundError):
            root.attrs["b"] = 3
        assert not store.exists()
