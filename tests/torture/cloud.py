"""Writers of several processes that share objects of an S3 server: no update may be lost.

Rules of this file:

* Each process has a store of its own, and the processes are spawned. The server is that of
  ``tests/servers``, whose puts are conditional.
* The control is zarr-python on obstore, which reads, changes and puts without a condition.
* Where replies are lost, a proxy resets the connection after the server has done what was
  requested.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from servers import proxy as proxies
from servers import s3 as seaweed
from servers.process import UnavailableError
from torture.crew import Crew, in_threads
from torture.frame import Row
from torture.verdict import counted, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servers.s3 import Prefix
    from torture.frame import Budget
    from torture.verdict import Count

PROCESSES = 4
THREADS = 2
CONTROL = "zarr"
CHUNK = 64


class Shared(Protocol):
    """A place that the processes of a crew share."""

    def store(self, module: str) -> Any:
        """Return a new store of a library for the place."""


def store_of(module: str, place: Shared) -> Any:
    """Return a new store of a library for a place on the server."""
    return place.store(module)


def open_node(module: str, place: Shared, mode: str = "r+") -> Any:
    """Return the node at a place, by a new store."""
    return importlib.import_module(module).open(store=store_of(module, place), mode=mode)


# Elements


def write_elements(module: str, place: Shared, numbers: Sequence[int], start: int) -> None:
    """Write single elements, each of a chunk that the other writers write, too."""
    handles = [open_node(module, place) for _ in range(THREADS)]

    def work(z: Any, mine: Sequence[int]) -> None:
        for number in mine:
            z[number] = start + number + 1

    in_threads(work, [(z, numbers[t::THREADS]) for t, z in enumerate(handles)])


def elements(
    crew: Crew, module: str, place: Shared, size: int, rounds: int, shards: int = 0
) -> Count:
    """Let the crew write all elements in each round; return the numbers of writes and losses."""
    options = {"shards": (CHUNK * shards,)} if shards else {}
    importlib.import_module(module).create_array(
        store=store_of(module, place), shape=(size,), chunks=(CHUNK,), dtype="i8", **options
    )
    count = bad = 0
    # Neighbours are written by different processes and threads, at about the same time.
    for number in range(rounds):
        start = number * 1_000_003
        given = [(module, place, range(p, size, PROCESSES), start) for p in range(PROCESSES)]
        outcomes = crew.run(write_elements, given)
        found = open_node(module, place, "r")[:]
        count += size
        bad += int((found != np.arange(size) + start + 1).sum())
        bad += sum(outcome.error is not None for outcome in outcomes)
    return count, bad


# Lengths and attributes


def append_rows(module: str, place: Shared, worker: int, count: int) -> None:
    """Append rows that identify their writer."""
    z = open_node(module, place)
    for n in range(count):
        z.append(np.full(1 + (worker + n) % 3, label(worker, n), "i8"))


def label(worker: int, n: int) -> int:
    """Name one append."""
    return (worker + 1) * 1_000_000 + n


def appends(crew: Crew, module: str, place: Shared, count: int) -> Count:
    """Let the crew append to one array; return the appends, and those lost, doubled or torn."""
    importlib.import_module(module).create_array(
        store=store_of(module, place), shape=(0,), chunks=(8,), dtype="i8"
    )
    outcomes = crew.run(append_rows, [(module, place, w, count) for w in range(PROCESSES)])
    found = open_node(module, place, "r")[:]
    bad = sum(outcome.error is not None for outcome in outcomes)
    expected = 0
    for w in range(PROCESSES):
        for n in range(count):
            at = np.flatnonzero(found == label(w, n))
            size = 1 + (w + n) % 3
            expected += size
            bad += not (at.size == size and at[-1] - at[0] == size - 1)
    return PROCESSES * count, bad + (len(found) != expected)


def shrink_or_append(module: str, place: Shared, worker: int, count: int) -> None:
    """Shrink an array to what it had at first, as one of the workers, or append rows to it."""
    z = open_node(module, place)
    for n in range(count):
        if worker:
            z.append(np.full(1 + (worker + n) % 3, label(worker, n), "i8"))
        else:
            z.resize((CHUNK,))


def shrinks(crew: Crew, module: str, place: Shared, rounds: int) -> Count:
    """Let the crew append to an array that one of them shrinks.

    Return the appends, and the rounds after which rows are missing inside, torn or doubled.
    """
    importlib.import_module(module).create_array(
        store=store_of(module, place), data=np.ones(CHUNK, "i8"), chunks=(8,), fill_value=-1
    )
    count, bad = 6, 0
    for _ in range(rounds):
        given = [(module, place, w, count) for w in range(PROCESSES)]
        outcomes = crew.run(shrink_or_append, given)
        found = open_node(module, place, "r")[:]
        rows = found[CHUNK:]
        starts = np.flatnonzero(np.diff(rows, prepend=0))
        sizes = np.diff(starts, append=rows.size)
        names = rows[starts]
        whole = 1 + (names // 1_000_000 - 1 + names % 1_000_000) % 3
        bad += bool(
            any(outcome.error is not None for outcome in outcomes)
            or (found[:CHUNK] != 1).any()
            or (rows < 0).any()
            or (sizes != whole).any()
            or len(set(names.tolist())) != names.size
        )
        open_node(module, place).resize((CHUNK,))
    return rounds * count * (PROCESSES - 1), bad


def set_attributes(module: str, place: Shared, worker: int, count: int) -> None:
    """Set the worker's own attributes one by one."""
    node = open_node(module, place)
    for n in range(count):
        node.attrs[f"{worker}-{n}"] = n


def attributes(crew: Crew, module: str, place: Shared, count: int) -> Count:
    """Let the crew set attributes of a group; return the updates and losses."""
    importlib.import_module(module).create_group(store=store_of(module, place))
    outcomes = crew.run(set_attributes, [(module, place, w, count) for w in range(PROCESSES)])
    bad = sum(outcome.error is not None for outcome in outcomes)
    found = dict(open_node(module, place, "r").attrs)
    wanted = {f"{w}-{n}": n for w in range(PROCESSES) for n in range(count)}
    bad += sum(found.get(name) != value for name, value in wanted.items())
    return len(wanted), bad + len(found.keys() - wanted.keys())


# Names


def create_node(module: str, place: Shared, worker: int, name: str) -> str:
    """Create an array or a group that must not exist, and return the outcome."""
    library = importlib.import_module(module)
    store, how = store_of(module, place), {"attributes": {"worker": worker}}
    try:
        if worker % 2:
            library.create_group(store=store, path=name, **how)
        else:
            library.create_array(store=store, name=name, shape=(4,), dtype="i4", **how)
    except (library.errors.ContainsArrayError, library.errors.ContainsGroupError):
        return "taken"
    return "won"


def creations(crew: Crew, module: str, place: Shared, rounds: int) -> Count:
    """Let the crew create one node at once; return the rounds, and those without one winner."""
    library = importlib.import_module(module)
    bad = 0
    for number in range(rounds):
        name = f"n{number}"
        outcomes = crew.run(create_node, [(module, place, w, name) for w in range(PROCESSES)])
        won = [w for w, outcome in enumerate(outcomes) if outcome.result == "won"]
        others = [one for one in outcomes if one.result not in ("won", "taken")]
        store = store_of(module, place)
        bad += bool(others) or won != [library.open(store=store, path=name).attrs["worker"]]
    return rounds, bad


# Lost replies


def count_up(place: Shared, key: str, count: int) -> None:
    """Increment a number, so that an update that is lost or done twice is seen."""
    store = store_of("fastzarr", place)
    for _ in range(count):
        store.change(key, lambda old: b"%d" % (int(old or b"0") + 1))


def lost_replies(crew: Crew, proxy: Any, place: Prefix, count: int) -> tuple[Count, int]:
    """Increment a number while every third reply to a put is lost.

    Return the increments with the difference of the result, and how many replies were lost.
    """
    through = place.through(proxy)
    proxy.forget()
    first = 1
    for _ in range(count * PROCESSES):
        # Of the puts that a rule sees, it applies to one.
        proxy.fault("lost", method="PUT", target="/n$", first=first)
        first += 2
    crew.results(count_up, [(through, "n", count) for _ in range(PROCESSES)])
    proxy.clear()
    found = int(store_of("fastzarr", place).get("n"))
    losses = sum(one.fault == "lost" for one in proxy.log())
    return (count * PROCESSES, abs(found - count * PROCESSES)), losses


def prove(budget: Budget, seed: int) -> list[Row]:
    """Run all parts, with 10,000 element writes if there is enough time."""
    del seed
    share = min(1.0, budget.seconds / 100)
    try:
        with seaweed.running() as server, proxies.running(server.host) as proxy:
            return _prove(server.url, proxy, share)
    except UnavailableError as error:
        return [
            Row(9, f"writers of S3: {error}", "not run", "", "0 of 10,000", kept=False, few=True)
        ]


def _prove(url: str, proxy: Any, share: float) -> list[Row]:
    numbers = iter(range(1_000_000))

    def new() -> Prefix:
        return seaweed.Prefix(url, f"torture-{next(numbers)}")

    with Crew(PROCESSES, patience=300) as crew:
        size = CHUNK * 16
        rounds = max(1, round(9 * share))
        ours = [elements(crew, "fastzarr", new(), size, rounds)]
        ours.append(elements(crew, "fastzarr", new(), CHUNK * 4, max(1, rounds // 2), shards=2))
        control = elements(crew, CONTROL, new(), size, 1)
        what = "writes to parts of shared objects of S3, 4 processes x 2 threads"
        rows = [counted(9, what, total(ours), control, 10_000, "lost")]
        found, losses = lost_replies(crew, proxy, new(), max(10, round(500 * share)))
        what = "conditional puts of 4 processes, half of whose replies are lost"
        rows.append(
            counted(9, what, found, None, 2000, "lost or doubled", f"{losses} replies lost")
        )
        ours_of = appends(crew, "fastzarr", new(), max(5, round(50 * share)))
        what = "appends by 4 processes on S3"
        rows.append(counted(9, what, ours_of, appends(crew, CONTROL, new(), 5), 200, "lost"))
        ours_of = shrinks(crew, "fastzarr", new(), max(3, round(20 * share)))
        what = "appends by 3 processes on S3 while another one shrinks the array"
        control = shrinks(crew, CONTROL, new(), 3)
        rows.append(counted(2, what, ours_of, control, 300, "rounds with losses"))
        ours_of = attributes(crew, "fastzarr", new(), max(5, round(50 * share)))
        what = "attribute updates by 4 processes on S3"
        rows.append(counted(9, what, ours_of, attributes(crew, CONTROL, new(), 10), 200, "lost"))
        ours_of = creations(crew, "fastzarr", new(), max(3, round(50 * share)))
        what = "rounds of 4 processes that create one node on S3, with one winner"
        rows.append(counted(11, what, ours_of, creations(crew, CONTROL, new(), 10), 50))
    return rows
