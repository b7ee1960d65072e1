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

import errno
import os
import threading
from typing import TYPE_CHECKING, Any

from fastzarr import _reference, errors
from fastzarr.config import config
from fastzarr.selection import plan as planning
from fastzarr.stores.turns import Synchronized

native_extension: Any = None
try:
    from fastzarr import _native as native_extension
except ImportError:
    import warnings

    warnings.warn(
        "the native extension of fastzarr is not built, so that reading and writing run in NumPy: "
        "right, and slower. Install a Rust toolchain and reinstall fastzarr to build it",
        errors.ZarrRuntimeWarning,
        stacklevel=2,
    )

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.chain import Program
    from fastzarr.metadata.layout import Layout
    from fastzarr.selection.factors import Selection
    from fastzarr.selection.plan import Plan
    from fastzarr.stores.base import Store
    from fastzarr.stores.turns import Turn

# Below this many bytes beside the first chunk, threads cost more than they save.
_SMALL = 1 << 17


class StoredChunks:
    """The stored objects of one array: its store, its path and its chunk keys.

    ``files`` describes them to the extension if the store has declared that they are files.
    """

    __slots__ = ("declared", "encode", "files", "path", "prefix", "store", "synchronizer")

    def __init__(self, layout: Layout, store: Store, path: str, synchronizer: Any = None) -> None:
        """Prepare what every key begins with; the user's ``synchronizer`` has a lock for each."""
        self.store, self.encode, self.path = store, layout.keys.encode, path
        self.synchronizer = synchronizer
        self.prefix = f"{path}/" if path else ""
        self.declared = store.files is not None
        self.files: tuple[Any, ...] | None = None
        found = None if store.files is None else store.files()
        if found is not None:
            default, separator = layout.keys.name == "default", layout.keys.separator
            self.files = (found.root, self.prefix, default, separator, found.follow_links)

    def anew(self, layout: Layout) -> StoredChunks:
        """Return the stored objects as the store declares them now.

        A transaction voids what a store has declared until it is over, and so does a verb that is
        assigned to the store.
        """
        return StoredChunks(layout, self.store, self.path, self.synchronizer)

    def key(self, chunk: tuple[int, ...]) -> str:
        """Give the key of the object at these coordinates."""
        return self.prefix + self.encode(chunk)

    def get(self, chunk: tuple[int, ...]) -> Buffer | None:
        """Return all bytes of the object at these coordinates, or None if there is none."""
        return self.store.get_valid(self.prefix + self.encode(chunk))

    def source(self, chunk: tuple[int, ...]) -> StoredSource:
        """Give the source of the object at these coordinates."""
        return StoredSource(self.store, self.prefix + self.encode(chunk))

    def turn(self, chunk: tuple[int, ...]) -> Turn:
        """Give a writer's turn at the object at these coordinates."""
        key = self.prefix + self.encode(chunk)
        turn = self.store.turn(key)
        if self.synchronizer is None:
            return turn
        return Synchronized(turn, self.synchronizer[key])

    def durability(self) -> str | None:
        """Return how durable files written past the store are to be; None if they must not be."""
        store = self.store
        if self.files is None or self.synchronizer is not None or store.files is None:
            return None
        found = store.files()
        if found is None or found.durability is None:
            return None
        if not store.written:
            store.written = True
        return found.durability


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


def _choose(
    program: Program, chunks: StoredChunks, plan: Plan, selection: Selection, size: int
) -> tuple[Any, int]:
    """Choose who runs a plan, the native extension or its twin, and on how many threads.

    ``size`` is that of the memory read into or written from, in bytes.
    """
    # A chunk that is alone, or the inside of a shard, is shared out if it is large enough.
    shared = program.shard is not None or plan.size == 1
    work = size if shared else (plan.size - 1) * program.nbytes
    threads = 1 if work < _SMALL else workers()
    in_parts = chunks.files is None and chunks.store.supports_partial_reads
    twin = (
        program.native is None
        or selection.fields is not None
        # The extension reads parts of files, but other objects as a whole.
        or (in_parts and program.shard is not None)
        or config.flat["data_path"] == "numpy"
    )
    return _reference if twin else native_extension, threads


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
    if chunks.declared != (chunks.store.files is not None):
        chunks = chunks.anew(layout)
    plan = planning.make(selection.factors, layout.shape, layout.chunks)
    chosen, threads = _choose(program, chunks, plan, selection, out.nbytes)
    spread = _reference.inline if threads == 1 else parallel
    job = _reference.Job(selection.fields, missing, False, spread, threads)  # noqa: FBT003  (hot)
    failure = chosen.read(program, plan, chunks, out, job)
    if failure is not None and chosen is not _reference and _needs_thought(failure):
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
    if chunks.declared != (chunks.store.files is not None):
        chunks = chunks.anew(layout)
    plan = planning.make(selection.factors, layout.shape, layout.chunks)
    chosen, threads = _choose(program, chunks, plan, selection, value.nbytes)
    spread = _reference.inline if threads == 1 else parallel
    job = _reference.Job(
        selection.fields,
        True,  # noqa: FBT003  (hot)
        store_empty,
        spread,
        threads,
        chunks.durability(),
    )
    failure = chosen.write(program, plan, chunks, value, layout.shape, job)
    if failure is not None and chosen is not _reference and _needs_thought(failure):
        failure = _reference.write(program, plan, chunks, value, layout.shape, job)
    if failure is not None:
        raise _worded(failure, chunks) from failure.error


def _needs_thought(failure: _reference.Failure) -> bool:
    """Tell whether a link or a file system without locks was met, which the store can judge."""
    error = failure.error
    thought = (errno.ELOOP, errno.EXDEV, errno.ENOLCK)
    return isinstance(error, OSError) and error.errno in thought


def _worded(failure: _reference.Failure, chunks: StoredChunks) -> Exception:
    chunk, stage, error = failure
    path = chunks.path
    key = chunks.key(chunk)
    if isinstance(error, _reference.MissingChunk):
        inner = str(error)
        what = f"{inner} is not in the shard" if inner else "the chunk is not in the store"
        msg = f"{what}; set read_missing_chunks=True to read the fill value instead"
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

    def submit(self, task: Callable[[], None], count: int, size: int) -> None:
        """Hand a task to some threads of the pool; to none where the interpreter is closing."""
        from concurrent.futures import ThreadPoolExecutor

        with self.lock:
            try:
                if self.executor is None or self.size < size:
                    if self.executor is not None:
                        self.executor.shutdown(wait=False)
                    self.executor = ThreadPoolExecutor(size, thread_name_prefix="fastzarr")
                    self.size = size
                for _ in range(count):
                    self.executor.submit(task)
            except RuntimeError:
                return


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)


class _Run:
    """Hold a task that several threads work on, until none of them does.

    A thread of the pool that comes late finds the run over and leaves. So it suffices to count
    those at work, which Ctrl-C never interrupts, and nothing is lost when it strikes the caller.
    """

    def __init__(self, task: Callable[[int], None], count: int) -> None:
        self.task, self.numbers = task, iter(range(count))
        self.raised: list[BaseException] = []
        self.idle = threading.Condition()
        self.over = False
        self.active = 0

    def work(self) -> None:
        """Take numbers until there are none left, or a task has failed."""
        for number in self.numbers:
            if self.raised or self.over:
                return
            self.task(number)

    def help(self) -> None:
        """Work on a thread of the pool."""
        with self.idle:
            if self.over:
                return
            self.active += 1
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001  (raised again by the caller's thread)
            self.raised.append(error)
        finally:
            with self.idle:
                self.active -= 1
                self.idle.notify_all()

    def settle(self) -> None:
        """End the run and wait until no thread works on it; Ctrl-C does not end the wait."""
        self.over = True
        while self.active:
            try:
                with self.idle:
                    self.idle.wait_for(lambda: not self.active)
            except BaseException as error:  # noqa: BLE001  (kept for the caller)
                self.raised.append(error)


def parallel(task: Callable[[int], None], count: int) -> None:
    """Run a task for each number below ``count`` on the pool and the caller's thread.

    Raises what the first failing task raised, once no task runs any more.
    """
    threads = min(workers(), count)
    if threads < 2:
        _reference.inline(task, count)
        return
    run = _Run(task, count)
    try:
        _pool.submit(run.help, threads - 1, workers() - 1)
        run.work()
        # The caller finds no number left while others are still at their last.
        with run.idle:
            run.idle.wait_for(lambda: not run.active)
    except BaseException as error:  # noqa: BLE001  (raised below)
        run.raised.append(error)
    finally:
        run.settle()
    if run.raised:
        raise run.raised[0]


def sync(root: str) -> None:
    """Have all that was written to the file system of a folder outlast a power cut."""
    (_reference if native_extension is None else native_extension).sync(root)


def cleanup_resources() -> None:
    """Stop the threads of the shared pool; the next call that needs them starts others."""
    if native_extension is not None:
        native_extension.shutdown()
    with _pool.lock:
        if _pool.executor is not None:
            _pool.executor.shutdown(wait=True)
            _pool.executor, _pool.size = None, 0
