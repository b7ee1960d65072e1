"""What groups of the facade do, in plain calls of the engine.

Rules of this file:

* A function takes the group of fastzarr, and returns nodes of fastzarr.
* Errors have the types and the texts that programs for zarr-python 3.4 look for.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.api.consolidate import consolidate_metadata
from fastzarr.api.open import open_group as open_inner
from fastzarr.compat.core.common import parse_shapelike
from fastzarr.compat.core.dtype import parse_dtype
from fastzarr.compat.core.unpickling import may_unpickle
from fastzarr.compat.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    ZarrUserWarning,
)
from fastzarr.errors import BaseZarrError, caller_level
from fastzarr.metadata import json
from fastzarr.metadata.formats import parse_format
from fastzarr.nodes import documents
from fastzarr.nodes.array import Array
from fastzarr.nodes.group import Group
from fastzarr.nodes.snapshot import Snapshot, changing
from fastzarr.stores.keys import normalise_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.metadata.layout import GroupLayout, Layout
    from fastzarr.stores.base import Store

    Node = Array | Group


def made(store: Store, path: str, layout: GroupLayout, *, read_only: bool = False) -> Group:
    """Return the group of a layout; it reads from the consolidated metadata in it."""
    format, below = layout.format, layout.consolidated
    snapshot = None
    if below is not None and format.separate_consolidated is not None:
        name = format.separate_consolidated
        nodes = {"": replace(layout, consolidated=None), **below}
        snapshot = Snapshot(store, path, nodes, name, documents.join(path, name))
    elif below is not None and format.consolidated is not None:
        snapshot = Snapshot(store, path, below, format.consolidated)
    words: dict[str, Any] = {"layout": layout, "snapshot": snapshot}
    return Group(store, path, read_only, allow_pickle=may_unpickle, **words)


def open_group(
    store: Store, path: str, zarr_format: Any, use_consolidated: bool | str | None, shown: Any
) -> Group:
    """Open a group; ``shown`` is the store that errors name."""
    if use_consolidated and not store.supports_consolidated_metadata:
        name = type(shown).__name__
        msg = f"The Zarr store in use ({name}) doesn't support consolidated metadata."
        raise ValueError(msg)
    mode: Any = "r" if store.read_only else "r+"
    words: dict[str, Any] = {"zarr_format": zarr_format, "use_consolidated": use_consolidated}
    words["allow_pickle"] = may_unpickle
    try:
        found = open_inner(store, mode, path=path, **words)
    except BaseZarrError as error:
        if use_consolidated and type(error) is BaseZarrError:
            msg = f"Consolidated metadata requested, but not found: {error}"
            raise BaseZarrError(msg) from error
        raise
    # Other stores would need a request for it.
    if zarr_format is None and found.zarr_format == 3 and store.concurrency == 1:
        name = parse_format(2).names("group")[-1]
        if store.exists(documents.join(path, name)):
            msg = (
                f"Both zarr.json (Zarr format 3) and {name} (Zarr format 2) metadata objects exist "
                f"at {shown!r}, path {path!r}. Zarr format 3 will be used."
            )
            warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())
    return found


def _place(group: Group, name: str, shown: Any) -> str:
    path = documents.join(group.path, normalise_path(name))
    return f"in store {shown!r} at path {path!r}"


def find_array(group: Group, name: str, shown: Any) -> Array:
    """Return the array at a path below a group; ``shown`` is the store that errors name."""
    found = group.get(name)
    if found is None:
        msg = f"No array found {_place(group, name, shown)}"
        raise ArrayNotFoundError(msg)
    if isinstance(found, Array):
        return found
    msg = f"A group exists {_place(group, name, shown)}."
    raise ContainsGroupError(msg)


def find_group(group: Group, name: str, shown: Any) -> Group:
    """Return the group at a path below a group; ``shown`` is the store that errors name."""
    found = group.get(name)
    if found is None:
        msg = f"No group found {_place(group, name, shown)}"
        raise GroupNotFoundError(msg)
    if isinstance(found, Group):
        return found
    msg = f"An array exists {_place(group, name, shown)}."
    raise ContainsArrayError(msg)


def delete(group: Group, name: str) -> Group:
    """Delete the node of a name, if there is one, and return the group as it is then.

    Consolidated metadata that the group reads from is written again without the node.
    """
    snapshot = group.snapshot
    if name in group:
        del group[name]
    else:
        # What is no node, such as a folder of another program, is deleted, too.
        group.store.delete_dir(documents.join(group.path, normalise_path(name)))
    if snapshot is None or snapshot.path != group.path:
        return group
    key = snapshot.key
    own = None if key is None else key.removeprefix(f"{group.path}/" if group.path else "")
    number = group.layout.zarr_format
    return consolidate_metadata(group.store, group.path, number, metadata_key=own)


def members(
    group: Group, max_depth: int | None = 0, *, use_consolidated_for_children: bool = True
) -> list[tuple[str, Node]]:
    """Return the paths and nodes below a group, ``max_depth`` groups deep.

    Names in the store that are no nodes cause a warning.
    """
    _check_depth(max_depth)
    source = group
    if not use_consolidated_for_children and group.snapshot is not None:
        source = Group(group.store, group.path, group.read_only, layout=group.layout)
    return list(source.walk_nodes(max_depth, _warn_of_unknown))


def _check_depth(depth: int | None) -> None:
    if depth is not None and depth < 0:
        msg = f"max_depth must be None or >= 0. Got '{depth}' instead"
        raise ValueError(msg)


def _warn_of_unknown(path: str) -> None:
    msg = f"Object at {path} is not recognized as a component of a Zarr hierarchy."
    warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())


def count(group: Group, max_depth: int | None = 0) -> int:
    """Return the number of nodes below a group, ``max_depth`` groups deep."""
    _check_depth(max_depth)
    return group.nmembers(max_depth)


def names(group: Group, kind: type[GroupLayout | Layout]) -> list[str]:
    """Return the names of the arrays or of the groups."""
    return [name for name, found in group.walk(0) if isinstance(found, kind)]


def require_group(group: Group, name: str, *, overwrite: bool = False) -> Group:
    """Return the group of a name, and create it if it is missing."""
    try:
        return group.require_group(name, overwrite)
    except ContainsArrayError as error:
        msg = f"Incompatible object (AsyncArray) already exists: {error}"
        raise TypeError(msg) from error


def check_array(found: Node, *, shape: Any, dtype: Any, exact: bool) -> Array:
    """Return an existing node if it is an array of a shape and of a data type."""
    if not isinstance(found, Array):
        msg = f"Incompatible object (AsyncGroup) already exists at {found.name!r}"
        raise TypeError(msg)
    wanted = parse_shapelike(shape)
    if found.shape != wanted:
        msg = f"Incompatible shape ({found.shape} vs {wanted}) of the array {found.name!r}"
        raise TypeError(msg)
    number: Any = found.layout.format.number
    native = parse_dtype(
        "float64" if dtype is None else dtype, zarr_format=number
    ).to_native_dtype()
    fits = found.dtype == native if exact else np.can_cast(found.dtype, native)
    if not fits:
        msg = f"Incompatible dtype ({found.dtype} vs {native}) of the array {found.name!r}"
        raise TypeError(msg)
    return found


def consolidate(group: Group, below: Mapping[str, Layout | GroupLayout] | None = None) -> Group:
    """Write the consolidated metadata of a group, and return the group that reads from it.

    ``below`` has the nodes below the group by path, if they have been looked up already.
    """
    store, path, number = group.store, group.path, group.zarr_format
    if below is None:
        found = consolidate_metadata(store, path, number)
        more: dict[str, Any] = {"layout": found.layout, "snapshot": found.snapshot}
        return Group(store, path, found.read_only, allow_pickle=may_unpickle, **more)
    layout, name = group.layout, group.layout.format.separate_consolidated
    if name is None:
        save_layout(group, replace(layout, consolidated=below))
    else:
        document = layout.format.write_consolidated({"": layout, **below})
        store.set(documents.join(path, name), json.dumps(document, name))
    words: dict[str, Any] = {"use_consolidated": True, "allow_pickle": may_unpickle}
    return open_inner(store, "r+", path=path, zarr_format=number, **words)


def save_layout(group: Group, layout: GroupLayout) -> None:
    """Write the document of a group."""
    with changing(group.store, group.path, layout.format):
        documents.save(group.store, group.path, layout)
