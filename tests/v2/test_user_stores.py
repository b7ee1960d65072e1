"""Stores of classes that programs derive from those of zarr-python 2."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastzarr.v2 as zarr
from fastzarr.errors import ChunkError
from fastzarr.v2.storage import DirectoryStore, Store


class Plain(Store):
    """A store that notes how it is asked for chunks."""

    def __init__(self):
        self.values_, self.log = {}, []

    def note(self, verb, *keys):
        chunks = [key for key in keys if not key.startswith(".")]
        if chunks:
            self.log.append((verb, *chunks))

    def __getitem__(self, key):
        self.note("get", key)
        return self.values_[key]

    def __setitem__(self, key, value):
        self.note("set", key)
        self.values_[key] = value

    def __delitem__(self, key):
        del self.values_[key]

    def __contains__(self, key):
        return key in self.values_

    def __iter__(self):
        return iter(self.values_)

    def __len__(self):
        return len(self.values_)


class Getting(Plain):
    def getitems(self, keys, *, contexts):
        assert not contexts
        self.note("getitems", *keys)
        return {key: self.values_[key] for key in keys if key in self.values_}


class Setting(Plain):
    def setitems(self, values):
        self.note("setitems", *values)
        self.values_.update(values)


class Both(Getting, Setting):
    pass


class Single(Both):
    """A store whose methods for one key do more than those for many."""

    def __getitem__(self, key):
        return super().__getitem__(key)

    def __setitem__(self, key, value):
        super().__setitem__(key, value)


KINDS = [Plain, Getting, Setting, Both, Single]


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_are_asked_for_and_stored_together(kind):
    z = zarr.create(8, chunks=2, store=(store := kind()), dtype="i4")
    store.log.clear()
    z[:] = np.arange(8)
    each = kind in (Plain, Single)
    keys = list("0123")
    if each or kind is Getting:
        assert sorted(store.log) == [("set", key) for key in keys]
    else:
        assert store.log == [("setitems", *keys)]
    store.log.clear()
    np.testing.assert_array_equal(z[:], np.arange(8))
    if each or kind is Setting:
        assert sorted(store.log) == [("get", key) for key in keys]
    else:
        assert store.log == [("getitems", *keys)]


def test_a_missing_chunk_has_the_fill_value():
    z = zarr.create(6, chunks=2, store=(store := Both()), dtype="i4", fill_value=7)
    z[2:4] = 1
    assert z[:].tolist() == [7, 7, 1, 1, 7, 7]
    z = zarr.Array(store, write_empty_chunks=False)
    z[:] = 7
    assert sorted(store) == [".zarray"]


def test_an_error_of_the_store_is_raised_and_not_taken_for_missing_chunks():
    no_answer = ConnectionError("no answer")

    class Failing(Both):
        broken = False

        def getitems(self, keys, *, contexts):  # noqa: ARG002
            raise no_answer

        def __getitem__(self, key):
            if self.broken:
                raise no_answer
            return super().__getitem__(key)

    z = zarr.create(6, chunks=2, store=(store := Failing()), dtype="i4")
    z[:] = 1
    # Each key is then asked for alone.
    assert z[:].tolist() == [1] * 6
    store.broken = True
    with pytest.raises((ConnectionError, ChunkError), match="no answer"):
        z[:]


def test_a_value_that_cannot_be_set_is_named():
    full = OSError("full")

    class Full(Both):
        def setitems(self, values):  # noqa: ARG002
            raise full

        def __setitem__(self, key, value):
            if key == "1":
                raise full
            super().__setitem__(key, value)

    z = zarr.create(6, chunks=2, store=Full(), dtype="i4")
    with pytest.raises(OSError, match=r"(?s)full.*1|1.*full"):
        z[:] = 1


def test_a_folder_with_a_method_of_its_own_for_one_key_uses_it(tmp_path):
    asked = []

    class Counting(DirectoryStore):
        def __getitem__(self, key):
            asked.append(key)
            return super().__getitem__(key)

    z = zarr.create(4, chunks=2, store=Counting(tmp_path), dtype="i4")
    z[:] = 1
    asked.clear()
    assert z[:].tolist() == [1] * 4
    assert sorted(asked) == ["0", "1"]


@given(st.data())
def test_any_changes_leave_what_numpy_says(data):
    z = zarr.create((7, 5), chunks=(2, 3), store=data.draw(st.sampled_from(KINDS))(), dtype="i2")
    expected = np.zeros((7, 5), "i2")
    for value in range(1, 4):
        start, stop = sorted(data.draw(st.tuples(st.integers(0, 7), st.integers(0, 7))))
        where = slice(start, stop), slice(data.draw(st.integers(0, 4)), None)
        z[where] = expected[where] = value
        np.testing.assert_array_equal(z[where], expected[where])
    np.testing.assert_array_equal(z[:], expected)
