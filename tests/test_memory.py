"""Memory or descriptors that run out: an error that names the chunk, no abort, no wrong data."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr
from fastzarr.native import extension

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or extension is None, reason="limits as Linux enforces them"
)


def blosc(cname: str) -> list[dict[str, Any]]:
    setting = {"cname": cname, "clevel": 1, "shuffle": "shuffle", "typesize": 4, "blocksize": 0}
    return [{"name": "blosc", "configuration": setting}]


def named(name: str, **setting: Any) -> list[dict[str, Any]]:
    return [{"name": name, "configuration": setting}]


CHAINS: dict[str, dict[str, Any]] = {
    "default": {},
    "none": {"compressors": None},
    **{
        cname: {"compressors": blosc(cname)}
        for cname in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
    },
    "zstd codec": {"compressors": named("zstd", level=1, checksum=True)},
    "gzip": {"compressors": named("gzip", level=1)},
    "shards": {"chunks": (1 << 18,), "shards": (1 << 20,)},
    "numcodecs": {
        "zarr_format": 2,
        "filters": [{"id": "delta", "dtype": "<i4"}],
        "compressors": [{"id": "lz4", "acceleration": 1}],
    },
    "text": {"dtype": "string", "shape": (1 << 16,), "chunks": (1 << 16,)},
}

# In a child, each step runs with a little more room than the one before, until it succeeds.
STARVED = """
import ctypes, resource, sys
import numpy as np
import fastzarr

path = sys.argv[1]
z = fastzarr.open_array(path, mode="r+")
old, new = z[:], np.load(sys.argv[2])
new = new.astype(z.dtype)
z[:1] = old[:1]
zeros = np.zeros(z.shape, z.dtype)

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

def starved(step, check):
    room, failed = 0, 0
    while True:
        # What the C library keeps for later would be room as well.
        ctypes.CDLL(None).malloc_trim(0)
        resource.setrlimit(resource.RLIMIT_AS, (used() + room, resource.RLIM_INFINITY))
        try:
            step()
            done = True
        except MemoryError as error:
            done = False
            name = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        if not done:
            failed += 1
        check(done)
        if done and room > 0:
            return failed
        room += max(256 << 10, room // 6)

def same(done):
    assert np.array_equal(z[:], old)

def written(done):
    found = z[:]
    half = len(found) // 2 if len(z.chunks) == 1 and z.chunks[0] < len(found) else len(found)
    for part in (slice(0, half), slice(half, None)):
        right = [new] if done else [old, new]
        assert any(np.array_equal(found[part], value[part]) for value in right)
    z[:] = old

def partly(done):
    found = z[:]
    value = old.copy()
    value[5:9] = new[5:9]
    right = [value] if done else [old, value]
    assert any(np.array_equal(found, value) for value in right)
    z[:] = old

def read():
    assert np.array_equal(z[:], old)

def row():
    assert np.array_equal(z[7:8], old[7:8])

def points():
    assert np.array_equal(z.oindex[[9, 2, 7]], old[[9, 2, 7]])

def write():
    z[:] = new

def part():
    z[5:9] = new[5:9]

for step, check in [(read, same), (row, same), (points, same), (write, written), (part, partly)]:
    print(step.__name__, starved(step, check))
assert np.array_equal(z[:], old)
"""


# Each step runs with one more descriptor than before, until it succeeds.
WITHOUT_FILES = """
import os, resource, sys
import numpy as np
import fastzarr

path = sys.argv[1]
z = fastzarr.open_array(path + "/a", mode="r+")
old = z[:]
new = old + 1
most = resource.getrlimit(resource.RLIMIT_NOFILE)

def starved(step, check):
    for limit in range(3, 200):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most[1]))
        try:
            step(limit)
            done = True
        except OSError as error:
            assert "open files" in str(error) or error.errno == 24, error
            done = False
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, most)
        check(done, limit)
        if done:
            return limit
    raise AssertionError("it never succeeded")

def right(done, limit):
    found = z[:]
    for k in range(0, len(old), z.chunks[0]):
        part = slice(k, k + z.chunks[0])
        wanted = [new] if done else [old, new]
        assert any(np.array_equal(found[part], value[part]) for value in wanted)
    z[:] = old

def part(done, limit):
    found = z[:]
    wanted = old.copy()
    wanted[1:3] = 7
    assert np.array_equal(found, wanted) or (not done and np.array_equal(found, old))
    z[:] = old

def made(done, limit):
    if done:
        assert fastzarr.open_array(f"{path}/new{limit}", mode="r")[3] == 0

def nothing(done, limit):
    pass

def write(limit):
    z[:] = new

def write_part(limit):
    z[1:3] = 7

def read(limit):
    assert np.array_equal(z[:], old)

def opened(limit):
    assert np.array_equal(fastzarr.open_array(path + "/a", mode="r")[:2], old[:2])

def create(limit):
    fastzarr.create_array(f"{path}/new{limit}", shape=(4,), dtype="i4")

def names(limit):
    assert "a" in list(fastzarr.open_group(path, mode="r"))

for step, check in [
    (read, nothing), (write, right), (write_part, part), (opened, nothing), (create, made),
    (names, nothing),
]:
    print(step.__name__, starved(step, check))
"""


def values(dtype: Any, seed: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    if dtype == "string":
        return np.array([str(n) * 9 for n in rng.integers(1, 1 << 30, 1 << 16)])
    return rng.integers(1, 1 << 16, 2 << 20, dtype="i4")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("chain", CHAINS)
def test_a_process_without_memory_raises_and_keeps_every_value(
    chain: str, threads: int, tmp_path: Path
) -> None:
    given = {"shape": (2 << 20,), "chunks": (1 << 20,), "dtype": "i4", **CHAINS[chain]}
    z = fastzarr.create_array(tmp_path / "a.zarr", **given)
    z[:] = values(given["dtype"], 0)
    np.save(tmp_path / "new.npy", values(given["dtype"], 1))
    script = f"import fastzarr; fastzarr.config.set({{'threading.max_workers': {threads}}})\n"
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", script + STARVED, tmp_path / "a.zarr", tmp_path / "new.npy"],
        capture_output=True,
        # What the C library reserves for each thread would be room as well.
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
        text=True,
        check=False,
    )
    assert run.returncode == 0, (run.returncode, run.stdout, run.stderr[-2000:])
    failed = dict(line.split() for line in run.stdout.splitlines())
    assert any(int(count) for count in failed.values()), "nothing ran out"


@pytest.mark.parametrize("shards", [None, (8,)], ids=["chunks", "shards"])
@pytest.mark.parametrize("path", ["native", "numpy"])
def test_a_process_without_descriptors_raises_and_keeps_every_value(
    path: str, shards: tuple[int] | None, tmp_path: Path
) -> None:
    fastzarr.create_group(tmp_path)
    z = fastzarr.create_array(tmp_path / "a", shape=(64,), chunks=(4,), shards=shards, dtype="i4")
    z[:] = np.arange(64)
    script = f"import fastzarr; fastzarr.config.set({{'data_path': '{path}'}})\n"
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", script + WITHOUT_FILES, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, (run.returncode, run.stdout, run.stderr[-2000:])


def test_the_error_names_the_chunk_and_is_a_memory_error(tmp_path: Path) -> None:
    # Of a chunk of gzip, an element cannot be read alone.
    z = fastzarr.create_array(
        tmp_path / "a", shape=(1 << 24,), chunks=(1 << 24,), dtype="i8", **CHAINS["gzip"]
    )
    z[:4] = 1
    script = """
import resource, sys
import fastzarr
z = fastzarr.open_array(sys.argv[1], mode="r+")
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), resource.RLIM_INFINITY))
for step in (lambda: z[2:5], lambda: z.__setitem__(slice(2, 5), 7)):
    try:
        step()
    except MemoryError as error:
        print(error)
"""
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", script, tmp_path / "a"], capture_output=True, text=True, check=True
    )
    read, write = run.stdout.splitlines()
    for line in (read, write):
        place = f"file://{tmp_path / 'a'}: array '/', chunk (0,), key 'c/0', stage "
        assert line.startswith(place), line
        assert "there is no memory for" in line
    assert z[:5].tolist() == [1, 1, 1, 1, 0]
