"""Data is unpickled where zarr-python would unpickle it, which is decided when it is read."""

from __future__ import annotations

import json
import pickle

import numcodecs
import pytest

import fastzarr.compat as zarr
from fastzarr.compat.dtype import VariableLengthUTF8


@pytest.fixture
def store():
    document = {
        "zarr_format": 2,
        "shape": [2],
        "chunks": [2],
        "dtype": "|O",
        "fill_value": None,
        "order": "C",
        "filters": [{"id": "vlen-utf8"}],
        "compressor": {"id": "pickle"},
    }
    encoded = pickle.dumps(numcodecs.VLenUTF8().encode(["a", "bb"]))
    values = {"a/.zarray": json.dumps(document).encode(), "a/0": encoded}
    values[".zgroup"] = b'{"zarr_format": 2}'
    make = zarr.core.buffer.cpu.Buffer.from_bytes
    return zarr.storage.MemoryStore({key: make(value) for key, value in values.items()})


@pytest.fixture(autouse=True)
def numcodecs_allows(monkeypatch):
    monkeypatch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)


OPENED = [
    lambda store: zarr.open_array(store, path="a"),
    lambda store: zarr.open_array(store, path="a", mode="r"),
    lambda store: zarr.open_group(store)["a"],
    lambda store: zarr.open_group(store, mode="r").get("a"),
    lambda store: dict(zarr.open_group(store).members())["a"],
    lambda store: dict(zarr.open_group(store).arrays())["a"],
    lambda store: zarr.open(store)["a"],
    lambda store: zarr.consolidate_metadata(store)["a"],
    lambda store: zarr.core.sync_group.get_node(store, "a", 2),
]


@pytest.mark.parametrize("opened", OPENED)
def test_an_array_is_opened_and_refused_when_it_is_read(store, opened):
    array = opened(store)
    with pytest.raises(zarr.errors.PickleCodecDisabledError, match="allow_unsafe_pickle_decode"):
        array[:]
    with zarr.config.set({"array.allow_unsafe_pickle_decode": True}):
        assert array[:].tolist() == ["a", "bb"]
    again = pickle.loads(pickle.dumps(array.metadata.to_dict()))
    assert again["compressor"]["id"] == "pickle"
    with pytest.raises(zarr.errors.PickleCodecDisabledError):
        array[0]


def test_text_does_not_allow_it(store):
    array = zarr.open_array(store, path="a")
    with (
        zarr.config.set({"array.allow_unsafe_pickle_decode": "false"}),
        pytest.raises(zarr.errors.PickleCodecDisabledError),
    ):
        array[:]


@pytest.mark.skipif(not hasattr(numcodecs.errors, "UnsafeDecodeError"), reason="it has no gate")
def test_the_setting_of_numcodecs_has_to_allow_it_too(store, monkeypatch):
    array = zarr.open_array(store, path="a")
    monkeypatch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", False)
    with (
        zarr.config.set({"array.allow_unsafe_pickle_decode": True}),
        pytest.raises(numcodecs.errors.UnsafeDecodeError, match="ALLOW_UNSAFE_PICKLE_DECODE"),
    ):
        array[:]


def test_a_new_array_is_written_without_permission_and_read_with_it():
    array = zarr.create_array(
        {},
        shape=(3,),
        dtype=VariableLengthUTF8(),
        zarr_format=2,
        filters=[numcodecs.VLenUTF8()],
        compressors=numcodecs.Pickle(),
        fill_value="",
    )
    array[:] = ["a", "bb", "ccc"]
    with pytest.raises(zarr.errors.PickleCodecDisabledError):
        array[:]
    with zarr.config.set({"array.allow_unsafe_pickle_decode": True}):
        assert array[:].tolist() == ["a", "bb", "ccc"]
        array.resize(2)
        assert array[:].tolist() == ["a", "bb"]
