"""Putting new nodes into a store: what is replaced is not lost for nothing."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.build import outlasting
from fastzarr.stores import MemoryStore


class Failing:
    """Be an array-like whose second half cannot be read."""

    shape = (4,)
    dtype = np.dtype("i4")

    def __getitem__(self, index):
        msg = f"unreadable: {index}"
        raise OSError(msg)


@pytest.fixture(params=[2, 3])
def root(request):
    made = zarr.create_group({}, zarr_format=request.param)
    made["a/x"] = np.arange(4)
    return made


def test_an_array_made_of_the_one_it_replaces_keeps_its_values(root):
    root["a/x"] = root["a/x"]
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    root.create_array("a/x", data=root["a/x"].astype("f8"), chunks=2, overwrite=True)
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    zarr.from_array(root.store, name="a/x", data=root["a/x"], overwrite=True, chunks=3)
    assert root["a/x"].chunks == (3,)
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    root["a"] = root["a/x"]
    assert root["a"][:].tolist() == [0, 1, 2, 3]


def test_data_that_cannot_be_read_costs_nothing(root):
    with pytest.raises(OSError, match="unreadable"):
        root.create_array("a/x", data=Failing(), overwrite=True)
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]
    with pytest.raises(OSError, match="unreadable"):
        zarr.save(root.store, x=Failing(), y=[1])
    assert root["a/x"][:].tolist() == [0, 1, 2, 3]


def test_only_what_may_be_lost_is_read_at_once(root):
    elsewhere = zarr.array([1, 2])
    assert outlasting(elsewhere, root.store, "a") is elsewhere
    lazy = Failing()
    assert outlasting(lazy, MemoryStore(), "a") is lazy
    assert isinstance(outlasting(root["a/x"], root.store, ""), np.ndarray)
    assert isinstance(outlasting(root["a/x"], root.store, "a"), np.ndarray)
    assert isinstance(outlasting(root["a/x"], root.store, "a/x/y"), np.ndarray)
    assert isinstance(outlasting(root["a/x"], root.store, "a/xy"), zarr.Array)
