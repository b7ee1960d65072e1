"""Synchronizers of zarr-python 2 with a store that has no locks: no update is lost.

Rules of this file:

* The store is a mapping over a folder, so that only the synchronizer excludes other processes.
  Threads use it too, with which zarr-python 2's own synchronizer loses updates.
* The array is passed to the processes by pickle, with its synchronizer. The control has none,
  because zarr-python 3 does not support synchronizers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torture.contention import CHUNK, PROCESSES, Setting, cut, lost, use, write_parts
from torture.crew import Crew, folder, in_threads
from torture.frame import Row
from torture.verdict import total

if TYPE_CHECKING:
    from torture.contention import Part
    from torture.frame import Budget
    from torture.verdict import Count

THREADS = 3


class Files(MutableMapping[str, bytes]):
    """A plain mapping of names to files in a folder."""

    def __init__(self, root: str) -> None:
        """Initialise with the folder."""
        self.root = root

    def __getitem__(self, key: str) -> bytes:
        """Read a file."""
        try:
            return Path(self.root, key).read_bytes()
        except OSError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, value: bytes) -> None:
        """Write a file, so that readers see the old or the new value."""
        path = Path(self.root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
        new.write_bytes(value)
        new.replace(path)

    def __delitem__(self, key: str) -> None:
        """Remove a file."""
        try:
            Path(self.root, key).unlink()
        except OSError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the files."""
        paths = Path(self.root).rglob("*")
        return (path.relative_to(self.root).as_posix() for path in paths if path.is_file())

    def __len__(self) -> int:
        """Return the number of files."""
        return sum(1 for _ in self)


def write(z: Any, parts: list[Part], worker: int) -> None:
    """Write parts and set attributes by threads that share one handle."""

    def work(mine: list[Part], thread: int) -> None:
        write_parts(z, mine, 0)
        z.attrs[f"{worker}-{thread}"] = len(mine)

    in_threads(work, [(parts[t::THREADS], t) for t in range(THREADS)])


def updates(
    crew: Crew, base: Path, size: int, seed: int, *, synchronized: bool, data_path: str = "native"
) -> Count:
    """Let a crew write a whole array; return the numbers of updates and losses."""
    module = use(Setting(data_path=data_path))
    synchronizer = module.ProcessSynchronizer(str(base / "locks")) if synchronized else None
    z = module.create(
        (size,),
        store=Files(str(base / "z")),
        chunks=(CHUNK,),
        dtype="i8",
        zarr_format=2,
        fill_value=0,
        synchronizer=synchronizer,
    )
    parts = cut(size, np.random.default_rng(seed))
    outcomes = crew.run(write, [(z, parts[w::PROCESSES], w) for w in range(PROCESSES)])
    again = module.open_array(Files(str(base / "z")), mode="r")
    names = {f"{w}-{t}" for w in range(PROCESSES) for t in range(THREADS)}
    bad = lost(again[:], parts, 0) + len(names - again.attrs.keys())
    return len(parts) + len(names), bad + sum(outcome.error is not None for outcome in outcomes)


def prove(budget: Budget, seed: int) -> list[Row]:
    """Compare with and without the synchronizer."""
    size = CHUNK * max(16, round(128 * min(1.0, budget.seconds / 16)))
    with folder() as base, Crew(PROCESSES) as crew:
        ours = [
            updates(crew, base / path, size, seed, synchronized=True, data_path=path)
            for path in ("native", "numpy")
        ]
        without = updates(crew, base / "without", size, seed, synchronized=False)
    tried, bad = total(ours)
    return [
        Row(
            promise=9,
            what="updates of 4 processes x 3 threads with ProcessSynchronizer, any mapping",
            ours=f"{bad} lost of {tried:,}",
            control=f"{without[1]} lost of {without[0]:,} without one",
            goal="0",
            kept=not bad and bool(without[1]),
        )
    ]
