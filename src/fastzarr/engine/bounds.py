"""What is under way in this process, for all reads and all writes together, and its bounds.

Rules of this file:

* The requests of reads and the chunks that are being written are at most ``fetch.concurrency``. If
  both wait, they begin in turn.
* The values that are fetched and not taken, the chunks that are being written, encoded and decoded,
  and those that wait for their batch have at most ``fetch.bytes``. Each call may have one value or
  one chunk beyond these bytes, so that none waits for another, which may be waiting for it.
* An interrupt may leave a place, or a thread that waits for one. A place ends when nothing refers
  to it any more, and a thread waits no longer than it has said.
* Whoever has been admitted needs nothing else of this file to end: what a store reads or writes by
  itself meanwhile runs on the same thread. A thread is admitted before it takes the lock of a
  chunk, so that none waits here with a lock that an admitted one needs.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import ref

from fastzarr.config import config
from fastzarr.stores.users import LOOK, Inbox, Monitor, heard

if TYPE_CHECKING:
    from collections.abc import Callable


class Holder(Protocol):
    """A call that holds bytes."""

    #: The most bytes of the values that will come, and those that are not taken or stored yet.
    flying: int
    waiting: int


class Admission:
    """The place of a thread that writes a chunk; ``leave`` must be called on the same thread."""

    __slots__ = ("__weakref__",)

    def leave(self) -> None:
        """Let another one be admitted."""
        bounds.leave(self)


class _Entry(NamedTuple):
    #: A place that was lost, because an interrupt has come between, is found by its reference: a
    #: finalizer would swallow an interrupt that comes while it runs.
    found: ref[Admission]
    call: Holder
    size: int


class _Bounds:
    """What is counted for the process. ``lock`` is held for the methods that say so."""

    def __init__(self) -> None:
        self.resume: Callable[[], None] = lambda: None
        self.reset()

    def reset(self) -> None:
        self._freed = Monitor()
        self.lock = self._freed.lock
        # The calls with bytes.
        self._holders: set[ref[Holder]] = set()
        self._requests = 0
        # The places of writes, by thread.
        self._inside: dict[int, _Entry] = {}
        # Until when writes wait, by thread.
        self._waiting: dict[int, float] = {}
        self._write_is_next = False
        #: Whether a read waits. ``resume`` lets it look again, on another thread.
        self.reads_wait = False

    def _is_full(self) -> bool:
        most = max(int(config.flat["fetch.concurrency"]), 1)
        if self._requests + len(self._inside) < most:
            return False
        for thread, entry in tuple(self._inside.items()):
            if entry.found() is None:
                self._drop(thread)
        return self._requests + len(self._inside) >= most

    def _writes_wait(self) -> bool:
        for thread, until in tuple(self._waiting.items()):
            if until < time.monotonic():
                del self._waiting[thread]
        return bool(self._waiting)

    def count(self, call: Holder) -> None:
        """Count the bytes that a call holds from now on, with the lock held."""
        if ref(call) not in self._holders:
            self._holders = {one for one in self._holders if one() is not None} | {ref(call)}

    def forget(self, call: Holder) -> None:
        """Count the bytes of a call no more, with the lock held."""
        self._holders.discard(ref(call))

    def room(self) -> int:
        """Return the bytes that are left, with the lock held; they may be negative."""
        left: int = config.flat["fetch.bytes"]
        for found in self._holders:
            call = found()
            if call is not None:
                left -= call.flying + call.waiting
        return left

    def _wake(self) -> None:
        """Let a write look whether it may begin now, with the lock held."""
        if self._waiting:
            self._freed.notify(1)

    # Reads

    def may_read(self) -> bool:
        """Whether another request may begin now, with the lock held."""
        wait = self._is_full() or (self._write_is_next and self._writes_wait())
        # If one may begin, others may wait still: each value that is taken makes room for one.
        self.reads_wait = self.reads_wait or wait
        return not wait

    def begin_read(self) -> None:
        """Count a request, with the lock held."""
        self._requests += 1
        self._write_is_next = True
        self._wake()

    def end_read(self) -> None:
        """Count a request that has been answered, with the lock held."""
        self._requests -= 1
        self._wake()

    def no_read(self, *, starved: bool = False) -> None:
        """Let a write begin, because no read can, with the lock held.

        If they are ``starved``, reads wait for bytes that others have.
        """
        self.reads_wait, self._write_is_next = starved, True
        self._wake()

    def restart(self) -> None:
        """Let reads that wait look again, with the lock held."""
        if self.reads_wait:
            self.resume()

    # Writes

    def is_inside(self) -> bool:
        """Whether this thread was admitted."""
        entry = self._inside.get(threading.get_ident())
        return entry is not None and entry.found() is not None

    def enter(self, call: Holder, size: int) -> Admission | None:
        """Return a place for a chunk of a call; None if there is none within some milliseconds."""
        me = threading.get_ident()
        freed: Inbox[None] = Inbox()
        with self.lock:
            if self._may_write(call, size):
                return self._admitted(me, call, size)
            self._waiting[me] = time.monotonic() + LOOK
            self._freed.listen(freed)
        told = heard(freed, LOOK)
        with self.lock:
            self._waiting.pop(me, None)
            self._freed.ignore(freed)
            # If it was told nothing, no read has begun although it could.
            self._write_is_next = self._write_is_next or not told
            return self._admitted(me, call, size) if self._may_write(call, size) else None

    def _admitted(self, me: int, call: Holder, size: int) -> Admission:
        if me in self._inside:
            self._drop(me)
        made = Admission()
        self._inside[me] = _Entry(ref(made), call, size)
        call.flying += size
        self.count(call)
        self._write_is_next = False
        return made

    def _may_write(self, call: Holder, size: int) -> bool:
        if self._is_full():
            return False
        if self.reads_wait and not self._write_is_next:
            self.restart()
            return False
        return size <= self.room() or not call.flying

    def leave(self, admission: Admission) -> None:
        """Give back a place."""
        thread = threading.get_ident()
        with self.lock:
            entry = self._inside.get(thread)
            if entry is not None and entry.found() is admission:
                self._drop(thread)

    def _drop(self, thread: int) -> None:
        entry = self._inside[thread]
        # No interrupt comes between these two, of which neither calls a function.
        entry.call.flying -= entry.size
        del self._inside[thread]
        self._wake()
        self.restart()

    def hold(self, call: Holder, size: int) -> bool:
        """Count bytes that a call keeps until it gives them back; return whether there is room."""
        with self.lock:
            call.waiting += size
            self.count(call)
            return self.room() >= 0

    def give_back(self, call: Holder, size: int) -> None:
        """Count bytes that a call does not keep any more."""
        with self.lock:
            call.waiting -= size
            self._wake()
            self.restart()


bounds = _Bounds()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=bounds.reset)
