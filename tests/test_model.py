"""An array in a store behaves like a NumPy array in memory, with all kinds of arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr.stores import LocalStore, MemoryStore

pytestmark = pytest.mark.usefixtures("data_path")


def values(data: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """Draw values with many repetitions, often including the fill value."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    numbers = rng.integers(0, data.draw(st.sampled_from([1, 2, 100])), shape)
    if dtype.kind in "SU":
        return np.asarray(numbers).astype("U").astype(dtype)
    return np.asarray(numbers).astype(dtype)


def make(case: strategies.Case, store: Any = None) -> tuple[fastzarr.Array, Any]:
    """Create the array of a case, and the equal NumPy array."""
    options = dict(case.options)
    fill = {"S": b"", "U": ""}.get(np.dtype(options["dtype"]).kind, 0)
    z = fastzarr.create(case.shape, store=store or MemoryStore(), fill_value=fill, **options)
    return z, np.full(case.shape, z.fill_value, dtype=options["dtype"])


def same(found: Any, expected: Any) -> None:
    """Compare shape, type and elements."""
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=300)
@given(case=strategies.cases(), data=st.data())
def test_get_and_set_agree_with_numpy(case: strategies.Case, data: Any) -> None:
    z, a = make(case)
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["basic", "oindex", "vindex", "mask", "blocks"]))
        if kind == "basic" or not case.shape:
            index = data.draw(strategies.basic(case.shape))
            target, numpy_index, form = z, index, a[index].shape
        elif kind == "oindex":
            index = data.draw(strategies.orthogonal(case.shape))
            numpy_index, form = strategies.orthogonal_numpy(a, index)
            target = z.oindex
        elif kind == "vindex":
            index = data.draw(strategies.coordinates(case.shape))
            target, numpy_index, form = z.vindex, index, a[index].shape
        elif kind == "mask":
            flags = data.draw(st.integers(0, 2**16))
            index = np.random.default_rng(flags).random(case.shape) < 0.3
            target, numpy_index, form = z, index, a[index].shape
        else:
            unit = z.shards or z.chunks
            counts = [-(-n // c) if n else 0 for n, c in zip(case.shape, unit, strict=True)]
            if 0 in counts:
                continue
            index = tuple(data.draw(st.integers(0, count - 1)) for count in counts)
            numpy_index = tuple(slice(k * c, (k + 1) * c) for k, c in zip(index, unit, strict=True))
            target, form = z.blocks, a[numpy_index].shape
        same(target[index], a[numpy_index].reshape(form))
        value = values(data, a.dtype, data.draw(st.sampled_from([form, ()])))
        if kind in ("oindex", "vindex") and value.shape:
            # NumPy does not define which of several values for an element is stored; here the last.
            value = np.broadcast_to(value.ravel()[0] if value.size else value, form)
        target[index] = value
        a[numpy_index] = value if not value.shape else value.reshape(a[numpy_index].shape)
        same(z[...], a)
    again = fastzarr.open_array(z.store)
    same(again[...], a)


@settings(max_examples=100)
@given(case=strategies.cases(dtypes=["int16", "float32"]), data=st.data())
def test_resize_and_append_agree_with_numpy(case: strategies.Case, data: Any) -> None:
    z, a = make(case)
    if not case.shape:
        return
    z[...] = a[...] = values(data, a.dtype, case.shape)
    for _ in range(3):
        if data.draw(st.booleans()):
            shape = data.draw(st.tuples(*[st.integers(0, 12) for _ in case.shape]))
            z.resize(shape)
            grown = np.full(shape, z.fill_value, dtype=a.dtype)
            common = tuple(slice(0, min(n, m)) for n, m in zip(shape, a.shape, strict=True))
            grown[common] = a[common]
            a = grown
        else:
            axis = data.draw(st.integers(0, a.ndim - 1))
            count = data.draw(st.integers(0, 5))
            more = values(data, a.dtype, (*a.shape[:axis], count, *a.shape[axis + 1 :]))
            assert z.append(more, axis) == np.append(a, more, axis).shape
            a = np.append(a, more, axis)
        same(z[...], a)
        same(fastzarr.open_array(z.store)[...], a)


@given(case=strategies.cases())
def test_an_array_on_disk_is_the_same_as_in_memory(
    case: strategies.Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    memory, a = make(case)
    disk, _ = make(case, LocalStore(tmp_path_factory.mktemp("array")))
    if a.size:
        a[...] = (
            np.arange(a.size).reshape(a.shape).astype("U").astype(a.dtype)
            if a.dtype.kind in "SU"
            else 1
        )
    memory[...] = a
    disk[...] = a
    keys = sorted(memory.store.list())
    assert keys == sorted(disk.store.list())
    assert [memory.store.get(key) for key in keys] == [disk.store.get(key) for key in keys]
    same(disk[...], a)


@given(case=strategies.cases())
def test_an_array_that_holds_only_fill_value_stores_no_chunk(case: strategies.Case) -> None:
    z, a = make(case)
    z[...] = a
    assert z.nchunks_initialized == 0
    z = z.with_config({"write_empty_chunks": True})
    z[...] = a
    assert z.nchunks_initialized >= (1 if a.size else 0)
    same(z[...], a)
