"""Hierarchies drawn as trees, for terminals and notebooks."""

from __future__ import annotations

import numpy as np
import pytest
from markup import parse

import fastzarr as zarr


def test_tree(root):
    assert str(root.tree()) == (
        "/\n"
        "├── a (100,) int64\n"
        "├── b\n"
        "│   ├── c\n"
        "│   │   └── d\n"
        "│   └── y (4, 4) float32\n"
        "└── e (3,) string"
    )
    assert repr(zarr.tree(root)) == str(root.tree())


def test_tree_of_a_group_below(root):
    assert str(root["b/c"].tree()) == "/b/c\n└── d"
    assert str(root["b/c/d"].tree()) == "/b/c/d"


@pytest.mark.parametrize(("level", "lines"), [(0, 1), (1, 4), (2, 6), (3, 7), (None, 7)])
def test_levels(root, level, lines):
    assert len(str(root.tree(level=level)).splitlines()) == lines


def test_a_long_tree_is_truncated_with_a_note(root):
    text = str(root.tree(max_nodes=2))
    assert text.splitlines()[:3] == ["/", "├── a (100,) int64", "└── b"]
    assert "only the first 2 nodes" in text
    assert "only the first 2 nodes" in root.tree(max_nodes=2)._repr_html_()


def test_tree_in_a_notebook(root):
    found = parse(root.tree()._repr_html_())
    text = "".join(found.text)
    for word in ("/", "a", "(100,) int64", "d", "e", "(3,) string"):
        assert word in text
    assert root.tree()._repr_html_().count("<details open>") == 4
    assert root.tree(expand=False)._repr_html_().count("<details>") == 4
    assert "<b>" not in root.tree(plain=True)._repr_html_()


def test_names_cannot_write_html():
    root = zarr.group()
    root.create_array("<script>alert(1)</script>".replace("/", "_"), shape=3)
    root.create_group("<b>&amp;")
    for html in (root.tree()._repr_html_(), *(node._repr_html_() for node in root.values())):
        found = parse(html)
        assert "script" not in found.tags
    assert "<b>&amp;" in "".join(parse(root["<b>&amp;"]._repr_html_()).text)


def test_a_deep_tree():
    root = zarr.group()
    root.create_group("/".join("abcdefghij" * 30))
    assert len(str(root.tree()).splitlines()) == 301
    parse(root.tree()._repr_html_())


def test_a_tree_of_an_array_is_refused():
    with pytest.raises(TypeError, match=r"tree\(\) takes a group"):
        zarr.tree(zarr.zeros(3))


def test_bytes_are_drawn_in_ascii(root):
    text = bytes(root.tree(plain=True)).decode()
    assert text.isascii()
    assert text.splitlines() == [
        line.replace("├── ", "+-- ").replace("└── ", "+-- ").replace("│", "|")
        for line in repr(root.tree(plain=True)).splitlines()
    ]


def test_a_group_of_h5py(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/x"] = np.zeros((2, 3), "i4")
        file.create_group("b/c")
        assert repr(zarr.tree(file, plain=True)).splitlines() == [
            "/",
            "├── a",
            "│   └── x (2, 3) int32",
            "└── b",
            "    └── c",
        ]
        assert repr(zarr.tree(file, level=1, plain=True)).splitlines() == ["/", "├── a", "└── b"]
        assert repr(zarr.tree(file["a"], plain=True)).splitlines()[0] == "/a"
