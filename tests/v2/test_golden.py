"""Arrays that zarr-python 2.18 has written read through the facade as they did through it.

golden/make_zarr2.py wrote the hierarchy; zarr2.npz has its arrays.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import fastzarr.v2 as zarr

_GOLDEN = Path(__file__).parent.parent / "golden"
with np.load(_GOLDEN / "zarr2.npz", allow_pickle=False) as _archive:
    EXPECTED = dict(_archive)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the extracted hierarchy, which must not be modified."""
    path = tmp_path_factory.mktemp("golden")
    with zipfile.ZipFile(_GOLDEN / "zarr2.zip") as archive:
        archive.extractall(path)
    return path


def test_arrays_read_as_in_zarr_python_2(folder):
    root = zarr.open_group(folder, mode="r")
    for name, expected in EXPECTED.items():
        z = root[name]
        assert (name, z.dtype, z.shape) == (name, expected.dtype, expected.shape)
        found = z[...]
        assert (name, type(found), found.tobytes()) == (name, np.ndarray, expected.tobytes())
        if expected.size:
            last = (-1,) * expected.ndim
            assert (name, type(z[last])) == (name, type(expected[last]))
            assert np.asarray(z[last]).tobytes() == np.asarray(expected[last]).tobytes()


def test_strings_read_as_objects(folder):
    z = zarr.open_array(folder / "objects" / "vlen_utf8", mode="r")
    assert z[...].tolist() == ["", "ä", "", "\U0001f600", "a\0b"]
    assert z[:2].dtype == object
    assert z.filters == [zarr.VLenUTF8()]


def test_pickled_objects_need_permission(folder):
    with pytest.raises(zarr.MetadataError, match="allow_pickle"):
        zarr.open(folder / "objects" / "pickle", mode="r")
    root = zarr.open_group(folder, mode="r", allow_pickle=True)
    assert root["objects/pickle"][0] == {"a": [1, 2.5]}
