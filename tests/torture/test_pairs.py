"""A short version of the proof in ``pairs.py``; ``make torture`` stops verbs before all calls."""

from __future__ import annotations

import re
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
#: Pairs that are not serial yet: each must fail, or it goes.
NOT_YET = (
    "overwrite + delete the group",
    "overwrite + move the group",
    "overwrite + overwrite the group",
    "create + delete the group",
    "create + move the group",
    "create + overwrite the group",
    "create a group + move the group",
)


def test_verbs_that_meet_are_serial():
    some = [p for p in select(None, "fastzarr") if p.name.split("/")[1] not in NOT_YET]
    chosen = one_of_each(some)[::4]
    results = run(chosen, "fastzarr", most=2)
    assert sorted(result["pair"] for result in results) == sorted(pair.name for pair in chosen)
    assert sum(result["points"] for result in results) > len(chosen)
    assert sum(result["waited"] for result in results) > 5
    assert not [line for result in results for line in told(result)]


def test_pairs_that_are_not_serial_yet_fail():
    pattern = "|".join(re.escape(f"v3/{pair}/native") for pair in NOT_YET)
    results = run(select(pattern, "fastzarr"), "fastzarr", most=12)
    failed = {result["pair"].split("/")[1] for result in results if result["bad"]}
    assert failed == {*NOT_YET}


def test_the_control_is_not_serial():
    results = run(select(_CONTROL, "zarr"), "zarr", most=12)
    assert len(results) == 2
    assert all(result["bad"] for result in results), results
