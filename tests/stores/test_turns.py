"""Turns of writers: locks by name, and repeated changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastzarr as zarr
from fastzarr.stores import LocalStore, MemoryStore
from fastzarr.stores.place import Locks

if TYPE_CHECKING:
    from pathlib import Path


def test_unused_locks_are_dropped() -> None:
    some = Locks()
    with some.held("a"), some.held("a"), some.held("b"):
        assert len(some._users) == 2  # noqa: SLF001
    assert some._users == {}  # noqa: SLF001


def test_a_change_is_made_again_where_another_writer_came_first() -> None:
    values = {"a": b"1"}
    store = MemoryStore(values)
    seen: list[bytes | None] = []

    def make(old: bytes | None) -> bytes:
        seen.append(old)
        if len(seen) == 1:
            values["a"] = b"2"  # a writer that takes no turn
        return (old or b"") + b"x"

    store.change("a", make)
    assert seen == [b"1", b"2"]
    assert values == {"a": b"2x"}


def test_overridden_verbs_of_a_store_are_called(tmp_path: Path) -> None:
    class Upside(LocalStore):
        """A store that keeps bytes in reverse."""

        def _get(self, key: str, _check: Any = None) -> bytes | None:
            value = super()._get(key)
            return None if value is None else value[::-1]

        def _set(self, key: str, value: Any) -> None:
            super()._set(key, bytes(value)[::-1])

    root = zarr.create_group(Upside(tmp_path), attributes={"a": 1})
    root["x"] = [1, 2, 3]
    root["x"][1] = 5
    root.attrs["b"] = 2
    root["x"].append([4])
    again = zarr.open_group(Upside(tmp_path), mode="r")
    assert again["x"][:].tolist() == [1, 5, 3, 4]
    assert dict(again.attrs) == {"a": 1, "b": 2}
    assert (tmp_path / "zarr.json").read_bytes()[-1:] == b"{"
