"""Databases that zarr-python 2.18.7 has written, under ``tests/golden``."""

from __future__ import annotations

import dbm.dumb
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.stores import DBMStore, LMDBStore, SQLiteStore

if TYPE_CHECKING:
    from fastzarr.stores import Store

ARCHIVE = Path(__file__).parents[1] / "golden" / "zarr2_databases.zip"


@pytest.fixture(params=["a.sqldb", "a.lmdb", "file.mdb", "dumb"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    """Return a store in a copy of each database."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    path = tmp_path / request.param
    if request.param == "dumb":
        return DBMStore(path, open=dbm.dumb.open)
    return SQLiteStore(path) if request.param == "a.sqldb" else LMDBStore(path)


@pytest.mark.parametrize("read_only", [True, False])
def test_what_zarr_python_2_wrote_is_read(store: Store, read_only: bool) -> None:
    """All arrays and attributes are those that were written."""
    root = zarr.open_group(store.with_read_only(read_only), mode="r" if read_only else "r+")
    assert dict(root.attrs) == {"made by": "zarr-python 2"}
    assert dict(root["a_b"].attrs) == {"n": 2}
    assert sorted(root) == ["a_b", "axb", "missing"]
    first = np.arange(40).reshape(5, 8)
    first[0, 0] = 100
    assert (root["a_b/x"][:] == first).all()
    assert (root["axb/y"][:] == np.linspace(0, 1, 7)).all()
    assert root["axb/text"][:].tolist() == ["", "a", "\u00e9"]
    assert root["missing"][:].tolist() == [7, 7, 9, 9, 7, 7]


def test_what_zarr_python_2_wrote_is_changed(store: Store) -> None:
    """Elements, attributes, shapes and members are changed as in any store."""
    root = zarr.open_group(store, mode="r+")
    root["a_b/x"][1:3, 2] = -5
    root["missing"].append(np.array([1, 2], "u1"))
    root.attrs["new"] = 1
    del root["a_b/x"]
    root.move("axb", "moved")
    store.close()
    again = zarr.open_group(store, mode="r")
    assert sorted(again) == ["a_b", "missing", "moved"]
    assert sorted(again["a_b"]) == []
    assert again["missing"][:].tolist() == [7, 7, 9, 9, 7, 7, 1, 2]
    assert dict(again.attrs) == {"made by": "zarr-python 2", "new": 1}
    assert again["moved/text"][1:].tolist() == ["a", "\u00e9"]
