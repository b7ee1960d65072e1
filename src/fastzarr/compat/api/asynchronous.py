"""The functions of zarr-python's top level, awaited."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from fastzarr.compat.api import filling, verbs
from fastzarr.compat.api._calls import awaiting
from fastzarr.compat.core.creating import like_args, shape_and_chunks
from fastzarr.compat.core.group import create_hierarchy
from fastzarr.compat.errors import ZarrDeprecationWarning
from fastzarr.errors import caller_level

if TYPE_CHECKING:
    from fastzarr.compat.core._tree import TreeRepr
    from fastzarr.compat.core.async_group import AsyncGroup

__all__ = [
    "array",
    "consolidate_metadata",
    "copy",
    "copy_all",
    "copy_store",
    "create",
    "create_array",
    "create_group",
    "create_hierarchy",
    "empty",
    "empty_like",
    "from_array",
    "full",
    "full_like",
    "group",
    "load",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_like",
    "save",
    "save_array",
    "save_group",
    "tree",
    "zeros",
    "zeros_like",
]

# The names by which other modules know them.
_get_shape_chunks, _like_args = shape_and_chunks, like_args

consolidate_metadata = awaiting(verbs.consolidate_metadata, __name__)
create = awaiting(verbs.create, __name__)
create_array = awaiting(verbs.create_array, __name__)
create_group = awaiting(verbs.create_group, __name__)

from_array = awaiting(verbs.from_array, __name__)
group = awaiting(verbs.group, __name__)
open = awaiting(verbs.open, __name__)
open_array = awaiting(verbs.open_array, __name__)
open_consolidated = awaiting(verbs.open_consolidated, __name__)
open_group = awaiting(verbs.open_group, __name__)
open_like = awaiting(verbs.open_like, __name__)
array = awaiting(filling.array, __name__)
empty = awaiting(filling.empty, __name__)
empty_like = awaiting(filling.empty_like, __name__)
full = awaiting(filling.full, __name__)
full_like = awaiting(filling.full_like, __name__)
load = awaiting(filling.load, __name__)
ones = awaiting(filling.ones, __name__)
ones_like = awaiting(filling.ones_like, __name__)
save = awaiting(filling.save, __name__)
save_array = awaiting(filling.save_array, __name__)
save_group = awaiting(filling.save_group, __name__)
zeros = awaiting(filling.zeros, __name__)
zeros_like = awaiting(filling.zeros_like, __name__)
copy = awaiting(filling.copy, __name__)
copy_all = awaiting(filling.copy_all, __name__)
copy_store = awaiting(filling.copy_store, __name__)


async def tree(grp: AsyncGroup, expand: bool | None = None, level: int | None = None) -> TreeRepr:
    """Return a drawing of a hierarchy (deprecated); use ``AsyncGroup.tree``."""
    warnings.warn("Use AsyncGroup.tree instead.", ZarrDeprecationWarning, stacklevel=caller_level())
    return await grp.tree(expand=expand, level=level)
