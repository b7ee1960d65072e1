"""Format 3: documents and their layouts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr import codecs, dtypes
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.chain import resolve_chain
from fastzarr.grids.keys import ChunkKeys
from fastzarr.metadata import json as document
from fastzarr.metadata import v3
from fastzarr.metadata.layout import GroupLayout, Layout

BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def array(**members: Any) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [10, 20],
        "data_type": "int32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 10]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 7,
        "codecs": [BYTES],
        "attributes": {"units": "K"},
    } | members


def test_an_array_document_becomes_a_layout_and_the_same_document_again():
    doc = array(dimension_names=["y", None])
    layout = v3.parse(doc)
    assert isinstance(layout, Layout)
    assert (layout.zarr_format, layout.shape, layout.chunks) == (3, (10, 20), (4, 10))
    assert layout.dtype.name == "int32"
    assert layout.fill == np.int32(7)
    assert layout.keys == ChunkKeys("default", "/")
    assert layout.dimension_names == ("y", None)
    assert layout.attributes == {"units": "K"}
    assert v3.document(layout) == doc


def test_a_group_document_becomes_a_layout_and_the_same_document_again():
    doc = {"zarr_format": 3, "node_type": "group", "attributes": {"a": [1]}}
    assert v3.parse(doc) == GroupLayout(v3.FORMAT, {"a": [1]})
    assert v3.document(v3.parse(doc)) == doc


def test_what_may_be_missing():
    doc = array(dimension_names=None, storage_transformers=[])
    del doc["attributes"]
    layout = v3.parse(doc)
    assert (layout.attributes, layout.dimension_names, layout.extra) == ({}, None, {})
    assert "dimension_names" not in v3.document(layout)
    group = v3.parse({"zarr_format": 3, "node_type": "group", "consolidated_metadata": None})
    assert group == GroupLayout(v3.FORMAT)


@pytest.mark.parametrize(
    ("encoding", "keys"),
    [
        ("default", ChunkKeys("default", "/")),
        ("v2", ChunkKeys("v2", ".")),
        ({"name": "default"}, ChunkKeys("default", "/")),
        ({"name": "v2", "configuration": {}}, ChunkKeys("v2", ".")),
        ({"name": "v2", "configuration": {"separator": "/"}}, ChunkKeys("v2", "/")),
        ({"name": "default", "configuration": {"separator": "."}}, ChunkKeys("default", ".")),
    ],
)
def test_key_encodings_have_defaults_of_their_own(encoding, keys):
    layout = v3.parse(array(chunk_key_encoding=encoding))
    assert layout.keys == keys
    assert v3.parse(v3.document(layout)) == layout


def test_zero_chunks_are_read_along_axes_of_length_zero_alone():
    grid = {"name": "regular", "configuration": {"chunk_shape": [0, 10]}}
    layout = v3.parse(array(shape=[0, 20], chunk_grid=grid))
    assert layout.chunks == (1, 10)
    assert layout.grid_shape == (0, 2)


def test_members_that_need_not_be_understood_are_kept():
    extra = {"stats": {"must_understand": False, "max": 3}}
    transformers = {"storage_transformers": [{"name": "cache", "must_understand": False}]}
    doc = array(**extra, **transformers)
    layout = v3.parse(doc)
    assert layout.extra == extra | transformers
    assert v3.document(layout) == doc
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}} | extra
    assert v3.document(v3.parse(group)) == group


def test_a_codec_that_is_understood_may_say_that_it_need_not_be():
    assert v3.parse(array(codecs=[BYTES | {"must_understand": False}])).codecs == (
        codecs.from_v3(BYTES, "codecs[0]"),
    )


def test_the_legacy_structured_type_means_little_endian_and_is_not_written():
    fields = [["a", "int32"], ["b", "float64"]]
    old = array(
        data_type={"name": "structured", "configuration": {"fields": fields}},
        fill_value="AQAAAAAAAAAAAPA/",
        codecs=[{"name": "bytes"}],
    )
    layout = v3.parse(old)
    assert layout.fill.item() == (1, 1.0)
    new = v3.document(layout)
    assert new["data_type"]["name"] == "struct"
    assert new["codecs"] == [BYTES]
    assert v3.parse(new) == layout


def test_codecs_are_fitted_to_the_data_type():
    blosc = {
        "name": "blosc",
        "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle"},
    }
    blosc["configuration"] |= {"blocksize": 0}
    layout = v3.parse(array(codecs=[{"name": "bytes"}, blosc], data_type="int8"))
    assert layout.codecs[0].to_dict() == {"name": "bytes"}
    assert v3.parse(v3.document(layout)) == layout


@pytest.mark.parametrize("name", ["zarr-python-3.1.6-format-3"])
def test_documents_of_others_are_read_and_rewritten_with_the_same_meaning(golden, name):
    for key, data in golden(name).items():
        doc = document.loads(data, key)
        node = v3.parse(doc, key)
        again = v3.parse(document.loads(document.dumps(v3.document(node)), key), key)
        if isinstance(node, Layout):
            assert again == node
            assert list(node.shape) == doc["shape"]
            assert v3.document(node).keys() >= doc.keys() - {"storage_transformers"}


def test_documents_of_zarr_python(golden):
    found = {
        key.removesuffix("/zarr.json"): v3.parse(document.loads(data, key), key)
        for key, data in golden("zarr-python-3.1.6-format-3").items()
    }
    assert np.isnan(found["named"].fill)
    assert found["sharded"].shards == (4, 10)
    assert found["sharded"].inner_chunks == (2, 5)
    assert found["nested"].inner_chunks == (4,)
    assert found["transposed"].fill == 1 + 2j
    assert [codec.name for codec in found["transposed"].compressors] == ["blosc", "gzip", "crc32c"]
    assert found["t/string"].fill == "é"
    assert found["t/bytes"].fill == b"ab"
    assert np.isnat(found["t/datetime"].fill)
    assert found["t/datetime"].dtype.numpy == np.dtype("M8[10ms]")
    assert found["t/timedelta"].fill == np.timedelta64(5, "ns")
    assert found["t/structured"].dtype.numpy == np.dtype([("a", "i4"), ("b", "f8")])
    assert found["t/S3"].fill == b"ab"
    assert found["t/U3"].fill == "ab"
    assert found["t/inf"].fill == -np.inf
    assert found["t/keys_v2"].keys == ChunkKeys("v2", "/")
    assert found["t/keys_dot"].keys == ChunkKeys("default", ".")
    assert found["t/empty"].grid_shape == (0, 1)


NAMES = ["bool", "int8", "uint16", "int64", "float16", "float32", "float64", "complex64", "r16"]
NAMES += ["string", "variable_length_bytes"]


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Draw arrays of format 3: data types, fill values, chains, shards, names, attributes."""
    dtype = dtypes.from_v3(draw(st.sampled_from(NAMES)), "data_type")
    fill: Any = dtype.default_fill
    if dtype.itemsize is not None:
        data = draw(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize))
        if dtype.name == "bool":
            data = bytes([data[0] & 1])
        fill = np.frombuffer(data, dtype.numpy)[0]
    elif dtype.name == "string":
        fill = draw(st.text(st.characters(exclude_categories=["Cs"])))
    ndim = draw(st.integers(0, 4))
    inner = draw(st.lists(st.integers(1, 5), min_size=ndim, max_size=ndim))
    serializer = {"string": "vlen-utf8"}.get(dtype.name, "vlen-bytes")
    if dtype.itemsize is not None:
        serializer = {"name": "bytes"}
        if dtype.multibyte:
            serializer["configuration"] = {"endian": draw(st.sampled_from(["little", "big"]))}
    compressors = [{"name": "gzip", "configuration": {"level": draw(st.integers(0, 9))}}, "crc32c"]
    chain: list[Any] = [serializer, *draw(st.lists(st.sampled_from(compressors), max_size=2))]
    chunks = inner
    if draw(st.booleans()):
        chunks = [size * draw(st.integers(1, 3)) for size in inner]
        chain = [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": inner,
                    "codecs": chain,
                    "index_codecs": [BYTES, "crc32c"],
                    "index_location": draw(st.sampled_from(["start", "end"])),
                },
            }
        ]
    elif draw(st.booleans()):
        order = draw(st.permutations(range(ndim)))
        chain.insert(0, {"name": "transpose", "configuration": {"order": list(order)}})
    spec = ChunkSpec(tuple(chunks), dtype, fill)
    parsed = [codecs.from_v3(codec, "codecs") for codec in chain]
    names = st.none() | st.text(max_size=3)
    values = st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
    return Layout(
        format=v3.FORMAT,
        shape=tuple(draw(st.lists(st.integers(0, 2**15), min_size=ndim, max_size=ndim))),
        dtype=dtype,
        chunks=tuple(chunks),
        keys=ChunkKeys(draw(st.sampled_from(["default", "v2"])), draw(st.sampled_from("/."))),
        fill=fill,
        codecs=resolve_chain(parsed, spec, "codecs"),
        dimension_names=draw(st.none() | st.tuples(*[names] * ndim)),
        attributes=draw(st.dictionaries(st.text(), values | st.lists(values))),
    )


@given(layouts())
def test_written_values_are_read_back(layout):
    data = document.dumps(v3.document(layout))
    json.loads(data, parse_constant=pytest.fail)
    assert v3.parse(document.loads(data, "zarr.json")) == layout
