"""Copies of keys from one store to another."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors


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


def test_copy_store():
    source = {"a/x": b"1", "a/y": b"22", "ab": b"333"}
    dest = {}
    assert zarr.copy_store(source, dest) == (3, 0, 6)
    assert dest == source
    dest = {}
    assert zarr.copy_store(source, dest, source_path="a", dest_path="c/d/") == (2, 0, 3)
    assert dest == {"c/d/x": b"1", "c/d/y": b"22"}


def test_copy_store_of_some_keys():
    source = {"a/x": b"1", "a/y": b"22", "ab": b"333"}
    dest = {}
    zarr.copy_store(source, dest, excludes="a/", includes=["X$"], flags=2)
    assert sorted(dest) == ["a/x", "ab"]


def test_copy_store_where_keys_are():
    source, dest = {"a": b"1", "b": b"2"}, {"b": b"old"}
    with pytest.raises(errors.CopyError, match="'b'"):
        zarr.copy_store(source, dest)
    assert dest == {"b": b"old"}
    log = []
    assert zarr.copy_store(source, dest, if_exists="skip", log=log.append) == (1, 1, 1)
    assert log == ["copy a", "skip b", "all done: 1 copied, 1 skipped, 1 bytes copied"]
    assert dest == {"a": b"1", "b": b"old"}
    assert zarr.copy_store(source, {}, dry_run=True) == (2, 0, 0)
    zarr.copy_store(source, dest, if_exists="replace")
    assert dest == source
    with pytest.raises(ValueError, match="if_exists"):
        zarr.copy_store(source, dest, if_exists="skip_initialized")
