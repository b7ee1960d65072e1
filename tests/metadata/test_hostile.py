"""Invalid and hostile documents: each raises a ``MetadataError`` that names the location."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.config import config
from fastzarr.errors import DataTypeValidationError, LimitError, MetadataError, UnknownCodecError
from fastzarr.metadata import Layout, v2, v3
from fastzarr.metadata import json as document
from fastzarr.metadata.attributes import plain_attributes

# Some of the documents are read, with a warning of what is not valid in them.
pytestmark = pytest.mark.filterwarnings("ignore::fastzarr.errors.ZarrUserWarning")

ARRAY_V3: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [10, 20],
    "data_type": "int32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 10]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": 7,
    "codecs": [
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "gzip", "configuration": {"level": 1}},
    ],
    "attributes": {"units": "K"},
    "dimension_names": ["y", None],
}
SHARDED_V3: dict[str, Any] = ARRAY_V3 | {
    "codecs": [
        {
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": [2, 5],
                "codecs": [
                    {"name": "bytes", "configuration": {"endian": "little"}},
                    {"name": "gzip", "configuration": {"level": 1}},
                ],
                "index_codecs": [
                    {"name": "bytes", "configuration": {"endian": "little"}},
                    {"name": "crc32c"},
                ],
                "index_location": "end",
            },
        }
    ]
}
ARRAY_V2: dict[str, Any] = {
    "zarr_format": 2,
    "shape": [10, 20],
    "chunks": [4, 10],
    "dtype": "<i4",
    "fill_value": 7,
    "order": "F",
    "filters": [{"id": "delta", "dtype": "<i4"}],
    "compressor": {"id": "zlib", "level": 1},
    "dimension_separator": "/",
}


def changed(doc: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Return a copy of a document with one member changed; ``...`` removes it."""
    root = copy.deepcopy(doc)
    inner: Any = root
    for name in path[:-1]:
        inner = inner[name]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return root


def paths(value: Any, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all members and items of a document."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    found = []
    for name, item in items:
        found += [(*prefix, name), *paths(item, (*prefix, name))]
    return found


WORDS = [
    *("bytes", "gzip", "crc32c", "vlen-utf8", "vlen-bytes", "sharding_indexed", "transpose"),
    *("blosc", "zstd", "delta", "pickle", "numcodecs.zlib", "int8", "float64", "string", "r16"),
    *("|O", "|S3", ">f8", "<M8[10ms]", "default", "v2", "regular", "inline", "little", "C"),
    *("NaN", "0x0", "AAAA"),
]
WEIRD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**400])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "configuration", "must_understand", "id", "level", "order"])
            | st.sampled_from(["fields", "data_type", "unit", "codecs", "chunk_shape", "endian"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@st.composite
def mutations(draw: st.DrawFn, docs: list[dict[str, Any]]) -> dict[str, Any]:
    """Draw one of the documents with some members changed, removed, added or swapped."""
    doc = copy.deepcopy(draw(st.sampled_from(docs)))
    for _ in range(draw(st.integers(1, 3))):
        places = paths(doc)
        if not places:
            break
        place = draw(st.sampled_from(places))
        inner: Any = doc
        for name in place[:-1]:
            inner = inner[name]
        action = draw(st.sampled_from(["set", "set", "delete", "copy", "add"]))
        if action == "set":
            inner[place[-1]] = draw(WEIRD)
        elif action == "delete":
            del inner[place[-1]]
        elif action == "copy":
            source: Any = doc
            for name in draw(st.sampled_from(places)):
                source = source[name]
            inner[place[-1]] = copy.deepcopy(source)
        elif isinstance(inner, dict):
            inner[draw(st.text(max_size=5))] = draw(WEIRD)
        else:
            inner.append(draw(WEIRD))
    return doc


def shard(path: str) -> tuple[str | int, ...]:
    """Return the path of a member of the sharding codec's configuration."""
    return ("codecs", 0, "configuration", *path.split("."))


GRID = ("chunk_grid", "configuration", "chunk_shape")
GRID_PLACE = "chunk_grid.configuration.chunk_shape"
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        # Missing members, and members of the wrong type.
        *[
            ((name,), ..., "", f"the member '{name}' is missing")
            for name in ARRAY_V3
            if name not in ("attributes", "dimension_names", "codecs")
        ],
        *[
            ((name,), value, name, "must be")
            for name in ("shape", "codecs", "dimension_names")
            for value in (5, "ab", True, {}, 1.5)
        ],
        *[
            ((name,), value, name, "must be an object")
            for name in ("chunk_grid", "chunk_key_encoding", "attributes")
            for value in (5, True, [], 1.5, None)
        ],
        (("zarr_format",), 2, "zarr_format", "must be 3, got 2"),
        (("zarr_format",), 3.0, "zarr_format", "must be 3, got 3.0"),
        (("zarr_format",), True, "zarr_format", "must be 3, got True"),
        (("node_type",), "Array", "node_type", "must be 'array' or 'group'"),
        (("node_type",), ["array"], "node_type", "must be 'array' or 'group'"),
        # Sizes.
        (("shape", 1), -1, "shape[1]", "at least 0, got -1"),
        (("shape", 0), 10.0, "shape[0]", "must be an integer, got 10.0"),
        (("shape", 0), True, "shape[0]", "must be an integer, got True"),
        (("shape", 0), "10", "shape[0]", "must be an integer, got '10'"),
        (("shape", 0), None, "shape[0]", "must be an integer"),
        (("shape", 0), 2**63, "shape[0]", "at most 2**63 - 1"),
        (("shape", 0), 10**400, "shape[0]", "at most 2**63 - 1"),
        (("shape",), [2**32, 2**32], "shape", "more than 2**63 - 1 elements"),
        (("shape",), [0, 2**62, 2**62], "shape", "more than 2**63 - 1 elements"),
        (("shape",), [1] * 65, "shape", "65 dimensions"),
        (("shape",), [10], GRID_PLACE, "2 sizes for the 1 axes"),
        ((*GRID, 0), -4, GRID_PLACE + "[0]", "at least 1, got -4"),
        ((*GRID, 0), 4.0, GRID_PLACE + "[0]", "must be an integer"),
        (GRID, [4], GRID_PLACE, "1 sizes for the 2 axes"),
        (GRID, [4] * 65, GRID_PLACE, "65 dimensions"),
        (GRID, [2**31, 10], GRID_PLACE, "limits.chunk_bytes"),
        (GRID, [2**62, 2**62], GRID_PLACE, "limits.chunk_bytes"),
        (GRID, ..., "chunk_grid.configuration", "the member 'chunk_shape' is missing"),
        # Extension points.
        (("chunk_grid", "name"), "hexagonal", "chunk_grid", "unknown chunk grid 'hexagonal'"),
        (("chunk_grid", "name"), 5, "chunk_grid.name", "must be a string"),
        (("chunk_grid", "more"), 1, "chunk_grid.more", "unknown member; known"),
        (("chunk_grid", "must_understand"), 0, "chunk_grid.must_understand", "true or false"),
        (("chunk_grid", "configuration"), [], "chunk_grid.configuration", "must be an object"),
        (("chunk_grid", "configuration", "x"), 1, "chunk_grid.configuration.x", "unknown member"),
        (("chunk_grid",), "regular", "chunk_grid.configuration", "'chunk_shape' is missing"),
        (("chunk_key_encoding",), "n5", "chunk_key_encoding", "unknown chunk key encoding 'n5'"),
        (
            ("chunk_key_encoding", "configuration", "separator"),
            "|",
            "chunk_key_encoding.configuration.separator",
            "must be '/' or '.'",
        ),
        (
            ("chunk_key_encoding", "configuration", "separator"),
            ["/"],
            "chunk_key_encoding.configuration.separator",
            "must be '/' or '.'",
        ),
        (
            ("chunk_key_encoding", "configuration", "base"),
            1,
            "chunk_key_encoding.configuration.base",
            "unknown member; known members: separator",
        ),
        (("data_type",), "int33", "data_type", "int33"),
        (("data_type",), {"name": "int33"}, "data_type", "int33"),
        (("data_type",), {"name": "int32", "configuration": 3}, "data_type.configuration", ""),
        (("data_type",), None, "data_type", ""),
        (("fill_value",), "seven", "fill_value", ""),
        (("fill_value",), 2**31, "fill_value", ""),
        (("fill_value",), 7.5, "fill_value", ""),
        (("fill_value",), float("nan"), "fill_value", ""),
        (
            ("storage_transformers",),
            ["cache"],
            "storage_transformers[0]",
            "unknown storage transformer 'cache'",
        ),
        (
            ("storage_transformers",),
            [{"name": "x"}],
            "storage_transformers[0]",
            "unknown storage transformer 'x'",
        ),
        (("storage_transformers",), {}, "storage_transformers", "must be a list"),
        (("extra",), 1, "extra", "unknown extension 'extra', which must be understood"),
        (("extra",), {"name": "x"}, "extra", "must be understood"),
        (("extra",), {"must_understand": True}, "extra", "must be understood"),
        (("extra",), {"must_understand": 0}, "extra", "must be understood"),
        (("dimension_names",), ["y"], "dimension_names", "1 names for the 2 axes"),
        (("dimension_names", 1), 3, "dimension_names[1]", "must be a string or null"),
        # Codecs.
        (("codecs",), [BYTES, BYTES], "codecs", "only one codec may"),
        (
            ("codecs",),
            [BYTES, {"name": "transpose", "configuration": {"order": [1, 0]}}],
            "codecs[1]",
            "'transpose' cannot follow 'bytes'",
        ),
        (("codecs",), [{"name": "crc32c"}, BYTES], "codecs[1]", "'bytes' cannot follow"),
        (("codecs", 1, "name"), "morse", "codecs[1]", "morse"),
        (("codecs", 1), "morse", "codecs[1]", "morse"),
        (("codecs", 1), {"name": "morse", "must_understand": False}, "codecs[1]", "morse"),
        (("codecs", 1), 5, "codecs[1]", ""),
        (("codecs", 1), None, "codecs[1]", ""),
        (("codecs", 1, "name"), ..., "codecs[1]", ""),
        (("codecs", 1, "name"), None, "codecs[1].name", "must be a string"),
        (("codecs", 1, "more"), 1, "codecs[1].more", "unknown member"),
        (("codecs", 1, "configuration"), 1, "codecs[1].configuration", ""),
        (("codecs", 1, "configuration", "endian"), "middle", "codecs[1].configuration.endian", ""),
        (("codecs", 1, "configuration"), ..., "codecs[1].configuration", "'endian' is missing"),
        (("codecs", 2, "configuration", "level"), 10, "codecs[2].configuration.level", ""),
        (("codecs", 2, "configuration", "level"), True, "codecs[2].configuration.level", ""),
        (("codecs", 2, "configuration", "more"), 1, "codecs[2].configuration.more", ""),
        (("codecs", 0, "configuration", "order"), [0, 0], "codecs[0].configuration.order", ""),
        (("codecs", 0, "configuration", "order"), [0, 1, 2], "codecs[0].configuration", ""),
        (("codecs", 1), {"name": "vlen-utf8"}, "codecs[1].configuration", ""),
    ],
)
def test_a_broken_array_of_format_3(path, value, place, message):
    with pytest.raises(MetadataError) as caught:
        v3.parse(changed(ARRAY_V3, path, value), "a/zarr.json")
    assert caught.value.where == ("a/zarr.json: " + place if place else "a/zarr.json")
    assert str(caught.value).startswith(caught.value.where)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        (shard("chunk_shape"), [3, 5], ".chunk_shape[0]", "does not divide"),
        (shard("chunk_shape"), [2, 5, 1], ".chunk_shape", "axes"),
        (shard("chunk_shape"), [0, 5], ".chunk_shape[0]", ""),
        (shard("chunk_shape"), [2.0, 5], ".chunk_shape[0]", ""),
        (shard("chunk_shape"), "25", ".chunk_shape", ""),
        (shard("chunk_shape"), ..., "", "chunk_shape"),
        (shard("codecs"), [], ".codecs", ""),
        (shard("codecs"), [{"name": "crc32c"}], ".codecs", "no codec encodes the array as bytes"),
        (shard("codecs"), [{"name": "morse"}], ".codecs[0]", "morse"),
        (shard("codecs"), [{"name": "bytes"}], ".codecs[0].configuration", "'endian' is missing"),
        (
            shard("index_codecs"),
            [{"name": "crc32c"}, BYTES],
            ".index_codecs[1]",
            "cannot follow",
        ),
        (shard("index_codecs"), [{"name": "bytes"}], ".index_codecs[0].configuration", "endian"),
        (shard("index_codecs"), 5, ".index_codecs", ""),
        (shard("index_location"), "middle", ".index_location", ""),
        (shard("more"), 1, ".more", ""),
    ],
)
def test_broken_sharding(path, value, place, message):
    with pytest.raises(MetadataError) as caught:
        v3.parse(changed(SHARDED_V3, path, value), "a/zarr.json")
    assert caught.value.where == "a/zarr.json: codecs[0].configuration" + place
    assert message in str(caught.value)


def test_unknown_names_have_errors_of_their_own():
    with pytest.raises(UnknownCodecError, match="morse"):
        v3.parse(changed(ARRAY_V3, ("codecs", 1, "name"), "morse"))
    with pytest.raises(DataTypeValidationError, match="int33"):
        v3.parse(changed(ARRAY_V3, ("data_type",), "int33"))
    with pytest.raises(UnknownCodecError, match="morse"):
        v2.parse_array(changed(ARRAY_V2, ("compressor",), {"id": "morse"}))


def nested(levels: int) -> dict[str, Any]:
    chain = [BYTES]
    for _ in range(levels):
        configuration = {
            "chunk_shape": [1, 1],
            "codecs": chain,
            "index_codecs": [BYTES],
            "index_location": "end",
        }
        chain = [{"name": "sharding_indexed", "configuration": configuration}]
    return changed(ARRAY_V3, ("codecs",), chain)


def test_shards_nest_up_to_the_limit():
    limit = config["limits.shard_nesting"]
    assert v3.parse(nested(limit)).inner_chunks == (1, 1)
    for levels in (limit + 1, 15, 300):
        with pytest.raises(MetadataError, match=r"zarr\.json: codecs.* nested"):
            v3.parse(nested(levels))


def test_the_number_of_inner_chunks_is_limited():
    doc = changed(SHARDED_V3, GRID, [2**20, 2**20])
    doc["shape"] = [2**20, 2**20]
    doc["codecs"][0]["configuration"]["chunk_shape"] = [1, 1]
    with pytest.raises(LimitError, match=r"limits\.inner_chunks"):
        v3.parse(doc)


def test_a_shard_may_be_larger_than_a_chunk():
    doc = changed(SHARDED_V3, GRID, [2**20, 2**20])
    doc["codecs"][0]["configuration"]["chunk_shape"] = [2**10, 2**10]
    assert v3.parse(doc).inner_chunks == (1024, 1024)
    doc["codecs"][0]["configuration"]["chunk_shape"] = [2**20, 2**18]
    with pytest.raises(LimitError, match=r"limits\.chunk_bytes"):
        v3.parse(doc)


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        *[
            ((name,), ..., "", f"the member '{name}' is missing")
            for name in ("zarr_format", "shape", "chunks", "dtype", "fill_value", "order")
        ],
        (("zarr_format",), 3, "zarr_format", "must be 2, got 3"),
        (("zarr_format",), "2", "zarr_format", "must be 2, got '2'"),
        (("shape",), None, "shape", "must be a list"),
        (("shape", 0), -1, "shape[0]", "at least 0"),
        (("shape", 0), 1.5, "shape[0]", "must be an integer"),
        (("shape",), [2**40] * 3, "shape", "more than 2**63 - 1 elements"),
        (("shape",), [1] * 65, "shape", "65 dimensions"),
        (("chunks", 1), -1, "chunks[1]", "at least 1"),
        (("chunks", 1), [5, 5], "chunks[1]", "must be an integer"),
        (("chunks",), [4], "chunks", "1 sizes for the 2 axes"),
        (("chunks",), True, "chunks", "must be a list"),
        (("chunks",), [2**40, 2**40], "chunks", "limits.chunk_bytes"),
        (("order",), "K", "order", "must be 'C' or 'F'"),
        (("order",), ["C"], "order", "must be 'C' or 'F'"),
        (("dtype",), "<i3", "dtype", ""),
        (("dtype",), 4, "dtype", ""),
        (("dtype",), [["a"]], "dtype[0]", ""),
        (("dtype",), "|O", "filters", "objects"),
        (("fill_value",), "x", "fill_value", ""),
        (("filters",), {"id": "delta"}, "filters", "must be a list"),
        (("filters", 0), "delta", "filters[0]", "must be an object"),
        (("filters", 0, "id"), ..., "filters[0]", "the member 'id' is missing"),
        (("filters", 0, "id"), 5, "filters[0].id", "must be a string"),
        (("filters", 0, "id"), "morse", "filters[0]", "morse"),
        (("compressor",), "zlib", "compressor", "must be an object"),
        (("compressor",), [], "compressor", "must be an object"),
        (("compressor", "id"), ..., "compressor", "the member 'id' is missing"),
        (("compressor", "id"), None, "compressor.id", "must be a string"),
        (("compressor", "id"), "morse", "compressor", "morse"),
        (("compressor",), {"id": "vlen-utf8"}, "compressor", "'vlen-utf8' is not a compressor"),
        (("dimension_separator",), "|", "dimension_separator", "must be '.' or '/'"),
        (("dimension_separator",), "", "dimension_separator", "must be '.' or '/'"),
    ],
)
def test_a_broken_array_of_format_2(path, value, place, message):
    with pytest.raises(MetadataError) as caught:
        v2.parse_array(changed(ARRAY_V2, path, value), {}, "a/.zarray")
    found = caught.value.where
    # The errors of data types and codecs may have a more precise location.
    assert found.startswith("a/.zarray: " + place if place else "a/.zarray")
    assert message in str(caught.value)


def test_objects_without_an_object_codec():
    doc = changed(changed(ARRAY_V2, ("dtype",), "|O"), ("filters",), None)
    with pytest.raises(MetadataError, match=r"^a/\.zarray: filters: .*object codec"):
        v2.parse_array(doc, {}, "a/.zarray")


@pytest.mark.parametrize("attributes", [[], 1, "a", {1: 2}])
def test_attributes_of_format_2_are_an_object(attributes):
    for parse, doc, key in (
        (v2.parse_array, ARRAY_V2, "a/.zarray"),
        (v2.parse_group, {"zarr_format": 2}, "a/.zgroup"),
    ):
        with pytest.raises(MetadataError, match=r"^a/\.zattrs: "):
            parse(doc, attributes, key)


@pytest.mark.parametrize(
    ("doc", "place"),
    [
        (5, "zarr.json"),
        ({}, "zarr.json"),
        ({"zarr_format": 3}, "zarr.json"),
        ({"node_type": "group"}, "zarr.json"),
        ({"zarr_format": 3, "node_type": "group", "shape": [1]}, "zarr.json: shape"),
        ({"zarr_format": 3, "node_type": "group", "attributes": []}, "zarr.json: attributes"),
    ],
)
def test_a_broken_group(doc, place):
    with pytest.raises(MetadataError) as caught:
        v3.parse(doc)
    assert caught.value.where == place


def of_others(files: str, keys: str) -> list[dict[str, Any]]:
    """Return the documents of these keys, written by other implementations."""
    found = []
    for path in sorted((Path(__file__).parent / "golden").glob(f"*{files}.json")):
        docs = json.loads(path.read_text("utf-8"))
        found += [json.loads(text) for key, text in docs.items() if key.endswith("/" + keys)]
    return found


def plain(layout: Layout) -> Layout:
    """Return the layout with NaN in its attributes as it is written."""
    named = {name: getattr(layout, name) for name in ("attributes", "extra")}
    return replace(layout, **{k: plain_attributes(v) for k, v in named.items()})


GROUP_V3: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "group",
    "attributes": {"a": [1, {"b": None}]},
    "consolidated_metadata": {
        "kind": "inline",
        "must_understand": False,
        "metadata": {"a": {"zarr_format": 3, "node_type": "group"}, "a/b": ARRAY_V3},
    },
}
CONSOLIDATED_V2 = {
    "zarr_consolidated_format": 1,
    "metadata": {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {"title": "x"},
        "a/.zarray": ARRAY_V2,
        "a/.zattrs": {},
    },
}


@given(mutations([ARRAY_V3, SHARDED_V3, GROUP_V3, *of_others("format-3", "zarr.json")]))
def test_any_document_of_format_3_is_read_or_a_metadata_error(doc):
    try:
        node = v3.parse(document.loads(json.dumps(doc).encode(), "zarr.json"))
    except MetadataError as error:
        assert str(error).startswith("zarr.json")  # noqa: PT017
        return
    again = v3.parse(document.loads(document.dumps(v3.document(node)), "zarr.json"))
    if isinstance(node, Layout):
        assert again == plain(node)
        return
    nodes = node.consolidated or {}
    assert set(again.consolidated or {}) == set(nodes)
    for path in nodes:
        try:
            assert nodes[path].zarr_format == 3
        except MetadataError as error:
            assert str(error).startswith("zarr.json: consolidated_metadata")  # noqa: PT017


@given(mutations([ARRAY_V2, *of_others("format-2", ".zarray")]), WEIRD | st.just({}))
def test_any_document_of_format_2_is_read_or_a_metadata_error(doc, attributes):
    try:
        node = v2.parse_array(document.loads(json.dumps(doc).encode(), ".zarray"), attributes)
    except MetadataError as error:
        assert str(error).startswith((".zarray", ".zattrs"))  # noqa: PT017
        return
    written = {key: document.dumps(part) for key, part in v2.documents(node).items()}
    again = {key: document.loads(data, key) for key, data in written.items()}
    assert v2.parse_array(again[".zarray"], again.get(".zattrs")) == plain(node)


@given(mutations([CONSOLIDATED_V2]))
def test_any_consolidated_document_of_format_2_is_read_or_a_metadata_error(doc):
    try:
        for node in v2.FORMAT.parse_consolidated(doc, ".zmetadata").values():
            assert node.zarr_format == 2
    except MetadataError as error:
        assert str(error).startswith(".zmetadata")  # noqa: PT017


@given(mutations([ARRAY_V3, SHARDED_V3, GROUP_V3]), st.integers(0, 10**6), st.integers(0, 255))
def test_any_bytes_of_a_document_are_read_or_a_metadata_error(doc, place, byte):
    data = bytearray(json.dumps(doc).encode())
    data[place % len(data)] = byte
    try:
        v3.parse(document.loads(data, "zarr.json"))
    except MetadataError as error:
        assert str(error).startswith("zarr.json")  # noqa: PT017
