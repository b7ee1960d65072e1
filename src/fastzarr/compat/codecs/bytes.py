"""``bytes`` under zarr-python's name."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from fastzarr.codecs.bytes import BytesCodec as _Bytes
from fastzarr.compat.codecs._deprecated_enum import _coerce_enum_input, _DeprecatedStrEnumMeta
from fastzarr.compat.codecs._dress import ArrayBytesDress, dress, one_of

if TYPE_CHECKING:
    from fastzarr.compat.core.array_spec import ArraySpec

EndianLiteral = Literal["little", "big"]
ENDIAN: Final = ("little", "big")


class Endian(metaclass=_DeprecatedStrEnumMeta):
    """Byte orders; deprecated, pass the string."""

    _members: ClassVar[dict[str, str]] = {"little": "little", "big": "big"}


@dress
@dataclass(frozen=True, kw_only=True)
class BytesCodec(ArrayBytesDress):
    """Elements as they are, in a byte order.

    >>> BytesCodec(endian="big").to_dict()
    {'name': 'bytes', 'configuration': {'endian': 'big'}}
    """

    name: ClassVar[str] = "bytes"
    kind: ClassVar[Any] = _Bytes
    configured: ClassVar[bool] = False
    is_fixed_size = True

    endian: EndianLiteral | None = sys.byteorder

    def __post_init__(self) -> None:
        """Validate the byte order."""
        if self.endian is not None:
            given = _coerce_enum_input(self.endian, "endian", "BytesCodec")
            object.__setattr__(self, "endian", one_of(given, ENDIAN, "endian"))

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the codec of a document, in which a missing byte order is None."""
        made = super().from_dict(data)
        given = not isinstance(data, str) and "endian" in (data.get("configuration") or {})
        return made if given else replace(made, endian=None)

    def settings(self) -> dict[str, Any]:
        """Return the configuration as documents have it."""
        return {} if self.endian is None else {"endian": self.endian}

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return the codec without a byte order if the elements have none.

        Raise ValueError if they have one and the codec does not. Records of older documents are
        read as little-endian then, with a warning.
        """
        dtype: Any = array_spec.dtype
        inner = dtype.inner
        if not inner.multibyte:
            return self if self.endian is None else replace(self, endian=None)
        if self.endian is None and inner.numpy.names is not None:
            msg = (
                "Missing 'endian' for structured dtype with multi-byte fields. Assuming "
                "little-endian for legacy compatibility."
            )
            warnings.warn(msg, UserWarning, stacklevel=2)
            return replace(self, endian="little")
        if self.endian is None:
            msg = (
                "The `endian` configuration needs to be specified for multi-byte data types; "
                f"{dtype} is one"
            )
            raise ValueError(msg)
        return self
