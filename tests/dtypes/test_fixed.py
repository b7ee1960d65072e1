"""Text and bytes of fixed length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.dtypes import (
    DataType,
    FixedLengthUTF32,
    NullTerminatedBytes,
    RawBytes,
    from_numpy,
    from_v2,
    from_v3,
)
from fastzarr.errors import DataTypeValidationError, MetadataError


def with_length(name: str, length: object) -> dict[str, Any]:
    return {"name": name, "configuration": {"length_bytes": length}}


# As zarr-python writes them.
@pytest.mark.parametrize(
    ("dtype", "v3", "v2", "fill_v3", "fill_v2"),
    [
        ("S3", with_length("null_terminated_bytes", 3), "|S3", "", ""),
        ("<U5", with_length("fixed_length_utf32", 20), "<U5", "", ""),
        (">U5", with_length("fixed_length_utf32", 20), ">U5", "", ""),
        ("V3", with_length("raw_bytes", 3), "|V3", "AAAA", "AAAA"),
    ],
)
def test_fixed_lengths_are_written_under_their_names(
    dtype: str, v3: object, v2: str, fill_v3: object, fill_v2: object
) -> None:
    found = from_numpy(dtype)
    assert (found.to_v3(), found.to_v2()) == (v3, v2)
    assert found.fill_to_json(found.default_fill, 3) == fill_v3
    assert found.fill_to_json(found.default_fill, 2) == fill_v2
    assert from_v3(found.to_v3()) == found.native()
    assert from_v2(found.to_v2()) == found


@pytest.mark.parametrize(
    ("json", "wanted"),
    [("r24", RawBytes(length=3)), (with_length("raw_bytes", 3), RawBytes(length=3)), ("r8", "V1")],
)
def test_raw_bytes_have_two_names(json: object, wanted: DataType | str) -> None:
    assert from_v3(json) == from_numpy(wanted)


@pytest.mark.parametrize("json", [[1, 2, 255], "AQL/"])
def test_the_fill_value_of_raw_bytes_has_two_forms(json: object) -> None:
    assert from_v3("r24").fill_from_json(json, 3, "w") == np.void(b"\1\2\xff")


@given(st.binary(max_size=4), st.sampled_from([2, 3]))
def test_bytes_come_back_from_json(data: bytes, zarr_format: int) -> None:
    for dtype in (NullTerminatedBytes(length=4), RawBytes(length=4)):
        fill = dtype.cast_fill(data)
        assert dtype.fill_from_json(dtype.fill_to_json(fill, zarr_format), zarr_format, "w") == fill


@given(st.text(max_size=4), st.sampled_from([2, 3]))
def test_text_comes_back_from_json(text: str, zarr_format: int) -> None:
    for endianness in ("little", "big"):
        dtype = FixedLengthUTF32(length=4, endianness=endianness)
        fill = dtype.cast_fill(text)
        assert fill == text.rstrip("\0")
        assert dtype.fill_from_json(dtype.fill_to_json(fill, zarr_format), zarr_format, "w") == fill


@pytest.mark.parametrize("dtype", ["S3", "U3", "V3"])
def test_zero_is_the_empty_value(dtype: str) -> None:
    found = from_numpy(dtype)
    for fill in (found.cast_fill(0), found.cast_fill(np.int64(0)), found.cast_fill(None)):
        assert fill == found.default_fill
    assert found.fill_from_json(0, 2, "w") == found.default_fill
    assert found.fill_from_json(None, 2, "w") is None


def test_format_2_is_read_from_before_base64() -> None:
    assert from_numpy("S4").fill_from_json("n/a!", 2, "w") == b"n/a!"
    assert from_numpy("S4").fill_from_json("Yf8=", 2, "w") == b"a\xff"


def test_a_value_that_is_too_long_is_cut_for_a_user() -> None:
    assert from_numpy("S3").cast_fill(b"abcd") == b"abc"
    assert from_numpy("U3").cast_fill("abcd") == "abc"
    assert from_numpy("V3").cast_fill(bytearray(b"abcd")) == np.void(b"abc")


@pytest.mark.parametrize(
    ("dtype", "json", "zarr_format"),
    [
        ("S3", "YWJjZA==", 3),
        ("S3", "YWJjZA==", 2),
        ("S3", "abc!", 3),
        ("S3", 0, 3),
        ("S3", [1], 3),
        ("U3", "abcd", 3),
        ("U3", 0, 3),
        ("U3", 5, 2),
        ("V3", "AA==", 3),
        ("V3", [1, 2], 3),
        ("V3", [1, 2, 256], 3),
        ("V3", [1, 2, True], 3),
        ("V3", None, 3),
    ],
)
def test_a_wrong_fill_value_is_refused(dtype: str, json: object, zarr_format: int) -> None:
    with pytest.raises(MetadataError, match=r"^w: .* not a valid fill value for"):
        from_numpy(dtype).fill_from_json(json, zarr_format, "w")


@pytest.mark.parametrize(
    ("dtype", "value", "error"),
    [
        ("S3", "é", ValueError),
        ("S3", [b"a"], TypeError),
        ("U3", b"\xff", ValueError),
        ("U3", np.array(["a"]), ValueError),
        ("V3", "abc", TypeError),
        ("V3", 5, TypeError),
        ("V3", np.int64(5), TypeError),
        ("V3", np.datetime64(5, "s"), TypeError),
        ("U3", "\ud800", ValueError),
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
        "r0",
        "r7",
        "r999999999999",
        with_length("raw_bytes", 0),
        with_length("raw_bytes", 2**31),
        {"name": "raw_bytes", "configuration": {"length_bytes": True}},
        with_length("raw_bytes", 3.0),
        with_length("fixed_length_utf32", 6),
        with_length("null_terminated_bytes", "3"),
        {"name": "null_terminated_bytes"},
        {"name": "null_terminated_bytes", "configuration": {"length_bytes": 3, "more": 1}},
        "fixed_length_utf32",
    ],
)
def test_a_wrong_length_is_refused_at_its_place(json: object) -> None:
    with pytest.raises(DataTypeValidationError, match=r"^zarr\.json: data_type"):
        from_v3(json, "zarr.json: data_type")


def test_only_text_has_a_byte_order() -> None:
    assert [from_numpy(d).multibyte for d in ("S3", "V3", "U3")] == [False, False, True]
    assert from_numpy(">U3").native().numpy.isnative
    assert [from_numpy(d).length for d in ("S3", "V3", "U3")] == [3, 3, 3]
