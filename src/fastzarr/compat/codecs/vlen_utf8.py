"""``vlen-utf8`` and ``vlen-bytes`` under zarr-python's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fastzarr.codecs.vlen import VLenBytesCodec as _VLenBytes
from fastzarr.codecs.vlen import VLenUTF8Codec as _VLenUTF8
from fastzarr.compat.codecs._dress import ArrayBytesDress, dress

if TYPE_CHECKING:
    from fastzarr.compat.core.array_spec import ArraySpec


class _VLen(ArrayBytesDress):
    configured: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as in a document of format 3, with an empty configuration."""
        return {"name": self.name, "configuration": {}}

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return self."""
        del array_spec
        return self


@dress
@dataclass(frozen=True)
class VLenUTF8Codec(_VLen):
    """Strings of variable length as UTF-8.

    >>> VLenUTF8Codec().to_dict()
    {'name': 'vlen-utf8', 'configuration': {}}
    """

    name: ClassVar[str] = "vlen-utf8"
    kind: ClassVar[Any] = _VLenUTF8


@dress
@dataclass(frozen=True)
class VLenBytesCodec(_VLen):
    """Bytes of variable length.

    >>> VLenBytesCodec().to_dict()
    {'name': 'vlen-bytes', 'configuration': {}}
    """

    name: ClassVar[str] = "vlen-bytes"
    kind: ClassVar[Any] = _VLenBytes
