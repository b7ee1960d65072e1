"""``gzip`` under zarr-python's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastzarr.codecs.gzip import GzipCodec as _Gzip
from fastzarr.compat.codecs._dress import BytesBytesDress, dress, exact


def parse_gzip_level(data: Any) -> int:
    """Return the level; raise TypeError unless it is an integer, ValueError unless 0 to 9.

    >>> parse_gzip_level(5)
    5
    """
    level = exact(data, int, "level")
    if level not in range(10):
        msg = f"Expected an integer from the inclusive range (0, 9). Got {level} instead."
        raise ValueError(msg)
    return level


@dress
@dataclass(frozen=True, kw_only=True)
class GzipCodec(BytesBytesDress):
    """Gzip; ``level`` is 0 to 9.

    >>> GzipCodec().to_dict()
    {'name': 'gzip', 'configuration': {'level': 5}}
    """

    name: ClassVar[str] = "gzip"
    kind: ClassVar[Any] = _Gzip

    level: int = 5

    def __post_init__(self) -> None:
        """Validate the level."""
        object.__setattr__(self, "level", parse_gzip_level(self.level))
