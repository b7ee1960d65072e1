"""Elements of variable length: stored bytes, agreement with numcodecs, and hostile counts."""

from __future__ import annotations

import struct
import sys

import numcodecs
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fastzarr
from fastzarr import _native, codecs
from fastzarr.codecs import elements, vlen
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.elements import vlen_encode
from fastzarr.codecs.vlen import VLenBytesCodec, VLenUTF8Codec
from fastzarr.dtypes import from_numpy
from fastzarr.errors import CodecError, MetadataError

pytestmark = pytest.mark.usefixtures("data_path")

UTF8, BYTES = VLenUTF8Codec(), VLenBytesCodec()


TEXT = np.dtypes.StringDType()
# Elements that are stored, that are converted to others, and that no codec accepts.
ANYTHING = st.one_of(
    st.text(),
    st.text(st.characters(categories=["Cs", "Lu"]), max_size=2),
    st.binary(),
    st.sampled_from([None, 1, "a\0", "\0", b"\0", np.str_("b"), np.bytes_(b"b"), bytearray(b"c")]),
    st.just(np.void(b"d\0")),
)


def text_spec(*shape):
    return ChunkSpec(shape, from_numpy("string"), "")


def bytes_spec(*shape):
    return ChunkSpec(shape, from_numpy("variable_length_bytes"), b"")


def objects(items):
    array = np.empty(len(items), dtype=object)
    for number, item in enumerate(items):
        array[number] = item
    return array


def u32(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def test_the_stored_form():
    array = np.array(["", "é", "a"], dtype="T")
    assert UTF8.encode(array, text_spec(3)) == u32(3, 0, 2) + "é".encode() + u32(1) + b"a"


@given(st.lists(st.text(), max_size=8))
@example(["a\0", "\0", "", "é\0\0", "\U0001f600" * 5, "n" * 300])
def test_text_agrees_with_numcodecs(items):
    array, spec = np.array(items, dtype=TEXT), text_spec(len(items))
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


def split_by(functions, data, kind, count, dtype):
    out = np.empty(count, dtype=dtype)
    wrong = functions.vlen_decode(data, kind, out)
    return wrong, None if wrong else out.tolist()


@given(st.lists(ANYTHING, max_size=6), st.sampled_from([str, bytes]))
def test_the_extension_joins_as_its_twin_does(items, kind):
    array = objects(items)
    plain = vlen.plain_text if kind is str else vlen.plain_bytes
    found = _native.vlen_encode(array, kind, plain)
    assert found == vlen_encode(array, kind, plain)
    if isinstance(found, bytes):
        dtype = TEXT if kind is str else object
        assert split_by(_native, found, kind, len(items), dtype)[0] is None


@given(st.lists(st.binary(max_size=20), max_size=6), st.data())
def test_the_extension_splits_as_its_twin_does(items, data):
    stored = bytearray(vlen_encode(objects(items), bytes, bytes))
    # The caller checks the count; everything after it may be arbitrary.
    for place in data.draw(st.lists(st.integers(4, max(len(stored), 5)), max_size=3)):
        if data.draw(st.booleans()):
            del stored[place:]
        else:
            number = data.draw(st.sampled_from([0, 1, 3, 4, 255, 2**31, 2**32 - 1]))
            stored[place : place + data.draw(st.sampled_from([0, 4]))] = u32(number)
    for kind, dtype in ((str, TEXT), (str, object), (bytes, object)):
        case = (memoryview(bytes(stored)), kind, len(items), dtype)
        assert split_by(_native, *case) == split_by(elements, *case)


@given(st.lists(st.text(), max_size=8))
def test_text_of_objects_and_of_numpy_is_stored_alike(items):
    for functions in (_native, elements):
        found = functions.vlen_encode(np.array(items, dtype=TEXT), str, vlen.plain_text)
        assert found == functions.vlen_encode(objects(items), str, vlen.plain_text)


def test_text_that_numpy_never_set_is_empty():
    assert UTF8.encode(np.empty(2, dtype=TEXT), text_spec(2)) == u32(2, 0, 0)


def test_missing_text_is_empty():
    array = np.array(["a", None], dtype=np.dtypes.StringDType(na_object=None))
    assert UTF8.encode(array, text_spec(2)) == u32(2, 1) + b"a" + u32(0)


@pytest.mark.parametrize(
    ("kind", "out"),
    [
        (str, np.empty(2, dtype="U3")),
        (str, np.empty(4, dtype=object)[::2]),
        (str, np.empty((1, 2), dtype=object)),
        (bytes, np.empty(2, dtype=TEXT)),
        (int, np.empty(2, dtype=object)),
    ],
)
def test_the_extension_refuses_arrays_it_was_not_made_for(kind, out):
    with pytest.raises(ValueError, match=r"an array|the kind|bytes"):
        _native.vlen_decode(u32(2, 0, 0), kind, out)
    with pytest.raises(ValueError, match=r"an array|the kind|bytes"):
        _native.vlen_encode(out, kind, str)


def test_the_extension_writes_into_nothing_that_is_read_only():
    out = np.empty(2, dtype=TEXT)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        _native.vlen_decode(u32(2, 0, 0), str, out)


def test_an_error_of_another_kind_is_raised():
    def fail(item):
        raise RuntimeError(item)

    for functions in (_native, elements):
        with pytest.raises(RuntimeError, match="7"):
            functions.vlen_encode(objects(["a", 7]), str, fail)


def test_objects_are_let_go_of():
    thing = "not interned, and not of the interpreter's own"
    array = objects([thing, thing])
    before = sys.getrefcount(thing)
    for functions in (_native, elements):
        for _ in range(5):
            data = functions.vlen_encode(array, str, vlen.plain_text)
            assert functions.vlen_decode(data, str, objects([thing, thing])) is None
    assert sys.getrefcount(thing) == before


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


def test_values_that_are_converted_to_elements():
    text = np.array(["a", None, np.str_("b")], dtype=object)
    assert UTF8.decode(UTF8.encode(text, text_spec(3)), text_spec(3)).tolist() == ["a", "", "b"]
    data, spec = np.array([b"a", None, bytearray(b"b")], dtype=object), bytes_spec(3)
    assert BYTES.decode(BYTES.encode(data, spec), spec).tolist() == [b"a", b"", b"b"]


@pytest.mark.parametrize("wrong", [1, b"a", ["a"], "\ud800"])
def test_elements_other_than_text_are_an_error(wrong):
    array = np.empty(1, dtype=object)
    array[0] = wrong
    with pytest.raises(CodecError, match="vlen-utf8: element 0 of 1 cannot be stored as text"):
        UTF8.encode(array, text_spec(1))


@pytest.mark.parametrize("wrong", [1, "a", [b"a"]])
def test_elements_other_than_bytes_are_an_error(wrong):
    array = np.empty(1, dtype=object)
    array[0] = wrong
    with pytest.raises(CodecError, match="vlen-bytes: element 0 of 1 cannot be stored as bytes"):
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
    # The array has this size too; even so, four bytes must not use gigabytes.
    with pytest.raises(CodecError, match="or more, found 4"):
        UTF8.decode(u32(2**32 - 1), text_spec(2**32 - 1))


def test_invalid_utf8_is_an_error():
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


@pytest.mark.parametrize("dtype", ["string", "bytes"])
def test_vlen_array_is_that_of_zarrs(dtype, tmp_path):
    zarrista = pytest.importorskip("zarrista")
    words = ["a", "", "longer", "\u00e9"]
    values = words if dtype == "string" else [word.encode() for word in words]
    z = fastzarr.create_array(
        tmp_path / "ours",
        shape=4,
        dtype=dtype,
        chunks=2,
        serializer="vlen-array",
        compressors=None,
    )
    z[:] = values
    assert fastzarr.open_array(tmp_path / "ours")[:].tolist() == values
    theirs = zarrista.Array.open(zarrista.store.FilesystemStore(str(tmp_path / "ours")), "/")
    assert theirs[...].to_numpy().tolist() == values
    (tmp_path / "theirs").mkdir()
    store = zarrista.store.FilesystemStore(str(tmp_path / "theirs"))
    made = zarrista.Array.from_metadata(z.metadata.to_dict(), store)
    made.store_metadata()
    data = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, data)]).tolist()
    made[...] = zarrista.ArrayBytes(b"".join(data), offsets=offsets)
    ours = fastzarr.open_array(tmp_path / "theirs", mode="r+")
    assert ours[:].tolist() == values
    ours[1] = values[2]
    assert ours[:2].tolist() == [values[0], values[2]]


def test_names_of_vlen_array(spec_of):
    for name in ("vlen-array", "numcodecs.vlen-array", "numcodecs.vlen_array"):
        found = codecs.from_v3({"name": name}, "")
        assert found.to_dict() == {"name": "vlen-array"}
    with pytest.raises(
        MetadataError, match="stores elements of the data type 'bytes', not 'int32'"
    ):
        found.resolve(spec_of((2,), "i4"))
