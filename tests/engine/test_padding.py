"""Bytes behind the end of compressed data, which some writers add as padding."""

from __future__ import annotations

import lzma

import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.config import config
from fastzarr.errors import ChunkError

CODECS = [
    numcodecs.Blosc(),
    numcodecs.Blosc(cname="zstd", shuffle=2, blocksize=256),
    numcodecs.Blosc(clevel=0),
    numcodecs.Blosc(cname="blosclz"),
    numcodecs.Zlib(),
    numcodecs.GZip(),
    numcodecs.BZ2(),
    numcodecs.LZMA(),
]
PADDING = [b"\0" * 8, b"\0" * 16, b"garbage", b"\xff", bytes(70_000)]
VALUES = np.arange(300, dtype="i4")


@pytest.fixture(params=["native", "numpy"], autouse=True)
def _path(request):
    with config.set({"data_path": request.param}):
        yield


def names(codec):
    return f"{codec.codec_id}-{getattr(codec, 'cname', '')}"


def stored(codec, behind, **members):
    store = {}
    z = zarr.create(300, store=store, dtype="i4", compressor=codec, zarr_format=2, **members)
    z[:] = VALUES
    store["0"] = bytes(store["0"]) + behind
    return store


@pytest.mark.parametrize("behind", PADDING, ids=lambda behind: f"{len(behind)}x{behind[:1]!r}")
@pytest.mark.parametrize("codec", CODECS, ids=names)
def test_padding_is_ignored(codec, behind):
    store = stored(codec, behind)
    z = zarr.open_array(store, mode="r+")
    assert np.array_equal(z[:], VALUES)
    assert z[5:9].tolist() == [5, 6, 7, 8]
    assert z[299] == 299
    z[3] = -1
    assert z[2:5].tolist() == [2, -1, 4]
    assert np.array_equal(zarr.open_array(store)[5:], VALUES[5:])


@pytest.mark.parametrize("codec", CODECS, ids=names)
def test_padding_is_an_error_if_it_is_not_allowed(codec):
    z = zarr.open_array(stored(codec, b"\0" * 8), mode="r+")
    for _ in range(2):
        assert z[7] == 7
        with config.set({"array.read_padded_chunks": False}):
            for index in (slice(None), slice(5, 9)):
                with pytest.raises(ChunkError, match="array '/', chunk"):
                    z[index]
            with pytest.raises(ChunkError):
                z[3] = -1
    assert np.array_equal(z[:], VALUES)


@pytest.mark.parametrize("codec", CODECS, ids=names)
def test_data_that_is_cut_or_has_another_size_is_an_error(codec):
    store = stored(codec, b"")
    whole = store["0"]
    sizes = [bytes(codec.encode(np.zeros(size, "i4"))) for size in (299, 301)]
    for data in (whole[:-1], whole[:-5] + b"\0", *sizes, *(size + b"\0" for size in sizes)):
        store["0"] = data
        with pytest.raises(ChunkError):
            zarr.open_array(store)[:]


def test_a_blosc_frame_that_states_more_than_its_data_is_an_error():
    store = stored(numcodecs.Blosc(), b"")
    frame = bytearray(store["0"])
    for stated in (len(frame) + 1, len(frame) + 16, 2**32 - 1):
        frame[12:16] = stated.to_bytes(4, "little")
        store["0"] = bytes(frame)
        with pytest.raises(ChunkError):
            zarr.open_array(store)[:]


@pytest.mark.parametrize("codec", [numcodecs.GZip(), numcodecs.BZ2(), numcodecs.LZMA()], ids=names)
def test_a_further_stream_is_no_padding(codec):
    further = bytes(codec.encode(np.zeros(1, "i4")))
    for behind in (further, further[:-1], further[:10], further + b"\0"):
        with pytest.raises(ChunkError):
            zarr.open_array(stored(codec, behind))[:]


@pytest.mark.parametrize(
    "codec",
    [
        numcodecs.Zstd(),
        numcodecs.LZ4(),
        numcodecs.LZMA(format=lzma.FORMAT_ALONE),
        numcodecs.LZMA(format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 1}]),
    ],
    ids=names,
)
def test_other_codecs_stay_strict(codec):
    with pytest.raises(ChunkError):
        zarr.open_array(stored(codec, b"\0" * 8))[:]


@pytest.mark.parametrize("codec", ["gzip", "blosc"])
def test_padding_inside_a_shard_and_before_a_checksum_is_ignored(codec):
    from fastzarr.codecs import BloscCodec, Crc32cCodec, GzipCodec

    made = GzipCodec() if codec == "gzip" else BloscCodec()
    store = {}
    words = {"name": "a", "shape": 300, "chunks": 300, "dtype": "i4"}
    z = zarr.create_array(store, compressors=[made, Crc32cCodec()], **words)
    z[:] = VALUES
    padded = bytes(store["a/c/0"][:-4]) + bytes(8)
    store["a/c/0"] = bytes(Crc32cCodec().encode(padded))
    assert np.array_equal(z[:], VALUES)
    sharded = zarr.create_array(
        store, **words | {"name": "s"}, shards=300, compressors=made, overwrite=True
    )
    sharded[:] = VALUES
    index = np.array([0, len(padded)], "<u8").tobytes()
    store["s/c/0"] = padded + bytes(Crc32cCodec().encode(index))
    assert np.array_equal(sharded[:], VALUES)
    assert sharded[9] == 9
    with config.set({"array.read_padded_chunks": False}):
        for array in (z, sharded):
            with pytest.raises(ChunkError):
                array[:]
