"""A plugin of pytest that writes a line of JSON for each test: its outcome, and why it failed.

It also leaves out all tests but those of a list, if it is given one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

# The file that the lines are appended to: tests that crash Python leave those before them.
VARIABLE = "CONSUMERS_OUTCOMES"
# The file with the names of the tests that run, as a list in JSON. Without it, all of them do. They
# are no arguments of pytest, whose folder they are not always relative to.
ONLY = "CONSUMERS_ONLY"
LONGEST = 400


def _write(test: str, outcome: str, report: Any) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    crash = getattr(report.longrepr, "reprcrash", None)
    # The end of a traceback has the error.
    message = crash.message[:LONGEST] if crash else str(report.longrepr)[-LONGEST:]
    line = {"test": test, "outcome": outcome, "message": message if report.failed else ""}
    with Path(os.environ[VARIABLE]).open("a") as file:
        file.write(json.dumps(line) + "\n")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that are not in the list."""
    if ONLY not in os.environ:
        return
    wanted = set(json.loads(Path(os.environ[ONLY]).read_text()))
    others = [item for item in items if item.nodeid not in wanted]
    items[:] = [item for item in items if item.nodeid in wanted]
    config.hook.pytest_deselected(items=others)


def pytest_runtest_logreport(report: Any) -> None:
    """Write the outcome of a test, and of what goes before and after it if that is not to pass."""
    if report.when == "call" or report.outcome != "passed":
        expected = hasattr(report, "wasxfail")
        _write(report.nodeid, "xfailed" if expected and report.skipped else report.outcome, report)


def pytest_collectreport(report: Any) -> None:
    """Write the failure to import a file of tests."""
    if report.failed:
        _write(report.nodeid, "failed", report)
