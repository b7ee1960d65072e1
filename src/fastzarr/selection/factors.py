"""A selection as a product of factors.

Rules of this file:

* A ``Span`` is a slice of one axis; ``Points`` are elements of one or several axes, selected
  jointly. Each axis of the array belongs to exactly one factor.
* A ``Mask`` is the boolean array of more than ``MANY`` points, in C order. Its coordinates would
  take 8 to 64 times its memory, so they are computed in bands (``bands.py``).
* The *work shape* is the shape of the result with one axis for each factor, before axes are
  dropped, added or reshaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

# Make a named tuple from its fields: `new(Span, (axis, start, step, size))`. It skips the
# Python-level `__new__` of a NamedTuple, which takes 0.3 us: together 1.4 us of the 12 to 20 us of
# a small read. It is used only for tuples that every read makes.
new = tuple.__new__


@final
class Span(NamedTuple):
    """``size`` elements of one axis from ``start`` on, with a positive or negative ``step``."""

    axis: int
    start: int
    step: int
    size: int


@final
class Points(NamedTuple):
    """Elements of one or several axes selected jointly.

    ``coords`` has one one-dimensional array of ``size`` coordinates for each axis.
    """

    axes: tuple[int, ...]
    coords: tuple[Indices, ...]
    size: int


# A mask of more elements is kept as a mask.
MANY = 1 << 20


@final
class Mask(NamedTuple):
    """The ``size`` elements of adjacent axes where a boolean array is True."""

    axes: tuple[int, ...]
    array: NDArray[np.bool_]
    size: int

    def points(self, origin: Sequence[int] | None = None) -> Points:
        """Return the elements as points, in C order.

        ``origin`` is the position of the mask in the array, by default its first element.
        """
        coords: list[NDArray[Any]] = []
        for place, found in enumerate(self.array.nonzero()):
            along = found.astype(np.int64, copy=False)
            if origin is not None:
                along += origin[place]
            coords.append(along)
        return Points(self.axes, tuple(coords), coords[0].size)


class Selection(NamedTuple):
    """The factors of a selection in the order of the result's axes.

    ``work`` is the work shape, ``shape`` that of the result. ``fields`` is a field name or a list
    of names, or None for whole elements.
    """

    factors: tuple[Span | Points | Mask, ...]
    work: tuple[int, ...]
    shape: tuple[int, ...]
    fields: str | list[str] | None
