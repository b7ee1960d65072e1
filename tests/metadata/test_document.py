"""Documents as bytes: what is read, what is refused and where, what is written."""

from __future__ import annotations

import enum
import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.config import config
from fastzarr.errors import LimitError, MetadataError
from fastzarr.metadata import document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON.filter(lambda value: "inf" not in repr(value))))
def test_what_is_written_is_read_back(doc):
    assert document.loads(document.dumps(doc), "zarr.json") == doc


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_object_or_a_metadata_error(data):
    try:
        found = document.loads(data, "zarr.json")
    except MetadataError as error:
        assert error.where.startswith("zarr.json")  # noqa: PT017  (either way is right)
    else:
        assert isinstance(found, dict)


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        (b"", "zarr.json", "is not JSON"),
        (b"{", "zarr.json", "is not JSON"),
        (b"[1]", "zarr.json", "must be an object, got [1]"),
        (b"null", "zarr.json", "must be an object"),
        (b'{"a": "\xff"}', "zarr.json", "is not UTF-8: byte 7"),
        (b'\xef\xbb\xbf{"a": 1}', "zarr.json", "is not JSON"),
        ('{"a": 1}'.encode("utf-16"), "zarr.json", "is not UTF-8"),
        (b'{"a": 1, "a": 2}', "zarr.json", "duplicate member 'a'"),
        (
            b'{"codecs": [{"n": 1}, {"configuration": {"level": 1, "level": 2}}]}',
            "zarr.json: codecs[1].configuration",
            "duplicate member 'level'",
        ),
        (b'{"attributes": {"x": {"y": 1, "y": 1}}}', "zarr.json: attributes.x", "duplicate"),
        (b'{"shape": [1, NaN]}', "zarr.json: shape[1]", "nan is not allowed here"),
        (b'{"level": 1e999}', "zarr.json: level", "inf is not allowed here"),
        (b'{"level": -1E+0400}', "zarr.json: level", "-inf is not allowed here"),
        (b'{"level": ' + b"9" * 310 + b".0}", "zarr.json: level", "inf is not allowed here"),
        (b'{"a/b c": -Infinity}', "zarr.json: ['a/b c']", "-inf is not allowed here"),
        (b'{"a": ' + b"9" * 5000 + b"}", "zarr.json", "is not JSON"),
    ],
)
def test_a_broken_document_is_refused_with_its_place(data, where, message):
    with pytest.raises(MetadataError) as caught:
        document.loads(data, "zarr.json")
    assert caught.value.where == where
    assert message in str(caught.value)


@pytest.mark.parametrize("depth", [65, 1000, 200_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused(depth, left, right):
    data = f'{{"attributes": {left * depth}1{right * depth}}}'.encode()
    with pytest.raises(LimitError, match=r"limits\.document_depth"):
        document.loads(data, "zarr.json")


def test_the_deepest_document_allowed_is_read():
    depth = config["limits.document_depth"] - 1
    data = f'{{"attributes": {"[" * depth}1{"]" * depth}}}'.encode()
    assert document.loads(data, "zarr.json")["attributes"] is not None


def test_size_is_limited():
    with config.set({"limits.document_bytes": 10}):
        assert document.loads(b'{"a":   1}', "zarr.json") == {"a": 1}
        with pytest.raises(LimitError, match=r"11 bytes .* limits\.document_bytes"):
            document.loads(b'{"a":    1}', "zarr.json")


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b'{"attributes": {"x": [NaN]}}', "zarr.json"),
        (b'{"fill_value": NaN}', "zarr.json"),
        (b'{"fill_value": {"field": NaN}}', "zarr.json"),
        (
            b'{"consolidated_metadata": {"metadata": {"a": {"attributes": {"x": NaN}}}}}',
            "zarr.json",
        ),
        (b'{"x": {"y": NaN}}', "a/.zattrs"),
        (
            b'{"metadata": {"a/.zattrs": {"x": NaN}, "a/.zarray": {"fill_value": NaN}}}',
            ".zmetadata",
        ),
    ],
)
def test_nan_is_read_in_attributes_and_fill_values(data, key):
    assert "nan" in repr(document.loads(data, key))


def test_a_place_with_a_huge_name_stays_short():
    data = json.dumps({"x" * 10_000: [float("nan")]}).encode()
    with pytest.raises(MetadataError) as caught:
        document.loads(data, "zarr.json")
    assert len(str(caught.value)) < 300


def test_written_json_is_strict_utf8_and_indented_as_configured():
    assert document.dumps({"a": "é"}) == '{\n  "a": "é"\n}'.encode()
    with config.set({"json_indent": None}):
        assert document.dumps({"a": [1]}) == b'{"a": [1]}'
    with pytest.raises(MetadataError, match="cannot be written as JSON"):
        document.dumps({"a": math.nan})


def test_the_fill_value_of_objects_may_be_nan():
    zarray = {"zarr_format": 2, "dtype": "|O", "fill_value": math.nan}
    for doc in (zarray, {"zarr_consolidated_format": 1, "metadata": {"a/.zarray": zarray}}):
        data = document.dumps(doc)
        assert b"NaN" in data
        assert repr(document.loads(data, ".zarray" if doc is zarray else ".zmetadata")) == repr(doc)


def test_half_a_surrogate_pair_is_written_escaped():
    data = document.dumps({"a": "\ud800"})
    assert data == b'{\n  "a": "\\ud800"\n}'
    assert document.loads(data, "zarr.json") == {"a": "\ud800"}


class Colour(enum.IntEnum):
    RED = 1


class Word(enum.StrEnum):
    YES = "yes"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),  # noqa: FBT003
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(1.5), 1.5),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", "b"], dtype=np.dtypes.StringDType()), ["a", "b"]),
        (np.array([1, None, "a"], dtype=object), [1, None, "a"]),
        (np.array([np.nan, np.inf]), ["NaN", "Infinity"]),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ((1, (2,)), [1, [2]]),
        ({1: {np.int64(2): 3}}, {"1": {"2": 3}}),
        (Colour.RED, 1),
        (Word.YES, "yes"),
        (None, None),
        (2**100, 2**100),
    ],
)
def test_attributes_are_converted_as_documented(value, plain):
    (got,) = document.plain_attributes({"a": value}).values()
    assert got == plain
    assert json.dumps(got) == json.dumps(plain)
    assert json.loads(json.dumps(got)) == plain


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"when": datetime(2020, 1, 1, tzinfo=UTC)}, "attributes.when: .*datetime"),
        ({"a": [1, {2, 3}]}, r"attributes\.a\[1\]: .*set"),
        ({"a": {"b": b"x"}}, r"attributes\.a\.b: .*bytes"),
        ({"a": 1j}, "complex"),
        ({"a": np.datetime64("2020-01-01")}, "datetime64"),
        ({"a": np.array(["2020-01-01"], "M8[ns]")}, "datetime64"),
        ({"a": np.array([b"x"])}, "S1 array"),
        ({"a": np.complex64(1)}, "complex64"),
        ({"a": object()}, "object"),
        ({True: 1}, "name of an attribute must be a string, got True"),
        ({None: 1}, "name of an attribute"),
        ({1: 1, "1": 2}, "the same name in JSON"),
        ({"a": {(1, 2): 1}}, r"attributes\.a: the name"),
        ([("a", 1)], "must be a mapping"),
    ],
)
def test_what_json_cannot_hold_is_a_type_error_with_its_place(value, place):
    with pytest.raises(TypeError, match=place):
        document.plain_attributes(value, "zarr.json: attributes")


def test_attributes_are_a_deep_copy():
    inner = [1]
    given_attributes = {"a": {"b": inner}}
    plain = document.plain_attributes(given_attributes)
    inner.append(2)
    assert plain == {"a": {"b": [1]}}
    plain["a"]["b"].append(3)
    assert given_attributes == {"a": {"b": [1, 2]}}


def test_attributes_that_contain_themselves_are_refused():
    loop: dict[str, object] = {}
    loop["self"] = loop
    with pytest.raises(LimitError, match=r"limits\.document_depth"):
        document.plain_attributes(loop)


@given(st.dictionaries(st.text() | st.integers(), JSON | st.floats()))
def test_converted_attributes_can_always_be_written_and_do_not_change_again(attributes):
    try:
        plain = document.plain_attributes(attributes)
    except TypeError as error:
        assert "same name" in str(error)  # noqa: PT017
        return
    assert document.loads(document.dumps(plain), ".zattrs") == plain
    assert document.plain_attributes(plain) == plain


@given(JSON.filter(lambda value: "inf" not in repr(value)), st.sampled_from([0, 1, 4, "\t"]))
def test_indents_are_those_of_the_standard_library(value, indent):
    doc = {"a": value}
    with config.set({"json_indent": indent}):
        written = document.dumps(doc)
    try:
        expected = json.dumps(doc, indent=indent, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        expected = json.dumps(doc, indent=indent).encode()
    assert written == expected


def test_names_that_are_no_strings_are_written_as_the_standard_library_writes_them():
    assert json.loads(document.dumps({"a": {1: True, None: 2}})) == {"a": {"1": True, "null": 2}}


@given(JSON, JSON)
def test_values_are_alike_that_are_written_alike(left, right):
    copied = json.loads(json.dumps(left))
    assert document.alike(left, copied)
    assert document.alike(left, right) == (json.dumps(left) == json.dumps(right))


@pytest.mark.parametrize(("left", "right"), [(1, True), (1, 1.0), (0.0, -0.0), ([], {}), (0, None)])
def test_values_of_other_kinds_are_not_alike(left, right):
    assert not document.alike({"a": [left]}, {"a": [right]})


def test_values_of_kinds_that_others_made_are_compared_too():
    class Mine(dict):
        pass

    assert document.alike(Mine(a=1), {"a": 1})
    assert not document.alike(Mine(a=1), {"a": 2})
