"""The keywords of h5py and of zarr-python 2 for compression, fill values and filters."""

from __future__ import annotations

import numcodecs
import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.errors import UnknownCodecError


def made(**words):
    return zarr.group().create_dataset("x", shape=(30,), dtype="i4", **words)


def names(z):
    return [codec.name for codec in z.compressors]


def test_fill_values():
    assert made(fillvalue=7)[:2].tolist() == [7, 7]
    assert made(fillvalue=None)[:2].tolist() == [0, 0]
    assert zarr.open_array({}, mode="w", shape=2, fillvalue=4)[:].tolist() == [4, 4]
    assert zarr.zeros_like([1, 2], fillvalue=None)[:].tolist() == [0, 0]
    with pytest.raises(TypeError, match=r"both fill_value= and fillvalue="):
        made(fill_value=1, fillvalue=2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"compression": "gzip"}, ["gzip"]),
        ({"compression": "zstd", "compression_opts": 3}, ["zstd"]),
        ({"compression": 4}, ["gzip"]),
        ({"compression": True}, ["gzip"]),
        ({"compression": "bz2", "compression_opts": 3}, ["numcodecs.bz2"]),
        ({"compression": numcodecs.Zlib(2)}, ["numcodecs.zlib"]),
        ({"compression": None}, []),
        ({"compression": "none"}, []),
        ({"compression": "default"}, ["blosc", "crc32c"]),
        ({"compression": "gzip", "shuffle": True}, ["numcodecs.shuffle", "gzip"]),
        ({"compression": "blosc", "shuffle": True}, ["blosc"]),
        ({"shuffle": True, "fletcher32": True}, ["blosc", "crc32c"]),
        ({"compression": "gzip", "fletcher32": True}, ["gzip", "crc32c"]),
    ],
)
def test_compression(words, expected):
    z = made(**words)
    assert names(z) == expected
    assert z.metadata.zarr_format == 3
    z[:] = np.arange(30)
    assert z[:].tolist() == list(range(30))


def test_the_options_of_a_codec():
    assert made(compression="gzip", compression_opts=9).compressors[0].level == 9
    assert made(compression=6).compressors[0].level == 6
    for options in ({"cname": "zstd", "clevel": 3, "shuffle": 2}, ("zstd", 3, 2)):
        blosc = made(compression="blosc", compression_opts=options).compressors[0]
        assert (blosc.cname, blosc.clevel, blosc.shuffle) == ("zstd", 3, "bitshuffle")


def test_format_2():
    z = zarr.create(
        shape=9,
        dtype="i4",
        zarr_format=2,
        compression="zlib",
        compression_opts=1,
        shuffle=True,
        fletcher32=True,
    )
    assert z.compressor.get_config() == {"id": "zlib", "level": 1}
    assert [codec.codec_id for codec in z.filters] == ["shuffle", "fletcher32"]
    z[:] = np.arange(9)
    assert z[:].tolist() == list(range(9))


@pytest.mark.parametrize(
    ("data", "size"), [([1, 2], 8), (np.arange(3, dtype="i2"), 2), ([1.5], 8), (["ab"], 8)]
)
def test_the_shuffled_size_is_that_of_any_data(data, size):
    z = zarr.group().create_dataset("x", data=data, compression=9, shuffle=True)
    shuffles = [codec for codec in z.compressors if codec.name == "numcodecs.shuffle"]
    assert [codec.settings["elementsize"] for codec in shuffles] == [size] == [z.dtype.itemsize]
    assert z[:].tolist() == list(data)


def test_what_only_tunes_a_file_is_ignored():
    z = made(maxshape=(None,), track_times=False, track_order=True, fill_time="never")
    z.resize(50)
    assert z.shape == (50,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"compression": "lzf"}, "filter of HDF5"),
        ({"compression": 32001}, "filter of HDF5"),
        ({"compression_opts": 3}, "requires compression="),
        ({"compression": "gzip", "compressor": None}, "both compressor= and compression="),
        ({"compression": "gzip", "compressors": "zstd"}, "both compressors= and compression="),
        ({"compression": "gzip", "codecs": ["bytes"]}, "omit compression="),
        ({"compression": "lzma", "compression_opts": 3}, "must be a dict"),
        ({"scaleoffset": 3}, "unexpected keyword argument 'scaleoffset'"),
        ({"external": "x"}, "unexpected keyword argument 'external'"),
    ],
)
def test_contradictions_and_what_has_no_meaning_are_refused(words, message):
    with pytest.raises(TypeError, match=message):
        made(**words)


def test_unknown_codecs_are_named():
    with pytest.raises(UnknownCodecError, match="nope"):
        made(compression="nope")
