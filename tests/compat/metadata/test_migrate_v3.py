"""Documents of format 3 for arrays of format 2, over the same chunks."""

from __future__ import annotations

import numcodecs
import numpy as np
import pytest

import fastzarr
from fastzarr import compat
from fastzarr.compat.core.sync import sync
from fastzarr.compat.metadata.migrate_v3 import migrate_v2_to_v3, remove_metadata
from fastzarr.compat.storage import LocalStore

CODECS = {
    "plain": {"compressor": None},
    "blosc": {"compressor": numcodecs.Blosc("zstd", 3, numcodecs.Blosc.BITSHUFFLE)},
    "gzip": {"compressor": numcodecs.GZip(2)},
    "zlib": {"compressor": numcodecs.Zlib(2)},
    "filter": {"compressor": numcodecs.Zstd(2), "filters": [numcodecs.Delta("<i4")]},
}


@pytest.fixture(params=CODECS.values(), ids=CODECS.keys())
def root(request, tmp_path):
    group = fastzarr.create_group(tmp_path, zarr_format=2, attributes={"title": "demo"})
    values = np.arange(30, dtype="<i4").reshape(5, 6)
    array = group.create_array(
        "a/x", data=values, chunks=(2, 3), order="F", fill_value=7, **request.param
    )
    array.attrs["unit"] = "m"
    return tmp_path


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
def test_the_same_chunks_are_read_by_both_formats(root):
    before = {path for path in root.rglob("*") if path.is_file()}
    migrate_v2_to_v3(input_store=LocalStore(root), dry_run=True)
    assert {path for path in root.rglob("*") if path.is_file()} == before
    migrate_v2_to_v3(input_store=LocalStore(root))
    old = compat.open_group(root, zarr_format=2)
    new = compat.open_group(root, zarr_format=3)
    assert new.attrs.asdict() == old.attrs.asdict() == {"title": "demo"}
    assert np.array_equal(new["a/x"][:], old["a/x"][:])
    assert new["a/x"].attrs.asdict() == {"unit": "m"}
    assert new["a/x"].fill_value == 7
    sync(remove_metadata(LocalStore(root), 2))
    assert {path.name for path in root.rglob(".z*")} == set()
    assert np.array_equal(compat.open_array(root, path="a/x")[:], new["a/x"][:])


def test_documents_are_only_deleted_where_the_others_are(root):
    with pytest.raises(ValueError, match="no v3 metadata"):
        sync(remove_metadata(LocalStore(root), 2))
    assert (root / "a" / "x" / ".zarray").exists()


def test_a_group_of_format_3_has_nothing_to_convert(tmp_path):
    fastzarr.create_group(tmp_path, zarr_format=3)
    with pytest.raises(TypeError, match="zarr v2 metadata"):
        migrate_v2_to_v3(input_store=LocalStore(tmp_path))
