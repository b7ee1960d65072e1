"""Ctrl-C ends a long call: nothing is written after it, all chunks are whole, work can continue."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from waits import join

import fastzarr
from fastzarr import codecs
from fastzarr.codecs.base import BytesBytesCodec
from fastzarr.errors import ChunkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


# Threads that ``threading`` lists for ever, because Ctrl-C came before they were started.
NEVER_BEGUN: set[threading.Thread] = set()


def wait_for_what_was_left() -> None:
    for thread in set(threading.enumerate()) - NEVER_BEGUN:
        if thread.name == "fastzarr-apart":
            # Ctrl-C may have come before the thread was seen to have started.
            for _ in range(500):
                if thread.is_alive() or thread not in threading.enumerate():
                    break
                time.sleep(0.01)
            else:
                NEVER_BEGUN.add(thread)
            if thread.is_alive():
                join(thread)


@pytest.fixture(autouse=True)
def _left_alone() -> Iterator[None]:
    """Leave nothing running that was left by a call, except by the extension."""
    yield
    wait_for_what_was_left()


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
    found = {f"{one.ident}" for one in threading.enumerate() if one.name == name}
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
        join(watcher)
        signal.signal(signal.SIGINT, handler)
    return False


SLOW: dict[str, tuple[int, dict[str, Any]]] = {
    "zstd 19": (1 << 20, {"name": "zstd", "configuration": {"level": 19, "checksum": True}}),
    "zstd 12": (1 << 22, {"name": "zstd", "configuration": {"level": 12, "checksum": False}}),
    "gzip 9": (1 << 21, {"name": "gzip", "configuration": {"level": 9}}),
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


@pytest.mark.skipif(sys.platform != "linux", reason="the names of threads are read from /proc")
@pytest.mark.parametrize(("chunks", "partial"), [(1, False), (1, True), (4, False)])
@pytest.mark.parametrize(("size", "codec"), SLOW.values(), ids=SLOW.keys())
def test_a_write_does_not_wait_for_a_chunk_that_is_being_encoded(
    size: int, codec: dict[str, Any], chunks: int, partial: bool, tmp_path: Path
) -> None:
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


@dataclass(frozen=True, kw_only=True)
class Stubborn(BytesBytesCodec):
    """A codec that goes on after Ctrl-C, as a call of a library does."""

    name: ClassVar[str] = "example.stubborn"
    word: ClassVar[str] = ""
    """At this word, "encode" or "decode", Ctrl-C comes, and it waits until it is free."""
    came: ClassVar[threading.Lock]
    free: ClassVar[threading.Event]
    ended: ClassVar[list[str]]

    def encoded_size(self, size: int | None) -> int | None:
        return size

    def encode(self, data: Any) -> bytes:
        self.stay("encode")
        return bytes(data)

    def decode(self, data: Any, size: int | None) -> bytes:
        self.stay("decode")
        return bytes(data)[:size]

    def stay(self, word: str) -> None:
        if word != self.word:
            return
        with contextlib.suppress(KeyboardInterrupt):  # in the main thread
            if self.came.acquire(blocking=False):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            # It ends even if it is not left; the test then fails.
            self.free.wait(10)
        self.ended.append(word)


@pytest.fixture
def stubborn() -> Iterator[type[Stubborn]]:
    """Register the codec, and let it end after the test."""
    codecs.register_codec(Stubborn.name, Stubborn)
    Stubborn.came, Stubborn.free, Stubborn.ended = threading.Lock(), threading.Event(), []
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Stubborn
    Stubborn.word = ""
    let_end()
    signal.signal(signal.SIGINT, handler)


def let_end() -> None:
    """Let the codecs end that were left."""
    Stubborn.free.set()
    wait_for_what_was_left()


# The word, and the bytes that are written or read while it is waited for.
CALLS = {
    "write a chunk": ("encode", slice(0, 1 << 18)),
    "write several": ("encode", slice(None)),
    "write a part": ("encode", slice(5, 9)),
    "merge a part": ("decode", slice(5, 9)),
    "read a chunk": ("decode", slice(0, 1 << 18)),
    "read several": ("decode", slice(None)),
    "read a part": ("decode", slice(5, 9)),
}


@pytest.mark.parametrize("shards", [None, 1 << 20, 1 << 19], ids=["chunks", "shard", "shards"])
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_does_not_wait_for_a_codec_in_python(
    stubborn: type[Stubborn], call: str, shards: int | None, tmp_path: Path
) -> None:
    old = np.arange(1 << 20, dtype="i4").view("u1")[: 1 << 20]
    z = fastzarr.create_array(
        tmp_path, data=old, chunks=1 << 18, shards=shards, compressors=[Stubborn()]
    )
    before = snapshot(tmp_path)
    stubborn.word, part = CALLS[call]
    new = old[part] + 1
    act = z.__getitem__ if call.startswith("read") else lambda part: z.__setitem__(part, new)
    with pytest.raises(KeyboardInterrupt):
        act(part)
    assert stubborn.ended == []
    assert snapshot(tmp_path) == before
    # What is left of the call does not see the caller's memory, and changes nothing.
    new[...] = 0
    let_end()
    assert stubborn.ended
    assert snapshot(tmp_path) == before
    stubborn.word = ""
    np.testing.assert_array_equal(z[...], old)
    z[part] = 7
    assert (z[part] == 7).all()


def test_threads_that_are_not_interrupted_run_codecs_themselves(
    stubborn: type[Stubborn], tmp_path: Path
) -> None:
    seen = []

    class Looking(Stubborn):
        name = "example.looking"

        def decode(self, data: Any, size: int | None) -> bytes:
            seen.append(threading.current_thread().name)
            return super().decode(data, size)

    codecs.register_codec(Looking.name, Looking)
    z = fastzarr.create_array(
        tmp_path, data=np.ones(1 << 19, "u1"), chunks=1 << 18, compressors=[Looking()]
    )
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
        assert pool.submit(lambda: int(z[...].sum())).result() == 1 << 19
    assert seen
    assert not [name for name in seen if name == "fastzarr-apart"]
    assert stubborn.ended == []


def test_the_error_of_a_codec_that_runs_apart_is_raised(
    stubborn: type[Stubborn], tmp_path: Path
) -> None:
    class Failing(Stubborn):
        name = "example.failing"

        def decode(self, data: Any, size: int | None) -> bytes:
            msg = f"{len(data)} of {size}: {threading.current_thread().name}"
            raise ValueError(msg)

    codecs.register_codec(Failing.name, Failing)
    z = fastzarr.create_array(
        tmp_path, data=np.ones(1 << 18, "u1"), chunks=1 << 18, compressors=[Failing()]
    )
    with pytest.raises(ChunkError, match=r"c/0.*262144 of 262144: fastzarr-apart"):
        z[...]
    assert issubclass(Failing, stubborn)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["lzma", "bz2"])
def test_a_write_does_not_wait_for_a_slow_codec_of_numcodecs(
    name: str, zarr_format: int, tmp_path: Path, data_path: str
) -> None:
    del data_path
    made = {"id": "lzma", "preset": 9} if name == "lzma" else {"id": "bz2", "level": 9}
    values = np.random.default_rng(0).integers(0, 5, 1 << 20, dtype="u1")
    how: dict[str, Any] = {"compressor": made}
    if zarr_format == 3:
        members = {key: value for key, value in made.items() if key != "id"}
        how = {"compressors": [{"name": f"numcodecs.{name}", "configuration": members}]}
    z = fastzarr.create_array(
        tmp_path, shape=1 << 20, dtype="u1", chunks=1 << 20, zarr_format=zarr_format, **how
    )
    before = snapshot(tmp_path)
    assert interrupted_apart(lambda: z.__setitem__(..., values))
    assert snapshot(tmp_path) == before
