"""Key encodings of fastzarr over those that other packages derive from zarr-python's class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastzarr.checked import guard
from fastzarr.grids.keys import KeyEncoding


@dataclass(frozen=True)
class Adapted(KeyEncoding):
    """A chunk key encoding of another package, for fastzarr."""

    #: The class that documents are parsed with, in a subclass that ``family`` has made.
    of: ClassVar[Any]
    outer: Any

    @classmethod
    def from_config(cls, name: str, config: dict[str, Any], where: str) -> Any:
        """Return the encoding of a name and its ``configuration``, located at ``where``."""
        json = {"name": name, "configuration": config}
        return Adapted(guard(lambda: cls.of.from_dict(json), where, "chunk key encoding"))

    @property
    def name(self) -> str:  # type: ignore[override]  # that of the other class
        """The name in format 3."""
        name: str = self.outer.name
        return name

    @property
    def separator(self) -> str:  # type: ignore[override]  # that of the other class
        """The separator between coordinates, if there is one."""
        return getattr(self.outer, "separator", "")

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        found: dict[str, Any] = self.outer.to_dict().get("configuration", {})
        return found

    def encode(self, coords: tuple[int, ...]) -> str:
        """Return the key of the chunk at ``coords``, relative to the array's path."""
        key: str = self.outer.encode_chunk_key(coords)
        return key

    def decode(self, key: str, ndim: int) -> tuple[int, ...] | None:
        """Return the coordinates encoded in a key, or None if it is not the key of a chunk."""
        try:
            found = tuple(self.outer.decode_chunk_key(key))
        except ValueError:
            return None
        return found if len(found) == ndim and self.encode(found) == key else None


def family(cls: Any) -> type[Adapted]:
    """Return the class of fastzarr for documents that name a class of another package."""
    return type(f"Adapted{cls.__name__}", (Adapted,), {"of": cls})
