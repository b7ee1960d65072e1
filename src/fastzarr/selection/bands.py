"""The bands of a large mask: the parts of it that are planned one after another.

Rules of this file:

* A band consists of whole chunks, so that no chunk belongs to two bands.
* The elements of one or more rows of chunks along the mask's first axis are adjacent in the result.
  A row of chunks is divided along its other axes only if it alone has too many elements, because
  the elements of such a band are scattered in the result.
* A chunk that alone has too many elements is selected as a whole, with its part of the mask, if
  that takes less memory than their coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastzarr.selection import factors
from fastzarr.selection.factors import Mask, Points, Selection, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from fastzarr.grids.base import Grid
    from fastzarr.selection.factors import Indices

    # A range of chunk numbers for each axis of a mask.
    Box = tuple[tuple[int, int], ...]
    Parts = Iterator["Part"]

# A band may have as many elements as this share of a mask. A plan takes about 48 bytes for each of
# them, so it is one and a half times as large as the mask. Smaller bands would have fewer chunks
# and keep fewer threads busy.
_SHARE = 32
# A chunk is selected as a whole if at least one of so many of its elements is.
_DENSE = 4


class Band(NamedTuple):
    """Elements of a mask as points, and their positions in the result along the mask's axis.

    A band of one chunk may have ``spans`` of the mask's axes, and the ``mask`` in them.
    """

    points: Points | None
    where: slice | Indices
    spans: tuple[Span, ...] = ()
    mask: NDArray[np.bool_] | None = None


class Part(NamedTuple):
    """A part of a selection, and its place in the result, an index into the work shape.

    If there is a mask, it selects from the axes of the part from ``len(place) - 1`` on.
    """

    selection: Selection
    place: tuple[slice | Indices, ...]
    mask: NDArray[np.bool_] | None


def divide(selection: Selection, shape: tuple[int, ...], grid: Grid) -> Parts | None:
    """Divide a selection along its first mask; return None if it has no mask.

    The elements of a chunk that alone has too many are all selected, with a mask that selects from
    them; a further mask would make too many of them.
    """
    places = [i for i, factor in enumerate(selection.factors) if isinstance(factor, Mask)]
    if not places:
        return None
    mask: Any = selection.factors[places[0]]
    return _parts(selection, places[0], cut(mask, shape, grid, whole=len(places) == 1))


def _parts(selection: Selection, place: int, bands: Iterator[Band]) -> Parts:
    before, after = selection.factors[:place], selection.factors[place + 1 :]
    index = (slice(None),) * place
    for band in bands:
        middle = band.spans if band.points is None else (band.points,)
        sizes = [factor.size for factor in middle]
        work = (*selection.work[:place], *sizes, *selection.work[place + 1 :])
        part = Selection((*before, *middle, *after), work, work, selection.fields)
        yield Part(part, (*index, band.where), band.mask)


def cut(mask: Mask, shape: tuple[int, ...], grid: Grid, *, whole: bool = False) -> Iterator[Band]:
    """Yield the bands of a mask over some axes of an array of ``shape``."""
    most = max(factors.MANY, mask.array.size // _SHARE)
    cutter = _Cutter(mask, shape, grid, most, whole)
    counts = grid.count(shape)
    done = 0
    for row, count in cutter.boxes(tuple([(0, counts[axis]) for axis in mask.axes]), (0,)):
        boxes = list(cutter.boxes(row, range(1, len(row))))
        if len(boxes) == 1:
            yield cutter.band(*boxes[0], slice(done, done + count))
        else:
            yield from cutter.scattered(row, boxes, done)
        done += count


class _Cutter(NamedTuple):
    mask: Mask
    shape: tuple[int, ...]
    grid: Grid
    most: int
    whole: bool

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

    def band(self, box: Box, size: int, where: slice | Indices) -> Band:
        """Return the band of a box with ``size`` elements."""
        axes, region = self.mask.axes, self.region(box)
        mask = self.mask.array[region]
        if self.whole and size > self.most and size * _DENSE >= mask.size:
            ends = [(part.start, part.stop) for part in region]
            spans = [
                Span(axis, low, 1, high - low) for axis, (low, high) in zip(axes, ends, strict=True)
            ]
            return Band(None, where, tuple(spans), mask)
        return Band(Mask(axes, mask, 0).points([part.start for part in region]), where)

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
            yield self.band(box, size, where)

    def _counts(self, region: tuple[slice, ...]) -> NDArray[np.int64]:
        """Return the number of elements in each line of a region."""
        counts: NDArray[np.int64] = self.mask.array[region].sum(axis=-1, dtype=np.int64)
        return counts
