"""The keywords of h5py's ``create_dataset``, which zarr-python 2 accepts too, as keywords of ours.

Rules of this file:

* ``compression=`` and ``compression_opts=`` name a codec in the default format; unlike
  ``compressor=``, they do not imply format 2.
* A keyword that only tunes how HDF5 stores a file is ignored. So is ``maxshape``: every array can
  be resized. One that changes values or places, such as ``scaleoffset`` or ``external``, remains
  unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastzarr.creating.given import NOT_GIVEN, absent
from fastzarr.creating.like import as_array_like, dtype_of
from fastzarr.metadata.formats import parse_format
from fastzarr.metadata.v2 import FORMAT as V2

_IGNORED = frozenset(
    {
        *("fill_time", "maxshape", "rdcc_nbytes", "rdcc_nslots", "rdcc_w0"),
        *("track_order", "track_times"),
    }
)
WORDS = _IGNORED | {"compression", "compression_opts", "fillvalue", "fletcher32", "shuffle"}
"""The keywords that this file converts."""

# The settings of a codec in the order of its positional arguments in numcodecs.
_ORDER = {
    "blosc": ("cname", "clevel", "shuffle", "blocksize"),
    "bz2": ("level",),
    "gzip": ("level",),
    "lz4": ("acceleration",),
    "zlib": ("level",),
    "zstd": ("level",),
}
# HDF5's own filters that are no codecs of Zarr.
_FOREIGN = ("lzf", "szip")
_MOST = 9


def converted(verb: str, words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords with those of h5py replaced; ``verb`` is the called function.

    Raise TypeError if they contradict each other or those of Zarr.

    >>> converted("create", {"compression": "gzip", "compression_opts": 1, "maxshape": (None,)})
    {'compressors': [{'name': 'gzip', 'configuration': {'level': 1}}]}
    """
    found = {word: value for word, value in words.items() if word not in WORDS}
    _add(verb, found, "fill_value", words.get("fillvalue"), "fillvalue")
    compressors = _compressors(words)
    if words.get("shuffle") and compressors and _name(compressors[0]) != "blosc":
        _add_shuffle(found, compressors)
    if words.get("fletcher32"):
        if _is_v2(found):
            _add_filter(found, {"id": "fletcher32"})
        elif compressors is not None:
            compressors.append("crc32c")
    _add(verb, found, "compressors", compressors, "compression")
    return found


def _add(verb: str, words: dict[str, Any], word: str, value: Any, alias: str) -> None:
    """Add a keyword unless its value is None; raise TypeError if it is also passed otherwise."""
    if value is None:
        return
    if words.get("codecs") is not None and word == "compressors":
        msg = f"{verb}() was passed codecs=, which is the whole chain of codecs; omit {alias}="
        raise TypeError(msg)
    for name in (word, "compressor") if word == "compressors" else (word,):
        if not absent(words.pop(name, NOT_GIVEN)):
            msg = f"{verb}() was passed both {name}= and {alias}=; pass only {name}="
            raise TypeError(msg)
    words[word] = value


def _compressors(words: Mapping[str, Any]) -> list[Any] | None:
    """Return the codecs of ``compression=``; None selects the default."""
    value, options = words.get("compression", "default"), words.get("compression_opts")
    if isinstance(value, str) and value == "default":
        if options is not None:
            msg = f"compression_opts={options!r} requires compression="
            raise TypeError(msg)
        return None
    if value is None or value is False or value == "none":
        return []
    if isinstance(value, int):
        level = int(value)
        if value is True:
            return ["gzip"] if options is None else [_codec("gzip", options)]
        if not 0 <= level <= _MOST:
            msg = f"compression={value!r} is a filter of HDF5; pass a codec as compressors="
            raise TypeError(msg)
        return [_codec("gzip", level)]
    if not isinstance(value, str):
        return [value]
    if value in _FOREIGN:
        msg = f"compression={value!r} is a filter of HDF5 alone; pass 'lz4', 'zstd' or 'gzip'"
        raise TypeError(msg)
    return [_codec(value, options)]


def _codec(name: str, options: Any) -> dict[str, Any]:
    """Return the configuration of a codec; ``options`` are its settings, in any form."""
    if isinstance(options, Mapping):
        found = dict(options)
    else:
        given = list(options) if isinstance(options, (tuple, list)) else [options]
        given = [] if options is None else given
        order = _ORDER.get(name, ())
        if len(given) > len(order):
            msg = f"compression_opts={options!r} of {name!r} must be a dict of its settings"
            raise TypeError(msg)
        found = dict(zip(order, given, strict=False))
    if name not in _STANDARD:
        return {"id": name, **found}
    if isinstance(found.get("shuffle"), int):
        found["shuffle"] = _SHUFFLES.get(found["shuffle"], found["shuffle"])
    return {"name": name, "configuration": found}


# Codecs with a specification of their own in format 3, under these names.
_STANDARD = ("blosc", "gzip", "zstd")
# The numbers by which numcodecs calls what Blosc does first.
_SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle", -1: None}


def _name(codec: Any) -> Any:
    if isinstance(codec, Mapping):
        return codec.get("id", codec.get("name"))
    return getattr(codec, "codec_id", codec)


def _add_shuffle(words: dict[str, Any], compressors: list[Any]) -> None:
    """Add the codec that reorders bytes, in front of the compressor."""
    from fastzarr.dtypes import from_numpy

    data, dtype = words.get("data"), words.get("dtype")
    if dtype is None:
        dtype = "float64" if data is None else dtype_of(as_array_like(data))
    size = from_numpy(dtype).itemsize
    if size is None or size == 1:
        return
    shuffle = {"id": "shuffle", "elementsize": size}
    if _is_v2(words):
        _add_filter(words, shuffle)
    else:
        compressors.insert(0, shuffle)


def _add_filter(words: dict[str, Any], codec: dict[str, Any]) -> None:
    filters = words.get("filters")
    found = [] if filters is None or absent(filters) else filters
    single = isinstance(found, Mapping) or hasattr(found, "codec_id")
    words["filters"] = [*([found] if single else found), codec]


def _is_v2(words: Mapping[str, Any]) -> bool:
    given = words.get("zarr_format") or words.get("zarr_version")
    if given is None:
        return words.get("dimension_separator") is not None or words.get("object_codec") is not None
    return parse_format(given) is V2
