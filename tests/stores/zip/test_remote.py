"""Archives behind a network, read by ranges, with the requests counted."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import ArchiveError, BaseZarrError, ReadOnlyError
from fastzarr.storage import ZipStore

GRID = np.arange(400, dtype="i4").reshape(20, 20)


def packed(method: int = 0, **words: Any) -> bytes:
    """Return an archive of an array and a group."""
    held = io.BytesIO()
    with ZipStore(held, method, mode="w") as store:
        root = zarr.create_group(store)
        root.create_array("x", data=GRID, chunks=(5, 5), **words)
        # More than what is read of the end at first.
        root.create_array("y", data=np.random.default_rng(0).random(20_000), chunks=(20_000,))
    return held.getvalue()


def put(s3: Any, key: str, value: bytes) -> None:
    """Store an archive on the server."""
    zarr.storage.ObjectStore(s3.url, storage_options=s3.obstore()).set(key, value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_on_s3_is_read_by_ranges(s3: Any, proxy: Any, method: int) -> None:
    """Opening an array takes at most three requests, and each chunk one."""
    put(s3, "a.zip", packed(method))
    there = s3.through(proxy)
    url = f"{there.url}/a.zip"
    z = zarr.open_array(url, path="x", mode="r", storage_options=there.obstore())
    assert isinstance(z.store, ZipStore)
    assert proxy.count() <= 3
    proxy.forget()
    np.testing.assert_array_equal(z[:], GRID)
    assert proxy.count() == 16
    proxy.forget()
    np.testing.assert_array_equal(z[3, 4], GRID[3, 4])
    assert proxy.count() == 1
    with pytest.raises(ReadOnlyError):
        z[0] = 1
    with pytest.raises(ReadOnlyError):
        zarr.open_array(url, path="x", mode="r+", storage_options=there.obstore())


def test_chunks_of_an_archive_on_s3_are_requested_at_once(s3: Any, proxy: Any) -> None:
    """Several requests are under way at the same time."""
    put(s3, "a.zip", packed())
    there = s3.through(proxy)
    z = zarr.open_array(f"{there.url}/a.zip", path="x", mode="r", storage_options=there.obstore())
    proxy.latency(0.05)
    np.testing.assert_array_equal(z[:], GRID)
    assert proxy.peak > 4


def test_a_shard_of_an_archive_on_s3_is_read_in_parts(s3: Any) -> None:
    """Inner chunks of a shard in an archive are read."""
    put(s3, "a.zip", packed(shards=(10, 20)))
    for url in (f"{s3.url}/a.zip", f"zip::{s3.url}/a.zip"):
        z = zarr.open_group(url, mode="r", storage_options=s3.obstore())["x"]
        np.testing.assert_array_equal(z[:], GRID)
        np.testing.assert_array_equal(z[7, 3:6], GRID[7, 3:6])


def test_an_archive_that_was_replaced_while_it_is_read_is_an_error(s3: Any) -> None:
    """Bytes of another archive are never taken for those of a member."""
    put(s3, "a.zip", packed())
    z = zarr.open_array(f"{s3.url}/a.zip", path="x", mode="r", storage_options=s3.obstore())
    put(s3, "a.zip", packed(fill_value=1))
    with pytest.raises(BaseZarrError, match="replaced"):
        z[:]


def test_an_archive_behind_http_is_read_by_ranges(http_server: Any) -> None:
    """An archive on a web server is read, and members are listed by its directory."""
    (http_server.path / "a.zip").write_bytes(packed())
    root = zarr.open_group(f"{http_server.url()}/a.zip", mode="r")
    assert sorted(root) == ["x", "y"]
    np.testing.assert_array_equal(root["x"][:], GRID)
    with pytest.raises(FileNotFoundError):
        zarr.open_group(f"{http_server.url()}/b.zip", mode="r")
    (http_server.path / "c.zip").write_bytes(b"text")
    with pytest.raises(ArchiveError, match="not a zip archive"):
        zarr.open_group(f"{http_server.url()}/c.zip", mode="r")


def test_an_archive_in_a_file_system_of_fsspec() -> None:
    """An archive in a file system that is awaited, or is not, is read."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/test-zip/a.zip", packed())
    store = zarr.storage.FsspecStore(memory, path="/test-zip")
    inner = ZipStore(zarr.storage.StorePath(store, "a.zip"))
    np.testing.assert_array_equal(zarr.open_group(inner)["x"][:], GRID)
