"""Dates, times and durations."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastzarr
from fastzarr.dtypes import DateTime64, TimeDelta64, from_numpy, from_v2, from_v3
from fastzarr.dtypes.time import UNITS
from fastzarr.errors import DataTypeValidationError, MetadataError

NAT = -(2**63)


def moment(unit: object, scale: object = 1, name: str = "numpy.datetime64") -> dict[str, Any]:
    return {"name": name, "configuration": {"unit": unit, "scale_factor": scale}}


# As zarr-python 3.1.6 writes them.
@pytest.mark.parametrize(
    ("dtype", "v3", "v2"),
    [
        ("<M8[us]", moment("us"), "<M8[us]"),
        ("<m8[10ms]", moment("ms", 10, "numpy.timedelta64"), "<m8[10ms]"),
        (">M8[D]", moment("D"), ">M8[D]"),
        ("<M8", moment("generic"), "<M8"),
        ("<m8", moment("generic", 1, "numpy.timedelta64"), "<m8"),
        (">M8[2generic]", moment("generic", 2), ">M8[2generic]"),
    ],
)
def test_time_is_written_as_zarr_python_writes_it(dtype: str, v3: object, v2: str) -> None:
    found = from_numpy(dtype)
    assert (found.to_v3(), found.to_v2()) == (v3, v2)
    assert from_v2(v2) == found
    assert from_v3(v3) == found.native()
    assert np.isnat(found.default_fill)
    for zarr_format in (2, 3):
        assert found.fill_to_json(found.default_fill, zarr_format) == NAT


@pytest.mark.parametrize("unit", ["us", "\u03bcs", "\u00b5s"])
def test_a_microsecond_has_three_symbols_and_is_written_with_u(unit: str) -> None:
    assert from_v3(moment(unit)) == from_numpy("M8[us]")
    assert from_v2(f"<M8[10{unit}]").to_v2() == "<M8[10us]"


@pytest.mark.parametrize("cls", [DateTime64, TimeDelta64])
@given(
    st.sampled_from(UNITS),
    st.integers(1, 2**31 - 1),
    st.integers(NAT, 2**63 - 1),
    st.sampled_from(["little", "big"]),
)
def test_a_count_of_any_unit_comes_back(
    cls: type[DateTime64], unit: str, scale: int, count: int, endianness: str
) -> None:
    dtype = cls(unit=unit, scale_factor=scale, endianness=endianness)
    assert from_v2(dtype.to_v2()) == dtype
    assert from_v3(dtype.to_v3()) == dtype.native()
    fill = dtype.cast_fill(count)
    for zarr_format in (2, 3):
        json = dtype.fill_to_json(fill, zarr_format)
        assert json == count
        assert int(dtype.fill_from_json(json, zarr_format, "w").view("i8")) == count


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_nat_is_read_as_a_word_and_as_a_count(zarr_format: int) -> None:
    for json in ("NaT", NAT):
        fill = from_numpy("M8[s]").fill_from_json(json, zarr_format, "w")
        assert np.isnat(fill)
        assert fill.dtype == np.dtype("M8[s]")


@pytest.mark.parametrize("json", [1.5, True, "2000-01-01", 2**63, [1], None])
def test_a_wrong_fill_value_is_refused(json: object) -> None:
    with pytest.raises(MetadataError, match=r"^w: "):
        from_numpy("M8[s]").fill_from_json(json, 3, "w")


@pytest.mark.parametrize(
    ("dtype", "value", "wanted"),
    [
        ("M8[ns]", 5, np.datetime64(5, "ns")),
        ("M8[ns]", 0, np.datetime64(0, "ns")),
        ("M8[s]", "2000-01-01T00:00:00.5", np.datetime64("2000-01-01", "s")),
        ("M8[10ms]", np.datetime64(1, "s"), np.datetime64(100, "10ms")),
        (">M8[D]", dt.date(2000, 1, 1), np.datetime64("2000-01-01")),
        ("M8[s]", dt.datetime(2000, 1, 1), np.datetime64("2000-01-01", "s")),  # noqa: DTZ001
        ("m8[D]", dt.timedelta(days=2), np.timedelta64(2, "D")),
        ("m8[D]", np.timedelta64(49, "h"), np.timedelta64(2, "D")),
        ("m8[s]", np.array(np.timedelta64(1, "m")), np.timedelta64(60, "s")),
    ],
)
def test_a_user_may_give_moments_in_any_form(dtype: str, value: object, wanted: Any) -> None:
    fill = from_numpy(dtype).cast_fill(value)
    assert fill == wanted
    assert fill.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize("value", [None, "NaT", np.datetime64("NaT"), NAT])
def test_a_user_may_give_nat_in_any_form(value: object) -> None:
    assert np.isnat(from_numpy("M8[s]").cast_fill(value))
    assert from_numpy("M8").cast_fill(value).view("i8") == NAT


@pytest.mark.parametrize(
    ("dtype", "value", "error"),
    [
        ("M8[ns]", "9999-01-01", OverflowError),
        ("M8[ns]", np.datetime64("9999", "s"), OverflowError),
        ("M8[s]", 2**63, OverflowError),
        ("M8[s]", 1.5, ValueError),
        ("M8[s]", "x", ValueError),
        ("M8[s]", np.timedelta64(1, "s"), TypeError),
        ("m8[s]", np.datetime64(1, "s"), TypeError),
        ("m8[D]", np.timedelta64(1, "M"), TypeError),
        ("M8", "2000", TypeError),
        ("M8[s]", [1], TypeError),
    ],
)
def test_an_invalid_fill_value_is_rejected(
    dtype: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="fill_value"):
        from_numpy(dtype).cast_fill(value)


@pytest.mark.parametrize(
    "json",
    [
        moment("x"),
        moment(5),
        moment("s", 0),
        moment("s", 2**31),
        moment("s", 1.0),
        moment("s", scale=True),
        {"name": "numpy.datetime64"},
        {"name": "numpy.datetime64", "configuration": {"unit": "s"}},
        {"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 1, "tz": 0}},
    ],
)
def test_a_wrong_unit_is_refused_at_its_place(json: object) -> None:
    with pytest.raises(DataTypeValidationError, match=r"^zarr\.json: data_type\.configuration"):
        from_v3(json, "zarr.json: data_type")


@pytest.mark.parametrize("json", ["<M8[x]", "<M8[0s]", "<M8[s/3]", "<M4[s]", "<i4[s]", "M8[]"])
def test_a_wrong_unit_is_refused_in_format_2(json: str) -> None:
    with pytest.raises(DataTypeValidationError, match=r"^\.zarray: dtype: "):
        from_v2(json, ".zarray: dtype")


@pytest.mark.parametrize("path", ["native", "numpy"])
@pytest.mark.parametrize("code", ["M8", "m8"])
def test_times_without_a_unit_are_stored_in_big_endian_order(code: str, path: str) -> None:
    # NumPy itself converts them to a dtype of foreign byte order without swapping their bytes.
    times = np.array([1, 2**56, 3], "i8").view(code)
    store: dict[str, Any] = {}
    with fastzarr.config.set({"data_path": path}):
        z = fastzarr.create_array(
            store,
            shape=4,
            chunks=3,
            dtype=code,
            fill_value=3,
            serializer={"name": "bytes", "configuration": {"endian": "big"}},
            compressors=None,
        )
        z[:3] = times
        assert bytes(store["c/0"]) == times.view("i8").byteswap().tobytes()
        assert z[:].view("i8").tolist() == [1, 2**56, 3, 3]
        z[:2] = times[2]
        assert "c/0" not in store


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["<m8", ">m8", "<M8", ">M8"])
def test_times_without_a_unit_keep_their_values_in_either_byte_order(kind, zarr_format):
    def counts(values):
        # Their `astype` keeps the byte order, whatever is asked for.
        return values.view(f"{values.dtype.str[0]}i8").tolist()

    data = np.array([0, 1, -2, 100, 128, NAT, 2**40], dtype=f"{kind[0]}i8").view(kind)
    expected = counts(data)
    z = fastzarr.create_array({}, data=data, chunks=3, zarr_format=zarr_format)
    assert z[:].dtype == z.dtype
    assert counts(z[:]) == expected
    assert counts(z[::2]) == expected[::2]
    assert counts(z.oindex[[5, 0]]) == [expected[5], expected[0]]
    assert counts(z.vindex[np.array([True, False] * 3 + [True])]) == expected[::2]
    native = np.array(expected).view(kind[1:])
    z[1:6] = native[1:6][::-1]
    assert counts(z[:]) == [expected[0], *expected[1:6][::-1], expected[6]]
    z[:] = [native[3]] * 7
    assert counts(z[:]) == [100] * 7
    z.resize(9)
    assert counts(z[6:]) == [100, NAT, NAT]


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("kind", [">m8", ">M8"])
def test_a_chunk_of_times_is_not_taken_for_the_fill_value_of_the_other_byte_order(kind):
    # The bytes of 128 in one byte order are those of NaT, the fill value, in the other.
    data = np.full(4, 128, ">i8").view(kind)
    store: dict[str, Any] = {}
    z = fastzarr.create_array(store, data=data, chunks=4, zarr_format=2)
    assert "0" in store
    assert (z[:].view(">i8") == 128).all()
