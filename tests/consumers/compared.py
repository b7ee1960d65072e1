"""The outcomes of a suite with zarr-python and with fastzarr, test by test."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from consumers.reasons import Reason

BAD = "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of a test."""

    outcome: str
    message: str = ""


def read(path: Path) -> dict[str, Outcome]:
    """Return the outcomes in a file that the plugin has written. The worst of a test counts."""
    found: dict[str, Outcome] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        said = json.loads(line)
        if said["outcome"] == BAD or said["test"] not in found:
            found[said["test"]] = Outcome(said["outcome"], said["message"])
    return found


def passed(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the tests that have passed."""
    return [test for test, outcome in outcomes.items() if outcome.outcome == "passed"]


def unsettled(found: Mapping[str, Outcome], other: Mapping[str, Outcome]) -> list[str]:
    """Return the tests to run once more: those that pass with the other alone."""
    missing = Outcome("missing")
    return [test for test in passed(other) if found.get(test, missing).outcome in (BAD, "missing")]


@dataclass
class Compared:
    """A suite, as it went with zarr-python and with fastzarr."""

    suite: str
    version: str = ""
    unavailable: str = ""
    """Why it has not run."""
    before: int = 0
    """How many tests pass with zarr-python."""
    after: int = 0
    """How many of them pass with fastzarr."""
    more: int = 0
    """How many tests pass with fastzarr alone."""
    neither: int = 0
    """How many fail with both, of what is missing here."""
    failures: dict[str, list[str]] = field(default_factory=dict)
    """The reasons, each with its tests."""
    unexplained: dict[str, str] = field(default_factory=dict)
    """The tests that fail without a reason in the table, with their messages."""
    unused: list[Reason] = field(default_factory=list)
    """The entries of the table that no failure needs."""
    again: dict[str, list[str]] = field(default_factory=dict)
    """The tests that failed at first and passed when run once more, by what they ran with."""


def compare(
    suite: str,
    theirs: Mapping[str, Outcome],
    ours: Mapping[str, Outcome],
    reasons: Iterable[Reason],
) -> Compared:
    """Compare the outcomes of a suite, and give each failure its reason."""
    found = Compared(suite)
    left = {reason: 0 for reason in reasons if fnmatchcase(suite, reason.suite)}
    for test, with_theirs in theirs.items():
        with_ours = ours.get(test, Outcome("missing", "it has not run"))
        if with_theirs.outcome == BAD == with_ours.outcome:
            found.neither += 1
        if with_theirs.outcome != "passed":
            continue
        found.before += 1
        if with_ours.outcome == "passed":
            found.after += 1
            continue
        reason = next((entry for entry in left if entry.covers(test, with_ours.message)), None)
        if reason is None:
            found.unexplained[test] = with_ours.message
        else:
            left[reason] += 1
            found.failures.setdefault(reason.why, []).append(test)
    found.more = len(passed(ours)) - found.after
    found.unused = [reason for reason, count in left.items() if not count and not reason.varies]
    return found


def shortened(tests: Iterable[str]) -> list[str]:
    """Return the names of tests without parameters, each with the number of its failures."""
    counts = Counter(test.partition("[")[0] for test in tests)
    return [name if count == 1 else f"{name} ({count})" for name, count in sorted(counts.items())]
