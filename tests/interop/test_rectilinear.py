"""Arrays of chunks that differ in size: what fastzarr and other libraries read of each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
import zarrista
from zarrista.store import FilesystemStore

import fastzarr

if TYPE_CHECKING:
    from pathlib import Path

VALUES = np.arange(1200, dtype="i4").reshape(60, 20)
# The arguments chunks and shards.
GRIDS: dict[str, dict[str, Any]] = {
    "sizes": {"chunks": [[10, 20, 30], [7, 13]]},
    "repeated": {"chunks": [[10, 10, 10, 30], 7]},
    "beyond the end": {"chunks": [[10, 20, 40, 50], 7]},
    "shards": {"chunks": (2, 4), "shards": [[10, 20, 30], [8, 12]]},
}


def _zarrista(path: Path) -> Any:
    return zarrista.Array.open(FilesystemStore(str(path)))


def _zarr(path: Path) -> Any:
    if zarr.config.get("array.rectilinear_chunks", None) is None:
        pytest.skip(f"zarr-python {zarr.__version__} has no rectilinear chunks")
    with zarr.config.set({"array.rectilinear_chunks": True}):
        return zarr.open_array(path, mode="r+")


def _read(array: Any) -> Any:
    found = array[:, :]
    return found if isinstance(found, np.ndarray) else found.to_numpy()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=list(GRIDS))
@pytest.mark.parametrize("opened", [_zarrista, _zarr])
def test_others_read_what_we_write_and_write_what_we_read(opened, grid, tmp_path):
    z = fastzarr.create_array(tmp_path, shape=(60, 20), dtype="i4", **grid)
    z[...] = VALUES
    other = opened(tmp_path)
    np.testing.assert_array_equal(_read(other), VALUES)
    other[5:45, 3:18] = np.full((40, 15), -1, "i4")
    expected = VALUES.copy()
    expected[5:45, 3:18] = -1
    np.testing.assert_array_equal(fastzarr.open_array(tmp_path)[...], expected)


def test_a_document_of_zarrista_is_read(tmp_path):
    fastzarr.create_array(tmp_path / "ours", shape=(60, 20), dtype="i4", **GRIDS["repeated"])
    document = json.loads((tmp_path / "ours" / "zarr.json").read_text())
    store = FilesystemStore(str(tmp_path / "theirs"))
    made = zarrista.Array.from_metadata(document, store, "/")
    made.store_metadata()
    made[0:60, 0:20] = VALUES
    z = fastzarr.open_array(tmp_path / "theirs")
    assert z.chunks == ((10, 10, 10, 30), 7)
    np.testing.assert_array_equal(z[...], VALUES)


def test_zarrista_reads_keys_with_a_suffix(tmp_path):
    keys = {"name": "zarrs.default_suffix", "configuration": {"suffix": ".raw", "separator": "/"}}
    z = fastzarr.create_array(
        tmp_path, shape=(60, 20), chunks=(30, 20), dtype="i4", chunk_key_encoding=keys
    )
    z[...] = VALUES
    assert (tmp_path / "c" / "1" / "0.raw").exists()
    np.testing.assert_array_equal(_read(_zarrista(tmp_path)), VALUES)
