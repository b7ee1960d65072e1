"""Budgets of the package: its own Python calls, import time, modules loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastzarr
from fastzarr import native
from fastzarr.stores import DirectoryStore, MemoryStore, SQLiteStore

SOURCE = str(Path(fastzarr.__file__).parent)


def frames(action: Any) -> list[str]:
    """Return the package's own Python functions that an action calls."""
    seen: list[str] = []

    def record(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            seen.append(frame.f_code.co_qualname)

    sys.setprofile(record)
    try:
        action()
    finally:
        sys.setprofile(None)
    return seen


OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "format 2": {"zarr_format": 2},
    "uncompressed": {"compressors": None},
    "zstd": {"compressors": [{"name": "zstd", "configuration": {"level": 1}}]},
    "gzip": {"compressors": [{"name": "gzip", "configuration": {"level": 1}}]},
    "big-endian": {"dtype": ">f8"},
}


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_reading_one_chunk_of_a_local_array_takes_at_most_25_own_frames(
    options: dict[str, Any], tmp_path: Path
) -> None:
    z = fastzarr.create_array(
        tmp_path, **({"dtype": "f8"} | options), shape=(64, 64, 8), chunks=(32, 32, 8)
    )
    z[...] = np.random.default_rng(0).random(z.shape)
    _ = z[0, 0, 0]
    seen = frames(lambda: z[2:20, 3:4])
    assert len(seen) <= 25, "\n".join(seen)


def test_writing_one_whole_chunk_to_memory_takes_at_most_30_own_frames() -> None:
    z = fastzarr.create_array(MemoryStore(), dtype="f8", shape=(64, 64), chunks=(32, 32))
    data = np.random.default_rng(0).random((32, 32))
    z[:32, :32] = data
    seen = frames(lambda: z.__setitem__((slice(0, 32), slice(0, 32)), data))
    assert len(seen) <= 30, "\n".join(seen)


def test_opening_consolidated_arrays_takes_at_most_64_own_frames_for_each() -> None:
    store = MemoryStore()
    root = fastzarr.create_group(store)
    for number in range(50):
        root.create_array(f"a{number}", shape=(10 + number,), chunks=(10,), dtype="f4")
    fastzarr.consolidate_metadata(store)
    opened = frames(lambda: list(fastzarr.open_group(store, mode="r").arrays()))
    assert len(opened) <= 64 * 50, "\n".join(opened[:200])


def system_calls(action: Any) -> list[str]:
    """Return the functions of the operating system that an action calls from Python."""
    seen: list[str] = []

    def record(_: Any, event: str, function: Any) -> None:
        if event == "c_call" and function.__module__ in ("posix", "fcntl"):
            seen.append(function.__name__)

    sys.setprofile(record)
    try:
        action()
    finally:
        sys.setprofile(None)
    return [name for name in seen if name not in ("fspath", "fsencode", "getpid")]


@pytest.fixture
def group() -> fastzarr.Group:
    """Return an open group of a store in memory that has five members."""
    made = fastzarr.open_group(MemoryStore(), mode="w").create_group("g")
    for number in range(4):
        made.create_array(f"a{number}", shape=(4, 4), chunks=(2, 2), dtype="f4")
    made.create_group("h").attrs["b"] = 2
    return made


def test_creating_an_array_in_an_open_group_takes_at_most_180_own_frames(
    group: fastzarr.Group,
) -> None:
    seen = frames(lambda: group.create_array("x", shape=(4, 4), chunks=(2, 2), dtype="f4"))
    assert len(seen) <= 180, "\n".join(seen)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open folders have no paths")
def test_creating_an_array_in_a_local_group_takes_at_most_245_own_frames(tmp_path: Path) -> None:
    root = fastzarr.open_group(tmp_path / "x", mode="w")
    made = {"shape": (4, 4), "chunks": (2, 2), "dtype": "f4"}
    root.create_array("a", **made)
    seen = frames(lambda: root.create_array("b", **made))
    assert len(seen) <= 245, "\n".join(seen)


@pytest.mark.skipif(sys.platform != "linux", reason="the functions of other systems differ")
def test_creating_nodes_in_a_local_group_takes_few_system_calls(tmp_path: Path) -> None:
    root = fastzarr.open_group(tmp_path / "x", mode="w")
    made = {"shape": (4, 4), "chunks": (2, 2), "dtype": "f4"}
    root.create_array("a", **made)
    seen = system_calls(lambda: root.create_array("b", **made))
    # The group's document twice, the name of the array once, and what makes it.
    assert len(seen) <= 22, " ".join(seen)
    assert seen.count("fsync") == 1
    seen = system_calls(lambda: root.create_group("c"))
    assert len(seen) <= 26, " ".join(seen)


@pytest.mark.skipif(not native.HAS_FILES, reason="the extension opens no files")
def test_opening_a_local_array_takes_few_own_frames_and_no_system_calls(tmp_path: Path) -> None:
    """The extension looks for journals and reads the documents."""
    made = {"shape": (4,), "chunks": (4,), "dtype": "f4", "compressors": None}
    fastzarr.create_array(tmp_path / "x", zarr_format=2, **made)
    store = DirectoryStore(tmp_path / "x")

    def opened() -> fastzarr.Array:
        return fastzarr.open_array(store, mode="r")

    opened()
    seen = frames(opened)
    assert len(seen) <= 34, "\n".join(seen)
    assert system_calls(opened) == []


def test_opening_an_array_in_sqlite_takes_few_own_frames(tmp_path: Path) -> None:
    """The database is opened and closed, too."""
    path = tmp_path / "a.sqlite"
    made = {"shape": (4,), "chunks": (4,), "dtype": "f4", "compressors": None}
    fastzarr.create_array(SQLiteStore(path), zarr_format=2, **made).close()

    def opened() -> None:
        with SQLiteStore(path) as store:
            fastzarr.open_array(store, mode="r")

    opened()
    seen = frames(opened)
    assert len(seen) <= 62, "\n".join(seen)


def test_listing_a_group_of_five_members_takes_at_most_70_own_frames(group: fastzarr.Group) -> None:
    assert len(list(group)) == 5
    seen = frames(lambda: list(group))
    assert len(seen) <= 70, "\n".join(seen)


def test_writing_an_attribute_takes_at_most_153_own_frames(group: fastzarr.Group) -> None:
    attributes = group["h"].attrs
    seen = frames(lambda: attributes.update(a=1))
    assert len(seen) <= 153, "\n".join(seen)


@pytest.mark.skipif(sys.platform != "linux", reason="the functions of other systems differ")
def test_changing_a_local_array_takes_few_system_calls(tmp_path: Path) -> None:
    z = fastzarr.create_array(tmp_path / "x", shape=(4,), chunks=(4,), dtype="f4")
    z.attrs["a"] = 1
    z.append(np.ones(4, "f4"))
    # The folder is opened and locked, the document read in its turn, synced and replaced. The
    # extension syncs that of an append, along with the chunks.
    for change, synced in ((lambda: z.attrs.update(a=2), 1), (lambda: z.append([1] * 4), 0)):
        seen = system_calls(change)
        assert len(seen) <= 23, " ".join(seen)
        assert seen.count("fsync") == synced
    z[:4] = 1
    seen = system_calls(lambda: z.__setitem__(slice(0, 4), np.zeros(4, "f4")))
    assert len(seen) <= 6, " ".join(seen)
    if Path("/proc/self/fd").is_dir():
        seen = frames(lambda: z.__setitem__(slice(0, 4), np.ones(4, "f4")))
        assert len(seen) <= 50, "\n".join(seen)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, fastzarr; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    loaded = set(out.stdout.split())
    heavy = {
        "numcodecs",
        "ml_dtypes",
        "asyncio",
        "concurrent.futures",
        "multiprocessing",
        "hashlib",
    }
    assert not heavy & loaded
    assert "fastzarr.stores" not in loaded


def test_reading_an_array_imports_only_what_it_needs(tmp_path: Path) -> None:
    z = fastzarr.create_array(tmp_path, shape=(4,), chunks=(2,), dtype="f8", compressors=None)
    z[:] = 1
    code = f"import sys, fastzarr; fastzarr.open_array({str(tmp_path)!r})[:]; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert not {"numcodecs", "ml_dtypes", "asyncio", "multiprocessing"} & set(out.stdout.split())


def test_importing_the_package_reads_few_files() -> None:
    # The number of files determines the import time: a third of a millisecond each.
    code = "import sys, fastzarr; print(*[name for name in sys.modules if 'fastzarr' in name])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert len(out.stdout.split()) <= 5


def test_the_native_extension_takes_no_python_per_chunk(tmp_path: Path) -> None:
    z = fastzarr.create_array(tmp_path, shape=(64, 64), chunks=(4, 4), dtype="f8")
    z[...] = np.random.default_rng(0).random(z.shape)
    _ = z[...]
    assert len(frames(lambda: z[0:64, 0:64])) == len(frames(lambda: z[0:8, 0:8]))
