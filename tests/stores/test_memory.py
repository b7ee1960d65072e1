"""The store in memory."""

from __future__ import annotations

import os
import pickle

import pytest

from fastzarr.errors import KeyValidationError, ReadOnlyError
from fastzarr.stores import DictStore, MemoryStore
from fastzarr.testing import StoreTests


class TestMemoryStore(StoreTests):
    """The common test suite."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """Return an empty store."""
        return MemoryStore()


def test_the_callers_dict_is_written_into() -> None:
    """Values are written to the dict that was passed, under either name of the argument."""
    for values in ({}, {"a": b"0"}):
        MemoryStore(values).set("a/b", bytearray(b"1"))
        MemoryStore(root=values)["c"] = b"2"
        assert values.items() >= {("a/b", b"1"), ("c", b"2")}
        assert type(values["a/b"]) is bytes
    with pytest.raises(TypeError, match="root"):
        MemoryStore({}, root={})


def test_values_put_into_the_dict_by_others() -> None:
    """Buffers in the dict are read as bytes; other objects raise an error that names the key."""
    store = MemoryStore({"a": bytearray(b"1"), "b": "text", 3: b"x"})
    assert store.get("a") == b"1"
    assert [*store] == ["a", "b"]
    with pytest.raises(TypeError, match="'b'"):
        store.get("b")


def test_a_value_put_into_the_dict_changes_the_validator() -> None:
    """A value that was written directly to the dict is noticed."""
    values = {"a": b"1"}
    store = MemoryStore(values)
    token = store.validator("a")
    values["a"] = bytes(bytearray(b"1"))
    assert store.validator("a") != token
    assert not store.swap("a", b"2", token)


def test_stores_are_equal_by_their_values() -> None:
    """Stores are compared by value, in the same dict or in two."""
    values = {"a": b"1"}
    assert MemoryStore(values) == MemoryStore(values)
    assert MemoryStore(values) == MemoryStore(dict(values))
    assert MemoryStore(values) != MemoryStore()


def test_a_pickle_has_its_own_values() -> None:
    """An unpickled store does not share the dict."""
    store = MemoryStore({"a": b"1"}, dimension_separator="/")
    copy = pickle.loads(pickle.dumps(store))
    copy["a"] = b"2"
    assert store["a"] == b"1"
    assert copy.dimension_separator == "/"


def test_names() -> None:
    """A store in a dict has a URL that identifies the dict."""
    values: dict[str, bytes] = {}
    assert str(MemoryStore(values)) == str(MemoryStore(values)) == f"memory://{id(values)}"
    assert DictStore is MemoryStore


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_while_a_lock_is_held() -> None:
    """A child that was forked while another thread was writing can write."""
    store = MemoryStore()
    with store.place.guard:
        child = os.fork()
        if child == 0:
            import threading

            thread = threading.Thread(target=store.set, args=("a", b"1"), daemon=True)
            thread.start()
            thread.join(20)
            os._exit(0 if store.get("a") == b"1" else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_many_values_are_set_and_deleted_in_one_step() -> None:
    store = MemoryStore({"a": b"1", "b": b"2"})
    store.set_many({"a": None, "x": None, "c/d": bytearray(b"3")}.items())
    assert dict(store) == {"b": b"2", "c/d": b"3"}
    for values, error in (
        ([("b", None), ("../e", b"4")], KeyValidationError),
        ([("b", None), ("e", "text")], TypeError),
    ):
        with pytest.raises(error):
            store.set_many(values)
    with pytest.raises(ReadOnlyError):
        store.with_read_only().set_many([("b", None)])
    assert dict(store) == {"b": b"2", "c/d": b"3"}
