"""A store whose metadata is read from one consolidated document: zarr-python 2's class.

Rules of this file:

* Documents of metadata are those of the consolidated document; everything else is that of the
  store, so that a chunk is never missing because only the metadata was asked.
* Nothing can be written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from fastzarr.checked import CONSOLIDATED, DOCUMENTS
from fastzarr.errors import MetadataError, ReadOnlyError
from fastzarr.stores.keys import METADATA_NAMES
from fastzarr.stores.wrapper import WrapperStore

if TYPE_CHECKING:
    from collections.abc import Iterable

# The document of an array in the format that has a separate document of consolidated metadata.
(_ARRAY,) = (name for name, kinds in DOCUMENTS.items() if kinds == ("array",))


class ConsolidatedMetadataStore(WrapperStore):
    """A read-only store of format 2 whose metadata is read from one document, when it is made.

    ``store`` is the store of the hierarchy, and ``metadata_key`` the key that
    ``consolidate_metadata`` has written. ``zarr.open_consolidated`` does the same, for both
    formats, and can write to chunks. Groups list what the document contains.

    >>> import fastzarr as zarr
    >>> store = zarr.storage.MemoryStore()
    >>> root = zarr.group(store, zarr_format=2)
    >>> _ = root.create_array("a", data=[1, 2])
    >>> _ = zarr.consolidate_metadata(store)
    >>> zarr.open(ConsolidatedMetadataStore(store), mode="r")["a"][:]
    array([1, 2])
    """

    supports_writes = False

    def __init__(self, store: Any, metadata_key: str = CONSOLIDATED) -> None:
        """Initialise with what the document contains now.

        Raise MetadataError if the document is missing or not one of consolidated metadata.
        """
        super().__init__(store)
        self.read_only = True
        #: The store of the hierarchy, and the documents by their keys.
        self.store = self._store
        self.meta_store = _documents(self._store.get(metadata_key), metadata_key)

    def _get(self, key: str) -> bytes | None:
        return self.meta_store.get(key) if _is_document(key) else self._store.get(key)

    def _exists(self, key: str) -> bool:
        return key in self.meta_store if _is_document(key) else self._store.exists(key)

    def _getsize(self, key: str) -> int | None:
        if not _is_document(key):
            return super()._getsize(key)
        found = self.meta_store.get(key)
        return None if found is None else len(found)

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values below a prefix in bytes."""
        return sum(self._getsize(key) or 0 for key in self.list(prefix))

    def _list(self, prefix: str) -> Iterable[str]:
        start = f"{prefix}/" if prefix else ""
        found = {key for key in self.meta_store if key.startswith(start)}
        if self._is_in_array(prefix):
            found.update(key for key in self._store.list(prefix) if not _is_document(key))
        return found

    def _list_dir(self, prefix: str) -> Iterable[str]:
        start = len(prefix) + 1 if prefix else 0
        return {key[start:].partition("/")[0] for key in self._list(prefix)}

    def is_empty(self, prefix: str = "") -> bool:
        """Whether there is no key below a prefix."""
        return next(self.list(prefix), None) is None

    def _is_in_array(self, path: str) -> bool:
        """Whether there is an array at a path or above it."""
        while path:
            if f"{path}/{_ARRAY}" in self.meta_store:
                return True
            path = path.rpartition("/")[0]
        return _ARRAY in self.meta_store

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return the store itself, which is read-only; raise ReadOnlyError for another one.

        >>> store = ConsolidatedMetadataStore(
        ...     {".zmetadata": b'{"zarr_consolidated_format": 1, "metadata": {}}'}
        ... )
        >>> store.with_read_only().read_only
        True
        """
        if not read_only:
            msg = (
                f"{self} has consolidated metadata, which cannot be changed; open the store itself"
            )
            raise ReadOnlyError(msg)
        return self


def _is_document(key: str) -> bool:
    return key.rpartition("/")[2] in METADATA_NAMES


def _documents(raw: bytes | None, key: str) -> dict[str, bytes]:
    """Return the documents that a consolidated one contains."""
    if raw is None:
        msg = "there is no consolidated metadata; see consolidate_metadata"
        raise MetadataError(msg, key)
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        msg = f"consolidated metadata is not valid JSON: {error}"
        raise MetadataError(msg, key) from error
    known = isinstance(found, dict) and found.get("zarr_consolidated_format") == 1
    documents = found.get("metadata") if known else None
    if not isinstance(documents, dict):
        msg = "unsupported format of consolidated metadata; expected zarr_consolidated_format 1"
        raise MetadataError(msg, key)
    return {name: json.dumps(document).encode() for name, document in documents.items()}
