"""What arrays and groups have in common: where they are, and their attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.v2.util import InfoReporter

if TYPE_CHECKING:
    from fastzarr.v2.attrs import Attributes


class Node:
    """A handle of the node at a path in a store."""

    _store: Any
    _chunk_store: Any
    _path: str
    _synchronizer: Any
    _attrs: Attributes
    _meta_array: Any

    @property
    def store(self) -> Any:
        """The store of the metadata."""
        return self._store

    @property
    def chunk_store(self) -> Any:
        """The store of the chunks."""
        return self._store if self._chunk_store is None else self._chunk_store

    @property
    def path(self) -> str:
        """The path in the store."""
        return self._path

    @property
    def synchronizer(self) -> Any:
        """The synchronizer that the node was opened with, or None."""
        return self._synchronizer

    @property
    def attrs(self) -> Attributes:
        """The attributes."""
        return self._attrs

    @property
    def meta_array(self) -> Any:
        """An empty array of the type that reading returns."""
        return self._meta_array

    @property
    def info(self) -> InfoReporter:
        """A description of the node."""
        return InfoReporter(self)

    def _kinds(self) -> list[tuple[str, Any]]:
        """Return the lines of the description about the classes of the stores."""
        items: list[tuple[str, Any]] = []
        if self._synchronizer is not None:
            items.append(("Synchronizer type", type_name(self._synchronizer)))
        items.append(("Store type", type_name(self._store)))
        if self._chunk_store is not None:
            items.append(("Chunk store type", type_name(self._chunk_store)))
        return items


def type_name(value: Any) -> str:
    """Return the name of a value's class, with its module.

    >>> type_name(1)
    'builtins.int'
    """
    return f"{type(value).__module__}.{type(value).__name__}"
