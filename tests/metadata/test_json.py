"""Documents as bytes: accepted and rejected JSON, locations of errors, strict output."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.config import config
from fastzarr.errors import LimitError, MetadataError
from fastzarr.metadata import json as document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON.filter(lambda value: "inf" not in repr(value))))
def test_written_values_are_read_back(doc):
    assert document.loads(document.dumps(doc), "zarr.json") == doc


@given(st.dictionaries(st.text(), JSON | JSON.map(lambda value: (value, True))))
@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
def test_documents_are_written_as_json_writes_them(indent, doc):
    with config.set({"json_indent": indent}):
        written = document.dumps(doc, ".zattrs")
    expected = json.dumps(doc, indent=indent, ensure_ascii=False)
    assert written == expected.encode()


def test_a_document_that_contains_itself_is_refused():
    doc = {}
    doc["a"] = [doc]
    with pytest.raises(LimitError, match="nested deeper"):
        document.dumps(doc, ".zattrs")


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
        (b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}', "zarr.json", "is not JSON"),
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


@pytest.mark.parametrize("depth", [129, 1000, 200_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused(depth, left, right):
    data = f'{{"attributes": {left * depth}1{right * depth}}}'.encode()
    with pytest.raises(LimitError, match=r"limits\.document_depth"):
        document.loads(data, "zarr.json")


def test_the_deepest_document_allowed_is_read():
    depth = config["limits.document_depth"] - 1
    data = f'{{"attributes": {"[" * depth}1{"]" * depth}}}'.encode()
    assert document.loads(data, "zarr.json")["attributes"] is not None


MARKS = st.text(r'{}[]:,"\a', max_size=4)


@given(st.lists(st.tuples(MARKS, MARKS | st.lists(MARKS, max_size=2)), min_size=1), st.data())
def test_marks_in_strings_hide_no_duplicate_member(pairs, data):
    doc = dict(pairs)
    members = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in doc.items()]
    filling = json.dumps([[name] for name in doc] * 40)
    text = f'{{"x": {filling}, "y": {{{", ".join(members)}}}}}'
    assert document.loads(text.encode(), "zarr.json")["y"] == doc
    members.append(data.draw(st.sampled_from(members)))
    text = f'{{"x": {filling}, "y": {{{", ".join(members)}}}}}'
    with pytest.raises(MetadataError, match="duplicate member"):
        document.loads(text.encode(), "zarr.json")


@given(st.lists(MARKS), st.integers(0, 1))
def test_marks_in_strings_hide_no_depth(strings, deeper):
    depth = config["limits.document_depth"] - 2 + deeper
    inside = json.dumps(strings) if strings else '["a"]'
    text = f'{{"a": {inside}, "attributes": {"[" * depth}{inside}{"]" * depth}}}'
    if deeper:
        with pytest.raises(LimitError, match="nested deeper"):
            document.loads(text.encode(), "zarr.json")
    else:
        assert document.loads(text.encode(), "zarr.json") == json.loads(text)


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


@pytest.mark.parametrize(
    ("doc", "key"),
    [
        ({"attributes": {"a": [math.nan, -math.inf]}}, "zarr.json"),
        ({"fill_value": math.inf}, "zarr.json"),
        ({"a": {"b": math.nan}}, "a/.zattrs"),
        ({"metadata": {"a/.zattrs": {"x": math.nan}}}, ".zmetadata"),
    ],
)
def test_nan_is_written_where_it_is_read(doc, key):
    data = document.dumps(doc, key)
    assert document.alike(document.loads(data, key), doc)
    assert repr(json.loads(data)) == repr(doc)


def test_nan_is_not_written_where_it_is_not_read():
    with pytest.raises(MetadataError, match=r"^a/zarr.json: codecs\[0\].level: nan is not allowed"):
        document.dumps({"codecs": [{"level": math.nan}]}, "a/zarr.json")


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
