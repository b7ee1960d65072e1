"""Text, bytes and objects of variable length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.dtypes import Bytes, ObjectType, String, from_numpy, from_v2, from_v3
from fastzarr.errors import DataTypeValidationError, MetadataError


def objects(*values: object) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def test_text_and_bytes_have_names_in_both_formats() -> None:
    assert (String().to_v3(), String().to_v2()) == ("string", "|O")
    assert (Bytes().to_v3(), Bytes().to_v2()) == ("bytes", "|O")
    assert String().numpy == np.dtypes.StringDType()
    assert Bytes().numpy == np.dtype(object)
    for dtype in (String(), Bytes(), ObjectType("json2")):
        assert dtype.itemsize is None
        assert not dtype.multibyte
        assert dtype.native() is dtype


@pytest.mark.parametrize("name", ["bytes", "variable_length_bytes", "binary"])
def test_bytes_have_several_names(name: str) -> None:
    assert from_v3(name) == Bytes()


@pytest.mark.parametrize(
    ("codec", "wanted"),
    [
        ("vlen-utf8", String()),
        ("vlen-bytes", Bytes()),
        ("json2", ObjectType("json2")),
        ("pickle", ObjectType("pickle")),
    ],
)
def test_the_object_codec_determines_the_objects(codec: str, wanted: object) -> None:
    assert from_v2("|O", object_codec_id=codec) == wanted
    assert from_numpy(object, object_codec_id=codec) == wanted


def test_objects_without_a_codec_are_refused() -> None:
    with pytest.raises(DataTypeValidationError, match="object_codec="):
        from_numpy(object)
    with pytest.raises(DataTypeValidationError, match=r"^\.zarray: dtype: .*codec"):
        from_v2("|O", ".zarray: dtype")


@given(st.text(), st.sampled_from([2, 3]))
def test_text_comes_back_from_json(text: str, zarr_format: int) -> None:
    fill = String().cast_fill(text)
    assert fill == text
    json = String().fill_to_json(fill, zarr_format)
    assert json == text
    assert String().fill_from_json(json, zarr_format, "w") == text


@given(st.binary(), st.sampled_from([2, 3]))
def test_bytes_come_back_from_json(data: bytes, zarr_format: int) -> None:
    json = Bytes().fill_to_json(Bytes().cast_fill(data), zarr_format)
    assert Bytes().fill_from_json(json, zarr_format, "w") == data


@pytest.mark.parametrize("json", [[1, 2, 255], "AQL/"])
def test_the_fill_value_of_bytes_has_two_forms(json: object) -> None:
    assert Bytes().fill_from_json(json, 3, "w") == b"\1\2\xff"


def test_zero_is_the_empty_value() -> None:
    for dtype, empty in ((String(), ""), (Bytes(), b"")):
        assert dtype.default_fill == empty
        assert dtype.cast_fill(0) == empty
        assert dtype.cast_fill(None) == empty
        assert dtype.fill_from_json(0, 2, "w") == empty
        assert dtype.fill_from_json(None, 2, "w") is None


@pytest.mark.parametrize(
    ("value", "wanted"), [("x", "x"), (b"\xc3\xa9", "é"), (np.str_("q"), "q"), (np.array("q"), "q")]
)
def test_a_user_may_give_text_in_any_form(value: object, wanted: str) -> None:
    fill = String().cast_fill(value)
    assert fill == wanted
    assert type(fill) is str


@pytest.mark.parametrize(
    ("dtype", "value", "error"),
    [
        (String(), ["a"], TypeError),
        (String(), "\ud800", ValueError),
        (String(), b"\xff", ValueError),
        (String(), np.array(["a"]), ValueError),
        (Bytes(), 5, TypeError),
        (Bytes(), "é", ValueError),
        (Bytes(), [b"a"], TypeError),
    ],
)
def test_an_invalid_fill_value_is_rejected(
    dtype: String | Bytes, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="fill_value"):
        dtype.cast_fill(value)


@pytest.mark.parametrize(
    ("dtype", "json", "zarr_format"),
    [
        (String(), 0, 3),
        (String(), 5, 2),
        (String(), ["a"], 3),
        (String(), "\ud800", 3),
        (String(), None, 3),
        (Bytes(), "no base64", 3),
        (Bytes(), [256], 3),
        (Bytes(), [True], 3),
        (Bytes(), 5, 2),
        (Bytes(), None, 3),
    ],
)
def test_a_wrong_fill_value_is_refused(
    dtype: String | Bytes, json: object, zarr_format: int
) -> None:
    with pytest.raises(MetadataError, match=r"^w: "):
        dtype.fill_from_json(json, zarr_format, "w")


def test_plain_text_is_read_as_bytes_in_format_2() -> None:
    assert Bytes().fill_from_json("no base64", 2, "w") == b"no base64"


def test_objects_exist_in_format_2_only() -> None:
    dtype = ObjectType("json2")
    assert dtype.to_v2() == "|O"
    with pytest.raises(TypeError, match="format 2 only"):
        dtype.to_v3()
    assert dtype != ObjectType("pickle")
    assert dtype.cast_fill(None) is None
    assert dtype.cast_fill([1]) == [1]
    assert dtype.cast_fill(np.int64(3)) == 3
    assert dtype.fill_to_json({"a": [1, None, "x"]}, 2) == {"a": [1, None, "x"]}
    assert dtype.fill_from_json([1], 2, "w") == [1]


def test_nan_is_a_fill_value_of_objects_and_no_text() -> None:
    dtype = ObjectType("pickle")
    fill = dtype.fill_from_json(float("nan"), 2, "w")
    assert np.isnan(dtype.fill_to_json(fill, 2))
    assert dtype.fill_to_json("NaN", 2) == "NaN"


@pytest.mark.parametrize("fill", [{1: 2}, object(), [b"x"]])
def test_an_object_without_a_json_form_is_not_a_valid_fill_value(fill: object) -> None:
    with pytest.raises(TypeError, match="fill_value"):
        ObjectType("pickle").fill_to_json(fill, 2)


def test_text_is_compared_with_the_fill_value() -> None:
    array = np.array([["a", "a"], ["a", "b"]], np.dtypes.StringDType())
    assert String().is_fill(array[0], "a")
    assert not String().is_fill(array, "a")
    assert not String().is_fill(array[0], None)
    assert String().is_fill(array[:0], "a")


def test_bytes_are_compared_with_the_fill_value() -> None:
    assert Bytes().is_fill(objects(b"", b""), b"")
    assert not Bytes().is_fill(objects(b"", b"\0"), b"")
    assert not Bytes().is_fill(objects(None), b"")
    assert not Bytes().is_fill(objects(b""), None)


@pytest.mark.parametrize(
    ("values", "fill", "wanted"),
    [
        ((0, 0), 0, True),
        (("a", "a"), "a", True),
        ((False, 0), 0, False),
        ((0.0, 0), 0, False),
        ((-0.0, 0.0), 0.0, False),
        ((1.5, 1.5), 1.5, True),
        (([1], [1]), [1], False),
        ((None, None), None, False),
    ],
)
def test_an_object_is_the_fill_value_if_it_is_the_same_plain_value(
    values: tuple[object, ...], fill: object, *, wanted: bool
) -> None:
    assert ObjectType("json2").is_fill(objects(*values), fill) is wanted
