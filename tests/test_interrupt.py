"""Ctrl-C ends a long call: nothing is written after it, all chunks are whole, work can continue."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastzarr
from fastzarr.native import extension

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.usefixtures("data_path"),
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system"),
]

GZIP = [{"name": "gzip", "configuration": {"level": 6}}]
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (16, 16, 16)},
    "one shard": {"chunks": (16, 16, 16), "shards": (128, 128, 128)},
    "many shards": {"chunks": (16, 16, 16), "shards": (32, 32, 32)},
}


def interrupted(action: Any, delay: float) -> bool:
    """Run an action with Ctrl-C after a delay, and return whether it was interrupted."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        handler = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, delay)
        try:
            action()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
    except KeyboardInterrupt:
        return True
    finally:
        signal.signal(signal.SIGINT, before)
    return False


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the size and the time of every file."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            state = path.stat()
            found[str(path)] = (state.st_size, state.st_mtime_ns)
    return found


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_an_interrupted_write_writes_nothing_more_and_tears_no_chunk(
    layout: dict[str, Any], tmp_path: Path
) -> None:
    z = fastzarr.create_array(tmp_path, shape=(128,) * 3, dtype="i4", compressors=GZIP, **layout)
    rng = np.random.default_rng(0)
    values = [rng.integers(0, 1 << 20, z.shape, dtype="i4") + n * (1 << 24) for n in range(2)]
    z[...] = values[0]
    came = 0
    for delay in (0.001, 0.01, 0.03):
        came += interrupted(lambda: z.__setitem__(..., values[1]), delay)
        state = snapshot(tmp_path)
        assert not [name for name in state if name.endswith(".fastzarr-tmp")]
        time.sleep(0.2)
        assert snapshot(tmp_path) == state
    assert came
    found = z[...]
    unit = z.shards or z.chunks
    for corner in np.ndindex(*[n // c for n, c in zip(z.shape, unit, strict=True)]):
        part = tuple(slice(k * c, (k + 1) * c) for k, c in zip(corner, unit, strict=True))
        assert any(np.array_equal(found[part], value[part]) for value in values)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_an_interrupted_read_leaves_the_library_working(
    layout: dict[str, Any], tmp_path: Path
) -> None:
    z = fastzarr.create_array(tmp_path, shape=(128,) * 3, dtype="i4", compressors=GZIP, **layout)
    values = np.random.default_rng(0).integers(0, 1 << 20, z.shape, dtype="i4")
    z[...] = values
    assert sum(interrupted(lambda: z[...], delay) for delay in (0.001, 0.005, 0.02))
    np.testing.assert_array_equal(z[...], values)


def threads_named(name: str) -> set[str]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            if (task / "comm").read_text().strip() == name:
                found.add(task.name)
    return found


def interrupted_apart(action: Callable[[], Any]) -> bool:
    """Run an action with Ctrl-C once it encodes a chunk apart; return whether it left the chunk."""
    before, over = threads_named("fastzarr-apart"), threading.Event()

    def watch() -> None:
        while not over.is_set():
            if threads_named("fastzarr-apart") - before:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return

    watcher = threading.Thread(target=watch)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        watcher.start()
        action()
    except KeyboardInterrupt:
        return bool(threads_named("fastzarr-apart") - before)
    finally:
        over.set()
        watcher.join()
        signal.signal(signal.SIGINT, handler)
    return False


SLOW: dict[str, tuple[int, dict[str, Any]]] = {
    "zstd 19": (1 << 20, {"name": "zstd", "configuration": {"level": 19, "checksum": True}}),
    "zstd 12": (1 << 23, {"name": "zstd", "configuration": {"level": 12, "checksum": False}}),
    "gzip 9": (1 << 23, {"name": "gzip", "configuration": {"level": 9}}),
    "blosc": (
        1 << 20,
        {
            "name": "blosc",
            "configuration": {
                "cname": "zstd", "clevel": 9, "shuffle": "noshuffle", "typesize": 1, "blocksize": 0,
            },
        },
    ),
}  # fmt: skip


@pytest.mark.skipif(
    extension is None or sys.platform != "linux", reason="the extension leaves its threads"
)
@pytest.mark.parametrize(("chunks", "partial"), [(1, False), (1, True), (4, False)])
@pytest.mark.parametrize(("size", "codec"), SLOW.values(), ids=SLOW.keys())
def test_a_write_does_not_wait_for_a_chunk_that_is_being_encoded(
    size: int, codec: dict[str, Any], chunks: int, partial: bool, tmp_path: Path
) -> None:
    if fastzarr.config["data_path"] == "numpy":
        pytest.skip("the twin waits for the chunk")
    values = np.random.default_rng(0).integers(0, 5, chunks * size, dtype="u1")
    z = fastzarr.create_array(
        tmp_path, shape=values.shape, dtype="u1", chunks=size, compressors=[codec]
    )
    part = slice(1, None) if partial else slice(None)
    before = snapshot(tmp_path)
    # The call returns while a chunk is still being encoded. What is left stores nothing.
    assert interrupted_apart(lambda: z.__setitem__(part, values[part]))
    assert snapshot(tmp_path) == before
    assert z[:9].tolist() == [0] * 9
