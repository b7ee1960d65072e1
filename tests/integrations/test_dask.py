"""dask's arrays over arrays of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem

import fastzarr
from fastzarr.integrations.dask import from_zarr, store, to_zarr
from fastzarr.stores import FsspecStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

DATA = np.arange(48.0).reshape(8, 6)


def make(place: Any, **kwargs: Any) -> fastzarr.Array:
    return fastzarr.create_array(
        place, **{"shape": (8, 6), "chunks": (3, 4), "dtype": "f8"} | kwargs
    )


def test_dasks_own_functions_take_our_arrays(tmp_path: Path) -> None:
    z, out = make(tmp_path / "a.zarr"), make(tmp_path / "b.zarr")
    z[:] = DATA
    x = da.from_array(z)
    assert x.name == da.from_array(fastzarr.open_array(tmp_path / "a.zarr")).name
    da.store(x + 1, out, lock=False)
    np.testing.assert_array_equal(out[:], DATA + 1)
    np.testing.assert_array_equal(x[5:2:-1, [0, 3]].compute(), DATA[5:2:-1, [0, 3]])


def test_blocks_are_stored_objects(tmp_path: Path) -> None:
    sharded = make(tmp_path / "a.zarr", chunks=(1, 2), shards=(4, 4))
    assert from_zarr(sharded).chunks == ((4, 4), (4, 2))
    with dask.config.set({"array.chunk-size": "64B"}):
        assert from_zarr(sharded).chunks == ((1,) * 8, (2, 2, 2))
    assert from_zarr(sharded, chunks=(8, 3)).chunks == ((8,), (3, 3))
    irregular = make(tmp_path / "b.zarr", chunks=((1, 5, 2), 6))
    assert from_zarr(irregular).chunks == ((1, 5, 2), (6,))
    assert from_zarr(make({}, shape=(0, 3))).compute().shape == (0, 3)
    assert from_zarr(make({}, shape=(), chunks=(), fill_value=2.5)).compute() == 2.5


def test_arrays_of_other_elements() -> None:
    text = fastzarr.create_array(
        {}, data=np.array(["a", "bb", ""], dtype=object), dtype=str, chunks=2
    )
    assert from_zarr(text).compute().tolist() == ["a", "bb", ""]
    assert from_zarr(text).dtype == np.dtypes.StringDType()
    records = fastzarr.create_array({}, data=np.array([(1, 2.5)], dtype=[("n", "i4"), ("x", "f8")]))
    assert from_zarr(records)["x"].compute().tolist() == [2.5]


def test_arrays_are_opened_and_created_by_path(tmp_path: Path) -> None:
    source = da.from_array(DATA, chunks=(3, 4))
    z = to_zarr(source, tmp_path / "a.zarr", "deep/a", attributes={"units": "m"}, zarr_format=2)
    assert (z.chunks, z.path, dict(z.attrs)) == ((3, 4), "deep/a", {"units": "m"})
    np.testing.assert_array_equal(from_zarr(tmp_path / "a.zarr", "deep/a").compute(), DATA)
    uneven = to_zarr(source.rechunk(((1, 5, 2), (6,))), tmp_path / "b.zarr")
    assert uneven.chunks == (5, 6)
    np.testing.assert_array_equal(uneven[:], DATA)
    with pytest.raises(fastzarr.errors.ContainsArrayError):
        to_zarr(source, tmp_path / "b.zarr")
    with pytest.raises(TypeError, match="exists already"):
        to_zarr(source, z, attributes={})
    sharded = to_zarr(source, {}, shards=(8, 6), chunks=(2, 6))
    assert (sharded.shards, sharded.chunks) == ((8, 6), (2, 6))


def test_later_and_read_back(tmp_path: Path) -> None:
    z = make(tmp_path / "a.zarr")
    source = da.from_array(DATA, chunks=(3, 4))
    later = store(source, z, compute=False)
    assert z.nchunks_initialized == 0
    dask.compute(later)
    np.testing.assert_array_equal(z[:], DATA)
    read = store(
        [source + 1, source[:2]], [z, z], [None, (slice(6, 8), slice(None))], return_stored=True
    )
    np.testing.assert_array_equal(read[0].compute()[:6], (DATA + 1)[:6])
    np.testing.assert_array_equal(read[1].compute(), DATA[:2])
    # What is returned reads what is stored, and does not compute the source again.
    z[:] = 0
    assert not read[0].compute().any()


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_blocks_that_share_chunks_lose_nothing(tmp_path: Path, scheduler: str) -> None:
    """Eight tasks at once change each chunk."""
    z = fastzarr.create_array(tmp_path / "a.zarr", shape=(64, 8), chunks=(64, 4), dtype="i4")
    data = np.arange(512).reshape(64, 8)
    with dask.config.set(scheduler=scheduler, num_workers=4):
        store(da.from_array(data, chunks=(8, 8)), z)
    np.testing.assert_array_equal(z[:], data)


def test_no_chunk_has_two_writers_where_changes_could_be_lost(tmp_path: Path) -> None:
    writers: dict[str, set[int]] = {}

    class Watched(FsspecStore):
        def _set(self, key: str, value: Any) -> None:
            writers.setdefault(key, set()).add(len(writers))
            assert len(writers[key]) == 1, f"{key} was written twice"
            super()._set(key, value)

    place = Watched(LocalFileSystem(auto_mkdir=True), path=str(tmp_path / "a.zarr"))
    z = fastzarr.create_array(place, shape=(64, 8), chunks=(10, 4), dtype="i4")
    writers.clear()
    data = np.arange(480).reshape(60, 8)
    store(da.from_array(data, chunks=(7, 3)), z, (slice(2, 62), slice(None)))
    np.testing.assert_array_equal(z[2:62], data)
    assert len(writers) == 14
    with pytest.raises(ValueError, match="steps"):
        store(da.zeros((32, 8)), z, (slice(None, None, 2), slice(None)))


def test_a_wrong_shape_writes_nothing() -> None:
    z = make(MemoryStore())
    with pytest.raises(ValueError, match=r"shape \(8, 6\)"):
        store(da.ones((8, 5)), z)
    with pytest.raises(ValueError, match="a target and a region for each source"):
        store([da.ones((8, 6))], [z, z])
    assert z.nchunks_initialized == 0


def test_results_follow_the_array_api() -> None:
    """What is read is of NumPy, which implements the standard, its scalars included."""
    z = make({})
    for found in (z[...], z[0], z.oindex[[0], [1]], z.vindex[[0], [1]], z.blocks[0, 0], z[0, 0]):
        assert found.__array_namespace__() is np
    xp = z[...].__array_namespace__()
    assert float(xp.sum(xp.asarray(z))) == 0.0


def test_blocks_have_new_names_after_a_write(tmp_path: Path) -> None:
    z = fastzarr.create_array(tmp_path, data=np.zeros(4), chunks=2)
    before = from_zarr(z)
    assert from_zarr(z).name == before.name == from_zarr(tmp_path).name
    store(da.ones(4, chunks=2), z, scheduler="processes")
    assert from_zarr(z).name != before.name
    assert from_zarr(z).sum().compute() == 4
