"""What tests of several stores behind a network share."""

from __future__ import annotations

import multiprocessing
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import join

import fastzarr
from fastzarr.testing import StoreTests

if TYPE_CHECKING:
    from collections.abc import Callable

#: The arguments of a fault of the proxy, for failures that may pass.
PASSING: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "429": {"kind": "status", "status": 429},
    "reset": {"kind": "reset"},
    "cut": {"kind": "cut"},
    "lost": {"kind": "lost"},
    "stall": {"kind": "stall"},
}

#: Verbs that read ``a``, whose value is ``12345678``: the method of the request, and a check.
READS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "get": ("GET", lambda store: store.get("a") == b"12345678"),
    "range": ("GET", lambda store: store.get_ranges("a", [(2, 3)]) == [b"345"]),
    "suffix": ("GET", lambda store: store.get_ranges("a", [(-2, None)]) == [b"78"]),
    "exists": ("HEAD", lambda store: store.exists("a")),
    "getsize": ("HEAD", lambda store: store.getsize("a") == 8),
}


class SuiteInSeaweed(StoreTests):
    """The suite of all stores, for a store in SeaweedFS.

    The server lists a folder for some time after its last object was deleted, which Amazon's does
    not. Only what a listing of names asserts is left out.
    """

    def test_is_empty(self, store: Any) -> None:
        """A store without keys is empty, also below a prefix."""
        assert store.is_empty()
        store.set("a/b", b"1")
        assert not store.is_empty()
        assert not store.is_empty("a")
        assert store.is_empty("a/b")
        store.delete("a/b")
        assert store.is_empty("a")
        assert list(store.list()) == []

    def test_move(self, store: Any) -> None:
        """Keys are moved with all that is below them."""
        for key in ("a/b", "a/c/d", "ab"):
            store.set(key, key.encode())
        store.move("a", "n/m")
        assert list(store.list()) == ["ab", "n/m/b", "n/m/c/d"]
        assert store.get("n/m/c/d") == b"a/c/d"


class SuiteOfServed(StoreTests):
    """The suite of all stores, for a store of a database server."""

    def connection(self, store: Any) -> object:
        """Return what identifies the connection of this process to the server, or None."""
        del store

    def test_an_array_is_written_and_read(self, store: Any) -> None:
        """Shards are written whole and in part, and read whole and in part."""
        values = np.arange(10_000, dtype="f4").reshape(100, 100)
        array = fastzarr.create_array(
            store, name="a", data=values, chunks=(10, 30), shards=(20, 60)
        )
        array[5:25, 7:70] = -1
        values[5:25, 7:70] = -1
        again = fastzarr.open_group(store, mode="r")["a"]
        np.testing.assert_array_equal(again[:], values)
        np.testing.assert_array_equal(again[17, ::-3], values[17, ::-3])

    def test_many_values_are_swapped(self, store: Any) -> None:
        """Only values whose tokens are current are stored or deleted; the others are told."""
        store.set_many((key, key.encode()) for key in "abcg")
        old = {key: store.validator(key) for key in "abcg"}
        store["b"] = b"other"
        store["h"] = b"another"
        done = store.swap_many(
            [
                ("a", memoryview(bytearray(b"4")), old["a"]),
                ("b", b"5", old["b"]),
                ("c", None, old["c"]),
                ("d", b"6", None),
                ("e", None, None),
                ("f", None, old["a"]),
                ("g", None, "a token of nothing"),
                ("h", b"7", None),
                ("i", b"8", "a token of nothing"),
            ]
        )
        assert done == [True, False, True, True, True, False, False, False, False]
        assert dict(store) == {"a": b"4", "b": b"other", "d": b"6", "g": b"g", "h": b"another"}
        assert store.validator("a") not in (None, old["a"])
        assert store.swap_many([]) == []

    def test_chunks_changed_in_part_by_two_writers_have_all_changes(self, store: Any) -> None:
        """Many chunks are compared and stored in one request; what others have changed is kept."""
        z = fastzarr.create_array(store, data=np.zeros(600, "i4"), chunks=6)
        ends = threading.Barrier(3, timeout=100)

        def write(start: int) -> None:
            mine = fastzarr.open_array(store, mode="r+")
            ends.wait()
            for value in range(1, 6):
                mine[start::3] = 10 * value + start

        threads = [threading.Thread(target=write, args=(start,)) for start in range(3)]
        for thread in threads:
            thread.start()
        join(*threads)
        assert z[:].tolist() == [50, 51, 52] * 200

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_forked_child_reads_an_array_of_its_parent(self, store: Any) -> None:
        """A child makes a client of its own."""
        z = fastzarr.create_array(store, data=np.arange(100), chunks=10)
        mine = self.connection(store)

        def look() -> None:
            queue.put((int(z[:].sum()), self.connection(z.store_path.store)))

        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=look)
        child.start()
        total, theirs = queue.get(timeout=60)
        join(child)
        assert total == z[:].sum() == 4950
        assert mine is None or theirs != mine

    def test_the_store_can_be_used_after_it_was_closed(self, store: Any) -> None:
        """A later use makes another client."""
        with store:
            store["a"] = b"1"
        assert store["a"] == b"1"
