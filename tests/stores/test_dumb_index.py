"""What a killed program leaves of ``dbm.dumb`` is read, and damage to its index is an error."""

from __future__ import annotations

import dbm.dumb
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.errors import DatabaseError
from fastzarr.stores import DBMStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDINGS = (".dir", ".dat", ".bak", ".lock")
Files = dict[str, bytes]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.dbm")


def opened(path: str, **words: Any) -> DBMStore:
    return DBMStore(path, open=dbm.dumb.open, **words)


def files_of(path: str) -> Files:
    there = (end for end in ENDINGS if Path(path + end).exists())
    return {end: Path(path + end).read_bytes() for end in there}


def put(path: str, files: Files) -> None:
    for end in ENDINGS:
        Path(path + end).unlink(missing_ok=True)
        if end in files:
            Path(path + end).write_bytes(files[end])


# Kills of a program that does not use fastzarr, at each of its changes of a file


class Left(NamedTuple):
    """The files after a kill, and the keys that were there before and after the step."""

    files: Files
    before: set[bytes]
    after: set[bytes]
    committing: bool
    """Whether the index was being written anew, or what shows that it had been was deleted."""
    torn: bool
    """Whether a part of a line was added."""


class _Watch:
    """Takes the files before and inside each change that ``dbm.dumb`` makes."""

    def __init__(self, path: str) -> None:
        self.path, self.left = path, list[Left]()
        self.before = self.after = set[bytes]()
        self.committing = False

    def take(self, *, torn: bool = False) -> None:
        files = files_of(self.path)
        self.left.append(Left(files, self.before, self.after, self.committing, torn))

    def open(self, name: bytes, mode: str, *args: Any, **words: Any) -> Any:
        self.take()
        file = Path(os.fsdecode(name)).open(mode, *args, **words)  # noqa: SIM115
        return _Watched(file, self, adds=mode == "a")

    def unlink(self, name: bytes) -> None:
        self.take()
        Path(os.fsdecode(name)).unlink()
        self.committing = True

    remove = unlink

    def rename(self, old: bytes, new: bytes) -> None:
        self.take()
        Path(os.fsdecode(old)).rename(os.fsdecode(new))
        self.committing = True

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class _Watched:
    def __init__(self, file: Any, watch: _Watch, *, adds: bool) -> None:
        self._file, self._watch, self._adds = file, watch, adds

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: Any) -> None:
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            self._file.write(part)
            self._file.flush()
            self._watch.take(torn=self._adds)
        if self._adds:
            self._watch.left.pop()
            self._watch.take()

    def __iter__(self) -> Any:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def watched(path: str) -> Iterator[_Watch]:
    watch = _Watch(path)
    kind = resolve_name("dbm.dumb:_Database")
    with (
        patch.multiple(kind, _os=watch, _io=watch),
        patch.multiple("dbm.dumb", _os=watch, _io=watch),
    ):
        yield watch


KEYS = st.sampled_from([b"a", b"b/c", "b/é'\"\n".encode(), b"b/d\\"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, st.sampled_from([0, 1, 511, 512, 1300])),
        st.tuples(st.just("delete"), KEYS, st.just(0)),
        st.tuples(st.sampled_from(["sync", "close"]), st.just(b""), st.just(0)),
    ),
    max_size=12,
)


def killed(path: str, steps: list[tuple[str, bytes, int]], keys: set[bytes]) -> list[Left]:
    """Make changes of a database with ``dbm.dumb`` itself; return what kills would have left."""
    with watched(path) as watch:
        watch.before = watch.after = keys
        database: Any = dbm.dumb.open(path, "c")  # noqa: SIM115  (it is closed and opened again)
        for verb, key, size in [*steps, ("close", b"", 0)]:
            watch.before = set(database.keys())
            watch.after = set(watch.before)
            if verb == "set":
                watch.after.add(key)
                database[key] = b"1" * size
            elif verb == "delete" and key in watch.before:
                watch.after.discard(key)
                del database[key]
            elif verb == "sync":
                database.sync()
            elif verb == "close":
                database.close()
                database = dbm.dumb.open(path, "c")  # noqa: SIM115
            watch.committing = False
            watch.before = watch.after
            watch.take()
        database.close()
    return watch.left


@settings(deadline=None, max_examples=40)
@given(steps=STEPS, ours=st.booleans())
def test_what_a_killed_program_leaves_is_read(
    steps: list[tuple[str, bytes, int]], ours: bool
) -> None:
    """Only an index that was not finished is an error, and no key is missing with any other.

    ``ours`` is whether this class has used the database before.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.dbm"
        keys = {"a": b"0" * 600, "x": b"", "y": b"0"} if ours else {}
        with opened(path) as store:
            store.update(keys)
        for left in killed(path, steps, {key.encode() for key in keys}):
            put(path, left.files)
            if ".dir" not in left.files and len(left.files.get(".dat", b"")) == 0:
                continue  # the first of all keys is not there yet
            try:
                with opened(path, flag="r") as store:
                    found = {key.encode() for key in store}
            except DatabaseError:
                is_new = ".dir" not in left.files and not left.before
                assert left.committing or left.torn or is_new
                continue
            # An index of which the last line was not written is as if that key had been deleted.
            lost = (left.before & left.after) - found
            assert len(lost) <= left.committing
            assert found <= left.before | left.after


# Damage


def made(path: str) -> Files:
    """Make a database of an array with this class."""
    with opened(path) as store:
        zarr.create_array(store, data=np.arange(1000.0), chunks=100, fill_value=7)
        store["gone"] = b"1"
        del store["gone"]
    return files_of(path)


def made_by_others(path: str) -> Files:
    """Make one that another program has written last."""
    with dbm.dumb.open(path, "c") as database:
        for i in range(12):
            database[f"c/{i}"] = b"%d" % i * 300
    return files_of(path)


def chunk_keys(path: str) -> Any:
    """Return the values by their keys, or None if the database is refused."""
    try:
        with opened(path, read_only=True) as store:
            return dict(store)
    except DatabaseError:
        return None


def damages(raw: bytes) -> st.SearchStrategy[bytes]:
    def changed(where: tuple[int, int]) -> bytes:
        at, byte = where
        return raw[:at] + bytes([raw[at] ^ byte]) + raw[at + 1 :]

    flips = st.tuples(st.integers(0, len(raw) - 1), st.integers(1, 255)).map(changed)
    return st.one_of(flips, st.integers(0, len(raw) - 1).map(lambda at: raw[:at]))


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damage_to_an_index_is_an_error(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.dbm"
        files = made(path)
        assert len(chunk_keys(path)) == 11
        put(path, {**files, ".dir": data.draw(damages(files[".dir"]))})
        assert chunk_keys(path) is None
        # What the file of the lock says may be damaged instead, and then it says nothing.
        put(path, {**files, ".lock": data.draw(damages(files[".lock"]))})
        assert len(chunk_keys(path)) == 11


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damage_to_an_index_of_others_leaves_one_key_missing_at_most(data: st.DataObject) -> None:
    """A deletion may have left an index without one key, but no other key in its place."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.dbm"
        files = made_by_others(path)
        put(path, {**files, ".dir": data.draw(damages(files[".dir"]))})
        found = chunk_keys(path)
        if found is not None:
            assert {f"c/{i}" for i in range(11)} <= found.keys() <= {f"c/{i}" for i in range(12)}


def _without_index(path: str) -> None:
    Path(f"{path}.dir").unlink()


def _begun_again(path: str) -> None:
    """Leave what a kill leaves before the new index is written."""
    Path(f"{path}.dir").rename(f"{path}.bak")


def _first_byte(path: str) -> None:
    raw = Path(f"{path}.dir").read_bytes()
    Path(f"{path}.dir").write_bytes(b"x" + raw[1:])


@pytest.mark.parametrize("by", [made, made_by_others])
@pytest.mark.parametrize("damage", [_without_index, _begun_again, _first_byte])
def test_an_index_that_is_not_recognised_is_an_error(
    by: Callable[[str], Files], damage: Callable[[str], None], path: str
) -> None:
    """It is not taken for a database without keys, and no other one is created."""
    by(path)
    damage(path)
    before = files_of(path)
    for words in ({}, {"open": dbm.dumb.open}, {"read_only": True}):
        store = DBMStore(path, **words)  # type: ignore[arg-type]
        for verb in (lambda: store.get("c/1"), lambda: [*store]):  # noqa: B023
            with pytest.raises(DatabaseError, match=r"a\.dbm\.dir.*restore"):
                verb()
    with pytest.raises(DatabaseError, match=r"a\.dbm\.dir.*restore"):
        DBMStore(path)["a"] = b"1"
    assert files_of(path).keys() - {".lock"} == before.keys() - {".lock"}
    assert not Path(path).exists()


@pytest.mark.parametrize("read_only", [False, True])
def test_an_index_without_its_last_lines_says_what_to_do(path: str, read_only: bool) -> None:
    files = made(path)
    whole = files[".dir"]
    put(path, {**files, ".dir": whole[: whole.index(b"'c/5'")]})
    with pytest.raises(DatabaseError, match=r"a\.dbm\.dir.*missing.*delete .*a\.dbm\.lock"):
        opened(path, read_only=read_only).get("c/5")
    put(path, files)
    assert zarr.open_array(opened(path), mode="r")[999] == 999
    put(path, {**files, ".dir": whole[: whole.index(b"'c/5'")]})
    Path(f"{path}.lock").unlink()
    assert "c/4" in opened(path)


def test_an_index_with_a_value_of_another_place_is_an_error(path: str) -> None:
    files = made_by_others(path)
    del files[".bak"]
    for old, new in (
        (b"(512, 300)", b"(513, 300)"),
        (b"(512, 300)", b"(512, 900)"),
        (b"(0,", b"(8,"),
    ):
        assert old in files[".dir"]
        put(path, {**files, ".dir": files[".dir"].replace(old, new)})
        assert chunk_keys(path) is None
    put(path, {**files, ".dat": files[".dat"][:-1]})
    assert chunk_keys(path) is None


def test_a_database_that_another_program_has_changed_is_read(path: str) -> None:
    """Its index is then not the one that was noted, whatever the program did last."""
    made(path)
    with dbm.dumb.open(path, "w") as other:
        other[b"b"] = b"2" * 1000
    with opened(path) as store:
        assert store["b"] == b"2" * 1000
        store["c"] = b"3"
    with dbm.dumb.open(path, "w") as other:
        for key in (b"b", b"c"):
            del other[key]
    with opened(path) as store:
        assert "b" not in store
        assert "c" not in store
    with dbm.dumb.open(path, "n") as other:
        other[b"z"] = b"4"
    assert dict(opened(path)) == {"z": b"4"}


def test_a_replaced_database_is_read(path: str) -> None:
    with opened(path) as store:
        store["a"] = b""
    for _ in range(2):
        opened(path, flag="n").close()
        assert not dict(opened(path))
    assert not dict(opened(path, flag="r"))
