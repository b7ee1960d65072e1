"""Chunks shared by several threads are read and written as in NumPy, with any codec chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr
from fastzarr import errors
from fastzarr.config import config
from fastzarr.stores import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("data_path", "_three_threads")

SHAPE = (70, 90, 110)
CRC = {"name": "crc32c"}


def blosc(cname: str, shuffle: str, blocksize: int = 0, clevel: int = 5) -> dict[str, Any]:
    """Return the configuration of a Blosc codec for elements of four bytes."""
    configuration = {
        "cname": cname,
        "clevel": clevel,
        "shuffle": shuffle,
        "typesize": 4,
        "blocksize": blocksize,
    }
    return {"name": "blosc", "configuration": configuration}


CHAINS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "swapped": {
        "compressors": None,
        "serializer": {"name": "bytes", "configuration": {"endian": "big"}},
    },
    "checksum": {"compressors": [CRC]},
    "lz4": {"compressors": [blosc("lz4", "shuffle"), CRC]},
    "bits": {"compressors": [blosc("lz4", "bitshuffle")]},
    "odd blocks": {"compressors": [blosc("zstd", "noshuffle", 100_000)]},
    "stored": {"compressors": [blosc("lz4", "noshuffle", clevel=0)]},
    "zstd": {"compressors": [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}]},
    "swapped lz4": {
        "serializer": {"name": "bytes", "configuration": {"endian": "big"}},
        "compressors": [blosc("lz4", "shuffle")],
    },
}
SELECTIONS: dict[str, Any] = {
    "all": (...,),
    "slab": (slice(11, 60),),
    "box": (slice(3, 69), slice(1, 88), slice(5, 100)),
    "backwards": (slice(None, None, -1), slice(80, 2, -3), slice(None, None, 2)),
    "row": (5,),
    "column": (slice(None), 17, 31),
    "list": ([69, 0, 3, 3], slice(None), slice(None)),
}


@pytest.fixture
def _three_threads() -> Any:
    """Use three threads on any machine."""
    with config.set({"threading.max_workers": 3}):
        yield


def values(dtype: str) -> np.ndarray[Any, Any]:
    """Return data that compresses a little, in which no two slabs are equal."""
    rng = np.random.default_rng(3)
    found = np.cumsum(rng.integers(-9, 10, SHAPE), axis=2)
    return found % 2 == 0 if dtype == "bool" else found.astype(dtype)


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=str)
def test_one_large_chunk_is_read_by_any_selection(
    chain: dict[str, Any], order: tuple[int, ...], tmp_path: Path
) -> None:
    turn = [{"name": "transpose", "configuration": {"order": order}}]
    for store in (tmp_path / "a", MemoryStore()):
        z = fastzarr.create_array(
            store, shape=SHAPE, chunks=SHAPE, dtype="i4", filters=turn, **chain
        )
        expected = values("i4")
        z[...] = expected
        for selection in SELECTIONS.values():
            np.testing.assert_array_equal(z.oindex[selection], expected[selection])
        at = np.random.default_rng(1).integers(0, 70, (3, 500))
        np.testing.assert_array_equal(z.vindex[tuple(at)], expected[tuple(at)])


@pytest.mark.parametrize("dtype", ["bool", "i1", "f8", "c16"])
@pytest.mark.parametrize("chunks", [SHAPE, (70, 50, 110), (1, 90, 110)], ids=str)
def test_elements_of_any_size_in_few_chunks(dtype: str, chunks: tuple[int, ...]) -> None:
    expected = values(dtype)
    for compressors in (None, [CRC], "auto"):
        z = fastzarr.create_array(
            MemoryStore(), shape=SHAPE, chunks=chunks, dtype=dtype, compressors=compressors
        )
        z[...] = expected
        for selection in SELECTIONS.values():
            np.testing.assert_array_equal(z.oindex[selection], expected[selection])


@pytest.mark.parametrize("name", ["raw", "checksum", "lz4", "odd blocks", "stored"])
def test_damage_anywhere_in_a_shared_chunk_is_an_error_or_the_same_data(
    name: str, tmp_path: Path
) -> None:
    chain = CHAINS[name]
    z = fastzarr.create_array(tmp_path, shape=SHAPE, chunks=SHAPE, dtype="i4", **chain)
    z[...] = values("i4")
    chunk = tmp_path / "c/0/0/0"
    good = chunk.read_bytes()
    for bad in (good[:-1], good + b"\0", good[: len(good) // 2], b""):
        chunk.write_bytes(bad)
        strict = fastzarr.config.set({"array.read_padded_chunks": False})
        with strict, pytest.raises(errors.ChunkError, match="c/0/0/0"):
            _ = z[...]
        if bad == good + b"\0" and name in ("odd blocks", "stored"):
            np.testing.assert_array_equal(z[...], values("i4"))
            continue
        with pytest.raises(errors.ChunkError, match="c/0/0/0"):
            _ = z[...]
    if CRC in (chain["compressors"] or []):
        for place in np.linspace(0, len(good) - 1, 40).astype(int):
            bad = bytearray(good)
            bad[place] ^= 4
            chunk.write_bytes(bad)
            with pytest.raises(errors.ChunkError, match="c/0/0/0"):
                _ = z[...]
    chunk.unlink()
    assert not z[...].any()


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=str)
def test_one_large_chunk_is_written_by_any_selection(
    chain: dict[str, Any], order: tuple[int, ...], tmp_path: Path
) -> None:
    turn = [{"name": "transpose", "configuration": {"order": order}}]
    z = fastzarr.create_array(
        tmp_path, shape=SHAPE, chunks=SHAPE, dtype="i4", filters=turn, fill_value=7, **chain
    )
    expected = np.full(SHAPE, 7, dtype="i4")
    rng = np.random.default_rng(5)
    for turned, selection in enumerate(SELECTIONS.values()):
        value = rng.integers(0, 1000, expected[selection].shape).cumsum(axis=0)
        if turned % 2:
            value = np.asfortranarray(value)
        z.oindex[selection] = value
        # Of two values for one element the last one is stored, as in NumPy.
        expected[selection] = value
        np.testing.assert_array_equal(z[...], expected)
    z[...] = expected[::-1]
    for path in ("native", "numpy"):
        with config.set({"data_path": path}):
            np.testing.assert_array_equal(z[...], expected[::-1])
    stored = (tmp_path / "c/0/0/0").read_bytes()
    with config.set({"threading.max_workers": 1}):
        z[...] = 0
        z[...] = expected[::-1]
    assert (tmp_path / "c/0/0/0").read_bytes() == stored
    z[...] = 7
    assert not (tmp_path / "c/0/0/0").exists()
