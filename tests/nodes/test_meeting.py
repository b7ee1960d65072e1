"""Changes of a node that meet others of the same node: each is before or after the other.

A change is stopped at a chosen point, by a store or function that calls another change there.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import join, wait_for

import fastzarr as zarr
from fastzarr.errors import NodeNotFoundError, StaleArrayError
from fastzarr.stores import LocalStore, MappingStore, MemoryStore
from fastzarr.stores.local import turn as turns
from fastzarr.stores.local.system import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.stores import Store

pytestmark = pytest.mark.usefixtures("data_path")
needs_open_folders = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir() or fcntl is None,
    reason="this system has no paths of open folders",
)
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])
LAYOUTS = pytest.mark.parametrize("shards", [None, (8,)], ids=["chunks", "shards"])


def array(store: Any, name: str = "a", *, data: Any = None, **kwargs: Any) -> zarr.Array:
    """Return a new array of one axis."""
    kwargs = {"chunks": (4,), "zarr_format": 3} | kwargs
    values = np.arange(1, 17, dtype="i4") if data is None else data
    return zarr.create_array(store, name=name, data=values, **kwargs)


class Once:
    """A call of a function, which happens once."""

    def __init__(self, action: Callable[[], Any]) -> None:
        """Initialise with the function."""
        self.action: Callable[[], Any] | None = action

    def __call__(self) -> None:
        """Call the function, unless it was called before."""
        action, self.action = self.action, None
        if action is not None:
            action()


def in_thread(action: Callable[[], Any]) -> Thread:
    """Return a started thread that runs a function."""
    thread = Thread(target=action)
    thread.start()
    return thread


def at(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, action: Callable[[], Any], **how: bool
) -> Once:
    """Call an action once, before (or, with ``after``, after) a function of a module."""
    once, original = Once(action), getattr(module, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not how.get("after"):
            once()
        found = original(*args, **kwargs)
        once()
        return found

    monkeypatch.setattr(module, name, wrapped)
    return once


# The turn of a document


def test_the_turn_of_a_document_goes_on_after_its_put(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store["zarr.json"] = b"1"
    turn, order = store.turn("zarr.json"), []
    assert turn.get() == b"1"
    assert turn.put(b"2")
    begun = Event()

    def other() -> None:
        begun.set()
        mine = store.turn("zarr.json")
        order.append(mine.get())
        mine.put(b"4")
        mine.end()

    thread = in_thread(other)
    wait_for(begun)
    assert turn.get() == b"2"
    assert turn.put(b"3")
    assert order == []
    turn.end()
    join(thread)
    assert order == [b"3"]
    assert store["zarr.json"] == b"4"


# Resize


@FORMATS
@LAYOUTS
@pytest.mark.parametrize("kind", ["local", "memory", "mapping"])
def test_rows_appended_while_a_shrink_deletes_chunks_are_kept(
    zarr_format: int,
    shards: Any,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if zarr_format == 2 and shards:
        pytest.skip("format 2 has no shards")
    from fastzarr.nodes import resize

    stores: dict[str, Store] = {
        "local": LocalStore(tmp_path),
        "memory": MemoryStore(),
        "mapping": MappingStore({}),
    }
    store = stores[kind]
    z = array(store, shards=shards, zarr_format=zarr_format)
    threads: list[Thread] = []
    begun = Event()

    def append() -> None:
        mine = zarr.open_array(store, path="a")
        begun.set()
        mine.append(np.arange(50, 60, dtype="i4"))

    def meet() -> None:
        threads.append(in_thread(append))
        wait_for(begun)

    at(monkeypatch, resize, "_delete_outside", meet)
    z.resize(2)
    join(threads[0])
    assert zarr.open_array(store, path="a")[:].tolist() == [1, 2, *range(50, 60)]


@needs_open_folders
@FORMATS
def test_a_shrink_deletes_chunks_in_the_turn_in_which_it_has_published(
    zarr_format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastzarr.nodes import resize

    z = array(tmp_path, zarr_format=zarr_format)
    document = tmp_path / "a" / (".zarray" if zarr_format == 2 else "zarr.json")
    locked: list[bool] = []

    def look() -> None:
        assert zarr.open_array(tmp_path, path="a").shape == (2,)
        with document.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                locked.append(True)

    at(monkeypatch, resize, "_delete_outside", look)
    z.resize(2)
    assert locked == [True]


@FORMATS
def test_a_growth_starts_from_the_shape_in_the_store(
    zarr_format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    z = array(tmp_path, zarr_format=zarr_format, data=np.arange(1, 4, dtype="i4"))
    original = z.refresh

    def refresh() -> Any:
        found = original()
        Once(lambda: zarr.open_array(tmp_path, path="a").append(np.arange(4, 11, dtype="i4")))()
        return found

    monkeypatch.setattr(z, "refresh", refresh)
    z.resize(12)
    assert zarr.open_array(tmp_path, path="a")[:].tolist() == [*range(1, 11), 0, 0]


# Writes that meet a replacement, deletion or move, in a local store


def replace(tmp_path: Path, zarr_format: int) -> None:
    """Put an array of another type at the path."""
    array(tmp_path, data=np.full(16, 0.5), overwrite=True, zarr_format=zarr_format)


@needs_open_folders
@FORMATS
def test_a_write_does_not_reach_the_array_that_replaces_its_own(
    zarr_format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastzarr.engine import run

    z = array(tmp_path, zarr_format=zarr_format)
    at(monkeypatch, run.planning, "make", lambda: replace(tmp_path, zarr_format))
    with pytest.raises(StaleArrayError, match=r"'/a' was deleted or replaced while"):
        z[1:] = 7
    found = zarr.open_array(tmp_path, path="a")
    assert found.dtype == "f8"
    assert found[:].tolist() == [0.5] * 16
    assert [name for name in os.listdir(tmp_path) if "tmp" in name] == []  # noqa: PTH208


@needs_open_folders
@FORMATS
@pytest.mark.parametrize("part", [slice(None), slice(1, 3)], ids=["whole", "part"])
def test_a_write_does_not_bring_a_deleted_array_back(
    zarr_format: int, part: slice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastzarr.engine import run

    z = array(tmp_path, zarr_format=zarr_format)
    group = zarr.open_group(tmp_path, mode="r+", zarr_format=zarr_format)
    at(monkeypatch, run.planning, "make", lambda: group.__delitem__("a"))
    with pytest.raises(StaleArrayError):
        z[part] = 7
    assert not (tmp_path / "a").exists()
    with pytest.raises(StaleArrayError, match="no longer"):
        z[part] = 7


@needs_open_folders
@FORMATS
@pytest.mark.parametrize("verb", ["append", "resize", "attribute"])
@pytest.mark.parametrize("other", ["delete", "replace"])
def test_a_change_of_a_document_does_not_bring_a_deleted_array_back(
    zarr_format: int, verb: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    z = array(tmp_path, zarr_format=zarr_format)
    group = zarr.open_group(tmp_path, mode="r+", zarr_format=zarr_format)

    def meet() -> None:
        if other == "delete":
            del group["a"]
        else:
            replace(tmp_path, zarr_format)

    met: list[None] = []
    # A document is written by one of these, and a new one that replaces another by the second.
    for name in ("write_file", "write_locked"):
        at(monkeypatch, turns, name, lambda: met or met.append(meet()))
    verbs: dict[str, Callable[[], Any]] = {
        "append": lambda: z.append(np.arange(3, dtype="i4")),
        "resize": lambda: z.resize(5),
        "attribute": lambda: z.attrs.update(x=1),
    }
    with pytest.raises(NodeNotFoundError):
        verbs[verb]()
    if other == "delete":
        assert not (tmp_path / "a").exists()
    else:
        found = zarr.open_array(tmp_path, path="a")
        assert found[:].tolist() == [0.5] * 16
        assert dict(found.attrs) == {}


@needs_open_folders
@FORMATS
def test_a_write_and_a_move_leave_one_array(
    zarr_format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastzarr.engine import run

    z = array(tmp_path, zarr_format=zarr_format)
    group = zarr.open_group(tmp_path, mode="r+", zarr_format=zarr_format)
    at(monkeypatch, run.planning, "make", lambda: group.move("a", "b"))
    z[1:15] = 7
    assert not (tmp_path / "a").exists()
    assert group["b"][:].tolist() == [1, *[7] * 14, 16]


@needs_open_folders
def test_messages_name_the_path_of_the_array(tmp_path: Path) -> None:
    z = array(tmp_path)
    chunk = tmp_path / "a" / "c" / "0"
    chunk.unlink()
    chunk.mkdir()
    with pytest.raises(OSError) as caught:  # noqa: PT011  (the message is checked below)
        z[1] = 5
    assert "/proc/" not in str(caught.value)
    assert "'a'" in str(caught.value) or "a/c/0" in str(caught.value)


# The same where trees cannot be held open


@pytest.mark.parametrize("kind", [MemoryStore, MappingStore])
@pytest.mark.parametrize("other", ["delete", "replace", "move"])
@pytest.mark.parametrize("verb", ["write", "append"])
def test_threads_take_turns_in_other_stores(
    kind: type[Store], other: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastzarr.engine import run

    store = kind({})  # type: ignore[call-arg]
    z = array(store)
    group = zarr.open_group(store, mode="r+")
    threads: list[Thread] = []
    begun = Event()

    def change() -> None:
        begun.set()
        if other == "delete":
            del group["a"]
        elif other == "move":
            group.move("a", "b")
        else:
            array(store, data=np.full(16, 0.5), overwrite=True)

    def meet() -> None:
        threads.append(in_thread(change))
        wait_for(begun)

    once = at(monkeypatch, run.planning, "make", meet)
    if verb == "write":
        z[1:] = 7
    else:
        z.append(np.arange(40, dtype="i4"))
    join(threads[0])
    assert once.action is None
    if other == "replace":
        assert group["a"][:].tolist() == [0.5] * 16
    elif other == "delete":
        assert [key for key in store.list() if key.startswith("a/")] == []
    else:
        expected = [1, *[7] * 15] if verb == "write" else [*range(1, 17), *range(40)]
        assert group["b"][:].tolist() == expected
        assert [key for key in store.list() if key.startswith("a/")] == []


def test_a_stale_handle_does_not_write_into_a_store_of_four_verbs() -> None:
    store = MappingStore({})
    z = array(store)
    array(store, data=np.full(16, 0.5), overwrite=True)
    with pytest.raises(StaleArrayError):
        z[0] = 1
    again = zarr.open_array(store, path="a")
    again[0] = 2
    assert again[:2].tolist() == [2, 0.5]
