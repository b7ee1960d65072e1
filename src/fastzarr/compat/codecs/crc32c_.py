"""``crc32c`` under zarr-python's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastzarr.codecs.crc32c import Crc32cCodec as _Crc32c
from fastzarr.compat.codecs._dress import BytesBytesDress, dress


@dress
@dataclass(frozen=True, kw_only=True)
class Crc32cCodec(BytesBytesDress):
    """A checksum behind the data.

    >>> Crc32cCodec().to_dict()
    {'name': 'crc32c'}
    """

    name: ClassVar[str] = "crc32c"
    kind: ClassVar[Any] = _Crc32c
    configured: ClassVar[bool] = False
    is_fixed_size = True
