"""A short version of the proofs in ``archives.py``."""

from __future__ import annotations

import sys
from platform import machine

import pytest
from torture.archives import contend, cuts, tries

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)


def test_a_change_of_an_archive_that_is_killed_is_made_or_not_made():
    found = list(tries(every=7))
    assert [(name, why) for name, why in found if why] == []
    assert len(found) > 30


@pytest.mark.parametrize("durability", ["replace", "full"])
def test_a_power_cut_leaves_what_was_promised(durability):
    found = list(cuts(200, durability))
    assert [(name, why) for name, why in found if why] == []
    assert len(found) >= 200


def test_no_write_to_a_shared_chunk_of_an_archive_is_lost():
    assert contend(processes=3, threads=3, writes=40) == 0
