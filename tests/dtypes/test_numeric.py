"""Booleans, integers, floating point and complex numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastzarr.dtypes import from_numpy, from_v3
from fastzarr.errors import MetadataError

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
COMPLEXES = ("complex64", "complex128")
NUMBERS = ("bool", *INTEGERS, *FLOATS, *COMPLEXES)


def bits(value: Any, dtype: Any) -> bytes:
    return np.asarray(value, dtype).tobytes()


# As zarr-python 3.1.6 and 2.18.7 write them.
@pytest.mark.parametrize(
    ("dtype", "v3", "v2", "fill"),
    [
        ("bool", "bool", "|b1", False),
        ("i1", "int8", "|i1", 0),
        ("<i4", "int32", "<i4", 0),
        (">i4", "int32", ">i4", 0),
        ("<u8", "uint64", "<u8", 0),
        ("<f2", "float16", "<f2", 0.0),
        (">f8", "float64", ">f8", 0.0),
        ("<c8", "complex64", "<c8", [0.0, 0.0]),
        ("<c16", "complex128", "<c16", [0.0, 0.0]),
    ],
)
def test_a_number_is_written_as_zarr_python_writes_it(
    dtype: str, v3: str, v2: str, fill: object
) -> None:
    found = from_numpy(dtype)
    assert (found.to_v3(), found.to_v2()) == (v3, v2)
    for zarr_format in (2, 3):
        assert found.fill_to_json(found.default_fill, zarr_format) == fill


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("zarr_format", [2, 3])
@given(data=st.data())
def test_a_fill_value_comes_back_from_json(
    name: str, zarr_format: int, data: st.DataObject
) -> None:
    dtype = from_v3(name)
    fill = data.draw(hnp.from_dtype(dtype.numpy))
    back = dtype.fill_from_json(dtype.fill_to_json(fill, zarr_format), zarr_format, "w")
    assert type(back) is type(fill)
    if zarr_format == 3 or name not in (*FLOATS, *COMPLEXES):
        assert bits(back, dtype.numpy) == bits(fill, dtype.numpy)
    else:
        np.testing.assert_equal(back, fill)


@pytest.mark.parametrize(
    ("name", "word"), [("float16", "u2"), ("float32", "u4"), ("float64", "u8")]
)
@given(data=st.data())
def test_every_bit_pattern_of_a_float_survives_format_3(
    name: str, word: str, data: st.DataObject
) -> None:
    dtype = from_v3(name)
    fill = data.draw(hnp.from_dtype(np.dtype(word))).view(dtype.numpy)
    json = dtype.fill_to_json(fill, 3)
    assert dtype.fill_from_json(json, 3, "w").tobytes() == fill.tobytes()


@pytest.mark.parametrize(
    ("name", "json", "wanted"),
    [
        ("float32", "NaN", 0x7FC00000),
        ("float32", "Infinity", 0x7F800000),
        ("float32", "-Infinity", 0xFF800000),
        ("float32", "0x7fc00001", 0x7FC00001),
        ("float32", "0x3F800000", 0x3F800000),
        ("float32", -0.0, 0x80000000),
        ("float32", 1, 0x3F800000),
        ("float16", "0x7e01", 0x7E01),
        ("float64", "0xfff8000000000000", 0xFFF8000000000000),
    ],
)
def test_a_float_is_read_in_every_form(name: str, json: object, wanted: int) -> None:
    dtype = from_v3(name)
    word = np.dtype(f"u{dtype.itemsize}")
    for zarr_format in (2, 3):
        assert int(dtype.fill_from_json(json, zarr_format, "w").view(word)) == wanted


def test_a_nan_that_is_not_the_usual_one_is_written_as_hex() -> None:
    dtype = from_v3("float32")
    odd = np.uint32(0x7FC00001).view(np.float32)
    assert dtype.fill_to_json(odd, 3) == "0x7fc00001"
    assert dtype.fill_to_json(np.float32("nan"), 3) == "NaN"
    assert dtype.fill_to_json(odd, 2) == "NaN"


def test_the_parts_of_a_complex_number_keep_their_form() -> None:
    dtype = from_v3("complex64")
    fill = dtype.fill_from_json(["NaN", "-Infinity"], 3, "w")
    assert math.isnan(fill.real)
    assert fill.imag == -math.inf
    assert dtype.fill_to_json(fill, 3) == ["NaN", "-Infinity"]
    assert dtype.fill_from_json([-0.0, "0x3f800000"], 3, "w").tobytes() == bits([-0.0, 1], "f4")
    assert dtype.fill_from_json(1.5, 2, "w") == 1.5


@pytest.mark.parametrize(
    ("alias", "name"), [("complex_float32", COMPLEXES[0]), ("complex_float64", COMPLEXES[1])]
)
def test_the_other_names_of_complex_numbers_are_read(alias: str, name: str) -> None:
    assert from_v3(alias) == from_v3(name)
    assert from_v3(alias).to_v3() == name


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_integral_float_is_an_integer(zarr_format: int) -> None:
    assert from_v3("int32").fill_from_json(-5.0, zarr_format, "w") == -5


def test_other_spellings_of_integers_and_booleans_are_read() -> None:
    for zarr_format in (2, 3):
        for name, json, fill in (
            ("int64", "-9223372036854775808", -(2**63)),
            ("uint64", "18446744073709551615", 2**64 - 1),
            ("bool", 0, False),
            ("bool", 1.0, True),
        ):
            dtype = from_v3(name)
            found = dtype.fill_from_json(json, zarr_format, "w")
            assert found == fill
            assert dtype.fill_to_json(found, zarr_format) is not json
            assert dtype.fill_to_json(found, zarr_format) == fill


def test_format_2_is_read_as_numpy_converts() -> None:
    assert from_v3("int64").fill_from_json("-9223372036854775808", 2, "w") == -(2**63)
    assert from_v3("float32").fill_from_json("1.5", 2, "w") == 1.5
    assert from_v3("bool").fill_from_json(0, 2, "w") == np.False_
    assert from_v3("int8").fill_from_json(None, 2, "w") is None


@pytest.mark.parametrize(
    ("name", "json", "zarr_format"),
    [
        ("int8", 128, 3),
        ("int8", -129, 2),
        ("uint8", -1, 3),
        ("int32", 1.5, 2),
        ("int32", True, 3),
        ("int32", "1.0", 3),
        ("int32", "", 3),
        ("uint8", "-1", 3),
        ("int32", "NaN", 2),
        ("int32", "9" * 5000, 2),
        ("int32", math.inf, 3),
        ("int32", [1], 3),
        ("int32", {}, 2),
        ("int32", None, 3),
        ("bool", 2, 3),
        ("bool", "1", 3),
        ("bool", 2, 2),
        ("bool", "false", 2),
        ("float32", True, 3),
        ("float32", "nan", 3),
        ("float32", "0x7fc0", 3),
        ("float32", "0x7fc000000", 2),
        ("float32", "x", 2),
        ("float32", [1.0], 3),
        ("float64", 10**400, 3),
        ("complex64", 1.0, 3),
        ("complex64", [1.0], 3),
        ("complex64", [1.0, 2.0, 3.0], 3),
        ("complex64", [1.0, None], 3),
    ],
)
def test_invalid_fill_values_are_rejected_with_their_location(
    name: str, json: object, zarr_format: int
) -> None:
    with pytest.raises(MetadataError, match=r"^a/zarr\.json: fill_value.*fill value"):
        from_v3(name).fill_from_json(json, zarr_format, "a/zarr.json: fill_value")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("int8", 128, OverflowError),
        ("int8", np.int64(300), OverflowError),
        ("int8", 300.0, OverflowError),
        ("uint8", -1, OverflowError),
        ("int32", math.nan, ValueError),
        ("int32", np.float64("nan"), ValueError),
        ("int32", math.inf, OverflowError),
        ("int32", 1j, TypeError),
        ("int32", np.complex64(1), TypeError),
        ("int32", "x", ValueError),
        ("int32", [1], TypeError),
        ("int32", np.ones(2), ValueError),
        ("int32", np.datetime64(1, "s"), TypeError),
        ("float32", 1j, TypeError),
        ("float64", 10**400, OverflowError),
        ("bool", [1], TypeError),
        ("complex64", [1, 2], TypeError),
    ],
)
def test_an_invalid_fill_value_is_rejected(
    name: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="fill_value"):
        from_v3(name).cast_fill(value)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("int32", 1.7, np.int32(1)),
        ("int8", np.array(3), np.int8(3)),
        ("int8", True, np.int8(1)),
        ("int16", "5", np.int16(5)),
        ("int16", None, np.int16(0)),
        ("float32", "Infinity", np.float32("inf")),
        ("float32", None, np.float32(0)),
        ("bool", 3, np.True_),
        ("complex64", 1, np.complex64(1)),
    ],
)
def test_a_fill_value_may_be_anything_that_numpy_would_assign(
    name: str, value: object, wanted: np.generic
) -> None:
    fill = from_v3(name).cast_fill(value)
    assert type(fill) is type(wanted)
    assert fill == wanted


@pytest.mark.parametrize("name", ["uint8", "uint64"])
@pytest.mark.parametrize(
    "value", [np.int64(-1), np.array(-1), np.int8(-128), np.float32(-2), np.float64(1e300)]
)
def test_a_numpy_scalar_does_not_wrap_around(name: str, value: Any) -> None:
    with pytest.raises(OverflowError, match=f"not valid for {name}"):
        from_v3(name).cast_fill(value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value",
    [
        np.datetime64("2000", "Y"),
        np.timedelta64(3, "s"),
        np.array(np.timedelta64(3, "D")),
        np.timedelta64(3),
    ],
)
def test_a_time_is_no_number(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"not valid for {name}: the value is a time"):
        from_v3(name).cast_fill(value)
