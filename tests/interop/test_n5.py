"""N5 between fastzarr and other libraries: zarr-python 2 by its bytes, z5py and TensorStore.

golden/make_n5.py wrote the hierarchies of zarr-python 2, and n5.npz has their arrays.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastzarr

_GOLDEN = Path(__file__).parent.parent / "golden"
with np.load(_GOLDEN / "n5.npz", allow_pickle=False) as _archive:
    EXPECTED = dict(_archive)

DATA_TYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8")
COMPRESSIONS: dict[str, dict[str, Any]] = {
    "raw": {"type": "raw"},
    "gzip": {"type": "gzip", "level": 3},
    "zlib": {"type": "gzip", "level": 3, "useZlib": True},
    "bzip2": {"type": "bzip2", "blockSize": 3},
    "xz": {"type": "xz", "preset": 1},
    "blosc": {"type": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
    "zstd": {"type": "zstd", "level": 2},
}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden")
    with zipfile.ZipFile(_GOLDEN / "n5.zip") as archive:
        archive.extractall(path)
    return path


@pytest.mark.parametrize("name", EXPECTED)
def test_an_array_reads_as_in_zarr_2(name: str, golden: Path, data_path: str) -> None:
    del data_path
    expected = EXPECTED[name]
    array = fastzarr.open_array(golden / name, mode="r")
    assert (array.metadata.zarr_format, array.dtype, array.shape) == (
        "n5",
        expected.dtype,
        expected.shape,
    )
    np.testing.assert_array_equal(array[...], expected)
    if array.ndim == 2:
        np.testing.assert_array_equal(array[1:6, ::-3], expected[1:6, ::-3])


@pytest.mark.parametrize("kind", ["dir.n5", "fs.n5"])
def test_a_hierarchy_is_that_of_zarr_2(kind: str, golden: Path) -> None:
    root = fastzarr.open_group(golden / kind, mode="r")
    assert dict(root.attrs) == {"title": "golden"}
    assert list(root) == ["compressors", "data_types", "groups", "shapes"]
    nested = root["groups/inner/innermost"]
    assert dict(nested.attrs) == {"list": [1, {"a": None}, "ä"]}
    assert dict(nested["array"].attrs) == {"units": "nm", "_ARRAY_DIMENSIONS": ["y", "x"]}
    names = {f"{kind}/{path}" for path, node in root.walk() if node.node_type == "array"}
    assert names == {name for name in EXPECTED if name.startswith(kind)}


@pytest.mark.parametrize("kind", ["root_dir.n5", "root_fs.n5"])
def test_the_root_may_be_an_array(kind: str, golden: Path) -> None:
    array = fastzarr.open(golden / kind, mode="r")
    assert dict(array.attrs) == {"of": "the root"}
    assert array.chunks == (3, 4)


def test_what_is_written_is_what_zarr_2_wrote(golden: Path, tmp_path: Path) -> None:
    # Only types of compression that give the same bytes everywhere.
    theirs = fastzarr.open_group(golden / "dir.n5", mode="r")
    mine = fastzarr.open_group(tmp_path / "mine.n5")
    for name in ("data_types/i2", "data_types/f8", "compressors/bzip2"):
        source = theirs[name]
        mine.create_array(
            name, data=source[...], chunks=source.chunks, compressors=source.compressor
        )
        for key in theirs.store.list(name):
            if key.endswith("attributes.json"):
                document = json.loads(mine.store[key])
                assert document.pop("n5") == "2.0.0"
                assert document == json.loads(theirs.store[key])
            else:
                assert mine.store[key] == theirs.store[key]


def _values(dtype: str) -> np.ndarray[Any, Any]:
    return (np.arange(7 * 11).reshape(7, 11) % 100).astype(dtype)


class Theirs:
    """An array of TensorStore in a folder, with a type of compression and values for it."""

    def __init__(self, tensorstore: Any, path: Path, kind: str, values: np.ndarray[Any, Any]):
        self.tensorstore, self.path, self.values = tensorstore, path, values
        self.compression = COMPRESSIONS[kind]

    def open(self, **words: Any) -> Any:
        spec = {"driver": "n5", "kvstore": {"driver": "file", "path": f"{self.path}/"}} | words
        return self.tensorstore.open(spec).result()

    def check(self) -> None:
        found = self.open()
        assert found.dtype.numpy_dtype == self.values.dtype
        np.testing.assert_array_equal(found.read().result().T, self.values)


@pytest.fixture(params=DATA_TYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=COMPRESSIONS)
def theirs(request: pytest.FixtureRequest, dtype: str, tmp_path: Path, data_path: str) -> Theirs:
    del data_path
    tensorstore = pytest.importorskip("tensorstore")
    return Theirs(tensorstore, tmp_path / "a.n5", request.param, _values(dtype))


def test_tensorstore_reads_what_is_written(theirs: Theirs) -> None:
    words = {"chunks": (3, 4), "compressors": theirs.compression}
    fastzarr.create_array(theirs.path, data=theirs.values, **words)
    theirs.check()


def test_what_tensorstore_writes_is_read(theirs: Theirs) -> None:
    values = theirs.values
    metadata = {
        "dimensions": [11, 7],
        "blockSize": [4, 3],
        "dataType": values.dtype.name,
        "compression": {k: v for k, v in theirs.compression.items() if k != "blocksize"},
        "axes": ["x", "y"],
    }
    theirs.open(metadata=metadata, create=True)[...] = values.T
    array = fastzarr.open_array(theirs.path)
    np.testing.assert_array_equal(array[...], values)
    assert dict(array.attrs) == {"axes": ["x", "y"]}
    array[2:5, 3:6] = 99
    values[2:5, 3:6] = 99
    array.attrs["units"] = ["nm", "nm"]
    theirs.check()


# z5py has no zlib, and stores a bare LZ4 block as lz4.
_Z5 = [kind for kind in COMPRESSIONS if kind != "zlib"]


@pytest.mark.parametrize("kind", _Z5)
def test_z5py_reads_what_is_written(kind: str, dtype: str, tmp_path: Path) -> None:
    z5py = pytest.importorskip("z5py")
    values = _values(dtype)
    root = fastzarr.open_group(tmp_path / "a.n5", attributes={"title": "mine"})
    root.create_array(
        "g/a",
        data=values,
        chunks=(3, 4),
        compressors=COMPRESSIONS[kind],
        attributes={"b": 1},
    )
    with z5py.File(str(tmp_path / "a.n5"), "r") as file:
        assert file.attrs["title"] == "mine"
        np.testing.assert_array_equal(file["g/a"][:], values)
        assert file["g/a"].attrs["b"] == 1


@pytest.mark.parametrize("kind", [*_Z5, "lz4"])
def test_what_z5py_writes_is_read(kind: str, dtype: str, tmp_path: Path, data_path: str) -> None:
    del data_path
    z5py = pytest.importorskip("z5py")
    values = _values(dtype)
    path = tmp_path / "a.n5"
    with z5py.File(str(path), "a", use_zarr_format=False) as file:
        file.create_group("empty/inner")
        data = file.create_dataset(
            "g/a", shape=values.shape, chunks=(3, 4), dtype=values.dtype.name, compression=kind
        )
        data[:] = values
        data.attrs["b"] = [1, 2]
    root = fastzarr.open_group(path)
    assert (list(root), list(root["empty"])) == (["empty", "g"], ["inner"])
    array = root["g/a"]
    np.testing.assert_array_equal(array[...], values)
    np.testing.assert_array_equal(array[5:, ::-2], values[5:, ::-2])
    assert dict(array.attrs) == {"b": [1, 2]}
    # A partial write keeps what a truncated block has, and fills what it lacks.
    array[6, 9:] = 77
    values[6, 9:] = 77
    np.testing.assert_array_equal(array[...], values)
    root.attrs["title"] = "theirs"
    with z5py.File(str(path), "r") as file:
        assert (file.attrs["title"], file["g/a"].attrs["b"]) == ("theirs", [1, 2])
