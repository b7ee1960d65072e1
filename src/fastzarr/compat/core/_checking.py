"""The codecs of a new array, checked as zarr-python checks them: with its errors and warnings.

Rules of this file:

* fastzarr checks all codecs by itself before anything is written. What is checked here first only
  decides which error a program sees, so compressors, which have nothing to check, are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.codecs.base import ArrayArrayCodec
from fastzarr.codecs.chain import inside_of
from fastzarr.compat.codecs.bridge import outer_codec
from fastzarr.compat.codecs.sharding import ShardingCodec
from fastzarr.compat.core.array_spec import ArraySpec, parse_array_config
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.codec_pipeline import notice_pipeline, notice_shards
from fastzarr.compat.core.dtype import from_inner
from fastzarr.compat.core.metadata.v3 import RegularChunkGridMetadata

if TYPE_CHECKING:
    from fastzarr.dtypes.base import DataType
    from fastzarr.metadata.layout import Layout


def check_codecs(words: dict[str, Any], dtype: DataType, fill: Any) -> None:
    """Raise zarr-python's error if a filter or the codec of shards does not fit a new array.

    ``words`` are the arguments of fastzarr; chunks of several sizes are not checked.
    """
    sizes = words.get("shards") or words["chunks"]
    if isinstance(sizes, dict):
        sizes = sizes.get("shape")
    given = words.get("codecs")
    if given is None:
        given = [*words["filters"], words["serializer"], *words["compressors"]]
    filtered = any(isinstance(codec, ArrayArrayCodec) for codec in given)
    sharded = "shards" in words or inside_of(given) is not None
    if not isinstance(sizes, tuple) or not (filtered or sharded):
        return
    chain = [outer_codec(codec) for codec in given]
    if "shards" in words:
        chain = [ShardingCodec(chunk_shape=words["chunks"], codecs=chain)]
    zdtype = from_inner(dtype)
    spec = ArraySpec(
        sizes,
        zdtype,
        dtype.default_fill if fill is None else fill,
        parse_array_config(None),
        default_buffer_prototype(),
    )
    for codec in chain:
        grid = RegularChunkGridMetadata(chunk_shape=spec.shape)
        codec.validate(shape=spec.shape, dtype=spec.dtype, chunk_grid=grid)
        spec = codec.evolve_from_array_spec(spec).resolve_metadata(spec)


def notice(layout: Layout) -> None:
    """Warn of what has no effect here, and of shards that cannot be read in parts."""
    notice_pipeline()
    if layout.sharding is not None and len(layout.codecs) > 1:
        notice_shards()
