"""The functions of zarr-python's top level, as plain calls."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from fastzarr.compat.api import filling, verbs
from fastzarr.compat.api._calls import blocking
from fastzarr.compat.errors import ZarrDeprecationWarning
from fastzarr.errors import caller_level

if TYPE_CHECKING:
    from fastzarr.compat.core._tree import TreeRepr
    from fastzarr.compat.core.group import Group

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

consolidate_metadata = blocking(verbs.consolidate_metadata, __name__)
create = blocking(verbs.create, __name__)
create_array = blocking(verbs.create_array, __name__)
create_group = blocking(verbs.create_group, __name__)
create_hierarchy = blocking(verbs.create_hierarchy, __name__)
from_array = blocking(verbs.from_array, __name__)
group = blocking(verbs.group, __name__)
open = blocking(verbs.open, __name__)
open_array = blocking(verbs.open_array, __name__)
open_consolidated = blocking(verbs.open_consolidated, __name__)
open_group = blocking(verbs.open_group, __name__)
open_like = blocking(verbs.open_like, __name__)
array = blocking(filling.array, __name__)
empty = blocking(filling.empty, __name__)
empty_like = blocking(filling.empty_like, __name__)
full = blocking(filling.full, __name__)
full_like = blocking(filling.full_like, __name__)
load = blocking(filling.load, __name__)
ones = blocking(filling.ones, __name__)
ones_like = blocking(filling.ones_like, __name__)
save = blocking(filling.save, __name__)
save_array = blocking(filling.save_array, __name__)
save_group = blocking(filling.save_group, __name__)
zeros = blocking(filling.zeros, __name__)
zeros_like = blocking(filling.zeros_like, __name__)
copy = blocking(filling.copy, __name__)
copy_all = blocking(filling.copy_all, __name__)
copy_store = blocking(filling.copy_store, __name__)


def tree(grp: Group, expand: bool | None = None, level: int | None = None) -> TreeRepr:
    """Return a drawing of a hierarchy (deprecated); use ``Group.tree``.

    >>> import fastzarr.compat as zarr
    >>> root = zarr.create_group({})
    >>> root.tree()
    /
    <BLANKLINE>
    """
    warnings.warn("Use Group.tree instead.", ZarrDeprecationWarning, stacklevel=caller_level())
    return grp.tree(expand=expand, level=level)
