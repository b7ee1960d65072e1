"""What some stores promise beyond the verbs of all: a part of the suite in ``testing.py``.

Rules of this file:

* A test of a protocol (``fastzarr.stores.protocols``) is skipped, by name, where the store does not
  offer it.
"""

# ruff: noqa: S101  (tests assert)

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from fastzarr.stores.protocols import (
    SupportsDraft,
    SupportsTransaction,
    SupportsValidator,
    Swaps,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores.base import Store


class PromiseTests:
    """Test what a store may promise."""

    def test_a_draft_is_seen_whole(self, store: Store) -> None:
        """Put a tree into the place of another in one step, or leave what is there."""
        if not isinstance(store, SupportsDraft):
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
        """Make all changes of a block at its end, or none where it raises."""
        if not isinstance(store, SupportsTransaction):
            pytest.skip(f"{type(store).__name__} has no transactions")
        store.setitems({"a": b"1", "b/c": b"2"})
        for fails in (True, False):
            with suppress(ZeroDivisionError), store.transaction(""):
                store.set("a", b"3")
                store.delete("b/c")
                store.change("d", lambda old: (old or b"") + b"4")
                assert dict(store) == {"a": b"3", "d": b"4"}
                assert not fails or 1 // 0
            assert dict(store) == ({"a": b"1", "b/c": b"2"} if fails else {"a": b"3", "d": b"4"})

    def test_a_validator_changes_with_the_value(self, store: Store) -> None:
        """Give equal tokens while a value stays, another after each write, None without one."""
        if not isinstance(store, SupportsValidator):
            pytest.skip(f"{type(store).__name__} has no validator")
        assert store.validator("a") is None
        seen: list[object] = []
        for value in (b"1", b"2", b"2", b"345", b"1"):
            # A new object each time, as in life.
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
        """Replace and delete only the value that the token belongs to."""
        if not isinstance(store, Swaps):
            pytest.skip(f"{type(store).__name__} has no swap")
        assert store.swap("a/b", b"1", None)
        assert not store.swap("a/b", b"2", None)
        old = store.validator("a/b")
        buffer = bytearray(b"3")
        assert store.swap("a/b", buffer, old)
        buffer[:] = b"x"
        assert not store.swap("a/b", b"4", old)
        assert store.get("a/b") == b"3"
        assert not store.swap("a/b", None, old)
        assert not store.swap("a/b", None, None)
        assert store.get("a/b") == b"3"
        new = store.validator("a/b")
        assert store.swap("a/b", None, new)
        assert store.is_empty()
        assert not store.swap("a/b", b"5", new)
        assert not store.swap("a/b", None, new)
        assert store.swap("a/b", None, None)
        assert store.is_empty()
        store.set("a/b", b"6")
        with pytest.raises(TypeError):
            store.swap("a/b", "text", store.validator("a/b"))  # type: ignore[arg-type]
        assert store.get("a/b") == b"6"

    def test_swap_loses_no_update(self, store: Store) -> None:
        """Count with threads that read and swap to the number of all swaps."""
        if not isinstance(store, Swaps):
            pytest.skip(f"{type(store).__name__} has no swap")
        store.set("n", b"0")
        created: list[bool] = []

        def count() -> None:
            created.append(store.swap("new", b"1", None))
            for _ in range(25):
                swapped = False
                while not swapped:
                    token = store.validator("n")
                    number = int(store.get("n", b""))
                    swapped = store.swap("n", b"%d" % (number + 1), token)

        run_at_once([count] * 4)
        assert store.get("n") == b"100"
        assert sorted(created) == [False, False, False, True]


def run_at_once(
    work: list[Callable[[], None]],
    *,
    beside: list[Callable[[], None]] | None = None,
    done: threading.Event | None = None,
) -> None:
    """Run work in threads, and what is beside it until it is done; raise what one raised."""
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
