"""What is measured: opening, listing, reading and writing, each with requests that take long."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import WrongError, same, whole
from bench.cloud.data import shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.cloud.data import Cloud, Remote
    from bench.cloud.engines import CloudEngine
    from bench.data import Array

_numbers = itertools.count()


class Work:
    """One row on one engine."""

    place: Remote
    array: Any

    def __init__(self, engine: CloudEngine, cloud: Cloud, name: str) -> None:
        """Initialise with the name of an array or a group."""
        self.engine, self.cloud, self.name = engine, cloud, name
        engine.connect(cloud, name)

    def prepare(self) -> None:
        """Open the array; not timed."""
        self.array = self.engine.open(self.cloud.place(self.name))

    def run(self) -> Any:
        """Perform the timed operation and return its result."""
        raise NotImplementedError

    def check(self, result: Any) -> None:
        """Raise ``WrongError`` unless the result of a run is correct."""
        raise NotImplementedError


class Open(Work):
    """Open an array."""

    def prepare(self) -> None:
        """Do nothing."""

    def run(self) -> Any:
        """Open the array."""
        return self.engine.open(self.cloud.place(self.name))

    def check(self, result: Any) -> None:
        """Compare the shape."""
        if tuple(result.shape) != self.cloud.place(self.name).shape:
            msg = f"shape {result.shape}"
            raise WrongError(msg)


class Members(Work):
    """Open a group, and all arrays in it, of which the shapes are wanted."""

    def prepare(self) -> None:
        """Do nothing."""

    def run(self) -> Any:
        """Return the names and shapes."""
        return self.engine.arrays(self.cloud.place(self.name))

    def check(self, result: Any) -> None:
        """Compare the names and shapes."""
        if {name: tuple(shape) for name, shape in result.items()} != shapes(self.name):
            msg = f"{len(result)} arrays, expected {len(shapes(self.name))} of different shapes"
            raise WrongError(msg)


class Read(Work):
    """Read a box of an array that is open, or all of it."""

    def __init__(
        self, engine: CloudEngine, cloud: Cloud, name: str, box: tuple[slice, ...] | None = None
    ) -> None:
        """Initialise with a box."""
        super().__init__(engine, cloud, name)
        self.box = box or whole(cloud.place(name).shape)

    def run(self) -> Any:
        """Read the box."""
        return self.engine.read(self.array, self.box)

    def check(self, result: Any) -> None:
        """Compare the values; of a bare client, the number of objects."""
        if not self.engine.bare:
            same(result, self.cloud.values(self.name)[self.box])


class ReadRows(Work):
    """Read some rows of an array that is open."""

    def __init__(self, engine: CloudEngine, cloud: Cloud, name: str) -> None:
        """Choose the rows."""
        super().__init__(engine, cloud, name)
        length = cloud.place(name).shape[0]
        self.rows = np.random.default_rng(7).integers(0, length, 200)

    def run(self) -> Any:
        """Read the rows."""
        return self.engine.rows(self.array, self.rows)

    def check(self, result: Any) -> None:
        """Compare the values."""
        if not self.engine.bare:
            same(result, self.cloud.values(self.name)[self.rows])


class Write(Work):
    """Write to an array that has been created anew."""

    value: Array

    def __init__(self, engine: CloudEngine, cloud: Cloud, name: str) -> None:
        """Load the values."""
        super().__init__(engine, cloud, name)
        self.value = np.array(cloud.values(name))

    def prepare(self) -> None:
        """Create the array."""
        self.place = self.engine.fresh(self.name, f"{os.getpid()}-{next(_numbers)}")
        self.array = self.engine.open(self.place, write=True)

    def run(self) -> Any:
        """Write all chunks."""
        self.engine.write(self.array, whole(self.value.shape), self.value)

    def expected(self) -> Array:
        """Return the values that are stored afterwards."""
        return self.value

    def check(self, result: Any) -> None:
        """Read the array again."""
        del result
        if not self.engine.bare:
            array = self.engine.open(self.place)
            expected = self.expected()
            same(self.engine.read(array, whole(expected.shape)), expected)


class WriteCut(Write):
    """Write a box that contains a part of each of 20 chunks."""

    box = (slice(100, 150), slice(0, 5120))

    def __init__(self, engine: CloudEngine, cloud: Cloud, name: str) -> None:
        """Create the array, which all runs change alike."""
        super().__init__(engine, cloud, name)
        self.place = engine.fresh(name, str(os.getpid()))
        self.value[self.box] = -1

    def prepare(self) -> None:
        """Open the array."""
        self.array = self.engine.open(self.place, write=True)

    def run(self) -> Any:
        """Write the box."""
        self.engine.write(self.array, self.box, self.value[self.box])


class Append(Write):
    """Append ten times."""

    times = 10

    def run(self) -> Any:
        """Append; each step must be visible before the next."""
        for _ in range(self.times):
            self.array = self.engine.append(self.array, self.value)

    def expected(self) -> Array:
        """Return all steps."""
        return np.concatenate([self.value] * (self.times + 1))


@dataclass(frozen=True)
class CloudRow:
    """A row: its work, the array or the group that it needs, and the latency in milliseconds."""

    name: str
    title: str
    work: Callable[..., Work]
    data: str
    latency: int = 20


# Its corner is not that of a shard, so the shards have parts of different sizes.
_BOX = (slice(32, 160),) * 3
ROWS = [
    CloudRow("cloud-open", "open one array", Open, "small"),
    CloudRow("cloud-zstd-5", "read 500 chunks of 0.5 MiB, zstd", Read, "zstd", 5),
    CloudRow("cloud-zstd", "read 500 chunks of 0.5 MiB, zstd", Read, "zstd"),
    CloudRow("cloud-none-5", "read 500 chunks of 0.5 MiB, not compressed", Read, "none", 5),
    CloudRow("cloud-none", "read 500 chunks of 0.5 MiB, not compressed", Read, "none"),
    CloudRow("cloud-consolidated", "open 1,000 arrays, consolidated", Members, "consolidated"),
    CloudRow("cloud-members", "open 100 arrays, not consolidated", Members, "members"),
    CloudRow("cloud-shard", "read 64 inner chunks of 8 shards", partial(Read, box=_BOX), "shard"),
    CloudRow("cloud-rows", "read 200 random rows", ReadRows, "rows"),
    CloudRow("cloud-small", "read 2,000 chunks of 4 KiB", Read, "small"),
    CloudRow("cloud-write", "write 200 chunks of 0.5 MiB, zstd", Write, "write"),
    CloudRow("cloud-cut", "write a part of each of 20 chunks", WriteCut, "cut"),
    CloudRow("cloud-append", "append a chunk, 10 times", Append, "append"),
]
