"""The store in memory."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

import fastzarr as zarr
from fastzarr.errors import BaseZarrError, KeyValidationError, ReadOnlyError
from fastzarr.stores import DictStore, ManagedMemoryStore, MemoryStore
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


def in_another_process(data: bytes, code: str) -> str:
    """Return what ``code`` prints in another process, in which ``data`` is a pickle."""
    code = f"import pickle\ndata = {data!r}\n{code}"
    done = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_copy_in_another_process_says_that_changes_would_be_lost() -> None:
    """It can be read there, and be changed when asked for."""
    root = zarr.group(MemoryStore())
    root["a"] = [1, 2, 3]
    here = pickle.loads(pickle.dumps(root))
    here["a"][0] = 5
    assert here["a"][:].tolist() == [5, 2, 3]
    code = """
import fastzarr as zarr
root, array = pickle.loads(data)
print(root["a"][:].tolist(), array[:].tolist(), array.read_only)
def set_one(): array[0] = 9
def create(): root.create_group("b")
def set_attribute(): root.attrs["x"] = 1
def set_key(): root.store.set("x", b"1")
for change in (set_one, create, set_attribute, set_key):
    try:
        change()
    except zarr.errors.ReadOnlyError as error:
        print("refused", "another process" in str(error))
mine = zarr.open_group(root.store.with_read_only(False))
mine["a"][0] = 9
print(mine["a"][:].tolist())
"""
    lines = in_another_process(pickle.dumps((root, root["a"])), code).splitlines()
    assert lines[0] == "[1, 2, 3] [1, 2, 3] True"
    assert [line.split()[0] for line in lines[1:5]] == ["refused"] * 4
    assert lines[4] == "refused True"
    assert lines[5] == "[9, 2, 3]"


def test_a_named_store_is_shared_in_the_process() -> None:
    """Its URL opens it everywhere, and the part after the name is a path."""
    zarr.open_group("memory://test-named", mode="w").create_array("a/b", data=[1, 2])
    gc.collect()
    assert zarr.open_array("memory://test-named/a/b", mode="r")[:].tolist() == [1, 2]
    assert zarr.open_group("MEMORY://test-named", path="a").path == "a"
    assert "test-other" not in zarr.open_group("memory://test-other")
    store = ManagedMemoryStore("test-named")
    assert store == zarr.open_group("memory://test-named").store
    assert str(store) == "memory://test-named"
    assert store.place is ManagedMemoryStore("test-named").place
    assert pickle.loads(pickle.dumps(store)).place is store.place
    assert list(ManagedMemoryStore()) == []
    with pytest.raises(ReadOnlyError):
        ManagedMemoryStore("test-named", read_only=True).set("x", b"1")


@pytest.mark.parametrize("name", ["", "a/b"])
def test_names_of_stores(name: str) -> None:
    """A name is one segment."""
    with pytest.raises(BaseZarrError, match="cannot name a store"):
        ManagedMemoryStore(name)
    with pytest.raises(BaseZarrError, match="cannot name a store"):
        zarr.open_group("memory://")


def test_a_named_store_is_refused_in_another_process() -> None:
    """Its values are not there."""
    data = pickle.dumps(zarr.open_group("memory://test-pickled"))
    code = """
import fastzarr
try:
    pickle.loads(data)
except fastzarr.errors.BaseZarrError as error:
    print(error)
"""
    assert "memory://test-pickled is in the memory of another process" in in_another_process(
        data, code
    )


def test_values_of_other_libraries() -> None:
    """An object with ``to_bytes`` is a value, as the buffers of zarr-python 3 are."""

    class Buffer:
        def to_bytes(self) -> bytes:
            return b"1"

    values: Any = {"a": Buffer(), "b": 5}
    store = MemoryStore(values)
    assert store["a"] == b"1"
    assert store.getsize("a") == 1
    assert [bytes(part) for part in store.get_ranges("a", [(0, 1)]) or ()] == [b"1"]
    store.set("c", Buffer())  # type: ignore[arg-type]
    assert store["c"] == b"1"
    with pytest.raises(TypeError, match="'b' must be bytes"):
        store["b"]
