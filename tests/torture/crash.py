"""Kill every verb before each of its file-changing system calls, and look at what is left.

Rules of this file:

* A point is one kill: before a call, or in the middle of one that writes. Every point is tried on a
  fresh copy of the same tree, and judged in a fresh process.
* After the kill, the tree must be as ``verbs.py`` allows. Then the verb is called again, which must
  complete it; and every array is grown, or created anew where it is not there, which must show
  nothing but fill values beyond what was published.
* The processes that are forked have imported all they need, and work on one thread, so that a point
  is the same point in each run. Threads are a case of their own: more calls at once change what is
  under way, and not what may be left.

    python -m torture.crash fastzarr --cases 'v3/append/native' --at 12
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import warnings
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torture.frame import Budget, Row, run_jobs, workers
from torture.model import (
    FILL,
    Model,
    Node,
    UnreadableError,
    create_array,
    look,
    split,
    state,
    strays,
    whole,
    without,
)
from torture.trap import Trap, forked, read_trace
from torture.verbs import Case, cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LIBRARIES = ("fastzarr", "zarr")
_SETTINGS: dict[str, dict[str, Any]] = {
    "fastzarr": {"threading.max_workers": 1},
    "zarr": {"threading.max_workers": 1, "async.concurrency": 1},
}


class Bad(NamedTuple):
    """Say which point went wrong, and how."""

    case: str
    at: int
    inside: bool
    call: str
    why: str


class CaseError(RuntimeError):
    """Say that a case cannot be tried."""

    def __init__(self, case: Case, what: str, trouble: str) -> None:
        """Word it."""
        super().__init__(f"{case.name} {what}: {trouble}")


def scratch() -> Path:
    """Give a new folder, in memory where there is such a file system."""
    memory = Path("/dev/shm")  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="torture-", dir=memory if memory.is_dir() else None))


def configure(lib: Any, case: Case) -> None:
    """Set what the library works with, for this process; what it warns of is its own affair."""
    warnings.simplefilter("ignore")
    settings = dict(_SETTINGS[lib.__name__])
    if lib.__name__ == "fastzarr":
        settings["data_path"] = case.data_path
    lib.config.set(settings)


def warm_up(lib: Any, case: Case) -> None:
    """Import what the case imports on its way, without running it in this process."""

    def work() -> list[str]:
        configure(lib, case)
        tree = scratch()
        try:
            case.setup(lib, tree)
            case.act(lib, tree)
            with suppress(UnreadableError):
                look(lib, tree)
        finally:
            shutil.rmtree(tree)
        return [*sys.modules]

    names, _, trouble, _ = forked(work)
    if trouble:
        raise CaseError(case, "does not work at all", trouble)
    for name in names:
        if name not in sys.modules and name != "__mp_main__":
            import_module(name)


class Harness:
    """Try the points of one case of one library."""

    def __init__(self, lib: Any, case: Case, folder: Path) -> None:
        """Make the tree that each point starts from."""
        self.lib, self.case, self.folder = lib, case, folder
        self.trap = Trap()
        self.template = folder / "template"
        self.template.mkdir()
        warm_up(lib, case)
        _, _, trouble, _ = forked(partial(self._in_child, case.setup, self.template))
        if trouble:
            raise CaseError(case, "cannot be set up", trouble)

    def _in_child(self, work: Callable[[Any, Path], Any], tree: Path) -> Any:
        configure(self.lib, self.case)
        return work(self.lib, tree)

    def count(self) -> tuple[list[bool], str | None]:
        """Say of each call of the verb whether it writes, and what is wrong without any kill."""
        tree, trace = self.folder / "tree", self.folder / "trace"
        shutil.copytree(self.template, tree, symlinks=True)
        outcome = self.trap.run(
            partial(self._in_child, self.case.act, tree), tree, trace=str(trace)
        )
        calls = [call["kind"] == "write" and call["size"] > 1 for call in read_trace(trace)]
        for path in (trace, Path(f"{trace}.data")):
            path.unlink()
        if outcome.trouble:
            raise CaseError(self.case, "does not work when watched", outcome.trouble)
        why = self._judged(tree, lambda found, _, new: whole(found, new, new))
        shutil.rmtree(tree)
        return calls, why

    def kill(self, at: int, *, inside: bool) -> tuple[str, str | None, int] | None:
        """Kill before a call or in its middle: the call, what is wrong, and how many strays stay.

        None if the verb does not get that far.
        """
        tree = self.folder / "tree"
        shutil.copytree(self.template, tree, symlinks=True)
        try:
            outcome = self.trap.run(
                partial(self._in_child, self.case.act, tree), tree, kill_at=at, inside=inside
            )
            if not outcome.killed:
                return None
            why = self._judged(tree, self.case.judge)
            return outcome.call, why, strays(tree)
        finally:
            shutil.rmtree(tree)

    def _judged(self, tree: Path, judge: Callable[[Model, Model, Model], str | None]) -> str | None:
        why, _, trouble, _ = forked(
            lambda: self._in_child(partial(_judge, self.case, judge), tree), seconds=120
        )
        other = tree.with_name("other")
        if other.exists():
            shutil.rmtree(other)
        return why or (f"the judge failed: {trouble}" if trouble else None)


def _judge(
    case: Case, judge: Callable[[Model, Model, Model], str | None], lib: Any, tree: Path
) -> str | None:
    """Say what is wrong with a tree, in a process of its own."""
    try:
        found = look(lib, tree)
    except UnreadableError as error:
        return str(error)
    loose = case.loose
    why = judge(without(found, loose), without(case.old, loose), without(case.new, loose))
    if why:
        return why
    other = tree.with_name("other")
    shutil.copytree(tree, other, symlinks=True)
    return _regrow(case, lib, other, found) or _redo(case, lib, tree, found)


def _regrow(case: Case, lib: Any, tree: Path, found: Model) -> str | None:
    """Grow each array, or create it anew, and look for what nobody has published."""
    everything = case.old | case.new | found
    arrays = {path: node for path, node in everything.items() if node.values is not None}
    for path, node in sorted(arrays.items()):
        there = found.get(path)
        store, name = split(tree, path)
        if there is None:
            if any(above in found and found[above].values is not None for above in _above(path)):
                continue
            # What another program makes of this name, which is free.
            empty = Node({}, np.full(_larger(node), FILL, "i4"), node.stored)
            try:
                array = create_array(lib, tree, path, case.variant, empty)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is in the way)
                return f"creating {path}, which is not there, raises {error!r}"
            wanted = empty.values
        elif there.values is None:
            continue
        else:
            array = lib.open(store, mode="r+", path=name)
            fill = array.fill_value
            wanted = np.full(_larger(there), fill, there.values.dtype)
            wanted[tuple(slice(n) for n in there.values.shape)] = there.values
            try:
                array.resize(wanted.shape)
            except Exception as error:  # noqa: BLE001
                return f"growing {path} raises {error!r}"
        assert wanted is not None
        seen = np.asarray(lib.open(store, mode="r", path=name)[...])
        if not np.array_equal(seen, wanted):
            at = tuple(int(i) for i in np.argwhere(seen != wanted)[0])
            return f"{path}, made larger, shows {seen[at]} at {at}, which nobody has published"
    return None


def _larger(node: Node) -> tuple[int, ...]:
    assert node.values is not None
    return tuple(
        max(size + 2 * step, 20) for size, step in zip(node.values.shape, node.stored, strict=True)
    )


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _redo(case: Case, lib: Any, tree: Path, found: Model) -> str | None:
    """Call the verb again: it must come to its end, whatever the dead writer left."""
    new = without(case.new, case.loose)
    old = without(case.old, case.loose)
    wanted = case.again(found) if case.again else new
    try:
        case.act(lib, tree)
    except Exception as error:  # noqa: BLE001
        # Once something has been done, it cannot always be done again.
        if case.again or state(without(found, case.loose), old, new) == "old":
            return f"called again, the verb raises {error!r}"
        wanted = without(found, case.loose)
    try:
        after = look(lib, tree)
    except UnreadableError as error:
        return f"called again, the verb leaves what is {error}"
    why = whole(without(after, case.loose), wanted, wanted)
    return why and f"called again, the verb leaves {why}"


def select(pattern: str | None, lib: str) -> list[Case]:
    """Give the cases whose names match, and which the library can do."""
    found = [case for case in cases() if pattern is None or re.fullmatch(pattern, case.name)]
    if lib != "fastzarr":
        found = [c for c in found if not c.beyond_control and c.data_path == "native"]
    return found


def try_case(
    lib: Any, case: Case, *, every: int = 1, seed: int = 0, at: int | None = None
) -> dict[str, Any]:
    """Try the points of a case: all of them, every so many-th, or those at one call."""
    folder = scratch()
    try:
        harness = Harness(lib, case, folder)
        calls, why = harness.count()
        # That the verb does right when nobody kills it is a point as well, of number 0.
        bad = [Bad(case.name, 0, inside=False, call="no kill", why=why)] if why else []
        points = [(n + 1, False) for n in range(len(calls))]
        points += [(n + 1, True) for n, writes in enumerate(calls) if writes]
        chosen = [p for place, p in enumerate(sorted(points)) if (place + seed) % every == 0]
        if at is not None:
            chosen = [point for point in points if point[0] == at]
        tried = most = 0
        for n, inside in chosen:
            result = harness.kill(n, inside=inside)
            if result is None:
                continue
            call, why, left = result
            tried, most = tried + 1, max(most, left)
            if why:
                bad.append(Bad(case.name, n, inside=inside, call=call, why=why))
        return {
            "lib": lib.__name__,
            "case": case.name,
            "points": tried + 1,
            "bad": [b._asdict() for b in bad],
            "strays": most,
        }
    finally:
        shutil.rmtree(folder)


def prove(budget: Budget, seed: int) -> Iterable[Row]:
    """Try everything with both libraries."""
    jobs = []
    for lib in LIBRARIES:
        names = [case.name for case in select(None, lib)]
        count = workers() * 4
        for part in range(count):
            some = names[part::count]
            pattern = "|".join(map(re.escape, some))
            jobs.append(["torture.crash", lib, "--cases", pattern, "--json", "--seed", str(seed)])
    return rows(run_jobs(jobs, budget))


def rows(results: list[dict[str, Any]]) -> list[Row]:
    """Make one row of each promise out of the results of both libraries."""
    promises: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    whole_verbs = {case.name for case in cases() if case.judge is whole}
    for result in results:
        promises[2 if result["case"] in whole_verbs else 1].append(result)
    whats = {1: "kill -9, writing and copying", 2: "kill -9, atomic verbs"}
    made = []
    for promise, some in promises.items():
        ours = [result for result in some if result["lib"] == "fastzarr"]
        control = [result for result in some if result["lib"] != "fastzarr"]
        bad = sum(len(result["bad"]) for result in ours)
        worse = sum(len(result["bad"]) for result in control)
        points = sum(result["points"] for result in ours)
        made.append(
            Row(
                promise,
                whats[promise],
                f"{bad} bad of {points}",
                f"{worse} bad of {sum(result['points'] for result in control)}",
                "0 bad",
                bool(points) and bad == 0 < worse,
                tuple(text for result in ours for text in told(result)),
            )
        )
    return made


def told(result: dict[str, Any]) -> Iterator[str]:
    """Word the bad points of a result, each kind once, with the command that shows it again."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for bad in result["bad"]:
        kinds.setdefault(re.sub(r"[0-9a-f]{16}|torture-\w+", "*", bad["why"]), []).append(bad)
    for why, some in kinds.items():
        first = some[0]
        where = "inside" if first["inside"] else "before"
        calls = f"call {first['at']} ({first['call']})"
        more = f" and {len(some) - 1} more" if len(some) > 1 else ""
        command = f"python -m torture.crash {result['lib']} --cases '{result['case']}'"
        yield f"{result['case']}: {where} {calls}{more}: {why}"
        yield f"    PYTHONPATH=src:tests {command} --at {first['at']}"


def main() -> int:
    """Try cases from the command line."""
    parser = argparse.ArgumentParser(prog="python -m torture.crash", description=__doc__)
    parser.add_argument("lib", choices=LIBRARIES)
    parser.add_argument("--cases", metavar="PATTERN", help="names that match, a regex")
    parser.add_argument("--every", type=int, default=1, help="try one point of so many")
    parser.add_argument("--seed", type=int, default=0, help="which of so many")
    parser.add_argument("--at", type=int, help="try only the points at this call")
    parser.add_argument("--json", action="store_true", help="print results as lines of JSON")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    options = parser.parse_args()
    lib, failed = import_module(options.lib), 0
    for case in select(options.cases, options.lib):
        if options.list:
            print(case.name)
            continue
        result = try_case(lib, case, every=options.every, seed=options.seed, at=options.at)
        failed += len(result["bad"])
        if options.json:
            print(json.dumps(result), flush=True)
        else:
            bad, points = len(result["bad"]), result["points"]
            print(f"{case.name}: {bad} bad of {points}, {result['strays']} strays", flush=True)
            print("".join(line + "\n" for line in told(result)), end="")
    return 0 if options.json else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
