"""Run a plan with NumPy: the twin of the native extension.

Rules of this file:

* ``read`` and ``write`` have the names and contracts of ``_native.pyi``, and favour simplicity over
  speed. They run the plans that the extension cannot run, and all plans if it is not built. Tests
  compare the extension with them.
* The inside of a shard is a grid of chunks like the array itself, read and written by recursion:
  the source of an inner chunk is a range of the shard's bytes instead of a key of the store.
* A chunk reads as fill values only if it is known to be missing: a source then returns None. It
  raises an error for any failure.
* A failing chunk is returned as a ``Failure``, which ``failures.py`` converts to an error.
* If descriptors or space run out, the chunks that are left are run one after the other. Threads
  need room for a chunk each; a chunk alone only needs its own, and gives back what it replaces.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.buffers import as_view, empty
from fastzarr.codecs.program import MISSING, MissingChunk, inside_chunk
from fastzarr.engine.apart import apart
from fastzarr.engine.failures import of_error, ran_out
from fastzarr.engine.job import Chunks, Job, Source, inline
from fastzarr.engine.writers import admitted
from fastzarr.errors import CodecError
from fastzarr.selection import plan as planning
from fastzarr.selection.apply import put, take
from fastzarr.selection.factors import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastzarr.buffers import Buffer
    from fastzarr.codecs.program import Program, Shard
    from fastzarr.engine.failures import Failure
    from fastzarr.engine.job import Take
    from fastzarr.selection.plan import Factor, Plan

    Array = np.ndarray[Any, Any]


def read(program: Program, plan: Plan, chunks: Chunks, out: Array, job: Job) -> Failure | None:
    """Read all chunks of a plan into ``out``, which has the plan's work shape.

    Return the first failure, or None.
    """
    nested = job if plan.size == 1 else job._replace(spread=inline)

    def one(number: int) -> Failure | None:
        piece = plan.piece(number)
        try:
            own = program if piece.full is None else program.of_shape(piece.full)
            shard = own.shard
            if shard is None:
                _place(own, chunks.get(piece.chunk), piece, out, nested)
            else:
                _read_shard(shard, chunks.source(piece.chunk), piece, out, nested)
        except Exception as error:  # noqa: BLE001  (a store or codec may raise anything)
            return of_error(piece.chunk, "fetch", error)
        return None

    def place(data: Buffer | None, piece: planning.Piece) -> None:
        if program.shard is None:
            _place(program, data, piece, out, nested)
            return
        own = program if piece.full is None else program.of_shape(piece.full)
        shard: Any = own.shard
        _read_shard(shard, _Held(data), piece, out, nested)

    if job.take is not None:
        ahead = _Ahead(place, plan, job.take, job)
        job.spread(ahead.task, plan.size if job.coming is None else job.coming)
        return _run_left(one, ahead.left, ahead.failures)
    return one(0) if plan.size == 1 else _run(one, plan.size, job)


class _Ahead:
    """A read of the chunks of a plan as they come."""

    def __init__(
        self,
        place: Callable[[Buffer | None, planning.Piece], None],
        plan: Plan,
        take: Take,
        job: Job,
    ) -> None:
        self.place, self.plan, self.take, self.job = place, plan, take, job
        self.failures: list[Failure] = []
        #: The numbers of those that are read again, because something had run out.
        self.left: list[int] = []
        # Whether a thread has raised something, and will not take what it should have taken.
        self.over = False
        # What has come and is taken by the next task, of whatever thread.
        self.come: deque[tuple[int, Any]] = deque()

    def task(self, _: int) -> None:
        """Take one of the chunks, and decode it."""
        try:
            taken = self.next()
            if taken is not None:
                self.put(*taken)
        except BaseException:
            self.over = True
            raise

    def next(self) -> tuple[int, Any] | None:
        taken = None
        while taken is None and not (self.failures or self.over):
            _check_stopped(self.job)
            if not self.come:
                self.come.extend(self.take() or ())
            with suppress(IndexError):
                taken = self.come.popleft()
        return taken

    def put(self, number: int, found: Any) -> None:
        piece = self.plan.piece(number)
        failure = None
        if isinstance(found, Exception):
            failure = of_error(piece.chunk, "fetch", found)
        elif isinstance(found, BaseException):
            raise found
        else:
            try:
                self.place(found, piece)
            except Exception as error:  # noqa: BLE001  (a store or codec may raise anything)
                failure = of_error(piece.chunk, "fetch", error)
        if failure is not None:
            # A part of a shard cannot be read again by itself.
            if ran_out(failure) and self.job.coming is None:
                self.left.append(number)
            else:
                self.failures.append(failure)


def write(program: Program, plan: Plan, chunks: Chunks, value: Array, job: Job) -> Failure | None:
    """Write ``value``, which has the plan's work shape, to all chunks of the plan."""
    nested = job if plan.size == 1 else job._replace(spread=inline)

    def one(number: int) -> Failure | None:
        piece = plan.piece(number)
        return _store(program, chunks, piece, value[piece.out], _masked(piece, nested))

    return one(0) if plan.size == 1 else _run(one, plan.size, job)


def _run(one: Callable[[int], Failure | None], count: int, job: Job) -> Failure | None:
    """Run a function for each piece of a plan, and return its first failure."""
    failures: list[Failure] = []
    left: list[int] = []

    def task(number: int) -> None:
        if failures:
            return
        _check_stopped(job)
        if left:
            left.append(number)
            return
        found = one(number)
        if found is not None and ran_out(found):
            left.append(number)
        elif found is not None:
            failures.append(found)

    job.spread(task, count)
    return _run_left(one, left, failures)


def _check_stopped(job: Job) -> None:
    if job.stopped is not None and job.stopped():
        raise KeyboardInterrupt


def _run_left(
    one: Callable[[int], Failure | None], left: list[int], failures: list[Failure]
) -> Failure | None:
    """Run a function for each piece that is left, and return the first failure of all."""
    for number in left:
        if failures:
            break
        found = one(number)
        if found is not None:
            failures.append(found)
    return failures[0] if failures else None


def _store(
    program: Program,
    chunks: Chunks,
    piece: planning.Piece,
    value: Array,
    job: Job,
) -> Failure | None:
    """Write a piece to its object, in a turn that begins before the object is first read."""
    stage = "store"
    turn = place = None
    try:
        if piece.full is not None:
            program = program.of_shape(piece.full)
        whole = _covers(piece, program, job)
        if chunks.admit is not None:
            place = admitted(chunks, job.stopped)
        turn = chunks.turn(piece.chunk)
        done = False
        while not done:
            stage = "fetch"
            old = None if whole else turn.get()
            stage = "store"
            try:
                data = write_chunk(program, old, piece, value, job)
            except CodecError:
                if not piece.whole or job.fields is not None or job.where is not None:
                    raise
                # All elements inside the array are replaced. Those outside are kept for a larger
                # shape that this handle may not know of, but are no reason to refuse the write.
                data = write_chunk(program, None, piece, value, job)
            done = turn.put(None if data is None else as_view(data))
    except Exception as error:  # noqa: BLE001  (a store or codec may raise anything)
        return of_error(piece.chunk, stage, error)
    finally:
        if turn is not None:
            turn.end()
        if place is not None:
            place.leave()
    return None


def _masked(piece: planning.Piece, job: Job) -> Job:
    """Return the job of a piece, whose mask is a part of the job's."""
    if job.where is None:
        return job
    where = job.where[piece.out]
    return job._replace(where=None if where.all() else where)


def _covers(piece: planning.Piece, program: Program, job: Job) -> bool:
    """Whether a piece replaces all elements of its chunk, including those outside the array."""
    return (
        piece.whole
        and job.fields is None
        and job.where is None
        and piece.extent == program.spec.shape
    )


def _place(
    program: Program, data: Buffer | None, piece: planning.Piece, out: Array, job: Job
) -> None:
    """Decode a chunk and copy the elements of a piece into ``out``."""
    if data is None:
        fill(program, piece, out, job)
        return
    if piece.full is not None:
        program = program.of_shape(piece.full)
    if program.inside is not None and program.order is not None:
        # A shard that is stored compressed: only the inner chunks of the piece are decoded.
        decode: Any = partial(program.shard_bytes, data)
        inside = apart(decode, job.stopped) if program.is_slow else decode()
        _read_shard(program.inside, _Held(inside), piece, out, job)
        return
    decode = partial(program.decode, data, missing=job.missing)
    chunk = apart(decode, job.stopped) if program.is_slow else decode()
    if job.fields is not None:
        chunk = chunk[job.fields]
    out[piece.out] = take(chunk, piece.factors)


def write_chunk(
    program: Program,
    old: Buffer | None,
    piece: planning.Piece,
    value: Array,
    job: Job,
) -> Buffer | None:
    """Return the encoded chunk with ``value`` in it, or None if it holds only the fill value.

    ``old`` is the encoded chunk that is stored.
    """
    if program.shard is not None:
        return _write_shard(program.shard, old, piece, value, job)
    whole = _covers(piece, program, job)
    chunk = None
    if whole and value.shape == program.spec.shape and _forward(piece.factors):
        chunk = value
    else:
        chunk = empty(program.spec.shape, program.spec.dtype.numpy)
        if whole or old is None:
            chunk[...] = program.fill
        else:
            decode = partial(program.decode, old)
            chunk[...] = apart(decode, job.stopped) if program.is_slow else decode()
        target = chunk if job.fields is None else chunk[job.fields]
        put(target, piece.factors, value, job.where)
    spec = program.spec
    if not job.store_empty and spec.fill is not None and spec.dtype.is_fill(chunk, spec.fill):
        return None
    if not program.is_slow:
        return program.encode(chunk)
    # The memory of the caller is not left to a codec that may go on without it.
    own = chunk.copy() if chunk is value else chunk
    return apart(partial(program.encode, own), job.stopped)


class _Held:
    """A source with the bytes of a chunk in memory."""

    def __init__(self, data: Buffer | None) -> None:
        self.data = None if data is None else as_view(data)

    def get(self) -> Buffer | None:
        return self.data

    def get_ranges(self, ranges: Sequence[tuple[int, int | None]]) -> Sequence[Buffer] | None:
        if self.data is None:
            return None
        return [
            self.data[start : None if length is None else start + length]
            for start, length in ranges
        ]


class _Within:
    """A source that is a range of another one: an inner chunk of a shard."""

    def __init__(self, parent: Source, offset: int, size: int) -> None:
        self.parent, self.offset, self.size = parent, offset, size

    def get(self) -> Buffer | None:
        (data,) = self._ranges([(self.offset, self.size)])
        return data

    def get_ranges(self, ranges: Sequence[tuple[int, int | None]]) -> Sequence[Buffer] | None:
        inside = []
        for start, length in ranges:
            stop = None if length is None else start + length
            low, high, _ = slice(start, stop).indices(self.size)
            inside.append((self.offset + low, max(high - low, 0)))
        return self._ranges(inside)

    def _ranges(self, ranges: Sequence[tuple[int, int]]) -> Sequence[Buffer]:
        found = self.parent.get_ranges(ranges)
        if found is None:
            msg = "the shard was deleted while it was read"
            raise CodecError(msg)
        for data, (start, length) in zip(found, ranges, strict=True):
            if len(data) != length:
                msg = (
                    f"the shard ends after {len(data)} of the {length} bytes that its index places "
                    f"at offset {start}"
                )
                raise CodecError(msg)
        return found


def _read_shard(shard: Shard, source: Source, piece: planning.Piece, out: Array, job: Job) -> None:
    factors = planning.turned(piece.factors, shard.axes)
    plan = planning.make(factors, shard.spec.shape, shard.grid)
    whole = 2 * plan.size >= math.prod(shard.counts)
    if whole:
        data = source.get()
        index = None if data is None else shard.read_index(shard.index_bytes(data), len(data))
        source = _Held(data)
    else:
        found = source.get_ranges([shard.index_range()])
        index = None if found is None else shard.read_index(found[0], None)
    if index is None:
        fill(shard.inner, piece, out, job)
        return
    direct = np.ndarray not in set(map(type, piece.out))
    target = out[piece.out] if direct else empty(_work(piece.factors), out.dtype)
    nested = job._replace(spread=inline)
    rows = index

    def one(number: int) -> None:
        inner = plan.piece(number)
        offset, size = rows[_number(inner.chunk, shard.counts)].tolist()
        missing = offset == size == MISSING
        within: Source = _Held(None) if missing else _Within(source, offset, size)
        try:
            if shard.inner.shard is None:
                _place(shard.inner, within.get(), inner, target, nested)
            else:
                _read_shard(shard.inner.shard, within, inner, target, nested)
        except (CodecError, MissingChunk) as error:
            raise inside_chunk(error, inner.chunk) from error

    job.spread(one, plan.size)
    if not direct:
        out[piece.out] = target


def _write_shard(
    shard: Shard,
    old: Buffer | None,
    piece: planning.Piece,
    value: Array,
    job: Job,
) -> Buffer | None:
    factors = planning.turned(piece.factors, shard.axes)
    inside = tuple([piece.extent[shard.axes.index(axis)] for axis in range(len(shard.axes))])
    plan = planning.make(factors, inside, shard.grid)
    pieces: dict[int, Buffer] = {}
    if old is not None:
        index = shard.read_index(shard.index_bytes(old), len(old))
        view = as_view(old)
        for number in np.flatnonzero((index != MISSING).any(axis=1)).tolist():
            offset, size = index[number].tolist()
            pieces[number] = view[offset : offset + size]
    nested = job._replace(spread=inline)

    def one(number: int) -> None:
        inner = plan.piece(number)
        place = _number(inner.chunk, shard.counts)
        part = _masked(inner, nested)
        if part.where is not None and not part.where.any():
            return
        try:
            before = pieces.get(place)
            new = write_chunk(shard.inner, before, inner, value[inner.out], part)
        except CodecError as error:
            raise inside_chunk(error, inner.chunk) from error
        if new is None:
            pieces.pop(place, None)
        else:
            pieces[place] = new

    job.spread(one, plan.size)
    return shard.assemble(pieces) if pieces else None


def fill(program: Program, piece: planning.Piece, out: Array, job: Job) -> None:
    """Put the fill value in place of a missing chunk, or raise ``MissingChunk`` as the job says."""
    if not job.missing:
        raise MissingChunk
    out[piece.out] = program.fill if job.fields is None else program.fill[job.fields]


def _forward(factors: tuple[Factor, ...]) -> bool:
    """Whether the factors are spans of the chunk's axes, in order and with positive steps."""
    return all(
        isinstance(factor, Span) and factor.axis == axis and factor.step > 0
        for axis, factor in enumerate(factors)
    )


def _number(chunk: tuple[int, ...], grid: tuple[int, ...]) -> int:
    number = 0
    for coordinate, count in zip(chunk, grid, strict=True):
        number = number * count + coordinate
    return number


def _work(factors: tuple[Factor, ...]) -> tuple[int, ...]:
    return tuple([factor.size for factor in factors])
