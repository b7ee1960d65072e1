"""The bands of a large mask: the parts of it that are planned one after another.

Rules of this file:

* A band consists of whole chunks, so that no chunk belongs to two bands.
* The elements of one or more rows of chunks along the mask's first axis are adjacent in the result.
  A row of chunks is divided along its other axes only if it alone has too many elements, because
  the elements of such a band are scattered in the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastzarr.selection import factors
from fastzarr.selection.factors import Mask, Points, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from fastzarr.grids.base import Grid
    from fastzarr.selection.factors import Indices

    # A range of chunk numbers for each axis of a mask.
    Box = tuple[tuple[int, int], ...]
    # Parts of a selection, each with its index in the result, which has the work shape.
    Parts = Iterator[tuple[Selection, tuple[slice | Indices, ...]]]

# A band may have as many elements as this share of a mask. A plan takes about 48 bytes for each of
# them, so it is one and a half times as large as the mask. Smaller bands would have fewer chunks
# and keep fewer threads busy.
_SHARE = 32


class Band(NamedTuple):
    """Elements of a mask as points, and their positions in the result along the mask's axis."""

    points: Points
    where: slice | Indices


def divide(selection: Selection, shape: tuple[int, ...], grid: Grid) -> Parts | None:
    """Divide a selection along its first mask; return None if it has no mask."""
    for place, factor in enumerate(selection.factors):
        if isinstance(factor, Mask):
            return _parts(selection, place, cut(factor, shape, grid))
    return None


def _parts(selection: Selection, place: int, bands: Iterator[Band]) -> Parts:
    before, after = selection.factors[:place], selection.factors[place + 1 :]
    index = (slice(None),) * place
    for band in bands:
        work = (*selection.work[:place], band.points.size, *selection.work[place + 1 :])
        part = Selection((*before, band.points, *after), work, work, selection.fields)
        yield part, (*index, band.where)


def cut(mask: Mask, shape: tuple[int, ...], grid: Grid) -> Iterator[Band]:
    """Yield the bands of a mask over some axes of an array of ``shape``."""
    cutter = _Cutter(mask, shape, grid, max(factors.MANY, mask.array.size // _SHARE))
    counts = grid.count(shape)
    done = 0
    for row, count in cutter.boxes(tuple([(0, counts[axis]) for axis in mask.axes]), (0,)):
        boxes = list(cutter.boxes(row, range(1, len(row))))
        if len(boxes) == 1:
            yield Band(cutter.points(boxes[0][0]), slice(done, done + count))
        else:
            yield from cutter.scattered(row, boxes, done)
        done += count


class _Cutter(NamedTuple):
    mask: Mask
    shape: tuple[int, ...]
    grid: Grid
    most: int

    def region(self, box: Box) -> tuple[slice, ...]:
        """Return the positions of the chunks of a box."""
        return tuple(
            slice(*[min(self.grid.start(axis, k), self.shape[axis]) for k in ends])
            for axis, ends in zip(self.mask.axes, box, strict=True)
        )

    def boxes(self, box: Box, axes: Sequence[int]) -> Iterator[tuple[Box, int]]:
        """Halve a box along axes of the mask until each part has few elements or one chunk.

        Each part comes with the number of its elements. Parts without elements are left out.
        """
        count = int(np.count_nonzero(self.mask.array[self.region(box)]))
        if not count:
            return
        for axis in axes if count > self.most else ():
            low, high = box[axis]
            if high - low > 1:
                middle = (low + high) // 2
                for half in ((low, middle), (middle, high)):
                    yield from self.boxes((*box[:axis], half, *box[axis + 1 :]), axes)
                return
        yield box, count

    def points(self, box: Box) -> Points:
        """Return the elements of a box."""
        region = self.region(box)
        return Mask(self.mask.axes, self.mask.array[region], 0).points([s.start for s in region])

    def scattered(self, row: Box, boxes: list[tuple[Box, int]], done: int) -> Iterator[Band]:
        """Yield the bands of a row of chunks, whose elements begin at ``done`` in the result."""
        whole = self.region(row)
        counts = self._counts(whole)
        # The position of each line's next element; a line is a row of the mask along its last axis.
        following = counts.cumsum().reshape(counts.shape) - counts + done
        for box, size in boxes:
            region = self.region(box)
            lines = tuple(
                slice(part.start - all_.start, part.stop - all_.start)
                for part, all_ in zip(region[:-1], whole[:-1], strict=True)
            )
            found = self._counts(region)
            flat = found.reshape(-1)
            first: Indices = np.subtract(following[lines].reshape(-1), flat.cumsum() - flat)
            # The boxes of a line come in the order of its elements.
            following[lines] += found
            where = first.repeat(flat)
            where += np.arange(size)
            yield Band(self.points(box), where)

    def _counts(self, region: tuple[slice, ...]) -> NDArray[np.int64]:
        """Return the number of elements in each line of a region."""
        counts: NDArray[np.int64] = self.mask.array[region].sum(axis=-1, dtype=np.int64)
        return counts
