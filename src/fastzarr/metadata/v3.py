"""Zarr format 3: ``zarr.json``, parsed and written.

Rules of this file, after the Zarr core specification, version 3, "Metadata" and "Extensions":

* An unknown member is an error, unless it is an object with ``"must_understand": false``; it is
  then ignored and written back.
* An unknown data type, chunk grid, chunk key encoding or codec is always an error, because chunks
  would be misread. A storage transformer is ignored if it has ``"must_understand": false``.
* Without ``codecs``, or without one from array to bytes, ``bytes`` in little endian is meant, and
  with a ``fill_value`` of null the default of the data type. They are read, with a warning.
* A chunk length of zero, which old documents have along axes of length zero, is read as one.
"""

from __future__ import annotations

import marshal
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from fastzarr import checked, codecs, dtypes
from fastzarr.checked import as_object, deviation, extension, fail, guard, member, show
from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, ChunkSpec
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.chain import check_nesting, check_shapes, check_sizes, resolve_chain
from fastzarr.errors import MetadataError, NodeTypeValidationError
from fastzarr.grids.base import largest
from fastzarr.grids.keys import parse_keys
from fastzarr.grids.parse import parse_grid
from fastzarr.grids.regular import RegularGrid, as_chunks
from fastzarr.metadata import consolidated
from fastzarr.metadata.attributes import plain_attributes
from fastzarr.metadata.cache import Cache, is_immutable
from fastzarr.metadata.format import Format
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.repairs import repair_v3

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastzarr.codecs.base import Codec
    from fastzarr.dtypes import DataType
    from fastzarr.metadata.format import Document

_MUST = ("shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs")
_COMMON = ("data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs")
_ARRAY = {
    *("zarr_format", "node_type", "attributes", "dimension_names", "storage_transformers"),
    *_MUST,
}
_GROUP = {"zarr_format", "node_type", "attributes", "consolidated_metadata"}
_cache = Cache()


class _V3(Format):
    number = 3
    attributes = consolidated = "zarr.json"
    documents: ClassVar = {"array": ("zarr.json",), "group": ("zarr.json",)}
    data_type = "data_type"
    has_dimension_names = True
    reserved = "__"

    def parse(
        self, documents: Mapping[str, Document], where: Callable[[str], str]
    ) -> Layout | GroupLayout:
        return parse(documents["zarr.json"], where("zarr.json"))

    def write(self, node: Layout | GroupLayout) -> dict[str, Document]:
        return {"zarr.json": document(node)}


FORMAT = _V3()


def parse(doc: dict[str, Any], where: str = "zarr.json") -> Layout | GroupLayout:
    """Return the layout of a ``zarr.json``; ``where`` is its key, which errors name.

    Raise ``MetadataError``, naming the member at fault, if the document is invalid.

    >>> parse({"zarr_format": 3, "node_type": "group", "attributes": {"title": "demo"}}).attributes
    {'title': 'demo'}
    """
    as_object(doc, where)
    checked.require(doc, ["zarr_format", "node_type"], where)
    zarr_format, kind = doc["zarr_format"], doc["node_type"]
    if type(zarr_format) is not int or zarr_format != FORMAT.number:
        fail(f"must be {FORMAT.number}, got {show(zarr_format)}", member(where, "zarr_format"))
    if kind == "array":
        return _parse_array(doc, where)
    if kind == "group":
        return _parse_group(doc, where)
    msg = f"must be 'array' or 'group', got {show(kind)}"
    raise NodeTypeValidationError(msg, member(where, "node_type"))


def document(node: Layout | GroupLayout) -> dict[str, Any]:
    """Return the ``zarr.json`` of an array or a group.

    >>> document(GroupLayout(FORMAT))
    {'zarr_format': 3, 'node_type': 'group', 'attributes': {}}
    """
    attributes = plain_attributes(node.attributes, stored=True)
    if isinstance(node, GroupLayout):
        doc = {"zarr_format": FORMAT.number, "node_type": "group", "attributes": attributes}
        if node.consolidated is not None:
            doc["consolidated_metadata"] = consolidated.to_member(FORMAT, node.consolidated)
        return doc | plain_attributes(node.extra, stored=True)
    doc = {
        "zarr_format": FORMAT.number,
        "node_type": "array",
        "shape": list(node.shape),
        "data_type": node.dtype.to_v3(),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(node.chunks)}},
        "chunk_key_encoding": {
            "name": node.keys.name,
            "configuration": node.keys.config(),
        },
        "fill_value": node.dtype.fill_to_json(node.fill, FORMAT.number),
        "codecs": [codec.to_dict() for codec in node.codecs],
        "attributes": attributes,
    }
    if node.irregular is not None:
        doc["chunk_grid"] = {"name": node.irregular.name, "configuration": node.irregular.config()}
    if node.dimension_names is not None:
        doc["dimension_names"] = list(node.dimension_names)
    return doc | plain_attributes(node.extra, stored=True) if node.extra else doc


def _parse_group(doc: dict[str, Any], where: str) -> GroupLayout:
    extra = _extra(doc, _GROUP, where)
    nodes = None
    if doc.get("consolidated_metadata") is not None:
        found = doc["consolidated_metadata"]
        nodes = consolidated.from_member(FORMAT, found, member(where, "consolidated_metadata"))
        if nodes is None:
            extra["consolidated_metadata"] = found
    return GroupLayout(FORMAT, _attributes(doc, where), nodes, extra)


def _parse_array(doc: dict[str, Any], where: str) -> Layout:
    if "codecs" not in doc:
        doc = doc | {"codecs": []}
    checked.require(doc, _MUST, where)
    extra = _extra(doc, _ARRAY, where)
    if doc.get("storage_transformers", []) != []:
        extra |= _transformers(doc, member(where, "storage_transformers"))
    shape = checked.as_shape(doc["shape"], member(where, "shape"))
    return _common(doc, shape, where).with_members(
        shape=shape,
        dimension_names=_dimension_names(doc, len(shape), where),
        attributes=_attributes(doc, where),
        extra=extra,
    )


def _common(doc: dict[str, Any], shape: tuple[int, ...], where: str) -> Layout:
    """Return a layout without dimension names, attributes and extra members, cached if possible."""
    try:
        # marshal's version 2 has no references, so equal values have equal bytes.
        parts = marshal.dumps([doc[name] for name in _COMMON], 2), len(shape)
    except ValueError:  # nested too deeply for marshal, or of a type that it does not support
        return _parse_common(doc, shape, where)
    key, found = _cache.find(*parts)
    if found is None:
        found = _parse_common(doc, shape, where)
        # What a document is repaired to depends on the shape.
        if is_immutable(found) and found.repaired is None:
            _cache.put(key, found, found.codecs)
    layout: Layout = found
    if layout.irregular is not None:
        place = member(member(where, "chunk_grid"), "configuration")
        guard(partial(layout.irregular.check, shape, place), place, "chunk grid")
    return layout


def _parse_common(doc: dict[str, Any], shape: tuple[int, ...], where: str) -> Layout:
    repair = repair_v3(doc)
    if repair is not None:
        doc = repair.document
    grid, chunks_place = _grid(doc["chunk_grid"], shape, member(where, "chunk_grid"))
    regular = isinstance(grid, RegularGrid)
    chunks = grid.steps if regular else largest(grid.variety())
    dtype = dtypes.from_v3(doc["data_type"], member(where, "data_type"))
    place = member(where, "fill_value")
    if doc["fill_value"] is None:
        fill = dtype.default_fill
        deviation(f"null is not a fill value, and is read as {show(fill)}", place)
    else:
        fill = dtype.fill_from_json(doc["fill_value"], FORMAT.number, place)
    place = member(where, "codecs")
    found = _with_serializer(_codecs(doc["codecs"], place), dtype, place)
    spec = ChunkSpec(chunks, dtype, fill)
    chain = _endian(resolve_chain(found, spec, place), place, spec)
    if not regular:
        check_shapes(chain, spec, grid.variety(), place)
    check_sizes(chunks, dtype, chain, chunks_place)
    return Layout(
        format=FORMAT,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        keys=parse_keys(doc["chunk_key_encoding"], member(where, "chunk_key_encoding")),
        fill=fill,
        codecs=chain,
        irregular=None if regular else grid,
        repaired=None if repair is None else repair.repaired,
    )


def _extra(doc: dict[str, Any], known: set[str], where: str) -> dict[str, Any]:
    if doc.keys() <= known:
        return {}
    extra = {name: value for name, value in doc.items() if name not in known}
    for name, value in extra.items():
        if not isinstance(value, dict) or value.get("must_understand") is not False:
            msg = f"unknown extension {show(name)}, which must be understood to read the node"
            fail(msg, member(where, name))
    return extra


def _attributes(doc: dict[str, Any], where: str) -> dict[str, Any]:
    found = doc.get("attributes", {})
    return found if found == {} else as_object(found, member(where, "attributes"))


def _transformers(doc: dict[str, Any], where: str) -> dict[str, Any]:
    transformers = checked.as_list(doc["storage_transformers"], where)
    for place, transformer in enumerate(transformers):
        name, _ = extension(transformer, member(where, place))
        if isinstance(transformer, str) or transformer.get("must_understand", True):
            msg = f"unknown storage transformer {show(name)}"
            fail(msg, member(where, place))
    return {"storage_transformers": transformers} if transformers else {}


def _grid(grid: object, shape: tuple[int, ...], where: str) -> tuple[Any, str]:
    name, configuration = extension(grid, where)
    if name != "regular":
        return parse_grid(grid, shape, where), member(where, "configuration")
    where = member(where, "configuration")
    checked.check_members(configuration, {"chunk_shape": True}, where)
    where = member(where, "chunk_shape")
    return RegularGrid(as_chunks(configuration["chunk_shape"], shape, where)), where


def _dimension_names(doc: dict[str, Any], ndim: int, where: str) -> tuple[str | None, ...] | None:
    if doc.get("dimension_names") is None:
        return None
    where = member(where, "dimension_names")
    names = checked.as_list(doc["dimension_names"], where)
    if len(names) != ndim:
        fail(f"has {len(names)} names for the {ndim} axes of the shape", where)
    for axis, name in enumerate(names):
        if name is not None and not isinstance(name, str):
            fail(f"must be a string or null, got {show(name)}", member(where, axis))
    return tuple(names)


def _with_serializer(chain: list[Codec], dtype: DataType, where: str) -> list[Codec]:
    """Return the chain, with ``bytes`` if it has no array-to-bytes codec.

    GDAL 3.10 and zarr-js left out the codec if the data was little-endian.
    """
    if dtype.itemsize is None or any(isinstance(codec, ArrayBytesCodec) for codec in chain):
        return chain
    deviation("no codec encodes the array as bytes; 'bytes', little-endian, is assumed", where)
    at = sum(isinstance(codec, ArrayArrayCodec) for codec in chain)
    return [*chain[:at], BytesCodec(endian="little"), *chain[at:]]


def _codecs(value: object, where: str) -> list[Codec]:
    chain: list[Codec] = []
    for index, item in enumerate(checked.as_list(value, where)):
        place = member(where, index)
        chain.append(guard(partial(codecs.from_v3, item, place), place, "codec"))
    check_nesting(chain, where)
    return chain


def _endian(chain: Sequence[Codec], where: str, spec: ChunkSpec) -> tuple[Codec, ...]:
    # A `bytes` codec without `endian` is valid for types of one byte. Otherwise it is an error,
    # except for the legacy type `structured`, whose writers omitted it and used little-endian.
    done: list[Codec] = []
    for place, codec in enumerate(chain):
        at = member(member(where, place), "configuration")
        if isinstance(codec, ArrayArrayCodec):
            spec = codec.encoded_spec(spec)
        if isinstance(codec, BytesCodec) and codec.endian is None and spec.dtype.multibyte:
            if not spec.dtype.legacy:
                msg = "the member 'endian' is missing, but this data type requires it"
                raise MetadataError(msg, at)
            done.append(replace(codec, endian="little"))
        elif codec.name == "sharding_indexed":
            from fastzarr.codecs.program import index_spec

            sharding: Any = codec
            counts = sharding.grid.count(spec.shape)
            _endian(sharding.index_codecs, member(at, "index_codecs"), index_spec(counts))
            inner = replace(spec, shape=sharding.chunk_shape)
            fitted = _endian(sharding.codecs, member(at, "codecs"), inner)
            done.append(codec if fitted == sharding.codecs else replace(sharding, codecs=fitted))
        else:
            done.append(codec)
    return tuple(done)
