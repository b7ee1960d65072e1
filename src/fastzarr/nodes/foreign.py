"""Files of other programs below a path, which the replacement of a node must not delete.

Rules of this file:

* What Zarr writes are metadata documents and chunks. Keys that could be those of chunks are not
  looked at closer, because a writer that died leaves chunks without a document.
* All keys are listed, because any of them may be foreign. A document is loaded at most once.
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
    from fastzarr.metadata.format import Format
    from fastzarr.stores import Store

_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_is_chunk = re.compile(rf"(?:.*/)?(?:c|(?:c[./])?{_NUMBER}(?:[./]{_NUMBER})*)").fullmatch
# Files that operating systems put into any folder.
_is_litter = re.compile(r"\.DS_Store|\._.*|\.nfs.*|Thumbs\.db|desktop\.ini").fullmatch


def check_replaceable(
    store: Store, path: str, chunk_store: Store | None = None, *, format: Format | None = None
) -> None:
    """Raise ``ContainsFilesError`` if there are files below a path that are not part of Zarr's.

    ``format`` is that of the new node. Documents of a format that is neither this nor looked for in
    the store are not known to be part of a hierarchy.
    """
    known = {*formats.sought(formats.FORMATS, store.zarr_format), format}
    others = formats.visible(tuple(each for each in formats.FORMATS if each not in known))
    for each in (store,) if chunk_store is None or chunk_store is store else (store, chunk_store):
        if each.is_missing(path):
            continue
        arrays: dict[str, Layout | None] = {}
        for key in each.list(path):
            foreign = key.rpartition("/")[2] in others
            if foreign or not (_is_chunk(key) or _is_ours(each, key, path, arrays)):
                msg = (
                    f"cannot replace {'/' + path!r} in {each}: the file {key!r} is not part of a "
                    "Zarr hierarchy and would be lost; move or delete it, or choose another path"
                )
                raise ContainsFilesError(msg)


def _is_ours(store: Store, key: str, path: str, arrays: dict[str, Layout | None]) -> bool:
    """Whether a key below a path is that of a document, or of a chunk with any key encoding.

    ``arrays`` are the arrays that were loaded before, by path, with None for other nodes.
    """
    name = key.rpartition("/")[2]
    if name in METADATA_NAMES or _is_litter(name):
        return True
    for above in parents(key):
        if len(above) < len(path):
            continue
        if above not in arrays:
            arrays[above] = _array(store, above)
        found = arrays[above]
        if found is not None and found.owns(key[len(above) + 1 :] if above else key):
            return True
    try:
        value = store.get_checked(key, document.check_size)
    except LimitError:
        return False
    # Consolidated metadata may have a key of the user's choice.
    return value is None or any(each.is_consolidated(value) for each in formats.FORMATS)


def _array(store: Store, path: str) -> Layout | None:
    """Return the array at a path, or None if there is no valid one."""
    try:
        found = documents.load(store, path)
    except MetadataError:
        return None
    return found if isinstance(found, Layout) else None
