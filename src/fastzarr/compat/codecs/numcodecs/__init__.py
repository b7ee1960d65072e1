"""The codecs of numcodecs for format 3, under zarr-python's names: ``Delta(dtype="<i4")``."""

from typing import TYPE_CHECKING, Any

from fastzarr.compat.codecs.numcodecs._codecs import (
    CLASSES,
    CODEC_PREFIX,
    _NumcodecsArrayArrayCodec,
    _NumcodecsArrayBytesCodec,
    _NumcodecsBytesBytesCodec,
    _NumcodecsChecksumCodec,
    _NumcodecsCodec,
)
from fastzarr.compat.core.config import NUMCODECS

__all__ = [  # noqa: PLE0604  (NUMCODECS has strings)
    *NUMCODECS,
    "CODEC_PREFIX",
    "_NumcodecsArrayArrayCodec",
    "_NumcodecsArrayBytesCodec",
    "_NumcodecsBytesBytesCodec",
    "_NumcodecsChecksumCodec",
    "_NumcodecsCodec",
]

globals().update(CLASSES)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
