"""A short version of the proofs in ``embedded.py``."""

from __future__ import annotations

import sys
from platform import machine

import pytest
from torture.embedded import KEYS, KINDS, VERBS, tries

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)


# What dbm.dumb writes of each key makes many points.
EVERY = {"dumb": 29, "sqlite": 7, "lmdb": 5}


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_a_database_that_is_killed_is_made_or_not_made(kind: str) -> None:
    found = [*tries(kind, EVERY[kind], KEYS), *tries(kind, 5 * EVERY[kind], VERBS)]
    assert [(name, why) for name, why in found if why] == []
    assert len(found) > 10
