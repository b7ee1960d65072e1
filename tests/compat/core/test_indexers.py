"""Indexers: the chunks of a selection, and where their elements go."""

import numpy as np
import pytest

from fastzarr.compat.core.indexing import (
    BasicIndexer,
    BlockIndexer,
    CoordinateIndexer,
    MaskIndexer,
    OrthogonalIndexer,
    decode_morton,
    morton_order_coords,
    replace_ellipsis,
)


class Axis:
    """An axis in chunks of these lengths."""

    def __init__(self, *sizes):
        self.sizes, self.starts = sizes, np.concatenate([[0], np.cumsum(sizes)])
        self.nchunks = len(sizes)

    def index_to_chunk(self, position):
        return int(self.indices_to_chunks(np.asarray(position)))

    def indices_to_chunks(self, positions):
        return np.searchsorted(self.starts, positions, "right") - 1

    def chunk_offset(self, k):
        return int(self.starts[k])

    def chunk_size(self, k):
        return self.sizes[k]

    data_size = chunk_size


class Grid:
    dimensions = (Axis(4, 3, 5), Axis(2, 2, 2, 3))


SHAPE = (12, 9)


def gathered(indexer, data):
    """Put the result together from the chunks, as a reader does."""
    rows, columns = (axis.starts for axis in Grid.dimensions)
    found = np.full(indexer.shape, -1)
    for (i, j), inside, out, _ in indexer:
        chunk = data[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
        part = chunk[inside]
        if indexer.drop_axes:
            part = part.squeeze(indexer.drop_axes)
        found[out] = part
    return found


@pytest.mark.parametrize(
    "index",
    [
        (),
        (slice(3, 11, 4), 5),
        (slice(2, 9), slice(None, None, 3)),
        (-1, slice(1, 1)),
        (..., 8),
        (slice(5, 2), ...),
    ],
)
def test_basic_selections_are_put_together_as_numpy_indexes(index):
    data = np.arange(108).reshape(SHAPE)
    np.testing.assert_array_equal(gathered(BasicIndexer(index, SHAPE, Grid), data), data[index])


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (([7, 0, 7, 11], slice(1, 8, 2)), np.ix_([7, 0, 7, 11], [1, 3, 5, 7])),
        (([9, 5, 1], [8, 0]), np.ix_([9, 5, 1], [8, 0])),
        ((np.arange(12) % 5 == 0, [2, 3]), np.ix_([0, 5, 10], [2, 3])),
        ((4, [6, 1, -1]), (4, [6, 1, 8])),
    ],
)
def test_orthogonal_selections_are_put_together_as_numpy_indexes(index, expected):
    data = np.arange(108).reshape(SHAPE)
    found = gathered(OrthogonalIndexer(index, SHAPE, Grid), data)
    np.testing.assert_array_equal(found, data[expected])


def test_coordinates_masks_and_blocks_are_put_together_as_numpy_indexes():
    data = np.arange(108).reshape(SHAPE)
    points = ([11, 0, 4, 3, -1], [0, 8, 2, 2, 3])
    found = gathered(CoordinateIndexer(points, SHAPE, Grid), data)
    np.testing.assert_array_equal(found, data[points])
    mask = data % 7 == 3
    np.testing.assert_array_equal(gathered(MaskIndexer(mask, SHAPE, Grid), data), data[mask])
    found = gathered(BlockIndexer((slice(1, 3), -1), SHAPE, Grid), data)
    np.testing.assert_array_equal(found, data[4:12, 6:9])


def test_a_chunk_is_complete_where_all_of_it_is_selected():
    found = {
        p.chunk_coords: p.is_complete_chunk for p in BasicIndexer((slice(4, 8), 0), SHAPE, Grid)
    }
    assert found == {(1, 0): False, (2, 0): False}
    rows = BasicIndexer((slice(4, 8),), SHAPE, Grid)
    assert [p.is_complete_chunk for p in rows] == [True] * 4 + [False] * 4


def test_the_morton_order_visits_each_cell_once_by_its_code():
    shape = (3, 5, 2)
    found = morton_order_coords(shape)
    assert sorted(found) == sorted(np.ndindex(shape))
    codes = [decode_morton(code, shape) for code in range(4 * 8 * 2)]
    assert [coords for coords in codes if all(np.less(coords, shape))] == list(found)


def test_an_ellipsis_stands_for_the_axes_that_are_not_named():
    everything = slice(None)
    assert replace_ellipsis((1, ..., 2), (4, 4, 4)) == (1, everything, 2)
    with pytest.raises(IndexError, match="single ellipsis"):
        replace_ellipsis((..., ...), (4, 4))
    with pytest.raises(IndexError, match="too many indices"):
        replace_ellipsis((1, 2, 3), (4, 4))
