"""N5's ``attributes.json``, parsed and written."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numcodecs
import numpy as np
import pytest
from hypothesis import given

import fastzarr
from fastzarr import codecs, errors
from fastzarr.codecs.lz4_block import Lz4BlockCodec
from fastzarr.metadata import json, n5, n5_compression
from fastzarr.metadata.layout import GroupLayout, Layout

ARRAY: dict[str, Any] = {
    "dimensions": [7, 5],
    "blockSize": [4, 3],
    "dataType": "uint16",
    "compression": {"type": "gzip", "level": 3, "useZlib": False},
}


def parsed(**members: Any) -> Layout:
    doc = {k: v for k, v in (ARRAY | members).items() if v is not ...}
    found = n5.parse(doc, "a/attributes.json")
    assert isinstance(found, Layout)
    return found


def test_the_axes_are_in_the_opposite_order() -> None:
    layout = parsed()
    assert (layout.shape, layout.chunks, layout.zarr_format) == ((5, 7), (3, 4), "n5")
    assert (layout.dtype.numpy, layout.fill, layout.keys.encode((1, 0))) == (np.uint16, 0, "0/1")
    assert layout.keys.decode("0/1", 2) == (1, 0)
    assert layout.keys.decode("0/01", 2) is layout.keys.decode("0.1", 2) is None


def test_a_document_is_written_as_it_was_read() -> None:
    doc = ARRAY | {"axes": ["x", "y"], "_ARRAY_DIMENSIONS": ["y", "x"]}
    assert n5.document(n5.parse(doc)) == doc
    for version in ("2.0.0", "4.0.0", "1"):
        assert n5.document(n5.parse(doc | {"n5": version})) == doc | {"n5": version}
        group = {"n5": version, "title": "demo"}
        assert n5.document(n5.parse(group)) == group
    assert n5.document(n5.parse({})) == {}


def test_attributes_may_be_infinite() -> None:
    values = {"low": float("-inf"), "missing": [float("nan")]}
    root = fastzarr.open_group({}, zarr_format="n5", attributes=values)
    assert b'"low": -Infinity' in root.store["attributes.json"]
    found = fastzarr.open_group(root.store, mode="r", zarr_format="n5").attrs
    assert (found["low"], math.isnan(found["missing"][0])) == (float("-inf"), True)


def test_a_new_document_has_the_version_of_zarr_2() -> None:
    assert n5.document(GroupLayout(n5.FORMAT)) == {"n5": "2.0.0"}
    new = n5.make_layout((5, 7), parsed().dtype, (3, 4), codecs.GzipCodec(level=3), "")
    assert n5.document(new) == {"n5": "2.0.0"} | ARRAY
    assert n5.parse(n5.document(new)) == new


def test_without_dimensions_it_is_a_group() -> None:
    group = n5.parse({"n5": "2.0.0", "dataType": "uint8", "a": 1})
    assert isinstance(group, GroupLayout)
    assert group.attributes == {"dataType": "uint8", "a": 1}


@pytest.mark.parametrize("name", ["n5", "dimensions", "blockSize", "dataType", "compression"])
def test_an_attribute_cannot_have_the_name_of_a_member(name: str) -> None:
    for node in (GroupLayout(n5.FORMAT), parsed()):
        with pytest.raises(errors.MetadataError, match=f"attribute '{name}'"):
            n5.document(node.with_members(attributes={name: 1}))


def test_an_attribute_of_an_array_cannot_have_the_name_of_a_former_member() -> None:
    array = fastzarr.open_array({}, mode="w", shape=(5,), dtype="u1", zarr_format="n5")
    with pytest.raises(errors.MetadataError, match="attribute 'compressionType'"):
        array.attrs["compressionType"] = "gzip"
    group = fastzarr.open_group({}, zarr_format="n5", attributes={"compressionType": "gzip"})
    assert b'"compressionType": "gzip"' in group.store["attributes.json"]


def test_the_compression_of_version_1_is_its_type_alone() -> None:
    layout = parsed(compression=..., compressionType="gzip")
    assert layout.compressor == numcodecs.GZip(6)
    document = n5.document(layout)
    assert document["compressionType"] == "gzip"
    assert n5.parse(document) == layout


@pytest.mark.parametrize(
    ("compression", "codec"),
    [
        ({"type": "raw"}, None),
        ({"type": "gzip"}, numcodecs.GZip(6)),
        ({"type": "gzip", "level": -1, "useZlib": True}, numcodecs.Zlib(6)),
        ({"type": "bzip2"}, numcodecs.BZ2(9)),
        ({"type": "bzip2", "blockSize": 3}, numcodecs.BZ2(3)),
        ({"type": "xz"}, numcodecs.LZMA(preset=6)),
        ({"type": "lzma", "format": 2, "preset": 1}, numcodecs.LZMA(2, -1, 1)),
        ({"type": "lz4"}, Lz4BlockCodec()),
        ({"type": "lz4", "blockSize": 1024}, Lz4BlockCodec(blockSize=1024)),
        ({"type": "lz4", "blockSize": 6}, Lz4BlockCodec()),
        ({"type": "lz4", "acceleration": 3, "id": "lz4"}, numcodecs.LZ4(3)),
        ({"type": "zstd"}, numcodecs.Zstd(3)),
        ({"type": "zstd", "level": 5, "nbWorkers": 2, "id": "zstd"}, numcodecs.Zstd(5)),
        (
            {"type": "blosc", "cname": "zstd", "clevel": 3, "shuffle": 2, "nthreads": 4},
            numcodecs.Blosc("zstd", 3, 2),
        ),
    ],
    ids=str,
)
def test_types_of_compression_are_codecs(compression: dict[str, Any], codec: Any) -> None:
    layout = parsed(compression=compression)
    assert layout.compressor == codec
    assert (layout.filters, layout.serializer) == ((), None)
    # What is written for the codec is read as the same one.
    again = n5.parse(n5.document(layout))
    assert again == layout


@pytest.mark.parametrize(
    ("given_codec", "document"),
    [
        ("gzip", {"type": "gzip", "level": 5, "useZlib": False}),
        (numcodecs.Zlib(2), {"type": "gzip", "level": 2, "useZlib": True}),
        ({"id": "zlib"}, {"type": "gzip", "level": 1, "useZlib": True}),
        (numcodecs.BZ2(4), {"type": "bzip2", "blockSize": 4}),
        (numcodecs.LZMA(), {"type": "xz", "preset": 6}),
        (numcodecs.LZMA(check=4, preset=2), {"type": "xz", "preset": 2}),
        ("zstd", {"type": "zstd", "level": 0}),
        ("lz4", {"type": "lz4", "blockSize": 65536}),
        (numcodecs.LZ4(), {"type": "lz4", "blockSize": 65536}),
        ({"type": "xz", "preset": 3}, {"type": "xz", "preset": 3}),
        (
            numcodecs.Blosc("lz4", 2, 1, 512),
            {"type": "blosc", "cname": "lz4", "clevel": 2, "shuffle": 1, "blocksize": 512},
        ),
    ],
    ids=str,
)
def test_codecs_are_types_of_compression(given_codec: Any, document: dict[str, Any]) -> None:
    found = n5_compression.of(given_codec, "compressors")
    layout = n5.make_layout((4,), parsed().dtype, (2,), found, "")
    assert n5.document(layout)["compression"] == document


def test_a_codec_that_n5_lacks_is_refused() -> None:
    for codec in ("crc32c", numcodecs.CRC32(), numcodecs.Delta("i2"), "sharding_indexed", 5):
        with pytest.raises(errors.MetadataError, match="compressors"):
            n5_compression.of(codec, "compressors")


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"blockSize": ...}, "attributes.json: the member 'blockSize' is missing"),
        ({"dataType": ...}, "'dataType' is missing"),
        ({"compression": ...}, "'compression' is missing"),
        ({"dimensions": [7]}, "blockSize: has 2 sizes for the 1 axes"),
        ({"dimensions": [-7, 5]}, r"dimensions\[0\]: must be at least 0"),
        ({"dimensions": 5}, "dimensions: must be a list"),
        ({"dimensions": [2**62, 2**62]}, "more than 2"),
        ({"blockSize": [0, 1]}, r"blockSize\[0\]: must be at least 1"),
        ({"blockSize": [2**31, 1]}, "blockSize: a chunk of"),
        ({"blockSize": [True, 1]}, "blockSize"),
        ({"dataType": "string"}, "dataType: unknown data type 'string'; N5 has uint8,"),
        ({"dataType": "object"}, "dataType: unknown"),
        ({"dataType": "complex64"}, "dataType: unknown"),
        ({"dataType": "<u2"}, "dataType: unknown"),
        ({"dataType": "u2"}, "dataType: unknown"),
        ({"dataType": ["uint8"]}, "dataType: unknown"),
        ({"compression": "gzip"}, "compression: must be an object"),
        ({"compression": {}}, "compression: the member 'type' is missing"),
        ({"compression": {"type": "jpeg"}}, "compression.type: unknown type of compression 'jpeg'"),
        ({"compression": {"type": []}}, "compression.type: unknown"),
        ({"compression": {"type": "gzip", "level": 10}}, "compression.level: must be an integer"),
        ({"compression": {"type": "gzip", "useZlib": 1}}, "compression.useZlib: must be true"),
        ({"compression": {"type": "bzip2", "blockSize": 0}}, "compression.blockSize"),
        ({"compression": {"type": "xz", "preset": "9"}}, "compression.preset"),
        ({"compression": {"type": "lzma", "format": 9}}, "compression.format"),
        ({"compression": {"type": "lzma", "filters": 9}}, "compression.filters"),
        ({"compression": {"type": "lz4", "blockSize": -1}}, "compression.blockSize"),
        ({"compression": {"type": "lz4", "acceleration": "a"}}, "compression.acceleration"),
        ({"compression": {"type": "blosc", "cname": "x"}}, "compression.cname"),
        ({"compression": {"type": "zstd", "level": 99}}, "compression.level"),
    ],
    ids=str,
)
def test_an_invalid_document_raises_an_error_that_names_the_member(
    members: dict[str, Any], says: str
) -> None:
    with pytest.raises(errors.MetadataError, match=says) as caught:
        parsed(**members)
    assert caught.value.where.startswith("a/attributes.json")


_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=6),
        st.sampled_from(["gzip", "lzma", "xz", "lz4", "blosc", "zstd", "bzip2", "float32", "n5"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
_compressions = st.fixed_dictionaries(
    {"type": st.sampled_from(["blosc", "bzip2", "gzip", "lz4", "lzma", "raw", "xz", "zstd"])},
    optional=dict.fromkeys(
        (
            *("level", "useZlib", "blockSize", "preset", "format", "check", "filters", "cname"),
            *("clevel", "shuffle", "blocksize", "acceleration", "checksum"),
        ),
        _values,
    ),
)


@given(
    st.dictionaries(st.sampled_from([*ARRAY, "n5", "compressionType", "a"]), _values),
    st.none() | _compressions,
)
def test_garbage_in_any_member_raises_an_error_of_metadata(
    members: dict[str, Any], compression: Any
) -> None:
    doc = ARRAY | members
    if compression is not None:
        doc["compression"] = compression
    where, name = "", "attributes.json"
    try:
        node = n5.parse(doc, name)
    except errors.MetadataError as error:
        where = error.where
    if where:
        assert where.startswith(name)
        return
    again = n5.parse(json.loads(json.dumps(n5.document(node), name), name))
    assert json.alike(n5.document(again), n5.document(node))
