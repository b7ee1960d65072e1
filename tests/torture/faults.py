"""Let every system call fail with every error, and check the report and the remaining tree.

Rules of this file:

* A point is one call that fails with one error, or is a short read or write. It may be any call
  that the verb makes below the tree, including open, stat, read and lock.
* A read returns the correct result or raises an error. An error that reports a missing node is
  wrong, because the node exists. A write leaves the old or the new state, as after a crash, and no
  temporary file unless its removal failed; if no error was raised, the write is complete. Without
  the fault, the verb then completes.
* Writes, which must be judged, are tried at fewer points than reads.

    python -m torture.faults fastzarr --cases 'v3/append/native' --at 12 --error EIO
"""

from __future__ import annotations

import errno
import itertools
import json
import re
import shutil
import sys
import warnings
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from torture.looks import Look, looks
from torture.model import strays, whole
from torture.trap import CHANGES, CLOSES, READS, Outcome, Trap
from torture.verbs import Case, cases

from fastzarr.stores.keys import JOURNAL_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: The errors that calls fail with; 0 is a short read or write.
ERRORS = {
    name: getattr(errno, name) for name in ("EIO", "ENOSPC", "EACCES", "EMFILE", "ESTALE", "EINTR")
} | {"short": 0}
# Of each case, so many kinds of what went wrong are told.
_KINDS = 3
# How many of the points are tried first, and then; the second time without those of the first.
_PASSES = {Look: ((7, 0), (1, 7)), Case: ((70, 0), (3, 70))}
# Of so many of the points that are tried first, one is tried with zarr-python.
_CONTROLLED = 5
_ALL = CHANGES | CLOSES | READS
# Calls that clean up; if one fails, files may remain.
_REMOVALS = ("unlink", "rmdir", "rename", "close", "getdents", "openr", "stat")


_LEFT_OUT = re.compile(r"the member '/.+' in .+ cannot be read: ")


class Harness:
    """Try the points of one case or look of one library."""

    def __init__(self, lib: Any, case: Case | Look, folder: Path) -> None:
        """Create the tree that each point starts from, and run the case without faults."""
        self.lib, self.case, self.folder = lib, case, folder
        self.trap = Trap()
        self.template = folder / "template"
        prepare(lib, case, self.template)
        self.tree = folder / "tree"
        outcome, _ = self._run(0, 0)
        if outcome.trouble:
            raise CaseError(case, "does not work when watched", outcome.trouble)
        self.count, (_, self.answer, _) = outcome.count, outcome.result

    def _run(self, at: int, error: int) -> tuple[Outcome, str | None]:
        if isinstance(self.case, Look):
            work = partial(in_child, self.lib, self.case, partial(answer, self.case), self.template)
            return self._trapped(work, self.template, at, error), None
        shutil.copytree(self.template, self.tree, symlinks=True)
        try:
            work = partial(in_child, self.lib, self.case, partial(answer, self.case), self.tree)
            outcome = self._trapped(work, self.tree, at, error)
            if outcome.trouble or not outcome.failed:
                return outcome, None
            return outcome, verdict(self.lib, self.case, self.tree, outcome)
        finally:
            shutil.rmtree(self.tree)

    def _trapped(self, work: Any, tree: Path, at: int, error: int) -> Outcome:
        return self.trap.run(work, tree, watch=_ALL, fail_at=at, fail_errno=error)

    def fail(self, at: int, error: int) -> tuple[str, str | None, str] | None:
        """Let a call fail; return the call, what is wrong, and the error; None if not reached."""
        outcome, why = self._run(at, error)
        if not outcome.failed:
            return None
        if outcome.trouble:
            return outcome.call, outcome.trouble, ""
        kinds, answer, text = outcome.result
        if "FileNotFoundError" in kinds or "KeyError" in kinds:
            return outcome.call, f"says that it is not there: {text}", text
        if isinstance(self.case, Look) and not kinds and answer != self.answer:
            return outcome.call, f"answers wrongly, without an error: {str(answer)[:200]}", text
        return outcome.call, why, text


def verdict(
    lib: Any, case: Case, tree: Path, outcome: Outcome, *, may_stay: bool = False
) -> str | None:
    """Return what is wrong with the tree after a verb failed, or None.

    The files of a transaction that was committed, and not completed, stay with its journal.
    """
    may_stay = may_stay or outcome.call.startswith(_REMOVALS) or any(tree.rglob(JOURNAL_NAME))
    if strays(tree) and not may_stay:
        return "a temporary file stays"
    if outcome.result[0]:
        return judged(lib, case, tree)
    why = judged(lib, case, tree, lambda found, _, new: whole(found, new, new))
    return why and f"no error, and {why}"


def answer(case: Case | Look, lib: Any, tree: Path) -> tuple[list[str], Any, str]:
    """Return the names of the error's types, the values read, and the error's text.

    A look that leaves out a member and names it in a warning has told what failed.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answer = case.act(lib, tree)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is judged)
        return (
            [kind.__name__ for kind in type(error).__mro__],
            None,
            f"{type(error).__name__}: {error}",
        )
    if not isinstance(case, Look):
        return [], None, ""
    left_out = [str(each.message) for each in caught if _LEFT_OUT.match(str(each.message))]
    if left_out:
        return ["Warning"], None, left_out[0]
    return [], answer, ""


def select(pattern: str | None, lib: str) -> list[Case | Look]:
    """Return the looks and cases whose names match and that the library supports."""
    found: list[Case | Look] = [
        case for case in (*looks(), *cases()) if pattern is None or re.fullmatch(pattern, case.name)
    ]
    if lib == "fastzarr":
        return found
    found = [c for c in found if not c.beyond_control and c.way == "native"]
    # Writes fail with zarr-python's own store.
    return found if lib != BY_URL else [c for c in found if isinstance(c, Look)]


def try_case(
    lib: Any,
    case: Case | Look,
    *,
    every: int = 1,
    but: int = 0,
    seed: int = 0,
    at: int | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """Try the points of a case: all of them, every n-th, or one."""
    folder = scratch()
    try:
        harness = Harness(lib, case, folder)
        points = [(n, name) for n in range(1, harness.count + 1) for name in ERRORS]
        total = len(points)
        points = some_of(points, seed, every, but)
        if at is not None:
            points = [(at, name) for name in ERRORS if error in {None, name}]
        tried, bad = 0, []
        for n, name in points:
            result = harness.fail(n, ERRORS[name])
            if result is None:
                continue
            tried += 1
            call, why, text = result
            if why:
                bad.append({"at": n, "error": name, "call": call, "why": why, "raised": text})
        return {
            "lib": lib.__name__,
            "case": case.name,
            "reads": isinstance(case, Look),
            "points": tried,
            "all": total,
            "bad": bad,
        }
    finally:
        shutil.rmtree(folder)


def prove(budget: Budget, seed: int) -> Iterable[Row]:
    """Try some points, with zarr-python too, then all those of reads, and more of writes."""
    jobs = []
    parts = workers() * 4
    libraries = (*LIBRARIES, BY_URL)
    for number, part, lib in itertools.product(range(2), range(parts), libraries):
        for kind, passes in _PASSES.items():
            some = [case.name for case in select(None, lib) if isinstance(case, kind)]
            every, but = passes[number]
            if not some[part::parts] or (but and lib != "fastzarr"):
                continue
            if lib != "fastzarr":
                every *= _CONTROLLED
            words = ["--cases", "|".join(map(re.escape, some[part::parts])), "--seed", str(seed)]
            words += ["--every", str(every), "--but", str(but)]
            jobs.append(["torture.faults", lib, *words, "--json"])
    return rows(run_jobs(jobs, budget))


def rows(results: list[dict[str, Any]]) -> list[Row]:
    """Return one row for reads and one for writes."""
    made = []
    for reads, what in ((True, "failing calls, reading"), (False, "failing calls, writing")):
        some = [result for result in results if result["reads"] == reads]
        made.append(summary(6, what, some, 2500, told))
    return made


def told(result: dict[str, Any], command: str = "faults", word: str = "error") -> Iterator[str]:
    """Return the failed points of a result, its most frequent kinds, with commands to reproduce."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for bad in result["bad"]:
        kind = re.sub(r"[0-9a-f]{16,}|torture-\w+|\(\d.*|\[Errno.*", "*", bad["why"])
        kinds.setdefault(f"{bad['call'].split()[0]} {kind}", []).append(bad)
    for some in sorted(kinds.values(), key=len, reverse=True)[:_KINDS]:
        first = some[0]
        more = f" and {len(some) - 1} more" if len(some) > 1 else ""
        where = f"{first['error']} at {first['at']} ({first['call']}){more}"
        raised = f"; raised {first['raised']}" if first["raised"] else ""
        yield f"{result['case']}: {where}: {first['why']}{raised}"
        line = f"python -m torture.{command} {result['lib']} --cases '{result['case']}'"
        yield f"    PYTHONPATH=src:tests {line} --at {first['at']} --{word} {first['error']}"
    if len(kinds) > _KINDS:
        yield f"{result['case']}: and {len(kinds) - _KINDS} kinds more"


def main() -> int:
    """Try cases from the command line."""
    parser = arguments("faults", __doc__)
    parser.add_argument("--every", type=int, default=1, help="try one point of so many")
    parser.add_argument("--but", type=int, default=0, help="not those that --every would try")
    parser.add_argument("--error", choices=ERRORS, help="try only this error there")
    options = parser.parse_args()
    lib, failed = import_module(options.lib), 0
    end_cleanly()
    for case in select(options.cases, options.lib):
        if options.list:
            print(case.name)
            continue
        words = {name: getattr(options, name) for name in ("every", "but", "seed", "at", "error")}
        result = try_case(lib, case, **words)
        failed += len(result["bad"])
        if options.json:
            print(json.dumps(result), flush=True)
        else:
            print(f"{case.name}: {len(result['bad'])} bad of {result['points']}", flush=True)
            print("".join(line + "\n" for line in told(result)), end="")
    return 0 if options.json else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
