"""Locks, and threads that wait for each other, whenever interrupts come."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from contextlib import contextmanager
from itertools import count
from queue import Empty
from typing import TYPE_CHECKING, Any

import pytest
from interrupting import Interrupt, elsewhere
from waits import join, until, wait_for

from fastzarr.stores import users
from fastzarr.stores.place import Locks, PathLocks
from fastzarr.stores.users import Event, Hold, Inbox, Monitor, Users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


def interrupted(call: Callable[[], object], point: int) -> bool:
    """Call a function with an interrupt at a point; return whether there is such a point."""
    interrupt = Interrupt(point)
    try:
        with interrupt.during():
            call()
    except KeyboardInterrupt:
        pass
    return interrupt.left == 0


def test_users_are_known_until_they_end_or_are_gone() -> None:
    known: Users[Hold, str] = Users()
    one, two, three = Hold(), Hold(), Hold()
    for number, user in enumerate((one, two, three)):
        known.add(user, number, f"user {number}")
    assert known.living(before=three) == [(0, "user 0"), (1, "user 1")]
    known.end(one)
    del user, two
    gc.collect()
    assert known.living() == [(2, "user 2")]
    assert known.has_others(1)
    assert not known.has_others(2)
    assert known.end_left() == [(None, "user 1")]
    assert known.end_left(thread=2) == [(three, "user 2")]
    assert not known.known


def test_a_wait_ends_with_a_change_or_its_time() -> None:
    monitor, seen = Monitor(), [0]
    assert not monitor.wait(lambda: False, 0)

    def change() -> None:
        while seen[0] < 3:
            with monitor.lock:
                monitor.notify()

    def look() -> bool:
        seen[0] += 1
        return seen[0] > 2

    thread = threading.Thread(target=change)
    thread.start()
    assert monitor.wait(look)
    join(thread)


@pytest.mark.parametrize("found", [False, True])
def test_a_change_is_not_told_to_those_who_wait_no_more(found: bool) -> None:
    """It is told to one of those who still wait."""
    monitor, other = Monitor(), Inbox[None]()
    looks = iter((False, found))
    assert monitor.wait(lambda: next(looks, False), 0.03) is found
    with monitor.lock:
        monitor.listen(other)
        monitor.notify(1)
    assert len(other) == 1


def test_an_interrupted_wait_keeps_no_lock() -> None:
    for point in count(1):
        monitor, looks = Monitor(), iter([False, False])
        found = interrupted(lambda: monitor.wait(lambda: next(looks, True)), point)  # noqa: B023
        elsewhere(lambda: monitor.wait(lambda: True) and None)  # noqa: B023
        with monitor.lock:
            monitor.notify()
        if not found:
            break
    assert point > 8


def test_an_interrupted_wait_for_an_event_does_not_stop_who_sets_it() -> None:
    for point in count(1):
        event = Event()
        found = interrupted(lambda: event.wait(0.001), point)  # noqa: B023
        elsewhere(event.set)
        assert event.wait(0)
        if not found:
            break
    assert point > 2


def in_turn(locks: Locks) -> None:
    with locks.held("a"):
        pass


def share(paths: PathLocks) -> None:
    hold = paths.share("a/b")
    paths.leave(hold)


def alone(paths: PathLocks) -> None:
    with paths.alone("a"):
        pass


@pytest.mark.parametrize(
    ("made", "call", "other"),
    [(Locks, in_turn, in_turn), (PathLocks, share, alone), (PathLocks, alone, share)],
)
def test_a_lock_that_an_interrupt_has_left_is_free(made: Any, call: Any, other: Any) -> None:
    for point in count(1):
        locks = made()
        found = interrupted(lambda: call(locks), point)  # noqa: B023
        elsewhere(lambda: other(locks))  # noqa: B023
        if not found:
            break
    assert point > 4


@contextmanager
def shared(paths: PathLocks) -> Iterator[None]:
    hold = paths.share("a/b")
    try:
        yield
    finally:
        paths.leave(hold)


def become_garbage(begun: AbstractContextManager[None]) -> None:
    """Let a ``with`` block be what an interrupt leaves, in a cycle."""
    begun.__enter__()
    cycle: list[Any] = [begun]
    cycle.append(cycle)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let no garbage be collected unless a test asks for that."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("made", "left", "call"),
    [
        (Locks, lambda locks: locks.held("a"), in_turn),
        (Locks, lambda locks: locks.held("b"), in_turn),
        (PathLocks, shared, share),
        (PathLocks, shared, alone),
        (PathLocks, lambda paths: paths.alone("a"), share),
        (PathLocks, lambda paths: paths.alone("a"), alone),
    ],
)
def test_a_lock_may_be_garbage_that_is_collected_at_any_point(
    made: Any, left: Any, call: Any
) -> None:
    """Python collects garbage in a thread that has the lock of what is known of the locks, too."""
    points = [0]

    def collect_at(point: int, frame: Any, event: str) -> None:
        if event in ("call", "c_return") and "fastzarr" in frame.f_code.co_filename:
            points[0] += 1
            if points[0] == point:
                gc.collect(0)

    def use() -> None:
        for point in count(1):
            locks, points[0] = made(), 0
            become_garbage(left(locks))
            sys.setprofile(lambda frame, event, _: collect_at(point, frame, event))  # noqa: B023
            try:
                call(locks)
            finally:
                sys.setprofile(None)
            if points[0] < point:
                break
            if made is Locks:
                assert not locks._users  # noqa: SLF001
            else:
                assert not locks._shared.living() + locks._alone.living()  # noqa: SLF001
        assert point > 4

    elsewhere(use)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("made", "left", "call"),
    [
        (Locks, lambda locks: locks.held("a"), in_turn),
        (PathLocks, shared, alone),
        (PathLocks, lambda paths: paths.alone("a"), share),
    ],
)
def test_garbage_is_collected_by_those_who_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, made: Any, left: Any, call: Any
) -> None:
    """A process in which all threads wait makes no objects, so that Python never collects any."""
    monkeypatch.setattr(users, "_LONG", 0.05)
    monkeypatch.setattr(users, "_collectable", [0.0])
    locks = made()
    become_garbage(left(locks))
    elsewhere(lambda: call(locks))


@pytest.mark.usefixtures("uncollected")
def test_who_waits_for_long_collects_garbage_ever_more_rarely_and_without_a_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(users, "_LONG", 0.05)
    monitor, free, me = Monitor(), [], threading.get_ident()

    def collecting(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2 and threading.get_ident() == me:
            free.append(not monitor.lock.locked())

    gc.callbacks.append(collecting)
    try:
        assert not monitor.wait(lambda: False, 0.03)
        assert free == []
        monkeypatch.setattr(users, "_collectable", [0.0])
        assert not monitor.wait(lambda: False, 0.8)
        # After 50, 150, 350 and 750 ms, or later on a machine that does much else.
        assert 1 <= len(free) <= 4
        assert all(free)
    finally:
        gc.callbacks.remove(collecting)


@pytest.mark.usefixtures("uncollected")
def test_a_lock_that_becomes_garbage_during_a_wait_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread had it for longer than the others go without collecting."""
    monkeypatch.setattr(users, "_LONG", 0.02)
    monkeypatch.setattr(users, "_collectable", [0.0])
    locks, held, collected = Locks(), [], []
    monkeypatch.setattr(users.gc, "collect", lambda real=gc.collect: collected.append(real()))
    held.append(locks.held("a"))
    held[0].__enter__()
    waiting = threading.Thread(target=lambda: in_turn(locks), daemon=True)
    waiting.start()
    # Once before it has its place in a line, and once then.
    until(lambda: len(collected) >= 2)
    cycle: list[Any] = [held.pop()]
    cycle.append(cycle)
    del cycle
    join(waiting)


def test_who_takes_a_lock_again_and_again_lets_others_have_it() -> None:
    locks, begun, taken, had = Locks(), threading.Event(), [0], []

    def again() -> None:
        while taken[0] < 400 and len(had) < 2:
            with locks.held("a"), locks.held("a"):
                taken[0] += 1
                begun.set()
                time.sleep(0.005)

    def once() -> None:
        with locks.held("a"):
            had.append(taken[0])

    # Two, so that each is woken by the other.
    threads = [threading.Thread(target=again) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(begun)
    for number in range(2):
        elsewhere(once)
        assert had[number] < 200 * (number + 1)
    join(*threads)
    with locks.held("b"):
        assert len(locks._users) == 1  # noqa: SLF001


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="the system has no such signal")
@pytest.mark.parametrize("within", ["takes it", "waits for who takes it"])
def test_a_signal_handler_has_the_lock_that_the_thread_waits_for(within: str) -> None:
    locks, had = Locks(), []
    main = threading.main_thread().ident or 0
    begun, entered = threading.Event(), threading.Event()

    def first() -> None:
        with locks.held("a"):
            begun.set()
            # The main thread waits in line by then.
            until(lambda: locks._line.known)  # noqa: SLF001
            second.start()
            signal.pthread_kill(main, signal.SIGUSR1)
            assert entered.wait(60)
            time.sleep(0.05)

    def take(name: str) -> None:
        with locks.held("a"):
            had.append(name)

    def handle(*_: object) -> None:
        assert not entered.is_set(), "it would wait for ever"
        entered.set()
        if within == "takes it":
            take("handler")
        else:
            join(second)

    threads = [threading.Thread(target=first), threading.Thread(target=take, args=("second",))]
    second = threads[1]
    # If the handler waits for ever, the error of a second one ends it, whatever locks are taken.
    rescue = threading.Timer(60, signal.pthread_kill, (main, signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        rescue.start()
        threads[0].start()
        wait_for(begun)
        take("main")
    finally:
        rescue.cancel()
        join(rescue)
        signal.signal(signal.SIGUSR1, before)
        join(*threads)
    assert had.index("main") > had.index("handler" if within == "takes it" else "second")


@pytest.mark.parametrize(("call", "other"), [(share, alone), (alone, share), (alone, alone)])
def test_who_was_interrupted_while_it_waited_lets_others_in(call: Any, other: Any) -> None:
    for point in count(1):
        paths, has, free = PathLocks(), threading.Event(), threading.Event()

        def hold() -> None:
            with paths.alone(""):  # noqa: B023
                has.set()  # noqa: B023
                wait_for(free)  # noqa: B023

        thread = threading.Thread(target=hold)
        thread.start()
        wait_for(has)
        timer = threading.Timer(0.03, free.set)
        timer.start()
        found = interrupted(lambda: call(paths), point)  # noqa: B023
        join(timer, thread)
        elsewhere(lambda: other(paths))  # noqa: B023
        if not found:
            break
    assert point > 8


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends a signal")
def test_a_wait_ends_although_a_signal_is_handled_at_its_end() -> None:
    """``queue.SimpleQueue`` waits for ever before Python 3.13."""
    handled = []

    def handle(*_: object) -> None:
        time.sleep(0.05)
        handled.append(1)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        with pytest.raises(Empty):
            Inbox[int]().get(timeout=0.02)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled


def test_each_of_several_threads_takes_what_comes_or_stops_waiting() -> None:
    """Some come together, and some at the end of the time for which threads wait."""
    inbox: Inbox[int] = Inbox()
    taken: list[list[int]] = [[], [], []]
    empty = [0, 0, 0]
    over = threading.Event()

    def take(which: int) -> None:
        while not over.is_set() or inbox:
            try:
                taken[which].append(inbox.get(timeout=0.001))
            except Empty:
                empty[which] += 1

    threads = [threading.Thread(target=take, args=(which,), daemon=True) for which in range(3)]
    for thread in threads:
        thread.start()
    for number in range(3000):
        inbox.put(number)
        if number % 3 == 0:
            time.sleep(0.001)
    over.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "it waits for ever"
    assert sorted(taken[0] + taken[1] + taken[2]) == list(range(3000))
    assert all(empty)
