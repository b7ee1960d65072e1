"""The documents of format 1, and their conversion to format 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numcodecs.registry import codec_registry

from fastzarr.api.storage import array_meta_key, attrs_key
from fastzarr.v2.errors import MetadataError
from fastzarr.v2.meta import ZARR_FORMAT, Metadata2
from fastzarr.v2.util import json_dumps, json_loads


def decode_metadata(b: Any) -> dict[str, Any]:
    """Return the metadata of an array of format 1; raise MetadataError if it is invalid."""
    meta = json_loads(b)
    if meta.get("zarr_format") != 1:
        msg = f"unsupported zarr format: {meta.get('zarr_format')}"
        raise MetadataError(msg)
    dtype = Metadata2.decode_dtype(meta["dtype"])
    try:
        return {
            "zarr_format": 1,
            "shape": tuple(meta["shape"]),
            "chunks": tuple(meta["chunks"]),
            "dtype": dtype,
            "compression": meta["compression"],
            "compression_opts": meta["compression_opts"],
            "fill_value": _special(meta["fill_value"]),
            "order": meta["order"],
        }
    except KeyError as error:
        msg = f"error decoding metadata: {error}"
        raise MetadataError(msg) from error


def encode_metadata(meta: Mapping[str, Any]) -> bytes:
    """Return the document of an array of format 1."""
    fill = meta["fill_value"]
    if isinstance(fill, float) and not np.isfinite(fill):
        fill = Metadata2.encode_fill_value(fill, np.dtype("f8"))
    dtype = Metadata2.encode_dtype(np.dtype(meta["dtype"]))
    return json_dumps({**meta, "zarr_format": 1, "dtype": dtype, "fill_value": fill})


def _special(value: Any) -> Any:
    return Metadata2.decode_fill_value(value, np.dtype("f8")) if isinstance(value, str) else value


def migrate(store: Any) -> None:
    """Rewrite the documents of an array of format 1 as those of format 2, in place."""
    meta = decode_metadata(store["meta"])
    name, options = meta.pop("compression"), meta.pop("compression_opts")
    compressor = None
    if name not in (None, "none"):
        codec = codec_registry[name]
        made = codec(**options) if isinstance(options, Mapping) else codec(options)
        compressor = made.get_config()
    meta |= {"zarr_format": ZARR_FORMAT, "filters": None, "compressor": compressor}
    store[array_meta_key], store[attrs_key] = Metadata2.encode_array_metadata(meta), store["attrs"]
    # Deleted last, so that a failure loses nothing.
    del store["meta"], store["attrs"]
