"""Arrays and datasets that several processes write to S3 by dask; see test_distributed.py."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from distributed import Client, LocalCluster
from servers import s3 as seaweed

import fastzarr
from fastzarr.integrations.dask import from_zarr, store, to_zarr
from fastzarr.integrations.xarray import FastzarrBackendEntrypoint, to_fastzarr

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two processes with credentials, which no pickle has; each runs two tasks at once."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", seaweed.KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", seaweed.SECRET)
        with (
            LocalCluster(
                n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0"
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def pids(client: Client) -> set[int]:
    return set(client.run(lambda: __import__("os").getpid()).values())


def test_blocks_that_share_chunks_lose_nothing_on_s3(client: Client, s3: seaweed.Prefix) -> None:
    """Blocks end inside chunks, so tasks of two processes change one object."""
    assert len(pids(client)) == 2
    data = np.arange(40 * 8, dtype="i4").reshape(40, 8)
    z = fastzarr.create_array(
        s3.store("fastzarr"), name="a", shape=(40, 8), chunks=(20, 8), dtype="i4"
    )
    store(da.from_array(data, chunks=(7, 8)), z)
    np.testing.assert_array_equal(z[:], data)
    np.testing.assert_array_equal(zarr.open_array(s3.store("zarr"), path="a", mode="r")[:], data)
    assert int(from_zarr(z).sum().compute()) == data.sum()


@pytest.mark.usefixtures("client")
def test_arrays_are_created_by_url(s3: seaweed.Prefix) -> None:
    source = da.random.default_rng(0).normal(size=(12, 6), chunks=(4, 6))
    z = to_zarr(source, s3.url, "b", storage_options=s3.obstore())
    again = from_zarr(s3.url, "b", storage_options=s3.obstore())
    assert again.chunks == source.chunks
    assert float(abs(again - source).max().compute()) == 0
    assert z.nchunks_initialized == 3


@pytest.mark.usefixtures("client")
def test_datasets_are_written_and_read_by_processes(s3: seaweed.Prefix) -> None:
    ds = xr.Dataset(
        {"sst": (("time", "x"), np.arange(48.0).reshape(12, 4)), "depth": ("x", [1, 2, 3, 4])},
        {"time": np.arange(12), "label": ("x", list("abcd"))},
    )
    place = s3.store("fastzarr")
    later = ds.chunk({"time": 4}).fastzarr.to_zarr(place, group="ocean", compute=False)
    lazy: Any = xr.open_dataset(place, engine=FastzarrBackendEntrypoint, group="ocean", chunks={})
    assert lazy.sst.isnull().all()
    later.compute()
    assert float(lazy.sst.mean()) == float(ds.sst.mean())
    xr.testing.assert_identical(lazy.load(), ds)
    theirs = xr.open_zarr(s3.store("zarr"), group="ocean")
    xr.testing.assert_identical(theirs.load(), ds)


def write_part(place: Any, start: int) -> int:
    """Write the values of one month, as each of many jobs does."""
    part = xr.Dataset(
        {"sst": (("time", "x"), np.full((3, 4), start))}, {"time": np.arange(start, start + 3)}
    )
    to_fastzarr(part, place, region="auto")
    return start


def test_jobs_write_regions_that_share_chunks(client: Client, s3: seaweed.Prefix) -> None:
    place = s3.store("fastzarr")
    whole = xr.Dataset(
        {"sst": (("time", "x"), da.full((24, 4), -1, chunks=(8, 4)))}, {"time": np.arange(24)}
    )
    whole.fastzarr.to_zarr(place, compute=False)
    jobs = [client.submit(write_part, place, start) for start in range(0, 24, 3)]
    assert client.gather(jobs) == list(range(0, 24, 3))
    found = fastzarr.open_group(place, mode="r")["sst"][:]
    np.testing.assert_array_equal(found, np.repeat(np.arange(0, 24, 3), 3)[:, None].repeat(4, 1))


def test_a_pickled_array_is_the_same_to_dask(s3: seaweed.Prefix) -> None:
    z = fastzarr.create_array(s3.store("fastzarr"), name="c", data=np.arange(3))
    again = pickle.loads(pickle.dumps(z))
    assert from_zarr(again).name == from_zarr(z).name
    np.testing.assert_array_equal(again[:], [0, 1, 2])
