"""Run a plan: the one driver between arrays and the functions that decode and encode chunks.

Rules of this file:

* Every read and write of an array, regular or sharded, by any selection, passes through here.
* A selection with large masks is divided into bands, which are planned and run one after another.
* Chunks that are not files are requested ahead of their use, or many together (``ahead.py``), and
  written by more threads than there are processors (``writers.py``), or in batches
  (``batches.py``).
* The extension runs a plan if it can; otherwise its twin in ``reference.py`` does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.buffers import empty
from fastzarr.codecs.compile import compile_native, is_shapeless, lenience
from fastzarr.config import config
from fastzarr.engine import reference
from fastzarr.engine.ahead import Together, fetch_ahead
from fastzarr.engine.batches import held_back
from fastzarr.engine.failures import Failure, as_error, as_failure, is_for_the_store
from fastzarr.engine.job import Chunks, Job, inline
from fastzarr.engine.received import receiver_for
from fastzarr.engine.requests import runs_ahead
from fastzarr.engine.shards import read_shards
from fastzarr.engine.threads import teamed, workers
from fastzarr.native import extension
from fastzarr.selection import bands
from fastzarr.selection import plan as planning
from fastzarr.selection.factors import MANY
from fastzarr.stores.stopping import STOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.codecs.program import Program
    from fastzarr.engine.batches import BatchedChunks
    from fastzarr.engine.chunks import StoredChunks
    from fastzarr.engine.requests import Ahead
    from fastzarr.engine.writers import WaitingChunks
    from fastzarr.metadata.layout import Layout
    from fastzarr.selection.bands import Parts
    from fastzarr.selection.factors import Selection
    from fastzarr.selection.plan import Plan
    from fastzarr.stores.capabilities import Prepared
    from fastzarr.stores.stopping import Stopped

# With fewer bytes than this, apart from the first chunk, threads cost more than they save.
_SMALL = 1 << 17
# Of values that are copied, so many bytes are requested together, and larger ones alone: their
# memory is then used again by those that follow.
_COPIED, _ALONE = 1 << 22, 1 << 18
# Chunks of fewer bytes than this are compressed faster than a thread takes the interpreter's lock.
_LIGHT = 1 << 13


def _choose(
    program: Program,
    chunks: StoredChunks,
    plan: Plan,
    selection: Selection,
    size: int,
    where: np.ndarray[Any, Any] | None = None,
) -> tuple[Any, int]:
    """Return the module that runs a plan, the extension or its twin, and the number of threads.

    ``size`` is the size in bytes of the memory that is read into or written from.
    """
    # One large chunk, or the inner chunks of one shard, can be split among threads.
    shared = program.shard is not None or plan.size == 1
    work = size if shared else (plan.size - 1) * program.nbytes
    threads = 1 if work < _SMALL else workers()
    settings = config.flat
    if program.lenient != lenience(settings):
        compile_native(program)
    store = chunks.store
    whole = chunks.files is None and chunks.located is None
    in_parts = whole and store.supports_partial_reads and not runs_ahead(store)
    twin = (
        program.native is None
        or selection.fields is not None
        or where is not None
        or (plan.varies and not is_shapeless(program))
        # The extension reads parts of files, but other objects as a whole.
        or (in_parts and program.shard is not None)
        or settings["data_path"] == "numpy"
    )
    return reference if twin else extension, threads


def run_read(
    layout: Layout,
    chunks: StoredChunks,
    selection: Selection,
    out: np.ndarray[Any, Any],
    *,
    missing: bool,
) -> bool:
    """Read a selection into ``out``, which has the selection's work shape.

    Return whether a stored object was missing, so that the elements in it have the fill value.

    Raise ``ChunkError`` or one of its subclasses if a chunk cannot be read.
    """
    if out.size > MANY:
        parts = bands.divide(selection, layout.shape, layout.grid)
        if parts is not None:
            return _read_bands(layout, chunks, parts, out, missing=missing)
    program = layout.program
    store = chunks.store
    if store.suspension.on or chunks.declared != (store.files is not None):
        chunks = chunks.anew(layout)
    before = chunks.missed
    plan = planning.make(selection.factors, layout.shape, layout.grid)
    chosen, threads = _choose(program, chunks, plan, selection, out.nbytes)
    spread, stopped = (inline, STOP.get()) if threads == 1 else teamed()
    job = Job(selection.fields, missing, False, spread, threads, stopped=stopped)  # noqa: FBT003  (hot)
    if chunks.files is not None or (plan.size == 1 and program.shard is None):
        failure = chosen.read(program, plan, chunks, out, job)
    else:
        failure = _read_many(chosen, program, plan, chunks, out, job)
    if failure is not None:
        _end(failure, chunks, partial(reference.read, program, plan, chunks, out, job))
    return chunks.missed is not before


def _end(failure: Any, chunks: StoredChunks, again: Callable[[], Failure | None]) -> None:
    """Raise the error of a failure, unless the store can do ``again`` what the extension cannot."""
    if not isinstance(failure, Failure):
        failure = as_failure(*failure)
        if is_for_the_store(failure):
            failure = again()
    if failure is not None:
        raise as_error(failure, chunks) from failure.error


def _read_many(
    chosen: Any, program: Program, plan: Plan, chunks: StoredChunks, out: Any, job: Job
) -> Any:
    """Read chunks or shards that are not files, requested together or ahead of their use."""
    store = chunks.store
    if not runs_ahead(store):
        if chosen is reference and program.shard is not None and store.supports_partial_reads:
            return chosen.read(program, plan, chunks, out, job)
        together = min(store.batch, _together(chunks, plan.size, program.nbytes))
        if together > 1 and chosen is reference:
            job = job._replace(take=Together(chunks, plan, together).take)
        return chosen.read(program, plan, chunks, out, job._replace(together=together))
    if program.shard is not None:
        return read_shards(chosen, program, plan, chunks, out, job)
    receiver = receiver_for(store, program.nbytes, chosen)
    requests = fetch_ahead(chunks, plan, program.nbytes, receiver)
    spread: Any = job.spread
    if spread is not inline:
        spread = partial(spread, interrupted=requests.end)
    try:
        return chosen.read(
            program,
            plan,
            chunks,
            out,
            job._replace(spread=spread, take=requests.take, receiver=receiver),
        )
    finally:
        requests.end()


def _together(chunks: StoredChunks, count: int, size: int) -> int:
    """Return how many of ``count`` values are requested at once; ``size`` is that of one decoded.

    With 1, each is requested alone, by which it may be copied.
    """
    if count == 1 and (size <= _ALONE or not chunks.has_views):
        return 1
    room = config.flat["fetch.bytes"]
    if chunks.has_views or chunks.located is not None:
        # They are not copied, so that large ones do not take more memory together.
        return max(room // max(size, 1), 2)  # type: ignore[no-any-return]
    return 1 if size > _ALONE else max(min(room, _COPIED) // max(size, 1), 1)


def run_write(
    layout: Layout,
    chunks: StoredChunks,
    selection: Selection,
    value: np.ndarray[Any, Any],
    *,
    store_empty: bool,
    beside: Prepared | None = None,
    where: np.ndarray[Any, Any] | None = None,
    check: Ahead | None = None,
) -> None:
    """Write ``value``, which has the selection's work shape, to the selected elements.

    A value that is prepared in a file, ``beside``, may be synced with the chunks. With ``where``,
    of the shape of ``value``, only those elements are written for which it is True. Nothing is
    stored before ``check`` has succeeded; its error is raised whatever else has failed.

    Raise ``ChunkError`` or one of its subclasses if a chunk cannot be written; other chunks may
    have been written by then. In a selection with a large mask, the chunks of later bands are not
    tried.
    """
    if value.size > MANY:
        parts = bands.divide(selection, layout.shape, layout.grid)
        if parts is not None:
            if check is not None:
                check()
            _write_bands(layout, chunks, parts, value, store_empty=store_empty)
            return
    program = layout.program
    store = chunks.store
    if store.suspension.on or chunks.declared != (store.files is not None):
        chunks = chunks.anew(layout)
    plan = planning.make(selection.factors, layout.shape, layout.grid)
    chosen, threads = _choose(program, chunks, plan, selection, value.nbytes, where)
    held = None
    if check is not None or (chunks.files is None and plan.size > 1):
        whole = where is None and selection.fields is None and plan.is_whole()
        few = _fewer(program, threads)
        held = held_back(chunks, plan.size, program.nbytes, check, few if whole else None)
        spread, stopped, threads = _team(held, few if store.concurrency == 1 else threads)
    else:
        spread, stopped = (inline, STOP.get()) if threads == 1 else teamed()
    durability = chunks.durability()
    job = Job(
        selection.fields,
        True,  # noqa: FBT003  (hot)
        store_empty,
        spread,
        threads,
        durability,
        stopped=stopped,
        beside=None if beside is None else beside.path,
        where=where,
    )
    failure = chosen.write(program, plan, held or chunks, value, job)
    if held is not None:
        failure = _ended(held, failure, lambda rest: chosen.write(program, plan, rest, value, job))
    if check is not None:
        check()
    if failure is None and beside is not None and chosen is not reference:
        beside.synced = durability == "full"
    if failure is not None:
        _end(failure, chunks, partial(reference.write, program, plan, chunks, value, job))


def _ended(
    held: BatchedChunks | WaitingChunks, failure: Any, write: Callable[[Chunks], Any]
) -> Any:
    """Store the last chunks of a call, and return its failure, or None.

    Those that others have changed since they were read are written again.
    """
    failure = held.end(failure)
    rest = held.rest() if failure is None else None
    return failure if rest is None else write(rest)


def _fewer(program: Program, threads: int) -> int:
    """Return the number of threads of a write that wait for nothing but the processors.

    It is 1 if a chunk is encoded in less time than threads need to wait for each other.
    """
    least = _LIGHT if program.encoded_size is None else _SMALL
    return 1 if program.nbytes < least else threads


def _team(
    held: BatchedChunks | WaitingChunks | None, threads: int
) -> tuple[Any, Stopped | None, int]:
    """Return ``spread``, ``stopped`` and the number of threads of a write of several chunks."""
    most = None if held is None else held.threads
    threads = most or threads
    spread, stopped = (inline, STOP.get()) if threads == 1 else teamed(most)
    if held is not None:
        held.stopped = stopped
    return spread, stopped, threads


def _write_bands(
    layout: Layout, chunks: StoredChunks, parts: Parts, value: Any, *, store_empty: bool
) -> None:
    """Write the parts of a selection, one after the other."""
    for part, index, mask in parts:
        given = value[index] if mask is None else _spread(part, index, mask, value)
        where = None if mask is None else _spread(part, index, mask, None)
        run_write(layout, chunks, part, given, store_empty=store_empty, where=where)


def _spread(
    part: Selection, index: tuple[Any, ...], mask: np.ndarray[Any, Any], value: Any
) -> np.ndarray[Any, Any]:
    """Return an array of the shape of a part with values where its mask is True.

    Without a value, return the mask in that shape.
    """
    before = len(index) - 1
    if value is None:
        after = len(part.work) - before - mask.ndim
        return np.broadcast_to(mask.reshape(*mask.shape, *[1] * after), part.work)
    spread = empty(part.work, value.dtype)
    spread[(*index[:-1], mask)] = value[index]
    return spread


def _read_bands(
    layout: Layout, chunks: StoredChunks, parts: Parts, out: Any, *, missing: bool
) -> bool:
    """Read the parts of a selection into their places; return whether an object was missing."""
    missed = False
    for part, index, mask in parts:
        direct = mask is None and isinstance(index[-1], slice)
        target = out[index] if direct else empty(part.work, out.dtype)
        # There may be another mask.
        missed = run_read(layout, chunks, part, target, missing=missing) or missed
        if mask is not None:
            target = target[(*index[:-1], mask)]
        if not direct:
            out[index] = target
    return missed
