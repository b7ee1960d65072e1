"""N5: ``attributes.json``, parsed and written.

Rules of this file, after N5, "File-system specification", version 4.0.0:

* The axes are in the opposite order, as in zarr-python 2: ``dimensions`` of ``[x, y, z]`` is an
  array of shape ``(z, y, x)``, whose blocks are in C order.
* An array is encoded by the equivalent chain of codecs: a transpose, then ``n5_default``.
* One document has the attributes of a node beside its metadata, so an attribute cannot have the
  name of a member. A folder without a document is a group.
* There is no fill value; elements that were never written are zero.
* ``n5``, the version, is required in the root only. zarr-python 2 requires it in groups, too, so it
  is written into every new document. That of an existing document is kept.
* Members of ``compression`` that are not known are ignored, because they are parameters of a
  writer. Those of other implementations have defaults here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastzarr import checked
from fastzarr.checked import as_object, fail, member, show
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.chain import check_sizes, resolve_chain
from fastzarr.codecs.n5_default import N5DefaultCodec, blocks
from fastzarr.codecs.transpose import TransposeCodec
from fastzarr.dtypes import from_numpy
from fastzarr.errors import DataTypeValidationError, MetadataError
from fastzarr.grids.keys import BlockKeys
from fastzarr.grids.regular import as_chunks
from fastzarr.metadata import n5_compression
from fastzarr.metadata.attributes import plain_attributes
from fastzarr.metadata.format import Format, Shown
from fastzarr.metadata.layout import GroupLayout, Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastzarr.codecs.base import BytesBytesCodec, Codec
    from fastzarr.dtypes import DataType
    from fastzarr.metadata.format import Document

NAME = "attributes.json"
_VERSION = "2.0.0"
"""The version that is written, which is that of zarr-python 2."""
_MUST = ("dimensions", "blockSize", "dataType")
_RESERVED = ("n5", *_MUST, "compression")
# The member of version 1 with the type of the compression alone.
_FORMER = "compressionType"
DATA_TYPES = (
    *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float32", "float64"),
)
"""The data types of N5."""
_LARGEST = 2**31
"""The bytes that a block may have at most."""
# What zarr-python 2 writes further: the names of NumPy's dtypes of these kinds.
_KINDS = "bfmM"


class _N5(Format):
    number = "n5"
    attributes = NAME
    documents: ClassVar = {"array": (NAME,), "group": (NAME,)}
    is_everywhere = False
    has_implied_groups = True
    has_fill_value = False
    data_type = "dataType"
    has_one_compressor = True

    def parse(
        self, documents: Mapping[str, Document], where: Callable[[str], str]
    ) -> Layout | GroupLayout:
        return parse(documents[NAME], where(NAME))

    def write(self, node: Layout | GroupLayout) -> dict[str, Document]:
        return {NAME: document(node)}

    def implied_group(self) -> GroupLayout:
        return GroupLayout(self, extra={"n5": None})

    def shown(self, layout: Layout) -> Shown:
        codec = block_codec(layout).compressor
        return Shown((), None, () if codec is None else (n5_compression.shown(codec),))

    def with_filters(self, layout: Layout, filters: list[Any]) -> list[Codec]:
        if filters:
            fail("N5 has no filters", "filters")
        return list(layout.codecs)

    def from_dict(self, doc: Document, where: str | None = None) -> Layout | GroupLayout:
        place = NAME if where is None else where
        outer = ("zarr_format", "node_type", "attributes")
        attributes = as_object(doc.get("attributes", {}), member(place, "attributes"))
        members = {name: value for name, value in doc.items() if name not in outer}
        return parse(_with_attributes(members, attributes), place)

    def to_dict(self, node: Layout | GroupLayout) -> Document:
        members = document(node.with_members(attributes={}))
        outer = {"zarr_format": self.number, "node_type": node.node_type}
        return outer | members | {"attributes": plain_attributes(node.attributes, stored=True)}


FORMAT = _N5()


def parse(doc: dict[str, Any], where: str = NAME) -> Layout | GroupLayout:
    """Return the layout of an ``attributes.json``; ``where`` is its key, which errors name.

    Raise ``MetadataError``, naming the member at fault, if the document is invalid.

    >>> parse({"n5": "2.0.0", "title": "demo"}).attributes
    {'title': 'demo'}
    """
    as_object(doc, where)
    reserved: tuple[str, ...] = _RESERVED
    # The version that is written by default is not an extra member, so that a node is equal to the
    # same node before it was stored.
    extra = {} if doc.get("n5") == _VERSION else {"n5": doc.get("n5")}
    if "dimensions" not in doc:
        # Without it, the other members mean nothing, and stay as they are.
        return GroupLayout(FORMAT, _other(doc, ("n5",)), extra=extra)
    if _FORMER in doc:
        reserved = (*_RESERVED, _FORMER)
        extra[_FORMER] = doc[_FORMER]
    return array_layout(doc, where).with_members(attributes=_other(doc, reserved), extra=extra)


def array_layout(doc: dict[str, Any], where: str) -> Layout:
    """Return the layout of the members of an array, without attributes."""
    checked.require(doc, _MUST, where)
    shape = checked.as_shape(doc["dimensions"], member(where, "dimensions"))
    chunks = as_chunks(doc["blockSize"], shape, member(where, "blockSize"))
    dtype = _dtype(doc["dataType"], member(where, "dataType"))
    compression = doc.get("compression")
    if compression is None:
        if _FORMER not in doc:
            fail("the member 'compression' is missing", where)
        compression = {"type": doc[_FORMER]}
    compressor = n5_compression.parse(compression, member(where, "compression"))
    return make_layout(shape[::-1], dtype, chunks[::-1], compressor, member(where, "blockSize"))


def make_layout(
    shape: tuple[int, ...],
    dtype: DataType,
    chunks: tuple[int, ...],
    compressor: BytesBytesCodec | None,
    where: str,
) -> Layout:
    """Return the layout of an array without attributes; ``where`` is the location of the chunks.

    Raise ``MetadataError`` if the chunks cannot be stored as blocks.
    """
    turned = TransposeCodec(order=tuple(range(len(shape)))[::-1])
    chain = [turned, N5DefaultCodec(codecs=blocks(len(shape), compressor))]
    fill = dtype.default_fill
    codecs = resolve_chain(chain, ChunkSpec(chunks, dtype, fill), where)
    check_sizes(chunks, dtype, codecs, where)
    if math.prod(chunks) * dtype.numpy.itemsize >= _LARGEST:
        fail(f"a block of N5 has less than {_LARGEST} bytes, but that of {chunks} has more", where)
    return Layout(
        format=FORMAT,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        keys=BlockKeys(),
        fill=fill,
        codecs=codecs,
    )


def check_data_type(dtype: DataType) -> None:
    """Raise ``DataTypeValidationError`` for the data type of a new array that N5 does not have."""
    if dtype.name not in DATA_TYPES:
        msg = f"N5 has no data type {dtype.name!r}; it has {', '.join(DATA_TYPES)}"
        raise DataTypeValidationError(msg, "dtype")


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Raise ``MetadataValidationError`` for an attribute with the name of a member."""
    _check_names(attributes, _RESERVED)


def _check_names(attributes: Mapping[str, Any], reserved: tuple[str, ...]) -> None:
    for name in reserved:
        if name in attributes:
            fail(f"N5 reserves the name of the attribute {name!r}; choose another", "attributes")


def block_codec(layout: Layout) -> N5DefaultCodec:
    """Return the codec of the blocks of an array of N5."""
    return layout.codecs[-1]  # type: ignore[return-value]  # as in `make_layout`


def document(node: Layout | GroupLayout) -> dict[str, Any]:
    """Return the ``attributes.json`` of an array or a group.

    >>> document(GroupLayout(FORMAT, {"title": "demo"}))
    {'n5': '2.0.0', 'title': 'demo'}
    """
    extra = {"n5": _VERSION} | plain_attributes(node.extra, stored=True)
    doc = {name: value for name, value in extra.items() if value is not None}
    if isinstance(node, Layout):
        doc |= {
            "dimensions": list(node.shape[::-1]),
            "blockSize": list(node.chunks[::-1]),
            "dataType": node.dtype.numpy.name,
            "compression": n5_compression.document(block_codec(node).compressor),
        }
    return _with_attributes(doc, plain_attributes(node.attributes, stored=True))


def _with_attributes(doc: dict[str, Any], attributes: dict[str, Any]) -> dict[str, Any]:
    check_attributes(attributes)
    if "dimensions" in doc:
        _check_names(attributes, (_FORMER,))
    return doc | attributes


def _other(doc: dict[str, Any], reserved: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name not in reserved}


def _dtype(value: object, where: str) -> DataType:
    if isinstance(value, str) and len(value) <= len("timedelta64[9223372036854775807ns]"):
        if value in DATA_TYPES:
            return from_numpy(value)
        try:
            dtype = np.dtype(value)
            if dtype.kind in _KINDS and dtype.name == value:
                return from_numpy(dtype)
        except (TypeError, ValueError, MetadataError):
            pass
    msg = f"unknown data type {show(value)}; N5 has {', '.join(DATA_TYPES)}"
    raise DataTypeValidationError(msg, where)
