"""``zarr.metadata.migrate_v3``: documents of format 3 for chunks of format 2.

Rules of this file:

* No chunk is read, written or moved. A codec that has no counterpart in format 3 is an error.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from fastzarr.compat.abc.codec import ArrayArrayCodec, BytesBytesCodec
from fastzarr.compat.api.synchronous import open as open_node
from fastzarr.compat.codecs.blosc import BloscCodec
from fastzarr.compat.codecs.bytes import BytesCodec
from fastzarr.compat.codecs.gzip import GzipCodec
from fastzarr.compat.codecs.transpose import TransposeCodec
from fastzarr.compat.codecs.zstd import ZstdCodec
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.chunk_key_encodings import V2ChunkKeyEncoding
from fastzarr.compat.core.common import (
    ZARR_JSON,
    ZARRAY_JSON,
    ZATTRS_JSON,
    ZGROUP_JSON,
    ZMETADATA_V2_JSON,
)
from fastzarr.compat.core.dtype.common import HasEndianness
from fastzarr.compat.core.group import GroupMetadata
from fastzarr.compat.core.metadata.v3 import ArrayV3Metadata, RegularChunkGridMetadata
from fastzarr.compat.core.sync import sync
from fastzarr.compat.registry import get_codec_class
from fastzarr.compat.storage import StorePath
from fastzarr.errors import UnknownCodecError

if TYPE_CHECKING:
    from fastzarr.compat.core.metadata.v2 import ArrayV2Metadata

_logger = logging.getLogger(__name__)
_DOCUMENTS = {
    2: (ZARRAY_JSON, ZATTRS_JSON, ZGROUP_JSON, ZMETADATA_V2_JSON),
    3: (ZARR_JSON,),
}
_NODES = {2: (ZARRAY_JSON, ZGROUP_JSON), 3: (ZARR_JSON,)}
_SHUFFLES: dict[int, Any] = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}


def migrate_v2_to_v3(*, input_store: Any, output_store: Any = None, dry_run: bool = False) -> None:
    """Write documents of format 3 for a hierarchy of format 2, beside it or into another store."""
    node = open_node(store=input_store, mode="r+")
    target = node.store_path
    if output_store is not None:
        target = sync(StorePath.open(output_store, path="", mode="w-"))
    migrate_to_v3(node, target, dry_run=dry_run)


def migrate_to_v3(zarr_v2: Any, output_path: Any, dry_run: bool = False) -> None:
    """Write documents of format 3 for an array or a group of format 2 and all that is below it."""
    metadata = zarr_v2.metadata
    if metadata.zarr_format != 2:
        msg = "Only arrays / groups with zarr v2 metadata can be converted"
        raise TypeError(msg)
    if not isinstance(metadata, GroupMetadata):
        sync(_save(_convert_array_metadata(metadata), output_path, dry_run=dry_run))
        return
    if metadata.consolidated_metadata is not None:
        msg = "Migration of consolidated metadata isn't supported."
        raise NotImplementedError(msg)
    for name in zarr_v2:
        migrate_to_v3(zarr_v2[name], output_path / name, dry_run=dry_run)
    group = GroupMetadata(attributes=metadata.attributes, zarr_format=3, consolidated_metadata=None)
    sync(_save(group, output_path, dry_run=dry_run))


async def remove_metadata(
    store: Any, zarr_format: Any, force: bool = False, dry_run: bool = False
) -> None:
    """Delete the documents of a format; without ``force``, only where those of the other exist."""
    if not store.supports_deletes:
        msg = "Store must support deletes to remove metadata"
        raise ValueError(msg)
    root = await StorePath.open(store, path="", mode="r+")
    other = 3 if zarr_format == 2 else 2
    found = []
    async for key in store.list():
        above, _, name = key.rpartition("/")
        if name not in _DOCUMENTS[zarr_format]:
            continue
        if not force and not await _metadata_exists(other, root / above):
            msg = (
                f"Cannot remove v{zarr_format} metadata at {root / key} - no v{other} metadata "
                "exists. To delete anyway, use the 'force' option."
            )
            raise ValueError(msg)
        _logger.info("Deleting metadata at %s", root / key)
        found.append(root / key)
    # Nothing is deleted before every document was looked at.
    for path in () if dry_run else found:
        await path.delete()


async def _metadata_exists(zarr_format: int, store_path: Any) -> bool:
    for name in _NODES[zarr_format]:
        if await (store_path / name).exists():
            return True
    return False


def _convert_array_metadata(metadata_v2: ArrayV2Metadata) -> ArrayV3Metadata:
    """Return the metadata of format 3 for the same chunks."""
    dtype = metadata_v2.dtype
    codecs: list[Any] = []
    if metadata_v2.order == "F":
        codecs.append(TransposeCodec(order=list(reversed(range(metadata_v2.ndim)))))
    for found in metadata_v2.filters or ():
        codec = _find_numcodecs_zarr3(found)
        if not isinstance(codec, ArrayArrayCodec):
            msg = f"Filter {type(codec)} is not an ArrayArrayCodec"
            raise TypeError(msg)
        codecs.append(codec)
    endian = dtype.endianness if isinstance(dtype, HasEndianness) else None
    codecs.append(BytesCodec(endian=endian))
    if metadata_v2.compressor is not None:
        codecs.append(_convert_compressor(metadata_v2.compressor, dtype))
    return ArrayV3Metadata(
        shape=metadata_v2.shape,
        data_type=dtype,
        chunk_grid=RegularChunkGridMetadata(chunk_shape=metadata_v2.chunks),
        chunk_key_encoding=V2ChunkKeyEncoding(separator=metadata_v2.dimension_separator),
        fill_value=metadata_v2.fill_value,
        codecs=codecs,
        attributes=metadata_v2.attributes,
        dimension_names=None,
    )


def _convert_compressor(compressor: Any, dtype: Any) -> Any:
    if compressor.codec_id == "blosc":
        return BloscCodec(
            typesize=dtype.to_native_dtype().itemsize,
            cname=compressor.cname,
            clevel=compressor.clevel,
            shuffle=_SHUFFLES[compressor.shuffle],
            blocksize=compressor.blocksize,
        )
    if compressor.codec_id == "zstd":
        return ZstdCodec(level=compressor.level, checksum=compressor.checksum)
    if compressor.codec_id == "gzip":
        return GzipCodec(level=compressor.level)
    codec = _find_numcodecs_zarr3(compressor)
    if not isinstance(codec, BytesBytesCodec):
        msg = f"Compressor {type(codec)} is not a BytesBytesCodec"
        raise TypeError(msg)
    return codec


def _find_numcodecs_zarr3(numcodecs_codec: Any) -> Any:
    name = f"numcodecs.{numcodecs_codec.codec_id}"
    try:
        cls = get_codec_class(name)
    except UnknownCodecError as error:
        msg = (
            "Couldn't find corresponding zarr.codecs.numcodecs codec for "
            f"{numcodecs_codec.codec_id}"
        )
        raise ValueError(msg) from error
    configuration = numcodecs_codec.get_config()
    return cls.from_dict({"name": name, "configuration": configuration})


async def _save(metadata: Any, output_path: Any, *, dry_run: bool) -> None:
    path = output_path / ZARR_JSON
    if await path.exists():
        msg = f"{ZARR_JSON} already exists at {path}"
        raise ValueError(msg)
    _logger.info("Saving metadata to %s", path)
    document = metadata.to_buffer_dict(default_buffer_prototype())[ZARR_JSON]
    if not dry_run:
        await path.set_if_not_exists(document)
