"""What zarr-python 2 has written to Redis and MongoDB, as golden/make_servers.py dumps it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from pymongo import MongoClient
from redis import Redis

import fastzarr
from fastzarr.stores import MongoDBStore, RedisStore

GOLDEN = Path(__file__).parent.parent / "golden"


def values_in(name):
    """Return the values of an archive by their keys."""
    with zipfile.ZipFile(GOLDEN / name) as file:
        return {key: file.read(key) for key in file.namelist()}


@pytest.fixture(params=["redis", "mongodb"])
def store(request):
    if request.param == "redis":
        words = request.getfixturevalue("redis")
        with Redis(**words) as client:
            client.mset(values_in("redis.zip"))
        return RedisStore("my:prefix", **words)
    words = request.getfixturevalue("mongo")
    values = values_in("mongodb.zip")
    assert values.pop("fields") == b"key,value"
    with MongoClient(**words) as client:
        found = [{"key": key, "value": value} for key, value in values.items()]
        client["mongodb_zarr"]["zarr_collection"].insert_many(found)
    return MongoDBStore(**words)


def test_what_zarr_python_2_has_written_is_read(store):
    root = fastzarr.open_group(store, mode="r")
    assert root.attrs["title"] == "written by zarr-python 2"
    assert sorted(root) == ["a", "c", "group [1]*?"]
    assert np.array_equal(root["a"][:], np.arange(24).reshape(4, 6))
    assert root["c"][:].tolist() == [0, 1, 2]
    found = root["group [1]*?/b"]
    assert found[:].tolist() == [0.5, 0.5, 0.5, -1, -1]
    assert found.nchunks_initialized == 2


def test_what_zarr_python_2_has_written_is_changed(store):
    root = fastzarr.open_group(store, mode="r+")
    root["a"][1:3, 2:5] = -1
    root["group [1]*?/b"][3:] = 7
    root.attrs["more"] = 1
    again = fastzarr.open_group(store, mode="r")
    expected = np.arange(24).reshape(4, 6)
    expected[1:3, 2:5] = -1
    assert np.array_equal(again["a"][:], expected)
    assert again["group [1]*?/b"][:].tolist() == [0.5, 0.5, 0.5, 7, 7]
    assert dict(again.attrs) == {"title": "written by zarr-python 2", "more": 1}
    del root["group [1]*?"]
    assert not list(store.list("group [1]*?"))
    assert root["a"].shape == (4, 6)
