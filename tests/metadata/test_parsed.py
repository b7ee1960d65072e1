"""The cache of parsed documents: it depends only on their bytes, and shares nothing mutable."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr import codecs
from fastzarr.codecs.gzip import GzipCodec
from fastzarr.errors import LimitError, MetadataError
from fastzarr.metadata import cache, parsed, v2, v3
from fastzarr.metadata import json as document
from fastzarr.nodes import documents
from fastzarr.stores import LocalStore, MemoryStore
from tests.metadata.test_hostile import ARRAY_V2, ARRAY_V3, SHARDED_V3, WORDS, changed, paths

GROUP_V3 = {"zarr_format": 3, "node_type": "group", "attributes": {"a": [1, {"b": None}]}}
BLOSC_V2 = ARRAY_V2 | {"filters": None, "compressor": {"id": "blosc", "cname": "lz4"}}
EXTENDED_V3 = ARRAY_V3 | {"x": {"must_understand": False, "list": [1]}}
VALUES = st.sampled_from([None, True, 0, 1, -1, 1.0, "", [], {}, [1], *WORDS])


# Some of the documents are read, with a warning that is given once for those of one kind.
pytestmark = pytest.mark.filterwarnings("ignore::fastzarr.errors.ZarrUserWarning")


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    _forget()


def _forget() -> None:
    for each in (parsed.nodes, vars(v3)["_cache"]):
        each.entries.clear()


def _parse(data: bytes, path: str = "") -> Any:
    if b'"zarr_format": 2' in data:
        return parsed.parse(v2.FORMAT, {".zarray": data}, path)
    return parsed.parse(v3.FORMAT, {"zarr.json": data}, path)


def _plainly(data: bytes) -> Any:
    try:
        key = ".zarray" if b'"zarr_format": 2' in data else "zarr.json"
        doc = document.loads(data, key)
        return v2.parse_array(doc, {}, key) if key == ".zarray" else v3.parse(doc, key)
    except MetadataError as error:
        return type(error), str(error)


def _remembering(data: bytes) -> Any:
    try:
        return _parse(data)
    except MetadataError as error:
        return type(error), str(error)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cached_layouts_equal_parsed_ones(data: st.DataObject) -> None:
    doc = data.draw(st.sampled_from([ARRAY_V3, SHARDED_V3, EXTENDED_V3, BLOSC_V2, GROUP_V3]))
    if data.draw(st.booleans()):
        doc = changed(doc, data.draw(st.sampled_from(paths(doc))), data.draw(VALUES))
    text = json.dumps(doc).encode()
    expected = _plainly(text)
    for _ in range(3):
        assert _remembering(text) == expected


@pytest.mark.parametrize("doc", [ARRAY_V3, SHARDED_V3, EXTENDED_V3, GROUP_V3])
def test_a_document_is_parsed_once(doc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(doc).encode()
    first = _parse(data)
    monkeypatch.setattr(v3, "parse", None)
    assert _parse(data) == _parse(data, "a") == first


@pytest.mark.parametrize("doc", [ARRAY_V3, EXTENDED_V3, GROUP_V3])
def test_changes_by_one_reader_are_not_seen_by_another(doc: Any) -> None:
    data = json.dumps(doc).encode()
    for _ in range(3):
        found = _parse(data)
        assert found == v3.parse(copy.deepcopy(doc), "k")
        for member in (found.attributes, found.extra):
            for value in member.values():
                for inner in (value, value.get("list") if isinstance(value, dict) else None):
                    if isinstance(inner, list):
                        inner.append("changed")
            member["changed"] = True


def test_attributes_of_two_handles_are_two(tmp_path: Any) -> None:
    fastzarr.create_array(tmp_path, shape=3, dtype="i4", attributes={"a": [1]})
    one, two = (fastzarr.open_array(tmp_path, mode="r") for _ in range(2))
    one.metadata.attributes["a"].append(2)
    one.metadata.attributes["b"] = 1
    assert dict(two.attrs) == dict(fastzarr.open_array(tmp_path, mode="r").attrs) == {"a": [1]}


def test_two_handles_share_the_program_and_nothing_that_changes() -> None:
    store = {"zarr.json": json.dumps(ARRAY_V3).encode()}
    one, two = (fastzarr.open_array(store, mode="r+") for _ in range(2))
    assert one.layout.program is two.layout.program
    one.resize(3, 3)
    assert fastzarr.open_array(store, mode="r").shape == (3, 3)
    assert two.shape == (10, 20)


@pytest.mark.parametrize("make", [LocalStore, lambda _: MemoryStore()])
def test_a_document_that_has_changed_is_seen(make: Any, tmp_path: Any) -> None:
    store = make(tmp_path)
    for size in (10, 20, 10, 30):
        store.set("zarr.json", json.dumps(ARRAY_V3 | {"shape": [size, 20]}).encode())
        assert fastzarr.open_array(store, mode="r").shape == (size, 20)
    store.delete("zarr.json")
    assert documents.load(store, "") is None


def test_changed_separate_attributes_of_a_format_2_array_are_seen() -> None:
    store = {".zarray": json.dumps(BLOSC_V2).encode()}
    for value in ({}, {"a": 1}, {"a": 2}, {"a": 1}):
        store[".zattrs"] = json.dumps(value).encode()
        assert dict(fastzarr.open_array(store, mode="r").attrs) == value
    del store[".zattrs"]
    assert not fastzarr.open_array(store, mode="r").attrs


def test_a_lower_limit_applies_to_documents_read_before() -> None:
    data = json.dumps(SHARDED_V3).encode()
    _parse(data)
    for limit in ("document_bytes", "document_depth", "dimensions", "chunk_bytes", "inner_chunks"):
        with fastzarr.config.set({f"limits.{limit}": 1}), pytest.raises(LimitError, match=limit):
            _parse(data)
    with fastzarr.config.set({"limits.shard_nesting": 0}), pytest.raises(LimitError):
        _parse(data)
    _parse(data)


def test_a_codec_registered_later_is_used() -> None:
    class Mine(GzipCodec):
        pass

    data = json.dumps(ARRAY_V3).encode()
    assert type(_parse(data).codecs[-1]) is GzipCodec  # type: ignore[union-attr]
    before = dict(parsed.nodes.entries)
    assert before
    codecs.register_codec("gzip", Mine)
    try:
        for _ in range(2):
            assert type(_parse(data).codecs[-1]) is Mine  # type: ignore[union-attr]
    finally:
        codecs.register_codec("gzip", GzipCodec)
    # A third-party codec is not cached, whatever its base class declares.
    assert parsed.nodes.entries == before


@pytest.mark.parametrize(
    "change",
    [
        {"data_type": {"name": "struct", "configuration": {"fields": [["a", "int32"]]}}},
        {"attributes": {"long": "x" * 10_000}},
    ],
    ids=["records", "long"],
)
def test_mutable_and_long_values_are_not_cached(change: Any) -> None:
    doc = ARRAY_V3 | {"data_type": "int8"} | change
    if "data_type" in change:
        doc |= {"fill_value": "AAAAAA==", "codecs": ["bytes"]}
        doc["data_type"]["configuration"]["fields"] = [{"name": "a", "data_type": "int32"}]
        doc["codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    for _ in range(2):
        _parse(json.dumps(doc).encode())
    assert not parsed.nodes.entries


@pytest.mark.parametrize(
    "doc",
    [
        {**ARRAY_V2, "dtype": "<i4", "filters": [{"id": "delta", "dtype": "<i4"}]},
        {**ARRAY_V3, "data_type": "int8", "codecs": ["bytes", {"name": "numcodecs.zlib"}]},
    ],
    ids=["filters", "codecs"],
)
def test_documents_with_codecs_of_numcodecs_are_parsed_once(
    doc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(doc).encode()
    first = _parse(text)
    for module, name in ((v2, "parse_array"), (v3, "parse")):
        monkeypatch.setattr(module, name, None)
    assert _parse(text) == _parse(text, "a") == first


def test_changing_a_codec_object_changes_no_array() -> None:
    """The objects of numcodecs can be changed, and no two callers are given the same one."""
    store: dict[str, bytes] = {}
    z = fastzarr.create_array(
        store, shape=9, dtype="i4", zarr_format=2, compressor={"id": "zlib", "level": 1}
    )
    z.compressor.level = "broken"
    z.layout.codecs[-1].codec.level = "broken"  # type: ignore[attr-defined]
    for each in (z, *(fastzarr.open_array(store) for _ in range(2))):
        each[:] = range(9)
        assert each.compressor.level == each.layout.codecs[-1].codec.level == 1
        assert list(each[:]) == list(range(9))


def test_a_class_registered_with_numcodecs_later_is_used() -> None:
    import numcodecs
    from numcodecs.abc import Codec
    from numcodecs.registry import codec_registry

    def shifting(by: int) -> type[Codec]:
        class Shifting(Codec):  # type: ignore[misc]  # numcodecs is not typed
            codec_id = "example.shifting"

            def encode(self, buf: Any) -> bytes:
                return bytes((value + by) % 256 for value in memoryview(buf).cast("B"))

            def decode(self, buf: Any, out: Any = None) -> bytes:
                del out
                return bytes((value - by) % 256 for value in memoryview(buf).cast("B"))

        return Shifting

    store: dict[str, bytes] = {}
    try:
        numcodecs.register_codec(shifting(1))
        z = fastzarr.create_array(
            store, shape=2, dtype="u1", zarr_format=2, compressor={"id": "example.shifting"}
        )
        z[:] = 10
        for by in (1, 3, 1):
            numcodecs.register_codec(shifting(by))
            for _ in range(2):
                assert list(fastzarr.open_array(store, mode="r")[:]) == [11 - by] * 2
        del codec_registry["example.shifting"]
        with pytest.raises(MetadataError, match=r"example.shifting.*not known"):
            fastzarr.open_array(store, mode="r")
    finally:
        codec_registry.pop("example.shifting", None)


def test_the_right_to_unpickle_is_not_remembered() -> None:
    import numcodecs

    store: dict[str, bytes] = {}
    z = fastzarr.create_array(
        store, shape=1, dtype=object, zarr_format=2, object_codec=numcodecs.Pickle()
    )
    z[0] = {"a"}
    assert fastzarr.open_array(store, mode="r", allow_pickle=True)[0] == {"a"}
    for _ in range(2):
        with pytest.raises(fastzarr.errors.PickleCodecDisabledError):
            fastzarr.open_array(store, mode="r")


def test_it_is_bounded() -> None:
    for number in range(2 * cache.MOST_ENTRIES):
        _parse(json.dumps(GROUP_V3 | {"attributes": {"n": number}}).encode())
        assert len(parsed.nodes.entries) <= cache.MOST_ENTRIES


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arrays_of_one_kind_are_each_their_own(data: st.DataObject) -> None:
    def variant() -> Any:
        doc = copy.deepcopy(data.draw(st.sampled_from([ARRAY_V3, SHARDED_V3])))
        for path in (("shape",), ("dimension_names",), ("attributes",), ("fill_value",)):
            if data.draw(st.booleans()):
                values = [[8, 20], [0, 20], [8], None, ["a", "b"], {}, {"b": 1}, 1, 1.0, True]
                doc = changed(doc, path, data.draw(st.sampled_from(values)))
        for chunks in ([4, 10], [0, 10], [True, 10], [4.0, 10], [4]):
            if data.draw(st.integers(0, 4)) == 0:
                doc["chunk_grid"]["configuration"]["chunk_shape"] = chunks
        return json.dumps(doc).encode()

    texts = [variant() for _ in range(3)]
    remembered = [_plainly(text) for text in texts]
    for text, found in zip(texts, remembered, strict=True):
        _forget()
        assert _plainly(text) == found


def test_arrays_of_one_kind_share_the_program() -> None:
    one, two = (v3.parse(ARRAY_V3 | {"shape": [size, 20]}) for size in (10, 30))
    assert one.program is two.program  # type: ignore[union-attr]
    assert one.grid_shape == (3, 2)  # type: ignore[union-attr]
    assert two.grid_shape == (8, 2)  # type: ignore[union-attr]
