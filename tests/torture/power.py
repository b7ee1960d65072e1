"""Power cuts: acknowledged and replaced data is present, in its old or its new state.

Rules of this file:

* The system calls of real verbs are traced, and the model in ``disk.py`` derives the possible
  contents of the disk if the power is cut after any of them. Each content is written to files and
  opened with a new handle.
* The required content follows from the durability: ``full`` promises everything acknowledged;
  ``replace`` promises everything present at the last flush, or any later value of it; ``none``
  promises nothing, and its losses are reported. Each chunk has one of the values that it had since.
  A chunk created since may be missing or raise an error. It is never wrong if it has a checksum,
  which format 2 does not.
* A new length is never found without the appended data. Metadata is never unreadable. All of a
  transaction is found, or nothing of it.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, NamedTuple

import numcodecs
import numpy as np
from torture.crew import Crew, folder, library
from torture.disk import Disk, write_tree
from torture.trap import Trap, read_trace
from torture.verdict import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torture.disk import Tree
    from torture.frame import Budget, Row

SHAPE, CHUNKS = (6, 8), (3, 4)


class Setting(NamedTuple):
    """The library, its settings, and the durability that it promises."""

    module: str = "fastzarr"
    durability: str = "replace"
    zarr_format: int = 3
    sharded: bool = False
    data_path: str = "native"


def options(setting: Setting) -> dict[str, Any]:
    """Return the keywords that arrays are created with."""
    found: dict[str, Any] = {
        "shape": SHAPE,
        "chunks": CHUNKS,
        "dtype": "i8",
        "fill_value": 0,
    }
    if setting.sharded:
        found |= {"shards": CHUNKS, "chunks": (3, 2)}
    return found


def use(setting: Setting) -> Any:
    """Import and return the library."""
    module = library(setting.module, setting.data_path)
    if setting.module == "fastzarr":
        module.config.set({"durability": setting.durability})
    return module


# What is done: before the trace, and then step by step


def _ramp(start: int, shape: tuple[int, ...] = SHAPE) -> Any:
    return np.arange(np.prod(shape)).reshape(shape) + start


def _full(root: Any, setting: Setting) -> None:
    root.create_array("a", **options(setting))[...] = _ramp(1)


def _empty(root: Any, setting: Setting) -> None:
    root.create_array("a", **options(setting))


def _flush(root: Any) -> None:
    flush = getattr(root.store, "flush", None)
    if flush is not None:
        flush()


def _flush_array(root: Any, _: Setting) -> None:
    flush = getattr(root["a"], "flush", None)
    if flush is None:
        _flush(root)
    else:
        flush()


def _write(index: Any, values: Any) -> Callable[[Any, Setting], None]:
    def write(root: Any, _: Setting) -> None:
        root["a"][index] = values

    return write


def _set_attributes(root: Any, _: Setting) -> None:
    root["a"].attrs["x"] = [1, 2, 3]
    root.attrs["y"] = "z"


def _recreate(root: Any, setting: Setting) -> None:
    root.create_array("a", overwrite=True, **(options(setting) | {"dtype": "i4"}))


def _add(root: Any, setting: Setting) -> None:
    root.create_array("g/b", **options(setting))[...] = _ramp(900)


def _move(root: Any, _: Setting) -> None:
    if hasattr(root.store, "move") and hasattr(root, "visit"):  # the control's raises
        root.move("a", "h/c")


def _delete(root: Any, _: Setting) -> None:
    del root["g/b"]


def _transaction(number: int) -> Callable[[Any, Setting], None]:
    def step(root: Any, setting: Setting) -> None:
        with root.transaction():
            root["a"][1:5, 2:7] = _ramp(1000 * number, (4, 5))
            root["a"].append(_ramp(1000 * number, (2, 8)))
            root["a"].attrs["n"] = root.attrs["n"] = number
            root.create_array(f"t{number}", **options(setting))[...] = _ramp(1000 * number)
            if number > 1:
                del root[f"t{number - 1}"]

    return step


STEPS: dict[str, Callable[[Any, Setting], None]] = {
    "whole": _write(..., _ramp(100)),
    "whole again": _write(..., _ramp(200)),
    "partial": _write((slice(1, 5), slice(2, 7)), _ramp(300, (4, 5))),
    "element": _write((2, 2), 777),
    "clear": _write((slice(0, 3), slice(0, 4)), 0),
    "some": _write((slice(0, 3), slice(None)), _ramp(400, (3, 8))),
    "flush": lambda root, _: _flush(root),
    "flush array": _flush_array,
    "close": lambda root, _: root.store.close(),
    "attributes": _set_attributes,
    "more attributes": lambda root, _: root["a"].attrs.update({"x": 5, "w": {"v": 1}}),
    "shrink": lambda root, _: root["a"].resize((4, 5)),
    "grow": lambda root, _: root["a"].resize((7, 9)),
    "append": lambda root, _: root["a"].append(_ramp(500, (4, 8))),
    "append again": lambda root, _: root["a"].append(_ramp(600, (1, 8))),
    "recreate": _recreate,
    "add": _add,
    "move": _move,
    "delete": _delete,
    "transaction": _transaction(1),
    "second transaction": _transaction(2),
    "third transaction": _transaction(3),
}

FLUSHES = ("flush", "flush array", "close")

SCENARIOS: dict[str, tuple[Callable[[Any, Setting], None], list[str]]] = {
    "values replaced": (_full, ["whole", "partial", "element", "flush array", "whole again"]),
    "values new": (_empty, ["some", "flush", "partial", "whole", "close", "element"]),
    "cleared and written": (_full, ["clear", "partial", "flush", "element"]),
    "attributes": (_full, ["attributes", "flush", "more attributes"]),
    "resized": (_full, ["append", "append again", "flush", "append"]),
    "shrunk and grown": (_full, ["shrink", "grow", "flush", "shrink"]),
    "recreated": (_full, ["recreate", "whole", "flush", "recreate"]),
    "nodes": (_full, ["add", "flush", "move", "delete"]),
    "transactions": (
        _full,
        ["transaction", "second transaction", "flush", "third transaction"],
    ),
}
#: The scenarios of which each step is found as a whole, or not at all.
WHOLE = ("transactions",)


class Array(NamedTuple):
    """The content of an array at one time."""

    values: np.ndarray[Any, Any]
    attributes: dict[str, Any]
    units: tuple[int, ...]


State = dict[str, "Array | dict[str, Any]"]


def state(root: Any) -> State:
    """Read all arrays, and the attributes of all groups."""
    found: State = {"": dict(root.attrs)}
    for name, node in root.members(max_depth=None):
        if hasattr(node, "shape"):
            found[name] = Array(node[...], dict(node.attrs), node.shards or node.chunks)
        else:
            found[name] = dict(node.attrs)
    return found


class Traced(NamedTuple):
    """The calls of a scenario, the content before it, and the state after each step."""

    before: Disk
    calls: list[Mapping[str, Any]]
    states: list[State]
    names: list[str]


def record(trap: Trap, setting: Setting, scenario: str, base: Path) -> Traced:
    """Run a scenario in a separate process, and trace it."""
    root, trace = base / "root", base / "trace"
    first, names = SCENARIOS[scenario]
    use(setting)
    # Its first use creates a semaphore, which a process that exits abruptly would not remove.
    numcodecs.Blosc().encode(bytes(8))

    def prepare() -> None:
        module = use(setting)
        first(module.create_group(str(root), zarr_format=setting.zarr_format), setting)

    def work() -> list[State]:
        module = use(setting)
        group = module.open_group(str(root), mode="r+")
        states = [state(module.open_group(str(root), mode="r"))]
        for name in names:
            STEPS[name](group, setting)
            trap.mark(name)
            states.append(state(module.open_group(str(root), mode="r")))
        return states

    root.parent.mkdir(exist_ok=True)
    made = trap.run(prepare, root)
    before = Disk(root)
    outcome = trap.run(work, root, trace=str(trace))
    for one in (made, outcome):
        if one.trouble:
            raise RuntimeError(one.trouble)
    return Traced(before, list(read_trace(str(trace))), outcome.result, names)


# What may be there afterwards


def histories(
    traced: Traced, count: int, seed: int, *, can_flush: bool
) -> Iterator[tuple[int, int, int, Tree]]:
    """Yield ``count`` trees possible after a power cut: acknowledged, flushed, cause, tree."""
    rng = random.Random(seed)
    disk, done, flushed = traced.before, 0, 0
    calls = traced.calls
    for n in range(len(calls) + 1):
        for _ in range(count * (n + 1) // (len(calls) + 1) - count * n // (len(calls) + 1)):
            yield done, flushed, n, disk.after(rng)
        if n < len(calls):
            call = calls[n]
            if call["kind"] == "mark":
                done += 1
                flushed = done if call["to"] in FLUSHES and can_flush else flushed
            else:
                disk.follow([call])


def judge(states: list[State], root: Path) -> list[str]:
    """Return what is wrong with a content that none of the states explains, or None."""
    reader = library("fastzarr")
    try:
        group = reader.open_group(str(root), mode="r")
    except Exception as error:  # noqa: BLE001  (it was durable)
        return [f"the root cannot be opened: {error!r}"]
    wrong = []
    paths = sorted({name for one in states for name in one})
    gone = []
    for path in paths:
        candidates = [one.get(path) for one in states]
        try:
            node = group[path] if path else group
            wrong += _judge_node(node, candidates, path)
        except KeyError:
            gone.append(path)
        except Exception as error:  # noqa: BLE001  (metadata is never unreadable)
            wrong.append(f"{path!r} cannot be opened: {error!r}")
    wrong += [f"{path!r} is gone" for path in gone if all(path in one for one in states)]
    # A moved node is always at one of its two paths.
    for before, after in pairwise(states):
        for old, new in product(before.keys() - after.keys(), after.keys() - before.keys()):
            if old in gone and new in gone and all(old in one or new in one for one in states):
                wrong.append(f"{old!r} and {new!r} are gone")
    return wrong


def judge_whole(states: list[State], root: Path) -> list[str]:
    """Return what is wrong with a content that is none of the states as a whole, or None."""
    group = library("fastzarr").open_group(str(root), mode="r")
    found = state(group)
    if any(_same(found, one) for one in states):
        return []
    return [f"a transaction is half done: {found}, and not one of {len(states)} states"]


def _same(found: State, wanted: State) -> bool:
    if found.keys() != wanted.keys():
        return False
    for path, there in found.items():
        node = wanted[path]
        if isinstance(there, Array) and isinstance(node, Array):
            if there.attributes != node.attributes or not np.array_equal(there.values, node.values):
                return False
        elif there != node:
            return False
    return True


def _judge_node(node: Any, candidates: list[Any], path: str) -> list[str]:
    there = [c for c in candidates if c is not None]
    if not hasattr(node, "shape"):
        known = [c for c in there if isinstance(c, dict)]
        return [] if dict(node.attrs) in known else [f"{path!r} has attributes {dict(node.attrs)}"]
    arrays = [c for c in there if isinstance(c, Array)]
    wrong = []
    attributes = dict(node.attrs)
    if attributes not in [c.attributes for c in arrays]:
        wrong.append(f"{path!r} has attributes {attributes}")
    same = [c for c in arrays if (c.values.shape, c.values.dtype) == (node.shape, node.dtype)]
    if not same:
        return [*wrong, f"{path!r} has shape {node.shape} and type {node.dtype}"]
    if len(arrays) < len(candidates):  # it is new since; nothing of it need be there
        same.append(Array(np.zeros(node.shape, node.dtype), {}, ()))
    units = node.shards or node.chunks
    counts = [-(-n // c) for n, c in zip(node.shape, units, strict=True)]
    for corner in np.ndindex(*counts):
        part = tuple(slice(k * c, (k + 1) * c) for k, c in zip(corner, units, strict=True))
        known = [c.values[part] for c in same]
        try:
            found = node[part]
        except Exception as error:  # noqa: BLE001  (a chunk that was new may be refused)
            if all(one.any() for one in known):
                wrong.append(f"chunk {corner} of {path!r} is lost: {error!r}")
            continue
        if node.metadata.zarr_format == 2 and not all(one.any() for one in known):
            continue  # a new chunk that is torn, and has no checksum to show it
        if not any(np.array_equal(found, one) for one in known):
            how = "reads as fill value" if not found.any() else "is wrong"
            wrong.append(f"chunk {corner} of {path!r} {how}")
    return wrong


def writable(root: Path) -> list[str]:
    """Return what goes wrong when writing to the content found, or None."""
    module = library("fastzarr")
    group = module.open_group(str(root), mode="r+")
    for name, node in group.members(max_depth=None):
        if hasattr(node, "shape"):
            node[...] = 5
            node.attrs["after"] = 1
            if not (group[name][...] == 5).all() or group[name].attrs["after"] != 1:
                return [f"{name!r} does not hold what was written after the power came back"]
    return []


def try_scenario(
    trap: Trap, setting: Setting, scenario: str, base: Path, count: int, seed: int
) -> tuple[int, list[str]]:
    """Return the number of histories tried, and what was wrong with each failed one."""
    traced = record(trap, setting, scenario, base)
    verdicts: dict[Any, list[str]] = {}
    bad = []
    total = 0
    for done, flushed, n, tree in histories(
        traced, count, seed, can_flush=setting.module == "fastzarr"
    ):
        total += 1
        low = {"full": done, "none": 0}.get(setting.durability, flushed)
        key = (low, done, _digest(tree))
        if key not in verdicts:
            place = base / "after"
            write_tree(tree, place)
            states = traced.states[low : done + 2]
            verdicts[key] = judge(states, place)
            if not verdicts[key] and scenario in WHOLE and setting.durability != "none":
                verdicts[key] = judge_whole(states, place)
            if not verdicts[key] and total % 10 == 0 and setting.module == "fastzarr":
                verdicts[key] = writable(place)
            shutil.rmtree(place)
        if verdicts[key]:
            step = traced.names[done] if done < len(traced.names) else "end"
            bad.append(f"{setting} {scenario}, call {n}, in {step!r}: {verdicts[key][0]}")
    return total, bad


def _digest(tree: Tree) -> bytes:
    total = hashlib.sha256()
    for name in sorted(tree):
        node = tree[name]
        data = node if isinstance(node, bytes) else _digest(node)
        kind = "file" if isinstance(node, bytes) else "folder"
        total.update(f"{kind} {len(name)} {name} {len(data)} ".encode() + data)
    return total.digest()


LAYOUTS: list[dict[str, Any]] = [
    {},
    {"sharded": True},
    {"zarr_format": 2},
    {"data_path": "numpy"},
]


def try_all(
    settings: list[Setting], count: int, seed: int, scenarios: list[str] | None = None
) -> tuple[int, list[str]]:
    """Try scenarios with settings, ``count`` histories in all."""
    trap = Trap()
    total, bad = 0, []
    jobs = [(s, name) for s in settings for name in scenarios or SCENARIOS]
    with folder() as base:
        for n, (setting, name) in enumerate(jobs):
            place = base / str(n)
            place.mkdir()
            share = count * (n + 1) // len(jobs) - count * n // len(jobs)
            tried, wrong = try_scenario(trap, setting, name, place, share, seed + n)
            total += tried
            bad += wrong
            shutil.rmtree(place)
    return total, bad


def prove(budget: Budget, seed: int) -> list[Row]:
    """Try 10,000 histories of the promises, some without promises, and some with zarr-python."""
    share = max(0.02, min(1.0, budget.seconds / 80))
    jobs = [
        ([Setting(durability="replace", **layout) for layout in LAYOUTS], 5000, None),
        ([Setting(durability="full", **layout) for layout in LAYOUTS], 5000, None),
        ([Setting(durability="none")], 1000, None),
        ([Setting("zarr")], 1000, ["values replaced", "resized", "attributes"]),
    ]
    given = [(settings, round(n * share), seed, names) for settings, n, names in jobs]
    with Crew(1) as one:  # a process of its own, since it forks
        replace, full, none, control = [one.results(try_all, [job])[0] for job in given]
    counts = (control[0], len(control[1]))
    note = f"durability none: {len(none[1])} of {none[0]}"
    return [
        counted(promise, what, (found[0], len(found[1])), counts, 5000, "bad", note, found[1])
        for promise, what, found in (
            (3, "power cuts, durability replace: old or new, never neither", replace),
            (4, "power cuts, durability full: all that was acknowledged", full),
        )
    ]
