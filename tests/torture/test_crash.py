"""A short version of the proofs in ``crash.py``; ``make torture`` runs them completely."""

from __future__ import annotations

import re
import sys
from platform import machine

import pytest
from torture.crash import select, told
from torture.frame import run_jobs, workers
from torture.harness import BY_URL
from torture.verbs import one_of_each

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)

# Cases in which zarr-python must fail, or else the harness sees nothing.
_CONTROL = ["v2/append/native", "v3/overwrite", "v3/shrink/native", "v3/delete"]
# Its store of a folder replaces chunks by renaming.
_BY_URL = ["v2/write whole chunks/native", "v3/write part of chunks/native"]


def _run(lib, names, every):
    jobs = []
    for part in range(workers()):
        pattern = "|".join(map(re.escape, names[part :: workers()]))
        jobs.append(["torture.crash", lib, "--cases", pattern, "--every", str(every), "--json"])
    return run_jobs(jobs)


def test_a_verb_that_is_killed_leaves_the_old_state_or_the_new():
    names = [case.name for case in one_of_each(select(None, "fastzarr"))]
    results = _run("fastzarr", names, 8)
    assert sorted(result["case"] for result in results) == sorted(names)
    assert not [line for result in results for line in told(result)]
    assert sum(result["points"] for result in results) > 2 * len(names)


def test_a_verb_on_n5_that_is_killed_leaves_the_old_state_or_the_new():
    verbs = (
        "append|shrink|grow over rests|write whole chunks|write part of chunks|write the fill value"
    )
    documents = (
        "attributes|create with data|overwrite|overwrite with data|overwrite the root|"
        "move a group|transaction"
    )
    both = [
        ["torture.crash_n5", "fastzarr", "--cases", f"n5/({some})(/.*)?", "--every", "30", "--json"]
        for some in (verbs, documents)
    ]
    results = run_jobs(both)
    assert len(results) > 15
    assert not [line for result in results for line in told(result)]
    assert sum(result["points"] for result in results) > 2 * len(results)


@pytest.mark.parametrize(("lib", "names"), [("zarr", _CONTROL), (BY_URL, _BY_URL)])
def test_the_control_fails(lib, names):
    results = _run(lib, names, 4 if lib == "zarr" else 1)
    assert {result["case"]: bool(result["bad"]) for result in results} == dict.fromkeys(names, True)
