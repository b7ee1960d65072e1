"""How much memory does reading a whole array take at its peak, including the result?"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from bench.base import Row
from bench.data import LAYOUTS, Place
from bench.read_whole import ReadWhole

_MIB = 1 << 20


def limit(place: Place, threads: int) -> float:
    """Return the limit for a read in MiB: its result, two chunks for each thread, and 16 MiB."""
    result = 4
    for size in place.shape:
        result *= size
    chunk = 4
    for size in place.layout.unit:
        chunk *= size
    return (result + 2 * threads * chunk) / _MIB + 16


def threads() -> int:
    """Return the number of processors available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def forget_peak() -> None:
    """Reset the peak to the memory in use now."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Return the peak of memory in use since the reset, in MiB; raise OSError if unavailable."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    msg = "no VmHWM in /proc/self/status"
    raise OSError(msg)


ROWS = [
    Row(
        f"memory-{name}",
        f"peak of a read: {LAYOUTS[name].title}",
        partial(ReadWhole, layout=name),
        name,
        "MiB",
    )
    for name in ("none64", "blosc64", "zstd128", "shard32")
]
