"""A partial write changes only those blocks of a Blosc frame that it meets."""

from __future__ import annotations

import struct
from typing import Any

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr.config import config
from fastzarr.errors import ChunkError
from fastzarr.stores import MemoryStore

HEADER = 16
CNAMES = [
    n
    for n in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
    if n in numcodecs.blosc.list_compressors()
]
CRC = {"name": "crc32c"}


def make(
    store: MemoryStore, shape: tuple[int, ...], dtype: Any, codec: Any, *, order: str = "C"
) -> fastzarr.Array:
    """Return an array of format 2 that is one chunk, compressed by a codec of numcodecs."""
    return fastzarr.create_array(
        store,
        shape=shape,
        chunks=shape,
        dtype=dtype,
        compressor=codec,
        fill_value=0,
        zarr_format=2,
        order=order,
    )


def blocks(frame: bytes) -> list[bytes]:
    """Return the bytes of a frame from the beginning of each block to that of the next."""
    nbytes, size = struct.unpack_from("<II", frame, 4)
    count = -(-nbytes // size)
    starts = list(struct.unpack_from(f"<{count}I", frame, HEADER))
    assert starts == sorted(starts)
    return [frame[a:b] for a, b in zip(starts, [*starts[1:], len(frame)], strict=True)]


def damaged(frame: bytes, block: int) -> bytes:
    """Return a frame with one block whose compressed bytes do not decode."""
    first = struct.unpack_from("<I", frame, HEADER + 4 * block)[0]
    size = struct.unpack_from("<I", frame, first)[0]
    begin = first + 4
    return frame[:begin] + b"\xff" * size + frame[begin + size :]


def chunk_of(array: fastzarr.Array) -> tuple[str, bytes]:
    """Return the key of the only chunk, and its bytes."""
    [key] = [
        key
        for key in array.store.list()
        if key.rpartition("/")[2] not in ("zarr.json", ".zarray", ".zattrs")
    ]
    return key, bytes(array.store.get(key))


def test_blocks_that_are_not_met_keep_their_bytes_damaged_ones_too() -> None:
    data = np.arange(1 << 18, dtype="<f4")
    array = make(MemoryStore(), data.shape, "<f4", numcodecs.Blosc("lz4", 5, 1, 4096))
    array[:] = data
    key, frame = chunk_of(array)
    size = struct.unpack_from("<I", frame, 8)[0] // 4
    count = len(data) // size
    assert count >= 4
    frame = damaged(frame, 1)
    array.store.set(key, frame)
    array[2 * size + 7] = -5
    old, new = blocks(frame), blocks(chunk_of(array)[1])
    assert [n for n in range(count) if old[n] != new[n]] == [2]
    data[2 * size + 7] = -5
    assert np.array_equal(array[2 * size :], data[2 * size :])
    assert np.array_equal(array[:size], data[:size])
    with pytest.raises(ChunkError, match="Lz4"):
        array[:]
    # A block that is met is decoded, and must be sound.
    with pytest.raises(ChunkError, match="Lz4"):
        array[size + 1] = 0
    assert blocks(chunk_of(array)[1]) == new


def test_a_checksum_behind_the_blocks_is_verified_before_they_are_kept() -> None:
    codec = {
        "name": "blosc",
        "configuration": {
            "cname": "lz4",
            "clevel": 5,
            "shuffle": "shuffle",
            "typesize": 4,
            "blocksize": 4096,
        },
    }
    data = np.arange(1 << 18, dtype="<f4")
    array = fastzarr.create_array(
        MemoryStore(), shape=data.shape, chunks=data.shape, dtype="f4", compressors=[codec, CRC]
    )
    array[:] = data
    array[5] = -1
    data[5] = -1
    assert np.array_equal(array[:], data)
    key, stored = chunk_of(array)
    bad = damaged(stored[:-4], 3) + stored[-4:]
    array.store.set(key, bad)
    with pytest.raises(ChunkError, match="crc32c"):
        array[5] = 2
    assert chunk_of(array)[1] == bad


def test_a_chunk_of_fill_value_is_deleted_when_its_last_block_becomes_so() -> None:
    array = make(MemoryStore(), (1 << 18,), "<f4", numcodecs.Blosc("zstd", 1, 1, 4096))
    array[[3, 100_000, 200_000]] = 1
    for index in (100_000, 3):
        array[index] = 0
        assert array[200_000] == 1
        assert chunk_of(array)
    array[200_000] = 0
    assert [key for key in array.store.list() if not key.startswith(".z")] == []


@pytest.mark.parametrize("cname", CNAMES)
def test_a_frame_of_other_settings_is_encoded_as_a_whole(cname: str) -> None:
    data = np.arange(1 << 18, dtype="<f4")
    array = make(MemoryStore(), data.shape, "<f4", numcodecs.Blosc("lz4", 5, 1, 4096))
    array[:] = data
    key, _ = chunk_of(array)
    for other in (
        numcodecs.Blosc(cname, 9, 1, 0),
        numcodecs.Blosc(cname, 5, 0, 0),
        numcodecs.Blosc(cname, 5, 2, 4096),
        numcodecs.Blosc(cname, 0, 1, 0),
    ):
        array.store.set(key, other.encode(data))
        array[77] = -3
        expected = data.copy()
        expected[77] = -3
        assert np.array_equal(array[:], expected)
        assert chunk_of(array)[1][2] >> 5 == 1  # the number of lz4


SELECTIONS = st.sampled_from(
    ["element", "run", "steps", "backwards", "rows", "column", "list", "mask", "fill", "half"]
)


@st.composite
def cases(draw: Any) -> Any:
    dtype = np.dtype(
        draw(st.sampled_from(["|u1", "<i2", ">i4", "<f4", "<f8", "|b1", "<c16", "|V20"]))
    )
    size = draw(st.integers(2, 400_000 if draw(st.booleans()) else 9000)) // dtype.itemsize + 2
    width = draw(st.sampled_from([1, 7, 64, 1000]))
    shape = (size // width + 1, width) if draw(st.booleans()) else (size,)
    codec = numcodecs.Blosc(
        draw(st.sampled_from(CNAMES)),
        draw(st.integers(0, 6)),
        draw(st.integers(0, 2)),
        draw(st.sampled_from([0, 0, 1000, 4096, 66_000])),
    )
    data = np.zeros(shape, dtype)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    raw = data.reshape(-1).view("u1")
    filled = draw(st.sampled_from([0.0, 0.01, 0.6, 1.0]))
    upto = int(len(raw) * filled)
    if draw(st.booleans()):
        raw[:upto] = np.arange(upto) // 50 % 251
    else:
        raw[:upto] = rng.integers(0, 255, upto)
    if dtype.kind == "b":
        raw[:] = raw & 1
    return data, codec, rng


def select(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Return an index of the first axis, or of both."""
    length = shape[0]
    start = int(rng.integers(length))
    column = (int(rng.integers(shape[1])),) if len(shape) > 1 else ()
    return {
        "element": (start, *column),
        "run": slice(start, start + 1 + length // 20),
        "steps": slice(start, None, max(length // 3, 1)),
        "backwards": slice(start, None, -max(length // 7, 1)),
        "rows": (slice(start, start + 3), *(slice(c, None) for c in column)),
        "column": (slice(None), *column),
        "list": np.unique(rng.integers(start, length, 3)),
        "mask": rng.random(length) < 3 / length,
        "fill": slice(0, length // 2),
        "half": slice(length // 2, None),
    }[kind]


@settings(deadline=None, max_examples=120)
@given(
    cases(),
    st.lists(SELECTIONS, min_size=1, max_size=4),
    st.sampled_from([1, 3]),
    st.sampled_from("CF"),
)
def test_any_partial_write_decodes_as_with_the_twin(
    case: Any, kinds: list[str], threads: int, order: str
) -> None:
    data, codec, rng = case
    stores = [MemoryStore(), MemoryStore()]
    fast, slow = (make(store, data.shape, data.dtype, codec, order=order) for store in stores)
    expected = data.copy()
    if any(data.tobytes()):
        stored = np.array(data, order=order)
        for store in stores:
            # As c-blosc writes it.
            store.set(".".join("0" * data.ndim), codec.encode(stored))
    for kind in kinds:
        index = select(kind, data.shape, rng)
        # A value that is the fill value in half of the cases.
        value = expected[index].copy()
        raw = np.zeros(value.nbytes, "u1")
        if kind != "fill" and rng.random() < 0.6:
            raw[:] = rng.integers(0, 2 if data.dtype.kind == "b" else 256, len(raw))
        if value.size:
            value = raw.view(data.dtype).reshape(value.shape)
        expected[index] = value
        with config.set({"threading.max_workers": threads, "data_path": "native"}):
            fast.oindex[index] = value
            assert fast[...].tobytes() == expected.tobytes()
        with config.set({"data_path": "numpy"}):
            slow.oindex[index] = value
        keys = [sorted(store.list()) for store in stores]
        assert keys[0] == keys[1]
        for key in keys[0]:
            if not key.startswith(".z"):
                frame = bytes(stores[0].get(key))
                assert codec.decode(frame) == codec.decode(bytes(stores[1].get(key)))
                assert len(frame) <= HEADER + data.nbytes
