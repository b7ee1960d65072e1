"""The description ``info``, as text and as HTML."""

from __future__ import annotations

import numpy as np
import pytest
from markup import parse

import fastzarr as zarr
from fastzarr.nodes.info import Info
from fastzarr.nodes.tree import Tree


def test_values_cannot_move_the_cursor():
    text = str(Info([("Name", "a\x1b[2Jb\nc")]))
    assert text == "Name : a\\x1b[2Jb\\nc"
    z = zarr.create_array({}, shape=3, dtype=str, fill_value="\x1b[31m\u202e")
    assert "\x1b" not in str(z.info)
    assert "\u202e" not in str(z.info)
    tree = Tree("/\x1b", [(0, "n\x1b", "d\x1b")])
    assert "\x1b" not in str(tree)
    assert "\x1b" not in tree._repr_html_()


def test_info_of_an_array():
    z = zarr.create_array(
        {},
        name="a/x",
        data=np.arange(20000).reshape(100, 200),
        chunks=(50, 50),
        dimension_names=("y", "x"),
        fill_value=-1,
    )
    info = dict(z.info.items())
    assert info["Name"] == "/a/x"
    assert info["Type"] == "Array"
    assert info["Zarr format"] == "3"
    assert info["Data type"] == "int64"
    assert info["Fill value"] == "-1"
    assert info["Shape"] == "(100, 200)"
    assert info["Chunk shape"] == "(50, 50)"
    assert info["Dimension names"] == "('y', 'x')"
    assert info["Store type"] == "MemoryStore"
    assert info["No. bytes"] == "160000 (156.2K)"
    assert "lz4" in info["Compressors"]
    assert "Storage ratio" not in info
    assert "Shard shape" not in info
    complete = z.info_complete()
    assert complete["Chunks initialized"] == "8/8"
    assert float(complete["Storage ratio"]) == pytest.approx(160000 / z.nbytes_stored, abs=0.05)
    assert complete["No. bytes stored"].split()[0] == str(int(z.nbytes_stored))
    lines = str(complete).splitlines()
    assert len({line.index(" : ") for line in lines}) == 1


def test_info_of_a_sharded_array():
    z = zarr.create_array({}, data=np.ones((8, 8)), chunks=(2, 2), shards=(4, 4))
    info = z.info_complete()
    assert info["Shard shape"] == "(4, 4)"
    assert info["Chunk shape"] == "(2, 2)"
    assert "BytesCodec" in info["Serializer"]
    assert "Blosc" in info["Compressors"]
    assert info["Chunks initialized"] == "16/16"


def test_info_of_format_2():
    z = zarr.create((4, 4), zarr_format=2, order="F", compressor=None, fill_value=None)
    info = z.info
    assert info["Zarr format"] == "2"
    assert info["Order"] == "F"
    assert info["Compressors"] == "none"
    assert info["Fill value"] == "None"
    assert "Serializer" not in info


def test_info_reads_no_chunk_and_lists_nothing():
    class Shy(zarr.MemoryStore):
        def _list(self, prefix):
            raise AssertionError(prefix)

        def _list_dir(self, prefix):
            raise AssertionError(prefix)

    store = {}
    zarr.group(store)["a"] = [1]
    root = zarr.open_group(Shy(store))
    assert root.info["Type"] == "Group"
    assert root["a"].info["Shape"] == "(1,)"


def test_info_of_a_group(root):
    assert dict(root["b"].info.items()) == {
        "Name": "/b",
        "Type": "Group",
        "Zarr format": "3",
        "Read-only": "False",
        "Store type": "MemoryStore",
    }
    complete = root.info_complete()
    assert complete["No. members"] == "6"
    assert complete["No. arrays"] == "3"
    assert complete["No. groups"] == "3"
    stored = sum(len(value) for value in root.store.values())
    assert complete["No. bytes stored"].split()[0] == str(stored)
    assert root.info_items()[0] == ("Name", "/")


def test_info_in_a_notebook(root):
    for node in (root, root["a"]):
        found = parse(node.info._repr_html_())
        assert "table" in found.tags
        assert node.name in found.text
        assert node.info._repr_html_() in node._repr_html_()


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0"), (1023, "1023"), (1024, "1024 (1.0K)"), (5 << 30, "5368709120 (5.0G)")],
)
def test_sizes(size, words):
    z = zarr.create_array({}, shape=(size,), dtype="i1", chunks=1 << 20)
    assert z.info["No. bytes"] == words
