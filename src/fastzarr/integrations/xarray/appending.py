"""Appending to the arrays of a dataset: all of them grow by the same elements, or none does.

Rules of this file:

* The first array by name leads. Its document is held from before the first element is stored until
  all other arrays are published, so that of several writers, in whatever processes, each appends to
  all arrays before the next one begins.
* All elements, those of blocks in other processes too, are stored before a shape is published: a
  writer that fails or is killed leaves no elements that nobody has written.
* A writer that is killed between two publications leaves arrays of different lengths. They are not
  appended to, because their elements would not belong together any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastzarr.errors import StaleArrayError
from fastzarr.integrations.blocks import is_shared_safely

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from xarray import Variable

    from fastzarr.nodes.array import Array

    Region = tuple[slice, ...]


class More(NamedTuple):
    """The elements that are appended to an array along an axis.

    The variable has blocks that were cut for an array as long as ``start``. ``part`` says which
    elements along the other axes are written.
    """

    variable: Variable
    array: Array
    axis: int
    start: int
    part: Region

    @property
    def length(self) -> int:
        """The number of elements along the axis."""
        return self.variable.shape[self.axis]

    def region(self, longer: Array) -> Region:
        """Return the part of the longer array that is new."""
        found = list(self.part)
        found[self.axis] = slice(longer.shape[self.axis] - self.length, longer.shape[self.axis])
        return tuple(found)

    def longer(self) -> Array:
        """Return a handle of the array as it will be."""
        shape = list(self.array.refresh().shape)
        shape[self.axis] += self.length
        return self.array.unpublished(tuple(shape))

    def publish(self, longer: Array) -> None:
        """Publish the shape; raise StaleArrayError if it is not longer by these elements."""

        def check(found: Array) -> None:
            if found.shape != longer.shape:
                msg = (
                    f"another writer has changed the shape of {self.array.name!r} in "
                    f"{self.array.store}: it would become {found.shape}, not {longer.shape}, by "
                    "the elements that were stored; append again"
                )
                raise StaleArrayError(msg)

        self.array.append_with(self.length, check, self.axis)


def append(
    given: Iterable[More],
    dim: Hashable,
    store: Callable[[list[Any], list[Array], list[Region]], object],
) -> None:
    """Append along a dimension; ``store`` stores blocks in regions of arrays."""
    first, *others = sorted(given, key=lambda more: more.array.path)

    def write(longer: Array) -> None:
        parts = [(first, longer), *((more, more.longer()) for more in others)]
        _check_lengths(parts, dim)
        # A store that commits chunks and documents together takes no chunks beyond a shape.
        early = first.array.store.document_first
        for more, target in parts[1:] if early else ():
            more.publish(target)
        blocks: list[tuple[Any, Array, Region]] = []
        for more, target in parts:
            if more.variable.chunks and more.variable.size:
                blocks.append((more.variable.data, target, more.region(target)))
            else:
                target[more.region(target)] = more.variable.to_numpy()
        if blocks:
            sources, targets, regions = zip(*blocks, strict=True)
            store(list(sources), list(targets), list(regions))
        for more, target in () if early else parts[1:]:
            more.publish(target)

    first.array.append_with(first.length, write, first.axis)


def _check_lengths(parts: list[tuple[More, Array]], dim: Hashable) -> None:
    lengths = {more.array.name: more.region(longer)[more.axis].start for more, longer in parts}
    if len(set(lengths.values())) > 1:
        msg = (
            f"the arrays to append to have different lengths along {dim!r}, {lengths}, so that the "
            "new elements would not belong together: another append was interrupted, or had fewer "
            f"variables. Make the longer ones {min(lengths.values())} long with their resize(), "
            "and append again"
        )
        raise ValueError(msg)
    for more, longer in parts:
        start = more.region(longer)[more.axis].start
        if start != more.start and more.variable.chunks and not is_shared_safely(more.array.store):
            msg = (
                f"another writer has appended to {more.array.name!r} meanwhile, so that blocks may "
                f"end inside a chunk, and {more.array.store} does not keep the changes of two "
                "processes to one chunk; append again"
            )
            raise StaleArrayError(msg)
