"""``zstd`` under zarr-python's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastzarr.codecs.zstd import ZstdCodec as _Zstd
from fastzarr.compat.codecs._dress import BytesBytesDress, dress, exact


def parse_zstd_level(data: Any) -> int:
    """Return the level; raise TypeError unless it is an integer, ValueError if above 22.

    >>> parse_zstd_level(3)
    3
    """
    level = exact(data, int, "level")
    if level >= 23:
        msg = f"Value must be less than or equal to 22. Got {level} instead."
        raise ValueError(msg)
    return level


def parse_checksum(data: Any) -> bool:
    """Return whether frames have a checksum; raise TypeError unless it is a boolean.

    >>> parse_checksum(True)
    True
    """
    return exact(data, bool, "checksum")


@dress
@dataclass(frozen=True, kw_only=True)
class ZstdCodec(BytesBytesDress):
    """Zstandard; ``level`` is at most 22, and 0 means the default of the compressor.

    >>> ZstdCodec().to_dict()
    {'name': 'zstd', 'configuration': {'level': 0, 'checksum': False}}
    """

    name: ClassVar[str] = "zstd"
    kind: ClassVar[Any] = _Zstd

    level: int = 0
    checksum: bool = False

    def __post_init__(self) -> None:
        """Validate the members."""
        object.__setattr__(self, "level", parse_zstd_level(self.level))
        object.__setattr__(self, "checksum", parse_checksum(self.checksum))
