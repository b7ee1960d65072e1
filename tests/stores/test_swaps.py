"""Stores with compare-and-swap and no locks lose no update, of any kind.

Rules of this file:

* Two stores over one dict represent two processes: they share no lock. The second writer acts when
  the first is about to change the key that a test specifies.
"""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from queue import SimpleQueue
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import PATIENCE, join, wait_for

import fastzarr as zarr
from fastzarr.errors import PathNotFoundError, ShapeError
from fastzarr.metadata.layout import GroupLayout
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.nodes import documents
from fastzarr.stores import Store, stopping, validate_key
from fastzarr.stores.capabilities import Value
from fastzarr.testing import StoreTests

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

_lock, _versions = RLock(), itertools.count()


class Swapping(Store):
    """A store with the four methods and compare-and-swap, in a dict of versions and values."""

    def __init__(self, held: dict[str, tuple[int, bytes]] | None = None) -> None:
        super().__init__()
        self.held = {} if held is None else held
        self.meanwhile: dict[str, Callable[[], object]] = {}

    def _act(self, key: str) -> None:
        # Removed first, so that the changes of the other writer do not start it again.
        self.meanwhile.pop(key, lambda: None)()

    def _get(self, key: str) -> bytes | None:
        return self.held[key][1] if key in self.held else None

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._act(key)
        self.held[key] = (next(_versions), bytes(value))

    def _delete(self, key: str) -> None:
        self._act(key)
        self.held.pop(key, None)

    def _list(self, prefix: str) -> Iterable[str]:
        start = f"{prefix}/" if prefix else ""
        return [key for key in tuple(self.held) if key.startswith(start)]

    def validator(self, key: str) -> Hashable | None:
        """Return the version of the value, or None if the key is missing."""
        validate_key(key)
        return self.held.get(key, (None,))[0]

    def swap(self, key: str, value: Any, token: Hashable | None) -> bool:
        """Store or delete the value if the token is still current."""
        self._check_write(key)
        self._act(key)
        with _lock:
            if self.validator(key) != token:
                return False
            if value is None:
                self.held.pop(key, None)
            else:
                self.held[key] = (next(_versions), bytes(value))
            return True

    def __eq__(self, other: object) -> bool:
        """Whether both stores have equal values."""
        return isinstance(other, Swapping) and self.held == other.held

    __hash__ = None  # type: ignore[assignment]


class TestSwapping(StoreTests):
    """The common test suite."""

    @pytest.fixture
    def store(self) -> Swapping:
        """Return an empty store."""
        return Swapping()


def test_a_change_that_deletes_compares() -> None:
    store = Swapping()
    store.set("a", b"1")
    seen: list[bytes | None] = []

    def make(old: bytes | None) -> None:
        seen.append(old)

    store.meanwhile["a"] = lambda: Swapping(store.held).set("a", b"2")
    store.change("a", make)
    assert seen == [b"1", b"2"]
    assert store.is_empty()


# Chunks


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("shards", [None, 4])
def test_a_partial_write_of_the_fill_value_deletes_no_newer_chunk(
    shards: int | None,
) -> None:
    store = Swapping()
    z = zarr.create_array(store, shape=4, chunks=2, shards=shards, dtype="i4", fill_value=0)
    z[0] = 1
    other = zarr.open_array(Swapping(store.held))

    def write() -> None:
        other[1] = 5

    store.meanwhile["c/0"] = write
    z[0] = 0
    assert not store.meanwhile
    assert z[:].tolist() == other[:].tolist() == [0, 5, 0, 0]


@pytest.mark.usefixtures("data_path")
def test_a_chunk_that_holds_only_fill_value_is_still_deleted() -> None:
    store = Swapping()
    z = zarr.create_array(store, shape=4, chunks=2, dtype="i4", fill_value=0)
    z[:] = 1
    z[0] = z[1] = 0
    z[2:4] = 0
    assert list(store.list()) == ["zarr.json"]


# Appends


class Beside:
    """Another writer, which is started when the first one is in the middle of a change."""

    def __init__(self, action: Callable[[], object], patch: pytest.MonkeyPatch) -> None:
        self.told: SimpleQueue[str] = SimpleQueue()
        self.go = Event()
        self.thread = Thread(target=lambda: (action(), self.told.put("ended")))
        patch.setattr(stopping, "pause", self.pause)

    def pause(self, _: float) -> None:
        """Let the first one go on, and wait for its end."""
        self.told.put("waits")
        wait_for(self.go)

    def __call__(self) -> None:
        """Start, and return when it has ended, or waits for the first one."""
        self.thread.start()
        self.told.get(timeout=PATIENCE)

    def end(self) -> None:
        """Wait until it has ended, when the first one has."""
        self.go.set()
        join(self.thread)


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("key", ["c/0", "c/1", "zarr.json"])
def test_two_appends_at_once_have_rows_of_their_own(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Swapping()
    z = zarr.create_array(store, shape=0, chunks=3, dtype="i4")
    other = zarr.open_array(Swapping(store.held))
    beside = Beside(lambda: other.append([2, 2, 2]), monkeypatch)
    store.meanwhile[key] = beside
    z.append([1, 1, 1, 1])
    beside.end()
    assert not store.meanwhile
    found = zarr.open_array(Swapping(store.held))[:].tolist()
    assert found in ([1, 1, 1, 1, 2, 2, 2], [2, 2, 2, 1, 1, 1, 1])


class Telling(Swapping):
    """A store that returns the tokens of new values, and counts requests for documents."""

    def __init__(self, held: dict[str, tuple[int, bytes]] | None = None) -> None:
        super().__init__(held)
        self.asked: list[str] = []
        self.tells = True

    def fetch(self, wanted: Any) -> Any:
        for index, (key, *_) in enumerate(wanted):
            self.asked.append(f"get {key}")
            found = self.held.get(key)
            yield index, None if found is None else Value(found[1], found[0])

    def swap(self, key: str, value: Any, token: Hashable | None) -> bool:
        return self._swap(key, value, token)[0]

    def swap_token(
        self, key: str, value: Any, token: Hashable | None
    ) -> tuple[bool, Hashable | None]:
        return self._swap(key, value, token)

    def _swap(self, key: str, value: Any, token: Hashable | None) -> tuple[bool, Hashable | None]:
        self.asked.append(f"swap {key}")
        with _lock:
            done = Swapping.swap(self, key, value, token)
            return done, self.validator(key) if done and self.tells else None


def telling(shape: Any = 0, chunks: Any = 2) -> tuple[Telling, zarr.Array, zarr.Array]:
    store = Telling()
    z = zarr.create_array(store, shape=shape, chunks=chunks, dtype="i4")
    z.append(np.ones((1, *z.shape[1:]), "i4"))
    other = zarr.open_array(Telling(store.held), mode="r+")
    store.asked.clear()
    return store, z, other


def test_an_append_after_another_does_not_read_the_document_again() -> None:
    store, z, _ = telling()
    for number in range(2, 12):
        z.append([number])
    # Each claims the document, and stores it with its shape.
    assert [one for one in store.asked if "zarr.json" in one] == ["swap zarr.json"] * 20
    assert zarr.open_array(store)[:].tolist() == list(range(1, 12))


def test_an_append_after_that_of_another_writer_reads_the_document_again() -> None:
    store, z, other = telling()
    for number in range(3):
        other.append([2 * number])
        assert z.append([2 * number + 1]) == (2 * number + 3,)
    asked = [one for one in store.asked if "zarr.json" in one]
    assert asked == ["swap zarr.json", "get zarr.json", *["swap zarr.json"] * 2] * 3
    assert zarr.open_array(store)[:].tolist() == [1, 0, 1, 2, 3, 4, 5]


def test_an_append_keeps_the_attributes_of_another_writer() -> None:
    store, z, other = telling()
    other.attrs["a"] = 1
    z.append([2])
    other.attrs["b"] = 2
    z.append([3])
    found = zarr.open_array(store)
    assert (dict(found.attrs), found[:].tolist()) == ({"a": 1, "b": 2}, [1, 2, 3])


def test_what_an_append_is_refused_for_is_looked_at_again() -> None:
    store, z, other = telling((0, 3), (2, 3))
    other.resize((1, 4))
    assert z.append([[2, 2, 2, 2]]) == (2, 4)
    other.resize((2, 3))
    with pytest.raises(ShapeError):
        z.append([[2, 2, 2, 2]])
    assert zarr.open_array(store)[:].tolist() == [[1, 1, 1], [2, 2, 2]]


def test_an_append_of_nothing_looks_at_the_document() -> None:
    store, z, other = telling()
    other.append([2])
    assert z.append([]) == (2,)
    del store.held["zarr.json"]
    for values in ([], [3]):
        with pytest.raises(PathNotFoundError):
            z.append(values)
    assert list(store.held) == ["c/0"]


def test_an_append_to_an_array_that_was_replaced_looks_at_the_new_one() -> None:
    store, z, _ = telling()
    new = zarr.create_array(Telling(store.held), shape=1, chunks=4, dtype="f8", overwrite=True)
    new[:] = 0.5
    z.append([2])
    assert zarr.open_array(store)[:].tolist() == [0.5, 2.0]


def test_a_token_that_is_not_told_is_asked_for() -> None:
    store, z, _ = telling()
    store.tells = False
    z.append([2])
    z.append([3])
    asked = [one for one in store.asked if "zarr.json" in one]
    assert asked == ["swap zarr.json", *["get zarr.json", "swap zarr.json"] * 3]
    assert zarr.open_array(store)[:].tolist() == [1, 2, 3]


@pytest.mark.parametrize("shared", [True, False])
def test_appends_of_several_threads_are_all_kept(shared: bool) -> None:
    store, z, _ = telling()
    handles = [z if shared else zarr.open_array(Telling(store.held), mode="r+") for _ in range(4)]

    def append(number: int) -> None:
        for _ in range(10):
            handles[number].append([number] * 3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    found = zarr.open_array(store)[:].tolist()
    assert len(found) == 1 + 120
    assert all(found.count(number) == 30 + (number == 1) for number in range(4))


def test_a_copy_of_a_handle_appends_too() -> None:
    store, z, _ = telling()
    copied = copy(z)
    z.append([2])
    copied.append([3])
    z.append([4])
    assert zarr.open_array(store)[:].tolist() == [1, 2, 3, 4]


def test_a_store_with_another_swap_is_asked_by_it() -> None:
    class Other(Telling):
        def swap(self, key: str, value: Any, token: Hashable | None) -> bool:
            return super().swap(key, value, token)

    assert Other.swap_token is None
    z = zarr.create_array(Other(), shape=0, chunks=2, dtype="i4")
    z.append([1])
    z.append([2])
    assert z[:].tolist() == [1, 2]


@pytest.mark.parametrize("others", [False, True])
def test_an_append_whose_data_cannot_be_written_leaves_no_rows(
    others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Swapping()
    z = zarr.create_array(store, shape=0, chunks=4, dtype="i4")
    other = zarr.open_array(Swapping(store.held))

    beside = Beside(lambda: other.append([2]), monkeypatch)

    def fail() -> None:
        if others:
            beside()
        msg = "no space"
        raise OSError(msg)

    store.meanwhile["c/0"] = fail
    with pytest.raises(OSError, match="no space"):
        z.append([1])
    if others:
        beside.end()
    assert zarr.open_array(Swapping(store.held))[:].tolist() == ([2] if others else [])
    z.append([3])
    assert z[:].tolist() == ([2, 3] if others else [3])


def test_an_append_that_was_not_published_takes_nothing_back() -> None:
    store = Swapping()
    z = zarr.create_array(store, shape=0, chunks=4, dtype="i4")
    other = zarr.open_array(Swapping(store.held))

    def fail() -> None:
        other.append([2])
        raise ConnectionResetError

    store.meanwhile["zarr.json"] = fail
    with pytest.raises(ConnectionResetError):
        z.append([1])
    assert zarr.open_array(Swapping(store.held))[:].tolist() == [2]


# Attributes


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["array", "group"])
def test_an_attribute_set_concurrently_by_another_writer_is_kept(
    zarr_format: int, kind: str
) -> None:
    store = Swapping()
    if kind == "array":
        zarr.create_array(store, shape=1, dtype="i4", zarr_format=zarr_format)
    else:
        zarr.create_group(store, zarr_format=zarr_format)
    document = ".zattrs" if zarr_format == 2 else "zarr.json"
    mine = zarr.open(store).attrs
    theirs = zarr.open(Swapping(store.held)).attrs
    changes: list[tuple[Callable[[], object], Callable[[], object], dict[str, int]]] = [
        # The first attribute creates the document, and removing the last one deletes it.
        (lambda: mine.update(a=1), lambda: theirs.update(b=2), {"a": 1, "b": 2}),
        (lambda: mine.update(a=3), lambda: theirs.__delitem__("b"), {"a": 3}),
        (lambda: mine.__delitem__("a"), lambda: theirs.update(c=4), {"c": 4}),
        (lambda: mine.update(a=5), theirs.clear, {"a": 5}),
    ]
    for change, meanwhile, expected in changes:
        theirs.refresh()
        store.meanwhile[document] = meanwhile
        change()
        assert not store.meanwhile
        assert dict(zarr.open(store, mode="r").attrs) == dict(mine) == expected


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_writers_who_share_no_lock_count_together(zarr_format: int) -> None:
    store = Swapping()
    zarr.create_group(store, zarr_format=zarr_format)

    def count(number: int) -> None:
        own = Swapping(store.held)
        for i in range(20):
            zarr.open_group(own).attrs[f"{number}.{i}"] = i
            documents.update(own, "", more)

    def more(found: Any) -> Any:
        n = found.attributes.get("n", 0)
        return replace(found, attributes=found.attributes | {"n": n + 1})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    attributes = dict(zarr.open_group(store, mode="r").attrs)
    assert attributes.pop("n") == 80
    assert len(attributes) == 80


@pytest.mark.parametrize("first", [".zarray", ".zattrs"])
def test_a_patch_of_both_documents_of_format_2_is_applied_to_the_latest_of_both(
    first: str,
) -> None:
    store = Swapping()
    z = zarr.create_array(store, shape=(4, 4), dtype="i4", zarr_format=2, attributes={"n": 1})
    z = zarr.open_array(Swapping(store.held))

    def meanwhile() -> None:
        z.attrs["theirs"] = True
        z.resize(4, 8)

    def patch(latest: Any) -> Any:
        n = latest.attributes["n"] + 1
        new = latest.attributes | {"n": n}
        return latest.with_members(shape=(9, latest.shape[1]), attributes=new)

    store.meanwhile[first] = meanwhile
    patched = documents.update(store, "", patch)
    assert not store.meanwhile
    assert patched.attributes == {"n": 2, "theirs": True}
    z = zarr.open_array(store, mode="r")
    assert z.shape == (9, 8)
    assert dict(z.attrs) == {"n": 2, "theirs": True}


# Creation


@pytest.mark.parametrize("theirs", [None, {"by": "the other"}])
@pytest.mark.parametrize("mine", [None, {"by": "this one"}])
@pytest.mark.parametrize("document", [".zattrs", ".zgroup"])
def test_of_two_writers_one_creates_all_documents_of_a_node(
    document: str, mine: Any, theirs: Any
) -> None:
    store = Swapping()
    second = Swapping(store.held)

    def be_first() -> None:
        zarr.create_group(second, path="a", zarr_format=2, attributes=theirs)

    zarr.create_group(store, zarr_format=2)
    store.meanwhile[f"a/{document}"] = be_first
    try:
        zarr.create_group(store, path="a", zarr_format=2, attributes=mine)
        won = mine
    except zarr.errors.ContainsGroupError:
        won = theirs
    if not store.meanwhile:
        assert won is theirs
    assert dict(zarr.open_group(store, path="a", mode="r").attrs) == (won or {})


def test_attributes_set_after_another_creator_was_first_are_kept() -> None:
    store = Swapping()
    second = Swapping(store.held)

    def be_first() -> None:
        made = zarr.create_group(second, path="a", zarr_format=2, attributes={"by": "the other"})
        made.attrs["more"] = 1

    zarr.create_group(store, zarr_format=2)
    store.meanwhile["a/.zattrs"] = be_first
    with pytest.raises(zarr.errors.ContainsGroupError):
        zarr.create_group(store, path="a", zarr_format=2, attributes={"by": "this one"})
    found = dict(zarr.open_group(store, path="a", mode="r").attrs)
    assert found == {"by": "the other", "more": 1}


def test_attributes_that_a_dead_creator_left_are_not_those_of_a_new_node() -> None:
    store = Swapping()
    store.set("a/.zattrs", json.dumps({"left": 1}).encode())
    assert documents.create(store, "a", GroupLayout(V2))
    assert documents.load(store, "a") == GroupLayout(V2)
    store.set("b/.zattrs", json.dumps({"left": 1}).encode())
    zarr.create_array(store, name="b", shape=1, dtype="i4", zarr_format=2, attributes={"x": 1})
    assert dict(zarr.open_array(store, path="b").attrs) == {"x": 1}
