"""A short version of the proofs in ``outages.py``."""

from __future__ import annotations

import sys
from functools import partial
from platform import machine
from typing import Any

import pytest
from torture import outages

from fastzarr.storage import LMDBStore

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("durability", ["none", "replace"])
@pytest.mark.parametrize("kind", outages.KINDS)
def test_a_power_cut_leaves_what_was_promised(kind: str, durability: str, new: bool) -> None:
    found = list(outages.cuts(kind, durability, 40, new=new))
    assert [(name, why) for name, why in found if why] == []
    assert len(found) == 40


def test_a_power_cut_shows_what_is_not_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model finds the losses of zarr-python 2's settings, without its map that is written."""
    unsynced: Any = partial(LMDBStore, sync=False, metasync=False)
    monkeypatch.setitem(outages.KINDS, "lmdb", unsynced)
    assert any(why for _, why in outages.cuts("lmdb", "replace", 60))
