"""Indices have the meaning that they have in NumPy, and the same errors."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from fastzarr import errors
from fastzarr.grids.regular import RegularGrid
from fastzarr.selection import index as selection
from fastzarr.selection.factors import Points, Selection, Span

SHAPE = (2, 3, 4, 5)
VALUES = np.arange(120).reshape(SHAPE)


def evaluate(found: Selection, array: Any) -> Any:
    """Return the elements of a selection, selected in NumPy by coordinates only."""
    index: list[Any] = [None] * array.ndim
    for place, factor in enumerate(found.factors):
        form = [1] * len(found.factors)
        form[place] = -1
        if isinstance(factor, Span):
            stop = factor.start + factor.size * factor.step
            index[factor.axis] = np.arange(factor.start, stop, factor.step).reshape(form)
        else:
            for axis, coords in zip(factor.axes, factor.coords, strict=True):
                index[axis] = coords.reshape(form)
    result = array[tuple(index)]
    assert result.shape == found.work
    return result.reshape(found.shape)


ITEMS: list[Any] = [
    0,
    -1,
    np.int64(1),
    np.array(1),
    7,
    -6,
    slice(None),
    slice(None, None, -2),
    slice(3, 0, -1),
    slice(1, 0),
    None,
    Ellipsis,
    [0, 1],
    [],
    [0, 9],
    np.array([[0, 1], [1, 0]]),
    np.array([True, False]),
    np.array([True, False, True]),
    np.array([1], np.uint64),
    np.zeros((2, 3), bool),
    1.0,
    [0.5],
    b"x",
]


def _is_orthogonal(index: tuple[Any, ...]) -> bool:
    """Whether an index is the documented exception: one 1-d array, slices, and an integer."""
    arrays = [i for i in index if isinstance(i, list) or getattr(i, "ndim", 0)]
    integers = any(isinstance(i, (int, np.integer)) for i in index) or any(
        isinstance(i, np.ndarray) and not i.ndim for i in index
    )
    one = len(arrays) == 1 and np.ndim(arrays[0]) == 1
    return one and integers and not any(i is None for i in index)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_an_index_has_the_meaning_that_it_has_in_numpy(count: int) -> None:
    for index in itertools.product(ITEMS, repeat=count):
        try:
            expected = VALUES[index]
        except (IndexError, ValueError, TypeError) as error:
            with pytest.raises(type(error)):
                selection.normalise(index, SHAPE)
            continue
        found = evaluate(selection.normalise(index, SHAPE), VALUES)
        if _is_orthogonal(index):
            assert found.size == expected.size
        else:
            assert found.shape == expected.shape, index
            np.testing.assert_array_equal(found, expected, err_msg=repr(index))


@given(st.data())
def test_any_basic_index_selects_what_numpy_selects(data: Any) -> None:
    shape = data.draw(strategies.shapes())
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    index = data.draw(strategies.basic(shape))
    for normalise in (selection.normalise, selection.basic):
        np.testing.assert_array_equal(evaluate(normalise(index, shape), array), array[index])


@given(st.data())
def test_any_coordinates_select_what_numpy_selects(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    index = data.draw(strategies.coordinates(shape))
    expected = array[index]
    np.testing.assert_array_equal(evaluate(selection.coordinate(index, shape), array), expected)


@given(st.data())
def test_any_orthogonal_index_selects_the_product_of_its_parts(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    index = data.draw(strategies.orthogonal(shape))
    mesh, result_shape = strategies.orthogonal_numpy(array, index)
    found = evaluate(selection.orthogonal(index, shape), array)
    np.testing.assert_array_equal(found, array[mesh].reshape(result_shape))


def test_one_array_among_integers_keeps_its_place_as_in_both_zarr_pythons() -> None:
    found = evaluate(selection.normalise((0, slice(None), [1, 2]), (2, 3, 4)), VALUES[..., 0])
    assert found.shape == (3, 2)
    np.testing.assert_array_equal(found, VALUES[0, :, :, 0][:, [1, 2]])


def test_integers_and_slices_become_spans() -> None:
    found = selection.normalise((1, slice(None, None, -2)), (3, 5))
    assert found == Selection((Span(0, 1, 1, 1), Span(1, 4, -2, 3)), (1, 3), (3,), None)


def test_coordinates_are_not_negative_and_the_given_array_is_not_changed() -> None:
    given_ = np.array([-1, 0])
    (points,) = selection.coordinate(given_, (4,)).factors
    assert isinstance(points, Points)
    assert points.coords[0].tolist() == [3, 0]
    assert given_.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (3, "index 3 is out of bounds for axis 0 with size 3"),
        ((0, -6), "index -6 is out of bounds for axis 1 with size 5"),
        (([0, 7],), "index 7 is out of bounds for axis 0 with size 3"),
        ((np.array([2**63], np.uint64),), "index 9223372036854775808 is out of bounds for axis 0"),
        ((0, 0, 0), "too many indices for array: array is 2-dimensional, but 3 were indexed"),
        ((..., 0, ...), "an index can only have a single ellipsis"),
        ((slice(None), [True]), "boolean index did not match indexed array along axis 1; size"),
        (1.5, "only integers, slices"),
        (True, "only integers, slices"),
        (([0.5],), "arrays used as indices must be of integer"),
        (([0, 1], [0, 1, 2]), r"could not be broadcast together with shapes \(2,\) \(3,\)"),
    ],
)
def test_a_wrong_index_is_an_index_error_that_names_it(index: Any, message: str) -> None:
    with pytest.raises(IndexError, match=message) as caught:
        selection.normalise(index, (3, 5))
    assert isinstance(caught.value, errors.BaseZarrError)


@pytest.mark.parametrize(
    ("index", "kind"), [(slice(None, None, 0), ValueError), (slice(0.5, None), TypeError)]
)
def test_a_wrong_slice_is_pythons_own_error(index: slice, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="slice"):
        selection.normalise(index, (3,))


def test_basic_refuses_arrays_and_points_to_where_they_go() -> None:
    with pytest.raises(IndexError, match=r"\.oindex or \.vindex"):
        selection.basic([0, 1], (3,))


def test_orthogonal_refuses_arrays_of_two_dimensions() -> None:
    with pytest.raises(IndexError, match=r"must be one-dimensional, but the one for axis 1"):
        selection.orthogonal((0, [[1]]), (3, 5))


@pytest.mark.parametrize("mask", [[True, False], [[True]], [1, 0, 1], "mask"])
def test_a_mask_has_the_arrays_own_shape(mask: Any) -> None:
    with pytest.raises(
        IndexError, match=r"a mask must be a boolean array of the array's shape \(3,\)"
    ):
        selection.mask(mask, (3,))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, np.s_[0:3]),
        (-1, np.s_[9:10]),
        (slice(1, 3), np.s_[3:9]),
        (slice(None), np.s_[0:10]),
        (..., np.s_[0:10]),
    ],
)
def test_blocks_count_in_chunks(index: Any, expected: slice) -> None:
    array = np.arange(10)
    found = evaluate(selection.block(index, (10,), RegularGrid((3,))), array)
    np.testing.assert_array_equal(found, array[expected])


@pytest.mark.parametrize("index", [4, -5, slice(None, None, 2), [0], None, 1.0])
def test_a_wrong_block_is_an_index_error(index: Any) -> None:
    with pytest.raises(IndexError):
        selection.block(index, (10,), RegularGrid((3,)))


@pytest.mark.parametrize(
    ("index", "fields"),
    [("a", "a"), (("a", 0), "a"), (["a", "b"], ["a", "b"]), ((0, "a", "b"), ["a", "b"])],
)
def test_names_of_fields_are_parted_from_the_rest(index: Any, fields: Any) -> None:
    assert selection.normalise(index, (3,)).fields == fields
