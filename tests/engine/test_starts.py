"""Reads of the start of a Zstandard chunk, of which the blocks behind are not decoded."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.codecs import Crc32cCodec, TransposeCodec, ZstdCodec
from fastzarr.errors import ChunkError
from fastzarr.native import extension

needs_extension = pytest.mark.skipif(extension is None, reason="the extension is not installed")
ROWS = 64
# Each row has 4 KiB, and about half of them when it is stored.
VALUES = np.random.default_rng(1).integers(0, 16, (3 * ROWS, 4096), "u1")


def made(zarr_format=3, checksum=False, behind=(), **options):
    """Return an array of three chunks, and its store."""
    store = {}
    compressors = ZstdCodec(level=1, checksum=checksum)
    array = zarr.create_array(
        store,
        data=VALUES.view(options.pop("dtype", "u1")),
        chunks=(ROWS, options.pop("width", 4096)),
        compressors=[compressors, *behind] if zarr_format == 3 else compressors,
        zarr_format=zarr_format,
        **options,
    )
    return array, store, "c/1/0" if zarr_format == 3 else "1.0"


def damaged(store, key, at):
    """Change some bytes of a value, at a part of its length."""
    value = bytearray(store[key])
    place = int(len(value) * at)
    value[place : place + 8] = bytes(byte ^ 0x5A for byte in value[place : place + 8])
    store[key] = bytes(value)


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize(
    ("zarr_format", "options"),
    [
        (2, {"order": "F"}),
        (2, {"dtype": ">u4", "width": 1024}),
        (3, {}),
        (3, {"filters": [TransposeCodec(order=(1, 0))]}),
    ],
    ids=str,
)
def test_any_rows_of_a_chunk_are_read(zarr_format, options):
    array, _, _ = made(zarr_format, **options)
    values = VALUES.view(array.dtype)
    rows = np.random.default_rng(2).integers(0, 3 * ROWS, 20)
    for index in [5, slice(70, 74), slice(ROWS, ROWS + 33), np.s_[1:150:20, 7], np.s_[::-64, ::9]]:
        assert np.array_equal(array[index], values[index])
    assert np.array_equal(array.oindex[np.sort(rows)], values[np.sort(rows)])
    assert np.array_equal(array.vindex[rows, 3 * rows], values[rows, 3 * rows])


@needs_extension
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_damage_behind_the_rows_is_found_when_it_is_read(zarr_format):
    array, store, key = made(zarr_format)
    damaged(store, key, 0.95)
    # Blocks have 128 KiB, of 256.
    assert np.array_equal(array[ROWS : ROWS + 8], VALUES[ROWS : ROWS + 8])
    # The other rows are an error or other values, for want of a checksum.
    with suppress(ChunkError):
        assert not np.array_equal(array[ROWS : 2 * ROWS], VALUES[ROWS : 2 * ROWS])


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("cut", [1, 3, 1000, 70_000])
def test_a_chunk_that_ends_early_is_an_error_whichever_rows_are_read(zarr_format, cut):
    array, store, key = made(zarr_format)
    store[key] = bytes(store[key])[:-cut]
    with pytest.raises(ChunkError, match=r"chunk \(1, 0\)"):
        array[ROWS]


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("how", [{"checksum": True}, {"behind": [Crc32cCodec()]}], ids=str)
def test_a_checksum_covers_the_whole_chunk_whichever_rows_are_read(how):
    array, store, key = made(**how)
    damaged(store, key, 0.95)
    with pytest.raises(ChunkError, match=r"chunk \(1, 0\)"):
        array[ROWS]
