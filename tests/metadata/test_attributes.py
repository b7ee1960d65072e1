"""Attributes: the values that JSON can represent, and errors that name the location."""

from __future__ import annotations

import enum
import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.errors import LimitError, MetadataError
from fastzarr.metadata import json as document
from fastzarr.metadata.attributes import plain_attributes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


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
        (np.array([np.nan, np.inf]), [math.nan, math.inf]),
        (math.nan, math.nan),
        (-np.float64("nan"), math.nan),
        (np.float32("-inf"), -math.inf),
        ((1, (2,)), [1, [2]]),
        ({1: {np.int64(2): 3}}, {"1": {"2": 3}}),
        (Colour.RED, 1),
        (Word.YES, "yes"),
        (None, None),
        (2**100, 2**100),
    ],
)
def test_attributes_are_converted_as_documented(value, plain):
    (got,) = plain_attributes({"a": value}).values()
    assert document.alike(got, plain)
    assert json.dumps(got) == json.dumps(plain)
    assert repr(json.loads(json.dumps(got))) == repr(plain)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"when": datetime(2020, 1, 1, tzinfo=UTC)}, "attributes.when: .*datetime"),
        ({"a": [1, {2, 3}]}, r"attributes\.a\[1\]: .*set"),
        ({"a": {"b": b"x"}}, r"attributes\.a\.b: .*bytes"),
        ({"a": 1j}, "complex"),
        ({"a": np.datetime64("2020-01-01")}, "datetime64"),
        ({"a": np.array(["2020-01-01"], "M8[ns]")}, "datetime64"),
        ({"a": np.timedelta64(3, "s")}, r"attributes\.a: .*timedelta64"),
        ({"a": [np.timedelta64("NaT")]}, r"attributes\.a\[0\]: .*timedelta64"),
        ({"a": np.array([1], "m8[s]")}, "timedelta64"),
        ({np.timedelta64(3, "s"): 1}, "name of an attribute"),
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
def test_values_without_a_json_form_raise_a_type_error_with_their_location(value, place):
    with pytest.raises(TypeError, match=place):
        plain_attributes(value, "zarr.json: attributes")


def test_attributes_are_a_deep_copy():
    inner = [1]
    given_attributes = {"a": {"b": inner}}
    plain = plain_attributes(given_attributes)
    inner.append(2)
    assert plain == {"a": {"b": [1]}}
    plain["a"]["b"].append(3)
    assert given_attributes == {"a": {"b": [1, 2]}}


def test_attributes_that_contain_themselves_are_refused():
    loop: dict[str, object] = {}
    loop["self"] = loop
    with pytest.raises(LimitError, match=r"limits\.document_depth"):
        plain_attributes(loop)


@given(st.dictionaries(st.text() | st.integers(), JSON | st.floats()))
def test_converted_attributes_can_always_be_written_and_do_not_change_again(attributes):
    try:
        plain = plain_attributes(attributes)
    except TypeError as error:
        assert "same name" in str(error)  # noqa: PT017
        return
    written = document.dumps(plain, ".zattrs")
    assert document.alike(document.loads(written, ".zattrs"), plain)
    assert document.alike(plain_attributes(plain), plain)


@pytest.mark.parametrize(
    "value", [{"a": "\ud800"}, {"a": [{"b": ["\udfffx"]}]}, {"\ud800": 1}, {"a": {"\ud800": 1}}]
)
def test_lone_surrogates_are_refused_if_they_are_new(value):
    with pytest.raises(MetadataError, match=r"^zarr.json: attributes.* has a lone surrogate"):
        plain_attributes(value, "zarr.json: attributes")
    assert plain_attributes(value, stored=True) == value
