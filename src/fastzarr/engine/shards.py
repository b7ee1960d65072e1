"""Shards in a store without files: their indexes, then ranges of them, requested ahead.

Rules of this file:

* The indexes of all shards are requested first. All bytes of a shard are requested instead if half
  of its inner chunks or more are selected, and they are few enough, or if the store cannot read it
  in parts.
* Inner chunks that are stored close together are one request, up to a size: a large shard comes in
  parts, several at once, and is decoded meanwhile. They are decoded as soon as they have
  come, in a call for the inside of one shard: it is an array, whose chunks are at hand. A shard
  inside a shard is read in the same way.
* A store that answers many requests in about the time of one is sent what is wanted when nothing
  that has come is left to be handled, or when one call is full.
* An index and the bytes that it tells of must be those of one value. If the store returns tokens
  with its values, a shard that was replaced in between is read again. An index is then also kept
  for later calls (``cache.py``): the tokens of ranges show whether it is still that of the shard.
* Several threads take what has come. What they share is changed under a lock. A shard is begun
  again only when no thread decodes its old bytes any more.
"""

from __future__ import annotations

import math
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastzarr.buffers import as_view, empty
from fastzarr.codecs.compile import compile_native
from fastzarr.codecs.program import MISSING, MissingChunk, inside_chunk
from fastzarr.config import config
from fastzarr.engine import reference
from fastzarr.engine.cache import indexes
from fastzarr.engine.failures import Failure, as_failure, of_error
from fastzarr.engine.job import inline
from fastzarr.engine.requests import Requests
from fastzarr.errors import CodecError
from fastzarr.selection import plan as planning
from fastzarr.stores.capabilities import Request
from fastzarr.stores.ranges import LONG, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    from fastzarr.codecs.program import Program, Shard
    from fastzarr.engine.chunks import StoredChunks
    from fastzarr.engine.job import Job
    from fastzarr.selection.plan import Piece, Plan
    from fastzarr.stores.capabilities import Value

    Array = np.ndarray[Any, Any]

# How many shards are begun before the first ones are finished.
_BEGUN = 256
# How often a shard may be replaced while it is read.
_REPLACED = 16
# The largest shards that are read as a whole, and the largest parts, as shares of `fetch.bytes`.
_WHOLE, _PART = 4, 16
# The bytes that a store may send together before any is handed over.
_TOGETHER = 1 << 16


class _Object:
    """What the parts of one stored object share while its value stays the same."""

    def __init__(self, replaced: int = 0) -> None:
        self.token: Hashable | None = None
        #: Whether the token is that of an earlier call, and how often the value was replaced.
        self.known = False
        self.replaced = replaced
        #: Whether another value was found, and the number of threads that work on this one.
        self.stale = False
        self.active = 0


class _Part:
    """A shard, or a shard inside one, of which inner chunks are read.

    It has the bytes from ``start`` on of the value of ``key``: ``size`` of them, or all if None.
    """

    def __init__(self, shard: Shard, piece: Piece, out: Array, above: _Part | None = None) -> None:
        factors = planning.turned(piece.factors, shard.axes)
        self.shard, self.piece, self.out, self.above = shard, piece, out, above
        self.plan = planning.make(factors, shard.spec.shape, shard.grid)
        self.whole = 2 * self.plan.size >= math.prod(shard.counts)
        self.key, self.start = "", 0
        self.size: int | None = None
        #: The number of inner chunks that are not decoded yet, and the memory they are decoded to.
        self.left = self.plan.size
        self.target: Array | None = None
        self.direct = np.ndarray not in set(map(type, piece.out))
        self.object: _Object = _Object() if above is None else above.object

    def restart(self) -> None:
        self.left, self.target = self.plan.size, None
        self.object = _Object(self.object.replaced + 1)

    def inside(self, error: Exception) -> Exception:
        """Return the error of an inner chunk as that of the stored object."""
        part = self
        while part.above is not None and isinstance(error, (CodecError, MissingChunk)):
            error, part = inside_chunk(error, part.piece.chunk), part.above
        return error

    def top(self) -> _Part:
        return self if self.above is None else self.above.top()


class _Range(NamedTuple):
    """Inner chunks in one range of bytes: their numbers in the plan, their places in the range."""

    numbers: list[int]
    offsets: list[int]
    sizes: list[int]
    first: int
    length: int


class _Wanted(NamedTuple):
    then: Callable[[_Part, Value | None, Any], None]
    part: _Part
    object: _Object
    detail: Any
    request: Request
    size: int


def _compile_inside(program: Program, lenient: Any) -> None:
    """Compile the programs of inner chunks, with the settings that the shard's was made with."""
    shard = program.shard
    while shard is not None:
        if shard.inner.native is None or shard.inner.lenient != lenient:
            compile_native(shard.inner)
        shard = shard.inner.shard


class _Reader:
    """One call that reads shards."""

    def __init__(
        self, chosen: Any, program: Program, plan: Plan, chunks: StoredChunks, out: Array, job: Job
    ) -> None:
        self.chosen, self.program, self.plan = chosen, program, plan
        self.chunks, self.out, self.job = chunks, out, job
        self.store = chunks.store
        self.lock = threading.Lock()
        room = int(config.flat["fetch.bytes"])
        self.most_whole, self.most = room // _WHOLE, min(room // _PART, LONG)
        self.wanted: dict[int, _Wanted] = {}
        # How many are wanted, how many of these are not sent, and how much is not finished.
        self.count = self.unsent = self.open = 0
        self.pieces = iter(range(plan.size))
        self.failures: list[Failure] = []
        #: Whether nothing more is read, because something has failed or was interrupted.
        self.over = False
        shard: Any = program.shard
        # What an index means, apart from the value that it is a part of and the number of entries.
        self.meaning = (shard.at_start, *map(repr, shard.index.codecs))
        self.requests = Requests(
            self.store,
            0,
            lambda number: self.wanted[number].request,
            lambda number: self.wanted[number].size,
            lambda request: chunks.miss(request.key),
            # What a call brings is handed over together, unless that would keep a thread waiting.
            together=_TOGETHER if self.store.batch > 1 else 0,
        )

    def work(self, _: int) -> None:
        """Take and decode what has come, until nothing is left or something has failed."""
        try:
            self.more()
            self.send()
            while self.open and not self.over:
                for number, value in self.requests.take_values():
                    if number >= 0:
                        self.handle(number, value)
                self.send()
        except BaseException:
            # No other thread can do what this one had begun.
            self.give_up()
            raise

    def more(self) -> None:
        """Begin some more shards."""
        while self.open < _BEGUN and not self.over:
            with self.lock:
                number = next(self.pieces, None)
                self.open += number is not None
            if number is None:
                return
            piece = self.plan.piece(number)
            program = self.program
            if piece.full is not None:
                program = program.of_shape(piece.full)
            if self.chosen is not reference:
                _compile_inside(program, self.program.lenient)
            shard: Any = program.shard
            part = _Part(shard, piece, self.out)
            part.key = self.chunks.key(piece.chunk)
            self.begin(part)
            self.close()

    def begin(self, part: _Part) -> None:
        """Request the index of a shard, or all of it, or what its known index tells."""
        size = self.program.nbytes if part.size is None else part.size
        if not self.store.supports_partial_reads or (part.whole and size <= self.most_whole):
            request = Request(part.key, part.start, part.size)
            self.want(self.got_whole, part, None, request, size)
            return
        kept = None
        if part.above is None and not part.object.replaced:
            kept = indexes.get(self.kept_as(part))
        if kept is not None:
            part.object.token, part.object.known = kept[0], True
            if self.cut(part, kept[1], known=True):
                return
            part.object.token, part.object.known = None, False
        length = part.shard.index_size
        start = part.start
        if not part.shard.at_start:
            start = -length if part.size is None else part.start + part.size - length
        self.want(self.got_index, part, None, Request(part.key, start, length), length)

    def kept_as(self, part: _Part) -> Hashable:
        return self.store.place.token, part.key, part.shard.counts, *self.meaning

    def want(
        self,
        then: Callable[[_Part, Value | None, Any], None],
        part: _Part,
        detail: Any,
        request: Request,
        size: int,
    ) -> None:
        """Request bytes of a shard; ``then`` is called when they have come."""
        with self.lock:
            self.wanted[self.count] = _Wanted(then, part, part.object, detail, request, size)
            self.count += 1
            self.open += 1
            self.unsent += 1
            full = self.unsent >= self.requests.batch
        if full:
            self.send()

    def send(self) -> None:
        """Send what is wanted."""
        with self.lock:
            count, self.unsent = self.unsent, 0
        if count:
            self.requests.extend(count)

    def close(self) -> None:
        """Count something that is finished, and wake all threads at the end."""
        with self.lock:
            self.open -= 1
            last = not self.open
        if last:
            self.requests.wake(self.job.threads)

    def handle(self, number: int, value: Any) -> None:
        """Go on with what has come."""
        then, part, found, detail, _, _ = self.wanted.pop(number)
        if isinstance(value, BaseException) and not isinstance(value, Exception):
            raise value
        with self.lock:
            found.active += 1
        try:
            if isinstance(value, Exception):
                self.fail(part, value)
            elif not found.stale:
                then(part, value, detail)
        except Exception as error:  # noqa: BLE001  (a store or codec may raise anything)
            self.fail(part, error)
        finally:
            with self.lock:
                found.active -= 1
                restart = found.stale and not found.active and part.top().object is found
                if restart:
                    part.top().restart()
            if restart and not self.over:
                self.begin(part.top())
        self.more()
        self.close()

    def fail(self, part: _Part, error: Exception) -> None:
        """End the call with an error."""
        chunk = part.top().piece.chunk
        self.failures.append(of_error(chunk, "fetch", part.inside(error)))
        self.give_up()

    def give_up(self) -> None:
        self.over = True
        self.requests.stop()
        self.requests.wake(self.job.threads)

    def is_same(self, part: _Part, value: Value) -> bool:
        """Whether bytes are of the value that the others were of; if not, it is read again."""
        found = part.object
        if value.token is None and not found.known:
            return True
        with self.lock:
            if found.token is None:
                found.token = value.token
            same = found.token == value.token
            found.stale = found.stale or not same
        if same:
            return True
        indexes.drop(self.kept_as(part.top()))
        if found.replaced >= _REPLACED:
            msg = f"the shard was replaced {found.replaced} times while it was read"
            raise CodecError(msg)
        return False

    def got_index(self, part: _Part, value: Value | None, _: Any) -> None:
        if value is None:
            self.got_nothing(part)
        elif self.is_same(part, value):
            size = value.size if part.size is None else part.size
            index = part.shard.read_index(as_view(memoryview(value.data)), size)
            if part.above is None and value.token is not None:
                indexes.put(self.kept_as(part), value.token, index, index.nbytes)
            self.cut(part, index)

    def got_whole(self, part: _Part, value: Value | None, _: Any) -> None:
        if value is None:
            self.got_nothing(part)
        elif self.is_same(part, value):
            data = as_view(memoryview(value.data))
            shard = part.shard
            index = shard.read_index(shard.index_bytes(data), data.nbytes)
            rows = index[part.plan.places(shard.counts)].tolist()
            self.decode(
                part,
                [
                    (
                        number,
                        None if offset == size == MISSING else data[offset : offset + size],
                    )
                    for number, (offset, size) in enumerate(rows)
                ],
            )

    def got_nothing(self, part: _Part) -> None:
        if part.object.token is not None or part.above is not None:
            _raise_deleted()
        reference.fill(part.shard.inner, part.piece, part.out, self.job)

    def cut(self, part: _Part, index: NDArray[np.uint64], *, known: bool = False) -> bool:
        """Request the inner chunks of a shard.

        Return False, and do nothing, if the index was ``known``, and no request would show that it
        is still that of the shard.
        """
        rows = index[part.plan.places(part.shard.counts)]
        missing = (rows == MISSING).all(axis=1)
        there = np.flatnonzero(~missing)
        if known and not there.size:
            return False
        if there.size < len(rows):
            self.decode(part, [(number, None) for number in np.flatnonzero(missing).tolist()])
        offsets, sizes = rows[there].T.tolist()
        if part.shard.inner.shard is not None:
            for number, offset, size in zip(there.tolist(), offsets, sizes, strict=True):
                inner = part.plan.piece(number)
                below = _Part(part.shard.inner.shard, inner, self.memory(part), part)
                below.key, below.start, below.size = part.key, part.start + offset, size
                self.begin(below)
            return True
        numbers = there.tolist()
        for places in joined(offsets, sizes, most=self.most):
            mine = [offsets[at] for at in places]
            lengths = [sizes[at] for at in places]
            first = mine[0]
            length = max(map(sum, zip(mine, lengths, strict=True))) - first
            wanted = _Range([numbers[at] for at in places], mine, lengths, first, length)
            request = Request(part.key, part.start + first, length)
            if length:
                self.want(self.got_range, part, wanted, request, length)
            else:
                self.decode(part, [(number, memoryview(b"")) for number in wanted.numbers])
        return True

    def got_range(self, part: _Part, value: Value | None, wanted: _Range) -> None:
        if value is None:
            _raise_deleted()
        elif self.is_same(part, value):
            data = as_view(memoryview(value.data))
            if data.nbytes != wanted.length:
                msg = (
                    f"the shard ends after {data.nbytes} of the {wanted.length} bytes that its "
                    f"index places at offset {wanted.first}"
                )
                raise CodecError(msg)
            held = [
                (number, data[offset - wanted.first : offset - wanted.first + size])
                for number, offset, size in zip(
                    wanted.numbers, wanted.offsets, wanted.sizes, strict=True
                )
            ]
            self.decode(part, held)

    def memory(self, part: _Part) -> Array:
        """Return the memory that inner chunks are decoded to."""
        with self.lock:
            if part.target is None:
                if part.direct:
                    part.target = part.out[part.piece.out]
                else:
                    work = tuple([factor.size for factor in part.piece.factors])
                    part.target = empty(work, part.out.dtype)
            return part.target

    def decode(self, part: _Part, held: list[Any]) -> None:
        """Decode inner chunks that are in memory."""
        target, count = self.memory(part), len(held)
        threads = min(self.job.threads, count)
        # Each thread takes one, so that none has to wait for what another one has taken.
        job = self.job._replace(
            spread=inline, take=lambda: [held.pop()], coming=count, threads=threads
        )
        found = self.chosen.read(part.shard.inner, part.plan, self.chunks, target, job)
        if found is not None:
            failure = found if isinstance(found, Failure) else as_failure(*found)
            error = failure.error
            if isinstance(error, (CodecError, MissingChunk)):
                raise inside_chunk(error, failure.chunk) from error
            raise error
        self.finish(part, count)

    def finish(self, part: _Part, count: int) -> None:
        """Count inner chunks that are decoded; the last one completes the shard."""
        with self.lock:
            part.left -= count
            done = not part.left
        if done:
            if not part.direct:
                part.out[part.piece.out] = part.target
            if part.above is not None:
                self.finish(part.above, 1)


def _raise_deleted() -> None:
    msg = "the shard was deleted while it was read"
    raise CodecError(msg)


def read_shards(
    chosen: Any, program: Program, plan: Plan, chunks: StoredChunks, out: Array, job: Job
) -> Failure | None:
    """Read all shards of a plan like ``reference.read``; ``chosen`` decodes inner chunks."""
    reader = _Reader(chosen, program, plan, chunks, out, job)
    spread: Any = job.spread
    if spread is not inline:
        spread = partial(spread, interrupted=reader.requests.end)
    try:
        spread(reader.work, job.threads)
    finally:
        reader.requests.end()
    return reader.failures[0] if reader.failures else None
