"""Old documents of format 2, which leave the separator of chunk keys to the store."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastzarr
from fastzarr.storage import DirectoryStore, FSStore, NestedDirectoryStore


@pytest.fixture(params=["nested", "directory", "fsspec"])
def store(request, tmp_path):
    """Return a store with chunks in folders, as zarr-python wrote them before version 2.8."""
    z = fastzarr.create(
        (4, 4), 2, "i4", store=NestedDirectoryStore(tmp_path), zarr_format=2, path="a"
    )
    z[:] = np.arange(16).reshape(4, 4)
    document = tmp_path / "a" / ".zarray"
    members = json.loads(document.read_text())
    del members["dimension_separator"]
    document.write_text(json.dumps(members))
    if request.param == "nested":
        return NestedDirectoryStore(tmp_path)
    if request.param == "directory":
        return DirectoryStore(tmp_path, dimension_separator="/")
    return FSStore(f"file://{tmp_path}", dimension_separator="/")


def test_chunks_are_found_with_the_separator_of_the_store(store):
    z = fastzarr.open_array(store, "r", path="a")
    assert z[1].tolist() == [4, 5, 6, 7]
    assert fastzarr.open_group(store, "r")["a"][2:, 0].tolist() == [8, 12]
    ((_, member),) = fastzarr.open_group(store, "r").arrays()
    assert member[3, 3] == 15


def test_changes_keep_the_chunks(store):
    z = fastzarr.open_array(store, "r+", path="a")
    z[0] = 9
    z.attrs["units"] = "K"
    z.append(np.full((1, 4), 7))
    z[4, 0] = 8
    assert sorted(key for key in store if "." not in key) == sorted(
        f"a/{row}/{column}" for row in range(3) for column in range(2)
    )
    again = fastzarr.open_array(store, "r", path="a")
    assert again[:, 0].tolist() == [9, 4, 8, 12, 8]
    assert again.attrs["units"] == "K"


def test_another_store_reads_keys_with_dots():
    members = {"zarr_format": 2, "shape": [2, 2], "chunks": [2, 2], "dtype": "|u1", "order": "C"}
    document = json.dumps(members | {"fill_value": 0, "filters": None, "compressor": None})
    values = {".zarray": document.encode(), "0.0": b"\1\2\3\4"}
    assert fastzarr.open_array(values, "r")[:].tolist() == [[1, 2], [3, 4]]
