"""Every awaitable verb: when a cancelled await has ended, it changes nothing any more."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import wait_for

import fastzarr as zarr
from fastzarr.stores import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    Call = Callable[[zarr.Array, zarr.Group], Coroutine[Any, Any, Any]]

MASK = np.arange(8) % 2 == 0
ARRAY: dict[str, Call] = {
    "getitem": lambda z, _: z.getitem_async(...),
    "setitem": lambda z, _: z.setitem_async(..., 7),
    "get_basic_selection": lambda z, _: z.get_basic_selection_async(...),
    "set_basic_selection": lambda z, _: z.set_basic_selection_async(..., 7),
    "get_orthogonal_selection": lambda z, _: z.get_orthogonal_selection_async([0, 5]),
    "set_orthogonal_selection": lambda z, _: z.set_orthogonal_selection_async([0, 5], 7),
    "get_coordinate_selection": lambda z, _: z.get_coordinate_selection_async([0, 5]),
    "set_coordinate_selection": lambda z, _: z.set_coordinate_selection_async([0, 5], 7),
    "get_mask_selection": lambda z, _: z.get_mask_selection_async(MASK),
    "set_mask_selection": lambda z, _: z.set_mask_selection_async(MASK, 7),
    "get_block_selection": lambda z, _: z.get_block_selection_async(slice(0, 3)),
    "set_block_selection": lambda z, _: z.set_block_selection_async(slice(0, 3), 7),
    "resize": lambda z, _: z.resize_async(3),
    "append": lambda z, _: z.append_async([1, 2, 3]),
    "update_attributes": lambda z, _: z.update_attributes_async({"x": 1}),
    "refresh": lambda z, _: z.refresh_async(),
    "info_complete": lambda z, _: z.info_complete_async(),
}
GROUP: dict[str, Call] = {
    "update_attributes": lambda _, g: g.update_attributes_async({"x": 1}),
    "getitem": lambda _, g: g.getitem_async("a"),
    "setitem": lambda _, g: g.setitem_async("n", np.arange(1, 9)),
    "delitem": lambda _, g: g.delitem_async("a"),
    "contains": lambda _, g: g.contains_async("a"),
    "get": lambda _, g: g.get_async("a"),
    "get_array": lambda _, g: g.get_array_async("a"),
    "get_group": lambda _, g: g.get_group_async("a"),
    "move": lambda _, g: g.move_async("a", "n/m"),
    "info_complete": lambda _, g: g.info_complete_async(),
    "keys": lambda _, g: g.keys_async(),
    "members": lambda _, g: g.members_async(None),
    "nmembers": lambda _, g: g.nmembers_async(None),
    "arrays": lambda _, g: g.arrays_async(),
    "groups": lambda _, g: g.groups_async(),
    "create_group": lambda _, g: g.create_group_async("n/m"),
    "require_group": lambda _, g: g.require_group_async("n/m"),
    "create_array": lambda _, g: g.create_array_async("n", data=np.arange(1, 9), chunks=1),
    "require_array": lambda _, g: g.require_array_async("n", shape=3, dtype="i4"),
}


def saved() -> zarr.Group:
    root = zarr.group()
    root["n"] = np.arange(1, 9)
    return root


PACKAGE: dict[str, Call] = {
    "open": lambda _, g: zarr.open_async(g.store, "a", path="n", shape=3, dtype="i4"),
    "open_array": lambda _, g: zarr.open_array_async(g.store, "w", path="a", shape=3),
    "open_group": lambda _, g: zarr.open_group_async(g.store, "w", path="n"),
    "open_consolidated": lambda _, g: zarr.open_consolidated_async(g.store),
    "create_array": lambda _, g: zarr.create_array_async(g.store, name="n", shape=3, dtype="i4"),
    "create_group": lambda _, g: zarr.create_group_async(g.store, path="n"),
    "create": lambda _, g: zarr.create_async(3, store=g.store, path="n", dtype="i4"),
    "from_array": lambda z, g: zarr.from_array_async(g.store, data=z, name="n"),
    "group": lambda _, g: zarr.group_async(g.store, path="n"),
    "load": lambda _, g: zarr.load_async(g.store, "a"),
    "save": lambda _, g: zarr.save_async(g.store, np.arange(1, 9), path="n"),
    "save_array": lambda _, g: zarr.save_array_async(g.store, np.arange(1, 9), path="n"),
    "save_group": lambda _, g: zarr.save_group_async(g.store, x=np.arange(1, 9), path="n"),
    "copy": lambda z, g: zarr.copy_async(z, g, name="n"),
    "copy_all": lambda _, g: zarr.copy_all_async(saved(), g),
    "copy_store": lambda _, g: zarr.copy_store_async({"n/a": b"1", "n/b": b"2"}, g.store),
    "consolidate_metadata": lambda _, g: zarr.consolidate_metadata_async(g.store),
}
CALLS = {
    f"{owner}.{name}": call
    for owner, calls in (("Array", ARRAY), ("Group", GROUP), ("fastzarr", PACKAGE))
    for name, call in calls.items()
}


class Gated(Store):
    """A store of four methods, which stay in a request while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, bytes] = {}
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.lock = threading.Lock()
        #: The changes that have begun, and how many of them have not ended.
        self.begun = self.changing = 0

    def _wait(self) -> None:
        if not self.gate.is_set():
            self.entered.set()
            wait_for(self.gate)

    def _change(self, change: Callable[[], object]) -> None:
        with self.lock:
            self.begun += 1
            self.changing += 1
        try:
            self._wait()
            change()
        finally:
            with self.lock:
                self.changing -= 1

    def _get(self, key: str) -> bytes | None:
        self._wait()
        return self.stored.get(key)

    def _set(self, key: str, value: bytes | memoryview) -> None:
        self._change(lambda: self.stored.__setitem__(key, bytes(value)))

    def _delete(self, key: str) -> None:
        self._change(lambda: self.stored.pop(key, None))

    def _list(self, prefix: str) -> Iterable[str]:
        self._wait()
        return [key for key in tuple(self.stored) if not prefix or key.startswith(f"{prefix}/")]


class Single(Gated):
    """A store that gets one request at a time."""

    concurrency = 1


def test_all_awaitable_verbs_are_tried() -> None:
    for owner, calls in ((zarr.Array, ARRAY), (zarr.Group, GROUP), (zarr, PACKAGE)):
        names = {name for name in dir(owner) if name.endswith("_async") and name[0] != "_"}
        assert names == {f"{name}_async" for name in calls}


@pytest.mark.parametrize("kind", [Gated, Single])
@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_changed_after_a_cancelled_await(name: str, kind: type[Gated]) -> None:
    store = kind()
    root = zarr.create_group(store)
    array = root.create_array("a", data=np.arange(1, 9, dtype="i4"), chunks=1)
    if "consolidated" in name:
        zarr.consolidate_metadata(store)

    async def main() -> tuple[int, int]:
        store.gate.clear()
        task = asyncio.create_task(CALLS[name](array, root))
        await asyncio.to_thread(wait_for, store.entered)
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        # A change that is under way is waited for.
        assert not (task.done() and store.changing)
        store.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return store.begun, store.changing

    begun, changing = asyncio.run(main())
    assert not changing
    zarr.cleanup_resources()
    assert store.begun == begun
    # What is left can be read.
    left = zarr.open_group(store)
    for _, found in left.arrays():
        assert found[...].shape == found.shape
