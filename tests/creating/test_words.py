"""The keywords of zarr-python 2 and 3, combined into one layout."""

from __future__ import annotations

import warnings

import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr import codecs
from fastzarr.config import config
from fastzarr.creating.keys import parse_keys
from fastzarr.creating.layouts import choose_format, make_layout
from fastzarr.creating.like import like_words
from fastzarr.creating.words import ArraySpec
from fastzarr.errors import LimitError, MetadataError, ZarrRuntimeWarning
from fastzarr.grids.keys import ChunkKeys
from fastzarr.metadata.formats import same_format
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.metadata.v3 import FORMAT as V3


def layout(above=None, **words):
    spec, _ = ArraySpec.take("create", {"shape": (20, 30), "dtype": "i4"} | words)
    return make_layout(spec, choose_format(spec, above))


def names(found):
    return [codec.name for codec in found.codecs]


def test_the_defaults():
    found = layout()
    assert found.zarr_format == 3
    assert names(found) == ["bytes", "blosc", "crc32c"]
    blosc = found.codecs[1]
    assert (blosc.cname, blosc.clevel, blosc.shuffle, blosc.typesize) == ("lz4", 5, "shuffle", 4)
    assert found.keys == ChunkKeys("default", "/")
    assert found.fill == 0
    assert found.dimension_names is None


def test_the_defaults_of_format_2():
    found = layout(zarr_format=2)
    config_ = found.compressor.get_config()
    assert [config_[n] for n in ("id", "cname", "clevel", "shuffle")] == ["blosc", "lz4", 5, 1]
    assert found.filters == ()
    assert found.order == "C"
    assert found.keys == ChunkKeys("v2", ".")


@pytest.mark.parametrize("dtype", [str, bytes])
def test_elements_of_variable_length_are_compressed_by_zstd(dtype):
    assert names(layout(dtype=dtype))[1:] == ["zstd", "crc32c"]
    assert layout(dtype=dtype, zarr_format=2).compressor.codec_id == "zstd"


@pytest.mark.parametrize(
    "words",
    [
        {"compressor": None},
        {"compressor": numcodecs.Zlib()},
        {"compressor": {"id": "zlib", "level": 1}},
        {"dimension_separator": "/"},
        {"filters": [numcodecs.Delta("i4")]},
        {"filters": numcodecs.Delta("i4")},
        {"object_codec": numcodecs.JSON(), "dtype": object},
        {"zarr_format": 2},
        {"zarr_version": 2},
    ],
)
def test_keywords_of_format_2_select_format_2(words):
    assert layout(**words).zarr_format == 2


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"compressor": "default"},
        {"compressor": "auto"},
        {"compressor": codecs.GzipCodec()},
        {"compressors": numcodecs.Zlib()},
        {"filters": None},
        {"filters": []},
        {"filters": [codecs.TransposeCodec(order=(1, 0))]},
        {"compressor": numcodecs.Zlib(), "zarr_format": 3},
    ],
)
def test_all_else_means_format_3(words):
    assert layout(**words).zarr_format == 3


def test_the_parent_group_takes_precedence_over_keywords_of_format_2():
    found = layout(above=V3, compressor=numcodecs.Zlib(3), dimension_separator=".")
    assert found.zarr_format == 3
    assert names(found) == ["bytes", "numcodecs.zlib"]
    assert found.keys == ChunkKeys("default", ".")
    assert layout(above=V2).zarr_format == 2


def test_the_default_format_can_be_set():
    with config.set({"default_zarr_format": 2}):
        assert layout().zarr_format == 2


def test_two_words_for_the_format():
    assert same_format(None, 2) == same_format(2, 2) == same_format(2, None) == V2
    assert same_format(None, None) is None
    with pytest.raises(TypeError, match="zarr_version"):
        same_format(3, 2)


@pytest.mark.parametrize("bad", [1, 4, "3", True, 3.5])
def test_there_is_no_other_format(bad):
    with pytest.raises(MetadataError, match="zarr_format: must be 2 or 3"):
        layout(zarr_format=bad)


def test_passed_codecs_are_used_as_given():
    assert names(layout(compressors=None)) == ["bytes"]
    assert names(layout(compressors=())) == ["bytes"]
    assert names(layout(compressors=codecs.GzipCodec(level=1))) == ["bytes", "gzip"]
    assert names(
        layout(compressors=[{"name": "zstd", "configuration": {"level": 3}}, "crc32c"])
    ) == [
        "bytes",
        "zstd",
        "crc32c",
    ]
    assert names(layout(compressors=[numcodecs.Blosc()])) == ["bytes", "blosc"]
    assert (
        layout(compressors=codecs.GzipCodec(level=1), zarr_format=2).compressor.codec_id == "gzip"
    )
    assert layout(compressor=None).compressor is None


def test_filters_and_serializer():
    big = codecs.BytesCodec(endian="big")
    found = layout(
        filters=[{"name": "transpose", "configuration": {"order": [1, 0]}}], serializer=big
    )
    assert names(found) == ["transpose", "bytes", "blosc", "crc32c"]
    assert found.serializer.endian == "big"


def test_a_serializer_without_byte_order_gets_one():
    assert layout(serializer={"name": "bytes"}).serializer.endian == "little"
    assert layout(serializer={"name": "bytes"}, dtype="u1").serializer.endian is None


def test_a_whole_chain():
    assert names(layout(codecs=["bytes", "gzip"])) == ["bytes", "gzip"]
    assert names(layout(codecs=["gzip"])) == ["bytes", "gzip"]
    with pytest.raises(MetadataError, match=r"^compressors: .*codecs="):
        layout(codecs=["bytes"], compressors=["gzip"])


def test_filters_of_format_2_keep_their_configuration():
    found = layout(filters=[numcodecs.Delta("i4"), {"id": "packbits"}], dtype="bool", zarr_format=2)
    assert [codec.codec_id for codec in found.filters] == ["delta", "packbits"]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ({"compressors": ["nope"]}, r"compressors\[0\]"),
        ({"compressors": ["bytes"]}, r"compressors\[0\]"),
        ({"compressors": [None]}, r"compressors\[0\]"),
        ({"filters": ["gzip"]}, r"filters\[0\]"),
        ({"serializer": "gzip"}, "serializer"),
        ({"compressors": [{"name": "gzip", "configuration": {"level": 99}}]}, r"compressors\[0\]"),
        ({"compressor": {"id": "nope"}}, "compressor"),
        ({"compressors": [numcodecs.Zlib(), numcodecs.BZ2()], "zarr_format": 2}, "compressors"),
        ({"compressor": numcodecs.Zlib(), "compressors": "gzip"}, "compressor"),
        ({"dimension_names": ("x",)}, "dimension_names"),
        ({"dimension_names": "xy"}, "dimension_names"),
        ({"dimension_names": ("x", 1)}, r"dimension_names\[1\]"),
        ({"dimension_names": ("x", "y"), "zarr_format": 2}, "dimension_names"),
        ({"shards": (10, 10), "zarr_format": 2}, "shards"),
        ({"shards": {"shape": (20, 30), "size": 3}}, "shards"),
        ({"serializer": "bytes", "zarr_format": 2}, "serializer"),
        ({"codecs": ["bytes"], "zarr_format": 2}, "codecs"),
        ({"order": "K"}, "order"),
        ({"order": "K", "zarr_format": 2}, "order"),
        ({"dimension_separator": ","}, "dimension_separator"),
        ({"chunk_key_encoding": "v3"}, "chunk_key_encoding"),
        ({"chunk_key_encoding": {"separator": "/"}}, "chunk_key_encoding"),
        ({"chunk_key_encoding": {"name": "v2", "sep": "/"}}, "chunk_key_encoding"),
        ({"chunk_key_encoding": 3}, "chunk_key_encoding"),
        ({"chunk_key_encoding": "default", "zarr_format": 2}, "chunk_key_encoding"),
        ({"chunks": 0}, "chunks"),
        ({"shape": (-1,)}, r"shape\[0\]"),
        ({"storage_transformers": ["x"]}, "storage_transformers"),
    ],
)
def test_wrong_values_are_placed_at_their_argument(words, place):
    with pytest.raises(MetadataError, match=f"^{place}"):
        layout(**words)


def test_limits_apply_to_new_arrays():
    with pytest.raises(LimitError, match="chunks"):
        layout(shape=(2**40,), chunks=False)
    with pytest.raises(MetadataError, match="shape"):
        layout(shape=(2**40, 2**40), chunks=10)


@pytest.mark.parametrize("value", [np.nan, 1e300, "x"])
def test_a_fill_value_that_cannot_be_is_named(value):
    with pytest.raises((TypeError, ValueError, OverflowError), match="fill_value"):
        layout(fill_value=value)


def test_fill_values():
    assert layout(fill_value=7).fill == 7
    assert layout(fill_value=None).fill == 0
    assert layout(fill_value=None, zarr_format=2).fill is None
    assert np.isnat(layout(dtype="M8[s]").fill)
    assert layout(dtype=str, fill_value="x").fill == "x"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        (None, ChunkKeys("default", "/")),
        ("v2", ChunkKeys("v2", ".")),
        (("default", "."), ChunkKeys("default", ".")),
        (["v2", "/"], ChunkKeys("v2", "/")),
        ({"name": "v2"}, ChunkKeys("v2", ".")),
        ({"name": "default", "separator": "."}, ChunkKeys("default", ".")),
        ({"name": "v2", "configuration": {"separator": "/"}}, ChunkKeys("v2", "/")),
        (ChunkKeys("v2", "/"), ChunkKeys("v2", "/")),
    ],
)
def test_accepted_forms_of_key_encodings(encoding, expected):
    assert parse_keys(encoding) == expected
    assert layout(chunk_key_encoding=encoding).keys == expected


def test_the_key_encoding_of_format_2():
    encoding = {"name": "v2", "separator": "/"}
    assert layout(chunk_key_encoding=encoding, zarr_format=2).keys.separator == "/"
    assert layout(dimension_separator="/").keys == ChunkKeys("v2", "/")


def test_shards():
    found = layout(shape=(100, 100), chunks=(10, 10), shards=(50, 50))
    assert found.chunks == (50, 50)
    assert found.inner_chunks == (10, 10)
    assert names(found) == ["sharding_indexed"]
    inner = found.codecs[0]
    assert [codec.name for codec in inner.codecs] == ["bytes", "blosc", "crc32c"]
    start = layout(chunks=10, shards={"shape": (20, 30), "index_location": "start"})
    assert start.codecs[0].index_location == "start"


def test_order_f_is_a_word_of_format_2():
    assert layout(order="F", zarr_format=2).order == "F"
    with pytest.warns(ZarrRuntimeWarning, match="order='F'") as caught:
        assert layout(order="F").order is None
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layout(order="C")


def test_strings_and_bytes_in_format_2_get_their_object_codec():
    for dtype, codec in ((str, "vlen-utf8"), (bytes, "vlen-bytes")):
        found = layout(dtype=dtype, zarr_format=2)
        assert [f.codec_id for f in found.filters] == [codec]
    again = layout(dtype=str, zarr_format=2, object_codec=numcodecs.VLenUTF8())
    assert len(again.filters) == 1


def test_objects():
    assert layout(dtype=object, object_codec=numcodecs.VLenUTF8()).dtype.name == "string"
    assert layout(dtype=object, filters=[numcodecs.VLenUTF8()]).dtype.name == "string"
    assert layout(dtype="O", object_codec="json2").filters[0].codec_id == "json2"
    assert layout(above=V3, dtype=object, object_codec=numcodecs.VLenUTF8()).dtype.name == "string"
    with pytest.raises(MetadataError, match="object_codec"):
        layout(dtype=object)
    with pytest.raises(TypeError, match="format 2"):
        layout(dtype=object, object_codec=numcodecs.JSON(), zarr_format=3)


def test_an_unknown_type_is_named():
    with pytest.raises(TypeError, match="dtype='nope'"):
        layout(dtype="nope")


def test_data_gives_shape_and_type():
    data = np.zeros((4, 5), "f4")
    spec, _ = ArraySpec.take("create", {"data": data})
    found = make_layout(spec, V3)
    assert found.shape == (4, 5)
    assert found.dtype.numpy == np.dtype("f4")
    spec, _ = ArraySpec.take("create", {"data": data, "shape": (4, 4)})
    with pytest.raises(MetadataError, match=r"^shape: .*data"):
        make_layout(spec, V3)
    with pytest.raises(TypeError, match="shape= is missing"):
        make_layout(ArraySpec(), V3)


def test_format_3_is_in_native_order_and_format_2_as_asked():
    assert layout(dtype=">i4").dtype.numpy == np.dtype("i4")
    assert layout(dtype=">i4", zarr_format=2).dtype.numpy.str == ">i4"


def test_unknown_and_contradicting_keywords():
    with pytest.raises(TypeError, match=r"create\(\).*'compresor'; did you mean compressor=\?"):
        layout(compresor=None)
    with pytest.raises(TypeError, match="chunks="):
        layout(chunks=2, chunk_shape=3)
    assert layout(chunk_shape=(2, 3)).chunks == (2, 3)
    assert layout(chunks=2, chunk_shape=None).chunks == (2, 2)


def test_attributes_are_copied():
    attributes = {"a": [1]}
    found = layout(attributes=attributes)
    attributes["a"].append(2)
    assert found.attributes == {"a": [1]}


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"zarr_format": 2},
        {"zarr_format": 2, "order": "F", "filters": [numcodecs.Delta("i4")], "compressor": None},
        {"zarr_format": 2, "dtype": str},
        {"dtype": str, "compressors": None},
        {"shape": (100, 100), "chunks": (10, 20), "shards": (50, 60), "fill_value": 3},
        {"chunks": 10, "shards": {"shape": (20, 30), "index_location": "start"}},
        {"chunk_key_encoding": ("v2", "/"), "compressors": ["zstd"]},
        {
            "filters": [codecs.TransposeCodec(order=(1, 0))],
            "serializer": codecs.BytesCodec(endian="big"),
        },
    ],
)
def test_an_array_like_another_has_its_layout(words):
    class Like:
        def __init__(self, found):
            self.layout, self.shape, self.dtype = found, found.shape, found.dtype.numpy

    first = layout(**words)
    spec, _ = ArraySpec.take("create", like_words(Like(first), {}))
    assert make_layout(spec, choose_format(spec)) == first


def test_another_data_type_resets_the_parameters_of_codecs():
    class Like:
        layout = layout(filters=[numcodecs.Delta("i4")], zarr_format=3, fill_value=9)
        shape, dtype = layout.shape, layout.dtype.numpy

    spec, _ = ArraySpec.take("create", like_words(Like, {"dtype": "f8"}))
    found = make_layout(spec, V3)
    assert names(found) == ["bytes", "blosc", "crc32c"]
    assert found.codecs[1].typesize == 8
    assert found.fill == 0


def test_a_word_replaces_its_like():
    class Like:
        layout = layout(shape=(100, 100), chunks=(10, 10), shards=(50, 50))
        shape, dtype = layout.shape, layout.dtype.numpy

    for words, expected in [
        ({"chunks": (20, 20)}, ((20, 20), None)),
        ({"shape": (5,)}, ((5,), None)),
        ({"compressors": None}, ((10, 10), (50, 50))),
    ]:
        spec, _ = ArraySpec.take("create", like_words(Like, words))
        found = make_layout(spec, V3)
        assert (found.inner_chunks, found.shards) == expected


@pytest.mark.parametrize(("chunks", "expected"), [(((3, 4),), (7,)), (((3, 3, 1),), (3,))])
def test_chunks_of_another_array_that_are_not_regular_are_not_taken_over(chunks, expected):
    class Like:
        shape = (7,)
        dtype = np.dtype("f8")

        def __init__(self):
            self.chunks = chunks

        def __getitem__(self, index):
            return np.zeros(7)[index]

    store = {}
    zarr.save_array(store, Like())
    assert zarr.open_array(store).chunks == expected
    assert zarr.array(Like()).chunks == expected
    assert zarr.from_array({}, data=Like()).chunks == expected
    assert zarr.zeros_like(Like()).chunks == expected


NAN = np.uint64(0x7FF8_0000_0000_0001).view("f8")


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("f8", NAN),
        ("f8", -np.float64("nan")),
        ("<f4", np.uint32(0xFFC00001).view("f4")),
        (">f2", np.float16("nan")),
        ("c16", complex(NAN, -0.0)),
        ("float8_e4m3", float("nan")),
        ("U3", "a\0"),
        ("S3", b"a\0"),
        ("V3", b"a"),
        ([("a", "f8"), ("b", "U2")], (NAN, "c")),
        ("M8[s]", "NaT"),
        ("m8[3D]", "nat"),
        (str, np.str_("a")),
        (bytes, bytearray(b"a")),
    ],
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_fill_value_is_the_one_that_its_document_states(dtype, fill, zarr_format):
    """Otherwise a handle and its document differ, and the first write is refused."""
    store = {}
    z = zarr.create_array(
        store, shape=2, chunks=1, dtype=dtype, fill_value=fill, zarr_format=zarr_format
    )
    z[0] = z[1]
    again = zarr.open_array(store, mode="r+")
    assert again.layout == z.layout
    again[0] = z[1]


@pytest.mark.parametrize("fill", [(1, 2), [1, (2, [3])], {"a": (1,)}, np.int8(3), np.nan, "x"])
def test_a_fill_value_of_objects_is_the_one_that_its_document_states(fill):
    z = zarr.create(3, chunks=1, dtype=object, object_codec=numcodecs.JSON(), fill_value=fill)
    z[0] = "a"
    z.attrs["a"] = 1
    z[1] = {"b": [1]}
    assert z[:2].tolist() == ["a", {"b": [1]}]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"dimension_names": ("x", "\ud800")}, "dimension_names"),
        ({"dtype": "U3", "fill_value": "\ud800"}, "lone surrogate"),
        ({"dtype": str, "fill_value": "\ud800"}, "surrogates not allowed"),
        ({"dtype": [("\ud800", "i4")]}, "lone surrogate"),
    ],
)
def test_text_that_utf8_cannot_encode_is_refused(words, match):
    with pytest.raises(ValueError, match=match):
        layout(**words)


def test_text_that_utf8_cannot_encode_is_refused_as_an_object():
    for fill in ("\ud800", ["\ud800"], {"\ud800": 1}):
        with pytest.raises(TypeError, match="no form in JSON"):
            layout(dtype=object, object_codec="json2", fill_value=fill, zarr_format=2)


def test_the_dtype_of_arrays_of_variable_length():
    z = zarr.create(shape=2, dtype="array:i8")
    assert (z.dtype, z.metadata.zarr_format) == (np.dtype(object), 2)
    assert [codec.get_config() for codec in z.filters] == [{"id": "vlen-array", "dtype": "<i8"}]
    z[0] = np.array([1, 2, 3])
    assert zarr.open(z.store, mode="r")[:1][0].tolist() == [1, 2, 3]
