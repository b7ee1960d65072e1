"""``to_zarr`` of fastzarr: modes, regions, appending, blocks of dask, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fsspec.implementations.local import LocalFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr.errors import ContainsGroupError, GroupNotFoundError, MetadataError
from fastzarr.integrations.xarray import FastzarrBackendEntrypoint, to_fastzarr
from fastzarr.stores import FsspecStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Any, **kwargs: Any) -> xr.Dataset:
    return xr.open_dataset(path, engine=FastzarrBackendEntrypoint, **kwargs)


def month(start: int, length: int = 4) -> xr.Dataset:
    """Return some days, the coordinate of which says which they are."""
    time = pd.date_range("2000-01-01", periods=40)[start : start + length]
    values = np.arange(start * 3, (start + length) * 3, dtype="f8").reshape(length, 3)
    return xr.Dataset(
        {"sst": (("time", "x"), values, {"units": "K"}), "depth": ("x", [1, 2, 3])},
        {"time": time, "x": [0.5, 1.5, 2.5]},
        {"title": "a month"},
    )


def unsafe(tmp_path: Path) -> FsspecStore:
    """Return a store that may lose one of two changes of a chunk."""
    return FsspecStore(LocalFileSystem(auto_mkdir=True), path=str(tmp_path / "unsafe.zarr"))


class TestModes:
    def test_a_group_is_only_replaced_by_w(self, tmp_path: Path) -> None:
        month(0).fastzarr.to_zarr(tmp_path)
        with pytest.raises(ContainsGroupError):
            month(1).fastzarr.to_zarr(tmp_path)
        xr.testing.assert_identical(read(tmp_path).load(), month(0))
        month(1)[["sst"]].fastzarr.to_zarr(tmp_path, "w")
        xr.testing.assert_identical(read(tmp_path).load(), month(1)[["sst"]])

    def test_variables_are_added_and_replaced_by_a(self, tmp_path: Path) -> None:
        month(0).fastzarr.to_zarr(tmp_path, encoding={"sst": {"dtype": "f4"}})
        more = month(0).assign(sst=month(0).sst + 1, salt=("x", [5, 6, 7]), keep=("x", [1, 1, 1]))
        more.attrs = {"title": "more"}
        more.fastzarr.to_zarr(tmp_path, mode="a")
        found = read(tmp_path).load()
        xr.testing.assert_identical(found, more)
        assert found.sst.encoding["dtype"] == "f4"

    def test_elements_are_changed_by_rplus(self, tmp_path: Path) -> None:
        with pytest.raises(GroupNotFoundError):
            month(0).fastzarr.to_zarr(tmp_path, mode="r+")
        month(0).fastzarr.to_zarr(tmp_path)
        (month(0) + 5)[["sst"]].fastzarr.to_zarr(tmp_path, mode="r+")
        found = read(tmp_path).load()
        np.testing.assert_array_equal(found.sst, month(0).sst + 5)
        assert found.attrs == {"title": "a month"}
        with pytest.raises(ValueError, match=r"\['salt'\]"):
            month(0).assign(salt=1).fastzarr.to_zarr(tmp_path, mode="r+")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"mode": "x"}, "mode must be one of"),
            ({"mode": "w", "append_dim": "time"}, "cannot set append_dim"),
            ({"mode": "w", "region": {"time": slice(2)}}, "cannot set region"),
        ],
    )
    def test_modes_that_make_no_sense(self, words: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            to_fastzarr(month(0), {}, **words)

    @pytest.mark.parametrize(
        ("dataset", "words", "error"),
        [
            (month(0), {"encoding": {"sst": {"chunks": (0, 1)}}}, MetadataError),
            (month(0), {"encoding": {"sst": {"compressors": "none such"}}}, Exception),
            (month(0), {"encoding": {"sst": {"colour": "red"}}}, ValueError),
            (month(0), {"encoding": {"salt": {}}}, KeyError),
            (month(0).assign_attrs(bad=object()), {}, TypeError),
            (month(0).assign(o=("x", [object()] * 3)), {}, ValueError),
            (month(0).assign({"a/b": 1}), {}, ValueError),
            (month(0).assign({5: 1}), {}, TypeError),
        ],
        ids=range(8),
    )
    def test_an_invalid_dataset_replaces_nothing(
        self, dataset: Any, words: Any, error: Any, tmp_path: Path
    ) -> None:
        month(7).fastzarr.to_zarr(tmp_path)
        with pytest.raises(error):
            dataset.fastzarr.to_zarr(tmp_path, mode="w", **words)
        xr.testing.assert_identical(read(tmp_path).load(), month(7))

    def test_a_dataset_does_not_delete_what_it_reads(self, tmp_path: Path) -> None:
        month(0).fastzarr.to_zarr(tmp_path / "a.zarr", group="deep")
        ds = read(tmp_path / "a.zarr", group="deep", chunks={})
        for path, group in [("a.zarr", "deep"), ("a.zarr", None), ("a.zarr/deep", None)]:
            for dataset in (ds, ds.isel(x=[0]) + 1):
                with pytest.raises(ValueError, match="would delete first"):
                    dataset.fastzarr.to_zarr(tmp_path / path, mode="w", group=group)
        xr.testing.assert_identical(read(tmp_path / "a.zarr", group="deep").load(), month(0))
        ds.fastzarr.to_zarr(tmp_path / "a.zarr", mode="w", group="other")
        xr.testing.assert_equal(read(tmp_path / "a.zarr", group="other").load(), month(0))

    def test_a_dataset_that_was_not_loaded_replaces_itself(self, tmp_path: Path) -> None:
        month(0).fastzarr.to_zarr(tmp_path, encoding={"sst": {"chunks": (1, 1)}})
        ds = read(tmp_path).isel(time=slice(1, None)).assign_attrs(title="later")
        ds.fastzarr.to_zarr(tmp_path, mode="w")
        expected = month(0).isel(time=slice(1, None)).assign_attrs(title="later")
        xr.testing.assert_identical(read(tmp_path).load(), expected)


class TestAppending:
    @pytest.mark.parametrize("blocks", [None, 2, 3])
    @pytest.mark.parametrize("version", [2, 3])
    def test_days_are_appended(self, blocks: int | None, version: int, tmp_path: Path) -> None:
        first, second = month(0), month(4, 5)
        if blocks is not None:
            first, second = first.chunk(time=blocks), second.chunk(time=blocks)
        first.fastzarr.to_zarr(tmp_path, zarr_format=version, encoding={"time": {"chunks": (7,)}})
        second.fastzarr.to_zarr(tmp_path, append_dim="time")
        xr.testing.assert_identical(read(tmp_path).load(), month(0, 9))
        xr.testing.assert_identical(xr.open_zarr(tmp_path).load(), month(0, 9))

    def test_an_absent_group_is_created(self, tmp_path: Path) -> None:
        month(0).fastzarr.to_zarr(tmp_path / "a.zarr", append_dim="time")
        xr.testing.assert_identical(read(tmp_path / "a.zarr").load(), month(0))

    def test_a_minus_leaves_what_lacks_the_dimension(self, tmp_path: Path) -> None:
        month(0).fastzarr.to_zarr(tmp_path)
        second = month(4).assign(depth=("x", [9, 9, 9]))
        second.fastzarr.to_zarr(tmp_path, mode="a-", append_dim="time")
        assert read(tmp_path).depth.values.tolist() == [1, 2, 3]
        second.assign_coords(time=month(8).time).fastzarr.to_zarr(tmp_path, append_dim="time")
        assert read(tmp_path).depth.values.tolist() == [9, 9, 9]
        assert read(tmp_path).sizes["time"] == 12

    def test_other_orders_of_dimensions(self, tmp_path: Path) -> None:
        month(0).fastzarr.to_zarr(tmp_path)
        month(4).transpose("x", "time").fastzarr.to_zarr(tmp_path, append_dim="time")
        xr.testing.assert_identical(read(tmp_path).load(), month(0, 8))

    @pytest.mark.parametrize(
        ("dataset", "words", "message"),
        [
            (month(4), {"append_dim": "depth"}, "does not match any existing dataset dimension"),
            (month(4).isel(x=[0]), {"append_dim": "time"}, "different dimension sizes"),
            (month(4).rename(x="lon"), {"append_dim": "time"}, "different dimension names"),
            (month(4), {"append_dim": "time", "encoding": {"sst": {}}}, "already exist"),
            (
                month(4)[["sst"]].drop_vars("x"),
                {"mode": "a", "append_dim": "time", "region": {"time": slice(4)}},
                "both",
            ),
        ],
        ids=range(5),
    )
    def test_what_does_not_fit_changes_nothing(
        self, dataset: Any, words: Any, message: str, tmp_path: Path
    ) -> None:
        month(0).fastzarr.to_zarr(tmp_path)
        before = {p.name: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
        with pytest.raises(ValueError, match=message):
            dataset.fastzarr.to_zarr(tmp_path, **words)
        after = {p.name: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
        assert after == before

    def test_days_of_several_writers_are_all_kept(self, tmp_path: Path) -> None:
        day = xr.Dataset({"sst": (("time", "x"), np.ones((1, 3)))})
        day.fastzarr.to_zarr(tmp_path, encoding={"sst": {"chunks": (4, 3)}})
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: day.fastzarr.to_zarr(tmp_path, append_dim="time"), range(12)))
        assert read(tmp_path).sizes["time"] == 13
        assert float(read(tmp_path).sst.sum()) == 39

    def test_longer_text_is_not_cut(self, tmp_path: Path) -> None:
        first = xr.Dataset({"s": ("x", np.array(["a", "bb"]))})
        longer = xr.Dataset({"s": ("x", np.array(["a", "bbb"]))})
        first.fastzarr.to_zarr(tmp_path / "fixed.zarr")
        with pytest.raises(ValueError, match="Mismatched dtypes"):
            longer.fastzarr.to_zarr(tmp_path / "fixed.zarr", append_dim="x")
        first.astype(object).fastzarr.to_zarr(tmp_path / "free.zarr")
        longer.fastzarr.to_zarr(tmp_path / "free.zarr", append_dim="x")
        assert read(tmp_path / "free.zarr").s.values.tolist() == ["a", "bb", "a", "bbb"]

    def test_times_are_encoded_as_the_stored_ones(self, tmp_path: Path) -> None:
        month(0).fastzarr.to_zarr(tmp_path, encoding={"time": {"units": "days since 2000-01-01"}})
        month(4).fastzarr.to_zarr(tmp_path, append_dim="time")
        raw = fastzarr.open_group(tmp_path, mode="r")["time"]
        assert raw[:].tolist() == list(range(8))


class TestRegions:
    @pytest.mark.parametrize("region", ["auto", {"time": "auto"}, {"time": slice(8, 12)}])
    @pytest.mark.parametrize("blocks", [None, 3])
    def test_a_part_is_written(self, region: Any, blocks: int | None, tmp_path: Path) -> None:
        xr.zeros_like(month(0, 20)).fastzarr.to_zarr(tmp_path, encoding={"sst": {"chunks": (5, 2)}})
        part = month(8)[["sst"]]
        if isinstance(region, dict):
            part = part.drop_vars("x")
        part = part if blocks is None else part.chunk(time=blocks)
        part.fastzarr.to_zarr(tmp_path, region=region)
        found = read(tmp_path).sst
        np.testing.assert_array_equal(found[8:12], month(8).sst)
        assert not found[:8].any()
        assert not found[12:].any()
        np.testing.assert_array_equal(found.time, month(0, 20).time)

    @pytest.mark.parametrize(
        ("dataset", "region", "error", "message"),
        [
            (month(8)[["sst"]], slice(4), TypeError, "region must be a dict"),
            (month(8)[["sst"]], {"time": [0, 1]}, TypeError, "slice objects"),
            (month(8)[["sst"]], {"time": slice(0, 8, 2)}, ValueError, "step"),
            (month(8)[["sst"]], {"lat": slice(4)}, ValueError, "dimensions of the dataset"),
            (month(8), {"time": slice(4)}, ValueError, "none of the dimensions"),
            (month(8)[["sst"]].drop_vars("x"), {"time": slice(3)}, ValueError, "dimension sizes"),
            (month(30)[["sst"]], "auto", KeyError, "not all values"),
            (month(8)[["sst"]].isel(time=[0, 2]), "auto", ValueError, "not contiguous"),
            (month(8)[["sst"]].isel(time=[1, 0]), "auto", ValueError, "not contiguous"),
            (month(8)[["sst"]].rename(sst="new"), "auto", ValueError, "new"),
        ],
        ids=range(10),
    )
    def test_what_does_not_fit_changes_nothing(
        self, dataset: Any, region: Any, error: Any, message: str, tmp_path: Path
    ) -> None:
        month(0, 20).fastzarr.to_zarr(tmp_path)
        with pytest.raises(error, match=message):
            dataset.fastzarr.to_zarr(tmp_path, region=region)
        xr.testing.assert_identical(read(tmp_path).load(), month(0, 20))

    def test_variables_are_not_created_in_a_region(self, tmp_path: Path) -> None:
        month(0, 20).fastzarr.to_zarr(tmp_path)
        part = month(8)[["sst"]].drop_vars("x").rename(sst="new")
        with pytest.raises(ValueError, match="part of arrays that exist"):
            part.fastzarr.to_zarr(tmp_path, mode="a", region={"time": slice(4)})
        with pytest.raises(ValueError, match="requires mode"):
            month(8)[["sst"]].fastzarr.to_zarr(tmp_path, mode="a-", region="auto")


class TestBlocks:
    def test_blocks_may_share_chunks_in_a_folder(self, tmp_path: Path) -> None:
        data = np.arange(600.0).reshape(60, 10)
        ds = xr.Dataset({"a": (("x", "y"), da.from_array(data, chunks=(7, 10)))})
        with dask.config.set(scheduler="threads", num_workers=4):
            ds.fastzarr.to_zarr(tmp_path, encoding={"a": {"chunks": (60, 5), "shards": (60, 10)}})
        np.testing.assert_array_equal(read(tmp_path).a, data)

    @pytest.mark.parametrize("words", [{"align_chunks": True}, {"safe_chunks": False}])
    def test_other_stores_need_blocks_of_whole_chunks(self, words: Any, tmp_path: Path) -> None:
        ds = month(0, 12).chunk(time=5)
        place, encoding = unsafe(tmp_path), {"sst": {"chunks": (4, 3)}}
        with pytest.raises(ValueError, match=r"'sst'.*ends at element 5"):
            ds.fastzarr.to_zarr(place, encoding=encoding)
        assert not list(tmp_path.iterdir())
        with dask.config.set(scheduler="synchronous"):
            ds.fastzarr.to_zarr(place, encoding=encoding, **words)
        xr.testing.assert_identical(read(place).load(), month(0, 12))

    def test_a_region_must_not_share_a_chunk_with_another(self, tmp_path: Path) -> None:
        place = unsafe(tmp_path)
        month(0, 12).fastzarr.to_zarr(place, encoding={"sst": {"chunks": (4, 3)}})
        part = (month(2, 4)[["sst"]] * 0).drop_vars("x").chunk(time=2)
        with pytest.raises(ValueError, match="ends at element 2"):
            part.fastzarr.to_zarr(place, region={"time": slice(2, 6)})
        part.chunk(time=4).fastzarr.to_zarr(place, region={"time": slice(4, 8)})
        assert read(place).sst.any("x").values.tolist() == [True] * 4 + [False] * 4 + [True] * 4

    def test_chunks_come_from_blocks(self, tmp_path: Path) -> None:
        month(0, 10).chunk(time=4, x=2).fastzarr.to_zarr(tmp_path)
        assert fastzarr.open_group(tmp_path, mode="r")["sst"].chunks == (4, 2)
        with pytest.raises(ValueError, match="uniform chunk sizes"):
            month(0, 10).chunk(time=(2, 5, 3)).fastzarr.to_zarr({})
        with pytest.raises(TypeError, match="int or a tuple of ints"):
            month(0).fastzarr.to_zarr({}, encoding={"sst": {"chunks": (1.5, 2)}})

    def test_an_encoding_for_other_dimensions_is_left_out(self, tmp_path: Path) -> None:
        month(0, 8).fastzarr.to_zarr(
            tmp_path, encoding={"sst": {"chunks": (2, 3), "shards": (4, 3)}}
        )
        read(tmp_path).isel(x=0).fastzarr.to_zarr(tmp_path / "one.zarr")
        xr.testing.assert_identical(read(tmp_path / "one.zarr").load(), month(0, 8).isel(x=0))

    def test_what_is_written_later_was_not_written(self, tmp_path: Path) -> None:
        later = month(0).chunk(time=2).fastzarr.to_zarr(tmp_path, compute=False)
        group = fastzarr.open_group(tmp_path, mode="r")
        assert group["sst"].nchunks_initialized == 0
        assert group["x"][:].tolist() == [0.5, 1.5, 2.5]
        later.compute()
        xr.testing.assert_identical(read(tmp_path).load(), month(0))
        month(0).fastzarr.to_zarr(tmp_path, mode="w", compute=False).compute()
        xr.testing.assert_identical(read(tmp_path).load(), month(0))

    @pytest.mark.parametrize("blocks", [None, 2])
    def test_whether_empty_chunks_are_stored(self, blocks: int | None) -> None:
        ds = xr.Dataset({"a": ("x", [np.nan] * 4)})
        ds = ds if blocks is None else ds.chunk(x=blocks)
        counts = []
        for words in ({}, {"write_empty_chunks": True}):
            group = ds.fastzarr.to_zarr({}, encoding={"a": {"chunks": (2,)}}, **words)
            counts.append(group["a"].nchunks_initialized)
        assert counts == [0, 2]
        encoding = {"a": {"write_empty_chunks": False}}
        with pytest.raises(ValueError, match="pass one"):
            ds.fastzarr.to_zarr({}, encoding=encoding, write_empty_chunks=True)
        group = ds.fastzarr.to_zarr(store := MemoryStore())
        ds.fastzarr.to_zarr(store, mode="r+", write_empty_chunks=True)
        assert group["a"].nchunks_initialized == group["a"].nchunks


KINDS = st.sampled_from(["i2", "u8", "f4", "f8", "c8", "bool", "M8[s]", "m8[ms]", "U3", "S3", "T"])


@st.composite
def datasets(draw: st.DrawFn) -> xr.Dataset:
    """Return a dataset of variables of any kind, some in blocks of dask."""
    sizes = draw(st.dictionaries(st.sampled_from("xyz"), st.integers(1, 5), max_size=3))
    variables: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(["a", "b", "x", "déjà", "c d"]), unique=True)):
        dims = draw(st.permutations(sorted(sizes))) if sizes else []
        dims = ["x"] if name == "x" else dims[: draw(st.integers(0, len(dims)))]
        if any(dim not in sizes for dim in dims):
            continue
        kind, seed = draw(KINDS), draw(st.integers(0, 99))
        values = np.random.default_rng(seed).integers(0, 99, [sizes[dim] for dim in dims])
        text = np.dtypes.StringDType() if kind == "T" else kind
        variables[name] = (
            dims,
            values.astype("U3").astype(text) if kind in "TS3U3" else values.astype(kind),
        )
    attributes = draw(
        st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=2)
    )
    ds = xr.Dataset(variables, attrs=attributes)
    plain = [name for name, var in ds.data_vars.items() if var.dtype.kind != "T"]
    if draw(st.booleans()) and plain:
        ds = ds.assign(ds[plain].chunk(draw(st.integers(1, 3))))
    return ds


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(datasets(), st.sampled_from([2, 3]), st.booleans())
def test_any_dataset_is_read_equal_by_both(
    tmp_path: Path, ds: xr.Dataset, version: Any, ours: bool
) -> None:
    path = tmp_path / "a.zarr"
    with dask.config.set(scheduler="synchronous"):
        if ours:
            ds.fastzarr.to_zarr(path, mode="w", zarr_format=version)
        else:
            ds.to_zarr(path, mode="w", zarr_format=version)
    mine = read(path).load()
    xr.testing.assert_identical(mine, xr.open_zarr(path, chunks=None).load())
    xr.testing.assert_equal(mine, ds.load())
