"""The locations and values in error messages."""

from __future__ import annotations

import sys

import pytest

from fastzarr.checked import member, show


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["codecs"], "zarr.json: codecs"),
        (["codecs", 1, "configuration", "level"], "zarr.json: codecs[1].configuration.level"),
        (["metadata", "a/b", "shape", 0], "zarr.json: metadata['a/b'].shape[0]"),
        (["a b"], "zarr.json: ['a b']"),
        (["vlen-utf8"], "zarr.json: vlen-utf8"),
    ],
)
def test_places(names, place):
    where = "zarr.json"
    for name in names:
        where = member(where, name)
    assert where == place


def test_a_place_without_a_document():
    assert member(member("", "codecs"), 1) == "codecs[1]"


def test_values_are_shown_short():
    assert show("a") == "'a'"
    assert len(show(["x" * 1000] * 1000)) < 1000
    assert show(10**5000) == "a huge integer" or sys.get_int_max_str_digits() == 0
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    assert len(show(deep)) < 100
