"""Memory is bounded by what is stored and by the limits of config, and given back if large."""

from __future__ import annotations

import bz2
import json
import os
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest

import fastzarr
from fastzarr import errors
from fastzarr.native import extension

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")

MIB = 1 << 20


def resident() -> int:
    """Return the bytes that the process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak(action: Callable[[], Any]) -> int:
    """Return the bytes that the process has in memory at most during an action, beyond now."""
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()
    action()
    lines = Path("/proc/self/status").read_text().splitlines()
    most = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return (int(most) << 10) - before


def refused(error: type[Exception], match: str, action: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        with pytest.raises(error, match=match):
            action()

    return run


def named(name: str, **setting: Any) -> list[dict[str, Any]]:
    return [{"name": name, "configuration": setting}]


CHAINS: dict[str, Any] = {
    "default": "auto",
    "gzip": named("gzip", level=0),
    "zstd": named("zstd", level=1, checksum=False),
    "none": None,
}


@pytest.mark.skipif(extension is None, reason="threads of the extension")
@pytest.mark.parametrize("compressors", CHAINS.values(), ids=CHAINS.keys())
def test_the_memory_of_a_large_chunk_is_given_back_when_the_call_ends(
    compressors: Any, tmp_path: Path
) -> None:
    size = 256 * MIB
    z = fastzarr.create_array(
        tmp_path, shape=size, dtype="u1", chunks=size, compressors=compressors
    )
    values = np.ones(size, "u1")
    values[::3] = 7
    before = resident()
    z[...] = values
    assert z[5] == 1
    z[5] = 9
    # The C library may keep what is smaller than its own limit of 32 MiB.
    assert resident() - before < size / 2


def test_text_expands_no_further_than_its_limit(tmp_path: Path) -> None:
    count = 24 * MIB
    z = fastzarr.create_array(
        tmp_path,
        shape=count,
        dtype="string",
        chunks=count,
        compressors=named("zstd", level=1, checksum=False),
    )
    (tmp_path / "c").mkdir(exist_ok=True)
    stored = numcodecs.zstd.compress(struct.pack("<I", count) + bytes(4 * count), 1)
    (tmp_path / "c/0").write_bytes(stored)
    assert len(stored) < 32 << 10
    match = r"chunk \(0,\).* over the limit of 67108864; .*raise limits.expansion"
    assert peak(refused(errors.ChunkError, match, lambda: z[:3])) < 32 * MIB
    with fastzarr.config.set({"limits.expansion": 1 << 20}):
        assert z[:3].tolist() == ["", "", ""]


def test_a_stream_expands_no_further_than_its_limit(tmp_path: Path) -> None:
    coder = bz2.BZ2Compressor(9)
    parts = [coder.compress(bytes(16 * MIB)) for _ in range(12)]
    stored = b"".join([*parts, coder.flush()])
    document = {
        "zarr_format": 2, "shape": [8], "chunks": [8], "dtype": "|O", "order": "C",
        "fill_value": "", "compressor": {"id": "bz2", "level": 9}, "filters": [{"id": "vlen-utf8"}],
    }  # fmt: skip
    (tmp_path / ".zarray").write_text(json.dumps(document))
    (tmp_path / "0").write_bytes(stored)
    z = fastzarr.open_array(tmp_path, mode="r")
    match = "bz2: the limit is 67108864, but .*raise limits.expansion"
    assert peak(refused(errors.ChunkError, match, lambda: z[:])) < 160 * MIB


@pytest.mark.skipif(extension is None, reason="the twin reads whole files")
@pytest.mark.parametrize("compressors", CHAINS.values(), ids=CHAINS.keys())
def test_a_file_that_is_too_large_for_its_chunk_is_not_read(
    compressors: Any, tmp_path: Path
) -> None:
    z = fastzarr.create_array(
        tmp_path, shape=64, dtype="u1", chunks=32, compressors=compressors, fill_value=3
    )
    z[...] = 1
    os.truncate(tmp_path / "c/0", 600 * MIB)
    for action in (lambda: z[:], lambda: z[3], lambda: z.__setitem__(3, 9)):
        run = refused(errors.ChunkError, "key 'c/0'.* (expected 32|more than 10486)", action)
        assert peak(run) < 16 * MIB
    z[:32] = 5
    assert z[:].tolist() == [5] * 32 + [1] * 32


@pytest.mark.parametrize(
    "dtype", ["<U536870911", "|S2147483647", [["a", "<i4"], ["b", "|V999999999"]]]
)
def test_an_element_of_gigabytes_is_refused_when_the_array_is_opened(
    dtype: Any, tmp_path: Path
) -> None:
    document = {
        "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": dtype, "order": "C",
        "fill_value": None, "compressor": None, "filters": None,
    }  # fmt: skip
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.zarray").write_text(json.dumps(document))
    match = r"a/\.zarray: dtype.*: an element of \d+ bytes exceeds 67108864 .*limits.element_bytes"
    opens = refused(errors.LimitError, match, lambda: fastzarr.open(tmp_path, path="a", mode="r"))
    assert peak(opens) < 16 * MIB


@pytest.mark.parametrize("chunks", [(512, 512), (4096, 128)])
def test_a_mask_takes_a_few_times_its_own_memory(chunks: Any) -> None:
    shape = (4096, 4096)
    mask = np.random.default_rng(1).random(shape, "f4") < 0.5
    z = fastzarr.create_array({}, shape=shape, chunks=chunks, dtype="u1")
    z[...] = 1
    assert peak(lambda: z[mask]) < 8 * mask.nbytes
    assert peak(lambda: z.__setitem__(mask, 3)) < 8 * mask.nbytes
    assert (z[...] == np.where(mask, 3, 1)).all()


@pytest.mark.parametrize("name", ["fixed_length_utf32", "null_terminated_bytes", "raw_bytes"])
def test_the_limit_of_an_element_can_be_raised(name: str) -> None:
    dtype = {"name": name, "configuration": {"length_bytes": 80_000_000}}
    store: dict[str, bytes] = {}
    with pytest.raises(errors.LimitError, match=r"length_bytes: .*limits.element_bytes"):
        fastzarr.create_array(store, shape=1, dtype=dtype)
    with fastzarr.config.set({"limits.element_bytes": 80_000_000}):
        z = fastzarr.create_array(store, shape=1, chunks=1, dtype=dtype)
        assert z.dtype.itemsize == 80_000_000
