"""Writers that share chunks, documents and names: no update may be lost.

Rules of this file:

* Every part is counted, and runs on zarr-python as the control. Losses are found by reading
  everything with a new handle and comparing it with the values written, element by element.
* The writers of one round write disjoint parts: a mix of single elements, whole chunks, ranges
  across chunks and interleaved steps, through both data paths. Half of the values are the fill
  value, so that chunks are deleted and recreated while others write to them. All writers use the
  same chunks at the same time.
* The seed determines which values are written where. The system determines how processes
  interleave.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torture.crew import Crew, folder, in_threads, library
from torture.frame import Row
from torture.verdict import counted, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torture.frame import Budget
    from torture.verdict import Count

CHUNK = 32
PROCESSES = 4
THREADS = 8
CONTROL = "zarr"


class Setting(NamedTuple):
    """The library, the layout and the data path of a round."""

    module: str = "fastzarr"
    zarr_format: int = 3
    shards: int = 0
    data_path: str = "native"

    @property
    def label(self) -> str:
        """Name it in a few words."""
        kind = "shards" if self.shards else "chunks"
        return f"{self.module} v{self.zarr_format} {kind} {self.data_path}"


# Each layout with both data paths, and with processes that use different ones.
SETTINGS = [
    Setting(zarr_format=zarr_format, shards=shards, data_path=data_path)
    for zarr_format, shards in ((3, 0), (3, 2), (2, 0))
    for data_path in ("native", "numpy", "mixed")
]
CONTROLS = [Setting(CONTROL, zarr_format, shards) for zarr_format, shards in ((3, 0), (3, 2))]


def use(setting: Setting, worker: int = 0) -> Any:
    """Import and return the library of a setting."""
    path = setting.data_path
    return library(setting.module, ("native", "numpy")[worker % 2] if path == "mixed" else path)


def create(setting: Setting, store: Any, shape: tuple[int, ...], **options: Any) -> Any:
    """Create an array whose chunks are ``CHUNK`` long on the first axis."""
    chunks = (CHUNK, *shape[1:])
    if setting.shards:
        options["shards"] = (CHUNK * setting.shards, *shape[1:])
    return use(setting).create_array(
        store=store,
        shape=shape,
        chunks=chunks,
        dtype="i8",
        fill_value=0,
        zarr_format=setting.zarr_format,
        **options,
    )


# Elements


class Part(NamedTuple):
    """A range of elements that one writer writes in one call."""

    start: int
    stop: int
    step: int
    empty: bool


def cut(size: int, rng: np.random.Generator) -> list[Part]:
    """Cut an array into ordered parts: most are single elements, some contain whole chunks."""
    parts: list[Part] = []
    start = 0
    while start < size:
        empty = bool(rng.random() < 0.5)
        kind = rng.random()
        if kind < 0.8:
            stop = start + 1
        elif kind < 0.93:
            stop = start + int(rng.integers(2, CHUNK))
        elif kind < 0.97:
            stop = start + int(rng.integers(CHUNK, 3 * CHUNK))
        else:  # up to the end of a chunk, so that whole chunks follow each other
            stop = (start // CHUNK + 1) * CHUNK
        stop = min(stop, size)
        if stop - start > 2 and rng.random() < 0.3:
            parts.append(Part(start, stop, 2, empty))
            parts.append(Part(start + 1, stop, 2, not empty))
        else:
            parts.append(Part(start, stop, 1, empty))
        start = stop
    return parts


def contents(part: Part, number: int) -> np.ndarray[Any, Any]:
    """Return the values that a round writes to a part; they differ for all rounds and elements."""
    places = np.arange(part.start, part.stop, part.step, dtype="i8")
    return places * 0 if part.empty else places + 1 + number * 1_000_003


def write_parts(z: Any, parts: Sequence[Part], number: int) -> None:
    """Write parts, one call each."""
    for part in parts:
        values = contents(part, number)
        if values.size == 1:
            z[part.start] = values[0]
        else:
            z[part.start : part.stop : part.step] = values


def write_as_process(
    setting: Setting, path: str, parts: Sequence[Part], number: int, worker: int, threads: int
) -> None:
    """Distribute parts among threads, half of which have their own handle."""
    module = use(setting, worker)
    shared = module.open_array(path, mode="r+")
    handles = [shared if t % 2 else module.open_array(path, mode="r+") for t in range(threads)]
    in_threads(write_parts, [(z, parts[t::threads], number) for t, z in enumerate(handles)])


def lost(found: np.ndarray[Any, Any], parts: Sequence[Part], number: int) -> int:
    """Return the number of calls of which a value is missing."""
    bad = 0
    for part in parts:
        values = found[part.start : part.stop : part.step]
        bad += not np.array_equal(values, contents(part, number))
    return bad


def elements(crew: Crew, setting: Setting, path: Path, size: int, rounds: int, seed: int) -> Count:
    """Let the crew write a whole array in each round; return the numbers of writes and losses."""
    rng = np.random.default_rng(seed)
    create(setting, str(path), (size,))
    count = bad = 0
    for number in range(rounds):
        parts = cut(size, rng)
        arguments = [
            (setting, str(path), parts[p::PROCESSES], number, p, THREADS) for p in range(PROCESSES)
        ]
        outcomes = crew.run(write_as_process, arguments)
        found = use(setting).open_array(str(path), mode="r")[:]
        count += len(parts)
        bad += lost(found, parts, number) + sum(o.error is not None for o in outcomes)
    return count, bad


def elements_in_memory(setting: Setting, size: int, rounds: int, seed: int) -> Count:
    """Do the same in a memory store, with threads only."""
    rng = np.random.default_rng(seed)
    module = use(setting)
    z = create(setting, module.storage.MemoryStore(), (size,))
    count = bad = 0
    for number in range(rounds):
        parts = cut(size, rng)
        in_threads(write_parts, [(z, parts[t::THREADS], number) for t in range(THREADS)])
        count += len(parts)
        bad += lost(z[:], parts, number)
    return count, bad


# Attributes and appends


def set_attributes(setting: Setting, path: str, worker: int, count: int) -> None:
    """Set the worker's own attributes one by one, and delete every fourth."""
    node = use(setting, worker).open(path, mode="r+")
    for n in range(count):
        node.attrs[f"{worker}-{n}"] = n
        if n % 4 == 3:
            del node.attrs[f"{worker}-{n}"]


def attributes(crew: Crew, setting: Setting, base: Path, *, nodes: int, count: int) -> Count:
    """Let the crew update attributes of arrays and groups; return the updates and losses."""
    module = use(setting)
    total = bad = 0
    expected = {f"{w}-{n}": n for w in range(PROCESSES) for n in range(count) if n % 4 != 3}
    for number in range(nodes):
        path = base / str(number)
        if number % 2:
            create(setting, str(path), (4,))
        else:
            module.create_group(str(path), zarr_format=setting.zarr_format)
        arguments = [(setting, str(path), w, count) for w in range(PROCESSES)]
        outcomes = crew.run(set_attributes, arguments)
        total += PROCESSES * (count + count // 4)
        bad += sum(outcome.error is not None for outcome in outcomes)
        try:
            found = dict(module.open(str(path), mode="r").attrs)
        except Exception:  # noqa: BLE001  (the control leaves documents that nobody can read)
            bad += len(expected)
            continue
        names = found.keys() | expected.keys()
        bad += sum(found.get(name) != expected.get(name) for name in names)
    return total, bad


def append_rows(setting: Setting, path: str, worker: int, count: int) -> None:
    """Append rows that identify their writer, and occasionally set an attribute."""
    z = use(setting, worker).open_array(path, mode="r+")
    for n in range(count):
        height = 1 + (worker + n) % 7
        z.append(np.full((height, 3), label(worker, n), "i8"))
        if n % 5 == 0:
            z.attrs[f"{worker}-{n}"] = n


def label(worker: int, n: int) -> int:
    """Name one append."""
    return (worker + 1) * 1_000_000 + n


def appends(crew: Crew, setting: Setting, path: Path, count: int) -> Count:
    """Let the crew append to one array; return the numbers of appends and of incomplete ones."""
    create(setting, str(path), (0, 3))
    arguments = [(setting, str(path), w, count) for w in range(PROCESSES)]
    outcomes = crew.run(append_rows, arguments)
    z = use(setting).open_array(str(path), mode="r")
    found = z[:]
    bad = sum(outcome.error is not None for outcome in outcomes)
    total = 0
    for w in range(PROCESSES):
        last = -1
        for n in range(count):
            places = np.flatnonzero((found == label(w, n)).all(axis=1))
            whole = places.size == 1 + (w + n) % 7 and np.ptp(places) == places.size - 1
            bad += not (whole and places[0] > last)
            last = max(last, places[-1] if places.size else -1)
            total += 1
        bad += sum(f"{w}-{n}" not in z.attrs for n in range(0, count, 5))
    # What nobody wrote may not be there, either.
    expected = sum(1 + (w + n) % 7 for w in range(PROCESSES) for n in range(count))
    return total, bad + (found.shape[0] > expected)


# Names


def create_node(setting: Setting, path: str, worker: int, kind: str) -> str:
    """Create a node that must not exist, and return the outcome."""
    module = use(setting, worker)
    try:
        if kind == "group" or (kind == "both" and worker % 2):
            module.create_group(
                path, zarr_format=setting.zarr_format, attributes={"worker": worker}
            )
        else:
            create(setting, path, (4,), attributes={"worker": worker})
    except (module.errors.ContainsArrayError, module.errors.ContainsGroupError):
        return "taken"
    return "won"


def creations(crew: Crew, count: int, setting: Setting, base: Path, rounds: int) -> Count:
    """Let a crew create the same node at once; return the rounds, and those without one winner."""
    bad = 0
    for number in range(rounds):
        path = base / f"n{number}"
        kind = ("array", "group", "both")[number % 3]
        outcomes = crew.run(create_node, [(setting, str(path), w, kind) for w in range(count)])
        winners = [w for w, outcome in enumerate(outcomes) if outcome.result == "won"]
        others = [outcome for outcome in outcomes if outcome.result not in ("won", "taken")]
        try:
            stands = use(setting).open(str(path), mode="r").attrs["worker"]
        except Exception:  # noqa: BLE001  (the control leaves nodes that cannot be opened)
            stands = None
        bad += bool(others) or winners != [stands]
    return rounds, bad


# Speed


def element_writes(setting: Setting, path: str, worker: int, count: int, threads: int) -> float:
    """Write single elements to shared chunks, and return the time in seconds."""
    module = use(setting, worker)
    z = module.open_array(path, mode="r+")
    places = range(worker, count * PROCESSES, PROCESSES)

    def work(mine: Sequence[int]) -> None:
        for place in mine:
            z[place] = place + 1

    start = time.perf_counter()
    in_threads(work, [(places[t::threads],) for t in range(threads)])
    return time.perf_counter() - start


def tensorstore_writes(path: str, worker: int, count: int, threads: int, sync: bool) -> float:
    """Do the same with TensorStore."""
    import tensorstore

    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{path}/"},
        "context": {"file_io_sync": sync},
    }
    z = tensorstore.open(spec, open=True).result()
    places = range(worker, count * PROCESSES, PROCESSES)

    def work(mine: Sequence[int]) -> None:
        for place in mine:
            z[place].write(place + 1).result()

    start = time.perf_counter()
    in_threads(work, [(places[t::threads],) for t in range(threads)])
    return time.perf_counter() - start


def speed(crew: Crew, base: Path, count: int, threads: int) -> dict[str, float]:
    """Return microseconds per contended write: ours, and TensorStore's with and without sync."""
    found = {}
    setting = Setting()
    for name in ("fastzarr", "tensorstore", "tensorstore without sync"):
        path = str(base / f"{name}-{threads}")
        create(setting, path, (count * PROCESSES,))
        if name == "fastzarr":
            arguments: list[Any] = [(setting, path, w, count, threads) for w in range(PROCESSES)]
            taken = crew.results(element_writes, arguments)
        else:
            sync = name == "tensorstore"
            arguments = [(path, w, count, threads, sync) for w in range(PROCESSES)]
            taken = crew.results(tensorstore_writes, arguments)
        expected = np.arange(count * PROCESSES) + 1
        right = np.array_equal(use(setting).open_array(path, mode="r")[:], expected)
        found[name] = max(taken) / (count * PROCESSES) * 1e6 if right else float("nan")
    return found


def prove(budget: Budget, seed: int) -> list[Row]:
    """Run all parts, with 100,000 element writes if there is enough time."""
    share = min(1.0, budget.seconds / 50)
    with folder() as base, Crew(PROCESSES) as crew:
        places = iter(range(1_000_000))

        def new() -> Path:
            return base / str(next(places))

        rows = _prove_elements(crew, new, share, seed)
        count = max(10, round(100 * share))
        ours = [
            attributes(crew, s, new(), nodes=4, count=count) for s in (SETTINGS[0], SETTINGS[6])
        ]
        control = attributes(crew, CONTROLS[0], new(), nodes=2, count=25)
        what = "attribute updates by 4 processes"
        rows.append(counted(9, what, total(ours), control, 4000, "lost"))
        ours = [appends(crew, s, new(), max(5, round(112 * share))) for s in SETTINGS]
        control = total(appends(crew, s, new(), 15) for s in CONTROLS)
        rows.append(counted(9, "appends by 4 processes", total(ours), control, 4000, "lost"))
        rows.append(_prove_speed(crew, new(), max(50, round(1000 * share))))
        with Crew(8) as many:
            rounds = max(3, round(67 * share))
            ours = [creations(many, 8, s, new(), rounds) for s in SETTINGS[::3]]
            control = creations(many, 8, CONTROLS[0], new(), 10)
        what = "rounds of 8 processes that create one node, with one winner"
        rows.append(counted(11, what, total(ours), control, 200))
    return rows


def _prove_elements(crew: Crew, new: Callable[[], Path], share: float, seed: int) -> list[Row]:
    size, rounds = CHUNK * 256, max(1, round(8 * share))
    ours = [elements(crew, s, new(), size, rounds, seed + i) for i, s in enumerate(SETTINGS)]
    control = total(elements(crew, s, new(), CHUNK * 16, 1, seed) for s in CONTROLS)
    what = "writes to parts of shared chunks and shards, 4 processes x 8 threads"
    rows = [counted(9, what, total(ours), control, 100_000, "lost")]
    threaded = [s for s in SETTINGS if s.data_path != "mixed"]
    ours = [pair for s in threaded for pair in _in_memory(crew, s, size, max(1, rounds // 4), seed)]
    control = total(pair for s in CONTROLS for pair in _in_memory(crew, s, CHUNK * 16, 1, seed))
    what = "the same in memory, 8 threads"
    return [*rows, counted(9, what, total(ours), control, 20_000, "lost")]


def _in_memory(crew: Crew, setting: Setting, size: int, rounds: int, seed: int) -> list[Count]:
    """Run it in each process of the crew, because the control leaves threads behind."""
    given = [(setting, size, rounds, seed + n) for n in range(PROCESSES)]
    return crew.results(elements_in_memory, given)


def _prove_speed(crew: Crew, base: Path, count: int) -> Row:
    found = {threads: speed(crew, base, count, threads) for threads in (1, THREADS)}
    said = ", ".join(f"{f['fastzarr']:.0f} with {n} threads" for n, f in found.items())
    theirs = ", ".join(f"{f['tensorstore']:.0f} with {n} threads" for n, f in found.items())
    return Row(
        promise=9,
        what="microseconds a contended element write, 4 processes",
        ours=said,
        control=f"TensorStore {theirs}",
        goal="no slower",
        kept=all(f["fastzarr"] <= f["tensorstore"] for f in found.values()),
    )
