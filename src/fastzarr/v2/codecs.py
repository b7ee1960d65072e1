"""The codecs of numcodecs, which are those of format 2."""

from numcodecs import *  # noqa: F403  (this module is numcodecs under another name)
from numcodecs import get_codec, register_codec  # noqa: F401  (re-exported)
from numcodecs.registry import codec_registry  # noqa: F401  (re-exported)
