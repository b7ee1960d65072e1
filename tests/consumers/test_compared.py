"""The comparison of two runs of a suite: each failure is counted once, and has a reason."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from consumers import __main__ as program
from consumers import compared, environments, page, record
from consumers.compared import Compared, compare, read, shortened
from consumers.reasons import REASONS, Reason
from consumers.suites import SUITES

if TYPE_CHECKING:
    import pytest


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


def test_what_fails_runs_once_more_with_either(monkeypatch: pytest.MonkeyPatch):
    first = {
        "with zarr": {"good": "passed", "busy": "failed", "lost": "passed", "both": "failed"},
        "with ours": {"good": "passed", "busy": "passed", "both": "failed"},
    }
    second = {"with zarr": {"busy": "passed"}, "with ours": {"lost": "passed"}}
    asked = {}

    def outcomes(_suite: object, python: str, *_: object, alias: bool, only: list[str] = []):  # noqa: B006
        assert alias == (python == "with ours")
        if only:
            asked[python] = only
        found = second[python] if only else first[python]
        return {test: compared.Outcome(outcome) for test, outcome in found.items()}

    monkeypatch.setattr(program, "outcomes", outcomes)
    monkeypatch.setattr(program, "pythons", lambda *_: ("with zarr", "with ours"))
    monkeypatch.setattr(environments, "interpreter", lambda _: "python")
    monkeypatch.setattr(environments, "source", lambda *_: Path())
    monkeypatch.setattr(environments, "version", lambda *_: "1.0")
    monkeypatch.setattr(program, "REASONS", ())
    found = program.run(SUITES[0], argparse.Namespace(python=None))
    assert asked == {"with zarr": ["busy"], "with ours": ["lost"]}
    assert (found.before, found.after, found.more, found.neither) == (3, 3, 0, 1)
    assert found.again == {"zarr-python": ["busy"], "fastzarr": ["lost"]}
    assert not found.unexplained


def test_the_page_names_what_passed_when_run_once_more(tmp_path: Path):
    path = tmp_path / "page.md"
    path.write_text(f"{page.BEGIN}\n{page.END}\n")
    again = {"zarr-python": [], "fastzarr": ["f::a[1]", "f::a[2]", "f::b"]}
    page.write([Compared("one", "1.0", before=3, after=3, again=again)], path)
    text = path.read_text()
    assert "* failed at first with fastzarr, and passed when run once more: 3: `f::a (2)`" in text
    assert "with zarr-python, and" not in text


def test_a_list_of_tests_leaves_out_the_others(tmp_path: Path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "test_some.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.parametrize('word', ['a b', 'c'])\ndef test_one(word):\n    pass\n\n\n"
        "def test_two():\n    pass\n"
    )
    tests = tmp_path / "tests.json"
    tests.write_text(json.dumps(["inside/test_some.py::test_one[a b]"]))
    path = tmp_path / "outcomes"
    # A worker of pytest leaves writing to what started it.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "consumers.record", "-p", "no:cacheprovider"],
        cwd=inside,
        env={
            **kept,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            record.ONLY: str(tests),
            record.VARIABLE: str(path),
        },
        check=True,
        capture_output=True,
    )
    assert list(read(path)) == ["inside/test_some.py::test_one[a b]"]
