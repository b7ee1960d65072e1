"""Copies of keys from one store to another."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import errors
from fastzarr.config import config
from fastzarr.stores import MemoryStore


@pytest.fixture(params=[2, 3])
def source(request):
    root = zarr.create_group({}, zarr_format=request.param, attributes={"title": "t"})
    root.create_array("a/x", data=np.arange(10), chunks=3, attributes={"u": "m"}, fill_value=-1)
    root.create_array("a/b/y", data=np.ones((2, 2), "f4"))
    root.create_array("s", data=np.array(["a", "bcd"]), dtype=str)
    return root


@pytest.fixture(params=[2, 3])
def dest(request):
    return zarr.create_group({}, zarr_format=request.param)


def test_copy_store():
    source = {"a/x": b"1", "a/y": b"22", "ab": b"333"}
    dest = {}
    assert zarr.copy_store(source, dest) == (3, 0, 6)
    assert dest == source
    dest = {}
    assert zarr.copy_store(source, dest, source_path="a", dest_path="c/d/") == (2, 0, 3)
    assert dest == {"c/d/x": b"1", "c/d/y": b"22"}


def test_copy_store_of_some_keys():
    source = {"a/x": b"1", "a/y": b"22", "ab": b"333"}
    dest = {}
    zarr.copy_store(source, dest, excludes="a/", includes=["X$"], flags=2)
    assert sorted(dest) == ["a/x", "ab"]


def test_copy_store_where_keys_are():
    source, dest = {"a": b"1", "b": b"2"}, {"b": b"old"}
    with pytest.raises(errors.CopyError, match="'b'"):
        zarr.copy_store(source, dest)
    assert dest == {"b": b"old"}
    log = []
    assert zarr.copy_store(source, dest, if_exists="skip", log=log.append) == (1, 1, 1)
    assert log == ["copy a", "skip b", "all done: 1 copied, 1 skipped, 1 bytes copied"]
    assert dest == {"a": b"1", "b": b"old"}
    assert zarr.copy_store(source, {}, dry_run=True) == (2, 0, 0)
    zarr.copy_store(source, dest, if_exists="replace")
    assert dest == source
    with pytest.raises(ValueError, match="if_exists"):
        zarr.copy_store(source, dest, if_exists="skip_initialized")


class Recording(MemoryStore):
    """A store in memory that records what is stored together, and fails or is interrupted."""

    def __init__(self, values=None, *, refused=(), error=OSError):
        super().__init__(values)
        self.together, self.refused, self.error = [], refused, error

    def _get(self, key):
        self.check(key)
        return super()._get(key)

    def fetch(self, wanted):
        for request in wanted:
            self.check(request.key)
        return super().fetch(wanted)

    def _set(self, key, value):
        self.check(key)
        self.together.append([len(value)])
        super()._set(key, value)

    def set_many(self, values):
        values = list(values)
        self.together.append([len(value) for _, value in values])
        for key, _ in values:
            self.check(key)
        super().set_many(values)

    def check(self, key):
        if key in self.refused:
            msg = f"no room for {key[-1]}"
            raise self.error(msg)


@pytest.mark.parametrize(
    "sizes", [[10] * 500, [10] * 300 + [500] * 30, [3000] * 9, [900, *[1] * 40] * 4]
)
def test_values_are_copied_in_batches_of_bounded_size(sizes):
    source = {f"{number:03}": bytes([number % 251]) * size for number, size in enumerate(sizes)}
    dest = Recording()
    with config.set({"fetch.bytes": 4000}):
        assert zarr.copy_store(source, dest) == (len(sizes), 0, sum(sizes))
    assert dict(dest) == source
    assert all(len(one) == 1 or sum(one) <= 1000 for one in dest.together)
    assert max(map(len, dest.together)) >= min(750 // sorted(sizes)[len(sizes) // 2], 60)


def tree():
    root = zarr.create_group(MemoryStore(), zarr_format=2)
    root.create_array("a/x", data=np.arange(40), chunks=1, attributes={"u": "m"}, fill_value=-1)
    return root.store


@pytest.mark.parametrize("refused", ["a/x/7", "a/x/.zarray"])
@pytest.mark.parametrize("reads", [True, False])
def test_a_value_that_cannot_be_copied_is_named_and_the_rest_is_copied_later(refused, reads):
    values = dict(tree())
    source = Recording(values, refused=[refused] if reads else ())
    dest = Recording(refused=() if reads else [refused])
    log = []
    with (
        config.set({"fetch.bytes": 4000}),
        pytest.raises(errors.CopyError, match=rf"'{refused}' could not be") as caught,
    ):
        zarr.copy_store(source, dest, log=log.append)
    assert "no room for" in str(caught.value)
    assert caught.value.report == (len(dest), 0, sum(map(len, dest.values())))
    assert log[-1].startswith(f"not completed: {len(dest)} copied")
    # What is visible is complete.
    assert not {".zgroup", "a/.zgroup", "a/x/.zarray"} & {*dest}
    source.refused = dest.refused = ()
    before = len(dest)
    copied, skipped, _ = zarr.copy_store(source, dest, if_exists="skip")
    assert (copied, skipped) == (len(values) - before, before)
    assert dict(dest) == values


def test_an_interrupted_copy_has_made_nothing_visible_and_can_be_completed():
    source = tree()
    dest = Recording(refused=["a/x/30"], error=KeyboardInterrupt)
    log = []
    with config.set({"fetch.bytes": 4000}), pytest.raises(KeyboardInterrupt):
        zarr.copy_store(source, dest, log=log.append)
    assert 10 < len(dest) < 40
    assert log[-1].startswith("not completed: ")
    assert not any(key.endswith((".zarray", ".zgroup")) for key in dest)
    dest.refused = ()
    zarr.copy_store(source, dest, if_exists="skip")
    assert dict(dest) == dict(source)
    assert zarr.open_group(dest)["a/x"][:].tolist() == list(range(40))


@pytest.mark.parametrize("kind", ["zip", "sqlite", "lmdb", "n5", "dbm", "folder"])
def test_a_tree_is_copied_through_any_store(kind, tmp_path):
    if kind == "lmdb":
        pytest.importorskip("lmdb")
    path = tmp_path / f"a.{kind}"
    store = {
        "zip": lambda: zarr.ZipStore(path, mode="a"),
        "sqlite": lambda: zarr.SQLiteStore(path),
        "lmdb": lambda: zarr.LMDBStore(path),
        "n5": lambda: zarr.N5Store(path),
        "dbm": lambda: zarr.DBMStore(path),
        "folder": lambda: zarr.DirectoryStore(path),
    }[kind]()
    source = zarr.create_group(MemoryStore(), zarr_format="n5" if kind == "n5" else 2)
    values = np.arange(60_000).reshape(300, 200)
    source.create_array("g/x", data=values, chunks=(50, 100), compressors=None)
    counts = len(source.store), 0, sum(map(len, source.store.values()))
    with store:
        assert zarr.copy_store(source.store, store) == counts
        assert np.array_equal(zarr.open_group(store, mode="r")["g/x"][:], values)
        dest = MemoryStore()
        assert zarr.copy_store(store, dest) == counts
    assert dict(dest) == dict(source.store)


def test_a_new_place_is_looked_at_once():
    class Looked(Recording):
        looks = 0

        def _exists(self, key):
            self.looks += 1
            return super()._exists(key)

    dest = Looked({"other": b"1"})
    zarr.copy_store({"a": b"1", "b": b"2"}, dest, dest_path="new")
    assert dest.looks == 0
    zarr.copy_store({"a": b"1"}, dest, dest_path="new", if_exists="replace")
    assert dest.looks == 1
