"""Kill a transaction before each of its calls, then kill the process that finds its journal, too.

Rules of this file:

* Two processes have opened their handles before. The first is killed in a transaction. The second
  meets the journal: it calls any verb of ``meetings.py``, or opens the store for writing. It runs
  to its end, or is killed before one of its calls. A third process opens the store for writing.
* After the first kill, the transaction is done as a whole or not at all, for a reader that opens
  the store and writes nothing, and it stays so. The verb of the second process follows it: it is
  done, or not done if that process was killed or has raised an error of the library. A read may
  still find objects as before the transaction.
* A reader that has opened all nodes before looks after each step: see ``readers.py``.
* At the end there is no journal, a new reader sees the same before and after the last recovery, and
  arrays that are grown show nothing but fill values.
* Most points are at the calls from the first mark on, where a journal may be left.

    python -m torture.recoveries fastzarr --pairs 'v3/transaction + append/native' --at 60 --then 9
"""

from __future__ import annotations

import random
import re
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from torture.frame import Budget, Row, run_jobs, summary, workers
from torture.harness import arguments, configured, regrow
from torture.meetings import TREE, VERBS, Handles, Pair, Result, State, Verb, differs
from torture.model import VARIANTS, Model, UnreadableError, look, state
from torture.pairs import Harness, result_of, try_each
from torture.pairs import told as told_of
from torture.readers import Change, Reader, recovered
from torture.trap import CHANGES, CLOSES, Child, Outcome, forked, read_trace

from fastzarr.stores.keys import JOURNAL_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_WATCH = CHANGES | CLOSES
_WAYS = ("native", "full", "none", "numpy")
# So many pairs share a process, which takes some seconds to start.
_TOGETHER = 40
_KINDS = 3


def _trees(have: Handles) -> None:
    """Create, delete and enlarge nodes in a transaction."""
    words = have.variant.geometry((2, 3))
    del words["dtype"]
    with have.root.transaction():
        array = have.root["s/x"]
        array.append(np.arange(28, dtype="i4").reshape(4, 7) + have.base)
        array[0:4, 0:5] = array.fill_value
        del have.root["y"]
        have.root["s"].create_array("n", data=np.arange(24).reshape(4, 6), **words)
        have.root.create_group("t", attributes={"by": have.role})
        have.root.update_attributes({"owner": "you"})


def _open(have: Handles) -> None:
    have.lib.open_group(str(have.tree / "g.zarr"), mode="r+")


def _open_below(have: Handles) -> None:
    have.lib.open_array(str(have.tree / "g.zarr" / "s" / "x"), mode="r+")[8:10, 5:7] = have.base


TRANSACTIONS = (
    next(verb for verb in VERBS if verb.name == "transaction"),
    Verb("transaction of trees", _trees),
)
SECONDS = (*VERBS, TRANSACTIONS[1], Verb("open", _open), Verb("open and write below", _open_below))


def pairs() -> Iterator[Pair]:
    """Return all pairs of a transaction and a verb, in all ways of writing."""
    for variant in VARIANTS.values():
        if not variant.nested:
            for way in _WAYS:
                for first in TRANSACTIONS:
                    for second in SECONDS:
                        yield Pair(first, second, variant, way)


class Recovery:
    """Try the points of one pair."""

    def __init__(self, harness: Harness, pair: Pair) -> None:
        """Let the verbs run in order, without a kill, and count the calls of both."""
        self.harness, self.pair = harness, pair
        self.old = harness.order(pair, ())[0]
        #: What the transaction, or nothing, leaves; and then the second verb.
        self.first = {"new": harness.order(pair, (0,))[0], "old": self.old}
        self.both = {
            "new": harness.order(pair, (0, 1))[0],
            "old": harness.order(pair, (1,))[0],
        }
        self.calls = self._traced()
        self.journals = 0

    def _traced(self) -> list[str]:
        """Return the paths of the calls of the transaction, and of their targets."""
        trace = self.harness.folder / "trace"
        self.harness.fresh(self.pair)
        _ended(self.harness.begin(self.pair, 0, _WATCH, trace=str(trace)))
        found = [f"{call['path']} {call['to']}" for call in read_trace(trace)]
        for path in self.harness.folder.glob("trace*"):
            path.unlink()
        return found

    def points(self, most: int, seed: int) -> list[int]:
        """Return calls to be killed before; three of four where a mark or a journal may be left."""
        marked = next(n for n, path in enumerate(self.calls, 1) if JOURNAL_NAME in path)
        late = range(marked, len(self.calls) + 1)
        early = range(1, marked)
        some = [*_some(late, most - most // 4, seed), *_some(early, most // 4, seed)]
        return sorted({*some}) if most else [*early, *late]

    def kill(self, at: int, then: int) -> tuple[str, int, str | None]:
        """Kill the first process before a call, and the second before another, or not if 0.

        Return the call, how many calls the second process made, and what is wrong.
        """
        harness, pair = self.harness, self.pair
        harness.fresh(pair)
        states = [self.first["new"], self.both["new"], self.both["old"]]
        change = Change(TREE, tuple(one.model for one in states), way=pair.way)
        reader = Reader(harness.lib, change, harness.tree)
        try:
            second = harness.begin(pair, 1, _WATCH, kill_at=then)
            killed = _ended(harness.begin(pair, 0, _WATCH, kill_at=at))
            reader.look()
            self.journals += self._has_journal()
            which, why = self._first_state()
            ended = _ended(second)
            reader.look()
            result = None if ended.killed else result_of(ended)
            why = why or self._judged(which, result)
            reader.look()
            return killed.call, ended.count, why or reader.end()
        finally:
            reader.leave()

    def _first_state(self) -> tuple[str, str | None]:
        """Return whether the transaction is done, by what a new reader sees, and what is wrong."""
        found, why = self._look()
        if found is None:
            return "old", f"after the first kill: {why}"
        which = state(found, self.old.model, self.first["new"].model)
        return which, "the transaction is half done" if which == "between" else None

    def _has_journal(self) -> bool:
        return (self.harness.tree / "g.zarr" / JOURNAL_NAME).is_dir()

    def _look(self) -> tuple[Model | None, str | None]:
        lib, tree = self.harness.lib, self.harness.tree
        found, _, trouble, _ = forked(
            partial(configured, lib, self.pair.way, partial(_looked, lib, tree))
        )
        return found or (None, trouble)

    def _judged(self, which: str, result: Result | None) -> str | None:
        """Return what is wrong after the second process, and after a third; None if nothing is."""
        before, why = self._look()
        if before is None:
            return why
        recovered(self.harness.lib, self.pair.way, self.harness.tree)
        after, why = self._look()
        if after is None:
            return f"after the last recovery: {why}"
        if self._has_journal():
            return "a journal stays"
        for found, when in ((before, ""), (after, "after the last recovery: ")):
            why = self._neither(which, State(found, (None, result)))
            if why:
                return when + why
        work = partial(_regrown, self.harness.lib, self.harness.tree, self.pair, after)
        why, _, trouble, _ = forked(partial(configured, self.harness.lib, self.pair.way, work))
        return why or trouble or None

    def _neither(self, which: str, found: State) -> str | None:
        """Return why the tree is not the result of the verbs in order, or None."""
        result, pair = found.results[1], self.pair
        first, both = self.first[which], self.both[which]
        if result is not None and isinstance(result.value, np.ndarray):
            # A reader from before sees each object as before the transaction or as after it.
            why = differs(pair, State(both.model, (None, result)), both, [*self.both.values()])
            if why:
                return why
            found, result = State(found.model, (None, None)), None
            first = both
        done = differs(pair, found, both, [first, both] if result is None else [both])
        if done is None:
            return None
        refused = result is not None and result.raised and result.clean
        if result is None or refused:
            alone = State(found.model, (None, None))
            others = [first, both] if result is None or pair.second.by_object else [first]
            undone = differs(pair, alone, first, others)
            if undone is None:
                return None
            return f"neither done ({done}) nor undone ({undone})"
        raised = f" (raised {result.raised})" if result and result.raised else ""
        return f"the transaction is {which}, and then {done}{raised}"


def _ended(child: Child) -> Outcome:
    """Let a process go on to its end."""
    child.go()
    return child.end()


def _looked(lib: Any, tree: Path) -> tuple[Model | None, str | None]:
    try:
        return look(lib, tree), None
    except UnreadableError as error:
        return None, str(error)


def _regrown(lib: Any, tree: Path, pair: Pair, found: Model) -> str | None:
    other = tree.with_name("other")
    shutil.copytree(tree, other, symlinks=True)
    try:
        return regrow(lib, other, pair.variant, TREE, found)
    finally:
        shutil.rmtree(other)


def _some(numbers: range, most: int, seed: int) -> list[int]:
    """Return so many of the numbers, spread evenly."""
    if not (numbers and most):
        return []
    start = seed * 0.618 % 1
    return [numbers[int((n + start) * len(numbers) / most) % len(numbers)] for n in range(most)]


def try_pair(
    harness: Harness, pair: Pair, *, most: int = 0, seed: int = 0, at: int = 0, then: int = -1
) -> dict[str, Any]:
    """Try the points of a pair: all of them, or so many, or one.

    Of so many first kills, each is tried with and without a kill of the second process.
    """
    recovery = Recovery(harness, pair)
    points = 0
    bad = []
    for place, n in enumerate([at] if at else recovery.points(most, seed)):
        call, count, why = recovery.kill(n, max(then, 0))
        results = [(max(then, 0), call, why)]
        if then < 0 and count:
            seconds = range(1, count + 1)
            chosen = _some(seconds, 1, seed + place) if most else seconds
            results += [(m, *recovery.kill(n, m)[::2]) for m in chosen]
        for m, call, why in results:
            points += 1
            if why:
                bad.append({"at": n, "then": m, "call": call, "why": why})
    return {
        "lib": "fastzarr",
        "pair": pair.name,
        "points": points,
        "journals": recovery.journals,
        "bad": bad,
    }


told = partial(told_of, command="recoveries")


def select(pattern: str | None) -> list[Pair]:
    """Return the pairs whose names match."""
    return [pair for pair in pairs() if pattern is None or re.fullmatch(pattern, pair.name)]


def prove(budget: Budget, seed: int) -> Iterable[Row]:
    """Try some points of all pairs."""
    chosen = select(None)
    random.Random(seed).shuffle(chosen)
    results = run(chosen, most=4, seed=seed, budget=budget)
    journals = sum(result["journals"] for result in results)
    what = "kill -9 in a transaction, then in the process that finds its journal"
    note = f"{journals:,} met a journal"
    return [summary(2, what, results, 500, told, note, controlled=False)]


def run(
    chosen: list[Pair], *, most: int, seed: int = 0, budget: Budget | None = None
) -> list[dict[str, Any]]:
    """Try pairs in parallel processes."""
    jobs = []
    parts = workers() if budget is None else -(-len(chosen) // _TOGETHER)
    for part in range(min(parts, len(chosen))):
        names = "|".join(re.escape(pair.name) for pair in chosen[part::parts])
        words = ["--most", str(most), "--seed", str(seed), "--json"]
        jobs.append(["torture.recoveries", "fastzarr", "--pairs", names, *words])
    return run_jobs(jobs, budget)


def main() -> int:
    """Try pairs from the command line."""
    parser = arguments("recoveries", __doc__, "pairs")
    parser.add_argument("--then", type=int, default=-1, help="the call of the second, 0 for none")
    parser.add_argument("--most", type=int, default=0, help="kill so many of each, not all")
    options = parser.parse_args()
    words = {name: getattr(options, name) for name in ("most", "seed", "then")}
    attempt = partial(try_pair, at=options.at or 0, **words)
    return try_each(select(options.pairs), options, attempt, ["points"], "recoveries")


if __name__ == "__main__":
    sys.exit(main())
