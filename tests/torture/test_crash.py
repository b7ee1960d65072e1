"""A short form of the proofs of ``crash.py``; ``make torture`` runs them whole."""

from __future__ import annotations

import re
import sys
from platform import machine

import pytest
from torture.crash import select, told
from torture.frame import run_jobs, workers

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)

# What is known to be left half done by a writer that dies, until it is made whole.
_NOT_YET = {
    "overwrite.*|.* over another": "what stands there is removed before the new is there",
    "create with data|copy.*|save.*": "chunks without a document come alive in the next array",
    "delete.*": "the document is removed before the folder is moved away",
    "move to a new group": "the groups above are written after the move",
    "attributes in consolidated metadata": "the copy is removed after the document has changed",
}
# Cases in which zarr-python must fail, or else the harness sees nothing.
_CONTROL = ["v2/append/native", "v3/overwrite", "v3/shrink/native", "v3/delete"]


def _chosen():
    """Give each verb once, in turn of another variant and by another data path."""
    verbs = {}
    for case in select(None, "fastzarr"):
        if not any(re.fullmatch(pattern, case.verb) for pattern in _NOT_YET):
            verbs.setdefault(case.verb, []).append(case.name)
    return [names[place * 3 % len(names)] for place, names in enumerate(verbs.values())]


def _run(lib, names, every):
    jobs = []
    for part in range(workers()):
        pattern = "|".join(map(re.escape, names[part :: workers()]))
        jobs.append(["torture.crash", lib, "--cases", pattern, "--every", str(every), "--json"])
    return run_jobs(jobs)


def test_a_verb_that_is_killed_leaves_the_old_state_or_the_new():
    names = _chosen()
    results = _run("fastzarr", names, 4)
    assert sorted(result["case"] for result in results) == sorted(names)
    assert not [line for result in results for line in told(result)]
    assert all(result["points"] > 1 for result in results)


def test_the_control_fails():
    results = _run("zarr", _CONTROL, 4)
    assert {result["case"]: bool(result["bad"]) for result in results} == dict.fromkeys(
        _CONTROL, True
    )
