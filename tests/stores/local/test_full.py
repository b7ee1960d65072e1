"""A disk that is full: writes that replace chunks need room for one at a time, or change nothing.

The disk is a small file system in memory, which requires the permission to mount one.
"""

from __future__ import annotations

import errno
import os
import subprocess
from shutil import which
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr as zarr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHUNK = 1 << 18
COUNT = 6


def run(name: str, *words: object) -> None:
    program = which(name)
    if program is None:
        pytest.skip(f"no file system can be mounted without {name}")
    found = subprocess.run(  # noqa: S603  (ours)
        [program, *map(str, words)], capture_output=True, text=True, check=False
    )
    if found.returncode and "remount" not in str(words):
        pytest.skip(f"no file system can be mounted here: {found.stderr.strip()}")
    assert not found.returncode, found.stderr


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path)
    try:
        yield path
    finally:
        run("umount", path)


@pytest.fixture(params=["chunks", "shards", "format 2"])
def array(request: Any, disk: Path, data_path: str) -> zarr.Array:
    assert data_path
    options: dict[str, Any] = {
        "chunks": {"chunks": CHUNK},
        "shards": {"chunks": CHUNK // 4, "shards": CHUNK},
        "format 2": {"chunks": CHUNK, "zarr_format": 2},
    }[request.param]
    z = zarr.create_array(
        disk / "a", shape=CHUNK * COUNT, dtype="u1", compressors=None, filters=None, **options
    )
    z[:] = 1
    return z


def leave(disk: Path, room: int) -> None:
    """Reduce the file system until so many bytes are free."""
    info = os.statvfs(disk)
    used = (info.f_blocks - info.f_bfree) * info.f_frsize
    run("mount", "-o", f"remount,size={used + room}", "tmpfs", disk)


def files(disk: Path) -> dict[str, bytes]:
    found = (path for path in disk.rglob("*") if path.is_file())
    return {str(path.relative_to(disk)): path.read_bytes() for path in found}


@pytest.mark.parametrize("threads", [1, 4])
def test_an_array_is_replaced_with_room_for_one_chunk(
    threads: int, array: zarr.Array, disk: Path
) -> None:
    leave(disk, CHUNK + (1 << 15))
    new = np.random.default_rng(0).integers(1, 255, CHUNK * COUNT, "u1")
    with zarr.config.set({"threading.max_workers": threads}):
        array[:] = new
        assert np.array_equal(array[:], new)
        array[CHUNK // 2 : -CHUNK // 2] = 7
    assert (array[CHUNK // 2 : -CHUNK // 2] == 7).all()
    assert np.array_equal(array[: CHUNK // 2], new[: CHUNK // 2])
    assert not [name for name in files(disk) if name.endswith("tmp")]


WRITES: dict[str, Callable[[zarr.Array], object]] = {
    "all": lambda z: z.__setitem__(slice(None), 2),
    "parts": lambda z: z.__setitem__(slice(None, None, 3), 2),
    "append": lambda z: z.append(np.full(CHUNK, 2, "u1")),
    "attributes": lambda z: z.attrs.put({"a": "b" * CHUNK}),
}


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_without_room_nothing_changes(
    write: Callable[[zarr.Array], object], threads: int, array: zarr.Array, disk: Path
) -> None:
    before = files(disk)
    leave(disk, 1 << 14)
    with (
        zarr.config.set({"threading.max_workers": threads}),
        pytest.raises(OSError, match="No space left") as caught,
    ):
        write(array)
    assert caught.value.errno == errno.ENOSPC
    assert files(disk) == before
