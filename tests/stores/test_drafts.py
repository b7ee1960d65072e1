"""Nodes are replaced, deleted and moved in one step, in stores that set many values in one."""

from __future__ import annotations

import dbm.dumb
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.nodes.claims import mark_of
from fastzarr.stores import DBMStore, LMDBStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    State = dict[str, bytes]

KINDS: dict[str, Callable[[Path], Any]] = {
    "sqlite": SQLiteStore,
    "lmdb": LMDBStore,
    "dbm": lambda path: DBMStore(path, open=dbm.dumb.open),
}
VERBS: dict[str, Callable[[Any], Any]] = {
    "replace": lambda root: root.create_array("g/x", data=np.ones(6), chunks=2, overwrite=True),
    "replace a group": lambda root: root.create_group("g", overwrite=True),
    "replace by an empty array": lambda root: root.create_array(
        "g", shape=3, dtype="i4", overwrite=True
    ),
    "replace the root": lambda root: zarr.create_group(root.store, overwrite=True),
    "create": lambda root: root.create_array("g/new", data=np.ones(6), chunks=2),
    "delete": lambda root: root.__delitem__("g"),
    "move": lambda root: root.move("g/x", "g/y"),
}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Return a store in a database with a small tree."""
    with KINDS[request.param](tmp_path / "a") as made:
        zarr.create_array(made, name="g/x", data=np.arange(10), chunks=(4,))
        made["b/zarr.json"] = made["zarr.json"]
        yield made


def state(store: Any) -> State:
    """Return the values, without the claims of documents."""
    values = dict(store)
    return {key: value.removesuffix(mark_of(value)) for key, value in values.items()}


@pytest.mark.parametrize("name", VERBS)
def test_each_commit_leaves_the_old_tree_or_the_new_one(
    store: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each transaction of the database, all of a verb has happened or nothing."""
    committed: list[State] = []
    writing = vars(type(store))["_writing"]

    @contextmanager
    def watched(self: Any, nbytes: int) -> Iterator[Any]:
        with writing(self, nbytes) as session:
            yield session
        committed.append(state(store))

    old = state(store)
    monkeypatch.setattr(type(store), "_writing", watched)
    root = zarr.open_group(store, mode="r+")
    VERBS[name](root)
    new = state(store)
    assert new != old
    # Only a new parent group, and claims, are transactions of their own.
    assert [one for one in committed if one not in (old, new)] == []


def test_a_draft_that_fails_leaves_the_old_node(store: Any) -> None:
    """What cannot be read to its end replaces nothing."""

    class Fails:
        shape, dtype = (10,), np.dtype("f8")

        def __getitem__(self, index: Any) -> Any:
            raise ZeroDivisionError

    old = state(store)
    with pytest.raises(ZeroDivisionError):
        zarr.create_array(store, name="g/x", data=Fails(), overwrite=True)
    assert state(store) == old


def test_a_large_draft_is_in_a_file_meanwhile(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The values of a draft that are beyond its share of memory are not in memory."""
    files: list[Any] = []
    make = tempfile.TemporaryFile

    def recorded(**words: Any) -> Any:
        files.append(make(dir=tmp_path, **words))
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", recorded)
    values = np.random.default_rng(0).integers(0, 1 << 60, 4000)
    with zarr.config.set({"fetch.bytes": 16000}):
        zarr.create_array(store, name="g/x", data=values, chunks=(100,), overwrite=True)
    # Where a file without a name is not possible, it is deleted when it is closed.
    assert [file.closed for file in files] == [True]
    np.testing.assert_array_equal(zarr.open_array(store, path="g/x", mode="r")[...], values)


def test_a_full_disk_of_the_draft_is_an_error(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft that cannot be written leaves the old node."""

    class Full:
        def seek(self, *_: int) -> int:
            return 0

        def write(self, _: object) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    old = state(store)
    with zarr.config.set({"fetch.bytes": 0}), pytest.raises(OSError, match="No space left"):
        zarr.create_array(store, name="g/x", data=np.arange(9), chunks=(3,), overwrite=True)
    assert state(store) == old
