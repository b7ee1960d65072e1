"""What the metadata of both formats have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastzarr._lazy import cached
from fastzarr.compat.abc.metadata import Metadata
from fastzarr.metadata import formats
from fastzarr.metadata.repairs import Repaired

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout


# What has the chunk shape in a document of either format.
_GRID = ("chunks", "chunk_grid")


def parse_attributes(data: Any) -> dict[str, Any]:
    """Return a copy of attributes, of which there may be none.

    >>> parse_attributes(None)
    {}
    """
    return {} if data is None else dict(data)


def plain(value: Any) -> Any:
    """Return JSON as the parser of a document returns it: with lists instead of tuples.

    >>> plain({"a": (1, {"b": (2,)})})
    {'a': [1, {'b': [2]}]}
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


class Lazy(Metadata):
    """Makes some fields of metadata from a layout when they are first used.

    ``LATE`` maps the name of such a field to the function that makes it. Opening an array needs
    its shape and data type, but neither codecs nor the lengths of all chunks.
    """

    LATE: Mapping[str, Any]
    shape: tuple[int, ...]
    _layout: Layout

    @cached
    def layout(self) -> Layout:
        """The layout of fastzarr that describes the same array."""
        own: Layout | None = vars(self).get("_layout")
        if own is None:
            made: Any = formats.from_dict(plain(self.to_dict()))
            own = made
            stored = vars(self).get("_read_from")
            if stored is not None:
                grid = {name: stored[name] for name in _GRID if name in stored}
                own = own.with_members(repaired=Repaired(grid, ()))
        return own

    @property
    def _stored_document(self) -> dict[str, Any] | None:
        """The document that was read as another one, as long as it may still be stored."""
        found: dict[str, Any] | None = vars(self).get("_read_from")
        layout = vars(self).get("_layout")
        if found is None and layout is not None and layout.repaired is not None:
            found = layout.to_dict() | layout.repaired.members
        return found

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __getattr__(self, name: str) -> Any:
        """Return a field that was not made yet."""
        make = type(self).LATE.get(name)
        layout = vars(self).get("_layout")
        if make is None or layout is None:
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        return vars(self).setdefault(name, make(layout))
