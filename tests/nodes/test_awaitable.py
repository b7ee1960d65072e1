"""The awaitable forms of the methods and functions: each does what the plain one does."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.storage import MemoryStore


@given(st.data())
def test_selections_are_those_of_the_plain_verbs(data: Any) -> None:
    shape = data.draw(strategies.shapes())
    mask = st.lists(st.booleans(), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))
    indices = {
        "basic": strategies.basic(shape),
        "orthogonal": strategies.orthogonal(shape),
        "coordinate": strategies.coordinates(shape),
        "mask": mask.map(lambda flags: np.array(flags, bool).reshape(shape)),
        "block": st.just(...),
    }
    kind = data.draw(st.sampled_from(sorted(indices)))
    index = data.draw(indices[kind])
    values = np.arange(np.prod(shape), dtype="i4").reshape(shape)
    options = {"data": values, "chunks": data.draw(strategies.chunks(shape))}
    plain, awaited = (zarr.create_array({}, **options) for _ in range(2))

    def run(array: zarr.Array, suffix: str, *args: Any) -> list[Any]:
        """Read, write, and read again; return the results or the errors."""
        found: list[Any] = []
        for verb in (f"get_{kind}_selection", f"set_{kind}_selection", "__getitem__"):
            name = {"__getitem__": "getitem_async"}.get(verb, verb + suffix) if suffix else verb
            given = {"g": (index,), "s": (index, *args), "_": (...,)}[verb[0]]
            try:
                value = getattr(array, name)(*given)
                found.append(asyncio.run(value) if inspect.isawaitable(value) else value)
            except (IndexError, ValueError, TypeError) as error:
                found.append((type(error), str(error)))
        return found

    expected, found = run(plain, "", -7), run(awaited, "_async", -7)
    for one, other in zip(expected, found, strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)


def test_fields_and_out_are_those_of_the_plain_verbs() -> None:
    z = zarr.create_array({}, shape=4, chunks=2, dtype=[("a", "i4"), ("b", "f4")])

    async def main() -> None:
        await z.set_basic_selection_async(slice(2), [1, 2], fields="a")
        await z.set_mask_selection_async([False, True, True, False], [3, 4], fields="b")
        out = np.zeros(4, "i4")
        assert await z.get_basic_selection_async(..., out=out, fields="a") is out
        assert out.tolist() == [1, 2, 0, 0]
        found = await z.get_coordinate_selection_async([2, 1], fields="b")
        assert found.tolist() == [4, 3]

    asyncio.run(main())


def test_groups_are_read_and_changed() -> None:
    async def main() -> zarr.Group:
        root = await zarr.open_group_async(store := MemoryStore(), "w", attributes={"a": 1})
        assert await root.update_attributes_async({"b": 2}) is root
        one, two = await asyncio.gather(
            root.create_array_async("x", shape=(4,), chunks=(2,), dtype="i4"),
            root.create_group_async("g/h", attributes={"c": 3}),
        )
        await asyncio.gather(one.setitem_async(0, 1), one.setitem_async(3, 2))
        assert await one.append_async([5, 6]) == (6,)
        await one.resize_async(5)
        assert await one.update_attributes_async({"d": 4}) is one
        assert two == await root.getitem_async("g/h") == await root.require_group_async("g/h")
        assert one == await root.require_array_async("x", shape=5, dtype="i4")
        with pytest.raises(KeyError):
            await root.getitem_async("missing")
        assert await root.get_async("missing", 7) == 7
        assert await root.contains_async("x")
        assert await root.keys_async() == ["g", "x"]
        assert await root.nmembers_async(None) == 3
        assert await root.members_async(None) == root.members(None)
        assert await root.arrays_async() == list(root.arrays())
        assert await root.groups_async() == list(root.groups())
        await root.setitem_async("y", [1])
        await root.delitem_async("g")
        consolidated = await zarr.consolidate_metadata_async(store)
        assert await zarr.open_consolidated_async(store) == consolidated
        assert await zarr.open_async(store, "r", path="x") == one
        return await zarr.create_group_async(store, overwrite=True, path="other")

    other = asyncio.run(main())
    root = zarr.open_group(other.store)
    assert list(root) == ["other", "x", "y"]
    found = root.get_array("x")
    assert found[:].tolist() == [1, 0, 0, 2, 5]
    assert (dict(root.attrs), dict(found.attrs)) == ({"a": 1, "b": 2}, {"d": 4})


@pytest.mark.parametrize("name", [name for name in zarr.__all__ if name.endswith("_async")])
def test_functions_have_the_parameters_of_the_plain_ones(name: str) -> None:
    awaited, plain = getattr(zarr, name), getattr(zarr, name.removesuffix("_async"))
    assert inspect.iscoroutinefunction(awaited)
    assert (awaited.__name__, awaited.__qualname__) == (name, name)
    assert inspect.signature(awaited) == inspect.signature(plain)


@pytest.mark.parametrize("cls", [zarr.Array, zarr.Group])
def test_methods_have_the_parameters_of_the_plain_ones(cls: type) -> None:
    special = {"getitem_async", "setitem_async", "delitem_async", "contains_async", "resize_async"}
    names = {name for name in dir(cls) if name.endswith("_async")}
    assert names
    for name in names - special:
        awaited, plain = getattr(cls, name), getattr(cls, name.removesuffix("_async"))
        assert inspect.iscoroutinefunction(awaited)
        assert [*inspect.signature(awaited).parameters] == [*inspect.signature(plain).parameters]


def test_a_running_loop_of_a_notebook_awaits() -> None:
    """A cell with ``await`` is a coroutine on a loop that runs; plain verbs work in it, too."""
    z = zarr.array([1, 2, 3], chunks=1)

    async def cell() -> list[int]:
        return [*(await z.getitem_async(slice(2))), *z[2:]]

    loop = asyncio.new_event_loop()
    assert [loop.run_until_complete(cell()) for _ in range(2)] == [[1, 2, 3]] * 2
    loop.close()
