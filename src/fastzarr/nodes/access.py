"""Everything an array handle needs to reach its data, as one value.

Rules of this file:

* An ``Access`` never changes. A handle replaces it as a whole, so that metadata and the keys of the
  stored chunks cannot come to describe two different arrays.
* An operation takes the handle's access once and uses it throughout. A refresh by another thread
  affects the next operation, never one that is under way.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastzarr.engine.chunks import StoredChunks

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout
    from fastzarr.nodes.settings import ArrayConfig
    from fastzarr.stores import Store


@dataclass(frozen=True, eq=False)
class Access:
    """An array's stores, path, layout, synchronizer and settings.

    ``store`` keeps the metadata and ``chunk_store`` the chunks; mostly they are the same store.
    """

    store: Store
    chunk_store: Store
    path: str
    layout: Layout
    synchronizer: Any
    settings: ArrayConfig

    @cached_property
    def chunks(self) -> StoredChunks:
        """The stored chunks, addressed as the layout says."""
        return StoredChunks(self.layout, self.chunk_store, self.path, self.synchronizer)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone: the stored chunks are derived anew in another process."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
