"""The codecs of numcodecs for format 3, under zarr-python's names: ``Delta(dtype="<i4")``."""

from typing import TYPE_CHECKING, Any

from fastzarr.compat.codecs.numcodecs._codecs import CLASSES
from fastzarr.compat.codecs.numcodecs._codecs import CODEC_PREFIX as CODEC_PREFIX
from fastzarr.compat.codecs.numcodecs._codecs import _NumcodecsCodec as _NumcodecsCodec
from fastzarr.compat.core.config import NUMCODECS

__all__ = list(NUMCODECS)

globals().update(CLASSES)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
