"""``zarr.abc.metadata``: the base class of metadata that converts to a dictionary and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

__all__ = ["Metadata"]


@dataclass(frozen=True)
class Metadata:
    """Base class of dataclasses that are parts of a metadata document."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, with ``Metadata``, also in sequences, as dictionaries."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the object with these fields."""
        return cls(**data)


def _plain(value: Any) -> Any:
    if isinstance(value, Metadata):
        return value.to_dict()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(v.to_dict() if isinstance(v, Metadata) else v for v in value)
    return value
