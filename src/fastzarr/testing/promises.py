"""Tests of the capabilities of stores, a part of the suite in ``stores.py``.

Rules of this file:

* The test of a capability (``fastzarr.stores.capabilities``) is skipped, with its name, for a store
  that does not declare it. Every store has ``fetch``.
"""

# ruff: noqa: S101  (tests assert)

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fastzarr.errors import BaseZarrError, KeyValidationError, ReadOnlyError
from fastzarr.stores.capabilities import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores.base import Store


class PromiseTests:
    """Tests of the capabilities that a store declares."""

    def test_values_are_fetched_together(self, store: Store) -> None:
        """``fetch`` returns each value, or part of one, with the index of its request."""
        store.set("a/b", b"0123456789")
        store.set("e", b"")
        wanted = [
            *(Request("a/b"), Request("x"), Request("e"), Request("a/b", 2, 3), Request("a/b", -2)),
            *(Request("x", 0, 1), Request("a/b", 8, 9), Request("e", -1), Request("a/b")),
        ]
        found = list(store.fetch(wanted))
        assert sorted(index for index, _ in found) == list(range(len(wanted)))
        data: list[bytes | None] = [None] * len(wanted)
        for index, value in found:
            data[index] = None if value is None else bytes(value.data)
        whole = b"0123456789"
        assert data == [whole, None, b"", b"234", b"89", None, b"89", b"", whole]
        for index, value in found:
            if value is not None:
                assert value.size in (None, len(store.get(wanted[index].key, b"")))
                if value.token is not None and store.validator is not None:
                    assert value.token == store.validator(wanted[index].key)
        assert list(store.fetch([])) == []
        for bad in (Request("../a"), Request("a/../b", 1, 2)):
            with pytest.raises(KeyValidationError):
                list(store.fetch([Request("a/b"), bad]))
        with pytest.raises(BaseZarrError, match="-1"):
            list(store.fetch([Request("a/b", 0, -1)]))

    def test_values_are_files(self, store: Store) -> None:
        """Each value is in the file of its key, and a file put there is read as its value."""
        if store.files is None or (files := store.files()) is None:
            pytest.skip(f"{type(store).__name__} has no files that may be opened")
        store.set("a/b", b"one")
        store.set("a/b", b"two")
        path = Path(files.root, "a", "b")
        assert path.read_bytes() == b"two"
        assert files.durability in (None, "none", "replace", "full")
        if files.durability is not None:
            path.with_name("c").write_bytes(b"three")
            assert store.get("a/c") == b"three"
        store.delete("a/b")
        assert not path.exists()

    def test_many_values_are_set_together(self, store: Store) -> None:
        """``set_many`` stores values and deletes keys, and rejects invalid keys."""
        if store.set_many is None:
            pytest.skip(f"{type(store).__name__} sets values one by one")
        store.set("a", b"1")
        buffer = bytearray(b"2")
        store.set_many([("a", None), ("b/c", buffer), ("d", b""), ("x", None)])
        buffer[:] = b"x"
        assert dict(store) == {"b/c": b"2", "d": b""}
        store.set_many([])
        with pytest.raises(KeyValidationError):
            store.set_many([("../a", b"1")])
        with pytest.raises(ReadOnlyError):
            store.with_read_only().setitems({"d": b"3"})
        assert dict(store) == {"b/c": b"2", "d": b""}

    def test_many_changes_of_one_key_are_made_in_order(self, store: Store) -> None:
        """The last value that ``set_many`` gets counts; ``swap_many`` compares with each."""
        if store.set_many is not None:
            store.set_many([("a", b"1"), ("a", None), ("b", None), ("b", b"2")])
            store.set_many([("c", b"3"), ("c", b"4")])
            assert dict(store) == {"b": b"2", "c": b"4"}
        if store.swap_many is not None:
            many = [("d", b"1", None), ("d", b"2", None), ("e", b"1", None)]
            assert store.swap_many(many) == [True, False, True]
            assert store["d"] == b"1"
            token = store.validator("d") if store.validator is not None else None
            again = [("d", None, token), ("d", None, token), ("d", b"3", None)]
            assert store.swap_many(again) == [True, False, True]
            assert store["d"] == b"3"

    def test_the_time_of_a_write(self, store: Store) -> None:
        """``modified`` never decreases with later writes, and is None for a missing key."""
        if store.modified is None:
            pytest.skip(f"{type(store).__name__} does not know when a value was written")
        assert store.modified("a") is None
        store.set("a", b"1")
        first = store.modified("a")
        store.set("a", b"2")
        second = store.modified("a")
        assert first is not None
        assert second is not None
        assert second >= first > 0
        store.delete("a")
        assert store.modified("a") is None

    def test_a_draft_is_seen_whole(self, store: Store) -> None:
        """A draft replaces a tree in one step, or leaves it unchanged."""
        if store.draft is None:
            pytest.skip(f"{type(store).__name__} has no drafts")
        store.setitems({"a/zarr.json": b"old", "a/c/0": b"old", "b": b"beside"})
        old = dict(store)
        for replace, discard in ((False, False), (True, True), (True, False)):
            draft = store.draft("a")
            assert draft is not None
            draft.store.set("zarr.json", b"new")
            assert dict(store) == old
            published = not discard and draft.publish(replace=replace)
            assert published == (replace and not discard)
            if not published:
                draft.discard()
        assert dict(store) == {"a/zarr.json": b"new", "b": b"beside"}

    def test_a_transaction_is_all_or_nothing(self, store: Store) -> None:
        """All changes in a block are made at its end, or none if it raises."""
        if store.transaction is None:
            pytest.skip(f"{type(store).__name__} has no transactions")
        # A transaction changes documents and chunks of arrays.
        old = {".zattrs": b"1", "b/.zarray": b"{}", "b/0": b"2"}
        store.setitems(old)
        for fails in (True, False):
            with suppress(ZeroDivisionError), store.transaction(""):
                store.set(".zattrs", b"3")
                store.delete("b/0")
                store.change("b/1", lambda old: (old or b"") + b"4")
                new = {".zattrs": b"3", "b/.zarray": b"{}", "b/1": b"4"}
                assert dict(store) == new
                assert not fails or 1 // 0
            assert dict(store) == (old if fails else new)

    def test_other_threads_take_no_part_in_a_transaction(self, store: Store) -> None:
        """Another thread sees and changes the store as if there were no transaction."""
        if store.transaction is None:
            pytest.skip(f"{type(store).__name__} has no transactions")
        store.setitems({".zattrs": b"1", "b/.zarray": b"{}"})
        seen: list[bytes | None] = []

        def other() -> None:
            seen.append(store.get(".zattrs"))
            store.set("b/.zattrs", b"5")
            seen.append(store.get("b/.zattrs"))

        with suppress(ZeroDivisionError), store.transaction(""):
            store.set(".zattrs", b"3")
            run_at_once([other])
            assert store.get(".zattrs") == b"3"
            _ = 1 // 0
        assert seen == [b"1", b"5"]
        assert dict(store) == {".zattrs": b"1", "b/.zarray": b"{}", "b/.zattrs": b"5"}

    def test_a_validator_changes_with_the_value(self, store: Store) -> None:
        """Return equal tokens while a value stays, another after each write, None if missing."""
        if store.validator is None:
            pytest.skip(f"{type(store).__name__} has no validator")
        assert store.validator("a") is None
        seen: list[object] = []
        for value in (b"1", b"2", b"2", b"345", b"1"):
            # A new object each time, as in practice.
            store.set("a", bytearray(value))
            token = store.validator("a")
            assert token == store.validator("a")
            assert hash(token) == hash(store.validator("a"))
            assert not seen or token != seen[-1]
            seen.append(token)
        store.set("b", b"1")
        assert store.validator("a") == seen[-1]
        store.delete("a")
        assert store.validator("a") is None

    def test_swap(self, store: Store) -> None:
        """``swap`` replaces or deletes a value only if the token is that of the current value."""
        if store.swap is None or store.validator is None:
            pytest.skip(f"{type(store).__name__} has no swap")
        assert store.swap("a/b", b"1", None)
        assert not store.swap("a/b", b"2", None)
        old = store.validator("a/b")
        buffer = bytearray(b"3")
        assert store.swap("a/b", buffer, old)
        buffer[:] = b"x"
        assert not store.swap("a/b", b"4", old)
        assert store.get("a/b") == b"3"
        new = store.validator("a/b")
        if store.swaps_deletes:
            assert not store.swap("a/b", None, old)
            assert not store.swap("a/b", None, None)
            assert store.get("a/b") == b"3"
            assert store.swap("a/b", None, new)
        else:
            with pytest.raises(BaseZarrError, match="a/b"):
                store.swap("a/b", None, new)
            assert store.get("a/b") == b"3"
            store.delete("a/b")
        assert store.is_empty()
        assert not store.swap("a/b", b"5", new)
        if store.swaps_deletes:
            assert not store.swap("a/b", None, new)
            assert store.swap("a/b", None, None)
        assert store.is_empty()
        store.set("a/b", b"6")
        no_bytes: Any = "text"
        with pytest.raises(TypeError):
            store.swap("a/b", no_bytes, store.validator("a/b"))
        assert store.get("a/b") == b"6"

    def test_the_token_of_a_value_that_was_swapped(self, store: Store) -> None:
        """``swap_token`` does as ``swap`` does, and returns the token of the new value."""
        if store.swap_token is None or store.validator is None:
            pytest.skip(f"{type(store).__name__} does not return tokens of new values")
        done, token = store.swap_token("a/b", b"1", None)
        assert done
        assert token in (None, store.validator("a/b"))
        assert store.swap_token("a/b", b"2", None) == (False, None)
        current = store.validator("a/b")
        assert store.swap_token("a/b", bytearray(b"3"), current)[0]
        assert not store.swap_token("a/b", b"4", current)[0]
        assert store.get("a/b") == b"3"

    def test_swap_loses_no_update(self, store: Store) -> None:
        """No update of threads that read and swap is lost."""
        swap, validator = store.swap, store.validator
        if swap is None or validator is None:
            pytest.skip(f"{type(store).__name__} has no swap")
        store.set("n", b"0")
        created: list[bool] = []

        def count() -> None:
            created.append(swap("new", b"1", None))
            for _ in range(25):
                swapped = False
                while not swapped:
                    token = validator("n")
                    number = int(store.get("n", b""))
                    swapped = swap("n", b"%d" % (number + 1), token)

        run_at_once([count] * 4)
        assert store.get("n") == b"100"
        assert sorted(created) == [False, False, False, True]


def run_at_once(
    work: list[Callable[[], None]],
    *,
    beside: list[Callable[[], None]] | None = None,
    done: threading.Event | None = None,
) -> None:
    """Run ``work`` in threads, and ``beside`` until that is done; raise the first exception.

    ``done`` is set when ``work`` is done.
    """
    failures: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001  (raised again below)
            failures.append(error)

    workers = [threading.Thread(target=guarded, args=(task,)) for task in work]
    others = [threading.Thread(target=guarded, args=(task,)) for task in beside or []]
    for thread in others + workers:
        thread.start()
    for thread in workers:
        thread.join()
    if done is not None:
        done.set()
    for thread in others:
        thread.join()
    if failures:
        raise failures[0]
