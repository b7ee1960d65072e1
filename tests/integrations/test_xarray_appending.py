"""``to_fastzarr`` with ``append_dim``: several writers, writers that fail, and what is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from fsspec.implementations.local import LocalFileSystem
from waits import join

import fastzarr
from fastzarr.errors import StaleArrayError
from fastzarr.integrations.xarray import FastzarrBackendEntrypoint, to_fastzarr
from fastzarr.stores import FsspecStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path


def read(store: Any) -> xr.Dataset:
    return xr.open_dataset(store, engine=FastzarrBackendEntrypoint).load()


def rows(value: int, length: int = 3, *, blocks: int | None = 2) -> xr.Dataset:
    """Return rows of which every variable says who has written them."""
    ds = xr.Dataset(
        {"b": (("t", "x"), np.full((length, 4), value)), "c": ("t", np.full(length, value))},
        {"t": np.full(length, value), "a": ("t", np.full(length, value))},
    )
    return ds if blocks is None else ds.chunk({"t": blocks, "x": 3})


def start(store: Any) -> None:
    to_fastzarr(rows(0), store, encoding={"b": {"chunks": (2, 3)}})


def test_rows_of_several_writers_belong_together(tmp_path: Path) -> None:
    start(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda n: to_fastzarr(
                    rows(n, blocks=2 if n % 2 else None), tmp_path, append_dim="t"
                ),
                range(1, 9),
            )
        )
    found = read(tmp_path)
    assert sorted(found.t.values.tolist()) == sorted(list(range(9)) * 3)
    for name in "abc":
        values = found[name].values.reshape(27, -1)
        assert (values == found.t.values[:, None]).all(), name


def _append(path: Path, value: int, *, die: bool) -> None:
    ds = rows(value)
    if die:

        def block(values: Any) -> Any:
            if values.shape[0] == 1:  # the last one
                os._exit(9)
            return values

        ds["b"] = ds["b"].copy(data=da.map_blocks(block, ds["b"].data, dtype=int, meta=ds.b.data))
    with dask.config.set(scheduler="synchronous"):
        to_fastzarr(ds, path, append_dim="t")


def test_processes_append_in_turn_and_one_that_is_killed_appends_nothing(tmp_path: Path) -> None:
    start(tmp_path)
    spawn = multiprocessing.get_context("spawn")
    writers = [
        spawn.Process(target=_append, args=(tmp_path, n), kwargs={"die": n == 2}) for n in (1, 2, 3)
    ]
    for writer in writers:
        writer.start()
    join(*writers)
    assert [writer.exitcode for writer in writers] == [0, 9, 0]
    found = read(tmp_path)
    assert sorted(found.t.values.tolist()) == sorted([0, 1, 3] * 3)
    assert (found.b.values == found.t.values[:, None]).all()


@pytest.mark.parametrize("make", [MemoryStore, None])
def test_a_block_that_fails_leaves_the_dataset_as_it_was(make: Any, tmp_path: Path) -> None:
    store = tmp_path if make is None else make()
    start(store)

    def fail(values: Any) -> Any:
        if values.shape[0] == 1:
            msg = "no more"
            raise ValueError(msg)
        return values

    bad = rows(7)
    bad["b"] = bad["b"].copy(data=da.map_blocks(fail, bad["b"].data, dtype=int, meta=bad.b.data))
    with pytest.raises(ValueError, match="no more"):
        to_fastzarr(bad, store, append_dim="t")
    xr.testing.assert_identical(read(store), rows(0).load())
    to_fastzarr(rows(1), store, append_dim="t")
    assert read(store).b.values[:, 0].tolist() == [0, 0, 0, 1, 1, 1]


def test_blocks_see_the_old_shape_until_all_are_stored(tmp_path: Path) -> None:
    start(tmp_path)
    seen = []

    def look(values: Any) -> Any:
        group = fastzarr.open_group(tmp_path, "r", use_consolidated=False)
        seen.append({array.shape[0] for _, array in group.arrays()})
        return values

    ds = rows(7)
    ds["b"] = ds["b"].copy(data=da.map_blocks(look, ds["b"].data, dtype=int, meta=ds.b.data))
    to_fastzarr(ds, tmp_path, append_dim="t")
    assert seen == [{3}] * 4
    assert read(tmp_path).sizes["t"] == 6


def test_arrays_of_different_lengths_are_not_appended_to(tmp_path: Path) -> None:
    start(tmp_path)
    group = fastzarr.open_group(tmp_path, "r+")
    group["t"].append([9])
    for blocks in (2, None):
        with pytest.raises(ValueError, match=r"'/c': 3, '/t': 4.*3 long with their resize"):
            to_fastzarr(rows(1, blocks=blocks), tmp_path, append_dim="t")
    group["t"].resize(3)
    to_fastzarr(rows(1), tmp_path, append_dim="t")
    assert read(tmp_path).b.values[:, 0].tolist() == [0, 0, 0, 1, 1, 1]


def test_another_writer_meanwhile_is_noticed_where_a_chunk_could_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsafe() -> FsspecStore:
        return FsspecStore(LocalFileSystem(auto_mkdir=True), path=str(tmp_path / "unsafe.zarr"))

    to_fastzarr(rows(0, 4), unsafe(), encoding={"b": {"chunks": (2, 3)}})
    from fastzarr.integrations.xarray import writing

    before = writing.append

    def append(*args: Any) -> None:
        monkeypatch.setattr(writing, "append", before)
        to_fastzarr(rows(1, 1, blocks=None), unsafe(), append_dim="t")
        before(*args)

    monkeypatch.setattr(writing, "append", append)
    with pytest.raises(StaleArrayError, match="another writer has appended"):
        to_fastzarr(rows(2, 4), unsafe(), append_dim="t")
    assert read(unsafe()).b.values[:, 0].tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("blocks", [2, 3])
def test_blocks_that_end_where_new_chunks_do_may_be_appended_to_any_store(
    blocks: int, tmp_path: Path
) -> None:
    store = FsspecStore(LocalFileSystem(auto_mkdir=True), path=str(tmp_path / "unsafe.zarr"))
    to_fastzarr(rows(0, 4), store, encoding={"b": {"chunks": (2, 3)}})
    if blocks == 3:
        with pytest.raises(ValueError, match="ends at element 7"):
            to_fastzarr(rows(1, 6, blocks=3), store, append_dim="t")
    to_fastzarr(rows(1, 6, blocks=blocks), store, append_dim="t", align_chunks=blocks == 3)
    assert read(store).b.values[:, 0].tolist() == [0] * 4 + [1] * 6


def test_no_rows_can_be_appended(tmp_path: Path) -> None:
    start(tmp_path)
    for blocks in (None, 2):
        to_fastzarr(rows(1, 0, blocks=blocks), tmp_path, append_dim="t")
    xr.testing.assert_identical(read(tmp_path), rows(0).load())


@pytest.mark.parametrize("blocks", [None, 2])
def test_a_store_that_takes_no_chunks_beyond_a_shape_can_be_appended_to(blocks: int | None) -> None:
    """Icechunk is such a store: it commits chunks and documents together."""

    class Strict(MemoryStore):
        document_first = True

        def _set(self, key: str, value: Any) -> None:
            name, _, chunk = key.partition("/c/")
            if chunk:
                found = json.loads(self.get(f"{name}/zarr.json"))
                sizes = found["chunk_grid"]["configuration"]["chunk_shape"]
                for at, size, n in zip(chunk.split("/"), sizes, found["shape"], strict=True):
                    assert int(at) * size < n, key
            super()._set(key, value)

    store = Strict()
    start(store)
    for value in (1, 2):
        to_fastzarr(rows(value, blocks=blocks), store, append_dim="t")
    assert read(store).b.values[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    "how", [{"append_dim": "t"}, {"region": {"t": slice(0, 2)}}, {"mode": "a"}]
)
@pytest.mark.parametrize("kind", ["M8[ns]", "m8[ns]"])
@pytest.mark.filterwarnings("ignore:Time:UserWarning")
def test_times_that_the_stored_units_cannot_express_are_refused(how: Any, kind: str) -> None:
    days = np.array([0, 1], "m8[D]").astype("m8[ns]")
    begin = np.datetime64("2000-01-01", "ns") if kind == "M8[ns]" else np.timedelta64(0, "ns")
    to_fastzarr(xr.Dataset({"a": ("t", begin + days)}), store := {})
    finer = xr.Dataset({"a": ("t", begin + days + np.timedelta64(6, "h"))})
    with pytest.raises(ValueError, match="'a' is stored as int64 in 'days"):
        to_fastzarr(finer, store, **how)
    np.testing.assert_array_equal(read(store).a, begin + days)
    to_fastzarr(xr.Dataset({"a": ("t", begin + 2 * days)}), store, **how)
    np.testing.assert_array_equal(read(store).a[-2:], begin + 2 * days)


def test_stored_units_may_be_spelled_otherwise() -> None:
    start = np.array(["2000-01-01", "2000-01-02"], "M8[ns]")
    for units in ("Day since 2000-01-01 00:00:00", "hours since 1999-01-01T00:00"):
        ds = xr.Dataset({"a": ("t", start, {}, {"units": units, "dtype": "i8"})})
        to_fastzarr(ds, store := {})
        to_fastzarr(ds, store, append_dim="t")
        np.testing.assert_array_equal(read(store).a, [*start, *start])


@pytest.mark.parametrize("blocks", [False, True])
def test_a_part_of_new_rows_is_appended_when_it_is_stored(blocks: bool) -> None:
    zeros, ones = (xr.Dataset({"a": (("x", "y"), np.full((2, n), n / 2 - 1))}) for n in (2, 4))
    to_fastzarr(ones, store := MemoryStore())
    longer = zeros.chunk(x=1) if blocks else zeros
    words: dict[str, Any] = {"append_dim": "x", "region": {"y": slice(1, 3)}, "mode": "a"}
    seen = []

    def fail(*_: Any, **__: Any) -> None:
        seen.append(fastzarr.open_group(store)["a"].shape)
        message = "the disk is full"
        raise OSError(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastzarr.engine.run.run_write", fail)
        with pytest.raises(OSError, match="the disk is full"):
            to_fastzarr(longer, store, **words)
    assert set(seen) == {(2, 4)}
    assert fastzarr.open_group(store)["a"].shape == (2, 4)
    to_fastzarr(longer, store, **words)
    expected = [[1.0] * 4] * 2 + [[np.nan, 0, 0, np.nan]] * 2
    np.testing.assert_array_equal(fastzarr.open_group(store)["a"][:], expected)
