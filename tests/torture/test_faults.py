"""A short version of the proofs in ``faults.py`` and ``starve.py``; ``make torture`` runs all."""

from __future__ import annotations

import re
import sys
from platform import machine

import pytest
from torture import starve
from torture.faults import select, told
from torture.frame import run_jobs, workers
from torture.harness import BY_URL
from torture.looks import Look
from torture.verbs import Case, one_of_each

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)


def _run(module, lib, names, *words):
    parts = [names[part :: workers()] for part in range(workers())]
    return run_jobs(
        [
            [module, lib, "--cases", "|".join(map(re.escape, part)), *words, "--json"]
            for part in parts
            if part
        ]
    )


def _judge(results, names):
    assert sorted(result["case"] for result in results) == sorted(names)
    assert not [line for result in results for line in told(result)]
    assert all(result["points"] for result in results)


def test_who_reads_gets_the_right_answer_or_an_error():
    looks = [case for case in select(None, "fastzarr") if isinstance(case, Look)]
    names = [look.name for look in looks][::9]
    _judge(_run("torture.faults", "fastzarr", names, "--every", "5"), names)


def test_who_writes_leaves_the_old_or_the_new_when_a_call_fails():
    found = [case for case in select(None, "fastzarr") if isinstance(case, Case)]
    names = [case.name for case in one_of_each(found)][::2]
    _judge(_run("torture.faults", "fastzarr", names, "--every", "51"), names)


def test_who_writes_leaves_the_old_or_the_new_when_room_runs_out():
    # The file system that is full needs the right to mount; make torture has it where it is given.
    names = [case.name for case in one_of_each(starve.select(None, "fastzarr"))][::3]
    _judge(_run("torture.starve", "fastzarr", names, "--limit", "size", "--limit", "files"), names)


@pytest.mark.parametrize(
    ("lib", "names"),
    [
        ("zarr", ["v2/stored chunks/native", "v3/overwrite", "v2/append/native"]),
        (BY_URL, ["v2/stored chunks/native", "v3/stored bytes/native"]),
    ],
)
def test_the_control_fails(lib, names):
    results = _run("torture.faults", lib, names, "--every", "5")
    assert {result["case"]: bool(result["bad"]) for result in results} == dict.fromkeys(names, True)
