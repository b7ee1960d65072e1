"""Pickles of the facade's objects, made under the names of zarr-python and read elsewhere."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
import sites

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> sites.Site:
    return sites.make(tmp_path_factory.mktemp("site"))


PICKLES = """
import fastzarr.as_zarr
import copy, pickle, sys
import zarr
from zarr import dtype
from zarr.errors import ContainsArrayError
from zarr.storage import LocalStore, MemoryStore

things = [
    LocalStore(sys.argv[1]),
    dtype.parse_dtype("int32", zarr_format=3),
    ContainsArrayError("there"),
]
assert [type(thing).__module__ for thing in things[:2]] == [
    "zarr.storage._local",
    "zarr.core.dtype.npy.int",
]
assert copy.deepcopy(things[:2]) == things[:2]
assert pickle.loads(pickle.dumps(things[:2])) == things[:2]
with open("things", "wb") as file:
    pickle.dump(things, file)
"""
LOADS = """
import pickle, sys
with open("things", "rb") as file:
    store, kind, error = pickle.load(file)
print(type(store).__module__, store.root, kind.to_native_dtype(), error)
import zarr
print(zarr.__name__)
"""


def test_a_process_that_reads_one_has_the_facade_too(site: sites.Site, tmp_path: Path):
    assert site.says("-c", PICKLES, "place", cwd=tmp_path) == []
    said = site.says("-c", LOADS, cwd=tmp_path)
    assert said == ["zarr.storage._local place int32 there", "fastzarr.compat"]


def test_a_process_that_has_zarr_python_keeps_it_and_is_warned(site: sites.Site, tmp_path: Path):
    site.says("-c", PICKLES, "place", cwd=tmp_path)
    (tmp_path / "zarr.py").write_text("")
    done = site.run("-c", f"import zarr{LOADS}", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "fastzarr.compat.storage._local place int32 there",
        "zarr",
    ]
    assert "set FASTZARR_AS_ZARR=1 in its environment before it starts" in done.stderr
    assert "RuntimeWarning: fastzarr.compat.storage._local.LocalStore was pickled" in done.stderr


def test_pickles_made_without_the_alias_do_not_put_it_in(tmp_path: Path, site: sites.Site):
    from fastzarr.compat.storage import LocalStore

    (tmp_path / "store").write_bytes(pickle.dumps(LocalStore("place")))
    program = """
import pickle, sys
with open("store", "rb") as file:
    print(pickle.load(file).root)
print("zarr" in sys.modules)
"""
    assert site.says("-c", program, cwd=tmp_path) == ["place", "False"]
