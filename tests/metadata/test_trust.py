"""Arrays are unpickled only if the caller allows it."""

from __future__ import annotations

import json

import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import PickleCodecDisabledError


@pytest.fixture
def root():
    made = zarr.create_group({}, zarr_format=2)
    array = made.create_array(
        "a/notes", shape=2, dtype=object, filters=[numcodecs.Pickle()], compressors=None
    )
    array[:] = [{"x": 1}, None]
    made["plain"] = [1, 2]
    return made


def test_opening_by_name_refuses_and_names_the_array(root):
    store = root.store
    openings = [
        lambda: zarr.open_array(store, "r", path="a/notes"),
        lambda: zarr.open(store, "r", path="a/notes"),
        lambda: zarr.Array(store, "a/notes"),
        lambda: zarr.open_group(store, "r")["a/notes"],
        lambda: zarr.open_group(store, "r")["a"]["notes"],
        lambda: zarr.open_group(store, "r").get("a/notes"),
        lambda: zarr.load(store, "a/notes"),
    ]
    for opening in openings:
        with pytest.raises(PickleCodecDisabledError, match=r"/a/notes.*allow_pickle=True"):
            opening()


@pytest.mark.parametrize(
    ("filters", "compressor"),
    [
        ([{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 5}], None),
        ([{"id": "vlen-utf8"}], {"id": "pickle", "protocol": 5}),
        (None, {"id": "pickle", "protocol": 5}),
    ],
)
def test_pickle_in_another_place_needs_permission_as_well(filters, compressor):
    document = {
        "zarr_format": 2,
        "shape": [2],
        "chunks": [2],
        "dtype": "|O" if filters else "<i4",
        "fill_value": None,
        "order": "C",
        "filters": filters,
        "compressor": compressor,
    }
    store = {".zarray": json.dumps(document).encode()}
    with pytest.raises(PickleCodecDisabledError, match="allow_pickle=True"):
        zarr.open_array(store)
    array = zarr.open_array(store, allow_pickle=True)
    array[:] = ["a", "b"] if filters else [3, 4]
    assert zarr.open_array(store, allow_pickle=True)[:].tolist() == array[:].tolist()
    array.attrs["kept"] = True
    array.resize(1)
    rewritten = json.loads(store[".zarray"])
    assert (rewritten["filters"], rewritten["compressor"]) == (filters, compressor)
    assert array.refresh()[0] == ("a" if filters else 3)


def test_metadata_can_be_read_without_permission_to_unpickle(root):
    again = zarr.open_group(root.store)
    assert "notes (2,) object" in repr(again.tree())
    (member,) = again["a"].arrays()
    with pytest.raises(PickleCodecDisabledError):
        member[1][:]
    target = {}
    zarr.copy_store(root.store, target)
    assert zarr.open_group(target, allow_pickle=True)["a/notes"][0] == {"x": 1}
    again.move("a/notes", "b/notes")
    del again["b/notes"]
    assert list(again["b"]) == []


def test_a_trusting_group_hands_it_down(root):
    for opened in (
        zarr.open_group(root.store, "r", allow_pickle=True),
        zarr.open(root.store, mode="r", allow_pickle=True),
        zarr.Group(root.store, allow_pickle=True),
    ):
        assert opened["a"]["notes"][0] == {"x": 1}
        assert dict(opened["a"].arrays())["notes"][0] == {"x": 1}
    assert zarr.Array(root.store, "a/notes", allow_pickle=True)[0] == {"x": 1}
    copy = zarr.consolidate_metadata(root.store)
    with pytest.raises(PickleCodecDisabledError):
        copy["a/notes"]
    assert zarr.open_consolidated(root.store, allow_pickle=True)["a/notes"].shape == (2,)


def test_a_handle_that_may_unpickle_stays_one_when_its_metadata_changes():
    notes = zarr.create(1, dtype=object, object_codec=numcodecs.Pickle())
    notes[:] = ["a"]
    notes.append(np.array([{"b": 1}], dtype=object))
    notes.resize(3)
    notes.attrs["c"] = 1
    notes.refresh()
    assert notes[1] == {"b": 1}
