"""xarray's engine ``fastzarr``, beside xarray with zarr-python."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from installed import install_own

import fastzarr
from fastzarr.integrations.xarray import FastzarrBackendEntrypoint
from fastzarr.stores import MemoryStore, ZipStore

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE = FastzarrBackendEntrypoint
FORMATS = [2, 3]


def ocean() -> xr.Dataset:
    """Return a dataset with a variable of each kind."""
    generator = np.random.default_rng(0)
    time = pd.date_range("2000-01-01", periods=6, freq="D")
    masked = generator.normal(size=(6, 4)).astype("f4")
    masked[0, 0] = np.nan
    return xr.Dataset(
        {
            "sst": (("time", "x"), generator.normal(size=(6, 4)), {"units": "K"}),
            "packed": (("time", "x"), np.round(generator.normal(size=(6, 4)), 2), {}),
            "masked": (("time", "x"), masked),
            "count": ("x", np.arange(4, dtype="i2")),
            "flag": ("x", np.array([True, False, True, True])),
            "phase": ("x", np.arange(4) * 1j),
            "fixed": ("x", np.array(["a", "bb", "c", "dd"])),
            "text": ("x", np.array(["a", "", "c", "déjà"], dtype=object)),
            "bytes": ("x", np.array([b"a", b"bb", b"c", b"dd"])),
            "age": ("time", (time - time[0]).values),
            "scalar": ((), 7.5),
            "empty": (("none", "x"), np.zeros((0, 4))),
        },
        {"time": time, "x": [0.5, 1.5, 2.5, 3.5], "label": ("x", list("abcd"))},
        {"title": "an ocean", "levels": [1, 2]},
    )


ENCODING = {
    "packed": {"dtype": "i2", "scale_factor": 0.01, "_FillValue": -999, "chunks": (2, 4)},
    "time": {"units": "hours since 1999-12-01"},
}


@pytest.fixture(params=FORMATS)
def version(request: pytest.FixtureRequest) -> Iterator[int]:
    with zarr.config.set({"default_zarr_format": request.param}):
        yield request.param


def read(path: Any, **kwargs: Any) -> xr.Dataset:
    return xr.open_dataset(path, engine=ENGINE, **kwargs)


def kinds(ds: xr.Dataset) -> dict[Any, Any]:
    return {name: (var.dims, var.dtype.kind) for name, var in ds.variables.items()}


@pytest.mark.parametrize("lazily", [False, True])
def test_both_read_what_either_writes(version: int, tmp_path: Path, lazily: bool) -> None:
    # Text in blocks of dask is loaded to find its length, with a warning of xarray.
    ds = ocean().drop_vars("text").chunk({"time": 2}) if lazily else ocean()
    ours, theirs = str(tmp_path / "ours.zarr"), str(tmp_path / "theirs.zarr")
    ds.fastzarr.to_zarr(ours, encoding=ENCODING, zarr_format=version)
    ds.to_zarr(theirs, encoding=ENCODING)
    for path in (ours, theirs):
        mine, other = read(path), xr.open_zarr(path, chunks=None)
        assert kinds(mine) == kinds(other)
        xr.testing.assert_identical(mine.load(), other.load())
    xr.testing.assert_identical(read(ours).load(), xr.open_zarr(theirs).load())
    for name, kind in kinds(read(ours, decode_cf=False)).items():
        assert kind == kinds(xr.open_zarr(theirs, decode_cf=False))[name], name
    raw = read(ours, mask_and_scale=False)
    assert raw.packed.dtype == "i2"
    assert raw.packed.attrs["_FillValue"] == -999


def test_a_dataset_that_either_opened_is_written_by_the_other(version: int, tmp_path: Path) -> None:
    source = str(tmp_path / "a.zarr")
    ocean().drop_vars("text").to_zarr(source, encoding=ENCODING)
    read(source).to_zarr(tmp_path / "theirs.zarr", zarr_format=version)
    xr.open_zarr(source).fastzarr.to_zarr(tmp_path / "ours.zarr", zarr_format=version)
    for name in ("theirs", "ours"):
        again = xr.open_zarr(tmp_path / f"{name}.zarr")
        xr.testing.assert_identical(again.load(), xr.open_zarr(source).load())
        assert again.packed.encoding["chunks"] == (2, 4)
        compressors = zarr.open_group(source)["sst"].compressors
        assert again.sst.encoding["compressors"] == compressors


def test_text_of_variable_length_remains_so(version: int, tmp_path: Path) -> None:
    ocean()[["text"]].fastzarr.to_zarr(tmp_path / "a.zarr", zarr_format=version)
    read(tmp_path / "a.zarr").load().fastzarr.to_zarr(tmp_path / "b.zarr", zarr_format=version)
    group = fastzarr.open_group(tmp_path / "b.zarr", mode="r")
    assert group["text"].dtype == np.dtypes.StringDType()
    xr.testing.assert_identical(
        xr.open_zarr(tmp_path / "b.zarr").load(), read(tmp_path / "a.zarr").load()
    )


def test_a_dataset_of_one_format_is_written_in_the_other(tmp_path: Path) -> None:
    ocean().to_zarr(tmp_path / "2.zarr", zarr_format=2)
    read(tmp_path / "2.zarr").fastzarr.to_zarr(tmp_path / "3.zarr", zarr_format=3)
    assert fastzarr.open_group(tmp_path / "3.zarr", mode="r").zarr_format == 3
    xr.testing.assert_equal(
        xr.open_zarr(tmp_path / "3.zarr").load(), read(tmp_path / "2.zarr").load()
    )


SELECTIONS: list[dict[str, Any]] = [
    {"time": 1},
    {"time": -1, "x": 0},
    {"time": slice(4, 1, -2)},
    {"time": slice(None, None, -1), "x": slice(1, 3)},
    {"time": [3, 0, 0], "x": [2, -1]},
    {"time": np.array([False, True] * 3)},
    {"time": slice(0, 0)},
    {"x": xr.DataArray([1, 2, 0], dims="p"), "time": xr.DataArray([0, -1, 5], dims="p")},
    {"x": xr.DataArray([[1], [2]], dims=("p", "q")), "time": slice(1, 4)},
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_selections_are_those_of_loaded_data(tmp_path: Path, selection: Any) -> None:
    path = tmp_path / "a.zarr"
    ocean().drop_vars("empty").fastzarr.to_zarr(path, encoding={"sst": {"chunks": (4, 3)}})
    expected = read(path).load().isel(selection)
    xr.testing.assert_identical(read(path).isel(selection).load(), expected)
    # One selection after another, before anything is read.
    twice = read(path).isel(time=slice(None, None, -1)).isel(selection)
    xr.testing.assert_identical(
        twice.load(), read(path).load().isel(time=slice(None, None, -1)).isel(selection)
    )


def test_only_the_selected_chunks_are_read() -> None:
    asked: list[str] = []

    class Counting(MemoryStore):
        def _get(self, key: str) -> bytes | None:
            asked.append(key)
            return super()._get(key)

    store = Counting()
    ocean()[["sst"]].drop_vars(["x", "label", "time"]).fastzarr.to_zarr(
        store, encoding={"sst": {"chunks": (2, 2)}}
    )
    ds = read(store)
    asked.clear()
    assert ds.sst.isel(time=0, x=slice(0, 2)).shape == (2,)
    assert asked == []
    ds.sst.isel(time=0, x=slice(0, 2)).load()
    assert asked == ["sst/c/0/0"]


def test_threads_and_pickles_read_lazily(tmp_path: Path) -> None:
    ocean().fastzarr.to_zarr(tmp_path / "a.zarr")
    ds, expected = read(tmp_path / "a.zarr", cache=False), ocean()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: ds.sst.isel(time=i % 6).values, range(24)))
    for i, values in enumerate(found):
        np.testing.assert_array_equal(values, expected.sst.isel(time=i % 6).values)
    again = pickle.loads(pickle.dumps(ds))
    xr.testing.assert_equal(again.sst, expected.sst)
    assert len(pickle.dumps(read(tmp_path / "a.zarr")[["sst"]].drop_vars(["x", "time"]))) < 20_000


def test_chunks_are_those_that_are_stored(tmp_path: Path) -> None:
    ocean()[["sst"]].fastzarr.to_zarr(
        tmp_path / "a.zarr", encoding={"sst": {"chunks": (1, 2), "shards": (2, 4)}}
    )
    ds = read(tmp_path / "a.zarr", chunks={})
    assert ds.sst.chunks == ((1,) * 6, (2, 2))
    assert ds.sst.encoding["shards"] == (2, 4)
    assert ds.sst.encoding["preferred_chunks"] == {"time": 1, "x": 2}
    xr.testing.assert_equal(ds.sst.load(), ocean().sst)


def test_irregular_chunks_are_read_and_written(tmp_path: Path) -> None:
    ds = ocean()[["sst"]].chunk({"time": (1, 3, 2)})
    ds.fastzarr.to_zarr(tmp_path / "a.zarr", encoding={"sst": {"chunks": ((1, 3, 2), 4)}})
    again = read(tmp_path / "a.zarr", chunks={})
    assert again.sst.chunks == ((1, 3, 2), (4,))
    xr.testing.assert_equal(again.load(), ocean()[["sst"]])


def test_consolidated_metadata_is_used_and_required(version: int, tmp_path: Path) -> None:
    ocean().fastzarr.to_zarr(tmp_path / "a.zarr", zarr_format=version)
    group = fastzarr.open_group(tmp_path / "a.zarr", mode="r")
    assert group.metadata.consolidated_metadata is not None
    xr.testing.assert_equal(read(tmp_path / "a.zarr", consolidated=True).load(), ocean())
    ocean().fastzarr.to_zarr(tmp_path / "b.zarr", zarr_format=version, consolidated=False)
    with pytest.raises(ValueError, match="consolidated"):
        read(tmp_path / "b.zarr", consolidated=True)
    xr.testing.assert_equal(read(tmp_path / "b.zarr").load(), ocean())


def test_a_group_inside_is_read_with_the_metadata_of_the_root(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    ocean().fastzarr.to_zarr(path, group="deep/er")
    assert fastzarr.open_group(path, mode="r").metadata.consolidated_metadata is not None
    for group in ("deep/er", "/deep/er/"):
        xr.testing.assert_equal(read(path, group=group).load(), ocean())
    xr.testing.assert_equal(xr.open_zarr(path, group="deep/er").load(), ocean())
    with pytest.raises(FileNotFoundError):
        read(path, group="deep/missing")


def test_trees(version: int, tmp_path: Path) -> None:
    below = ocean()[["count"]].drop_vars("label")
    tree = xr.DataTree.from_dict({"/": ocean(), "/deep": below, "/deep/er": below[["count"]] + 1})
    tree.fastzarr.to_zarr(tmp_path / "a.zarr", zarr_format=version)
    tree.to_zarr(tmp_path / "b.zarr", zarr_format=version)
    for name in ("a.zarr", "b.zarr"):
        mine = xr.open_datatree(tmp_path / name, engine=ENGINE)
        other = xr.open_datatree(tmp_path / name, engine="zarr")
        xr.testing.assert_identical(mine.load(), other.load())
        assert list(mine.subtree_with_keys)[2][0] == "deep/er"
        part = xr.open_datatree(tmp_path / name, engine=ENGINE, group="deep")
        assert list(part.children) == ["er"]
        groups = xr.open_groups(tmp_path / name, engine=ENGINE)
        assert list(groups) == ["/", "/deep", "/deep/er"]
    lazy = xr.open_datatree(tmp_path / "a.zarr", engine=ENGINE, chunks={})
    wrong = {"/deep/er": {"count": {"chunks": (0,)}}}
    for given, words in [(lazy, {}), (tree, {"encoding": wrong})]:
        with pytest.raises(ValueError, match=r"would delete first|at least 1"):
            given.fastzarr.to_zarr(tmp_path / "a.zarr", "w", **words)
    xr.testing.assert_identical(xr.open_datatree(tmp_path / "a.zarr", engine=ENGINE).load(), mine)
    with pytest.raises(FileExistsError):
        tree.fastzarr.to_zarr(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="not in the tree"):
        tree.fastzarr.to_zarr(tmp_path / "a.zarr", "w", encoding={"/shallow": {}})


def test_data_arrays(tmp_path: Path) -> None:
    ocean().sst.fastzarr.to_zarr(tmp_path / "a.zarr")
    again = xr.open_dataarray(tmp_path / "a.zarr", engine=ENGINE)
    xr.testing.assert_identical(again.load(), ocean().sst)


def test_the_engine_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_own(tmp_path, monkeypatch, "xarray.backends")
    xr.backends.plugins.refresh_engines()
    try:
        assert isinstance(xr.backends.list_engines()["fastzarr"], FastzarrBackendEntrypoint)
        store = MemoryStore()
        ocean().fastzarr.to_zarr(store)
        xr.testing.assert_equal(xr.open_dataset(store, engine="fastzarr").load(), ocean())
        # An object that is fastzarr's own needs no name of an engine.
        xr.testing.assert_equal(xr.open_dataset(store).load(), ocean())
        # A path is left to zarr-python, as before.
        ocean().fastzarr.to_zarr(tmp_path / "a.zarr")
        assert xr.backends.plugins.guess_engine(str(tmp_path / "a.zarr")) == "zarr"
    finally:
        xr.backends.plugins.refresh_engines()


@pytest.mark.parametrize(
    ("given", "claims"),
    [("a.zarr", False), ("a.zarr.zip/", True), (Path("a.n5"), True), ("a.nc", False), (3, False)],
)
def test_which_paths_are_claimed(given: Any, claims: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ENGINE().guess_can_open(given) is claims
    monkeypatch.setattr("fastzarr.integrations.xarray.backend.find_spec", lambda _: None)
    assert ENGINE().guess_can_open("a.zarr")


def test_whatever_is_a_store_can_be_opened(tmp_path: Path, monkeypatch: Any) -> None:
    mapping: dict[str, bytes] = {}
    places: list[Any] = [
        mapping,
        MemoryStore(),
        str(tmp_path / "a.zip"),
        tmp_path / "a.zarr",
        tmp_path / "a.sqlite",
    ]
    for place in places:
        ocean().fastzarr.to_zarr(place)
        with read(place) as ds:
            xr.testing.assert_equal(ds.load(), ocean())
    group = fastzarr.open_group(tmp_path / "a.zarr", mode="r")
    xr.testing.assert_equal(read(group).load(), ocean())
    with ZipStore(tmp_path / "a.zip", mode="r") as store:
        xr.testing.assert_equal(read(store).load(), ocean())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    xr.testing.assert_equal(read("~/a.zarr").load(), ocean())


def test_dimensions_of_nczarr(tmp_path: Path) -> None:
    root = fastzarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.create_array("older", data=[1, 2], attributes={"_nczarr_x": 1, "units": "m"})
    newer = {"_nczarr_array": {"dimension_references": ["/lat"]}}
    root.create_array("newer", data=[3, 4], attributes=newer)
    store = root.store
    document = store["older/.zarray"].decode()
    store["older/.zarray"] = document.replace(
        "{", '{"_NCZARR_ARRAY": {"dimrefs": ["/lat"]},', 1
    ).encode()
    ds = read(tmp_path / "a.zarr")
    assert ds.older.dims == ds.newer.dims == ("lat",)
    assert ds.older.attrs == {"units": "m"}
    assert ds.newer.attrs == {}


def test_an_array_without_names_of_dimensions_can_be_left_out(version: int, tmp_path: Path) -> None:
    ocean()[["sst"]].fastzarr.to_zarr(tmp_path / "a.zarr", zarr_format=version)
    root = fastzarr.open_group(tmp_path / "a.zarr")
    root.create_array("bare", data=[1, 2])
    with pytest.raises(KeyError, match=r"'/bare'.*drop_variables='bare'"):
        read(tmp_path / "a.zarr")
    ds = read(tmp_path / "a.zarr", drop_variables="bare")
    xr.testing.assert_equal(ds.load(), ocean()[["sst"]])


@pytest.mark.parametrize(("version", "masked"), [(2, True), (3, False)])
def test_whether_fill_values_are_masked(version: Any, masked: bool, tmp_path: Path) -> None:
    root = fastzarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    z = root.create_array("a", shape=3, dtype="i2", fill_value=-1)
    z[0] = 5
    if version == 2:
        z.attrs["_ARRAY_DIMENSIONS"] = ["x"]
    else:
        root.create_array(
            "a", data=[5, -1, -1], dtype="i2", fill_value=-1, dimension_names=["x"], overwrite=True
        )
    expected = {True: [5.0, np.nan, np.nan], False: [5, -1, -1]}
    np.testing.assert_array_equal(read(tmp_path / "a.zarr").a.values, expected[masked])
    for masks in (True, False):
        ds = read(tmp_path / "a.zarr", use_zarr_fill_value_as_mask=masks)
        np.testing.assert_array_equal(ds.a.values, expected[masks])


def test_a_fill_value_in_another_spelling_is_taken_as_it_is(tmp_path: Path) -> None:
    root = fastzarr.create_group(tmp_path / "a.zarr")
    root.create_array("a", data=[1.0, -9.0], dimension_names=["x"], attributes={"_FillValue": -9.0})
    np.testing.assert_array_equal(read(tmp_path / "a.zarr").a.values, [1.0, np.nan])


def test_storage_options_reach_the_store() -> None:
    with pytest.raises(TypeError, match="storage_options"):
        read({}, storage_options={"anon": True})


def test_many_files_are_one_dataset(tmp_path: Path) -> None:
    paths = []
    for i in range(3):
        part = ocean().isel(time=slice(2 * i, 2 * i + 2))
        part[["sst"]].fastzarr.to_zarr(tmp_path / f"{i}.zarr")
        paths.append(tmp_path / f"{i}.zarr")
    ds = xr.open_mfdataset(paths, engine=ENGINE, parallel=True)
    xr.testing.assert_equal(ds.load(), ocean()[["sst"]])


def test_reads_run_beside_the_event_loop(tmp_path: Path) -> None:
    import asyncio

    ocean().fastzarr.to_zarr(tmp_path / "a.zarr")

    async def load() -> xr.Dataset:
        ds = read(tmp_path / "a.zarr")
        await ds.isel(time=[0, 2]).load_async()
        return await ds.load_async()

    xr.testing.assert_equal(asyncio.run(load()), ocean())
