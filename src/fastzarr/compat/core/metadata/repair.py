"""``zarr.core.metadata.repair``: invalid documents of zarr-python, read as what they mean.

Rules of this file:

* ``fastzarr.metadata.repairs`` reads the documents, also those of arrays that are opened. Here is
  what zarr-python calls its parts.
"""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fastzarr.errors import ZarrUserWarning
from fastzarr.metadata.repairs import RECREATE_HINT, RESAVE_HINT, repair_v2, repair_v3

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "RECREATE_HINT",
    "RESAVE_HINT",
    "Reading",
    "mark_repaired",
    "repair_array_document",
]

M = TypeVar("M")


class Reading(NamedTuple):
    """How a part of a document was read."""

    moves_chunks: bool
    """Whether other readers of the document would look for other chunks."""
    warning: str | None
    """What the user should know."""


def repair_array_document(
    doc: Mapping[str, Any], zarr_format: int
) -> tuple[Mapping[str, Any], list[Reading]]:
    """Return a document as it is read, and how; a valid one is returned as it is.

    >>> repair_array_document({"shape": [0], "chunks": [0]}, 2)
    ({'shape': [0], 'chunks': [1]}, [Reading(moves_chunks=True, warning=None)])
    """
    repair = repair_v2(doc) if zarr_format == 2 else repair_v3(doc)
    if repair is None:
        return doc, []
    moved = repair.repaired
    notes = (moved.notes if moved else ()) or (None,)
    return repair.document, [Reading(moved is not None, note) for note in notes]


def mark_repaired(
    metadata: M,
    stored: Mapping[str, Any],
    readings: Sequence[Reading],
    path: str | None,
    *,
    warn: bool = True,
) -> M:
    """Keep the document of metadata that was read in another way, and return the metadata.

    Warn, naming the array at ``path``, unless ``warn`` is False.
    """
    if any(reading.moves_chunks for reading in readings):
        vars(metadata)["_read_from"] = copy.deepcopy(dict(stored))
    notes = [reading.warning for reading in readings if reading.warning is not None]
    if warn and notes:
        subject = "" if path is None else f"Array {path!r}: "
        warnings.warn(subject + " ".join(notes), ZarrUserWarning, stacklevel=3)
    return metadata
