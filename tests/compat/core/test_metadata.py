"""The metadata of arrays of zarr-python, over the layouts of fastzarr."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint

import pytest

from fastzarr.compat import registry
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.chunk_key_encodings import (
    ChunkKeyEncoding,
    parse_chunk_key_encoding,
)
from fastzarr.compat.core.config import config
from fastzarr.compat.core.metadata import ArrayV2Metadata, ArrayV3Metadata
from fastzarr.compat.core.metadata.common import plain
from fastzarr.compat.core.metadata.v3 import RectilinearChunksDisabledError
from fastzarr.compat.registry import register_chunk_key_encoding
from fastzarr.metadata import formats

V3 = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [10, 4],
    "data_type": "float32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [6, 4]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": "0x7fc00001",
    "codecs": [
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
        {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
    ],
    "attributes": {"a": [1, {"b": None}]},
    "dimension_names": ["x", None],
    "more": {"must_understand": False},
}
SHARDED = V3 | {
    "codecs": [
        {
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": [3, 2],
                "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
                "index_codecs": [
                    {"name": "bytes", "configuration": {"endian": "little"}},
                    {"name": "crc32c"},
                ],
                "index_location": "end",
            },
        }
    ]
}
UNEVEN = V3 | {
    "chunk_grid": {
        "name": "rectilinear",
        "configuration": {"kind": "inline", "chunk_shapes": [[[3, 3], 1], 4]},
    }
}
V2 = {
    "zarr_format": 2,
    "shape": [10, 4],
    "chunks": [6, 4],
    "dtype": "|O",
    "fill_value": "",
    "order": "F",
    "filters": [{"id": "vlen-utf8"}],
    "compressor": {"id": "zlib", "level": 1},
    "dimension_separator": "/",
    "attributes": {"a": 1},
}
PLAIN = V2 | {"dtype": [["a", "<i2"], ["b", "|S3"]], "filters": None, "fill_value": None}
DOCUMENTS = {
    "v3": (ArrayV3Metadata, V3),
    "sharded": (ArrayV3Metadata, SHARDED),
    "uneven": (ArrayV3Metadata, UNEVEN),
    "v2": (ArrayV2Metadata, V2),
    "record": (ArrayV2Metadata, PLAIN),
}


@pytest.fixture(params=DOCUMENTS.values(), ids=DOCUMENTS.keys())
def case(request):
    with config.set({"array.rectilinear_chunks": True}):
        yield request.param


def test_metadata_of_a_document_and_of_its_layout_are_the_same(case):
    kind, document = case
    layout = formats.from_dict(document)
    made, shown = kind.from_dict(document), kind.from_layout(layout)
    assert made == shown
    assert hash(made) == hash(shown)
    assert shown.layout is layout
    assert made.layout == layout
    assert formats.from_dict(plain(shown.to_dict())) == layout
    for name in ("shape", "chunks", "shards", "ndim", "attributes", "dtype"):
        if name not in ("chunks", "shards") or document is not UNEVEN:
            assert getattr(made, name) == getattr(shown, name), name


def test_metadata_is_copied_pickled_and_changed(case):
    kind, document = case
    shown = kind.from_layout(formats.from_dict(document))
    for other in (copy.copy(shown), pickle.loads(pickle.dumps(shown)), replace(shown)):
        assert other == shown
        assert other.layout == shown.layout
    changed = shown.update_attributes({"c": 2})
    assert changed.attributes == {"c": 2}
    assert changed.layout.attributes == {"c": 2}
    assert shown.attributes == document["attributes"]
    assert changed.update_shape((12, 4)).layout.grid_shape == (5 if document is UNEVEN else 2, 1)


def test_documents_are_written_as_json(case):
    kind, document = case
    made = kind.from_dict(document)
    buffers = made.to_buffer_dict(default_buffer_prototype())
    written = {name: json.loads(value.to_bytes()) for name, value in buffers.items()}
    if kind is ArrayV3Metadata:
        assert formats.from_dict(written["zarr.json"]) == made.layout
    else:
        assert written[".zattrs"] == document["attributes"]
        assert "attributes" not in written[".zarray"]


def test_a_grid_of_many_chunks_is_not_counted_before_it_is_asked_for():
    many = {"kind": "inline", "chunk_shapes": [[[1, 10**12], 1], 4]}
    document = UNEVEN | {"chunk_grid": {"name": "rectilinear", "configuration": many}}
    shown = ArrayV3Metadata.from_layout(formats.from_dict(document | {"shape": [10**12, 4]}))
    assert shown.shape == (10**12, 4)


def test_uneven_chunks_are_refused_unless_they_are_switched_on():
    with pytest.raises(RectilinearChunksDisabledError, match="disabled by default") as caught:
        ArrayV3Metadata.from_dict(UNEVEN, path="a/b")
    assert "'a/b'" in caught.value.__notes__[0]
    with config.set({"array.rectilinear_chunks": True}):
        made = ArrayV3Metadata.from_dict(UNEVEN)
    with pytest.raises(RectilinearChunksDisabledError):
        made.to_buffer_dict(default_buffer_prototype())


@dataclass(frozen=True)
class Reversed(ChunkKeyEncoding):
    """A key encoding of another package."""

    name = "test.reversed"
    end: str = ""

    def encode_chunk_key(self, chunk_coords):
        return "-".join(map(str, reversed(chunk_coords))) + self.end

    def decode_chunk_key(self, chunk_key):
        return tuple(map(int, reversed(chunk_key.removesuffix(self.end).split("-"))))


def test_a_key_encoding_of_another_package_is_read_from_documents():
    register_chunk_key_encoding("test.reversed", Reversed)
    keys = {"name": "test.reversed", "configuration": {"end": "x"}}
    layout = formats.from_dict(V3 | {"chunk_key_encoding": keys})
    assert layout.keys.encode((1, 2)) == "2-1x"
    assert layout.owns("2-1x")
    assert not layout.owns("2-1")
    shown = ArrayV3Metadata.from_layout(layout)
    assert shown.chunk_key_encoding == Reversed("x")
    assert ArrayV3Metadata.from_dict(plain(shown.to_dict())) == shown


def test_a_key_encoding_that_only_fastzarr_has_is_found_too():
    keys = {"name": "fanout", "configuration": {"max_children": 11}}
    found = parse_chunk_key_encoding(keys)
    assert found.encode_chunk_key((12,)) == "d0/1/2/c"
    assert found.to_dict() == keys
    with pytest.raises(ValueError, match=r"Unknown chunk key encoding.*'nothing'"):
        parse_chunk_key_encoding({"name": "nothing"})


class Declared(Reversed):
    """A key encoding that another package declares."""

    name = "test.declared"


def test_a_document_finds_a_key_encoding_that_a_package_declares(monkeypatch):
    entry = EntryPoint("test.declared", f"{__name__}:Declared", "zarr.chunk_key_encoding")
    known = vars(registry)["_chunk_key_encoding_registry"]
    monkeypatch.setattr(known, "lazy_load_list", [entry])
    layout = formats.from_dict(V3 | {"chunk_key_encoding": {"name": "test.declared"}})
    assert layout.keys.encode((1, 2)) == "2-1"
