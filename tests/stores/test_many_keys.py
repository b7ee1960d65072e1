"""More keys than a server lists in one answer: listed, counted, measured and deleted by pages."""

from __future__ import annotations

import numpy as np
import pytest

from fastzarr import create_array, open_array, open_group
from fastzarr.stores import FsspecStore, ObjectStore

COUNT = 1100


def behind(s3):
    return ObjectStore(s3.url, storage_options=s3.obstore())


@pytest.fixture(params=["obstore", "s3fs"])
def store(request, s3, proxy):
    """Return a store behind the proxy with more keys than there are in a page."""
    values = np.arange(1, COUNT + 1, dtype="i4")
    create_array(behind(s3), name="a", data=values, chunks=1, compressors=None)
    create_array(behind(s3), name="b", data=values[:3])
    through = s3.through(proxy)
    proxy.forget()
    if request.param == "obstore":
        return ObjectStore(through.url, storage_options=through.obstore())
    return FsspecStore.from_url(through.url, through.s3fs())


def test_keys_are_listed_and_measured_by_pages(store, proxy):
    array = open_array(store, path="a", mode="r")
    proxy.forget()
    keys = [f"c/{number}" for number in range(COUNT)]
    assert set(store.list("a")) == {"a/zarr.json", *(f"a/{key}" for key in keys)}
    assert proxy.methods() == {"GET": 2}
    proxy.forget()
    assert array.nchunks_initialized == COUNT
    size = len(store.get("a/zarr.json"))
    assert array.nbytes_stored() == size + store.getsize("a/c/0") * COUNT
    assert len(set(store.list_dir("a/c"))) == COUNT
    assert sorted(open_group(store, mode="r")) == ["a", "b"]
    assert not store.is_empty("a/c")
    # No request for each key.
    assert proxy.count() < 20


def test_trees_are_deleted_by_pages(store, s3, proxy):
    """Overwritten, deleted and cleared; what is beside them stays."""
    others = {"zarr.json", "a/zarr.json", "b/zarr.json", "b/c/0"}
    create_array(store, name="a", shape=2, dtype="i4", overwrite=True)
    assert set(store.list()) == others
    assert open_array(store, path="a")[:].tolist() == [0, 0]
    values = np.ones(COUNT, "i4")
    create_array(behind(s3), name="x", data=values, chunks=1, compressors=None)
    proxy.forget()
    store.delete_dir("x")
    # Two pages to delete by requests of 1,000 keys, or by one for each key, several at once.
    deletes = {"POST": 2} if isinstance(store, ObjectStore) else {"DELETE": COUNT + 1}
    assert proxy.methods() == {"GET": 2, **deletes}
    assert isinstance(store, ObjectStore) or proxy.peak > 1
    assert set(store.list()) == others
    store.clear()
    assert list(store.list()) == []
