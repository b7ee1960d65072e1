"""The codecs of numcodecs: preserved configurations, agreement with numcodecs, hostile data."""

from __future__ import annotations

import json
import pickle

import numcodecs
import numpy as np
import pytest

import fastzarr
from fastzarr.codecs import from_v3, parse
from fastzarr.codecs.numcodecs import make
from fastzarr.codecs.numcodecs.arrays import NumcodecsArrayCodec
from fastzarr.codecs.numcodecs.bytes import NumcodecsCodec
from fastzarr.codecs.numcodecs.settings import _shared
from fastzarr.config import config
from fastzarr.errors import CodecError, MetadataError, PickleCodecDisabledError, UnknownCodecError

DATA = (np.arange(300, dtype="<i4") % 50).tobytes()
BYTES = [
    {"id": "zlib", "level": 1},
    {"id": "gzip", "level": 1},
    {"id": "bz2", "level": 1},
    {"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None},
    {"id": "lzma", "format": 3, "filters": [{"id": 0x21, "preset": 1}]},
    {"id": "lz4", "acceleration": 1},
    {"id": "zstd", "level": 1},
    {"id": "zstd", "level": 1, "checksum": True},
    {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": -1, "blocksize": 0},
    {"id": "shuffle", "elementsize": 4},
    {"id": "crc32"},
    {"id": "crc32", "location": "end"},
    {"id": "crc32c"},
    {"id": "crc32c", "location": "start"},
    {"id": "adler32"},
    {"id": "fletcher32"},
    {"id": "jenkins_lookup3", "initval": 1},
    {"id": "base64"},
]
ARRAYS = [
    ({"id": "delta", "dtype": "<i4"}, "i4"),
    ({"id": "delta", "dtype": "<i4", "astype": "<i2"}, "i4"),
    ({"id": "astype", "encode_dtype": "<i2", "decode_dtype": "<i4"}, "i4"),
    ({"id": "fixedscaleoffset", "offset": 1, "scale": 2, "dtype": "<f8", "astype": "<i2"}, "f8"),
    ({"id": "quantize", "digits": 2, "dtype": "<f4"}, "f4"),
    ({"id": "quantize", "digits": 2, "dtype": "<f8", "astype": "<f4"}, "f8"),
    ({"id": "bitround", "keepbits": 5}, "f4"),
    ({"id": "packbits"}, "?"),
]


def ids(case):
    return str(case) if isinstance(case, dict) else None


@pytest.mark.parametrize("config", BYTES, ids=ids)
def test_bytes_agree_with_numcodecs(config, spec_of):
    codec, other = parse(config).resolve(spec_of((300,), "i4")), numcodecs.get_codec(config)
    assert isinstance(codec, NumcodecsCodec)
    encoded = bytes(codec.encode(DATA))
    theirs = bytes(other.encode(np.frombuffer(DATA, "<i4")))
    if config["id"] == "gzip":
        # The header of numcodecs states when it was made, and no operating system.
        theirs = theirs[:4] + bytes(4) + theirs[8:9] + encoded[9:10] + theirs[10:]
    assert encoded == theirs
    for size in (len(DATA), None):
        assert bytes(codec.decode(np.frombuffer(encoded, "u1"), size)) == DATA
    assert codec.encoded_size(len(DATA)) in (None, len(encoded))
    assert codec.encoded_size(None) is None


@pytest.mark.parametrize("config", BYTES, ids=ids)
def test_the_configuration_is_kept(config):
    codec = parse(config)
    assert codec.to_v2() == config
    assert list(codec.to_v2()) == list(config)
    rest = {k: v for k, v in config.items() if k != "id"}
    assert codec.to_dict() == {"name": f"numcodecs.{config['id']}", "configuration": rest}
    assert from_v3(codec.to_dict(), "") == codec
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert hash(parse(dict(config))) == hash(codec)


@pytest.mark.parametrize("config", BYTES, ids=ids)
def test_damage_never_changes_the_size(config, damaged):
    codec = parse(config)
    for _, data in damaged(bytes(codec.encode(DATA[:64]))):
        try:
            assert memoryview(codec.decode(data, 64)).nbytes == 64
        except CodecError as error:
            assert config["id"] in str(error)  # noqa: PT017


@pytest.mark.parametrize("config", BYTES, ids=ids)
@pytest.mark.parametrize("size", [0, 1199, 1201, 10**12])
def test_another_size_is_an_error(config, size):
    codec = parse(config)
    encoded = codec.encode(DATA)
    with pytest.raises(CodecError, match=rf"{config['id']}.*\d"):
        codec.decode(encoded, size)


@pytest.mark.parametrize("known", ["zlib", "bz2", "lzma", "lz4", "zstd", "blosc"])
@pytest.mark.parametrize("data", [b"", DATA])
def test_no_data_and_no_content(known, data):
    codec = parse({"id": known})
    assert bytes(codec.decode(codec.encode(data), len(data))) == data
    with pytest.raises(CodecError):
        codec.decode(b"", len(data))


@pytest.mark.parametrize("known", ["zlib", "gzip", "bz2", "lzma", "lz4", "zstd", "blosc"])
def test_a_bomb_is_not_unpacked(known):
    codec = parse({"id": known})
    bomb = codec.encode(bytes(1 << 22))
    with pytest.raises(CodecError):
        codec.decode(bomb, 100)
    with config.set({"limits.chunk_bytes": 1000}), pytest.raises(CodecError, match="limits"):
        codec.decode(bomb, None)


def test_a_lying_lz4_header():
    data = (2**32 - 1).to_bytes(4, "little") + numcodecs.LZ4().encode(b"abc")[4:]
    with pytest.raises(CodecError, match="expected 3 decoded bytes, but the header states 429496"):
        parse({"id": "lz4"}).decode(data, 3)


@pytest.mark.parametrize("known", ["crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"])
def test_checksums_find_any_bit(known, damaged):
    codec = parse({"id": known})
    for what, data in damaged(bytes(codec.encode(DATA[4:24]))):
        for size in (20, None):
            with pytest.raises(CodecError, match=known):
                pytest.fail(f"{what}, {bytes(codec.decode(data, size))!r}")


@pytest.mark.parametrize(("config", "dtype"), ARRAYS, ids=ids)
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_agree_with_numcodecs(config, dtype, order, spec_of):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    spec = spec_of((3, 4), dtype)
    codec = parse({"name": f"numcodecs.{config['id']}", "configuration": config}).resolve(spec)
    assert isinstance(codec, NumcodecsArrayCodec)
    other = numcodecs.get_codec(config)
    encoded = codec.encode(np.asarray(array, order=order), spec)
    seen = codec.encoded_spec(spec)
    assert encoded.shape == seen.shape
    assert encoded.dtype == seen.dtype.numpy
    expected = np.asarray(other.encode(array.copy()))
    assert encoded.tobytes() == expected.tobytes()
    decoded = codec.decode(encoded, spec)
    assert decoded.dtype == array.dtype
    assert decoded.tobytes() == np.asarray(other.decode(expected)).tobytes()
    assert codec.to_v2() == config


@pytest.mark.parametrize(("config", "dtype"), ARRAYS, ids=ids)
@pytest.mark.parametrize("shape", [(), (1,), (0, 2)])
def test_arrays_of_any_shape(config, dtype, shape, spec_of):
    spec = spec_of(shape, dtype)
    codec = parse(config).resolve(spec)
    array = np.ones(shape, dtype)
    decoded = codec.decode(codec.encode(array, spec), spec)
    assert decoded.shape == shape
    assert decoded.tolist() == array.tolist()


@pytest.mark.parametrize(
    ("known", "member"),
    [("delta", "dtype"), ("astype", "decode_dtype"), ("fixedscaleoffset", "dtype")],
)
def test_the_data_type_may_be_left_open(known, member, spec_of):
    extra = {"astype": {"encode_dtype": "<i8"}, "fixedscaleoffset": {"offset": 0, "scale": 1}}
    document = {"name": f"numcodecs.{known}", "configuration": extra.get(known, {})}
    codec = from_v3(document, "").resolve(spec_of((2,), "i4"))
    assert codec.config()[member] == "<i4"
    shuffle = from_v3({"name": "numcodecs.shuffle"}, "").resolve(spec_of((2,), "f8"))
    assert shuffle.config() == {"elementsize": 8}
    assert parse({"id": "shuffle"}).resolve(spec_of((2,), "f8")).to_v2() == {"id": "shuffle"}


def test_the_fill_value_is_encoded(spec_of):
    spec = spec_of((2,), "f8", fill=np.float64(5))
    config = {"id": "fixedscaleoffset", "offset": 1, "scale": 2, "dtype": "<f8", "astype": "<i2"}
    codec = parse(config)
    seen = codec.resolve(spec).encoded_spec(spec)
    assert (seen.fill, seen.dtype.name) == (8, "int16")


@pytest.mark.parametrize(
    ("config", "dtype", "says"),
    [
        ({"id": "delta", "dtype": "<i4"}, "f4", "has the dtype '<i4', but the array has '<f4'"),
        ({"id": "packbits"}, "u1", "packs booleans, not 'uint8'"),
        ({"id": "bitround", "keepbits": 3}, "i4", "rounds floating-point numbers, not 'int32'"),
        ({"id": "delta", "dtype": "<i4"}, "string", "elements of fixed size"),
        ({"id": "delta", "dtype": "<f8"}, "f4", "has the dtype '<f8', but the array has '<f4'"),
        ({"id": "delta", "dtype": "<i8"}, "i2", "has the dtype '<i8', but the array has '<i2'"),
        (
            {"id": "astype", "encode_dtype": "<i2", "decode_dtype": "<i8"},
            "i4",
            "has the decode_",
        ),
    ],
)
def test_array_codecs_reject_unsupported_data_types(config, dtype, says, spec_of):
    with pytest.raises(MetadataError, match=says):
        parse(config).resolve(spec_of((2,), dtype))


@pytest.mark.parametrize(
    ("dtype", "config"),
    [
        ("<i4", {"dtype": "<i8"}),
        ("<i4", {"dtype": ">i8"}),
        ("<u2", {"dtype": "<i4"}),
        ("<i8", {"dtype": "<i4"}),
        ("<M8[s]", {"dtype": "<i2"}),
    ],
)
@pytest.mark.parametrize("shards", [None, (8, 8)])
def test_delta_regroups_bytes_into_items_of_another_size(dtype, config, shards):
    values = (np.arange(60) * 7919 % 30011).reshape(6, 10).astype(dtype)
    store: dict[str, bytes] = {}
    delta = {"name": "numcodecs.delta", "configuration": config}
    array = fastzarr.create_array(
        store, data=values, chunks=(4, 8), shards=shards, filters=[delta], compressors=None
    )
    array[2, 3:] = values[0, 3:]
    values[2, 3:] = values[0, 3:]
    again = fastzarr.open_array(store, mode="r")
    np.testing.assert_array_equal(again[...], values)
    np.testing.assert_array_equal(again[1:5:3, ::-1], values[1:5:3, ::-1])
    if shards is None and config["dtype"].startswith("<"):
        encoded = numcodecs.Delta(**config).encode(np.ascontiguousarray(values[:4, :8]))
        assert bytes(store["c/0/0"]) == encoded.astype(encoded.dtype.newbyteorder("<")).tobytes()


def test_wrong_number_of_elements(spec_of):
    spec = spec_of((16,), "?")
    codec = parse({"id": "packbits"}).resolve(spec)
    with pytest.raises(CodecError, match="expected 16 elements, but the data has 13"):
        codec.decode(np.array([3, 255, 255], "u1"), spec)


def test_unknown_ids_and_members_are_named():
    with pytest.raises(UnknownCodecError, match=r"^a: codec 'nope' is not known to numcodecs"):
        parse({"id": "nope"}, "a")
    with pytest.raises(UnknownCodecError, match=r"^a: codec 'nope' is not known to"):
        from_v3({"name": "numcodecs.nope"}, "a")
    with pytest.raises(MetadataError, match=r"^a: .*'speed'"):
        parse({"id": "zlib", "speed": 1}, "a")
    for wrong in ({"id": 1}, {"id": []}, {}):
        with pytest.raises(
            MetadataError, match=r"^a: the id of the numcodecs configuration .* must be"
        ):
            make(wrong, "a")
    with pytest.raises(MetadataError, match=r"^a: None is not a numcodecs configuration"):
        make(None, "a")


@pytest.mark.parametrize("known", ["pickle", "json2", "vlen-utf8"])
def test_format_3_has_no_object_codecs(known):
    with pytest.raises(UnknownCodecError, match=r"^a: codec .* stores Python objects, which"):
        from_v3({"name": f"numcodecs.{known}"}, "a")


def test_a_compressor_never_unpickles():
    with pytest.raises(PickleCodecDisabledError, match=r"^a: the object codec 'pickle' is no"):
        parse({"id": "pickle"}, "a")
    with pytest.raises(PickleCodecDisabledError):
        make({"id": "pickle"}).decode(pickle.dumps(1), None)


@pytest.mark.parametrize("known", ["json2", "msgpack2", "vlen-utf8", "vlen-bytes"])
def test_an_object_codec_is_not_a_compressor(known):
    # numcodecs would create as many objects as the data states: here, 4 thousand million.
    with pytest.raises(MetadataError, match=f"^a: the object codec '{known}' is not a compressor"):
        parse({"id": known}, "a")


def test_crc32c_needs_no_package(monkeypatch):
    registry = dict(numcodecs.registry.codec_registry)
    monkeypatch.setattr(numcodecs.registry, "codec_registry", registry)
    registry.pop("crc32c")
    _shared.cache_clear()
    codec = parse({"id": "crc32c", "location": "end"})
    assert bytes(codec.decode(codec.encode(DATA), len(DATA))) == DATA
    with pytest.raises(UnknownCodecError):
        parse({"id": "crc32c", "location": "middle"})
    _shared.cache_clear()


def test_values_of_numpy_in_a_configuration():
    codec = parse(numcodecs.FixedScaleOffset(np.float32(0.5), np.int64(2), "f8"))
    assert codec.to_v2()["offset"] == 0.5
    assert codec.to_v2()["scale"] == 2


@pytest.mark.parametrize(
    ("config", "member"),
    [
        ({"id": "blosc", "cname": "lz5", "clevel": 5, "shuffle": 1}, "cname: .*'lz5'"),
        ({"id": "blosc", "cname": "lz4", "clevel": 77, "shuffle": 1}, "clevel: .*77"),
        ({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 7}, "shuffle: .*7"),
        ({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": -3}, "blocksize"),
        (
            {"id": "lzma", "format": 3, "filters": [{"id": 3}, {"id": 33, "dict_size": 2**32 - 1}]},
            r"filters\[1\].dict_size: a dictionary of 4294967295 bytes.*limits.chunk_bytes",
        ),
    ],
    ids=ids,
)
def test_a_member_that_only_numcodecs_accepts_is_an_error_that_names_it(config, member, tmp_path):
    z = fastzarr.create_array(tmp_path / "a", shape=(8,), dtype="i4", zarr_format=2)
    z[...] = 1
    document = json.loads((tmp_path / "a/.zarray").read_text())
    document["compressor"] = config
    (tmp_path / "a/.zarray").write_text(json.dumps(document))
    with pytest.raises(MetadataError, match=rf"a/\.zarray: compressor\.{member}"):
        fastzarr.open_array(tmp_path, path="a", mode="r")
    with pytest.raises(MetadataError, match=member):
        fastzarr.create_array({}, shape=8, dtype="i4", zarr_format=2, compressors=config)


@pytest.mark.parametrize("path", ["native", "numpy"])
def test_gzip_states_no_time(path):
    stored = []
    for zarr_format in (2, 3):
        words = {"zarr_format": zarr_format, "compressors": {"id": "gzip", "level": 1}}
        store = {}
        with config.set({"data_path": path}):
            fastzarr.create_array(store, data=np.arange(9), **words)
        stored.append(bytes(store["0" if zarr_format == 2 else "c/0"]))
    assert [data[4:8] for data in stored] == [bytes(4)] * 2
    assert stored[0] == stored[1]
