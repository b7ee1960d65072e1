"""The small floating-point and integer types of machine learning."""

from __future__ import annotations

import math
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from fastzarr.dtypes import from_numpy, from_v2, from_v3
from fastzarr.dtypes.ml import FLOATS, INTEGERS
from fastzarr.errors import MetadataError


@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS])
def test_a_small_number_keeps_its_name_and_every_value(name: str) -> None:
    dtype = from_v3(name)
    assert dtype.to_v3() == dtype.to_v2() == dtype.name == name
    assert dtype == from_v2(name) == from_numpy(name) == from_numpy(np.dtype(name))
    assert dtype.native() is dtype
    assert dtype.multibyte is (name == "bfloat16")
    word = np.uint16 if name == "bfloat16" else np.uint8
    counted = dtype.mask or np.iinfo(word).max
    for number in range(counted + 1):
        fill = np.array(number, word).view(dtype.numpy)[()]
        json = dtype.fill_to_json(fill, 3)
        back = np.asarray(dtype.fill_from_json(json, 3, "w"), dtype.numpy).view(word)
        assert int(back) & counted == number, json


@pytest.mark.parametrize(
    ("name", "mask"), [("int4", 15), ("uint2", 3), ("float6_e2m3fn", 63), ("float8_e5m2", None)]
)
def test_bits_that_do_not_count_are_known(name: str, mask: int | None) -> None:
    assert from_v3(name).mask == mask
    assert from_v3("uint8").mask is None


def test_bits_that_do_not_count_do_not_hide_a_fill_value() -> None:
    dtype = from_v3("int4")
    stored = np.array([0x0F, 0xFF, 0x7F], np.uint8).view(ml_dtypes.int4)
    assert dtype.is_fill(stored, ml_dtypes.int4(-1))
    assert not dtype.is_fill(stored, ml_dtypes.int4(1))
    assert not dtype.is_fill(stored, None)


@pytest.mark.parametrize(
    ("name", "json"),
    [
        ("int4", 8),
        ("uint2", -1),
        ("int4", 1.5),
        ("float4_e2m1fn", "NaN"),
        ("float4_e2m1fn", 7.0),
        ("float6_e3m2fn", "Infinity"),
        ("float8_e4m3fn", "Infinity"),
        ("float8_e4m3fn", 449),
        ("float8_e8m0fnu", 0.0),
        ("float8_e8m0fnu", -1.0),
        ("float8_e5m2", "0x7fff"),
        ("bfloat16", "x"),
        ("bfloat16", None),
    ],
)
def test_values_outside_the_data_type_are_rejected(name: str, json: object) -> None:
    with pytest.raises(MetadataError, match=f"^w: .*{name}"):
        from_v3(name).fill_from_json(json, 3, "w")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("int4", 8, OverflowError),
        ("int4", math.nan, ValueError),
        ("int4", [1], TypeError),
        ("float4_e2m1fn", math.nan, OverflowError),
        ("float8_e4m3fn", 1e30, OverflowError),
        ("bfloat16", 1j, TypeError),
        ("bfloat16", "x", ValueError),
    ],
)
def test_an_invalid_fill_value_is_rejected(
    name: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="fill_value"):
        from_v3(name).cast_fill(value)


def test_a_fill_value_may_be_rounded() -> None:
    assert from_v3("bfloat16").cast_fill(1e30) == ml_dtypes.bfloat16(1e30)
    assert from_v3("float8_e4m3fn").cast_fill(1.51) == ml_dtypes.float8_e4m3fn(1.5)
    assert from_v3("int4").cast_fill(None) == 0


def test_ml_dtypes_is_imported_when_it_is_used() -> None:
    code = (
        "import sys, fastzarr.dtypes as d; d.from_v3('int8'); assert 'ml_dtypes' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
