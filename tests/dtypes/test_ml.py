"""The small floating-point and integer types of machine learning."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastzarr
from fastzarr.dtypes import from_numpy, from_v2, from_v3
from fastzarr.dtypes.ml import FLOATS, INTEGERS
from fastzarr.errors import DataTypeValidationError, MetadataError


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
        ("float4_e2m1fn", "0x1f"),
        ("float6_e2m3fn", "0x40"),
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


@pytest.mark.parametrize("path", ["native", "numpy"])
@pytest.mark.parametrize(
    ("name", "stored", "value"),
    [
        ("int4", [0x0F, 0xFF, 0x7F], -1),
        ("int2", [0x03, 0xFF, 0x57], -1),
        ("uint4", [0x0A, 0xFA, 0x1A], 10),
        ("uint2", [0x02, 0xFE, 0x12], 2),
        ("float4_e2m1fn", [0x02, 0xF2, 0x12], 1),
        ("float6_e2m3fn", [0x08, 0xC8, 0x48], 1),
        ("float6_e3m2fn", [0x0C, 0xCC, 0x8C], 1),
    ],
)
@pytest.mark.parametrize("compressors", [None, "auto"])
def test_upper_bits_are_ignored_on_both_data_paths(
    name: str, stored: list[int], value: int, path: str, compressors: Any
) -> None:
    store: dict[str, Any] = {}
    plain = fastzarr.create_array(
        store, name="a", shape=8, chunks=4, dtype="u1", compressors=compressors
    )
    plain[:4] = [*stored, stored[1]]
    source = json.loads(bytes(store["a/zarr.json"]))
    source |= {"data_type": name, "fill_value": value}
    store["a/zarr.json"] = json.dumps(source).encode()
    with fastzarr.config.set({"data_path": path}):
        z = fastzarr.open_array(store, path="a")
        bits = z[:].view("u1")
        assert set(bits.tolist()) == {stored[0]}
        assert z[1:3].tolist() == z[::-3].tolist()[:2] == [value] * 2
        # Equal values are fill values, and bits that do not count are written as zero.
        z[:3] = np.array(stored, "u1").view(z.dtype)
        assert "a/c/0" not in store
        z.with_config({"write_empty_chunks": True})[:3] = np.array(stored, "u1").view(z.dtype)
        plain = fastzarr.create_array(store, name="b", shape=4, dtype="u1", compressors=compressors)
        store["b/c/0"] = store["a/c/0"]
        assert set(plain[:].tolist()) == {stored[0]}


def test_format_2_has_the_fill_value_of_float4_in_base64() -> None:
    # As TensorStore 0.1.86 writes it, with any upper bits.
    dtype = from_v2("float4_e2m1fn")
    assert dtype.fill_to_json(dtype.cast_fill(1), 2) == "Ag=="
    for json_fill, value in [("Ag==", 1), ("cg==", 1), (1.0, 1), ("-0.5", -0.5)]:
        fill = dtype.fill_from_json(json_fill, 2, "w")
        assert float(fill) == value
        assert int(fill.view("u1")) <= 15
    for wrong in ("AgA=", "A===", "NaN", "Ag="):
        with pytest.raises(MetadataError, match=r"^w: "):
            dtype.fill_from_json(wrong, 2, "w")
    with pytest.raises(MetadataError, match=r"^w: "):
        dtype.fill_from_json("Ag==", 3, "w")


def test_the_error_for_a_missing_ml_dtypes_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    store: dict[str, Any] = {}
    fastzarr.create_array(store, name="a", shape=2, dtype="int4")
    fastzarr.create_array(store, name="b", shape=2, dtype="complex_float16")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    extra = r"pip install 'fastzarr\[ml_dtypes\]'"
    for name in ("bfloat16", "int4", "complex_float8_e5m2"):
        part = name.removeprefix("complex_")
        with pytest.raises(DataTypeValidationError, match=f"'{part}'.*{extra}"):
            fastzarr.create_array({}, shape=2, dtype=name)
    group = fastzarr.open_group(store, mode="r")
    with pytest.raises(MetadataError, match=rf"data_type: .*int4.*{extra}"):
        group["a"]
    assert group["b"].shape == (2,)
    with pytest.raises(MetadataError, match=f"int4.*{extra}"):
        from_v2("int4")


def test_a_record_with_numbers_of_few_bits_ignores_the_others() -> None:
    for path in ("native", "numpy"):
        with fastzarr.config.set({"data_path": path}):
            store: dict[str, Any] = {}
            z = fastzarr.create_array(
                store,
                shape=3,
                chunks=2,
                dtype=[("a", ml_dtypes.int4), ("b", ">u2"), ("c", ml_dtypes.uint2, (2,))],
                fill_value=(-1, 513, 1),
                zarr_format=2,
                compressors=None,
            )
            assert z[2].tobytes() == b"\x0f\x02\x01\x01\x01"
            store["0"] = b"\x7f\x02\x01\xff\x0e" + z[2].tobytes()
            assert z[0].tobytes() == b"\x0f\x02\x01\x03\x02"
            z[0] = np.frombuffer(b"\xff\x02\x01\x05\x09", z.dtype)[0]
            assert "0" not in store


def test_ml_dtypes_is_imported_when_it_is_used() -> None:
    code = (
        "import sys, fastzarr.dtypes as d; d.from_v3('int8'); assert 'ml_dtypes' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
