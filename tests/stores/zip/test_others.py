"""Archives that other programs have written or read."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import PathNotFoundError
from fastzarr.storage import StorePath, ZipStore

_GOLDEN = Path(__file__).parents[2] / "golden"
GRID = np.arange(100, dtype="i4").reshape(10, 10)


@pytest.mark.parametrize("name", ["zarr2_stored", "zarr2_deflated"])
@pytest.mark.parametrize("data_path", ["native", "numpy"])
def test_an_archive_of_zarr_python_2_is_read_and_changed(
    name: str, data_path: str, tmp_path: Path
) -> None:
    """What golden/make_zarr2_stores.py wrote reads as written, duplicates included."""
    path = tmp_path / "a.zip"
    shutil.copy(_GOLDEN / f"{name}.zip", path)
    with zarr.config.set({"data_path": data_path}):
        root = zarr.open_group(path, mode="r")
        assert sorted(root) == ["deep", "part", "plain"]
        assert root.attrs["title"] == "B\u00e4r"
        np.testing.assert_array_equal(root["plain"][:], GRID)
        np.testing.assert_array_equal(root["deep/er/zlib"][2:7, ::-1], GRID[2:7, ::-1])
        assert root["part"][:].tolist() == [2.5] * 3 + [3.5] * 2 + [-1.0] * 5
        with zarr.open_group(path, mode="r+") as group:
            group["plain"][0] = 7
            group["part"].append(np.zeros(2))
            group.attrs["more"] = 1
        with zipfile.ZipFile(path) as found:
            assert found.testzip() is None
            assert len(set(found.namelist())) == len(found.namelist())
        again = zarr.open_group(path, mode="r")
        assert again["plain"][0].tolist() == [7] * 10
        assert again["part"].shape == (12,)
        assert dict(again.attrs) == {"title": "B\u00e4r", "more": 1}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zarr_python_reads_and_writes_the_same_archives(
    zarr_format: Any, compression: int, tmp_path: Path
) -> None:
    """zarr-python 3 reads what was written here, and the other way round."""
    peer = pytest.importorskip("zarr")
    path = tmp_path / "a.zip"
    with ZipStore(path, compression, mode="w") as store:
        root = zarr.create_group(store, zarr_format=zarr_format)
        root.create_array("a/b", data=GRID, chunks=(4, 4))
    store = peer.storage.ZipStore(path, mode="r")
    np.testing.assert_array_equal(peer.open_group(store, mode="r")["a/b"][:], GRID)
    store.close()
    other = tmp_path / "b.zip"
    store = peer.storage.ZipStore(other, mode="w", compression=compression)
    array = peer.create_array(
        store, name="c", shape=GRID.shape, chunks=(3, 3), dtype="i4", zarr_format=zarr_format
    )
    array[:] = GRID
    store.close()
    np.testing.assert_array_equal(zarr.open_array(other, path="c", mode="r")[:], GRID)


def test_sharded_arrays_are_read_in_parts(tmp_path: Path) -> None:
    """Of a shard in an archive only what is selected is read, by the extension and by its twin."""
    path = tmp_path / "a.zip"
    zarr.create_array(path, data=GRID, chunks=(1, 5), shards=(5, 10))
    for data_path in ("native", "numpy"):
        with zarr.config.set({"data_path": data_path}):
            z = zarr.open_array(path, mode="r")
            np.testing.assert_array_equal(z[3, 2:4], GRID[3, 2:4])
            np.testing.assert_array_equal(z[:, ::3], GRID[:, ::3])


def test_tensorstore_reads_an_archive(tmp_path: Path) -> None:
    """TensorStore's zip driver reads what was written here."""
    peer = pytest.importorskip("tensorstore")
    path = tmp_path / "a.zip"
    zarr.save(path, GRID)
    kvstore = {"driver": "zip", "base": f"file://{path}"}
    found = peer.open({"driver": "zarr3", "kvstore": kvstore}).result()
    np.testing.assert_array_equal(found.read().result(), GRID)


@pytest.mark.skipif(shutil.which("zip") is None, reason="the program zip is not installed")
@pytest.mark.parametrize("options", ["-qr", "-qr0", "-qrD", "stream"])
def test_an_archive_of_the_program_zip(options: str, tmp_path: Path) -> None:
    """A folder that zip has packed is read, also with folders, or sizes behind the data."""
    zarr.save(tmp_path / "f", a=GRID)
    path = tmp_path / "a.zip"
    if options == "stream":
        options, name = "-qr", "-"
    else:
        name = str(path)
    program = shutil.which("zip") or ""
    found = subprocess.run(  # noqa: S603  (a fixed program with fixed options)
        [program, options, name, "."], cwd=tmp_path / "f", check=True, capture_output=True
    )
    if name == "-":
        path.write_bytes(found.stdout)
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["a"][:], GRID)
    with zarr.open_group(path, mode="r+") as root:
        root["a"][0, 0] = 5
        root.store.compact()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert zarr.open_group(path, mode="r")["a"][0, 0] == 5


def test_a_folder_that_was_packed_with_its_name(tmp_path: Path) -> None:
    """The error for a hierarchy inside a folder of the archive says how to open it."""
    zarr.save(tmp_path / "f.zarr", a=GRID)
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path, "f.zarr")
    with pytest.raises(PathNotFoundError, match=r"path='f\.zarr'"):
        zarr.open(tmp_path / "a.zip", mode="r")
    root = zarr.open(tmp_path / "a.zip", path="f.zarr", mode="r")
    np.testing.assert_array_equal(root["a"][:], GRID)


def test_an_archive_of_this_package_is_changed_by_the_standard_library(tmp_path: Path) -> None:
    """A store that is open sees what another program has changed in its own way."""
    path = tmp_path / "a.zip"
    with ZipStore(path) as store:
        store["a"] = b"1"
    reader = ZipStore(path, mode="r")
    assert dict(reader) == {"a": b"1"}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b", b"2" * 500)
    assert dict(reader) == {"a": b"1", "b": b"2" * 500}
    replaced = io.BytesIO()
    with zipfile.ZipFile(replaced, "w") as archive:
        archive.writestr("c", b"3")
    new = tmp_path / "new"
    new.write_bytes(replaced.getvalue())
    new.replace(path)
    assert dict(reader) == {"c": b"3"}


def test_what_a_read_of_a_remote_archive_requests() -> None:
    """An array is opened by one request for the directory and one for its document."""
    held = io.BytesIO()
    with ZipStore(held, mode="w") as store:
        zarr.create_array(store, data=GRID, chunks=(4, 4))
    asked: list[Any] = []

    class Counted(zarr.storage.MemoryStore):
        def fetch(self, wanted: Any) -> Any:
            asked.extend(wanted)
            return super().fetch(wanted)

    outer = Counted({"x/a.zip": held.getvalue()})
    z = zarr.open_array(ZipStore(StorePath(outer, "x/a.zip")), mode="r")
    assert len(asked) <= 3
    asked.clear()
    np.testing.assert_array_equal(z[:], GRID)
    assert len(asked) == 9
    asked.clear()
    np.testing.assert_array_equal(z[:4, :4], GRID[:4, :4])
    assert len(asked) == 1
