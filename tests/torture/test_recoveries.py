"""A short version of the proof in ``recoveries.py``; ``make torture`` tries more points."""

from __future__ import annotations

import sys
from platform import machine

import pytest
from torture.meetings import one_of_each
from torture.recoveries import run, select, told

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)


def test_a_killed_transaction_is_whole_for_all_who_find_its_journal():
    chosen = one_of_each(select(None))[::6]
    results = run(chosen, most=4)
    assert sorted(result["pair"] for result in results) == sorted(pair.name for pair in chosen)
    assert not [line for result in results for line in told(result)]
    assert sum(result["journals"] for result in results) > len(chosen)
