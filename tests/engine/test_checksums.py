"""Checksums that do not match: an error, or ignored where the setting says so."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np
import pytest

import fastzarr
from fastzarr.config import config
from fastzarr.errors import ChunkError

VALUES = np.arange(60, dtype="i4").reshape(6, 10)
CHECKSUMS = [
    "crc32c",
    {"name": "numcodecs.crc32c"},
    {"name": "numcodecs.crc32c", "configuration": {"location": "start"}},
    {"name": "numcodecs.crc32"},
    {"name": "numcodecs.crc32", "configuration": {"location": "end"}},
    {"name": "numcodecs.adler32"},
    {"name": "numcodecs.fletcher32"},
    {"name": "numcodecs.jenkins_lookup3"},
]


def place_of(codec: Any) -> int:
    """Return the position of a byte of the checksum in a chunk."""
    name = codec if isinstance(codec, str) else codec["name"]
    default = "start" if name in ("numcodecs.crc32", "numcodecs.adler32") else "end"
    given = {} if isinstance(codec, str) else codec.get("configuration", {})
    return 1 if given.get("location", default) == "start" else -2


def spoil(store: dict[str, Any], key: str, place: int) -> None:
    data = bytearray(store[key])
    data[place] ^= 1
    store[key] = bytes(data)


@pytest.mark.parametrize("path", ["native", "numpy"])
@pytest.mark.parametrize("codec", CHECKSUMS, ids=str)
def test_wrong_checksums_can_be_ignored(codec, path):
    store: dict[str, Any] = {}
    z = fastzarr.create_array(store, data=VALUES, chunks=(3, 10), compressors=[codec])
    spoil(store, "c/0/0", place_of(codec))
    name = codec if isinstance(codec, str) else codec["name"].removeprefix("numcodecs.")
    with config.set({"data_path": path}):
        for _ in range(2):
            with pytest.raises(ChunkError, match=f"stage (numcodecs.)?{name}: "):
                z[0]
            with config.set({"array.verify_checksums": False}):
                assert np.array_equal(z[:], VALUES)
        # What is written has the right checksum.
        with config.set({"array.verify_checksums": False}):
            z[0, 0] = VALUES[0, 0]
        assert np.array_equal(fastzarr.open_array(store)[:], VALUES)


@pytest.mark.parametrize("path", ["native", "numpy"])
def test_the_index_of_a_shard_is_still_checked_for_its_ranges(path):
    store: dict[str, Any] = {}
    z = fastzarr.create_array(store, data=VALUES, chunks=(3, 5), shards=(6, 10), compressors=None)
    spoil(store, "c/0/0", -1)
    with config.set({"data_path": path}):
        with pytest.raises(ChunkError, match="checksum"):
            z[:]
        with config.set({"array.verify_checksums": False}):
            assert np.array_equal(z[:], VALUES)
            assert np.array_equal(z[2, 3:7], VALUES[2, 3:7])
            spoil(store, "c/0/0", -5)
            with pytest.raises(ChunkError, match="index"):
                z[:]


def test_the_location_is_that_of_numcodecs():
    for codec in CHECKSUMS[1:]:
        store: dict[str, Any] = {}
        fastzarr.create_array(store, data=VALUES[0], compressors=[codec])
        known = codec["name"].removeprefix("numcodecs.")
        theirs = numcodecs.get_codec({"id": known, **codec.get("configuration", {})})
        assert bytes(store["c/0"]) == bytes(theirs.encode(VALUES[0].tobytes()))
