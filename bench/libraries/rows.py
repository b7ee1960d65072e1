"""How long do xarray and dask take with each library, and how much of the processors?

Rules of this file:

* Each task is two rows: one of time, and one of CPU time, which is that of all threads.
* Datasets are written by xarray with zarr-python, before anything is timed. Their variables have
  chunks of 16 KiB, so that what a chunk costs beside its bytes is seen.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import Row, Task, same

if TYPE_CHECKING:
    from pathlib import Path

    from bench.libraries.engines import Library

_ZSTD = [{"name": "zstd", "configuration": {"level": 0, "checksum": False}}]
ELEMENTS = 200
ARRAYS = 10


def values(chunks: int) -> Any:
    """Return the elements of an array of so many chunks."""
    generator = np.random.default_rng(0)
    smooth = np.linspace(0, 40, chunks * 64 * 64, dtype="f4").reshape(chunks, 64, 64)
    return np.round((smooth + generator.normal(size=smooth.shape)) * 128).astype("f4") / 128


def encoding() -> dict[str, Any]:
    """Return how the array is stored."""
    return {"a": {"chunks": (1, 64, 64), "compressors": _ZSTD}}


def make(folder: Path, chunks: int) -> Path:
    """Write the dataset that all libraries read, by zarr-python in another process."""
    path = folder / f"{chunks}.zarr"
    if not path.exists():
        command = [sys.executable, "-m", "bench.libraries.rows", str(path), str(chunks)]
        subprocess.run(command, check=True)
    return path


def write_all(path: str, chunks: int) -> None:
    """Write an array of many chunks, and some small ones."""
    import xarray as xr

    dims = ("time", "y", "x")
    ds = xr.Dataset({"a": (dims, values(chunks))}, {"time": np.arange(chunks)})
    more = {f"small{i}": (("y", "x"), np.full((64, 64), i, "f4")) for i in range(ARRAYS - 2)}
    ds.assign(more).to_zarr(path, encoding=encoding(), consolidated=False)


class Measured(Task):
    """A task that knows what it measures; ``act`` is the timed part."""

    engine: Any

    def __init__(self, library: Library, folder: Path, chunks: int, *, cpu: bool) -> None:
        """Write the dataset if it is not there."""
        self.engine, self.folder, self.chunks, self.cpu = library, folder, chunks, cpu
        self.path = make(folder, chunks)

    def run(self) -> Any:
        """Act, and say how much CPU time that took."""
        start = time.process_time()
        result = self.act()
        if self.cpu:
            self.engine.seconds = time.process_time() - start
        return result

    def act(self) -> Any:
        """Perform the timed operation and return its result."""
        raise NotImplementedError


class Write(Measured):
    """``ds.to_zarr``."""

    def prepare(self) -> None:
        """Make the dataset."""
        self.target = self.folder / f"{self.engine.name}-written.zarr"
        data = values(self.chunks)
        self.data = self.engine.xr.Dataset({"a": (("time", "y", "x"), data)})

    def act(self) -> Any:
        """Write it."""
        self.engine.write(self.data, self.target, encoding())

    def check(self, result: Any) -> None:
        """Read it back."""
        del result
        with self.engine.dataset(self.target, chunks=None) as ds:
            same(ds.a.values, values(self.chunks))

    def tidy(self) -> None:
        """Remove it."""
        shutil.rmtree(self.target, ignore_errors=True)


class Load(Measured):
    """``ds.load()``."""

    def prepare(self) -> None:
        """Open the dataset anew: xarray keeps what it has loaded."""
        self.data = self.engine.dataset(self.path, chunks=None)

    def act(self) -> Any:
        """Load it."""
        return self.data.load()

    def check(self, result: Any) -> None:
        """Compare the elements."""
        same(result.a.values, values(self.chunks))


class Open(Measured):
    """``xr.open_zarr``."""

    def act(self) -> Any:
        """Open the dataset."""
        return self.engine.dataset(self.path, chunks={})

    def check(self, result: Any) -> None:
        """Look whether all variables are there."""
        same(len(result.variables), ARRAYS)


class Mean(Measured):
    """A mean of dask with a task for each chunk."""

    def act(self) -> Any:
        """Open the array and compute its mean."""
        return self.engine.blocks(self.path, "a").mean(dtype="f8").compute()

    def check(self, result: Any) -> None:
        """Compare the mean."""
        same(np.round(result, 6), np.round(values(self.chunks).mean(dtype="f8"), 6))


class Elements(Measured):
    """Single elements of an open array."""

    def prepare(self) -> None:
        """Open the array."""
        self.array = self.engine.group(self.path)["a"]

    def act(self) -> Any:
        """Read them one by one."""
        array = self.array
        return [array[3, 5, 5] for _ in range(ELEMENTS)]

    def check(self, result: Any) -> None:
        """Compare them."""
        same(np.array(result, dtype="f4"), np.full(ELEMENTS, values(self.chunks)[3, 5, 5]))


class Group(Measured):
    """A group and its arrays."""

    def act(self) -> Any:
        """Open the group, and each array by its name."""
        group = self.engine.group(self.path)
        return [group[f"small{i}"] for i in range(ARRAYS - 2)] + [group["a"], group["time"]]

    def check(self, result: Any) -> None:
        """Look at the shapes."""
        same([array.ndim for array in result], [2] * (ARRAYS - 2) + [3, 1])


_TASKS: dict[str, tuple[str, type[Measured]]] = {
    "to-zarr": ("xarray: to_zarr, {} chunks", Write),
    "load": ("xarray: load, {} chunks", Load),
    "open": ("xarray: open_zarr, 10 variables", Open),
    "mean": ("dask: mean, {} tasks", Mean),
    "elements": ("200 elements, one by one", Elements),
    "group": ("open a group of 10 arrays", Group),
}
CHUNKS = 800
ROWS = [
    Row(
        f"library-{name}{'-cpu' if cpu else ''}",
        title.format(CHUNKS) + (", CPU" if cpu else ""),
        partial(task, cpu=cpu),
    )
    for name, (title, task) in _TASKS.items()
    for cpu in (False, True)
]


if __name__ == "__main__":
    write_all(sys.argv[1], int(sys.argv[2]))
