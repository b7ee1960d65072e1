"""The blocks in which other libraries write an array, and the stored objects that they share.

Rules of this file:

* Sizes along an axis are those of dask: a tuple of all. Boundaries are counted from the start of
  the array, not of the region that is written.
* A stored object (a chunk, or a shard) that two blocks share is changed by two tasks. Where turns
  or compare-and-swap keep the changes of both, this is allowed; elsewhere it is not.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastzarr.stores.base import Store

    Sizes = tuple[int, ...]


def is_shared_safely(store: Store) -> bool:
    """Whether a stored object may be changed by two processes at once, and keeps both changes.

    >>> from fastzarr.stores import MemoryStore
    >>> is_shared_safely(MemoryStore())
    True
    """
    return store.excludes or store.swap is not None


def end_inside(blocks: Sizes, grid: Sizes, first: int, *, ends: bool = False) -> int | None:
    """Return where a block that begins at ``first``, or later, ends inside a stored object.

    None is returned if there is no such place. The outer ends of the blocks count with ``ends``.

    >>> end_inside((2, 3, 1), (2, 2, 2), 0), end_inside((2, 4), (2, 2, 2), 0)
    (5, None)
    >>> end_inside((2, 3), (2, 2, 2), 0), end_inside((2, 3), (2, 2, 2), 0, ends=True)
    (None, 5)
    """
    places = list(accumulate(blocks, initial=first))
    edges = {0, *accumulate(grid)}
    return next(
        (place for place in places[not ends : len(places) - (not ends)] if place not in edges), None
    )


def aligned(blocks: Sizes, grid: Sizes, first: int) -> Sizes:
    """Return blocks that end where stored objects do, except at the ends of the region.

    The end of a block moves to the next such place. No block becomes larger than the largest, or
    than one object.

    >>> aligned((5, 3), (2, 2, 2, 2), 0)
    (4, 2, 2)
    >>> aligned((1, 1, 1, 1), (3, 3), 1)
    (2, 2)
    """
    last = first + sum(blocks)
    most = max(*blocks, *grid, 1)
    ends = set(accumulate(blocks, initial=first))
    edges = [edge for edge in accumulate(grid) if first < edge < last]
    found = [first]
    for edge, following in pairwise([*edges, last]):
        block_ends = any(found[-1] < end <= edge for end in ends)
        if block_ends or following - found[-1] > most:
            found.append(edge)
    return tuple(end - begin for begin, end in pairwise([*found, last]))


def shown(sizes: Sizes) -> str:
    """Return sizes for a message, cut short."""
    return str(tuple(sizes)) if len(sizes) <= 8 else f"({', '.join(map(str, sizes[:6]))}, ...)"
