"""Arrays and groups in a notebook."""

from __future__ import annotations

import numpy as np
import pytest
from markup import parse

import fastzarr as zarr


def text_of(node):
    return " ".join(parse(node._repr_html_()).text)


def test_a_group_shows_its_place_members_and_attributes(root, tmp_path):
    root.attrs.update(title="demo & more", nested={"a": [1, 2]})
    shown = text_of(root)
    assert str(root.store_path) in shown
    for words in ("title", "demo & more", "nested", "Attributes (2)", "a", "(100,) int64", "b"):
        assert words in shown
    assert "(4, 4) float32" not in shown  # only direct members
    assert str(tmp_path) in text_of(zarr.open_group(tmp_path))


def test_an_array_shows_its_place_attributes_and_chunks(root):
    array = root["b/y"]
    array.attrs["units"] = "m"
    found = parse(array._repr_html_())
    assert {"svg", "rect", "line", "figure"} <= found.tags
    shown = " ".join(found.text)
    for words in (str(array.store_path), "units", "m", "4 chunks", "float32"):
        assert words in shown


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ({"shape": (4, 4), "chunks": (2, 2)}, 2),
        ({"shape": (10,), "chunks": (4,)}, 2),
        ({"shape": (3, 4, 4), "chunks": (1, 2, 2)}, 2),
        ({"shape": (8, 8), "chunks": (2, 2), "shards": (4, 4)}, 8),
        ({"shape": (1_000_000, 4), "chunks": (1, 4)}, 40),
        ({"shape": (5, 5), "chunks": (5, 5)}, 0),
    ],
)
def test_the_picture_has_the_borders_of_chunks(words, lines):
    html = zarr.create_array({}, dtype="i4", **words)._repr_html_()
    parse(html)
    assert html.count("<line ") == lines


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_an_array_without_elements_or_axes_has_no_picture(shape):
    found = parse(zarr.zeros(shape)._repr_html_())
    assert "svg" not in found.tags


def test_what_is_long_or_hostile_is_shortened_and_escaped():
    root = zarr.group()
    root.create_group("<script>")
    root.attrs.update({f"<b>{number}": "<script>" + "x" * 10_000 for number in range(100)})
    html = root._repr_html_()
    assert "<script" not in html
    assert len(html) < 20_000
    assert "... and 70 more" in " ".join(parse(html).text)


@pytest.mark.parametrize("shards", [None, (4, 6)])
def test_iterating_over_chunks(shards):
    data = np.arange(70).reshape(10, 7)
    z = zarr.create_array({}, data=data, chunks=(2, 3), shards=shards)
    seen = np.zeros(data.shape, int)
    regions = list(z.iter_chunks())
    for region in regions:
        assert np.array_equal(z[region], data[region])
        seen[region] += 1
    assert (seen == 1).all()
    assert len(regions) == z.nchunks
    assert len(list(z.iter_chunks(shards=True))) == (9 - 3 if shards else z.nchunks)
    assert list(zarr.zeros(()).iter_chunks()) == [()]
    assert list(zarr.zeros((0, 3)).iter_chunks()) == []
