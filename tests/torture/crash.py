"""Kill every verb before each of its file-changing system calls, and check the remaining tree.

Rules of this file:

* A point is one kill: before a call, or in the middle of a call that writes. Every point is tried
  on a new copy of the same tree, and judged in a new process.
* After the kill, the tree must be in a state that ``verbs.py`` allows, and a reader that has opened
  it before must see what ``readers.py`` allows. The verb is then called again and must complete.
  Finally every array is grown, or created if it is missing; elements that were never published must
  read as fill values.
* The verbs use one thread, so that a point is the same in each run.

    python -m torture.crash fastzarr --cases 'v3/append/native' --at 12
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torture.frame import Budget, Row, run_jobs, summary, workers
from torture.harness import (
    BY_URL,
    LIBRARIES,
    CaseError,
    arguments,
    end_cleanly,
    in_child,
    judged,
    prepare,
    scratch,
    some_of,
)
from torture.model import strays, whole
from torture.readers import Change, Reader
from torture.trap import Trap, read_trace
from torture.verbs import Case, cases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


# Of each case, so many kinds of what went wrong are told.
_KINDS = 3
# Every second point of verbs that need not be atomic, and every eighth of others; then all others.
_FIRST = {False: 2, True: 8}
# Of so many of the points that are tried first, one is tried with zarr-python.
_CONTROLLED = 3


class Bad(NamedTuple):
    """A point that failed, and the reason."""

    case: str
    at: int
    inside: bool
    call: str
    why: str


class Harness:
    """Try the points of one case of one library."""

    def __init__(self, lib: Any, case: Case, folder: Path) -> None:
        """Create the tree that each point starts from."""
        self.lib, self.case, self.folder = lib, case, folder
        self.trap = Trap()
        self.template = folder / "template"
        prepare(lib, case, self.template)

    def count(self) -> tuple[list[bool], str | None]:
        """Return whether each call of the verb writes, and what is wrong without a kill."""
        tree, trace = self.folder / "tree", self.folder / "trace"
        shutil.copytree(self.template, tree, symlinks=True)
        work = partial(in_child, self.lib, self.case, self.case.act, tree)
        outcome = self.trap.run(work, tree, trace=str(trace))
        calls = [call["kind"] == "write" and call["size"] > 1 for call in read_trace(trace)]
        for path in (trace, Path(f"{trace}.data")):
            path.unlink()
        if outcome.trouble:
            raise CaseError(self.case, "does not work when watched", outcome.trouble)
        why = judged(self.lib, self.case, tree, lambda found, _, new: whole(found, new, new))
        shutil.rmtree(tree)
        return calls, why

    def kill(self, at: int, *, inside: bool) -> tuple[str, str | None, int] | None:
        """Kill before a call or in its middle: the call, what is wrong, and how many strays stay.

        None if the verb does not get that far.
        """
        tree, copy = self.folder / "tree", self.folder / "copy"
        shutil.copytree(self.template, tree, symlinks=True)
        case = self.case
        reader = Reader(self.lib, Change(case.old, (case.new,), case.loose, case.way), tree)
        try:
            work = partial(in_child, self.lib, self.case, self.case.act, tree)
            outcome = self.trap.run(work, tree, kill_at=at, inside=inside)
            if not outcome.killed:
                return None
            left = strays(tree)
            reader.look()
            shutil.copytree(tree, copy, symlinks=True)
            reader.recovered()
            seen = reader.end()
            return outcome.call, judged(self.lib, self.case, copy) or seen, left
        finally:
            reader.leave()
            for path in (tree, copy):
                if path.exists():
                    shutil.rmtree(path)


def select(pattern: str | None, lib: str) -> list[Case]:
    """Return the cases whose names match and that the library supports."""
    found = [case for case in cases() if pattern is None or re.fullmatch(pattern, case.name)]
    if lib != "fastzarr":
        found = [c for c in found if not c.beyond_control and c.way == "native"]
    # Whole verbs fail with zarr-python's own store.
    return found if lib != BY_URL else [c for c in found if c.judge is not whole]


def try_case(
    lib: Any, case: Case, *, every: int = 1, but: int = 0, seed: int = 0, at: int | None = None
) -> dict[str, Any]:
    """Try the points of a case: all of them, every n-th, or those at one call."""
    folder = scratch()
    try:
        harness = Harness(lib, case, folder)
        calls, why = harness.count()
        # Point 0 is the verb without a kill.
        bad = [Bad(case.name, 0, inside=False, call="no kill", why=why)] if why else []
        points = [(n + 1, False) for n in range(len(calls))]
        points += [(n + 1, True) for n, writes in enumerate(calls) if writes]
        chosen = some_of(sorted(points), seed, every, but)
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
            "all": len(points) + 1,
            "bad": [b._asdict() for b in bad],
            "strays": most,
        }
    finally:
        shutil.rmtree(folder)


def prove(budget: Budget, seed: int) -> Iterable[Row]:
    """Try some points of all cases, with zarr-python too, and then all points of fastzarr."""
    jobs = []
    parts = workers() * 6
    order = itertools.product((True, False), range(parts), (*LIBRARIES, BY_URL), _FIRST.items())
    for is_first, part, lib, (is_whole, first) in order:
        names = [case.name for case in select(None, lib) if (case.judge is whole) == is_whole]
        some = names[part::parts]
        if not some or (lib != "fastzarr" and not is_first):
            continue
        every, but = (first, 0) if is_first else (1, first)
        if lib != "fastzarr":
            every *= _CONTROLLED
        words = ["--cases", "|".join(map(re.escape, some)), "--seed", str(seed)]
        words += ["--every", str(every), "--but", str(but)]
        jobs.append(["torture.crash", lib, *words, "--json"])
    return rows(run_jobs(jobs, budget))


def rows(results: list[dict[str, Any]]) -> list[Row]:
    """Return one row for each promise from the results of both libraries."""
    promises: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    whole_verbs = {case.name for case in cases() if case.judge is whole}
    for result in results:
        promises[2 if result["case"] in whole_verbs else 1].append(result)
    whats = {1: "kill -9, writing and copying", 2: "kill -9, atomic verbs"}
    return [
        summary(promise, whats[promise], some, 1000, told) for promise, some in promises.items()
    ]


def told(result: dict[str, Any]) -> Iterator[str]:
    """Return the failed points of a result, one of each kind, with the command to reproduce it."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for bad in result["bad"]:
        kinds.setdefault(re.sub(r"[0-9a-f]{16}|torture-\w+", "*", bad["why"]), []).append(bad)
    for why, some in sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:_KINDS]:
        first = some[0]
        where = "inside" if first["inside"] else "before"
        calls = f"call {first['at']} ({first['call']})"
        more = f" and {len(some) - 1} more" if len(some) > 1 else ""
        module = "crash_n5" if result["case"].startswith("n5/") else "crash"
        command = f"python -m torture.{module} {result['lib']} --cases '{result['case']}'"
        yield f"{result['case']}: {where} {calls}{more}: {why}"
        yield f"    PYTHONPATH=src:tests {command} --at {first['at']}"


def main() -> int:
    """Try cases from the command line."""
    parser = arguments("crash", __doc__)
    parser.add_argument("--every", type=int, default=1, help="try one point of so many")
    parser.add_argument("--but", type=int, default=0, help="not those that --every would try")
    parser.add_argument(
        "--part", default="0/1", help="every n-th case, as 0/4 for the first, fifth"
    )
    options = parser.parse_args()
    lib, failed = import_module(options.lib), 0
    end_cleanly()
    part, parts = map(int, options.part.split("/"))
    for case in select(options.cases, options.lib)[part::parts]:
        if options.list:
            print(case.name)
            continue
        words = {name: getattr(options, name) for name in ("every", "but", "seed", "at")}
        result = try_case(lib, case, **words)
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
