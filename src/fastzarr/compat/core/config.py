"""zarr-python's settings: their names, their defaults, and what they do here.

Rules of this file:

* A setting with the same meaning in fastzarr is passed on to ``fastzarr.config`` when it changes.
* Settings that choose a class name it as zarr-python does, such as ``zarr.codecs.gzip.GzipCodec``.
* Any value is accepted, as by zarr-python, unless it is passed on and fastzarr rejects it.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING, Any, Literal

from fastzarr.compat.core import _config_files
from fastzarr.config import DEFAULTS as _OURS
from fastzarr.config import Config as _Config
from fastzarr.config import config as _config
from fastzarr.config import flattened, valid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MISSING = object()
_PREFIX = "ZARR_"
_CODECS = "codecs."

_CLASSES = {
    "blosc": "blosc.BloscCodec",
    "gzip": "gzip.GzipCodec",
    "zstd": "zstd.ZstdCodec",
    "bytes": "bytes.BytesCodec",
    "endian": "bytes.BytesCodec",
    "crc32c": "crc32c_.Crc32cCodec",
    "sharding_indexed": "sharding.ShardingCodec",
    "transpose": "transpose.TransposeCodec",
    "vlen-utf8": "vlen_utf8.VLenUTF8Codec",
    "vlen-bytes": "vlen_utf8.VLenBytesCodec",
}

# fmt: off
NUMCODECS = (
    "BZ2", "CRC32", "CRC32C", "LZ4", "LZMA", "ZFPY", "Adler32", "AsType", "BitRound", "Blosc",
    "Delta", "FixedScaleOffset", "Fletcher32", "GZip", "JenkinsLookup3", "PCodec", "PackBits",
    "Shuffle", "Quantize", "Zlib", "Zstd",
)
# fmt: on
"""The classes of ``zarr.codecs.numcodecs``."""


def numcodec_id(name: str) -> str:
    """Return the id of numcodecs for the name of a class of ``zarr.codecs.numcodecs``.

    >>> numcodec_id("LZ4"), numcodec_id("JenkinsLookup3")
    ('lz4', 'jenkins_lookup3')
    """
    return "jenkins_lookup3" if name == "JenkinsLookup3" else name.lower()


DEFAULTS: dict[str, Any] = {
    "default_zarr_format": 3,
    "array.order": "C",
    "array.write_empty_chunks": False,
    "array.read_missing_chunks": True,
    "array.target_shard_size_bytes": None,
    "array.rectilinear_chunks": False,
    "array.sharding_coalesce_max_gap_bytes": 1 << 20,
    "array.sharding_coalesce_max_bytes": 16 << 20,
    "array.allow_unsafe_pickle_decode": False,
    "async.concurrency": 10,
    "async.timeout": None,
    "threading.max_workers": None,
    "json_indent": 2,
    "codec_pipeline.path": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    "codec_pipeline.batch_size": 1,
    "codec_pipeline.max_workers": None,
    **{_CODECS + name: f"zarr.codecs.{path}" for name, path in _CLASSES.items()},
    **{f"codecs.numcodecs.{numcodec_id(n)}": f"zarr.codecs.numcodecs.{n}" for n in NUMCODECS},
    "buffer": "zarr.buffer.cpu.Buffer",
    "ndbuffer": "zarr.buffer.cpu.NDBuffer",
}

# Settings of zarr-python before 3.1.0 that have no meaning any more.
_KINDS = ("numeric", "string", "bytes", "raw")
_WORDS = ("filters", "serializer", "compressors")
_REMOVED = frozenset(
    f"array.{word}{kind}"
    for word in (
        *("v2_default_compressor", "v2_default_filters"),
        *(f"v3_default_{word}" for word in _WORDS),
    )
    for kind in ("", *(f".{kind}" for kind in _KINDS))
)

# What is passed on, by its name in fastzarr.
_SHARED = {
    # The arrays of a group that was opened have them, too.
    "array.order": "array.order",
    "array.write_empty_chunks": "array.write_empty_chunks",
    "array.read_missing_chunks": "array.read_missing_chunks",
    "json_indent": "json_indent",
    "threading.max_workers": "threading.max_workers",
    "async.concurrency": "fetch.concurrency",
}
# zarr-python then makes any number of requests at once; fastzarr has a bound of its own.
_UNBOUNDED = ("async.concurrency", None)


class BadConfigError(ValueError):
    """Raised if a setting chooses a class that is not registered."""


class Config(_Config):
    """zarr-python's settings by dotted name.

    >>> config.get("async.concurrency")
    10
    >>> with config.set({"codecs.gzip": "mine.Gzip"}):
    ...     config.get("codecs")["gzip"]
    'mine.Gzip'
    """

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        """Initialise with the defaults, overridden by the environment."""
        self._listeners: list[Callable[[], None]] = []
        self._shared = {name: defaults.get(name) for name in _SHARED}
        super().__init__(defaults)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call a function after each change of a setting."""
        self._listeners.append(listener)

    def _put(self, flat: dict[str, Any]) -> None:
        super()._put(flat)
        for name, ours in _SHARED.items():
            value = flat.get(name)
            if value != self._shared.get(name, _MISSING):
                back = value == DEFAULTS[name] or (name, value) == _UNBOUNDED
                _config.set({ours: _OURS[ours] if back else value})
                self._shared[name] = value
        for listener in self._listeners:
            listener()

    def environment(self) -> dict[str, Any]:
        """Return the settings of the user: in files and, before those, in the environment.

        Variables are named ``ZARR_…``; in them, ``__`` stands for a dot.
        """
        found: dict[str, Any] = {}
        for each in _config_files.settings():
            found |= {self._known(name): value for name, value in flattened(each).items()}
        return found | {
            self._known(name.removeprefix(_PREFIX).lower().replace("__", ".")): _literal(text)
            for name, text in os.environ.items()
            if name.startswith(_PREFIX)
        }

    def admitted(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return new settings; raise ValueError if one was removed, or fastzarr rejects it."""
        for name, value in values.items():
            if name in _REMOVED:
                msg = f"the setting {name!r} was removed in zarr-python 3.1.0, and has no effect"
                raise ValueError(msg)
            if name in _SHARED and (name, value) != _UNBOUNDED:
                valid(_SHARED[name], value, name)
        return {self._known(name): value for name, value in values.items()}

    def nested(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings as nested mappings; the names of codecs may have dots."""
        codecs = {
            name.removeprefix(_CODECS): value
            for name, value in values.items()
            if name.startswith(_CODECS)
        }
        others = {name: v for name, v in values.items() if not name.startswith(_CODECS)}
        return super().nested(others) | ({"codecs": codecs} if codecs else {})

    def get(self, key: str, default: Any = _MISSING, override_with: Any = None) -> Any:
        """Return a setting, or a mapping of settings.

        Raise KeyError if there is none and no ``default`` is passed. ``override_with`` is returned
        instead unless it is None.

        >>> config.get("array.order"), config.get("array.order", override_with="F")
        ('C', 'F')
        """
        if override_with is not None:
            return override_with
        if key == "codecs":
            return self.nested(self.flat).get(key, {})
        given = () if default is _MISSING else (default,)
        return super().get(self._known(key), *given)

    def clear(self) -> None:
        """Restore the defaults and the environment.

        >>> Config(DEFAULTS).clear()
        """
        self.reset()

    def update(self, new: Mapping[str, Any], **_priority: Any) -> None:
        """Change settings permanently.

        >>> Config(DEFAULTS).update({"array": {"order": "F"}})
        """
        self.set(new)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in force as nested mappings.

        >>> config.to_dict()["async"]["concurrency"]
        10
        """
        return self.config

    def _known(self, name: str) -> str:
        """Return a name as it is spelled here: hyphens and underscores are the same."""
        if name in self._defaults or ("-" not in name and "_" not in name):
            return name
        plain = name.replace("-", "_")
        spelled = (known for known in self._defaults if known.replace("-", "_") == plain)
        return next(spelled, name)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def parse_indexing_order(data: Any) -> Literal["C", "F"]:
    """Return the order of elements in memory; raise ValueError unless it is ``C`` or ``F``.

    >>> parse_indexing_order("F")
    'F'
    """
    if data == "C":
        return "C"
    if data == "F":
        return "F"
    msg = f"Failed to parse input for 'order': expected one of ('C', 'F'), got {data!r}."
    raise ValueError(msg)


config = Config(DEFAULTS)
