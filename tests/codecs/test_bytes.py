"""The serializer of elements of fixed size: stored bytes, avoided copies, and hostile input."""

from __future__ import annotations

import json
import pickle
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastzarr
from fastzarr import create_array, open_array
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.compile import describe
from fastzarr.codecs.enums import Endian
from fastzarr.dtypes import from_v2
from fastzarr.errors import CodecError, MetadataError
from fastzarr.storage import MemoryStore

RECORD = np.dtype(
    [("a", "<i2"), ("b", [("c", "<f8"), ("t", "<M8[ms]")]), ("s", "S3"), ("u", "<U2")]
)
DTYPES = ["?", "i1", "u2", "i4", "u8", "f2", "f8", "c8", "c16", "M8[10ms]", "m8[D]", "S3", "U3"]


def values(dtype, shape=(2, 3)):
    raw = np.arange(shape[0] * shape[1] * np.dtype(dtype).itemsize, dtype="u1")
    if np.dtype(dtype).kind in "?bSU":
        return np.arange(6).reshape(shape).astype(dtype)
    return raw.view(dtype).reshape(shape)


@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_are_stored_in_the_configured_order(dtype, endian, spec_of):
    spec, array = spec_of((2, 3), dtype), values(dtype)
    codec = BytesCodec(endian=endian).resolve(spec)
    order = "<" if endian == "little" else ">"
    encoded = codec.encode(array, spec)
    assert bytes(encoded) == array.astype(array.dtype.newbyteorder(order)).tobytes()
    assert codec.encoded_size(spec) == len(encoded)
    decoded = codec.decode(bytes(encoded), spec)
    assert decoded.shape == (2, 3)
    assert decoded.astype(array.dtype).tobytes() == array.tobytes()


@pytest.mark.parametrize("endian", ["little", "big"])
def test_byte_order_reaches_every_field_of_a_record(endian, spec_of):
    array = np.zeros(2, RECORD)
    array["a"], array["b"]["c"], array["b"]["t"] = 1, 1.5, 7
    array["s"], array["u"] = b"x", "yz"
    spec = spec_of((2,), RECORD)
    order = "<" if endian == "little" else ">"
    field = np.dtype(
        [
            ("a", order + "i2"),
            ("b", [("c", order + "f8"), ("t", order + "M8[ms]")]),
            ("s", "S3"),
            ("u", order + "U2"),
        ]
    )
    codec = BytesCodec(endian=endian)
    encoded = bytes(codec.encode(array, spec))
    assert encoded == array.astype(field).tobytes()
    assert (codec.decode(encoded, spec) == array).all()


def test_format_2_stores_what_its_dtype_says():
    spec = ChunkSpec((2,), from_v2(">i2", ""), 0)
    codec = BytesCodec(endian=None).resolve(spec)
    assert bytes(codec.encode(np.array([1, 2]), spec)) == b"\0\x01\0\x02"
    assert codec.decode(b"\0\x01\0\x02", spec).tolist() == [1, 2]


def test_contiguous_input_is_not_copied(spec_of):
    array, spec = np.arange(6, dtype="<i4").reshape(2, 3), spec_of((2, 3), "i4")
    assert np.shares_memory(BytesCodec().encode(array, spec), array)
    data = array.tobytes()
    assert np.shares_memory(BytesCodec().decode(data, spec), np.frombuffer(data, "u1"))


@pytest.mark.parametrize("order", ["F", "reversed", "strided"])
def test_any_strides(order, spec_of):
    base = np.arange(24, dtype="i4").reshape(4, 6)
    array = {"F": np.asfortranarray(base), "reversed": base[::-1, ::-1], "strided": base[::2, ::3]}
    found = array[order]
    spec = spec_of(found.shape, "i4")
    assert bytes(BytesCodec().encode(found, spec)) == found.astype("<i4").tobytes()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda d: np.frombuffer(d, "u1")])
def test_decodes_any_buffer(kind, spec_of):
    data = np.arange(3, dtype="<f8").tobytes()
    assert BytesCodec().decode(kind(data), spec_of((3,), "f8")).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("shape", "size"), [((), 4), ((0,), 0), ((3, 0), 0)])
def test_no_dimensions_and_no_elements(shape, size, spec_of):
    spec, array = spec_of(shape, "i4"), np.full(shape, 7, "i4")
    encoded = bytes(BytesCodec().encode(array, spec))
    assert len(encoded) == size
    assert (BytesCodec().decode(encoded, spec) == array).all()
    assert BytesCodec().decode(encoded, spec).shape == shape


@pytest.mark.parametrize("found", [0, 11, 13, 24])
def test_wrong_size_is_an_error(found, spec_of):
    with pytest.raises(CodecError, match=f"expected 12 bytes .* found {found}"):
        BytesCodec().decode(bytes(found), spec_of((3,), "i4"))


def test_booleans_other_than_0_and_1_are_true(spec_of):
    found = BytesCodec(endian=None).decode(b"\x00\x01\x02\xff", spec_of((4,), "?"))
    assert found.tobytes() == b"\x00\x01\x01\x01"


@pytest.mark.parametrize("stored", [0x0F, 0xFF, 0x7F])
def test_unused_bits_are_ignored(stored, spec_of):
    found = BytesCodec(endian=None).decode(bytes([stored]), spec_of((1,), ml_dtypes.int4))
    expected = np.array([-1]).astype(ml_dtypes.int4)
    assert found.tolist() == [-1]
    assert found.tobytes() == expected.tobytes()


def test_bfloat16_has_a_byte_order(spec_of):
    spec = spec_of((1,), ml_dtypes.bfloat16)
    array = np.array([1], dtype=ml_dtypes.bfloat16)
    assert bytes(BytesCodec(endian="big").encode(array, spec)) == b"\x3f\x80"
    assert BytesCodec(endian="big").decode(b"\x3f\x80", spec).astype("f4").tolist() == [1]


def test_metadata(spec_of):
    assert BytesCodec().to_dict() == {"name": "bytes", "configuration": {"endian": "little"}}
    assert BytesCodec(endian=Endian.big) == BytesCodec(endian="big")
    assert BytesCodec.from_config({}, "") == BytesCodec(endian=None)
    assert BytesCodec().resolve(spec_of((1,), "u1")).to_dict() == {"name": "bytes"}
    assert pickle.loads(pickle.dumps(BytesCodec())) == BytesCodec()
    assert hash(BytesCodec()) == hash(BytesCodec(endian="little"))


@pytest.mark.parametrize("wrong", ["middle", 1, True, ["little"]])
def test_wrong_endian_is_placed(wrong):
    with pytest.raises(MetadataError, match=r"^x\.endian: must be one of 'little', 'big'"):
        BytesCodec.from_config({"endian": wrong}, "x")


def test_unknown_member_is_named():
    with pytest.raises(MetadataError, match=r"^x\.order: "):
        BytesCodec.from_config({"endian": "big", "order": "C"}, "x")


def test_varying_length_is_refused(spec_of):
    with pytest.raises(MetadataError, match="vlen-utf8"):
        BytesCodec().resolve(spec_of((1,), "string"))


@pytest.mark.parametrize(
    ("dtype", "stored", "expected"),
    [
        ("int4", [0x0F, 0xFF, 0x7F, 0x08, 0x17], [-1, -1, -1, -8, 7]),
        ("uint4", [0x0F, 0xFF, 0x7F, 0x08, 0x17], [15, 15, 15, 8, 7]),
        ("int2", [0x03, 0xFF, 0x06, 0x01, 0x04], [-1, -1, -2, 1, 0]),
        ("uint2", [0x03, 0xFF, 0x06, 0x01, 0x04], [3, 3, 2, 1, 0]),
        ("float4_e2m1fn", [0x07, 0xF7, 0x1F, 0x01, 0x10], [6, 6, -6, 0.5, 0]),
        ("float6_e2m3fn", [0x1F, 0xDF, 0x7F, 0x01, 0x40], [7.5, 7.5, -7.5, 0.125, 0]),
    ],
)
@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("compressors", [None, "zstd"])
def test_upper_bits_of_small_numbers_are_ignored(
    compressors: Any, dtype: str, stored: list[int], expected: list[float]
) -> None:
    store = MemoryStore()
    z = create_array(
        store, shape=5, chunks=5, dtype="uint8", compressors=compressors, zarr_format=3
    )
    z[:] = stored
    document = json.loads(bytes(store.get("zarr.json") or b""))
    store.set("zarr.json", json.dumps({**document, "data_type": dtype}).encode())
    z = open_array(store)
    assert describe(z.layout.program) is not None
    found = z[:]
    assert found.astype(float).tolist() == expected
    # Equal values have equal bytes, so that hashes of them are equal too.
    assert found.tobytes() == np.asarray(expected).astype(z.dtype).tobytes()
    assert z[1:4].tobytes() == found[1:4].tobytes()
    z[1:3] = z[2:4]
    assert open_array(store)[:].tobytes() == found[[0, 2, 3, 3, 4]].tobytes()


@pytest.mark.parametrize("path", ["native", "numpy"])
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize(
    ("fields", "native"),
    [
        ([("a", "i2"), ("b", "f8"), ("c", "u1")], True),
        ([("a", "i4"), ("b", "f4")], True),
        ([("a", "c8"), ("b", [("x", "U2"), ("y", "S3")]), ("c", "M8[s]")], True),
        ([("a", ml_dtypes.int4), ("b", ml_dtypes.bfloat16), ("c", "?")], True),
        ([("a", "i2"), ("b", "V2000")], False),
    ],
)
def test_records_of_any_byte_order(fields, native, endian, path):
    dtype = np.dtype(fields)
    values = np.zeros(5, dtype)
    for name in dtype.names:
        if dtype[name].names is None:
            values[name] = np.arange(5).astype("i8").astype(dtype[name])
        else:
            values[name]["x"], values[name]["y"] = "üb", b"xyz"
    with fastzarr.config.set({"data_path": path}):
        store = {}
        z = fastzarr.create_array(
            store,
            shape=5,
            chunks=4,
            dtype=dtype,
            serializer={"name": "bytes", "configuration": {"endian": endian}},
            compressors=None,
        )
        assert (z.layout.program.native is not None) is (native or endian == sys.byteorder)
        z[:] = values
        order = "<" if endian == "little" else ">"
        expected = np.empty(4, dtype.newbyteorder(order))
        expected[...] = values[:4]
        assert bytes(store["c/0"]) == expected.tobytes()
        assert z[:].tobytes() == values.tobytes()
        assert z[::-2].tobytes() == values[::-2].tobytes()
        z[1:2] = values[2]
        assert z[1].tobytes() == values[2].tobytes()


@pytest.mark.parametrize("path", ["native", "numpy"])
def test_a_view_of_which_some_fields_are_swapped(path):
    with fastzarr.config.set({"data_path": path}):
        z = fastzarr.array(np.array([(1, 2), (3, 4)], "i4,i4"))
        view = z.view(dtype=[("a", "<i4"), ("b", ">i4")])
        assert view[:].tolist() == [(1, 2), (3, 4)]
