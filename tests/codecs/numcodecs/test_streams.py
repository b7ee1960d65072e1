"""bz2 and lzma: the extension reads and writes what its twin does, and refuses what it refuses."""

from __future__ import annotations

import lzma
import zlib
from typing import Any

import hypothesis.strategies as st
import numcodecs
import numpy as np
import pytest
from hypothesis import example, given

import fastzarr
from fastzarr.config import config
from fastzarr.errors import ChunkError
from fastzarr.native import extension

pytestmark = pytest.mark.skipif(extension is None, reason="there is only the twin")

DELTA, LZMA2 = {"id": 3, "dist": 4}, {"id": 33, "preset": 1}
KNOWN: list[dict[str, Any]] = [
    {"id": "bz2", "level": 1},
    {"id": "bz2", "level": 9},
    {"id": "lzma", "preset": 0},
    {"id": "lzma", "preset": 1 | lzma.PRESET_EXTREME, "check": lzma.CHECK_SHA256},
    {"id": "lzma", "check": lzma.CHECK_NONE, "preset": 1},
    # The filters of zarr-python 2's tutorial.
    {"id": "lzma", "filters": [DELTA, LZMA2]},
    {"id": "lzma", "filters": [{"id": 3}, {"id": 3, "dist": 256}, DELTA, {"id": 33}]},
    {"id": "lzma", "format": 2, "preset": 1},
    {"id": "lzma", "format": 3, "filters": [LZMA2]},
    {"id": "lzma", "format": 3, "filters": [DELTA, LZMA2]},
]
UNKNOWN: list[dict[str, Any]] = [
    {"id": "bz2", "level": 0},
    {"id": "bz2", "level": 10},
    {"id": "lzma", "format": 0},
    {"id": "lzma", "preset": 10},
    {"id": "lzma", "check": 2},
    {"id": "lzma", "format": 2, "check": 4},
    {"id": "lzma", "format": 3},
    {"id": "lzma", "format": 2, "filters": [{"id": lzma.FILTER_LZMA1}]},
    {"id": "lzma", "format": 3, "filters": [{"id": lzma.FILTER_LZMA1}]},
    {"id": "lzma", "filters": [{"id": lzma.FILTER_X86}, LZMA2]},
    {"id": "lzma", "filters": [{"id": 33, "preset": 1, "dict_size": 1 << 16}]},
    {"id": "lzma", "filters": [DELTA, DELTA, DELTA, DELTA, LZMA2]},
    {"id": "lzma", "filters": [{"id": 3, "dist": 257}, LZMA2]},
    {"id": "lzma", "filters": [LZMA2, LZMA2]},
    {"id": "lzma", "filters": [LZMA2], "preset": 1},
    {"id": "lzma", "filters": [DELTA]},
    {"id": "lzma", "filters": []},
]
COUNT = 500
VALUES = (np.arange(COUNT, dtype="<i4") * 7) % 50


def array(store: Any, codec: Any, count: int = COUNT) -> fastzarr.Array:
    """Create an array of one chunk."""
    return fastzarr.create_array(
        store,
        shape=count,
        chunks=count,
        dtype="<i4",
        compressors=codec,
        filters=None,
        zarr_format=2,
    )


def read(store: Any, path: str) -> bytes | None:
    """Return all elements, or None for a chunk that is refused."""
    with config.set({"data_path": path}):
        try:
            return fastzarr.open_array(store, mode="r")[...].tobytes()  # type: ignore[no-any-return]
        except ChunkError:
            return None


@pytest.mark.parametrize("codec", KNOWN, ids=str)
def test_each_path_reads_what_the_other_and_numcodecs_write(codec: dict[str, Any]) -> None:
    written = []
    for path in ("native", "numpy"):
        store: dict[str, bytes] = {}
        z = array(store, codec)
        assert z.layout.program.native is not None
        with config.set({"data_path": path}):
            z[...] = VALUES
        written.append(bytes(store["0"]))
        assert read(store, "native") == read(store, "numpy") == VALUES.tobytes()
    if codec["id"] == "bz2":
        assert written[0] == written[1]
    decode = numcodecs.get_codec(dict(codec)).decode
    if "filters" in codec and "format" not in codec:
        # numcodecs cannot read what it writes with filters.
        decode = lzma.decompress
    assert all(bytes(decode(data)) == VALUES.tobytes() for data in written)


@pytest.mark.parametrize("codec", UNKNOWN, ids=str)
def test_other_configurations_are_left_to_numcodecs(codec: dict[str, Any]) -> None:
    assert array({}, codec).layout.program.native is None


@st.composite
def damaged(draw: st.DrawFn) -> tuple[dict[str, Any], bytes, bool]:
    """Return a codec, stored bytes, and whether padding is ignored."""
    codec = draw(st.sampled_from(KNOWN))
    made = numcodecs.get_codec(dict(codec))
    split = draw(st.sampled_from([COUNT, COUNT, 0, 100, COUNT + 1]))
    parts = [VALUES[:split], VALUES[split:]]
    data = bytearray(b"".join(bytes(made.encode(part)) for part in parts if part.size))
    data += draw(st.sampled_from([b"", b"", b"\0", b"BZ", b"BZh", b"\xfd7zXZ\0", bytes(9)]))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return codec, bytes(data[: draw(st.integers(-20, 0)) or len(data)]), draw(st.booleans())


@given(damaged())
@example((KNOWN[0], b"", True))
@example((KNOWN[2], b"", False))
@example((KNOWN[7], numcodecs.LZMA(2, preset=1).encode(VALUES) * 2, True))
@example((KNOWN[8], b"\0", True))
def test_the_extension_refuses_what_its_twin_does(case: tuple[dict[str, Any], bytes, bool]) -> None:
    codec, data, padded = case
    store: dict[str, bytes] = {}
    array(store, codec)
    store["0"] = data
    with config.set({"array.read_padded_chunks": padded}):
        assert read(store, "native") == read(store, "numpy")


@pytest.mark.parametrize("path", ["native", "numpy"])
@pytest.mark.parametrize("codec", [{"id": "bz2"}, {"id": "lzma"}], ids=str)
def test_an_error_states_the_codec_and_the_sizes(codec: dict[str, Any], path: str) -> None:
    name = codec["id"]
    store: dict[str, bytes] = {}
    array(store, codec, 2)[...] = 1
    good = bytes(store["0"])
    longer = bytes(numcodecs.get_codec(dict(codec)).encode(bytes(9)))
    for data, says in [
        (good[:-1], f"{name}: the data ends early, after 8 decoded bytes"),
        (
            longer,
            f"{name}: expected 8 decoded bytes, but the {len(longer)} bytes of data hold more",
        ),
        (good[:20] + b"\xff\xff" + good[22:], f"{name}: .*cannot be decoded"),
        (b"", f"{name}: the data ends early, after 0 decoded bytes"),
    ]:
        store["0"] = data
        z = fastzarr.open_array(store, mode="r")
        with config.set({"data_path": path}), pytest.raises(ChunkError, match=says):
            z[...]


def test_a_larger_dictionary_than_the_limit_is_refused_until_it_is_raised() -> None:
    store: dict[str, bytes] = {}
    array(store, {"id": "lzma", "preset": 0})[...] = VALUES
    data = bytearray(store["0"])
    # The byte of the block's header that states the size of the dictionary: 1.5 GiB, and its CRC.
    at = data.index(b"\x21\x01", 12) + 2
    data[at] = 37
    end = 12 + 4 * (data[12] + 1)
    data[end - 4 : end] = zlib.crc32(data[12 : end - 4]).to_bytes(4, "little")
    store["0"] = bytes(data)
    z = fastzarr.open_array(store, mode="r")
    for path in ("native", "numpy"):
        with config.set({"data_path": path, "limits.chunk_bytes": 1 << 31}):
            assert np.array_equal(z[...], VALUES)
        with (
            config.set({"data_path": path, "limits.chunk_bytes": 1 << 20}),
            pytest.raises(ChunkError, match=r"lzma: .*limit"),
        ):
            z[...]
