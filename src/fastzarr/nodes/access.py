"""Everything that a handle of an array needs to reach its data, as one value.

Rules of this file:

* An ``Access`` is immutable. A handle replaces it as a whole, so that the metadata and the keys of
  the stored chunks always describe the same array.
* An operation reads the handle's access once and uses it throughout. A refresh by another thread
  affects later operations only.
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

    ``store`` has the metadata and ``chunk_store`` the chunks; usually they are the same store.
    """

    store: Store
    chunk_store: Store
    path: str
    layout: Layout
    synchronizer: Any
    settings: ArrayConfig

    @cached_property
    def chunks(self) -> StoredChunks:
        """The stored chunks, addressed by the layout's key encoding."""
        return StoredChunks(self.layout, self.chunk_store, self.path, self.synchronizer)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields without the stored chunks, which another process derives again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
