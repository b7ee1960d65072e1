"""A short version of the proof in ``transactions.py``; ``make torture`` runs it completely."""

from __future__ import annotations

import sys

import pytest
from torture.frame import run_jobs, workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked and killed")


def test_transactions_of_killed_processes_are_kept_whole_or_not_at_all():
    jobs = [["torture.transactions", str(n * 10), "10", "--json"] for n in range(workers())]
    results = run_jobs(jobs)
    assert [line for result in results for line in result["bad"]] == []
    assert [result["count"] for result in results] == [10] * workers()
    assert sum(result["killed"] for result in results) > 0
