"""Run plans: the one driver between arrays and the functions that decode and encode chunks.

Rules of this file:

* A read or a write of any array, regular or sharded, by any selection, passes here and only here.
* The pool of threads is made when first used, shared by all callers, sized by the processors this
  process may use, and made anew in a forked child. The caller's own thread always works along, so
  that a busy pool delays nobody and a nested call cannot wait for itself.
* When a call returns or raises, Ctrl-C included, none of its threads writes any more.
* Errors are worded here: every one names the array, the chunk, the key and the stage.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from fastzarr import _reference, errors
from fastzarr import plan as planning
from fastzarr.codecs.base import as_view
from fastzarr.config import config
from fastzarr.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor

    import numpy as np

    from fastzarr.codecs.base import Buffer
    from fastzarr.metadata.layout import Layout
    from fastzarr.selection import Selection

# Below this many bytes the threads cost more than they save.
_SMALL = 1 << 18


class StoredChunks:
    """Stand for the stored objects of one array: its store, its path and its chunk keys."""

    __slots__ = ("encode", "fetch", "path", "prefix", "store")

    def __init__(self, layout: Layout, store: Store, path: str) -> None:
        """Prepare what every key begins with."""
        self.store, self.encode, self.path = store, layout.keys.encode, path
        self.prefix = f"{path}/" if path else ""
        # Keys made here are valid, so the check of ``get`` is passed over. Who has replaced ``get``
        # itself is asked by it.
        kept = type(store).get is Store.get
        self.fetch: Callable[[str], Any] = store._get if kept else store.get  # noqa: SLF001

    def key(self, chunk: tuple[int, ...]) -> str:
        """Give the key of the object at these coordinates."""
        return self.prefix + self.encode(chunk)

    def get(self, chunk: tuple[int, ...]) -> Buffer | None:
        """Give all bytes of the object at these coordinates, or None if there is none."""
        data: Buffer | None = self.fetch(self.prefix + self.encode(chunk))
        return data

    def source(self, chunk: tuple[int, ...]) -> StoredSource:
        """Give the source of the object at these coordinates."""
        return StoredSource(self.store, self.prefix + self.encode(chunk))

    def put(self, chunk: tuple[int, ...], data: Buffer | None) -> None:
        """Store the object at these coordinates, or delete it where ``data`` is None."""
        if data is None:
            self.store.delete(self.key(chunk))
        else:
            value = data if isinstance(data, bytes) else as_view(data)
            self.store.set(self.key(chunk), value)


class StoredSource:
    """Give the bytes of one stored object."""

    __slots__ = ("key", "store")

    def __init__(self, store: Store, key: str) -> None:
        """Name the object."""
        self.store, self.key = store, key

    def get(self) -> Buffer | None:
        """Give all bytes, or None if there is no such object."""
        return self.store.get(self.key)

    def get_ranges(self, ranges: Sequence[tuple[int, int | None]]) -> Sequence[Buffer] | None:
        """Give ranges of the bytes, or None if there is no such object."""
        return self.store.get_ranges(self.key, ranges)


def run_read(
    layout: Layout,
    chunks: StoredChunks,
    selection: Selection,
    out: np.ndarray[Any, Any],
    *,
    missing: bool,
) -> None:
    """Read a selection into ``out``, which has the selection's work shape."""
    program = layout.program
    plan = planning.make(selection.factors, layout.shape, layout.chunks)
    spread = _reference.inline if out.nbytes < _SMALL else parallel
    job = _reference.Job(selection.fields, missing, False, spread)  # noqa: FBT003  (hot)
    failure = _reference.read(program, plan, chunks, out, job)
    if failure is not None:
        raise _worded(failure, chunks) from failure.error


def run_write(
    layout: Layout,
    chunks: StoredChunks,
    selection: Selection,
    value: np.ndarray[Any, Any],
    *,
    store_empty: bool,
) -> None:
    """Write ``value``, which has the selection's work shape."""
    program = layout.program
    plan = planning.make(selection.factors, layout.shape, layout.chunks)
    spread = _reference.inline if value.nbytes < _SMALL else parallel
    job = _reference.Job(selection.fields, True, store_empty, spread)  # noqa: FBT003  (hot)
    failure = _reference.write(program, plan, chunks, value, layout.shape, job)
    if failure is not None:
        raise _worded(failure, chunks) from failure.error


def _worded(failure: _reference.Failure, chunks: StoredChunks) -> Exception:
    chunk, stage, error = failure
    path = chunks.path
    key = chunks.key(chunk)
    if isinstance(error, _reference.MissingChunk):
        msg = "the chunk is not in the store, and missing chunks are read as an error here"
        return errors.ChunkNotFoundError(msg, path, key, chunk, stage)
    if isinstance(error, errors.CodecError):
        return errors.ChunkError(str(error), path, key, chunk, stage)
    if isinstance(error, (errors.BaseZarrError, MemoryError)):
        return error
    kind = errors.ChunkIOError if isinstance(error, OSError) else errors.ChunkError
    worded = kind(f"{type(error).__name__}: {error}", path, key, chunk, stage)
    if isinstance(worded, OSError) and isinstance(error, OSError):
        worded.errno, worded.strerror = error.errno, error.strerror
        worded.filename = error.filename
    return worded


def workers() -> int:
    """Count the threads a call may use: as configured, else the processors of this process."""
    configured = config["threading.max_workers"]
    if configured is not None:
        return max(int(configured), 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    """Hold the shared pool: none, until the first call that has work for it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.executor: ThreadPoolExecutor | None = None
        self.size = 0

    def submit(self, task: Callable[[], None], count: int, size: int) -> list[Future[None]]:
        """Hand a task to some threads of the pool; to none where the interpreter is closing."""
        from concurrent.futures import ThreadPoolExecutor

        with self.lock:
            try:
                if self.executor is None or self.size < size:
                    if self.executor is not None:
                        self.executor.shutdown(wait=False)
                    self.executor = ThreadPoolExecutor(size, thread_name_prefix="fastzarr")
                    self.size = size
                return [self.executor.submit(task) for _ in range(count)]
            except RuntimeError:
                return []


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)


def parallel(task: Callable[[int], None], count: int) -> None:
    """Run a task for each number below ``count`` on the pool and the caller's thread.

    Raises what the first failing task raised, once no task runs any more.
    """
    threads = min(workers(), count)
    if threads < 2:
        _reference.inline(task, count)
        return
    numbers = iter(range(count))
    raised: list[BaseException] = []

    def work() -> None:
        try:
            for number in numbers:
                if raised:
                    return
                task(number)
        except BaseException as error:  # noqa: BLE001  (raised again by the caller's thread)
            raised.append(error)

    futures = _pool.submit(work, threads - 1, workers() - 1)
    work()
    _settle(futures, raised)
    if raised:
        raise raised[0]


def _settle(futures: list[Future[None]], raised: list[BaseException]) -> None:
    """Wait until none of the pool's threads works on the task; Ctrl-C does not end the wait."""
    while futures:
        try:
            futures = [future for future in futures if not (future.cancel() or future.done())]
            for future in futures:
                future.exception()
        except BaseException as error:  # noqa: BLE001  (kept for the caller)
            raised.append(error)


def cleanup_resources() -> None:
    """Stop the threads of the shared pool; the next call that needs them starts others."""
    with _pool.lock:
        if _pool.executor is not None:
            _pool.executor.shutdown(wait=True)
            _pool.executor, _pool.size = None, 0
