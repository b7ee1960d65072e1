"""The comparison of two runs of a suite: each failure is counted once, and has a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from consumers import page
from consumers.compared import Compared, compare, read, shortened
from consumers.reasons import REASONS, Reason
from consumers.suites import SUITES

if TYPE_CHECKING:
    from pathlib import Path


def outcomes(path: Path, **found: str):
    """Write what the plugin writes, and read it."""
    with path.open("w") as file:
        for test, said in found.items():
            outcome, _, message = said.partition(": ")
            line = {"test": test, "outcome": outcome, "message": message}
            file.write(json.dumps(line) + "\n")
    return read(path)


def test_failures_need_reasons_and_reasons_failures(tmp_path: Path):
    theirs = outcomes(
        tmp_path / "theirs",
        good="passed",
        known="passed",
        new="passed",
        gone="passed",
        neither="failed: no network",
        odd="failed",
        left="skipped",
    )
    ours = outcomes(
        tmp_path / "ours",
        good="passed",
        known="failed: ValueError: a word",
        new="failed: KeyError",
        neither="failed: no network",
        odd="passed",
        left="failed",
    )
    known = Reason("some*", "know*", "it has a reason", "a w.rd")
    other = Reason("some*", "know*", "it fails in another way", "TypeError")
    sometimes = Reason("some*", "other", "it depends on the system", varies=True)
    elsewhere = Reason("another", "*", "it is of another suite")
    found = compare("some suite", theirs, ours, [other, known, sometimes, elsewhere])
    assert (found.before, found.after, found.more, found.neither) == (4, 1, 1, 1)
    assert found.failures == {"it has a reason": ["known"]}
    assert found.unexplained == {"new": "KeyError", "gone": "it has not run"}
    assert found.unused == [other]


def test_a_test_fails_if_what_surrounds_it_fails(tmp_path: Path):
    path = tmp_path / "outcomes"
    lines = [("a", "passed"), ("a", "failed"), ("b", "failed"), ("b", "passed")]
    path.write_text(
        "".join(
            json.dumps({"test": test, "outcome": outcome, "message": ""}) + "\n"
            for test, outcome in lines
        )
    )
    assert {test: found.outcome for test, found in read(path).items()} == {
        "a": "failed",
        "b": "failed",
    }
    assert read(tmp_path / "never written") == {}


def test_tests_with_parameters_are_counted_by_their_names():
    assert shortened(["f::b[1]", "f::a", "f::b[2-x]"]) == ["f::a", "f::b (2)"]
    assert Reason("*", "f::b[1*", "").covers("f::b[1-x]", "")
    assert not Reason("*", "f::b[1*", "").covers("f::b1", "")


def test_the_page_keeps_what_a_run_left_out(tmp_path: Path):
    path = tmp_path / "page.md"
    path.write_text(f"Before.\n\n{page.BEGIN}\n{page.END}\n\nAfter.\n")
    first = Compared("one", "1.0", before=3, after=2, failures={"because": ["f::a"]})
    page.write([first, Compared("two", "2.0", before=1_000, after=1_000, neither=4)], path)
    page.write([Compared("one", "1.1", before=3, after=3), Compared("two", unavailable="so")], path)
    text = path.read_text()
    assert text.startswith(f"Before.\n\n{page.BEGIN}\n| suite |")
    assert text.endswith(f"{page.END}\n\nAfter.\n")
    assert "| one | 1.1 | 3 | 3 |  |" in text
    assert "| two | 2.0 | 1,000 | 1,000 | 4 fail with both |" in text
    assert "because" not in text
    page.write([first], path)
    assert "### one\n\n* because: 1: `f::a`\n" in path.read_text()


def test_each_reason_is_of_a_suite():
    names = {suite.name for suite in SUITES}
    assert len(names) == len(SUITES)
    assert all("*" in reason.suite or reason.suite in names for reason in REASONS)
