"""The rectilinear grid: read from documents, grown, and compared; no memory for many chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastzarr.errors import MetadataError
from fastzarr.grids.parse import GRIDS, parse_grid
from fastzarr.grids.rectilinear import RectilinearGrid, Runs


def document(*sizes: Any) -> dict[str, Any]:
    """Return the member ``chunk_grid`` with these sizes along the axes."""
    return {
        "name": "rectilinear",
        "configuration": {"kind": "inline", "chunk_shapes": list(sizes)},
    }


def runs(*sizes: int) -> Runs:
    return Runs.of([(size, 1) for size in sizes])


def test_the_example_of_the_specification_is_read():
    shapes = [4, [1, 2, 3], [[4, 2]], [[1, 3], 3], [4, 4, 4]]
    grid = parse_grid(document(*shapes), (6,) * 5, "chunk_grid")
    assert grid.extents((6,) * 5) == ((4, 2), (1, 2, 3), (4, 2), (1, 1, 1, 3), (4, 2))
    assert grid.steps == (4, None, None, None, None)
    # Neighbours of one length are written as pairs, whatever was read.
    assert grid.config()["chunk_shapes"] == [4, [1, 2, 3], [[4, 2]], [[1, 3], 3], [[4, 3]]]


def test_the_grid_of_zep_3_is_read_under_its_own_names_and_written_as_registered():
    old = {"name": "rectangular", "configuration": {"chunk_shape": [[5, 5, 15], 10]}}
    grid = parse_grid(old, (25, 30), "chunk_grid")
    assert grid == parse_grid(document([[5, 2], 15], 10), (25, 30), "chunk_grid")
    assert grid.name == "rectilinear"


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([[1, 2, 2]], "chunk_shapes[0]: the chunks are 5 long together, but the axis has length 6"),
        ([[]], "chunk_shapes[0]: the chunks are 0 long together"),
        ([[6], 2], "has 2 entries for the 1 axes of the shape"),
        ([0], "chunk_shapes[0]: must be at least 1, got 0"),
        ([[6, 0]], "chunk_shapes[0][1]: must be at least 1, got 0"),
        ([[6, -1]], "chunk_shapes[0][1]"),
        ([[[6, 0]]], "chunk_shapes[0][0]: must be at least 1, got 0"),
        ([[[6]]], "chunk_shapes[0][0]: must be a length, or a length and a count, got [6]"),
        ([[[3, 2, 1]]], "chunk_shapes[0][0]: must be a length, or a length and a count"),
        ([[6.0]], "chunk_shapes[0][0]"),
        ([True], "chunk_shapes[0]"),
        ([[[6, True]]], "chunk_shapes[0][0]"),
        (["6"], "chunk_shapes[0]"),
        ([[[1, 2**63]]], "chunk_shapes[0][0]"),
        ([[[2**62, 3]]], "chunk_shapes[0][0]: the chunks are longer than 2**63 - 1 together"),
    ],
)
def test_an_invalid_grid_is_an_error_that_names_the_member(sizes, message):
    with pytest.raises(MetadataError) as caught:
        parse_grid(document(*sizes), (6,), "chunk_grid")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "configuration",
    [
        {"chunk_shapes": [6]},
        {"kind": "file", "chunk_shapes": [6]},
        {"kind": "inline"},
        {"kind": "inline", "chunk_shapes": 6},
        {"kind": "inline", "chunk_shapes": [6], "more": 1},
        {"kind": "inline", "chunk_shape": [6]},
    ],
)
def test_a_configuration_has_the_members_of_the_specification(configuration):
    with pytest.raises(MetadataError):
        parse_grid({"name": "rectilinear", "configuration": configuration}, (6,), "chunk_grid")


def test_a_grid_of_very_many_chunks_takes_no_memory():
    length = 4 * 10**18
    grid = parse_grid(document([3, [1, 10**18], [3, 10**18]]), (length,), "chunk_grid")
    assert grid.count((length,)) == (2 * 10**18,)
    assert grid.locate(0, 10**18 + 3) == 10**18 + 1
    assert grid.start(0, 10**18 + 2) == 10**18 + 6
    ends = np.array([0, 2, 3, length - 1])
    assert grid.locate(0, ends).tolist() == [0, 0, 1, 2 * 10**18 - 1]
    assert grid.variety() == ((3, 1),)


def test_an_axis_that_grows_beyond_its_chunks_gets_one_more():
    grid = RectilinearGrid((runs(2, 3), 4))
    assert grid.grown((5, 100)) is grid
    assert grid.grown((1, 1)) is grid
    assert grid.grown((9, 4)) == RectilinearGrid((runs(2, 3, 4), 4))
    assert grid.grown((8, 4)).config()["chunk_shapes"] == [[2, [3, 2]], 4]


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (runs(2, 3), runs(2, 3, 4), True),
        (runs(2, 3), runs(2, 3, 3), True),
        (runs(2, 3, 3), runs(2, 3, 3, 3, 5), True),
        (runs(2, 3), runs(2, 4), False),
        (runs(2, 3, 3), runs(2, 3, 4), False),
        (runs(), runs(2), True),
        (4, 4, True),
        (4, 5, False),
        (4, runs(4, 4), False),
    ],
)
def test_grids_agree_if_one_only_has_more_chunks(one, other, agree):
    one, other = RectilinearGrid((one,)), RectilinearGrid((other,))
    assert one.agrees(other) is agree
    assert other.agrees(one) is agree


def test_an_unknown_grid_names_the_known_ones():
    with pytest.raises(MetadataError, match=r"known are .*rectilinear, regular"):
        parse_grid({"name": "hexagonal", "configuration": {}}, (6,), "chunk_grid")


def test_a_registered_grid_is_found_by_its_name():
    class Halves(RectilinearGrid):
        name = "tests.halves"

        @classmethod
        def from_config(cls, name: str, config: dict[str, Any], where: str) -> Any:  # noqa: ARG003
            half = config["length"] // 2
            return cls((runs(half, config["length"] - half),))

        def config(self) -> dict[str, Any]:
            return {"length": self.axes[0].total}

    GRIDS.register("tests.halves", Halves)
    grid = parse_grid({"name": "tests.halves", "configuration": {"length": 5}}, (5,), "chunk_grid")
    assert grid.extents((5,)) == ((2, 3),)
