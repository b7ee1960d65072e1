"""Documents of several nodes are requested at once, from a server that takes its time."""

from __future__ import annotations

import numpy as np
import pytest

import fastzarr
from fastzarr import create_array, open_group
from fastzarr.stores import MemoryStore, ObjectStore


@pytest.fixture
def remote(s3, proxy):
    """Return a store with a group of 40 arrays and 8 groups of one, and forget the requests."""
    local = MemoryStore()
    group = open_group(local, mode="w")
    for number in range(40):
        group.create_array(f"a{number:02}", data=np.array([number]))
    for number in range(8):
        group.create_array(f"g{number}/x", data=np.array([number]))
    fastzarr.copy_store(local, ObjectStore(s3.url, storage_options=s3.obstore()))
    through = s3.through(proxy)
    proxy.latency(0.05)
    proxy.forget()
    return ObjectStore(through.url, storage_options=through.obstore())


def test_members_are_requested_at_once(remote, proxy):
    group = open_group(remote, mode="r")
    assert proxy.count() == 1
    proxy.forget()
    assert len(group.members()) == 48
    # One listing, the documents of the members, and nothing else.
    assert proxy.count() == 49
    assert proxy.peak > 20


def test_a_tree_is_requested_by_levels(remote, proxy):
    group = open_group(remote, mode="r")
    proxy.forget()
    assert "g7" in str(group.tree())
    assert proxy.peak > 20


def test_consolidating_requests_documents_at_once(remote, proxy):
    proxy.forget()
    fastzarr.consolidate_metadata(remote)
    assert proxy.peak > 20
    proxy.forget()
    group = open_group(remote, mode="r")
    assert len(dict(group.members(max_depth=None))) == 56
    assert proxy.count() == 1


def test_a_new_array_asks_for_all_documents_at_once(remote, proxy):
    proxy.forget()
    create_array(remote, name="g1/deep/er/x", shape=4, dtype="i4")
    assert proxy.peak > 3
