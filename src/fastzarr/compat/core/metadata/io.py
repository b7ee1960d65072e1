"""``zarr.core.metadata.io``: metadata documents, stored one by one.

Rules of this file:

* Arrays and groups of this package are created and changed by fastzarr, which also looks after
  consolidated metadata and other writers. These functions are for those who have metadata and a
  path in a store, and nothing else.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fastzarr.compat.core._json import buffer_to_json_object, json_equal
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.common import ZARR_JSON, ZARRAY_JSON, ZATTRS_JSON, ZGROUP_JSON
from fastzarr.compat.core.metadata.v2 import ArrayV2Metadata
from fastzarr.compat.core.metadata.v3 import ArrayV3Metadata
from fastzarr.errors import ArrayNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fastzarr.compat.core.buffer import Buffer


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""Stands for the value of what one of two documents does not have."""


class DocumentChange(NamedTuple):
    """A value that differs between two documents, and where it is."""

    path: tuple[str | int, ...]
    stored: Any
    new: Any


def diff_documents(stored: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[DocumentChange, ...]:
    """Return the values that differ between stored documents and new ones, by the documents' keys.

    >>> diff_documents({".zattrs": {"a": 1}}, {".zattrs": {"a": 2}})
    (DocumentChange(path=('.zattrs', 'a'), stored=1, new=2),)
    """
    return tuple(_diff((), dict(stored), dict(new)))


def _diff(path: tuple[str | int, ...], stored: Any, new: Any) -> Iterator[DocumentChange]:
    if isinstance(stored, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*stored, *new]):
            yield from _diff((*path, key), stored.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(stored, list) and isinstance(new, list):
        for index, (old, other) in enumerate(zip_longest(stored, new, fillvalue=ABSENT)):
            yield from _diff((*path, index), old, other)
    elif stored is ABSENT or new is ABSENT or not json_equal(stored, new):
        yield DocumentChange(path, stored, new)


def encode_documents(store_path: Any, metadata: Any) -> dict[str, Buffer]:
    """Return the documents of a node, by their names; errors name the node."""
    try:
        found: dict[str, Buffer] = metadata.to_buffer_dict(default_buffer_prototype())
    except ValueError as error:
        kind = "Array" if hasattr(metadata, "shape") else "Group"
        error.add_note(f"{kind} {str(store_path)!r}: nothing was stored.")
        raise
    return found


async def store_documents(store_path: Any, documents: Mapping[str, Buffer]) -> None:
    """Store documents of a node, of which the last decides about its existence.

    Empty attributes of format 2 are stored, too, as zarr-python does.
    """
    for key, value in sorted(documents.items(), key=lambda item: item[0] != ZATTRS_JSON):
        await (store_path / key).set(value)


async def read_documents(store_path: Any, keys: Iterable[str]) -> dict[str, Buffer]:
    """Return those documents of a node that exist, by their names."""
    names = tuple(keys)
    found = await asyncio.gather(*((store_path / key).get() for key in names))
    return {key: value for key, value in zip(names, found, strict=True) if value is not None}


async def upsert_metadata(
    store_path: Any, metadata: Any, stored: Mapping[str, Buffer]
) -> tuple[DocumentChange, ...]:
    """Store those documents of a node that differ from stored ones; return the differences."""
    documents = encode_documents(store_path, metadata)
    changes = diff_documents(
        {key: buffer_to_json_object(stored[key]) for key in stored if key in documents},
        {key: buffer_to_json_object(value) for key, value in documents.items()},
    )
    changed = {change.path[0] for change in changes}
    await store_documents(store_path, {k: v for k, v in documents.items() if k in changed})
    return changes


ARRAY_DOCUMENTS: Final[Mapping[int, tuple[str, ...]]] = {
    2: (ZARRAY_JSON, ZATTRS_JSON),
    3: (ZARR_JSON,),
}
"""The names of the documents of an array, by format."""


def parse_stored_array(
    documents: Mapping[str, Buffer], zarr_format: int, path: str | None = None
) -> ArrayV2Metadata | ArrayV3Metadata:
    """Return the metadata of an array of its documents.

    Raise ArrayNotFoundError if there are none of this format.
    """
    name = ARRAY_DOCUMENTS[zarr_format][0]
    if name not in documents:
        msg = f"No Zarr format {zarr_format} array metadata document."
        raise ArrayNotFoundError(msg)
    document = buffer_to_json_object(documents[name])
    if zarr_format == 3:
        return ArrayV3Metadata.from_dict(document, path=path)
    attributes = documents.get(ZATTRS_JSON)
    document["attributes"] = {} if attributes is None else buffer_to_json_object(attributes)
    return ArrayV2Metadata.from_dict(document, path=path)


async def save_metadata(store_path: Any, metadata: Any, ensure_parents: bool = False) -> None:
    """Store the documents of a node, and those of missing groups above it if that is asked for."""
    documents = encode_documents(store_path, metadata)
    if ensure_parents:
        await _create_parents(store_path, metadata.zarr_format)
    await store_documents(store_path, documents)


async def _create_parents(store_path: Any, zarr_format: int) -> None:
    """Create the groups above a path that are missing; raise ValueError if one is an array."""
    parts = store_path.path.split("/")
    store = store_path.store
    array = ARRAY_DOCUMENTS[zarr_format][0]
    for count in range(len(parts) if store_path.path else 0):
        above = "".join(f"{part}/" for part in parts[:count])
        prototype = default_buffer_prototype()
        found = await store.get(above + array, prototype)
        if found is not None and buffer_to_json_object(found).get("node_type") != "group":
            msg = f"A parent of {store_path} is an array - only groups may have child nodes."
            raise ValueError(msg)
        document = b'{"zarr_format": 2}'
        name = ZGROUP_JSON
        if zarr_format == 3:
            document = b'{"zarr_format": 3, "node_type": "group", "attributes": {}}'
            name = ZARR_JSON
        await store.set_if_not_exists(above + name, prototype.buffer.from_bytes(document))
