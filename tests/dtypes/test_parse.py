"""Data types from users' arguments and documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastzarr
from fastzarr import dtypes
from fastzarr.checked import as_int
from fastzarr.dtypes import (
    DataType,
    Int16,
    from_numpy,
    from_v2,
    from_v3,
    parse_dtype,
    register_dtype,
)
from fastzarr.dtypes.parse import DTYPES
from fastzarr.errors import DataTypeValidationError, MetadataError

SECONDS = {"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 1}}


@pytest.mark.parametrize(
    ("spec", "name", "numpy"),
    [
        (int, "int64", "i8"),
        (float, "float64", "f8"),
        (bool, "bool", "?"),
        (complex, "complex128", "c16"),
        (np.int16, "int16", "i2"),
        (np.dtype(">f4"), "float32", ">f4"),
        ("int32", "int32", "i4"),
        ("float16", "float16", "f2"),
        ("complex_float32", "complex64", "c8"),
        ("r24", "raw_bytes", "V3"),
        (SECONDS, "numpy.datetime64", "M8[s]"),
        ("datetime64[s]", "numpy.datetime64", "M8[s]"),
        (np.dtype("M8[7D]"), "numpy.datetime64", "M8[7D]"),
        (str, "string", np.dtypes.StringDType()),
        ("str", "string", np.dtypes.StringDType()),
        ("string", "string", np.dtypes.StringDType()),
        (np.dtypes.StringDType(), "string", np.dtypes.StringDType()),
        (np.dtype("U"), "string", np.dtypes.StringDType()),
        (bytes, "bytes", object),
        ("bytes", "bytes", object),
        ("variable_length_bytes", "bytes", object),
        (np.dtype("S"), "bytes", object),
        ([("a", "i4"), ("b", "S2")], "struct", [("a", "i4"), ("b", "S2")]),
        ([["a", "<i4"], ["b", [["c", "|u1"]]]], "struct", [("a", "<i4"), ("b", [("c", "u1")])]),
        ("i4,f8", "struct", "i4,f8"),
        ({"names": ["a"], "formats": ["i4"]}, "struct", [("a", "i4")]),
        (dtypes.Int8(), "int8", "i1"),
    ],
)
def test_a_user_may_say_a_data_type_in_many_ways(spec: Any, name: str, numpy: Any) -> None:
    dtype = from_numpy(spec)
    assert dtype.name == name
    assert dtype.numpy == np.dtype(numpy)


@pytest.mark.parametrize(
    ("spec", "culprit"),
    [
        ("V0", "length"),
        (np.dtype("g"), "float|longdouble"),
        (np.dtype("G"), "complex"),
        (np.dtype(("i4", (2,))), "i4"),
        ([("a", object)], "'a'"),
        ([], "field"),
    ],
)
def test_unsupported_numpy_dtypes_are_rejected(spec: Any, culprit: str) -> None:
    with pytest.raises(DataTypeValidationError, match=culprit):
        from_numpy(spec)


@pytest.mark.parametrize("spec", ["nothing", "int7", 5])
def test_unknown_dtypes_are_rejected_as_by_numpy(spec: Any) -> None:
    with pytest.raises(TypeError):
        from_numpy(spec)


@pytest.mark.parametrize(
    ("json", "numpy"),
    [
        ("<i4", "<i4"),
        (">i4", ">i4"),
        ("i4", "i4"),
        ("|u1", "u1"),
        ("<u1", "u1"),
        ("|b1", "?"),
        (">c16", ">c16"),
        ("|S3", "S3"),
        ("S3", "S3"),
        (">U2", ">U2"),
        ("|V3", "V3"),
        ("float64", "f8"),
        ("<M8[25s]", "<M8[25s]"),
    ],
)
def test_format_2_dtypes_are_read(json: str, numpy: str) -> None:
    assert from_v2(json).numpy == np.dtype(numpy)


@pytest.mark.parametrize(
    "json",
    [
        "", "<", "i4,f8", "<f16", "<c32", "<i3", "|b2", "|S0", "<U0", "|V0", "|S", "<U", "(2,)i4",
        "<i4 ", "|S99999999999", "|S4000000000", "<U600000000", "nothing", 5, None, True, {"a": 1},
    ],
)  # fmt: skip
def test_an_invalid_format_2_dtype_is_rejected(json: object) -> None:
    with pytest.raises(DataTypeValidationError, match=r"^\.zarray: dtype: "):
        from_v2(json, ".zarray: dtype")


def test_parse_dtype_follows_the_format() -> None:
    assert parse_dtype(">i4", zarr_format=2).to_v2() == ">i4"
    assert parse_dtype(">i4", zarr_format=3) == dtypes.Int32()
    assert parse_dtype("int8", zarr_format=3) == from_v3("int8")
    pair = {"name": "|O", "object_codec_id": "vlen-utf8"}
    assert parse_dtype(pair, zarr_format=2) == dtypes.String()


def test_the_names_of_zarr_python_make_the_same_data_types() -> None:
    assert dtypes.Int32(endianness="big").to_v2() == ">i4"
    assert dtypes.FixedLengthUTF32(length=5) == from_numpy("U5")
    assert dtypes.NullTerminatedBytes(length=3) == from_numpy("S3")
    assert dtypes.RawBytes(length=3) == from_numpy("V3")
    assert dtypes.DateTime64(unit="ms", scale_factor=10) == from_numpy("M8[10ms]")
    assert dtypes.VariableLengthUTF8() == from_numpy(str)
    assert dtypes.VariableLengthBytes() == from_numpy(bytes)
    for wrong in ({"length": 0}, {"length": 2**31}):
        with pytest.raises(DataTypeValidationError):
            dtypes.NullTerminatedBytes(**wrong)
    with pytest.raises(DataTypeValidationError):
        dtypes.DateTime64(unit="x")


def test_a_registered_data_type_is_found_by_its_name() -> None:
    class Tenths(Int16):
        """A custom data type for tenths of a unit."""

        def __init__(self, *, scale: int = 1) -> None:
            DataType.__init__(self, np.dtype("i2"), "example.tenths", multibyte=True, scale=scale)

        @classmethod
        def from_config(cls, config: dict[str, Any], where: str) -> Tenths:
            return cls(scale=as_int(config.get("scale", 1), f"{where}.scale", 1, 9))

        def to_v3(self) -> dict[str, Any]:
            return {"name": self.name, "configuration": {"scale": vars(self)["scale"]}}

    with pytest.raises(DataTypeValidationError, match=r"unknown data type 'example\.tenths'"):
        from_v3("example.tenths")
    register_dtype("example.tenths", Tenths)
    assert type(from_numpy("example.tenths")) is Tenths
    store: dict[str, bytes] = {}
    z = fastzarr.create_array(store, shape=4, dtype=Tenths(scale=3), fill_value=5)
    z[1:] = [1, 2, 3]
    opened = fastzarr.open_array(store, mode="r")
    assert type(opened.layout.dtype) is Tenths
    assert vars(opened.layout.dtype)["scale"] == 3
    assert opened[:].tolist() == [5, 1, 2, 3]
    with pytest.raises(MetadataError, match=r"^a\.configuration\.scale: must be an integer from 1"):
        from_v3({"name": "example.tenths", "configuration": {"scale": 10}}, "a")

    class Other(Tenths):
        """Another class registered under the same name."""

    register_dtype("example.tenths", Other)
    assert type(fastzarr.open_array(store, mode="r").layout.dtype) is Other


def test_a_registered_class_replaces_a_name_of_low_precision() -> None:
    class Nibbles(dtypes.UInt8):
        """A data type under a name of the package."""

    DTYPES.register("uint4", Nibbles)
    try:
        assert type(from_v3("uint4")) is Nibbles
        assert dtypes.data_type_registry.get("uint4") is Nibbles
    finally:
        del DTYPES._found["uint4"]  # noqa: SLF001  (there is no way back for users)
    assert from_v3("uint4").name == "uint4"
    assert dtypes.data_type_registry.get("uint4") is dtypes.SmallInteger
    contents = dtypes.data_type_registry.contents
    assert contents["complex_bfloat16"] is dtypes.SmallComplex
    assert contents["bfloat16"] is dtypes.SmallFloat
    assert contents["struct"] is dtypes.Struct
