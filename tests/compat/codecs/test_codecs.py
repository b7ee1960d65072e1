"""zarr-python's codecs in the facade: their documents, their buffers, and the codecs inside."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import numpy as np
import pytest

from fastzarr import codecs as inner
from fastzarr import compat as zarr
from fastzarr.compat import codecs
from fastzarr.compat.abc.codec import SupportsSyncCodec
from fastzarr.compat.abc.numcodec import _is_numcodec
from fastzarr.compat.codecs.bridge import inner_codec, outer_codec
from fastzarr.compat.codecs.sharding import _ShardReader
from fastzarr.compat.core.array_spec import ArrayConfig, ArraySpec
from fastzarr.compat.core.buffer import default_buffer_prototype
from fastzarr.compat.core.codec_pipeline import (
    BatchedCodecPipeline,
    FusedCodecPipeline,
    codecs_from_list,
)
from fastzarr.compat.core.config import NUMCODECS
from fastzarr.compat.dtype import UInt16, parse_dtype
from fastzarr.compat.registry import get_numcodec
from fastzarr.errors import ZarrUserWarning

EACH: list[Any] = [
    codecs.BloscCodec(typesize=4, shuffle="shuffle"),
    codecs.BytesCodec(endian="big"),
    codecs.CastValue(data_type="int16", scalar_map={"encode": [(7, 1)]}),
    codecs.Crc32cCodec(),
    codecs.GzipCodec(level=1),
    codecs.ScaleOffset(offset=1, scale=2),
    codecs.ShardingCodec(chunk_shape=(2, 2), index_location="start"),
    codecs.TransposeCodec(order=(1, 0)),
    codecs.VLenBytesCodec(),
    codecs.VLenUTF8Codec(),
    codecs.ZstdCodec(level=3, checksum=True),
    codecs.Delta(dtype="<i4"),
    codecs.Zlib(level=1),
    codecs.PCodec(),
]
CHAINS: list[list[Any]] = [
    [codecs.BytesCodec(), codecs.BloscCodec()],
    [
        *(codecs.TransposeCodec(order=(1, 0)), codecs.BytesCodec(endian="big")),
        *(codecs.GzipCodec(), codecs.ZstdCodec(), codecs.Crc32cCodec()),
    ],
    [codecs.ShardingCodec(chunk_shape=(2, 2), codecs=[codecs.BytesCodec(), codecs.ZstdCodec()])],
    [codecs.ScaleOffset(offset=1), codecs.CastValue(data_type="int16"), codecs.BytesCodec()],
    [codecs.Delta(dtype="<i4"), codecs.BytesCodec(), codecs.Shuffle(), codecs.Adler32()],
    [codecs.PCodec()],
]


def chunk(shape: tuple[int, ...], dtype: str, fill: Any = 0) -> ArraySpec:
    return ArraySpec(
        shape,
        parse_dtype(dtype, zarr_format=3),
        fill,
        ArrayConfig.from_dict({}),
        default_buffer_prototype(),
    )


async def encode(codec: Any, arrays: list[Any], spec: ArraySpec) -> Any:
    make = spec.prototype.nd_buffer.from_numpy_array
    return await codec.encode([(make(array), spec) for array in arrays])


@pytest.mark.parametrize("codec", EACH, ids=lambda codec: codec.to_dict()["name"])
def test_a_codec_is_that_of_its_document_and_of_the_codec_inside(codec: Any) -> None:
    assert type(codec).from_dict(codec.to_dict()) == codec
    assert inner_codec(codec) is codec.inner
    assert inner_codec(codec.to_dict()) == codec.inner
    again = outer_codec(codec.inner)
    assert type(again) is type(codec)
    assert again.to_dict() == codec.to_dict()
    assert again.inner == codec.inner
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert isinstance(codec, SupportsSyncCodec)


@pytest.mark.parametrize("kind", [BatchedCodecPipeline, FusedCodecPipeline])
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: type(chain[0]).__name__)
def test_a_pipeline_encodes_and_decodes(chain: list[Any], kind: Any) -> None:
    spec = chunk((4, 6), "int32")
    array = np.arange(24, dtype="i4").reshape(4, 6)
    pipeline = kind.from_codecs(chain).evolve_from_array_spec(spec)

    async def through() -> tuple[Any, Any]:
        buffer = spec.prototype.nd_buffer.from_numpy_array(array)
        encoded = list(await pipeline.encode([(buffer, spec), (None, spec)]))
        decoded = list(await pipeline.decode([(data, spec) for data in encoded]))
        assert encoded[1] is decoded[1] is None
        return encoded[0], decoded[0]

    encoded, decoded = asyncio.run(through())
    assert isinstance(encoded, spec.prototype.buffer)
    np.testing.assert_array_equal(decoded.as_numpy_array(), array)


@pytest.mark.parametrize("given", [{}, {"typesize": 3}, {"shuffle": "shuffle"}])
@pytest.mark.parametrize(
    ("dtype", "size"), [("i1", 1), ("i4", 4), ("M8[s]", 8), ("bool", 1), ("string", 1)]
)
def test_a_new_array_has_the_blosc_that_zarr_python_would_write(given, dtype, size) -> None:
    codec = codecs.BloscCodec(**given)
    array = zarr.create_array({}, shape=4, chunks=2, dtype=dtype, compressors=codec)
    written = array.metadata.to_dict()["codecs"][-1]["configuration"]
    derived = "bitshuffle" if size == 1 else "shuffle"
    assert written["typesize"] == given.get("typesize", size)
    assert written["shuffle"] == given.get("shuffle", derived)
    assert zarr.open_array(array.store).metadata == array.metadata
    assert zarr.open_array(array.store).inner.layout == array.inner.layout


def test_what_the_data_type_decides_is_filled_in() -> None:
    spec = chunk((4,), "int32")
    blosc = codecs.BloscCodec().evolve_from_array_spec(spec)
    assert (blosc.typesize, blosc.shuffle) == (4, "shuffle")
    assert codecs.BloscCodec(typesize=1).evolve_from_array_spec(spec).shuffle == "shuffle"
    assert codecs.BytesCodec().evolve_from_array_spec(chunk((4,), "int8")).endian is None
    assert codecs.Shuffle().evolve_from_array_spec(spec).codec_config["elementsize"] == 4
    with pytest.raises(ValueError, match="endian"):
        codecs.BytesCodec(endian=None).evolve_from_array_spec(spec)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: codecs.GzipCodec(level="x"), TypeError),
        (lambda: codecs.GzipCodec(level=10), ValueError),
        (lambda: codecs.ZstdCodec(level=23), ValueError),
        (lambda: codecs.ZstdCodec(checksum=1), TypeError),
        (lambda: codecs.BloscCodec(cname="x"), ValueError),
        (lambda: codecs.BloscCodec(typesize=0), ValueError),
        (lambda: codecs.TransposeCodec(order="x"), TypeError),
        (lambda: codecs.BytesCodec(endian="x"), ValueError),
        (lambda: codecs.CastValue(data_type="bool"), ValueError),
        (lambda: codecs.ScaleOffset(offset=[]), TypeError),
        (lambda: codecs.ShardingCodec(chunk_shape=(0,)), ValueError),
        (lambda: codecs.Zlib(id="gzip"), ValueError),
    ],
)
def test_an_invalid_member_has_the_error_of_zarr_python(make: Any, error: Any) -> None:
    with pytest.raises(error):
        make()


def test_every_name_of_numcodecs_has_a_class() -> None:
    for name in NUMCODECS:
        cls = getattr(codecs.numcodecs, name)
        assert cls.__name__ == name
        assert cls.__module__ == "fastzarr.compat.codecs.numcodecs"
    assert _is_numcodec(get_numcodec(codecs.numcodecs.Zlib(level=1).codec_config))


def test_a_codec_that_zarr_python_lacks_is_shown_by_its_document() -> None:
    packbits = inner.PackbitsCodec()
    outer = outer_codec(packbits)
    assert outer.to_dict()["name"] == "packbits"
    assert inner_codec(outer) is packbits


def test_former_enumerations_are_strings_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="pass the string"):
        cname = codecs.BloscCname.zstd
    assert cname == "zstd"
    with pytest.warns(DeprecationWarning, match="literal string"):
        assert codecs.BytesCodec(endian=inner.Endian.big).endian == "big"


def test_a_chain_in_a_wrong_order_is_an_error() -> None:
    with pytest.raises(TypeError, match="order"):
        codecs_from_list([codecs.GzipCodec(), codecs.BytesCodec()])
    with pytest.raises(ValueError, match="ArrayBytesCodec"):
        codecs_from_list([codecs.GzipCodec()])
    sharding = codecs.ShardingCodec(chunk_shape=2)
    with pytest.warns(ZarrUserWarning, match="partial"):
        codecs_from_list([sharding, codecs.GzipCodec()])


@pytest.mark.parametrize("location", ["start", "end"])
def test_a_shard_can_be_read_by_hand(location: Any) -> None:
    spec = chunk((4, 4), "int32")
    codec = codecs.ShardingCodec(chunk_shape=(2, 2), index_location=location)
    array = np.zeros((4, 4), "i4")
    array[2:, :2] = 7
    [encoded, none] = asyncio.run(encode(codec, [array, array * 0], spec))
    assert none is None
    shard = asyncio.run(_ShardReader.from_bytes(encoded, codec, (2, 2)))
    stored = {place: data for place, data in shard.to_dict_vectorized().items() if data is not None}
    assert list(stored) == [(1, 0)]
    assert stored[1, 0].to_bytes() == np.full(4, 7, "i4").tobytes()


def test_decoded_elements_have_the_byte_order_of_the_description() -> None:
    dtype = UInt16(endianness="big")
    spec = ArraySpec((3,), dtype, 0, ArrayConfig.from_dict({}), default_buffer_prototype())
    array = np.arange(3, dtype=">u2")
    pipeline = BatchedCodecPipeline.from_codecs([codecs.ScaleOffset(), codecs.BytesCodec()])

    async def through() -> Any:
        [data] = await pipeline.encode([(spec.prototype.nd_buffer.from_numpy_array(array), spec)])
        return await pipeline.decode([(data, spec)])

    [decoded] = asyncio.run(through())
    assert decoded.as_numpy_array().dtype == array.dtype
    np.testing.assert_array_equal(decoded.as_numpy_array(), array)


def test_a_filter_of_numcodecs_says_what_it_stores() -> None:
    spec = chunk((4,), "int32")
    stored = codecs.Delta(dtype="<i4", astype="<i8").resolve_metadata(spec)
    assert stored.dtype == parse_dtype("int64", zarr_format=3)
    # Metadata may have it; whether it fits is found where it encodes.
    assert codecs.Delta(dtype="<i8").resolve_metadata(spec) == spec
    bits = codecs.PackBits().resolve_metadata(chunk((9,), "bool"))
    assert (bits.shape, bits.dtype) == ((3,), parse_dtype("uint8", zarr_format=3))
