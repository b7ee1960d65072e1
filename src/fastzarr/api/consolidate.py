"""The functions that write and open consolidated metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastzarr.api.open import open_group
from fastzarr.errors import BaseZarrError
from fastzarr.nodes.consolidating import write_copy
from fastzarr.stores.resolve import as_store

if TYPE_CHECKING:
    from fastzarr import hints
    from fastzarr.nodes.group import Group
    from fastzarr.stores.resolve import StoreLike
    from fastzarr.types.options import ConsolidatedOptions


def open_consolidated(
    store: StoreLike = None,
    metadata_key: str | None = None,
    mode: hints.Mode | None = None,
    *,
    use_consolidated: bool | str | None = True,
    **kwargs: Unpack[ConsolidatedOptions],
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
    store: StoreLike,
    path: str | None = None,
    zarr_format: hints.ZarrFormat | None = None,
    *,
    metadata_key: str | None = None,
) -> Group:
    """Copy the metadata of all nodes below a group into one document, and return the group.

    Format 3 stores the copy in the group's ``zarr.json``, format 2 under ``metadata_key``, which is
    ``".zmetadata"`` by default. The returned group reads from it. The copy is valid until a node
    below the group changes; fastzarr deletes it with the first such change. After a change of
    attributes it is written again, if it is small and in a folder or in memory. A node that cannot
    be read is left out of the copy, with a warning that names it.

    Raise ``GroupNotFoundError`` if there is no group at the path, and ``BaseZarrError`` if its
    format has no consolidated metadata.

    >>> import fastzarr as zarr
    >>> root = zarr.create_group({})
    >>> _ = root.create_group("a")
    >>> zarr.consolidate_metadata(root.store).metadata.consolidated_metadata is None
    False
    """
    if path is not None and path.startswith("."):
        # The second positional argument of zarr-python 2 is the key.
        metadata_key, path = path, None
    root = open_group(store, "r+", path=path, zarr_format=zarr_format, use_consolidated=False)
    place, format = root.store, root.layout.format
    separate = format.separate_consolidated
    if format.consolidated is None or not place.supports_consolidated_metadata:
        who = f"format {format.number}" if format.consolidated is None else "this store"
        msg = f"{root.name!r} in {place}: {who} has no consolidated metadata"
        raise BaseZarrError(msg)
    write_copy(place, root.path, format, metadata_key)
    # Another writer may have ended the copy already: then the group reads the documents.
    key = None if metadata_key in (None, separate) else metadata_key
    return open_group(place, "r+", path=root.path, zarr_format=zarr_format, use_consolidated=key)
