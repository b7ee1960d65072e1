"""Groups that are folders without a document, in a format that has such groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastzarr.metadata import json, parsed
from fastzarr.metadata.layout import Layout
from fastzarr.stores.keys import METADATA_NAMES, parents

if TYPE_CHECKING:
    from fastzarr.metadata.format import Format
    from fastzarr.metadata.layout import GroupLayout
    from fastzarr.stores import Store


def implied_at(store: Store, path: str, format: Format) -> GroupLayout | None:
    """Return the group that a folder without a document is, or None if there is no such folder.

    The folders below an array are those of its chunks, and documents may be of other formats.
    """
    if not store.supports_listing or not is_bare_folder(store, path):
        return None
    *_, name = format.names("group")
    for above in reversed(parents(path)) if path else ():
        key = f"{above}/{name}" if above else name
        data = store.get_checked(key, json.check_size)
        if data is not None:
            if isinstance(parsed.parse(format, {name: data}, above), Layout):
                return None
            break
    group: GroupLayout = format.implied_group()
    return group


def is_bare_folder(store: Store, path: str) -> bool:
    """Whether a path is a folder without a document of any format."""
    below = list(store.list_dir(path))
    if below or not path:
        return bool(below) and METADATA_NAMES.isdisjoint(below)
    # An empty folder is listed by its parent.
    above, _, name = path.rpartition("/")
    return name in store.list_dir(above) and not store.exists(path)
