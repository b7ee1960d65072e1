"""Who uses something for which others wait, and how threads wait, whenever interrupts come.

Rules of this file:

* An interrupt may come between any two steps of Python's, and leave a use that nobody ends. So a
  use is known by a weak reference to an object that its user alone has. When that is gone, or when
  its thread begins again what it can have only once, the use has ended.
* A finalizer may end a use: that of a generator which an interrupt has left, for example. Python
  may call it wherever it collects garbage, also in a thread that has the lock of that use. So a
  lock with which such a use ends is reentrant, and whatever is done with the lock held allows for
  such an end at each step.
* ``threading`` takes the locks of conditions, events and futures in Python's code, where an
  interrupt would keep them for ever, or would release the lock of another thread. Here a lock is
  taken by a ``with`` statement itself, which no interrupt divides, and nobody waits inside of one.
* Before Python 3.13, ``queue.SimpleQueue`` waits for ever, whatever the timeout is, if another
  thread has taken what came, or a signal was handled, just before its end. So there is ``Inbox``.
* Nothing wakes those who wait for a use that was left, so that they look again from time to time.
* What was left may be part of a cycle, such as that of an exception and a frame that refers to it.
  Python collects cycles only when objects are made, so that in a process that only waits, nobody
  ever would. So a thread that has waited for a second collects them, and again after two seconds
  more, four, and so on; not in a ``with`` statement of a lock, because finalizers may do anything.
* What is free goes to the thread that asks first, even before those that have been woken, because
  that is fast. Where one thread could take it again and again, ``wait_in_turn`` is called.
"""

from __future__ import annotations

import gc
from collections import deque
from contextlib import suppress
from math import inf
from queue import Empty
from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")
D = TypeVar("D")

#: How long a thread waits, in seconds, before it looks again.
LOOK = 0.02
# How long a thread that does not look again keeps its place in a line.
_KEPT = 0.5
# How long a thread waits before it collects garbage, and how many times as long as that has taken
# all threads go without it: many may wait for long, in a process with many objects.
_LONG = 1.0
_PAUSE = 20
_collectable = [0.0]


class Inbox(Generic[T]):
    """What has come for the threads that wait for it, in its order.

    >>> inbox = Inbox()
    >>> inbox.put("a")
    >>> len(inbox), inbox.get(timeout=1), len(inbox)
    (1, 'a', 0)
    """

    __slots__ = ("_come", "_gate")

    def __init__(self) -> None:
        """Initialise before anything has come."""
        self._come: deque[T] = deque()
        # It is released when something comes, by which one of those who wait goes on.
        self._gate = Lock()
        self._gate.acquire()

    def __len__(self) -> int:
        """Return how many have come and are not taken."""
        return len(self._come)

    def put(self, item: T) -> None:
        """Let something come; this does not wait for any lock."""
        self._come.append(item)
        self._open()

    def _open(self) -> None:
        if self._gate.locked():
            with suppress(RuntimeError):  # another thread has opened it meanwhile
                self._gate.release()

    def get(self, timeout: float | None = None) -> T:
        """Wait for the next, and return it; raise Empty if that takes longer than ``timeout``."""
        end = None if timeout is None else monotonic() + timeout
        while True:
            try:
                item = self._come.popleft()
            except IndexError:
                left = -1 if end is None else end - monotonic()
            else:
                if self._come:
                    # Of several that came together, the first alone has opened the gate.
                    self._open()
                return item
            if end is not None and left <= 0:
                raise Empty
            self._gate.acquire(timeout=left)


class Hold:
    """What a thread has of something, as long as this object lives."""

    # It is made for each write, and sooner without an ``__init__``.
    __slots__ = ("__weakref__", "name")
    #: What is held, where that is asked for.
    name: Any


class Users(Generic[T, D]):
    """Users of something, in the order in which they came; each has a thread and a detail.

    All methods are called with the lock of the thing held.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        """Initialise without users."""
        #: The thread and the detail of each user, of those that are gone, too.
        self.known: dict[ref[T], tuple[int | None, D]] = {}

    def add(self, user: T, thread: int | None, detail: D) -> None:
        """Add a user; ``thread`` is None if it is not known by that."""
        self.known[ref(user)] = thread, detail

    def end(self, user: T) -> None:
        """Count a user no more, if it was counted."""
        self.known.pop(ref(user), None)

    def end_left(self, thread: int | None = None) -> list[tuple[T | None, D]]:
        """End the users that interrupts have left; return them, None for those that are gone.

        They are all that are gone, and all of ``thread``, which begins again.
        """
        found = []
        for one, (of, detail) in self.known.copy().items():
            user = one()
            left = user is None or (thread is not None and of == thread)
            # It may have ended just before, in garbage of this thread.
            if left and self.known.pop(one, None) is not None:
                found.append((user, detail))
        return found

    def living(self, before: T | None = None) -> list[tuple[int | None, D]]:
        """Return the thread and the detail of each, or of those who came ``before`` one."""
        last = None if before is None else ref(before)
        found = []
        # Garbage that this thread collects meanwhile may end users.
        for one, what in self.known.copy().items():
            if one == last:
                break
            if one() is not None:
                found.append(what)
        return found

    def has_others(self, thread: int) -> bool:
        """Whether there is a user of another thread."""
        return bool([of for of, _ in self.living() if of != thread])


class Line(Users[T, "tuple[Hashable, float]"]):
    """Those who have waited for a while; each has what it waits for, and until when it is there.

    A thread that runs a signal handler does not look, and the handler may wait for others. What was
    left by an interrupt may be kept with its exception. So a place is kept only for a while.
    """

    __slots__ = ()

    def join(self, user: T, about: Hashable) -> None:
        """Let a user of this thread have the last place, or keep that which it has."""
        self.add(user, get_ident(), (about, monotonic() + _KEPT))

    def is_before(self, user: T, about: Hashable = None) -> bool:
        """Whether another thread has waited longer than a user of this one, and still looks."""
        me, now = get_ident(), monotonic()
        for thread, (what, until) in self.living(user):
            if what == about and until > now and thread != me:
                return True
        return False


class Monitor:
    """A lock, and the threads that wait for a change of what it guards."""

    __slots__ = ("_waiting", "lock")

    def __init__(self, lock: Any = None) -> None:
        """Initialise with a lock, or a new one, which is not reentrant."""
        self.lock = Lock() if lock is None else lock
        # Those who wait, by what they wait for.
        self._waiting: dict[Hashable, list[Inbox[None]]] = {}

    def wait(
        self, look: Callable[[], bool], seconds: float | None = None, about: Hashable = None
    ) -> bool:
        """Wait until ``look`` returns True, which is called with the lock held.

        The caller does not hold it. Return False if that takes longer than ``seconds``. Only
        changes of what it is ``about`` are told.
        """
        end = None if seconds is None else monotonic() + seconds
        mine: Inbox[None] | None = None
        collects, pause = inf, _LONG
        while True:
            with self.lock:
                if look():
                    if mine is not None:
                        self.ignore(mine, about)
                    return True
                if mine is None:
                    mine, collects = Inbox(), monotonic() + pause
                self.listen(mine, about)
            if monotonic() >= collects and _collected():
                pause *= 2
                collects = monotonic() + pause
                continue
            left = LOOK if end is None else min(LOOK, end - monotonic())
            if left <= 0:
                with self.lock:
                    self.ignore(mine, about)
                return False
            heard(mine, left)

    def wait_in_turn(
        self,
        look: Callable[[], bool],
        line: Line[T],
        hold: T,
        about: Hashable = None,
        seconds: float | None = None,
    ) -> bool:
        """Wait until ``look`` returns True; after a while, in a line.

        ``look`` returns False as long as others there came before this ``hold``. Changes of what it
        is ``about`` are told. Return False if that takes much longer than ``seconds``.
        """
        if self.wait(look, LOOK, about):
            return True

        def look_again() -> bool:
            if look():
                return True
            line.join(hold, about)
            return False

        try:
            with self.lock:
                # Others have no other occasion to forget what interrupts have left.
                line.end_left()
            return self.wait(look_again, seconds, about)
        finally:
            with self.lock:
                line.end(hold)

    def listen(self, mine: Inbox[None], about: Hashable = None) -> None:
        """Let the next change be told to a queue, with the lock held."""
        waiting = self._waiting.setdefault(about, [])
        if mine not in waiting:
            waiting.append(mine)

    def ignore(self, mine: Inbox[None], about: Hashable = None) -> None:
        """Tell a queue no change any more, with the lock held: others would not be told of it."""
        waiting = self._waiting.get(about, [])
        if mine in waiting:
            waiting.remove(mine)
            if not waiting:
                self._waiting.pop(about, None)

    def notify(self, most: int | None = None, about: Hashable = None) -> None:
        """Tell so many threads, or all, that there was a change, with the lock held."""
        waiting = self._waiting.get(about)
        if waiting is None:
            return
        told = waiting[:most]
        del waiting[: len(told)]
        if not waiting:
            self._waiting.pop(about, None)
        for one in told:
            one.put(None)


def _collected() -> bool:
    """Collect garbage, and return True, unless that was done shortly before."""
    begun = monotonic()
    if begun < _collectable[0]:
        return False
    gc.collect()
    end = monotonic()
    _collectable[0] = end + _PAUSE * (end - begun)
    return True


def heard(mine: Inbox[None], seconds: float | None) -> bool:
    """Wait until something comes in a queue; return False if that takes longer."""
    with suppress(Empty):
        mine.get(timeout=seconds)
        return True
    return False


class Event:
    """Whether something has happened, for which one thread at a time waits.

    >>> event = Event()
    >>> event.wait(0), event.set(), event.wait(0)
    (False, None, True)
    """

    __slots__ = ("_told", "happened")

    def __init__(self) -> None:
        """Initialise before it has happened."""
        #: Whether it has happened.
        self.happened = False
        self._told: Inbox[None] = Inbox()

    def set(self) -> None:
        """Let it have happened."""
        self.happened = True
        self._told.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has happened; return False if that takes longer than ``seconds``."""
        return self.happened or heard(self._told, seconds) or self.happened
