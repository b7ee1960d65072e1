"""Elements of varying length: the stored form, agreement with numcodecs, and hostile counts."""

from __future__ import annotations

import struct

import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.vlen import VLenBytesCodec, VLenUTF8Codec
from fastzarr.dtypes import from_numpy
from fastzarr.errors import CodecError, MetadataError

UTF8, BYTES = VLenUTF8Codec(), VLenBytesCodec()


def text_spec(*shape):
    return ChunkSpec(shape, from_numpy("string"), "")


def bytes_spec(*shape):
    return ChunkSpec(shape, from_numpy("variable_length_bytes"), b"")


def u32(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def test_the_stored_form():
    array = np.array(["", "é", "a"], dtype="T")
    assert UTF8.encode(array, text_spec(3)) == u32(3, 0, 2) + "é".encode() + u32(1) + b"a"


@given(st.lists(st.text(), max_size=8))
def test_text_agrees_with_numcodecs(items):
    array, spec = np.array(items, dtype=np.dtypes.StringDType()), text_spec(len(items))
    encoded = UTF8.encode(array, spec)
    assert encoded == numcodecs.VLenUTF8().encode(np.array(items, dtype=object))
    decoded = UTF8.decode(encoded, spec)
    assert decoded.dtype == array.dtype
    assert decoded.tolist() == items


@given(st.lists(st.binary(), min_size=1, max_size=8))
def test_bytes_agree_with_numcodecs(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    spec = bytes_spec(len(items))
    encoded = BYTES.encode(array, spec)
    assert encoded == numcodecs.VLenBytes().encode(array)
    assert BYTES.decode(np.frombuffer(encoded, "u1"), spec).tolist() == items


def test_c_order_whatever_the_strides():
    array, spec = np.array([["a", "b", "c"], ["d", "e", "f"]], dtype="T"), text_spec(2, 3)
    assert UTF8.encode(array.T, text_spec(3, 2)) == UTF8.encode(array.T.copy(), text_spec(3, 2))
    assert UTF8.decode(UTF8.encode(array, spec), spec).tolist() == array.tolist()


@pytest.mark.parametrize("shape", [(), (0,), (0, 3)])
def test_no_dimensions_and_no_elements(shape):
    array = np.full(shape, "x", dtype="T")
    found = UTF8.decode(UTF8.encode(array, text_spec(*shape)), text_spec(*shape))
    assert found.shape == shape
    assert found.tolist() == array.tolist()


def test_objects():
    text = np.array(["a", None, np.str_("b")], dtype=object)
    assert UTF8.decode(UTF8.encode(text, text_spec(3)), text_spec(3)).tolist() == ["a", "", "b"]
    data, spec = np.array([b"a", None, bytearray(b"b")], dtype=object), bytes_spec(3)
    assert BYTES.decode(BYTES.encode(data, spec), spec).tolist() == [b"a", b"", b"b"]


@pytest.mark.parametrize("wrong", [1, b"a", ["a"], "\ud800"])
def test_what_is_no_text_is_an_error(wrong):
    array = np.empty(1, dtype=object)
    array[0] = wrong
    with pytest.raises(CodecError, match="vlen-utf8: an element cannot be stored"):
        UTF8.encode(array, text_spec(1))


@pytest.mark.parametrize("wrong", [1, "a", [b"a"]])
def test_what_is_no_bytes_is_an_error(wrong):
    array = np.empty(1, dtype=object)
    array[0] = wrong
    with pytest.raises(CodecError, match="vlen-bytes: an element cannot be stored"):
        BYTES.encode(array, bytes_spec(1))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "expected at least 4 bytes, found 0"),
        (u32(3, 0, 0), "expected 2 elements, but the data holds 3"),
        (u32(2**32 - 1), "expected 2 elements, but the data holds 4294967295"),
        (u32(2, 0), "take 12 bytes or more, found 8"),
        (u32(2, 1) + b"ab\0\0", "ends early, after 1 of 2|states"),
        (u32(2, 2**32 - 1, 0), "element 0 of 2 states 4294967295 bytes, but 4 are left"),
        (u32(2, 4, 0), "ends early, after 1 of 2"),
        (u32(2, 0, 0) + b"x", "expected 12 bytes, found 13"),
    ],
)
@pytest.mark.parametrize(("codec", "spec"), [(UTF8, text_spec(2)), (BYTES, bytes_spec(2))])
def test_sizes_are_not_believed(codec, spec, data, says):
    with pytest.raises(CodecError, match=says):
        codec.decode(data, spec)


def test_a_chunk_of_many_claimed_elements_allocates_nothing():
    # The array says so itself here; four bytes must not become gigabytes all the same.
    with pytest.raises(CodecError, match="or more, found 4"):
        UTF8.decode(u32(2**32 - 1), text_spec(2**32 - 1))


def test_what_is_no_utf8_is_an_error():
    with pytest.raises(CodecError, match="is not UTF-8"):
        UTF8.decode(u32(1, 1) + b"\xff", text_spec(1))


def test_damage_is_an_error_or_other_text(damaged):
    for _, data in damaged(UTF8.encode(np.array(["a", "bc"], dtype="T"), text_spec(2))):
        try:
            assert UTF8.decode(data, text_spec(2)).shape == (2,)
        except CodecError as error:
            assert "vlen-utf8" in str(error)  # noqa: PT017


@pytest.mark.parametrize("dtype", ["i4", "U3", "S3", "variable_length_bytes"])
def test_text_codec_refuses_other_types(dtype, spec_of):
    with pytest.raises(MetadataError, match="'string'"):
        UTF8.resolve(spec_of((1,), dtype))


@pytest.mark.parametrize("dtype", ["i4", "S3", "string"])
def test_bytes_codec_refuses_other_types(dtype, spec_of):
    with pytest.raises(MetadataError, match="'bytes'"):
        BYTES.resolve(spec_of((1,), dtype))


def test_metadata():
    assert UTF8.resolve(text_spec(1)).to_dict() == {"name": "vlen-utf8"}
    assert BYTES.resolve(bytes_spec(1)).to_dict() == {"name": "vlen-bytes"}
    assert UTF8.encoded_size(text_spec(1)) is None
    assert VLenUTF8Codec.from_config({}, "") == UTF8
