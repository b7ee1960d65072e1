"""A chunk grid from the ``chunk_grid`` member of a document, by its name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fastzarr.checked import extension, fail, guard, member, show
from fastzarr.grids.rectilinear import RectilinearGrid
from fastzarr.registry import Registry

if TYPE_CHECKING:
    from fastzarr.grids.base import Grid

_WHAT = "chunk grid"

GRIDS: Registry[type[Grid]] = Registry(
    "grids", {"rectilinear": RectilinearGrid, "rectangular": RectilinearGrid}
)
"""The chunk grids of format 3 by name, apart from ``regular``, which every format has."""


def parse_grid(json: object, shape: tuple[int, ...], where: str) -> Grid:
    """Return a chunk grid that is not regular, for an array of ``shape``.

    Raise ``MetadataError``, naming the member at fault, if it is unknown or invalid.

    >>> one = {"kind": "inline", "chunk_shapes": [[[10, 2], 5]]}
    >>> parse_grid({"name": "rectilinear", "configuration": one}, (25,), "chunk_grid").count((25,))
    (3,)
    """
    name, config = extension(json, where)
    found = guard(partial(GRIDS.find, name), where, _WHAT)
    if found is None:
        known = ", ".join(sorted(["regular", *GRIDS.names()]))
        fail(f"unknown {_WHAT} {show(name)}; known are {known}", where)
    at = member(where, "configuration")
    grid = guard(partial(found.from_config, name, config, at), where, _WHAT)
    guard(partial(grid.check, shape, at), where, _WHAT)
    return grid
