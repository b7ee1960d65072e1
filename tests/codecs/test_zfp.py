"""The zfp codec: modes, data types, what zfpy makes of the same data, and damaged data."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import fastzarr
from fastzarr import codecs
from fastzarr.codecs.zfp import ZfpCodec
from fastzarr.errors import ChunkError, CodecError, MetadataError

zfpy = pytest.importorskip("zfpy")

MODES: list[dict[str, Any]] = [
    {"mode": "reversible"},
    {"mode": "fixed_accuracy", "tolerance": 0.05},
    {"mode": "fixed_accuracy", "tolerance": 0},
    {"mode": "fixed_rate", "rate": 10.5},
    {"mode": "fixed_precision", "precision": 19},
]
SHAPES = [(9,), (5, 6), (3, 4, 5), (2, 3, 4, 5)]


def smooth(shape: tuple[int, ...], dtype: str = "f8") -> Any:
    found = np.cumsum(np.ones(shape), axis=-1) * 3 + np.arange(shape[0]).reshape(
        -1, *[1] * (len(shape) - 1)
    )
    return found.astype(dtype)


def codec_of(mode: dict[str, Any], spec: Any) -> ZfpCodec:
    found: Any = codecs.from_v3({"name": "zfp", "configuration": mode}, "")
    return found.resolve(spec)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8"])
def test_data_is_that_of_zfpy_without_its_header(mode, shape, dtype, spec_of):
    spec, array = spec_of(shape, dtype), smooth(shape, dtype)
    codec = codec_of(mode, spec)
    data = codec.encode(array, spec)
    words = {key: value for key, value in mode.items() if key != "mode"}
    with_header = zfpy.compress_numpy(array, **words)
    # A header is 96 bits, or 148 if its last 12 of the 96 are all set.
    bits = int.from_bytes(with_header, "little")
    header = 148 if bits >> 84 & 0xFFF == 0xFFF else 96
    assert bits >> header == int.from_bytes(data, "little")
    found = codec.decode(data, spec)
    assert np.array_equal(found, zfpy.decompress_numpy(with_header))
    assert found.dtype == array.dtype
    assert codec.encoded_size(spec) in (None, len(data))
    assert (codec.encoded_size(spec) is None) == (mode["mode"] != "fixed_rate")
    if mode["mode"] == "reversible":
        assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("limits", "mode"),
    [
        ((1, 16658, 64, -1075), {"mode": "reversible"}),
        ((1, 16658, 64, -5), {"mode": "fixed_accuracy", "tolerance": 0.05}),
        ((1, 16658, 19, -1074), {"mode": "fixed_precision", "precision": 19}),
        ((168, 168, 64, -1074), {"mode": "fixed_rate", "rate": 10.5}),
        ((0, 16658, 128 - 64, -1074), {"mode": "fixed_accuracy", "tolerance": 0}),
    ],
)
@pytest.mark.parametrize("dtype", ["f8", "i4"])
def test_the_expert_mode_is_the_others_with_their_limits(limits, mode, dtype, spec_of):
    spec, array = spec_of((5, 6), dtype), smooth((5, 6), dtype)
    names = ("minbits", "maxbits", "maxprec", "minexp")
    expert = codec_of({"mode": "expert", **dict(zip(names, limits, strict=True))}, spec)
    plain = codec_of(mode, spec)
    data = plain.encode(array, spec)
    assert expert.encode(array, spec) == data
    assert np.array_equal(expert.decode(data, spec), plain.decode(data, spec))
    assert expert.encoded_size(spec) == plain.encoded_size(spec)


def test_limits_that_zfpy_cannot_write_are_read(spec_of):
    spec = spec_of((4, 4), "f4")
    array = smooth((4, 4), "f4")
    both = {"mode": "expert", "minbits": 1, "maxbits": 300, "maxprec": 12, "minexp": -2}
    codec = codec_of(both, spec)
    with pytest.raises(
        CodecError, match=r"zfpy reads the mode 'expert' with any limits, and writes"
    ):
        codec.encode(array, spec)
    # Of these values, a precision of 12 bits keeps less than the least exponent of -2 does.
    data = codec_of({"mode": "fixed_precision", "precision": 12}, spec).encode(array, spec)
    assert np.allclose(codec.decode(data, spec), array, atol=0.1)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("i1", [-128, -1, 0, 1, 127]),
        ("u1", [0, 1, 127, 128, 255]),
        ("i2", [-(2**15), -1, 0, 1, 2**15 - 1]),
        ("u2", [0, 1, 2**15, 2**16 - 1]),
        ("u4", [0, 1, 2**31 - 1]),
        ("u8", [0, 1, 2**63 - 1]),
        ("f2", [0, -1.5, 65504, np.inf, np.nan]),
        ("bfloat16", [0, -1.5, 3e38, np.inf, np.nan]),
        ("M8[s]", ["NaT", "1970-01-01", "2026-07-01"]),
        (">f8", [0, 1.5, -2]),
        (">i2", [0, 1, -2]),
        ("f8", [np.nan, np.inf, -0.0]),
    ],
)
def test_data_types_are_promoted_and_come_back(dtype, values, tmp_path):
    if dtype == "bfloat16":
        import ml_dtypes

        dtype = ml_dtypes.bfloat16
    array = np.array(values, dtype=dtype)
    z = fastzarr.create_array(
        tmp_path, data=array, serializer=ZfpCodec(mode="reversible"), compressors=None
    )
    found = fastzarr.open_array(tmp_path)[:]
    assert found.dtype == z.dtype
    assert found.tobytes() == array.astype(z.dtype).tobytes()


def test_small_integers_are_promoted_by_a_shift(spec_of):
    array = np.array([1, 2, 3, 250], "u1")
    spec = spec_of((4,), "u1")
    promoted = (array.astype("i4") - 128) << 23
    data = codec_of({"mode": "reversible"}, spec).encode(array, spec)
    assert data == zfpy.compress_numpy(promoted, write_header=False)
    signed = array.astype("i2")
    data = codec_of({"mode": "reversible"}, spec_of((4,), "i2")).encode(signed, spec_of((4,), "i2"))
    assert data == zfpy.compress_numpy(signed.astype("i4") << 15, write_header=False)


@pytest.mark.parametrize(("dtype", "value"), [("u4", 2**31), ("u8", 2**63)])
def test_integers_that_would_come_back_as_others_are_refused(dtype, value, spec_of):
    spec = spec_of((4,), dtype)
    with pytest.raises(CodecError, match=rf"{value} is too large; .* it stores 0 to {value - 1}"):
        codec_of({"mode": "reversible"}, spec).encode(np.array([0, 1, 2, value], dtype), spec)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_lossy_mode_stores_what_is_not_finite(value):
    z = fastzarr.create_array(
        {}, shape=4, dtype="f4", serializer=ZfpCodec(mode="fixed_rate", rate=8), compressors=None
    )
    with pytest.raises(ChunkError, match="NaN and infinities cannot be stored with a loss"):
        z[1] = value


def test_shards_fill_values_and_no_axes(tmp_path):
    values = smooth((12, 9), "f4")
    z = fastzarr.create_array(
        tmp_path / "a",
        data=values,
        chunks=(3, 3),
        shards=(6, 9),
        fill_value=5,
        serializer=ZfpCodec(mode="reversible"),
        compressors="gzip",
    )
    z[4:7, 2] = values[4:7, 2] = 5
    z[6:9] = values[6:9] = 5
    assert np.array_equal(fastzarr.open_array(tmp_path / "a")[:], values)
    assert np.array_equal(z[5, 1:4], values[5, 1:4])
    single = fastzarr.create_array(
        {}, data=np.float32(1.5), serializer=ZfpCodec(mode="reversible"), compressors=None
    )
    assert single[()] == 1.5


def test_more_axes_need_a_reshape(tmp_path):
    values = smooth((2, 3, 4, 1, 5), "f4")
    words = {"data": values, "serializer": ZfpCodec(mode="reversible"), "compressors": None}
    with pytest.raises(MetadataError, match="at most 4 axes, not of 5; put a reshape before"):
        fastzarr.create_array({}, **words)
    fastzarr.create_array(tmp_path, filters=["zarrs.squeeze"], **words)
    assert np.array_equal(fastzarr.open_array(tmp_path)[:], values)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("dtype", ["f4", "i8"])
def test_data_that_is_too_short_or_too_long_is_an_error(mode, dtype, spec_of):
    spec = spec_of((6, 7), dtype)
    array = np.random.default_rng(0).integers(-(2**30), 2**30, (6, 7)).astype(dtype)
    codec = codec_of(mode, spec)
    data = codec.encode(array, spec)
    # A last word of zeros may be padding.
    for size in range(0, len(data.rstrip(b"\0")), 4):
        with pytest.raises(CodecError, match=r"^zfp: (the data ends early|expected )"):
            codec.decode(data[:size], spec)
    with pytest.raises(CodecError, match=r"zfp: expected .* bytes of data, found"):
        codec.decode(data + bytes(5000), spec)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_damaged_data_is_decoded_to_the_shape_or_is_an_error(mode, spec_of):
    spec = spec_of((5, 3), "f4")
    codec = codec_of(mode, spec)
    random = np.random.default_rng(1)
    for size in (1, 8, 24, 40, 64):
        for _ in range(20):
            try:
                assert codec.decode(random.bytes(size), spec).shape == (5, 3)
            except CodecError as error:
                assert str(error).startswith("zfp: ")  # noqa: PT017  (either is right)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "^x: the member 'mode' is missing"),
        ({"mode": "fast"}, r"^x\.mode: must be one of 'reversible', 'expert',"),
        ({"mode": 5}, r"^x\.mode: must be one of"),
        ({"mode": "fixed_rate"}, "^x: the member 'rate' is missing, which the mode 'fixed_rate'"),
        ({"mode": "reversible", "rate": 3}, r"^x\.rate: is not a member of the mode 'reversible'"),
        ({"mode": "fixed_rate", "rate": "3"}, r"^x\.rate: must be a number"),
        ({"mode": "fixed_rate", "rate": 0}, r"^x\.rate: must be a number of at least"),
        ({"mode": "fixed_accuracy", "tolerance": -1}, r"^x\.tolerance: must be a number of at"),
        ({"mode": "fixed_accuracy", "tolerance": True}, r"^x\.tolerance: must be a number"),
        ({"mode": "fixed_precision", "precision": 0}, r"^x\.precision: must be an integer from 1"),
        ({"mode": "fixed_precision", "precision": 2.5}, r"^x\.precision: must be an integer"),
        (
            {"mode": "expert", "minbits": 1, "maxbits": 9, "maxprec": 1},
            "^x: .* 'minexp' is missing",
        ),
        (
            {"mode": "expert", "minbits": 9, "maxbits": 8, "maxprec": 1, "minexp": 0},
            r"^x\.minbits: must be at most maxbits, 8, got 9",
        ),
        ({"mode": "reversible", "write_header": False}, r"^x\.write_header: unknown member"),
    ],
)
def test_a_wrong_configuration_is_placed(wrong, says):
    with pytest.raises(MetadataError, match=says):
        ZfpCodec.from_config(wrong, "x")


@pytest.mark.parametrize("dtype", ["?", "c8", "S3", "U2", "V4"])
def test_other_data_types_are_refused(dtype, spec_of):
    with pytest.raises(MetadataError, match=r"encodes i4, i8, f4, f8, .* not "):
        ZfpCodec(mode="reversible").resolve(spec_of((4,), dtype))


def test_the_extra_is_named_if_zfpy_is_missing(monkeypatch):
    z = fastzarr.create_array(
        {}, shape=4, dtype="f4", serializer=ZfpCodec(mode="reversible"), compressors=None
    )
    monkeypatch.setitem(sys.modules, "zfpy", None)
    with pytest.raises(ChunkError, match=r"zfp needs the package zfpy: .*fastzarr\[zfp\]"):
        z[:] = 1
    assert z.serializer.mode == "reversible"


def test_names_of_zarrs():
    for name in ("zfp", "zarrs.zfp", "https://codec.zarrs.dev/array_to_bytes/zfp"):
        found = codecs.from_v3({"name": name, "configuration": {"mode": "reversible"}}, "")
        assert found == ZfpCodec(mode="reversible")
