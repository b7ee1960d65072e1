"""Complex numbers with parts of low precision."""

from __future__ import annotations

import math
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastzarr
from fastzarr.dtypes import SmallComplex, Struct, from_numpy, from_v2, from_v3
from fastzarr.dtypes.complexes import NAMES
from fastzarr.errors import DataTypeValidationError, MetadataError

ALL = sorted(NAMES)


def test_each_registered_float_of_low_precision_has_complex_numbers() -> None:
    assert {name.removeprefix("complex_") for name in NAMES} == {
        "bfloat16", "float16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz",
        "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float6_e2m3fn",
        "float6_e3m2fn", "float4_e2m1fn",
    }  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_a_name_is_kept(name: str) -> None:
    dtype = from_v3(name)
    assert dtype.to_v3() == dtype.name == name
    # The NumPy dtype of an array that was read leads back to the data type.
    assert dtype == from_numpy(name) == from_numpy(np.zeros(2, dtype.numpy).dtype)
    assert pickle.loads(pickle.dumps(dtype)) == dtype.native() == dtype
    part = from_numpy(name.removeprefix("complex_"))
    assert dtype.itemsize == 2 * (part.itemsize or 0)
    assert (dtype.number_size, dtype.mask, dtype.multibyte) == (
        part.itemsize,
        part.mask,
        part.multibyte,
    )


def test_the_same_record_without_a_name_is_a_record() -> None:
    numpy = SmallComplex("complex_bfloat16").numpy
    assert isinstance(from_numpy(np.dtype(numpy.descr)), Struct)
    marked = np.dtype([("real", "f4"), ("imag", "f4")], metadata=dict(numpy.metadata or {}))
    assert isinstance(from_numpy(marked), Struct)


@pytest.mark.parametrize("name", ALL)
def test_every_value_of_a_part_comes_back_from_json(name: str) -> None:
    dtype = SmallComplex(name)
    part = dtype.numpy["real"]
    word = np.dtype(f"u{part.itemsize}")
    counted = dtype.mask or np.iinfo(word).max
    for number in range(0, counted + 1, 1 if counted < 256 else 251):
        bits = np.array([number, counted - number], word)
        fill = bits.view(dtype.numpy)[0]
        json = dtype.fill_to_json(fill, 3)
        assert dtype.fill_from_json(json, 3, "w").tobytes() == bits.tobytes(), json


@pytest.mark.parametrize(
    ("name", "json", "culprit"),
    [
        ("complex_bfloat16", 1, "real, imaginary"),
        ("complex_bfloat16", None, "null"),
        ("complex_bfloat16", [1], "real, imaginary"),
        ("complex_bfloat16", [1, 2, 3], "real, imaginary"),
        ("complex_bfloat16", ["0x1", 0], r"w\[0\]"),
        ("complex_float8_e8m0fnu", [1, -1], r"w\[1\]: .*float8_e8m0fnu"),
        ("complex_float4_e2m1fn", [0, "NaN"], r"w\[1\]: .*float4_e2m1fn"),
        ("complex_float6_e3m2fn", ["Infinity", 0], r"w\[0\]: .*float6_e3m2fn"),
    ],
)
def test_an_invalid_fill_value_of_a_document_is_named(name: str, json: Any, culprit: str) -> None:
    with pytest.raises(MetadataError, match=culprit):
        from_v3(name).fill_from_json(json, 3, "w")


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (1, (1, 0)),
        (2.5j, (0, 2.5)),
        (np.complex64(1 + 2j), (1, 2)),
        (ml_dtypes.bfloat16(3), (3, 0)),
        ((1, "x"), None),
        ((1, 2), (1, 2)),
        ([1, -0.0], (1, -0.0)),
        (np.zeros((), SmallComplex("complex_bfloat16").numpy)[()], (0, 0)),
        (None, (0, 0)),
        (True, (1, 0)),
        ("1", None),
        (b"1", None),
        ([1], None),
        (np.datetime64(1, "s"), None),
    ],
)
def test_a_fill_value_is_a_number_or_two_parts(value: Any, parts: Any) -> None:
    dtype = SmallComplex("complex_bfloat16")
    if parts is None:
        with pytest.raises((TypeError, ValueError), match="fill_value"):
            dtype.cast_fill(value)
    else:
        found = dtype.cast_fill(value)
        assert found.tobytes() == np.array(parts, ml_dtypes.bfloat16).tobytes()


def test_a_part_that_is_out_of_range_is_rejected() -> None:
    with pytest.raises(OverflowError, match="complex_float8_e4m3fnuz"):
        SmallComplex("complex_float8_e4m3fnuz").cast_fill(1e10)


@pytest.mark.parametrize("path", ["native", "numpy"])
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("name", ["complex_bfloat16", "complex_float16", "complex_float4_e2m1fn"])
def test_numbers_are_stored_one_part_after_the_other(name: str, endian: str, path: str) -> None:
    store: dict[str, Any] = {}
    with fastzarr.config.set({"data_path": path}):
        z = fastzarr.create_array(
            store,
            shape=4,
            chunks=2,
            dtype=name,
            fill_value=1j,
            serializer={"name": "bytes", "configuration": {"endian": endian}},
            compressors=None,
        )
        z[1:3] = [2 - 0.5j, 3]
        numbers = z.astype("complex128")[:]
    assert numbers.tolist() == [1j, 2 - 0.5j, 3, 1j]
    part = from_numpy(name.removeprefix("complex_")).numpy
    stored = np.array([0, 1, 2, -0.5]).astype(part).view(f"u{part.itemsize}")
    assert bytes(store["c/0"]) == (stored.byteswap() if endian == "big" else stored).tobytes()


def test_numbers_of_any_kind_are_assigned() -> None:
    z = fastzarr.zeros((2, 2), dtype="complex_float16")
    for value, expected in [
        (1j, [[1j, 1j], [1j, 1j]]),
        ([[1, 2j], [3, 4]], [[1, 2j], [3, 4]]),
        ([(1, 2), (3, 4)], [[1 + 2j, 3 + 4j]] * 2),
        (np.float32(2), [[2, 2], [2, 2]]),
        (np.array([True, False]), [[1, 0]] * 2),
        (np.array([1, 2j], object), [[1, 2j]] * 2),
        (np.array([0.5, 1], ml_dtypes.bfloat16), [[0.5, 1]] * 2),
        (np.zeros((2, 2), z.dtype), [[0, 0], [0, 0]]),
    ]:
        z[...] = value
        assert z.astype("complex64")[:].tolist() == expected
    z["imag"] = 7
    assert z[0, 0].tolist() == (0, 7)
    for wrong in ["1", ["1", "2"], np.array([1], "M8[s]"), np.array(["a"], object)]:
        with pytest.raises((TypeError, ValueError)):
            z[0, 0] = wrong
    assert (z["imag"][:] == 7).all()


def test_stricter_casting_applies_to_complex_numbers() -> None:
    z = fastzarr.zeros(2, dtype="complex_float16")
    with fastzarr.config.set({"array.casting": "same_kind"}):
        z[:] = [1j, 2]
    with fastzarr.config.set({"array.casting": "safe"}):
        with pytest.raises(TypeError, match="safe"):
            z[:] = [1j, 2]
        z[:] = z[:]
    assert z.astype("complex64")[:].tolist() == [1j, 2]


def test_complex_numbers_are_resized_appended_and_copied() -> None:
    z = fastzarr.array([1j, 2], dtype="complex_bfloat16", chunks=1)
    z.append([3 + 1j])
    z.resize(5)
    again = fastzarr.from_array({}, data=z)
    other = fastzarr.array(z[:])
    for found in (z, again, other):
        assert found.metadata.to_dict()["data_type"] == "complex_bfloat16"
        assert found.astype("complex64")[:].tolist() == [1j, 2, 3 + 1j, 0, 0]
    assert "complex_bfloat16" in str(z.info)
    assert fastzarr.zeros_like(z).dtype == z.dtype
    assert fastzarr.array([1, 2j]).astype("complex_bfloat16")[:]["imag"].tolist() == [0, 2]


def test_complex_numbers_are_fields_of_records() -> None:
    fields = [{"name": n, "data_type": n} for n in ("complex_bfloat16", "int4", "float64")]
    z = fastzarr.create_array(
        {},
        shape=2,
        dtype={"name": "struct", "configuration": {"fields": fields}},
        fill_value=((1, 2), -3, math.inf),
    )
    document = z.metadata.to_dict()
    assert document["data_type"]["configuration"]["fields"] == fields
    assert document["fill_value"] == {
        "complex_bfloat16": [1.0, 2.0],
        "int4": -3,
        "float64": "Infinity",
    }
    assert from_numpy(z.dtype) == z.metadata.data_type
    assert z[0].tolist() == ((1, 2), -3, math.inf)


def test_format_2_has_no_name_for_them() -> None:
    with pytest.raises(DataTypeValidationError, match=r"zarr_format=3, or a record .*'bfloat16'"):
        fastzarr.create_array({}, shape=2, dtype="complex_bfloat16", zarr_format=2)
    with pytest.raises(DataTypeValidationError, match="unknown dtype 'complex_bfloat16'"):
        from_v2("complex_bfloat16")
    with pytest.raises(DataTypeValidationError, match="N5 has no data type 'complex_bfloat16'"):
        fastzarr.create_array({}, shape=2, dtype="complex_bfloat16", zarr_format="n5")
