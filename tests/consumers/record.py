"""A plugin of pytest that writes a line of JSON for each test: its outcome, and why it failed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# The file that the lines are appended to: tests that crash Python leave those before them.
VARIABLE = "CONSUMERS_OUTCOMES"
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


def pytest_runtest_logreport(report: Any) -> None:
    """Write the outcome of a test, and of what goes before and after it if that is not to pass."""
    if report.when == "call" or report.outcome != "passed":
        expected = hasattr(report, "wasxfail")
        _write(report.nodeid, "xfailed" if expected and report.skipped else report.outcome, report)


def pytest_collectreport(report: Any) -> None:
    """Write the failure to import a file of tests."""
    if report.failed:
        _write(report.nodeid, "failed", report)
