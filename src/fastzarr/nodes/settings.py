"""The settings of array handles that are not metadata."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fastzarr.config import config as settings
from fastzarr.config import valid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr import hints


# Settings of zarr-python 3 that have no effect here.
_OTHERS = frozenset(
    {"rectilinear_chunks", "sharding_coalesce_max_bytes", "sharding_coalesce_max_gap_bytes"}
)


@dataclass(frozen=True)
class ArrayConfig:
    """Settings of a handle: how its array is read and written."""

    order: hints.Order = "C"
    write_empty_chunks: bool = False
    read_missing_chunks: bool = True

    @classmethod
    def make(cls, given: ArrayConfig | Mapping[str, Any] | None = None) -> ArrayConfig:
        """Return the current settings of ``config``, overridden by ``given``."""
        if isinstance(given, ArrayConfig):
            return given
        if given is None:
            return settings.derived(_in_force)
        names = cls.__dataclass_fields__
        found = {name: settings[f"array.{name}"] for name in names}
        for name, value in given.items():
            if name in names:
                found[name] = value
            elif name not in _OTHERS:
                msg = f"unknown setting {name!r} in config; known settings: {', '.join(names)}"
                raise TypeError(msg)
        return cls(**found)

    def __post_init__(self) -> None:
        """Raise ``MetadataValidationError``, naming the setting, if one is not valid."""
        own = vars(self)
        for name, value in own.items():
            # A NumPy boolean becomes one of Python, which the extension requires.
            own[name] = valid(f"array.{name}", value, f"config.{name}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary."""
        return asdict(self)


def _in_force() -> ArrayConfig:
    return ArrayConfig.make({})
