"""A short version of the proof in ``pairs.py``; ``make torture`` stops verbs before all calls."""

from __future__ import annotations

import sys
from platform import machine

import pytest
from torture.meetings import one_of_each
from torture.pairs import run, select, told

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)

# Pairs in which zarr-python must fail, or else the harness sees nothing.
_CONTROL = r"v3/(append \+ append|write a part \+ write a part)/native"


def test_verbs_that_meet_are_serial():
    chosen = one_of_each(select(None, "fastzarr"))[::4]
    results = run(chosen, "fastzarr", most=2)
    assert sorted(result["pair"] for result in results) == sorted(pair.name for pair in chosen)
    assert sum(result["points"] for result in results) > len(chosen)
    assert sum(result["waited"] for result in results) > 5
    assert not [line for result in results for line in told(result)]


def test_the_control_is_not_serial():
    results = run(select(_CONTROL, "zarr"), "zarr", most=12)
    assert len(results) == 2
    assert all(result["bad"] for result in results), results
