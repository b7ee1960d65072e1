"""Data frames and arrays of pyarrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fastzarr
from fastzarr.integrations.pandas import from_frame, to_frame


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [1, 2, 3],
            "x": [0.5, np.nan, 2],
            "flag": [True, False, True],
            "text": ["a", None, "déjà"],
            "objects": pd.Series(["a", None, ""], dtype=object),
            "string": pd.array(["a", None, "c"], dtype="string"),
            "kind": pd.Categorical(["u", None, "v"], categories=["v", "u"], ordered=True),
            "level": pd.Categorical([3, None, 5]),
            "time": pd.date_range("2000", periods=3, unit="s"),
            "local": pd.date_range("2000", periods=3, tz="Europe/Berlin"),
            "age": pd.to_timedelta([1, 2, 3], unit="s"),
            "Int64": pd.array([1, None, 3], dtype="Int64"),
            "Float32": pd.array([1.5, None, 3], dtype="Float32"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
            5: [1, 2, 3],
            "a/b": [1j, 2, 3],
            pd.Timestamp("2000"): [1, 2, 3],
        }
    )


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    "index", [None, ["time"], ["local"], ["text", "kind"], ["level"], [5]], ids=str
)
def test_frames_come_back(version: Any, index: list[Any] | None, tmp_path: Any) -> None:
    given = frame() if index is None else frame().set_index(index)
    with fastzarr.config.set({"default_zarr_format": version}):
        from_frame(given, tmp_path / "a.zarr", chunks=2)
    found = to_frame(tmp_path / "a.zarr")
    pd.testing.assert_frame_equal(found, given, check_freq=False, check_column_type=False)


@pytest.mark.parametrize("rows", [slice(0, 0), slice(1, None), slice(None, None, -1)])
def test_some_rows_and_columns_are_read(rows: slice) -> None:
    group = from_frame(frame(), {})
    wanted = ["x", 5, "kind", "text"]
    expected = frame()[wanted].iloc[rows]
    pd.testing.assert_frame_equal(
        to_frame(group, columns=wanted, rows=rows), expected, check_column_type=False
    )
    with pytest.raises(KeyError, match="depth"):
        to_frame(group, columns=["depth"])


def test_an_empty_frame_and_an_index_that_is_a_range() -> None:
    given = frame().iloc[:0]
    pd.testing.assert_frame_equal(to_frame(from_frame(given, {})), given, check_column_type=False)
    given = frame()[["n"]].set_axis(pd.RangeIndex(10, 40, 10, name="station"))
    found = to_frame(from_frame(given, {}), rows=slice(1, None))
    assert isinstance(found.index, pd.RangeIndex)
    pd.testing.assert_frame_equal(found, given.iloc[1:], check_column_type=False)


def test_any_reader_reads_the_columns() -> None:
    group = from_frame(frame()[["n", "text", "kind"]], {}, attributes={"source": "buoy"})
    assert sorted(group) == ["kind", "kind.categories", "n", "text", "text.missing"]
    assert group["text"][:].tolist() == ["a", "", "déjà"]
    assert group["kind.categories"][:].tolist() == ["v", "u"]
    assert group["n"].attrs == {"source": "buoy"}


def test_what_cannot_be_stored_stores_nothing() -> None:
    store: dict[str, bytes] = {}
    for wrong, message in [
        (pd.DataFrame({"a": [1], "b": [object()]}), "'b' of dtype object"),
        (pd.DataFrame({"a": [1], "p": pd.period_range("2000", periods=1)}), "'p' of dtype period"),
        (pd.DataFrame({("a", "b"): [1]}), "several levels"),
        (pd.DataFrame({(1,): [1]}, index=[3]).set_axis([b"x"], axis=1), "label b'x'"),
    ]:
        with pytest.raises(TypeError, match=message):
            from_frame(wrong, store)
    assert store == {}
    group = from_frame(frame()[["n"]], store)
    group.attrs["dataframe"] = group.attrs["dataframe"] | {"version": 9}
    with pytest.raises(ValueError, match="version 9"):
        to_frame(group)


def test_groups_and_records_of_others_are_frames() -> None:
    root = fastzarr.create_group({})
    root["a"], root["s"] = [1, 2], np.array(["x", "y"])
    assert to_frame(root, columns=["s"]).s.tolist() == ["x", "y"]
    root["m"] = [[1, 2]]
    with pytest.raises(ValueError, match="one axis and the same length"):
        to_frame(root)
    data = np.array([(1, "x"), (2, "y")], dtype=[("n", "i2"), ("s", "U1")])
    z = fastzarr.create_array({}, data=data)
    pd.testing.assert_frame_equal(to_frame(z), pd.DataFrame.from_records(data))
    assert to_frame(z, columns=["n"], rows=slice(1, None)).n.tolist() == [2]
    with pytest.raises(TypeError, match="needs fields and one axis"):
        to_frame(root["a"])


def test_pyarrow_takes_arrays() -> None:
    z = fastzarr.create_array({}, data=np.arange(5, dtype="i2"), chunks=2)
    assert pa.array(z).equals(pa.array(np.arange(5, dtype="i2")))
    assert pa.array(z, type=pa.float32()).type == pa.float32()
    text = fastzarr.create_array({}, data=np.array(["a", ""], dtype=object), dtype=str)
    assert pa.array(text).to_pylist() == ["a", ""]
    times = fastzarr.create_array({}, data=np.array(["2000-01-01", "NaT"], dtype="M8[ns]"))
    assert pa.array(times).null_count == 1
    assert pa.table({"n": z}).num_rows == 5
    with pytest.raises(pa.ArrowInvalid, match="1-dimensional"):
        pa.array(fastzarr.zeros((2, 2)))
