"""Zarr format 2: ``.zarray``, ``.zgroup`` and ``.zattrs``, parsed and written.

Rules of this file, after the Zarr storage specification, version 2:

* An array is encoded by the equivalent format 3 chain of codecs: order "F" becomes a transpose, the
  list of filters becomes the serializer (``bytes`` if there are none), and the compressor follows.
* ``filters``, ``compressor`` and ``dimension_separator`` may be missing or null, as in old
  documents. Their writers also produced the order "A", and chunks of [1] for arrays without axes.
* Unknown members are ignored, as the specification requires, and written back.
* A fill value of null is None. Elements that were never written are then undefined, and read as
  zeros.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from fastzarr import checked, codecs, dtypes
from fastzarr.checked import as_object, fail, guard, member, show
from fastzarr.codecs.base import ArrayBytesCodec, BytesBytesCodec, ChunkSpec
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.chain import check_sizes, resolve_chain
from fastzarr.errors import MetadataError
from fastzarr.grids.keys import ChunkKeys
from fastzarr.grids.regular import as_chunks
from fastzarr.metadata import consolidated
from fastzarr.metadata.attributes import plain_attributes
from fastzarr.metadata.format import Format, Shown
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.metadata.repairs import repair_v2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastzarr import hints
    from fastzarr.codecs.base import Codec
    from fastzarr.dtypes import DataType
    from fastzarr.metadata.format import Document

_MUST = ("shape", "chunks", "dtype", "fill_value", "order")
_ARRAY = {"zarr_format", "filters", "compressor", "dimension_separator", *_MUST}
_SEPARATOR = "dimension_separator"
_GROUP = {"zarr_format", "consolidated_metadata"}
# The object codecs that may be the compressor instead of the first filter.
_TEXTS = ("vlen-utf8", "vlen-bytes")
# For a chunk that is read from bytes, NumPy's order "A" is "C".
_ORDERS: dict[str, hints.Order] = {"C": "C", "F": "F", "A": "C"}


class _V2(Format):
    number = 2
    attributes = ".zattrs"
    documents: ClassVar = {"array": (".zattrs", ".zarray"), "group": (".zattrs", ".zgroup")}
    consolidated = ".zmetadata"
    data_type = "dtype"
    has_one_compressor = True

    def parse(
        self, documents: Mapping[str, Document], where: Callable[[str], str]
    ) -> Layout | GroupLayout:
        attributes = documents.get(".zattrs")
        if ".zarray" in documents:
            return parse_array(documents[".zarray"], attributes, where(".zarray"))
        return parse_group(documents[".zgroup"], attributes, where(".zgroup"))

    def completed(
        self, documents: Mapping[str, Document], separator: str | None
    ) -> Mapping[str, Document]:
        # Before version 2.8 of zarr-python, only the store knew the separator.
        zarray = documents.get(".zarray")
        if separator is None or not isinstance(zarray, dict) or zarray.get(_SEPARATOR):
            return documents
        return {**documents, ".zarray": zarray | {_SEPARATOR: separator}}

    def write(self, node: Layout | GroupLayout) -> dict[str, Document]:
        return documents(node)

    def shown(self, layout: Layout) -> Shown:
        from numcodecs import get_codec

        compressor = compressor_config(layout)
        return Shown(
            tuple(get_codec(dict(config)) for config in filter_configs(layout) or ()),
            None,
            () if compressor is None else (get_codec(dict(compressor)),),
        )

    def with_filters(self, layout: Layout, filters: list[Any]) -> list[Codec]:
        from fastzarr.codecs.numcodecs.filters import FiltersCodec

        configs = [codec.get_config() for codec in filters]
        last = next((c for c in layout.codecs if isinstance(c, FiltersCodec)), None)
        if last is not None and last.compressed:
            new: Codec = FiltersCodec(filters=[*configs, last.compressor()], compressed=True)
        else:
            new = FiltersCodec(filters=configs) if configs else BytesCodec(endian=None)
        return [new if isinstance(codec, ArrayBytesCodec) else codec for codec in layout.codecs]

    def parse_consolidated(self, doc: Document, where: str) -> Mapping[str, Layout | GroupLayout]:
        return consolidated.from_document(self, doc, where)

    def write_consolidated(self, nodes: Mapping[str, Layout | GroupLayout]) -> Document:
        return consolidated.to_document(self, nodes)

    def is_consolidated(self, value: bytes) -> bool:
        return b'"metadata"' in value and b'.zgroup"' in value


FORMAT = _V2()


def parse_array(
    zarray: dict[str, Any], attributes: dict[str, Any] | None = None, where: str = ".zarray"
) -> Layout:
    """Return the layout of a ``.zarray`` and its ``.zattrs``; ``where`` is the former's key.

    Raise ``MetadataError``, naming the member at fault, if a document is invalid.
    """
    _check_format(zarray, where)
    checked.require(zarray, _MUST, where)
    shape = checked.as_shape(zarray["shape"], member(where, "shape"))
    repair = repair_v2(zarray)
    if repair is not None:
        zarray = repair.document
    stored = zarray["chunks"] if shape or zarray["chunks"] != [1] else []
    chunks = as_chunks(stored, shape, member(where, "chunks"))
    order = _ORDERS.get(zarray["order"]) if isinstance(zarray["order"], str) else None
    if order is None:
        fail(f"must be 'C' or 'F', got {show(zarray['order'])}", member(where, "order"))
    filters = _filters(zarray.get("filters"), member(where, "filters"))
    compressor = zarray.get("compressor")
    if compressor is not None:
        _numcodec(compressor, member(where, "compressor"))
    dtype = _dtype(zarray["dtype"], filters, compressor, where)
    fill = zarray["fill_value"]
    if fill is not None:
        fill = dtype.fill_from_json(fill, FORMAT.number, member(where, "fill_value"))
    spec = ChunkSpec(chunks, dtype, fill)
    fitted = layout_codecs(spec, order=order, filters=filters, compressor=compressor, where=where)
    check_sizes(chunks, dtype, fitted, member(where, "chunks"))
    named = zarray.get("dimension_separator")
    separator: Any = "." if named is None else named
    if separator not in (".", "/"):
        fail(f"must be '.' or '/', got {show(separator)}", member(where, "dimension_separator"))
    return Layout(
        format=FORMAT,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        keys=ChunkKeys("v2", separator),
        fill=fill,
        codecs=fitted,
        attributes=as_object({} if attributes is None else attributes, _beside(where)),
        order=order,
        extra={name: value for name, value in zarray.items() if name not in _ARRAY},
        repaired=None if repair is None else repair.repaired,
    )


def parse_group(
    zgroup: dict[str, Any], attributes: dict[str, Any] | None = None, where: str = ".zgroup"
) -> GroupLayout:
    """Return the layout of a ``.zgroup`` and its ``.zattrs``; ``where`` is the former's key.

    Raise ``MetadataError``, naming the member at fault, if a document is invalid.

    >>> parse_group({"zarr_format": 2}, {"title": "demo"}).attributes
    {'title': 'demo'}
    """
    _check_format(zgroup, where)
    found = as_object({} if attributes is None else attributes, _beside(where))
    extra = {name: value for name, value in zgroup.items() if name not in _GROUP}
    return GroupLayout(FORMAT, found, extra=extra)


def documents(node: Layout | GroupLayout) -> dict[str, dict[str, Any]]:
    """Return the documents of a node by key, with ``.zattrs`` only if it has attributes.

    >>> documents(GroupLayout(FORMAT, {"title": "demo"}))
    {'.zgroup': {'zarr_format': 2}, '.zattrs': {'title': 'demo'}}
    """
    if isinstance(node, GroupLayout):
        found = {
            ".zgroup": {"zarr_format": FORMAT.number} | plain_attributes(node.extra, stored=True)
        }
    else:
        found = {".zarray": _zarray(node)}
    if node.attributes:
        found[".zattrs"] = plain_attributes(node.attributes, stored=True)
    return found


def layout_codecs(
    spec: ChunkSpec,
    *,
    order: str = "C",
    filters: Sequence[Any] | None = None,
    compressor: Any = None,
    where: str = ".zarray",
) -> tuple[Codec, ...]:
    """Return the resolved codecs of the members ``order``, ``filters`` and ``compressor``.

    ``filters`` and ``compressor`` are numcodecs configurations or objects. ``where`` is the key of
    the ``.zarray``. Raise ``MetadataError`` if a codec is unknown or cannot encode its input.
    """
    found: list[Codec] = []
    places = []
    if order == "F" and len(spec.shape) > 1:
        from fastzarr.codecs.transpose import TransposeCodec

        found.append(TransposeCodec(order=tuple(reversed(range(len(spec.shape))))))
        places.append("order")
    objects = not filters and spec.dtype.itemsize is None
    if compressor is not None and _encodes_arrays(compressor, objects=objects, first=not filters):
        found.append(_filters_codec([*(filters or ()), compressor], where, compressed=True))
        compressor = None
    else:
        found.append(_filters_codec(filters, where) if filters else BytesCodec(endian=None))
    places.append("filters")
    if compressor is not None:
        place = member(where, "compressor")
        found.append(guard(partial(codecs.parse, compressor, place), place, "codec"))
        places.append("compressor")
    return resolve_chain(found, spec, where, [member(where, place) for place in places])


def filter_configs(layout: Layout) -> list[dict[str, Any]] | None:
    """Return the member ``filters`` of a format 2 array."""
    from fastzarr.codecs.numcodecs.filters import FiltersCodec

    for codec in layout.codecs:
        if isinstance(codec, FiltersCodec):
            return [dict(config) for config in codec.configs()] or None
    return None


def compressor_config(layout: Layout) -> dict[str, Any] | None:
    """Return the member ``compressor`` of a format 2 array."""
    from fastzarr.codecs.numcodecs.filters import FiltersCodec

    for codec in layout.codecs:
        if isinstance(codec, BytesBytesCodec):
            return codec.to_v2()
        if isinstance(codec, FiltersCodec) and codec.compressed:
            return codec.compressor()
    return None


def _zarray(layout: Layout) -> dict[str, Any]:
    fill = layout.fill
    return plain_attributes(layout.extra, stored=True) | {
        "zarr_format": FORMAT.number,
        "shape": list(layout.shape),
        "chunks": list(layout.chunks),
        "dtype": layout.dtype.to_v2(),
        "fill_value": None if fill is None else layout.dtype.fill_to_json(fill, FORMAT.number),
        "order": layout.order or "C",
        "filters": filter_configs(layout),
        "compressor": compressor_config(layout),
        "dimension_separator": layout.keys.separator,
    }


def _check_format(doc: dict[str, Any], where: str) -> None:
    checked.require(as_object(doc, where), ["zarr_format"], where)
    found = doc["zarr_format"]
    if type(found) is not int or found != FORMAT.number:
        fail(f"must be {FORMAT.number}, got {show(found)}", member(where, "zarr_format"))


def _beside(where: str) -> str:
    head, _, _ = where.rpartition(".")
    return f"{head}.zattrs"


def _filters(value: object, where: str) -> list[dict[str, Any]]:
    found = [] if value is None else checked.as_list(value, where)
    return [_numcodec(item, member(where, place)) for place, item in enumerate(found)]


def _numcodec(value: object, where: str) -> dict[str, Any]:
    config = as_object(value, where)
    checked.require(config, ["id"], where)
    if not isinstance(config["id"], str):
        fail(f"must be a string, got {show(config['id'])}", member(where, "id"))
    return config


def _encodes_arrays(compressor: Any, *, objects: bool, first: bool) -> bool:
    if not hasattr(compressor, "keys"):
        return False
    from fastzarr.codecs.numcodecs.filters import encodes_arrays

    return encodes_arrays(compressor, objects=objects, first=first)


def _filters_codec(filters: Sequence[Any], where: str, *, compressed: bool = False) -> Codec:
    from fastzarr.codecs.numcodecs.filters import FiltersCodec

    try:
        make = partial(FiltersCodec, filters=filters, compressed=compressed)
        return guard(make, "filters", "codec")
    except MetadataError as error:
        message = str(error).removeprefix(f"{error.where}: ")
        place = member(where, "filters") + error.where.removeprefix("filters")
        last = f"filters[{len(filters) - 1}]"
        if compressed and error.where.startswith(last):
            place = member(where, "compressor") + error.where.removeprefix(last)
        raise type(error)(message, place) from error


def _dtype(value: object, filters: list[dict[str, Any]], compressor: Any, where: str) -> DataType:
    object_codec = filters[0]["id"] if filters else None
    if object_codec is None and compressor is not None and compressor["id"] in _TEXTS:
        object_codec = compressor["id"]
    if value == "|O" and object_codec is None:
        msg = "the data type '|O' requires an object codec as the first filter"
        fail(msg, member(where, "filters"))
    return dtypes.from_v2(value, member(where, "dtype"), object_codec_id=object_codec)
