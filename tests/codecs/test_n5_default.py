"""Blocks of N5: headers, blocks smaller than the chunk, and damaged ones."""

from __future__ import annotations

import struct
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given

import fastzarr
from fastzarr import codecs, errors
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.n5_default import N5DefaultCodec, blocks
from fastzarr.config import config
from fastzarr.dtypes import from_numpy
from fastzarr.metadata.n5_compression import of

SHAPE = (4, 3)


def codec(spec: ChunkSpec, compressor: Any = None) -> N5DefaultCodec:
    chain = blocks(len(spec.shape), None if compressor is None else of(compressor, "compressors"))
    return N5DefaultCodec(codecs=chain).resolve(spec)


def spec_of(shape: tuple[int, ...] = SHAPE, dtype: str = "i2", fill: int = 0) -> ChunkSpec:
    return ChunkSpec(shape, from_numpy(dtype), np.dtype(dtype).type(fill))


def block(shape: tuple[int, ...], values: Any, mode: int = 0) -> bytes:
    header = struct.pack(f">HH{len(shape)}I", mode, len(shape), *shape)
    return header + np.asarray(values, ">i2").tobytes()


def test_a_block_is_a_header_and_elements_of_which_the_first_axis_is_contiguous() -> None:
    # The example of the specification of N5.
    spec = spec_of((1, 2, 3), "u2")
    array = np.array([1, 2, 3, 4, 5, 6], "u2").reshape(3, 2, 1).T
    data = codec(spec).encode(array, spec)
    assert data == bytes.fromhex(
        "0000 0003 00000001 00000002 00000003 0001 0002 0003 0004 0005 0006"
    )
    assert np.array_equal(codec(spec).decode(data, spec), array)


@pytest.mark.parametrize("name", [None, "gzip", "zstd", "blosc", {"id": "bz2"}, {"id": "zlib"}])
def test_a_block_is_compressed_behind_its_header(name: Any) -> None:
    spec = spec_of()
    array = np.arange(12, dtype="i2").reshape(SHAPE)
    made = codec(spec, name)
    data = made.encode(array, spec)
    assert data[:12] == bytes.fromhex("0000 0002 00000004 00000003")
    assert np.array_equal(made.decode(data, spec), array)


def test_elements_that_a_smaller_block_lacks_are_the_fill_value() -> None:
    spec = spec_of(fill=7)
    found = codec(spec).decode(block((2, 3), range(6)), spec)
    assert found.tolist() == [[0, 2, 4], [1, 3, 5], [7, 7, 7], [7, 7, 7]]
    assert codec(spec).decode(block((0, 3), []), spec).tolist() == [[7, 7, 7]] * 4


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "expected a header of 12 bytes, found 0"),
        (block((4, 3), [])[:9], "expected a header of 12 bytes, found 9"),
        (block((4, 3), range(12), mode=1), r"mode 1 \(varlength\)"),
        (block((4, 3), range(12), mode=2), r"mode 2 \(object\)"),
        (block((4, 3), range(12), mode=77), "mode 77, and only mode 0"),
        (block((4,), range(4)), "1 axes, but the chunk has 2"),
        (block((4, 3, 1), range(12)), "3 axes, but the chunk has 2"),
        (block((5, 3), range(15)), r"shape \(5, 3\), larger than a chunk of shape \(4, 3\)"),
        (block((4, 2**32 - 1), range(12)), "larger than a chunk"),
        (block((4, 3), range(11)), "expected 24 bytes .* found 22"),
        (block((4, 3), range(13)), "expected 24 bytes .* found 26"),
        (block((3, 3), range(12)), "expected 18 bytes .* found 24"),
    ],
)
def test_a_block_that_does_not_fit_the_chunk_raises_an_error(data: bytes, says: str) -> None:
    spec = spec_of()
    with pytest.raises(errors.CodecError, match=says):
        codec(spec).decode(data, spec)


@st.composite
def _stored(draw: st.DrawFn) -> tuple[tuple[int, ...], str, Any, dict[str, bytes]]:
    """Return a chunk shape, a data type, a compressor, and blocks of any shape, some damaged."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(["u1", "i2", "f4", "f8"]))
    name = draw(st.sampled_from([None, "gzip", "zstd", "blosc", "zlib", "lz4"]))
    compressor = None if name is None else {"id": name}
    stored = {}
    for number in range(3):
        part = tuple(draw(st.integers(0, size + (draw(st.integers(0, 9)) == 0))) for size in shape)
        spec = spec_of(part, dtype)
        values = np.arange(np.prod(part)).astype(dtype).reshape(part)
        data = bytearray(codec(spec, compressor).encode(values, spec))
        if draw(st.integers(0, 3)) == 0:
            at = draw(st.integers(0, len(data) - 1))
            data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        stored["/".join(["0"] * (len(shape) - 1) + [str(number)])] = bytes(data)
    return shape, dtype, compressor, stored


_EMPTY = bytes.fromhex("0000 0002 00000000 00000000")
_BLOSC = bytes.fromhex("00013301 00000000 01000000 10000000")
_ZSTD = bytes.fromhex("28b52ffd 09 20 00 01 00 00")


@given(_stored())
@example(((1, 1), "u1", {"id": "blosc"}, {"0/0": _EMPTY + _BLOSC}))
@example(((1, 1), "u1", {"id": "zstd"}, {"0/0": _EMPTY + _ZSTD}))
def test_the_extension_reads_blocks_as_its_twin_does(
    stored: tuple[tuple[int, ...], str, Any, dict[str, bytes]],
) -> None:
    shape, dtype, compressor, values = stored
    words = {"chunks": shape, "dtype": dtype, "compressors": compressor, "zarr_format": "n5"}
    whole = (3 * shape[0], *shape[1:])
    store: dict[str, bytes] = {}
    # The axes of a key and of a shape are in the opposite order in N5.
    fastzarr.create_array(store, shape=whole, **words)
    store |= {key: _turned(data) for key, data in values.items()}
    found = []
    for path in ("native", "numpy"):
        with config.set({"data_path": path}):
            array = fastzarr.open_array(store, mode="r", zarr_format="n5")
            for number in range(3):
                rows = slice(number * shape[0], (number + 1) * shape[0])
                try:
                    found.append(array[rows].tobytes())
                except errors.ChunkError:
                    found.append(b"an error")
    assert found[:3] == found[3:]


def _turned(data: bytes) -> bytes:
    """Return a block with the lengths in the opposite order, if its header is whole."""
    axes = int.from_bytes(data[2:4], "big")
    if not 0 < axes < 4 or len(data) < 4 + 4 * axes:
        return data
    lengths = struct.unpack_from(f">{axes}I", data, 4)
    return data[:4] + struct.pack(f">{axes}I", *lengths[::-1]) + data[4 + 4 * axes :]


@given(st.data())
def test_damaged_blocks_raise_an_error_or_have_the_shape_of_the_chunk(data: st.DataObject) -> None:
    spec = spec_of()
    name = data.draw(st.sampled_from([None, "gzip", "zstd", {"id": "bz2"}, "blosc"]))
    made = codec(spec, name)
    good = bytearray(made.encode(np.arange(12, dtype="i2").reshape(SHAPE), spec))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(good) - 1))
        good[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=5))
        good += b"\0" * (not good)
    try:
        found = made.decode(bytes(good), spec)
    except errors.CodecError:
        return
    assert (found.shape, found.dtype.itemsize) == (SHAPE, 2)


def test_the_codec_of_format_3_has_the_configuration_of_its_specification() -> None:
    chain = [
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
        {"name": "zstd", "configuration": {"level": 0, "checksum": False}},
    ]
    document = {"name": "n5_default", "configuration": {"codecs": chain}}
    made = codecs.from_v3(document, "codecs[0]")
    assert made.to_dict() == document
    values = np.arange(35, dtype="f4").reshape(5, 7)
    store: dict[str, bytes] = {}
    array = fastzarr.create_array(
        store,
        data=values,
        chunks=(2, 4),
        serializer=made,
        compressors=None,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )
    assert np.array_equal(array[:], values)
    assert store["1/0"][:12] == bytes.fromhex("0000 0002 00000002 00000004")
    # A block as other writers store it at the edge.
    smaller = np.ascontiguousarray(values[4:, :4].T, ">f4").tobytes()
    header = bytes.fromhex("0000 0002 00000001 00000004")
    store["2/0"] = header + bytes(codecs.parse("zstd").encode(smaller))
    opened = fastzarr.open_array(store, mode="r")
    assert np.array_equal(opened[:], values)
    assert opened.serializer == made.resolve(opened.layout.program.spec)


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ([], "codecs: must be 'transpose', 'bytes' and at most one compressor, got none"),
        ([{"name": "bytes"}], "codecs: must be"),
        (["gzip", "bytes"], "codecs: must be"),
        (5, "codecs: must be a list"),
        ([{"name": "transpose", "configuration": {"order": [0]}}, "bytes", "gzip", "gzip"], "got"),
        ([{"name": "transpose", "configuration": {"order": [0]}}, "what"], r"codecs\[1\]: unknown"),
    ],
)
def test_another_chain_is_refused(chain: Any, says: str) -> None:
    with pytest.raises(errors.MetadataError, match=says):
        codecs.from_v3({"name": "n5_default", "configuration": {"codecs": chain}}, "codecs[0]")


def test_a_chain_that_does_not_fit_the_chunk_is_refused() -> None:
    turned = codecs.TransposeCodec(order=(0, 1))
    little = codecs.BytesCodec(endian="little")
    reverse, big = blocks(2)
    with pytest.raises(
        errors.MetadataError, match=r"codecs\[0\].configuration.order: must reverse"
    ):
        N5DefaultCodec(codecs=(turned, big)).resolve(spec_of())
    with pytest.raises(
        errors.MetadataError, match=r"codecs\[1\].configuration.endian: must be 'big'"
    ):
        N5DefaultCodec(codecs=(reverse, little)).resolve(spec_of())
    assert N5DefaultCodec(codecs=(reverse, little)).resolve(spec_of(dtype="u1"))
    for dtype in ("c8", "S3", "U2"):
        with pytest.raises(errors.MetadataError, match="N5 has integers and floats"):
            N5DefaultCodec(codecs=(reverse, big)).resolve(
                ChunkSpec((2, 2), from_numpy(dtype), None)
            )
