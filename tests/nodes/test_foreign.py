"""Files that are not part of a Zarr hierarchy are never deleted by a new node."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import ContainsFilesError

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
