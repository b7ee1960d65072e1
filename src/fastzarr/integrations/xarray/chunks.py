"""The chunks of new arrays, and the blocks in which they are written.

Rules of this file:

* Which blocks may share a stored object, ``integrations/blocks.py`` says. Here it becomes an error
  that names the variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.integrations.blocks import aligned, end_inside, shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from xarray import Variable

    Sizes = tuple[int, ...]


def of_variable(variable: Variable, given: Any, name: Hashable) -> Any:
    """Return the chunks of a new array: those given, or those of dask, or ``"auto"``.

    Sizes for another number of dimensions, as an encoding has after a dimension was dropped, are
    ignored. Raise ValueError if the blocks of dask are no regular chunks, and none are given.
    """
    if isinstance(given, int | np.integer):
        given = (int(given),) * variable.ndim
    if given is not None and not isinstance(given, str):
        sizes = tuple(given)
        for size in sizes:
            _check_size(size, given, name)
        if len(sizes) == variable.ndim:
            return sizes
    if not variable.chunks:
        return "auto"
    for dim, sizes in zip(variable.dims, variable.chunks, strict=True):
        if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
            msg = (
                f"variable {name!r}: the dask chunks along {dim!r} are {shown(sizes)}, but a Zarr "
                "array has uniform chunk sizes, of which the final chunk may be smaller; rechunk "
                f"it with .chunk(), or pass encoding={{{name!r}: {{'chunks': ...}}}}"
            )
            raise ValueError(msg)
    return tuple(max(1, sizes[0]) for sizes in variable.chunks)


def _check_size(size: Any, given: Any, name: Hashable) -> None:
    irregular = isinstance(size, tuple | list) and all(isinstance(each, int) for each in size)
    if isinstance(size, bool) or not (isinstance(size, int | np.integer) or irregular):
        msg = (
            f"variable {name!r}: encoding['chunks'] must be an int or a tuple of ints, "
            f"got {given!r}"
        )
        raise TypeError(msg)


def sizes_of(words: Mapping[str, Any], shape: Sizes) -> tuple[Sizes, ...] | None:
    """Return the sizes of the stored objects of a new array; None if they are not known yet."""
    sizes: Any = words.get("shards") or words["chunks"]
    if not isinstance(sizes, tuple | list) or 0 in sizes:
        return None  # chosen, or refused, when the array is created
    return tuple(
        (int(size),) * -(-length // size) if isinstance(size, int | np.integer) else tuple(size)
        for size, length in zip(sizes, shape, strict=True)
    )


def check_alone(
    variable: Variable,
    grid: Sequence[Sizes],
    start: Sequence[int],
    name: Hashable,
    *,
    inside: bool,
) -> None:
    """Raise ValueError if two blocks of a variable share a stored object, of sizes ``grid``.

    With ``inside``, others may write what is beside the region, whose ends must not share an object
    with them.
    """
    for axis, (blocks, first) in enumerate(zip(variable.chunks or (), start, strict=True)):
        wrong = end_inside(blocks, grid[axis], first, ends=inside)
        if wrong is None:
            continue
        msg = (
            f"chunks of the variable named {name!r} would overlap multiple Dask chunks: those "
            f"along {variable.dims[axis]!r} are {shown(blocks)}, and one ends at element {wrong}, "
            f"inside a chunk or shard (sizes {shown(grid[axis])}). This store does not keep the "
            "changes of two processes to one stored object, so data could be lost. Rechunk the "
            "variable with .chunk(), pass align_chunks=True, or pass safe_chunks=False if only "
            "one task at a time writes"
        )
        raise ValueError(msg)


def align(variable: Variable, grid: Sequence[Sizes], start: Sequence[int]) -> Variable:
    """Return a variable rechunked so that no two blocks share a stored object, of sizes ``grid``.

    No block becomes larger than the largest, or than one object.
    """
    blocks = {
        dim: aligned(sizes, grid[axis], start[axis])
        for axis, (dim, sizes) in enumerate(zip(variable.dims, variable.chunks or (), strict=True))
    }
    return variable.chunk(blocks)
