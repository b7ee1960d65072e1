"""Structured data types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastzarr.dtypes import Float64, Int32, String, Struct, from_numpy, from_v2, from_v3
from fastzarr.errors import DataTypeValidationError, MetadataError

POINT = np.dtype([("a", "<i4"), ("b", ">f8")])
NESTED = np.dtype([("a", "<i4"), ("b", [("x", "S3"), ("y", "<M8[s]")])])


def struct(*fields: object, name: str = "struct") -> dict[str, Any]:
    return {"name": name, "configuration": {"fields": list(fields)}}


def field(name: object, data_type: object) -> dict[str, Any]:
    return {"name": name, "data_type": data_type}


def test_a_record_is_written_with_named_fields() -> None:
    dtype = from_numpy(POINT)
    assert dtype.to_v3() == struct(field("a", "int32"), field("b", "float64"))
    assert dtype.to_v2() == [["a", "<i4"], ["b", ">f8"]]
    fill = dtype.cast_fill((1, np.nan))
    assert dtype.fill_to_json(fill, 3) == {"a": 1, "b": "NaN"}
    # As zarr-python 2.18.7 writes it.
    assert from_numpy([("a", "<i4"), ("b", "<f8")]).fill_to_json(fill, 2) == "AQAAAAAAAAAAAPh/"


def test_records_may_be_fields() -> None:
    dtype = from_numpy(NESTED)
    second = {"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 1}}
    three = {"name": "null_terminated_bytes", "configuration": {"length_bytes": 3}}
    inner = struct(field("x", three), field("y", second))
    assert dtype.to_v3() == struct(field("a", "int32"), field("b", inner))
    assert dtype.to_v2() == [["a", "<i4"], ["b", [["x", "|S3"], ["y", "<M8[s]"]]]]
    json = {"a": 0, "b": {"x": "", "y": -(2**63)}}
    assert dtype.fill_to_json(dtype.default_fill, 3) == json
    assert from_v3(dtype.to_v3()) == dtype
    assert from_v2(dtype.to_v2()) == dtype


def test_the_old_name_is_read_and_not_written() -> None:
    old = from_v3(struct(["a", "int32"], ["b", "float64"], name="structured"))
    assert old == from_v3(struct(field("a", "int32"), field("b", "float64")))
    assert isinstance(old, Struct)
    assert old.legacy
    assert old.to_v3() == struct(field("a", "int32"), field("b", "float64"))


def test_the_old_fill_value_is_read() -> None:
    # zarr-python 3.1.6 writes this for (1, nan).
    fill = from_v3(struct(["a", "int32"], ["b", "float64"], name="structured")).fill_from_json(
        "AQAAAAAAAAAAAPh/", 3, "w"
    )
    assert fill["a"] == 1
    assert np.isnan(fill["b"])


def test_base64_in_format_2_has_the_byte_order_of_the_fields() -> None:
    # zarr-python 2.18.7 writes this for (258, b"x", 7).
    dtype = from_v2([["a", ">i2"], ["s", "|S2"], ["t", "<M8[10ms]"]])
    fill = dtype.fill_from_json("AQJ4AAcAAAAAAAAA", 2, "w")
    assert fill.item()[:2] == (258, b"x")
    assert int(fill["t"].view("i8")) == 7
    assert dtype.fill_to_json(fill, 2) == "AQJ4AAcAAAAAAAAA"


def test_fields_are_packed() -> None:
    loose = np.dtype([("a", "i1"), ("b", "<i4")], align=True)
    assert from_numpy(loose).itemsize == 5
    assert from_numpy(loose) == from_numpy([("a", "i1"), ("b", "<i4")])


def test_a_gap_that_zarr_python_2_wrote_keeps_its_place() -> None:
    dtype = from_v2([["a", "|i1"], ["", "|V3"], ["b", "<i4"]])
    assert dtype.itemsize == 8
    assert dtype.numpy.fields is not None
    assert dtype.numpy.fields["b"][1] == 4


def test_a_field_of_format_2_may_be_an_array() -> None:
    dtype = from_v2([["a", "<i4", [2, 3]], ["b", "<f4", [4]]])
    assert dtype.numpy == np.dtype([("a", "<i4", (2, 3)), ("b", "<f4", (4,))])
    assert dtype.to_v2() == [["a", "<i4", [2, 3]], ["b", "<f4", [4]]]
    fill = dtype.cast_fill((7, [1, 2, 3, 4]))
    assert fill["a"].tolist() == [[7, 7, 7], [7, 7, 7]]
    assert dtype.fill_from_json(dtype.fill_to_json(fill, 2), 2, "w") == fill
    with pytest.raises(DataTypeValidationError, match=r"'a'.*\(2, 3\).*format 2"):
        dtype.to_v3()
    with pytest.raises(OverflowError, match="fill_value"):
        dtype.cast_fill((np.array(2**40), 0))


@given(st.data())
def test_any_record_comes_back(data: st.DataObject) -> None:
    scalars = hnp.scalar_dtypes().filter(lambda d: d.itemsize not in {0, 12, 24, 32} and d != "g")
    titled = data.draw(hnp.array_dtypes(scalars, allow_subarrays=False))
    dtype = from_numpy(titled)
    numpy = np.dtype([(name, titled[name]) for name in titled.names])
    assert dtype.numpy == numpy
    assert from_v2(dtype.to_v2()) == dtype
    assert from_v3(dtype.to_v3()) == dtype.native()
    fill = data.draw(hnp.arrays(numpy, ()))[()]
    stored = np.asarray(fill, numpy).tobytes()
    for kind, zarr_format in ((dtype, 2), (dtype.native(), 3)):
        back = kind.fill_from_json(kind.fill_to_json(fill, zarr_format), zarr_format, "w")
        assert np.asarray(back, kind.numpy).astype(numpy).tobytes() == stored


def test_byte_order_counts_if_it_does_for_a_field() -> None:
    assert from_numpy(POINT).multibyte
    assert not from_numpy([("a", "u1"), ("b", "S3")]).multibyte
    assert from_numpy([("a", [("b", ">i2")])]).native().numpy == np.dtype([("a", [("b", "=i2")])])


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0, (0, 0.0)),
        (None, (0, 0.0)),
        (5, (5, 5.0)),
        ((1, 2), (1, 2.0)),
        ([1, 2], (1, 2.0)),
        ({"b": 2, "a": 1}, (1, 2.0)),
        (np.array((1, 2), POINT), (1, 2.0)),
        (np.array((1, 2), [("x", "i8"), ("y", "i8")])[()], (1, 2.0)),
    ],
)
def test_a_user_may_give_a_record_in_any_form(value: object, wanted: tuple[int, float]) -> None:
    fill = from_numpy(POINT).cast_fill(value)
    assert fill.dtype == POINT
    assert fill.item() == wanted


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ((1, 2, 3), ValueError),
        ({"a": 1}, ValueError),
        ((2**40, 0), OverflowError),
        (("x", 0), ValueError),
        (((1, 2), 0), TypeError),
        (np.zeros(2, POINT), ValueError),
    ],
)
def test_an_invalid_fill_value_is_rejected(value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="fill_value"):
        from_numpy(POINT).cast_fill(value)


@pytest.mark.parametrize(
    ("json", "zarr_format"),
    [
        ({"a": 1}, 3),
        ({"a": 1, "b": 2, "c": 3}, 3),
        ({"a": 1.5, "b": 2}, 3),
        ({"a": None, "b": 2}, 3),
        ([1, 2], 3),
        ("AAAA", 3),
        ("AAAA", 2),
        ("not base64", 2),
        (0, 3),
        (None, 3),
    ],
)
def test_a_wrong_fill_value_is_refused(json: object, zarr_format: int) -> None:
    with pytest.raises(MetadataError, match=r"^w"):
        from_numpy(POINT).fill_from_json(json, zarr_format, "w")


def test_zero_and_null_are_read_in_format_2() -> None:
    assert from_numpy(POINT).fill_from_json(0, 2, "w").item() == (0, 0.0)
    assert from_numpy(POINT).fill_from_json(None, 2, "w") is None


@pytest.mark.parametrize(
    "json",
    [
        struct(),
        {"name": "struct", "configuration": {"fields": {}}},
        {"name": "struct"},
        struct("a"),
        struct(field("", "int8")),
        struct(field(1, "int8")),
        struct(field("a", "int8"), field("a", "int8")),
        struct(field("a", "string")),
        struct(field("a", "nothing")),
        struct({"name": "a"}),
        struct(["a", "int8", [2]]),
        struct(field("a", "int8") | {"x": 1}),
    ],
)
def test_a_wrong_record_is_refused_at_its_place(json: object) -> None:
    with pytest.raises(DataTypeValidationError, match=r"^w\.configuration"):
        from_v3(json, "w")


@pytest.mark.parametrize(
    "json",
    [
        [],
        ["a"],
        [["a"]],
        [["a", "<i4", [2], 0]],
        [[1, "<i4"]],
        [["a", "<i4", [-1]]],
        [["a", "<i4", [0]]],
        [["a", "<i4", [True]]],
        [["a", "<i4", [2**31, 2**31]]],
        [["a", "<i4"], ["a", "<i4"]],
        [["a", "|O"]],
        [["a", 3]],
    ],
)
def test_a_wrong_record_is_refused_in_format_2(json: list[object]) -> None:
    with pytest.raises(DataTypeValidationError, match=r"^\.zarray: dtype"):
        from_v2(json, ".zarray: dtype")


def test_a_record_can_be_made_from_data_types() -> None:
    dtype = Struct(fields=(("id", Int32()), ("value", Float64())))
    assert dtype == from_numpy([("id", "i4"), ("value", "f8")])
    with pytest.raises(DataTypeValidationError, match=r"'s'.*string"):
        Struct(fields=(("s", String()),))
