"""Files of other programs below a path, which the replacement of a node must not delete.

Rules of this file:

* What Zarr writes are metadata documents and chunks. Keys that could be those of chunks are not
  looked at closer, because a writer that died leaves chunks without a document.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastzarr.errors import ContainsFilesError, LimitError, MetadataError
from fastzarr.metadata import formats
from fastzarr.metadata import json as document
from fastzarr.metadata.layout import Layout
from fastzarr.nodes import documents
from fastzarr.stores.keys import METADATA_NAMES, parents

if TYPE_CHECKING:
    from fastzarr.stores import Store

_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_is_chunk = re.compile(rf"(?:.*/)?(?:c|(?:c[./])?{_NUMBER}(?:[./]{_NUMBER})*)").fullmatch
# Files that operating systems put into any folder.
_is_litter = re.compile(r"\.DS_Store|\._.*|\.nfs.*|Thumbs\.db|desktop\.ini").fullmatch


def check_replaceable(store: Store, path: str, chunk_store: Store | None = None) -> None:
    """Raise ``ContainsFilesError`` if there are files below a path that are not part of Zarr's."""
    for each in (store,) if chunk_store is None or chunk_store is store else (store, chunk_store):
        if each.is_missing(path):
            continue
        for key in each.list(path):
            if not _is_chunk(key) and not _is_ours(each, key, path):
                msg = (
                    f"cannot replace {'/' + path!r} in {each}: the file {key!r} is not part of a "
                    "Zarr hierarchy and would be lost; move or delete it, or choose another path"
                )
                raise ContainsFilesError(msg)


def _is_ours(store: Store, key: str, path: str) -> bool:
    """Whether a key below a path is that of a document, or of a chunk with any key encoding."""
    name = key.rpartition("/")[2]
    if name in METADATA_NAMES or _is_litter(name):
        return True
    for above in parents(key):
        if len(above) >= len(path) and _owns(store, above, key):
            return True
    try:
        value = store.get_checked(key, document.check_size)
    except LimitError:
        return False
    # Consolidated metadata may have a key of the user's choice.
    return value is None or any(each.is_consolidated(value) for each in formats.FORMATS)


def _owns(store: Store, path: str, key: str) -> bool:
    """Whether the node at a path is an array, and a key is that of one of its chunks."""
    try:
        found = documents.load(store, path)
    except MetadataError:
        return False
    return isinstance(found, Layout) and found.owns(key[len(path) + 1 :] if path else key)
