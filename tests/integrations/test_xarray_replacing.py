"""``to_fastzarr`` with ``mode="w"``: what others see, and what is left after a failure."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from waits import join

import fastzarr
from fastzarr.errors import ContainsFilesError
from fastzarr.integrations.xarray import FastzarrBackendEntrypoint, to_fastzarr
from fastzarr.stores import MemoryStore, ZipStore

if TYPE_CHECKING:
    from pathlib import Path


def read(store: Any, **kwargs: Any) -> xr.Dataset:
    return xr.open_dataset(store, engine=FastzarrBackendEntrypoint, **kwargs).load()


def dataset(value: int, blocks: int | None = None) -> xr.Dataset:
    ds = xr.Dataset({"a": ("x", np.full(4, value)), f"b{value}": ("x", np.full(4, value))})
    return ds if blocks is None else ds.chunk({"x": blocks})


def calling(ds: xr.Dataset, function: Any) -> xr.Dataset:
    """Return a dataset, the blocks of which call a function when they are computed."""

    def block(values: Any) -> Any:
        function()
        return values

    data = ds["a"].data
    return ds.assign(a=("x", da.map_blocks(block, data, dtype=data.dtype, meta=data)))


@pytest.fixture(params=["folder", "memory", "archive"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "folder":
        return tmp_path / "a.zarr"
    return MemoryStore() if request.param == "memory" else ZipStore(tmp_path / "a.zip", mode="a")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("group", [None, "inner/deep"])
@pytest.mark.parametrize("blocks", [None, 2])
def test_the_new_dataset_has_nothing_of_the_old_one(
    store: Any, version: int, group: str | None, blocks: int | None
) -> None:
    for value in (1, 2):
        written = to_fastzarr(dataset(value, blocks), store, "w", group=group, zarr_format=version)
        assert sorted(written) == ["a", f"b{value}"]
        written.attrs["note"] = "a handle of what is stored"
        xr.testing.assert_equal(read(store, group=group), dataset(value))
    assert read(store, group=group).attrs == {"note": "a handle of what is stored"}


@pytest.mark.parametrize("group", [None, "inner"])
def test_metadata_is_consolidated_as_before(store: Any, group: str | None) -> None:
    for _ in range(2):
        to_fastzarr(dataset(1), store, "w", group=group)
        assert read(store, group=group, consolidated=True).equals(dataset(1))


def test_what_stands_beside_a_group_that_is_replaced_stays(store: Any) -> None:
    for value in (1, 2):
        to_fastzarr(dataset(7), store, "w", group=f"g{value}")
    to_fastzarr(dataset(3), store, "w", group="g2")
    assert read(store, group="g1").equals(dataset(7))
    assert read(store, group="g2").equals(dataset(3))


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_failure_leaves_the_old_dataset(kind: str, tmp_path: Path) -> None:
    store: Any = tmp_path / "a.zarr"
    if kind == "archive":
        store = ZipStore(tmp_path / "a.zip", mode="a")
    to_fastzarr(dataset(1), store)
    bad = dataset(2)
    bad["c"] = "x", np.array(["text", b"bytes", 5, None], dtype=object)
    with pytest.raises((TypeError, ValueError)):
        to_fastzarr(bad, store, "w")

    def fail() -> None:
        msg = "no more"
        raise ValueError(msg)

    if kind == "folder":
        with pytest.raises(ValueError, match="no more"):
            to_fastzarr(calling(dataset(2, 2), fail), store, "w")
        assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
    assert read(store).equals(dataset(1))


def test_readers_see_the_old_dataset_until_the_new_one_is_whole(tmp_path: Path) -> None:
    seen: list[xr.Dataset] = []
    to_fastzarr(dataset(1), tmp_path / "a.zarr")
    to_fastzarr(
        calling(dataset(2, 2), lambda: seen.append(read(tmp_path / "a.zarr"))),
        tmp_path / "a.zarr",
        "w",
    )
    assert len(seen) == 2
    assert all(found.equals(dataset(1)) for found in seen)
    assert read(tmp_path / "a.zarr").equals(dataset(2))


def _die(path: Path) -> None:
    with dask.config.set(scheduler="synchronous"):
        to_fastzarr(calling(dataset(2, 2), lambda: os._exit(9)), path, "w")


def test_a_writer_that_is_killed_leaves_the_old_dataset(tmp_path: Path) -> None:
    to_fastzarr(dataset(1), tmp_path / "a.zarr")
    writer = multiprocessing.get_context("spawn").Process(target=_die, args=(tmp_path / "a.zarr",))
    writer.start()
    join(writer)
    assert writer.exitcode == 9
    assert read(tmp_path / "a.zarr").equals(dataset(1))
    to_fastzarr(dataset(3, 2), tmp_path / "a.zarr", "w")
    assert read(tmp_path / "a.zarr").equals(dataset(3))


def test_other_processes_write_their_blocks(tmp_path: Path) -> None:
    to_fastzarr(dataset(1), tmp_path / "a.zarr")
    with dask.config.set(scheduler="processes", num_workers=2):
        to_fastzarr(dataset(2, 2), tmp_path / "a.zarr", "w")
    assert read(tmp_path / "a.zarr").equals(dataset(2))


def test_a_tree_is_replaced_as_a_whole(store: Any) -> None:
    for value in (1, 2):
        tree = xr.DataTree.from_dict(
            {"/": dataset(value), f"/c{value}/d": dataset(value), "/e": dataset(value)}
        )
        to_fastzarr(tree, store, "w")
    found = xr.open_datatree(store, engine=FastzarrBackendEntrypoint).load()
    xr.testing.assert_equal(found, tree)


def test_files_that_are_not_of_zarr_are_not_deleted(tmp_path: Path) -> None:
    to_fastzarr(dataset(1), tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "notes.txt").write_text("mine")
    with pytest.raises(ContainsFilesError):
        to_fastzarr(dataset(2), tmp_path / "a.zarr", "w")
    assert read(tmp_path / "a.zarr").equals(dataset(1))
    assert fastzarr.open_group(tmp_path / "a.zarr")["a"].shape == (4,)
