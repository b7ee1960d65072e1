"""Large masks are read and written in bands of chunks, with the results of NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr.engine import run
from fastzarr.errors import StaleArrayError
from fastzarr.nodes.access import Access
from fastzarr.selection import bands, factors
from fastzarr.selection import index as kinds
from fastzarr.selection.factors import Mask, Points
from fastzarr.stores import LocalStore, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("data_path")


@pytest.fixture(autouse=True, scope="module")
def _tiny_bands() -> Iterator[None]:
    """Take masks of more than two elements for large ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factors, "MANY", 2)
        patch.setattr(run, "MANY", 2)
        patch.setattr(bands, "_SHARE", 1 << 20)
        yield


def masks(data: Any, shape: tuple[int, ...]) -> Any:
    share = data.draw(st.sampled_from([0.1, 0.6, 1.0]))
    return np.random.default_rng(data.draw(st.integers(0, 2**16))).random(shape) < share


@settings(max_examples=300)
@given(case=strategies.cases(), data=st.data())
def test_masks_agree_with_numpy(case: strategies.Case, data: Any) -> None:
    shape = case.shape
    z = fastzarr.create(shape, store=MemoryStore(), **case.options)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    a = rng.integers(0, 99, shape).astype("U2" if z.dtype.kind == "U" else "i8").astype(z.dtype)
    z[...] = a
    # A mask of some adjacent axes; the others are selected by slices.
    first = data.draw(st.integers(0, len(shape)))
    last = data.draw(st.integers(first, len(shape)))
    if first == last:
        first, last = 0, len(shape)
    mask = masks(data, shape[first:last])
    index: Any = (*[slice(None, None, -1)] * first, mask, ...) if shape else np.asarray(mask)
    expected = a[index]
    found = z[index]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)
    out = np.zeros(expected.shape, z.dtype, order=data.draw(st.sampled_from("CF")))
    assert z.get_coordinate_selection(index, out=out) is out
    np.testing.assert_array_equal(out, expected)
    strided = np.zeros((*expected.shape, 2), z.dtype)[..., 1]
    z.get_coordinate_selection(index, out=strided)
    np.testing.assert_array_equal(strided, expected)
    value = expected.ravel()[::-1].reshape(expected.shape)
    if data.draw(st.booleans()):
        value = a.ravel()[:1].reshape(()) if a.size else np.zeros((), z.dtype)
    z.vindex[index] = value
    a[index] = value
    np.testing.assert_array_equal(z[...], a)


@given(case=strategies.cases(dtypes=["int32"]), data=st.data())
def test_orthogonal_masks_agree_with_numpy(case: strategies.Case, data: Any) -> None:
    z = fastzarr.create(case.shape, store=MemoryStore(), **case.options)
    a = np.arange(z.size, dtype="i4").reshape(case.shape)
    z[...] = a
    index = tuple(masks(data, (size,)) for size in case.shape)
    mesh = np.ix_(*index) if index else ()
    np.testing.assert_array_equal(z.oindex[index], a[mesh])
    z.oindex[index] = a[mesh] + 7
    a[mesh] += 7
    np.testing.assert_array_equal(z[...], a)


def test_two_masks_of_one_index_are_broadcast() -> None:
    a = np.arange(36).reshape(6, 6)
    z = fastzarr.array(a, chunks=(2, 2))
    mask = np.arange(6) % 2 == 0
    assert z.vindex[mask, mask].tolist() == a[mask, mask].tolist()
    assert z.vindex[mask, 1].tolist() == a[mask, 1].tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_fields_of_a_mask(order: Any) -> None:
    dtype = np.dtype([("a", "i4"), ("b", "f8"), ("c", "i2")])
    a = np.zeros((7, 9), dtype)
    a["a"], a["b"] = np.arange(63).reshape(7, 9), 0.5
    z = fastzarr.array(a, chunks=(2, 3), order=order, zarr_format=2)
    mask = a["a"] % 3 != 1
    assert z.get_mask_selection(mask, fields="a").tolist() == a["a"][mask].tolist()
    assert z.get_mask_selection(mask, fields=["c", "b"]).tolist() == a[["c", "b"]][mask].tolist()
    z.set_mask_selection(mask, np.arange(mask.sum()), fields="c")
    a["c"][mask] = np.arange(mask.sum())
    assert z[...].tolist() == a.tolist()


@given(shape=strategies.shapes(min_dims=1), data=st.data())
def test_bands_have_few_elements_and_no_chunk_twice(shape: tuple[int, ...], data: Any) -> None:
    grid = data.draw(strategies.grids(shape))
    mask = masks(data, shape)
    found = kinds.mask(mask, shape)
    if mask.sum() <= 2:
        assert isinstance(found.factors[0], Points)
        return
    assert isinstance(found.factors[0], Mask)
    array = np.arange(mask.size).reshape(shape)
    result = np.full(found.work, -1)
    seen: set[tuple[int, ...]] = set()
    for band in bands.cut(found.factors[0], shape, grid):
        points = band.points
        ids = [grid.locate(axis, along) for axis, along in enumerate(points.coords)]
        chunks = set(zip(*[k.tolist() for k in ids], strict=True))
        assert points.size
        assert points.size <= 2 or len(chunks) == 1
        assert not chunks & seen
        seen |= chunks
        assert (result[band.where] == -1).all()
        result[band.where] = array[points.coords]
    assert result.tolist() == array[mask].tolist()


def test_a_mask_that_is_changed_after_the_indexing_selects_what_it_did() -> None:
    mask = np.ones((4, 4), bool)
    found = kinds.mask(mask, (4, 4))
    mask[:] = False
    assert isinstance(found.factors[0], Mask)
    assert found.factors[0].points().size == found.work[0] == 16


def test_a_mask_is_written_inside_one_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    z = fastzarr.create_array(tmp_path, shape=(8, 8), chunks=(1, 8), dtype="i4")
    holds: list[Access] = []
    hold = Access.hold

    def counting(access: Access) -> Access:
        holds.append(access)
        return hold(access)

    monkeypatch.setattr(Access, "hold", counting)
    z[np.ones((8, 8), bool)] = 3
    assert len(holds) == 1
    assert (z[...] == 3).all()


class Failing(MemoryStore):
    """A store that cannot write one chunk."""

    def _set(self, key: str, value: Any) -> None:
        if key == "c/3/0":
            msg = "no space"
            raise OSError(msg)
        super()._set(key, value)


def test_the_bands_before_one_that_fails_are_stored() -> None:
    z = fastzarr.create_array(Failing(), shape=(6, 8), chunks=(1, 8), dtype="i4", fill_value=0)
    with pytest.raises(fastzarr.errors.ChunkError, match=r"\(3, 0\).*c/3/0"):
        z[np.ones((6, 8), bool)] = 5
    assert z[...].tolist() == [[5] * 8] * 3 + [[0] * 8] * 3
    with pytest.raises(ValueError, match="broadcast"):
        z[np.ones((6, 8), bool)] = np.zeros(47)
    assert z[0].tolist() == [5] * 8


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mask_beyond_a_shape_that_became_smaller_is_an_error(axis: int, tmp_path: Path) -> None:
    z = fastzarr.create_array(tmp_path, data=np.ones((6, 6), "i4"), chunks=(2, 2))
    mask = np.ones((6, 6), bool)
    inside = np.moveaxis(np.arange(36).reshape(6, 6) < 12, 0, axis)
    fastzarr.open_array(tmp_path).resize((2, 6) if axis == 0 else (6, 2))
    with pytest.raises(StaleArrayError, match="now has shape"):
        z[mask]
    assert z[inside].tolist() == [1] * 12


def test_a_transaction_writes_a_mask_as_a_whole(tmp_path: Path) -> None:
    root = fastzarr.open_group(LocalStore(tmp_path), mode="w")
    root.create_array("a", data=np.zeros((6, 6), "i4"), chunks=(2, 2))
    mask = np.arange(36).reshape(6, 6) % 2 == 0
    z = root["a"]

    def write() -> None:
        with root.transaction():
            z[mask] = np.arange(18)
            assert z[mask].tolist() == list(range(18))
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert not z[...].any()
    with root.transaction():
        z[mask] = np.arange(18)
    assert z[mask].tolist() == list(range(18))
