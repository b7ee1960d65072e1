"""The part of stored arrays that a dataset is written to.

Rules of this file:

* A region is a slice for each of some dimensions, found by the coordinates with ``"auto"``.
* Everything is checked before anything is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from xarray import Dataset, Variable

    Region = dict[Hashable, slice]


def resolve(
    dataset: Dataset,
    region: Mapping[Any, slice | str] | str,
    mode: str,
    stored: Callable[[Hashable], Variable],
) -> Region:
    """Return a region as slices, and check it against a dataset.

    ``stored`` returns the coordinate of a dimension as it is stored.
    """
    if region == "auto":
        region = dict.fromkeys(dataset.dims, "auto")
    if not hasattr(region, "items"):
        msg = f"region must be a dict of slices, or 'auto', got {region!r}"
        raise TypeError(msg)
    slices: Region = {}
    for dim, given in region.items():
        if dim not in dataset.dims:
            msg = (
                f"all keys in region must be dimensions of the dataset, {list(dataset.dims)}, "
                f"got {list(region)}"
            )
            raise ValueError(msg)
        part = given
        if isinstance(given, str) and given == "auto":
            if mode not in ("r+", "a"):
                msg = f"region 'auto' requires mode='r+' or mode='a', got {mode!r}"
                raise ValueError(msg)
            part = _found(dataset, dim, stored)
        if not isinstance(part, slice):
            msg = f"all values in region must be slice objects, got {part!r} for {dim!r}"
            raise TypeError(msg)
        if part.step not in (1, None):
            msg = f"step on all slices in region must be 1 or None, got {part!r} for {dim!r}"
            raise ValueError(msg)
        slices[dim] = part
    outside = [name for name, var in dataset.variables.items() if not {*slices} & {*var.dims}]
    if slices and outside:
        msg = (
            f"the variables {outside!r} have none of the dimensions {list(slices)} of the region, "
            "so they would be written as a whole by each writer; leave them out with "
            f".drop_vars({outside!r})"
        )
        raise ValueError(msg)
    return slices


def _found(dataset: Dataset, dim: Hashable, stored: Callable[[Hashable], Variable]) -> slice:
    """Return where the coordinate of a dimension is in the stored one."""
    if dim not in dataset.variables:
        return slice(0, dataset.sizes[dim])
    where = pd.Index(stored(dim).values).get_indexer(pd.Index(dataset[dim].values))
    if (where == -1).any():
        msg = f"not all values of the coordinate {dim!r} are stored, so they have no region"
        raise KeyError(msg)
    if (np.diff(where) != 1).any():
        msg = (
            f"the values of the coordinate {dim!r} are stored at {where.tolist()[:8]}..., which "
            "are not contiguous: a region is one slice"
        )
        raise ValueError(msg)
    return slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 0)
