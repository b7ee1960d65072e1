"""Format 2's filters: compatibility with zarr-python 2, and hostile data."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path

import numcodecs
import numpy as np
import pytest

from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.numcodecs import make
from fastzarr.codecs.numcodecs.filters import FiltersCodec
from fastzarr.codecs.numcodecs.settings import canonical
from fastzarr.codecs.transpose import TransposeCodec
from fastzarr.dtypes import from_v2
from fastzarr.errors import CodecError, MetadataError, PickleCodecDisabledError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "filters.json").read_text())


def spec_v2(shape, dtype, filters):
    found = from_v2(dtype, "", object_codec_id=filters[0]["id"])
    return ChunkSpec(tuple(shape), found, found.default_fill)


def of(dtype, *filters, shape=(4,), **more):
    spec = spec_v2(shape, dtype, filters)
    return FiltersCodec(filters=list(filters), **more).resolve(spec), spec


@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_zarr_python_2(name):
    case = GOLDEN[name]
    document, chunk = case["zarray"], bytes.fromhex(case["chunk"])
    spec = spec_v2(document["chunks"], document["dtype"], document["filters"])
    codec = FiltersCodec(filters=document["filters"], allow_pickle=True)
    assert codec.configs() == [canonical(config) for config in document["filters"]]
    order = range(len(spec.shape))
    turn = TransposeCodec(order=order[::-1] if document["order"] == "F" else order)
    inner = turn.encoded_spec(spec)
    codec = codec.resolve(inner)
    assert codec.encoded_size(inner) in (None, len(chunk))
    array = turn.decode(codec.decode(chunk, inner), spec)
    assert array.shape == spec.shape
    values = [v.decode("latin1") if isinstance(v, bytes) else v for v in array.ravel().tolist()]
    assert values == case["values"]
    if name != "pickle, F":  # a pickled array keeps its own memory order
        turned = turn.encode(array, spec)
        encoded = codec.encode(turned, inner)
        if "pickle" not in name:
            assert bytes(encoded) == chunk
        assert codec.decode(encoded, inner).ravel().tolist() == turned.ravel().tolist()


def test_one_and_no_filter():
    codec, spec = of("<i4", {"id": "shuffle", "elementsize": 4})
    array = np.arange(4, dtype="<i4")
    assert codec.decode(codec.encode(array[::-1], spec), spec).tolist() == [3, 2, 1, 0]
    assert codec.encoded_size(spec) == 16


@pytest.mark.parametrize("dtype", ["<i4", ">f8", "|S3", "<M8[ms]", [["a", "<i2"], ["b", ">f4"]]])
def test_types_come_back(dtype):
    codec, spec = of(dtype, {"id": "zlib", "level": 1}, {"id": "crc32"})
    array = np.arange(4 * spec.dtype.itemsize, dtype="u1").view(spec.dtype.numpy)
    decoded = codec.decode(codec.encode(array, spec), spec)
    assert decoded.dtype == spec.dtype.numpy
    assert decoded.tobytes() == array.tobytes()


def test_filters_may_be_objects_of_numcodecs():
    codec = FiltersCodec(filters=[numcodecs.Delta("<i4"), numcodecs.Zlib(1)])
    assert [item["id"] for item in codec.configs()] == ["delta", "zlib"]
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert hash(codec) == hash(FiltersCodec(filters=codec.configs()))


@pytest.mark.parametrize("name", GOLDEN)
def test_damage_never_changes_the_shape(name, damaged):
    case = GOLDEN[name]
    document, chunk = case["zarray"], bytes.fromhex(case["chunk"])
    if "pickle" in name:
        return  # damaged pickles may do anything; they are only loaded if trusted
    codec, spec = of(document["dtype"], *document["filters"], shape=document["chunks"])
    for _, data in damaged(chunk):
        try:
            found = codec.decode(data, spec)
        except CodecError:
            continue
        assert found.shape == spec.shape
        assert found.dtype == spec.dtype.numpy


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ("[1,2,3,4,5]", "does not end with"),
        ("{}", "does not end with"),
        ('["|O",[4]]', "does not end with"),
        ('[1,2,3,4,"|O",[1000000000000]]', r"expected 4 elements, .* \[1000000000000\]"),
        ('[1,2,3,4,"|O",[3]]', "expected 4 elements"),
        ('[1,2,3,"|O",[4]]', "nesting of the data does not match its shape"),
        ('[[1,2],[3,4,5],"|O",[2,2]]', "nesting of the data does not match its shape"),
        ('[1,2,"|O",[2,2]]', "nesting of the data does not match its shape"),
        ('[1,2,3,4,"|O",[true,4]]', "does not end with"),
        ('[1,2,3,4,"|O",[-2,-2]]', "does not end with"),
        (f'[1,"|O",[{"9," * 64}1]]', "does not end with"),
        (f'[1,"|O",[{9 * 10**4000}]]', "does not end with"),
        ('[1,2,3,4,"|O",[4]', "json2"),
        ("[" * 100_000, "json2"),
    ],
)
def test_json_is_not_believed(items, says):
    codec, spec = of("|O", {"id": "json2"})
    with pytest.raises(CodecError, match=says):
        codec.decode(items.encode(), spec)


def test_the_type_in_json_is_not_believed():
    codec, spec = of("|O", {"id": "json2"})
    found = codec.decode(b'["a",2,[1,2],null,"|S1000000000000",[4]]', spec)
    assert found.tolist() == ["a", 2, [1, 2], None]


def test_lists_as_elements():
    codec, spec = of("|O", {"id": "json2"}, shape=(2, 2))
    array = np.empty((2, 2), dtype=object)
    array[0, 0], array[0, 1], array[1, 0], array[1, 1] = [1, 2], [3, 4], [], {"a": [1]}
    assert codec.decode(codec.encode(array, spec), spec).tolist() == array.tolist()


def test_numbers_in_json():
    codec, spec = of("<f8", {"id": "json2"})
    assert codec.decode(codec.encode(np.arange(4.0), spec), spec).tolist() == [0, 1, 2, 3]
    with pytest.raises(CodecError, match="an element is not a valid float64"):
        codec.decode(b'["a",1,2,3,"<f8",[4]]', spec)


def test_msgpack_works_or_says_what_is_missing():
    config = {"id": "msgpack2", "raw": False, "use_bin_type": True, "use_single_float": False}
    if "msgpack2" not in numcodecs.registry.codec_registry:
        with pytest.raises(MetadataError, match="'msgpack2' is not known to numcodecs; install"):
            of("|O", config)
        return
    codec, spec = of("|O", config)
    array = np.array(["a", 1, None, {"b": [1]}], dtype=object)
    encoded = codec.encode(array, spec)
    assert codec.decode(encoded, spec).tolist() == array.tolist()
    with pytest.raises(CodecError, match="msgpack2"):
        codec.decode(bytes(encoded)[:-1] + b"\x7f", spec)


def test_arrays_as_elements():
    codec, spec = of("|O", {"id": "vlen-array", "dtype": "<i4"}, shape=(2,))
    array = np.empty(2, dtype=object)
    array[0], array[1] = np.array([1, 2], "i4"), np.array([3], "i4")
    encoded = bytes(codec.encode(array, spec))
    assert [item.tolist() for item in codec.decode(encoded, spec)] == [[1, 2], [3]]
    with pytest.raises(CodecError, match="expected 2 elements"):
        codec.decode(b"\xff\xff\xff\xff" + encoded[4:], spec)


def test_pickle_only_where_it_is_allowed():
    codec, spec = of("|O", {"id": "pickle", "protocol": 2}, shape=(1,))
    array = np.array([{"a"}], dtype=object)
    encoded = codec.encode(array, spec)
    with pytest.raises(PickleCodecDisabledError, match="allow_pickle=True"):
        codec.decode(encoded, spec)
    trusted = replace(codec, allow_pickle=True)
    assert trusted.decode(encoded, spec).tolist() == [{"a"}]
    assert trusted == codec
    with pytest.raises(CodecError, match="pickle"):
        trusted.decode(b"garbage", spec)


@pytest.mark.parametrize(
    ("dtype", "filters"),
    [
        ("|O", [{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 5}]),
        ("<i4", [{"id": "pickle", "protocol": 5}]),
        ("<i4", [{"id": "delta", "dtype": "<i4"}, {"id": "pickle", "protocol": 2}]),
        ("<i4", [{"id": "pickle", "protocol": 5}, {"id": "zlib", "level": 1}]),
    ],
)
def test_pickle_in_any_place(dtype, filters):
    codec, spec = of(dtype, *filters, shape=(2, 2))
    array = np.arange(4).reshape(2, 2).astype(dtype if dtype != "|O" else str).astype(dtype)
    encoded = codec.encode(array, spec)
    with pytest.raises(PickleCodecDisabledError, match="allow_pickle=True"):
        codec.decode(encoded, spec)
    trusted = replace(codec, allow_pickle=True)
    assert trusted.decode(encoded, spec).tolist() == array.tolist()
    # As numcodecs, whose filters zarr-python runs one after the other, encodes and decodes it.
    chained = array
    for item in codec.filters:
        chained = item.shared.encode(chained)
    assert trusted.decode(bytes(chained), spec).tolist() == array.tolist()


def test_pickled_arrays_keep_their_order_and_have_the_size_of_the_chunk():
    codec, spec = of("<i4", {"id": "pickle"}, shape=(2, 3), allow_pickle=True)
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    # zarr-python pickles the chunks of an array of order F in that order.
    turned = pickle.dumps(np.asfortranarray(array))
    assert codec.decode(turned, spec).ravel().tolist() == array.ravel(order="F").tolist()
    for other in (np.arange(5, dtype="<i4"), b"1234", [1, 2]):
        with pytest.raises(CodecError, match="expected 24 bytes"):
            codec.decode(pickle.dumps(other), spec)
    with pytest.raises(CodecError, match="array of objects"):
        codec.decode(pickle.dumps(np.array([{}, 1, 2], dtype=object)), spec)


def test_a_permission_to_unpickle_is_asked_each_time():
    answers = [True, False]
    codec, spec = of("|O", {"id": "pickle"}, shape=(1,), allow_pickle=lambda: answers.pop(0))
    encoded = codec.encode(np.array([{1}], dtype=object), spec)
    assert codec.decode(encoded, spec).tolist() == [{1}]
    with pytest.raises(PickleCodecDisabledError, match="allow_pickle=True"):
        codec.decode(encoded, spec)


def test_a_number_of_elements_that_is_not_the_chunks():
    codec, spec = of("|O", {"id": "pickle"}, shape=(2,), allow_pickle=True)
    with pytest.raises(CodecError, match="expected 2 elements, but the data holds 1"):
        codec.decode(pickle.dumps(np.array([1], dtype=object)), spec)
    with pytest.raises(CodecError, match="expected objects, but the filters decoded to bytes"):
        codec.decode(pickle.dumps(np.array([1, 2])), spec)


def test_a_filter_that_inflates_is_checked_before_it_runs():
    inflating = {"id": "astype", "encode_dtype": "|u1", "decode_dtype": "|S1000"}
    codec, spec = of("|S1000", inflating)
    assert codec.encoded_size(spec) == 4
    with pytest.raises(CodecError, match="expected 4 bytes of data, found 1000000"):
        codec.decode(bytes(1_000_000), spec)


@pytest.mark.parametrize("found", [0, 15, 17, 10**6])
def test_another_size_is_an_error(found):
    codec, spec = of("<i4", {"id": "delta", "dtype": "<i4"})
    with pytest.raises(CodecError, match=f"expected 16 bytes of data, found {found}"):
        codec.decode(bytes(found), spec)


def test_filters_that_do_not_fit_are_rejected():
    with pytest.raises(MetadataError, match="do not fit 'int16'"):
        of("<i2", {"id": "delta", "dtype": "<i4"}, shape=(3,))
    spec, codec = spec_v2((1,), "|O", [{"id": "json2"}]), FiltersCodec(filters=[{"id": "zlib"}])
    with pytest.raises(MetadataError, match="object codec as the first filter"):
        codec.resolve(spec)
    with pytest.raises(MetadataError, match=r"filters\[1\]: the object codec 'json2' must be"):
        FiltersCodec(filters=[{"id": "zlib"}, {"id": "json2"}])
    with pytest.raises(MetadataError, match=r"filters\[1\]: codec 'nope' is not known"):
        FiltersCodec(filters=[{"id": "zlib"}, {"id": "nope"}])
    with pytest.raises(MetadataError, match=r"filters\[0\]: 'zlib' is not a numcodecs"):
        FiltersCodec(filters=["zlib"])
    with pytest.raises(MetadataError, match="not supported in format 2"):
        FiltersCodec(filters=[{"id": "zlib"}]).to_v2()


@pytest.mark.parametrize("item", [{"id": "delta"}, make({"id": "delta"}), {"id": "quantize"}])
def test_a_filter_names_its_data_type(item):
    with pytest.raises(MetadataError, match=r"^filters\[1\]: .* is not a valid configuration of"):
        FiltersCodec(filters=[{"id": "delta", "dtype": "<i4"}, item])


def test_labels_are_no_longer_than_elements():
    labels = {"id": "categorize", "labels": ["a"], "dtype": "<U100000"}
    with pytest.raises(MetadataError, match="dtype '<U100000', but the array has '<U1'"):
        of("<U1", labels)


def test_every_golden_case_holds_a_whole_chunk():
    assert len(GOLDEN) > 20
    assert all(math.prod(c["zarray"]["chunks"]) == len(c["values"]) for c in GOLDEN.values())
