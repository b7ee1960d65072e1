"""Files that are not part of a Zarr hierarchy are never deleted by a new node."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.checked import check_members
from fastzarr.errors import ContainsFilesError
from fastzarr.grids.keys import KEYS, KeyEncoding
from fastzarr.nodes.foreign import check_replaceable

VERBS = {
    "save": lambda store: zarr.save(store, np.arange(3)),
    "save several": lambda store: zarr.save(store, np.arange(3), b=np.arange(2)),
    "open": lambda store: zarr.open(store, "w"),
    "open_array": lambda store: zarr.open_array(store, "w", shape=3),
    "create_array": lambda store: zarr.create_array(store, shape=3, overwrite=True),
    "create_group": lambda store: zarr.create_group(store, overwrite=True),
    "hierarchy": lambda store: zarr.create_hierarchy(
        store=store, nodes={"": zarr.group().layout}, overwrite=True
    ),
}


@pytest.fixture(params=VERBS)
def replace(request):
    return VERBS[request.param]


@pytest.mark.parametrize("name", ["mine.txt", "a/b/mine.txt", "c.txt", "1/x"])
def test_a_folder_of_other_files_is_refused(tmp_path, replace, name):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    with pytest.raises(ContainsFilesError, match=name):
        replace(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "mine"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_other_files_inside_a_node_are_refused(tmp_path, replace, zarr_format):
    zarr.save(tmp_path, a=np.arange(9), zarr_format=zarr_format)
    (tmp_path / "a" / "README").write_text("mine")
    with pytest.raises(ContainsFilesError, match="a/README"):
        replace(tmp_path)
    assert zarr.open_group(tmp_path)["a"][:].tolist() == list(range(9))
    (tmp_path / "a" / "README").unlink()
    replace(tmp_path)


@pytest.mark.parametrize("make", [dict, zarr.MemoryStore])
def test_other_values_of_a_mapping_are_refused(replace, make):
    store = make({"mine": b"x"}) if make is not dict else {"mine": b"x"}
    with pytest.raises(ContainsFilesError, match="mine"):
        replace(store)
    assert list(store) == ["mine"]


def test_whatever_zarr_writes_is_replaced(tmp_path, replace):
    root = zarr.open_group(tmp_path, "w", zarr_format=2)
    for number, words in enumerate([{}, {"dimension_separator": "/"}]):
        root.create_array(f"a/{number}", data=np.arange(9).reshape(3, 3), chunks=1, **words)
    root.create_array("scalar", data=5).attrs["x"] = 1
    zarr.consolidate_metadata(tmp_path)
    zarr.consolidate_metadata(tmp_path, metadata_key="copy")
    zarr.save(tmp_path / "three", [1, 2], zarr_format=3)
    (tmp_path / "three" / "zarr.json").unlink()  # chunks that a dead writer has left
    (tmp_path / ".DS_Store").write_text("")
    (tmp_path / "empty").mkdir()
    replace(tmp_path)
    assert not (tmp_path / "a").exists() or zarr.open_group(tmp_path)


def test_a_new_group_beside_other_files_keeps_them(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    zarr.open_group(tmp_path)["a"] = [1, 2]
    assert (tmp_path / "mine.txt").read_text() == "mine"
    zarr.open_group(tmp_path)["a"] = [3]  # replaces one node, not the folder of the file
    assert (tmp_path / "mine.txt").read_text() == "mine"


class Counting(dict):
    """A mapping that counts how often each key is read."""

    def __init__(self):
        self.reads = Counter()

    def __getitem__(self, key):
        self.reads[key] += 1
        return super().__getitem__(key)


@dataclass(frozen=True)
class Lettered(KeyEncoding):
    """A key encoding whose keys do not look like those of Zarr."""

    name: str = "test.lettered"

    @classmethod
    def from_config(cls, name, config, where):
        check_members(config, {}, where)
        return cls(name)

    def config(self):
        return {}

    def encode(self, coords):
        return f"x{coords[0]}"

    def decode(self, key, ndim):
        return (int(key[1:]),) if ndim == 1 and re.fullmatch("x[0-9]+", key) else None


def test_a_document_is_read_once_however_many_chunks_it_owns():
    KEYS.register("test.lettered", Lettered)
    counts = []
    for chunks in (2, 20):
        values = Counting()
        root = zarr.open_group(zarr.storage.MappingStore(values))
        words = {"chunks": 1, "chunk_key_encoding": {"name": "test.lettered"}}
        root.create_array("a/b", data=np.arange(chunks), **words)
        assert f"a/b/x{chunks - 1}" in values
        values.reads.clear()
        check_replaceable(root.store, "a")
        counts.append(values.reads["a/b/zarr.json"] + values.reads["a/zarr.json"])
        values["a/b/y1"] = b"mine"
        with pytest.raises(ContainsFilesError, match="a/b/y1"):
            check_replaceable(root.store, "a")
    assert counts[0] == counts[1]
