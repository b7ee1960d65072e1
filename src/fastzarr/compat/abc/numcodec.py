"""What a codec of numcodecs has."""

from __future__ import annotations

from typing import Any, Protocol, Self, TypeGuard


class Numcodec(Protocol):
    """The methods of ``numcodecs.abc.Codec``.

    >>> import numcodecs
    >>> _is_numcodec(numcodecs.Zlib())
    True
    """

    codec_id: str

    def encode(self, buf: Any) -> Any:
        """Return the encoded data."""
        ...

    def decode(self, buf: Any, out: Any | None = None) -> Any:
        """Return the decoded data, in ``out`` if it is passed."""
        ...

    def get_config(self) -> Any:
        """Return the configuration, with the member ``id``."""
        ...

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """Return the codec of a configuration."""
        ...


_METHODS = ("encode", "decode", "get_config", "from_config")


def _is_numcodec_cls(obj: object) -> TypeGuard[type[Numcodec]]:
    return (
        isinstance(obj, type)
        and isinstance(getattr(obj, "codec_id", None), str)
        and all(callable(getattr(obj, name, None)) for name in _METHODS)
    )


def _is_numcodec(obj: object) -> TypeGuard[Numcodec]:
    return _is_numcodec_cls(type(obj))
