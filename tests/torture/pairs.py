"""Stop one verb before each of its system calls, let another run to its end, and judge the result.

Rules of this file:

* A point is one call of the first verb, below the tree, that reads or changes: what a verb reads
  decides what it changes. The second verb runs in another process. If it waits for a lock of the
  first, the first goes on, and both end.
* Both processes have opened their handles before. They use one thread, so that a point is the same
  in each run.
* ``meetings.py`` has the verbs and says which results are allowed. Arrays of the resulting tree are
  then grown, or created if they are missing, and may show nothing but fill values there.

    python -m torture.pairs fastzarr --pairs 'v3/append + delete/native' --at 12
"""

from __future__ import annotations

import gc
import itertools
import json
import random
import re
import shutil
import sys
from collections import Counter
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torture.frame import Budget, Row, run_jobs, summary, workers
from torture.harness import (
    arguments,
    configured,
    end_cleanly,
    import_used,
    regrow,
    scratch,
)
from torture.meetings import (
    TREE,
    Handles,
    Pair,
    Result,
    State,
    Verb,
    handles,
    pairs,
    setup,
    verdict,
)
from torture.model import Model, UnreadableError, look, strays
from torture.trap import CHANGES, CLOSES, READS, Child, Outcome, Trap, forked

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_ALL = CHANGES | CLOSES | READS
# After so many seconds the first verb goes on, whatever the second one waits for.
_LATE = 5
_ORDERS = {"first, second": (0, 1), "second, first": (1, 0)}
# What zarr-python does in each of both orders; elsewhere stale handles spoil the tree.
_CONTROL = r"v3/(append \+ append|write a part \+ write a part)/native"
# So many pairs share a process, which takes some seconds to start.
_TOGETHER = 60
# So many points of each pair are tried first.
_FIRST = 3
_KINDS = 3


class PairError(RuntimeError):
    """Raised if a pair cannot be tried."""

    def __init__(self, pair: Pair, trouble: str) -> None:
        """Word it."""
        super().__init__(f"{pair.name}: {trouble}")


class Harness:
    """Try the points of pairs of one library."""

    def __init__(self, lib: Any, folder: Path) -> None:
        """Make the traps of both processes."""
        self.lib, self.folder = lib, folder
        self.traps = Trap(), Trap()
        self.tree = folder / "tree"
        self.known: dict[Any, tuple[Model | None, str | None]] = {}

    def templates(self, pair: Pair) -> Path:
        """Return the tree that points of a pair start from."""
        template = self.folder / f"template {pair.variant.name}"
        if not template.exists():
            template.mkdir()
            work = partial(setup, self.lib, template, pair.variant)
            _, _, trouble, _ = forked(partial(configured, self.lib, "native", work))
            if trouble:
                raise PairError(pair, trouble)
        return template

    def begin(self, pair: Pair, role: int, watch: int = _ALL, **what: Any) -> Child:
        """Start a process that has opened its handles and waits for the word.

        ``what`` is as in ``Trap.begin``.
        """
        verb = (pair.first, pair.second)[role]
        opened = partial(handles, self.lib, self.tree, pair.variant, role)
        child = self.traps[role].begin(
            partial(_called, verb, self.lib.__name__),
            self.tree,
            prepare=partial(configured, self.lib, pair.way, opened),
            watch=watch,
            **what,
        )
        said = child.wait()
        if said != "ready":
            raise PairError(pair, child.end().trouble or said)
        return child

    def fresh(self, pair: Pair) -> None:
        """Lay the tree anew."""
        if self.tree.exists():
            shutil.rmtree(self.tree)
        shutil.copytree(self.templates(pair), self.tree, symlinks=True)

    def order(self, pair: Pair, roles: tuple[int, ...]) -> tuple[State, int]:
        """Let verbs run one after the other; return the result, and the calls of the first."""
        self.fresh(pair)
        children = [self.begin(pair, role) for role in (1, 0)][::-1]
        results: list[Result | None] = [None, None]
        counts = [0, 0]
        for role in roles:
            children[role].go()
            outcome = children[role].end()
            results[role], counts[role] = result_of(outcome), outcome.count
        for role in {0, 1} - {*roles}:
            children[role].leave()
        model, why = self.judged(pair)
        if model is None:
            raise PairError(pair, f"{roles}: {why}")
        return State(model, (results[0], results[1])), counts[0]

    def alone(self, pair: Pair, *roles: int) -> State:
        """Let only one verb run, or neither."""
        return self.order(pair, roles)[0]

    def meet(self, pair: Pair, at: int) -> tuple[str, list[Result | None], bool] | None:
        """Stop the first verb before a call while the second runs.

        Return the call, both results, and whether the second had to wait; None if the first does
        not get that far.
        """
        self.fresh(pair)
        second = self.begin(pair, 1)
        first = self.begin(pair, 0, pause_at=at)
        first.go()
        if not _until(first, "paused"):
            first.end()
            second.leave()
            return None
        call = first.call
        second.go()
        waited = second.wait(_LATE) != "ended"
        first.go()
        return call, [result_of(first.end()), result_of(second.end())], waited

    def judged(self, pair: Pair) -> tuple[Model | None, str | None]:
        """Return the model of the tree, and what is wrong with it by itself."""
        key = pair.variant, _bytes(self.tree)
        if key not in self.known:
            work = partial(_judge, self.lib, pair, self.tree)
            found, _, trouble, _ = forked(partial(configured, self.lib, pair.way, work))
            self.known[key] = found or (None, f"the judge failed: {trouble}")
        return self.known[key]


def _called(verb: Verb, library: str, have: Handles) -> Result:
    try:
        return Result(value=verb.act(have))
    except Exception as error:  # noqa: BLE001  (whatever it is, it is judged)
        clean = any(kind.__module__.startswith(library) for kind in type(error).__mro__)
        return Result(f"{type(error).__name__}: {error}", clean)


def result_of(outcome: Outcome) -> Result:
    """Return what a verb that was not killed has returned or raised."""
    if outcome.trouble:
        return Result(outcome.trouble, clean=False)
    assert isinstance(outcome.result, Result)
    return outcome.result


def _until(child: Child, wanted: str) -> bool:
    while True:
        said = child.wait()
        if said in {wanted, "ended"}:
            return said == wanted


def _judge(lib: Any, pair: Pair, tree: Path) -> tuple[Model | None, str | None]:
    try:
        found = look(lib, tree)
    except UnreadableError as error:
        return None, str(error)
    left = strays(tree)
    if left:
        return found, f"{left} temporary files stay"
    other = tree.with_name("other")
    shutil.copytree(tree, other, symlinks=True)
    try:
        return found, regrow(lib, other, pair.variant, TREE, found)
    finally:
        shutil.rmtree(other)


def _bytes(tree: Path) -> tuple[tuple[str, bytes], ...]:
    return tuple(
        (str(path.relative_to(tree)), b"" if path.is_dir() else path.read_bytes())
        for path in sorted(tree.rglob("*"))
    )


def try_pair(
    harness: Harness,
    pair: Pair,
    *,
    most: int = 0,
    but: int = 0,
    seed: int = 0,
    at: int | None = None,
) -> dict[str, Any]:
    """Try the points of a pair: all of them, so many that are spread evenly, or one.

    With ``but``, those are left out that would be tried if they were so many.
    """
    harness.known.clear()
    alone = cache(partial(harness.alone, pair))
    orders = {name: harness.order(pair, roles) for name, roles in _ORDERS.items()}
    states = {name: state for name, (state, _) in orders.items()}
    count = orders["first, second"][1]
    points = waited = 0
    refused: Counter[str] = Counter()
    bad = []
    left_out = {*_numbers(count, but, seed)} if but else set()
    for n in _numbers(count, most, seed) if at is None else [at]:
        if n in left_out:
            continue
        met = harness.meet(pair, n)
        if met is None:
            break
        call, results, late = met
        points, waited = points + 1, waited + late
        model, why = harness.judged(pair)
        if model is not None and why is None:
            state = State(model, (results[0], results[1]))
            why, refusals = verdict(pair, state, states, alone)
            refused.update(map(_kind, refusals))
        if why:
            bad.append({"at": n, "call": call, "why": why})
    return {
        "lib": harness.lib.__name__,
        "pair": pair.name,
        "points": points,
        "all": count,
        "refused": refused.total(),
        "refusals": refused,
        "waited": waited,
        "bad": bad,
    }


def _numbers(count: int, most: int, seed: int) -> Iterable[int]:
    """Return the numbers of calls to stop before; all of them may be more than were counted."""
    if not most:
        return itertools.count(1)
    start = seed % 97 / 97
    return sorted(
        {int((n + start) * count / most) % count + 1 for n in range(most)} if count else ()
    )


def select(pattern: str | None, lib: str) -> list[Pair]:
    """Return the pairs whose names match and that the library supports."""
    found = [pair for pair in pairs() if pattern is None or re.fullmatch(pattern, pair.name)]
    if lib == "fastzarr":
        return found
    return [
        pair
        for pair in found
        if pair.way == "native" and not (pair.first.beyond_control or pair.second.beyond_control)
    ]


def _kind(why: str) -> str:
    return re.sub(r"[0-9a-f]{16,}|torture-\w+|\d+", "*", why)


def told(result: dict[str, Any], command: str = "pairs") -> Iterator[str]:
    """Return the failed points of a result, one of each kind, with the command to reproduce it."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for bad in result["bad"]:
        kinds.setdefault(_kind(bad["why"]), []).append(bad)
    for some in sorted(kinds.values(), key=len, reverse=True)[:_KINDS]:
        first = some[0]
        then = f", then {first['then']}" if "then" in first else ""
        more = f" and {len(some) - 1} more" if len(some) > 1 else ""
        where = f"before call {first['at']} ({first['call']}){then}{more}"
        yield f"{result['pair']}: {where}: {first['why']}"
        words = f"{result['lib']} --pairs '{result['pair']}' --at {first['at']}"
        second = f" --then {first['then']}" if "then" in first else ""
        yield f"    PYTHONPATH=src:tests python -m torture.{command} {words}{second}"


def prove(budget: Budget, seed: int) -> Iterable[Row]:
    """Try some points of each pair, then all of one pair after another, and some of the control."""
    results = run(select(_CONTROL, "zarr"), "zarr", most=12, seed=seed)
    chosen = select(None, "fastzarr")
    random.Random(seed).shuffle(chosen)
    results += run(chosen, "fastzarr", most=_FIRST, seed=seed, budget=budget)
    results += run(chosen, "fastzarr", but=_FIRST, seed=seed, budget=budget)
    waited, refused = (
        sum(result[word] for result in results if result["lib"] == "fastzarr")
        for word in ("waited", "refused")
    )
    note = f"{waited:,} waited, {refused:,} refused"
    return [summary(9, "two verbs that meet", results, 5000, told, note)]


def run(
    chosen: list[Pair],
    lib: str,
    *,
    most: int = 0,
    but: int = 0,
    seed: int = 0,
    budget: Budget | None = None,
) -> list[dict[str, Any]]:
    """Try pairs in parallel processes."""
    jobs = []
    parts = workers() if budget is None else -(-len(chosen) // _TOGETHER)
    for part in range(min(parts, len(chosen))):
        names = "|".join(re.escape(pair.name) for pair in chosen[part::parts])
        words = ["--most", str(most), "--but", str(but), "--seed", str(seed), "--json"]
        jobs.append(["torture.pairs", lib, "--pairs", names, *words])
    return run_jobs(jobs, budget)


def main() -> int:
    """Try pairs from the command line."""
    parser = arguments("pairs", __doc__, "pairs")
    parser.add_argument("--most", type=int, default=0, help="try so many points of each, not all")
    parser.add_argument("--but", type=int, default=0, help="not those that --most would try")
    options = parser.parse_args()
    words = {name: getattr(options, name) for name in ("most", "but", "seed", "at")}
    counts = ("points", "waited", "refused")
    return try_each(select(options.pairs, options.lib), options, partial(try_pair, **words), counts)


def try_each(
    chosen: list[Pair],
    options: Namespace,
    attempt: Callable[[Harness, Pair], dict[str, Any]],
    counts: Iterable[str],
    command: str = "pairs",
) -> int:
    """Try pairs as the options of the command line say, print the results, and return the status.

    ``counts`` are the members of a result that are printed.
    """
    lib, failed = import_module(options.lib), 0
    end_cleanly()
    if options.list:
        print("\n".join(pair.name for pair in chosen))
        return 0
    trouble = import_used(partial(called_once, lib, chosen))
    if trouble:
        raise RuntimeError(trouble)
    gc.freeze()  # so that forked processes share these pages
    folder = scratch()
    try:
        harness = Harness(lib, folder)
        for pair in chosen:
            result = attempt(harness, pair)
            failed += len(result["bad"])
            if options.json:
                print(json.dumps(result), flush=True)
                continue
            found = ", ".join(f"{result[word]} {word}" for word in counts)
            print(f"{pair.name}: {len(result['bad'])} bad; {found}", flush=True)
            print("".join(line + "\n" for line in told(result, command)), end="")
    finally:
        shutil.rmtree(folder)
    return 0 if options.json else int(failed > 0)


def called_once(lib: Any, chosen: list[Pair]) -> None:
    """Call each verb once, so that what it imports is known."""
    verbs = {(p.way, v.name): (p.variant, v) for p in chosen for v in (p.first, p.second)}
    for (way, _), (variant, verb) in verbs.items():
        folder = scratch()
        tree = folder / "tree"
        tree.mkdir()
        try:
            setup(lib, tree, variant)
            have = configured(lib, way, partial(handles, lib, tree, variant, 0))
            _called(verb, lib.__name__, have)
            _judge(lib, Pair(verb, verb, variant, way), tree)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
