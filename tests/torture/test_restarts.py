"""A short version of the proofs in ``restarts.py``."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from torture import restarts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is that of Linux")


def test_a_verb_beside_a_server_that_is_killed_is_made_or_not_made(redis_process: Any) -> None:
    del redis_process  # skips where there is no server
    found = list(restarts.tries(every=37))
    assert [(name, why) for name, why in found if why] == []
    assert len(found) > 5


def test_a_server_that_keeps_no_file_is_found(
    redis_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del redis_process
    monkeypatch.setattr(restarts, "OPTIONS", ("--save", ""))
    bad = [why for _, why in restarts.tries(every=150) if why]
    assert bad
