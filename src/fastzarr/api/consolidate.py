"""The functions that write and open consolidated metadata."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastzarr.api.open import open_group
from fastzarr.errors import BaseZarrError, GroupNotFoundError
from fastzarr.metadata.layout import GroupLayout
from fastzarr.nodes import documents
from fastzarr.stores.resolve import as_store

if TYPE_CHECKING:
    from fastzarr.nodes.documents import Node
    from fastzarr.nodes.group import Group


def open_consolidated(
    store: Any = None,
    metadata_key: str | None = None,
    mode: str | None = None,
    *,
    use_consolidated: bool | str | None = True,
    **kwargs: Any,
) -> Group:
    """Open an existing group with its consolidated metadata; raise ValueError if it has none.

    ``metadata_key`` is the name of the copy in format 2, ``".zmetadata"`` by default. The other
    keywords are those of ``open_group``. The default mode is ``r+``, or ``r`` for a
    read-only store.

    >>> import fastzarr as zarr
    >>> root = zarr.create_group(store := zarr.stores.MemoryStore())
    >>> _ = root.create_group("a")
    >>> _ = zarr.consolidate_metadata(store)
    >>> list(zarr.open_consolidated(store))
    ['a']
    """
    if use_consolidated is False:
        msg = "open_consolidated() requires consolidated metadata; use open_group() without it"
        raise TypeError(msg)
    if mode is None:
        mode = "r" if as_store(store).read_only else "r+"
    use = metadata_key or use_consolidated or True
    return open_group(store, mode, use_consolidated=use, **kwargs)


def consolidate_metadata(
    store: Any,
    path: str | None = None,
    zarr_format: int | None = None,
    *,
    metadata_key: str | None = None,
) -> Group:
    """Copy the metadata of all nodes below a group into one document, and return the group.

    Format 3 stores the copy in the group's ``zarr.json``, format 2 under ``metadata_key``, which is
    ``".zmetadata"`` by default. The returned group reads from it. The copy is valid until a node
    below the group changes; fastzarr deletes it with the first such change. A node that cannot be
    read is left out of the copy, with a warning that names it.

    Raise ``GroupNotFoundError`` if there is no group at the path, and ``BaseZarrError`` if its
    format has no consolidated metadata.
    """
    from fastzarr.metadata import json

    if path is not None and path.startswith("."):
        # The second positional argument of zarr-python 2 is the key.
        metadata_key, path = path, None
    root = open_group(store, "r+", path=path, zarr_format=zarr_format, use_consolidated=False)
    place, format = root.store, root.layout.format
    separate = format.separate_consolidated
    if format.consolidated is None:
        msg = f"{root.name!r} in {place}: format {format.number} has no consolidated metadata"
        raise BaseZarrError(msg)
    found = _nodes(root)
    while True:
        if separate is not None:
            doc, name = format.write_consolidated(found), metadata_key or separate
            place.set(documents.join(root.path, name), json.dumps(doc, name))
        else:
            documents.update(place, root.path, partial(_with_copy, found), format=format)
        # Repeated if a node has changed since: its writer found no copy that it could have deleted.
        now = _nodes(root)
        if now == found:
            break
        found = now
    key = True if metadata_key in (None, separate) else metadata_key
    return open_group(place, "r+", path=root.path, zarr_format=zarr_format, use_consolidated=key)


def _nodes(root: Group) -> dict[str, Node]:
    """Return the nodes that consolidated metadata of a group describes, as they are now.

    A separate document describes the group itself, too, at the path ``""``.
    """
    found = dict(root.walk())
    format = root.layout.format
    if format.separate_consolidated is None:
        return found
    own = documents.load(root.store, root.path, format)
    if not isinstance(own, GroupLayout):
        msg = f"the group {root.name!r} no longer exists in {root.store}"
        raise GroupNotFoundError(msg)
    return {"": own, **found}


def _with_copy(below: dict[str, Node], latest: Node) -> Node:
    from dataclasses import replace

    return replace(latest, consolidated=below) if isinstance(latest, GroupLayout) else latest
