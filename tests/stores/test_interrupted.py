"""Ctrl-C while a server does not answer: a read is left, a change ends before the call does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
from waits import join

from fastzarr import create_array, open_array
from fastzarr.config import config
from fastzarr.stores import FsspecStore, ObjectStore

READS = {
    "get": lambda store: store.get("a/zarr.json"),
    "exists": lambda store: store.exists("a/zarr.json"),
    "list": lambda store: list(store.list()),
    "open": lambda store: open_array(store, path="a", mode="r"),
}
CHANGES = {
    "set": lambda store: store.set("b", b"1"),
    "chunk": lambda store: open_array(store, path="a").__setitem__(slice(0, 10), 5),
    "part of a chunk": lambda store: open_array(store, path="a").__setitem__(3, 5),
    "chunks": lambda store: open_array(store, path="a").__setitem__(..., 5),
    "attribute": lambda store: open_array(store, path="a").attrs.__setitem__("x", 1),
    "append": lambda store: open_array(store, path="a").append(np.ones(10, "i4")),
}


@contextmanager
def ctrl_c(proxy, count=1, **rule):
    """Let requests stall, and interrupt the main thread as soon as so many do."""
    proxy.fault("stall", times=None, **rule)

    failed = []

    def watch():
        try:
            proxy.wait_for_stalled(count)
            os.kill(os.getpid(), signal.SIGINT)
        except Exception as error:  # noqa: BLE001  (raised below)
            # What is stalled ends, too.
            proxy.clear()
            failed.append(error)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        join(thread)
        signal.signal(signal.SIGINT, before)
        if failed:
            raise failed[0]


@pytest.fixture(params=["obstore", "fsspec"])
def store(request, s3, proxy):
    """Return a store behind a proxy, with an array."""
    create_array(s3.url, name="a", data=np.zeros(40, "i4"), chunks=10, storage_options=s3.obstore())
    through = s3.through(proxy)
    # A change by obstore ends with its attempt, and is not repeated until the deadline.
    with config.set({"fetch.timeout": 0.5, "fetch.deadline": 60.0}):
        if request.param == "obstore":
            made = ObjectStore(through.url, storage_options=through.obstore())
        else:
            made = FsspecStore.from_url(through.url, through.s3fs())
        yield made
    proxy.clear()


def contents(s3):
    behind = ObjectStore(s3.url, storage_options=s3.obstore())
    return {key: behind.get(key) for key in behind.list()}


def wait_until_closed(proxy):
    """Wait until the proxy has noticed that no client waits for an answer of it any more.

    A client closes a connection behind its call. Until then, the proxy could let its request go on.
    """
    for _ in range(1000):
        if not proxy.under_way:
            return
        time.sleep(0.01)
    pytest.fail("a client still waits for an answer")


@pytest.mark.parametrize("verb", READS)
def test_a_read_is_left(store, proxy, verb):
    with ctrl_c(proxy), pytest.raises(KeyboardInterrupt):
        READS[verb](store)
    assert proxy.count() == 1
    proxy.clear()
    assert store.get("a/zarr.json")


def test_chunks_that_are_read_are_left(store, proxy):
    array = open_array(store, path="a", mode="r")
    for selection in (3, ...):
        with ctrl_c(proxy, target="/c/"), pytest.raises(KeyboardInterrupt):
            array[selection]
        proxy.clear()
    assert array[:].tolist() == [0] * 40


@pytest.mark.parametrize("verb", CHANGES)
def test_a_change_that_is_interrupted_changes_nothing_later(store, s3, proxy, verb):
    before = contents(s3)
    with ctrl_c(proxy, method="PUT"), pytest.raises(KeyboardInterrupt):
        CHANGES[verb](store)
    requests = proxy.count()
    after = contents(s3)
    wait_until_closed(proxy)
    proxy.clear()
    assert contents(s3) == after == before
    assert proxy.count() == requests


@pytest.mark.parametrize("path", ["native", "numpy"])
@pytest.mark.parametrize("part", [slice(None), slice(None, None, 3)], ids=["whole", "in part"])
def test_no_thread_repeats_what_it_stores_for_a_call_that_is_interrupted(
    store, s3, proxy, path, part
):
    array = open_array(store, path="a")
    before = contents(s3)
    with config.set({"data_path": path}):
        with ctrl_c(proxy, 4, method="PUT"), pytest.raises(KeyboardInterrupt):
            array[part] = 5
        assert contents(s3) == before
        puts = Counter(one.target for one in proxy.log() if one.method == "PUT")
        assert set(puts.values()) == {1}
        wait_until_closed(proxy)
        proxy.clear()
        requests = proxy.count()
        assert contents(s3) == before
        array[part] = 5
    assert proxy.count() > requests
    assert (array[part] == 5).all()


@pytest.mark.parametrize("path", ["native", "numpy"])
def test_nothing_is_stored_for_a_call_that_is_interrupted_while_it_reads(store, s3, proxy, path):
    array = open_array(store, path="a")
    array[...] = 7
    before = contents(s3)
    proxy.forget()
    with config.set({"data_path": path}):
        with ctrl_c(proxy, 4, method="GET", target="/c/"), pytest.raises(KeyboardInterrupt):
            array[::3] = 5
        gets = Counter(one.target for one in proxy.log() if one.fault)
        assert (len(gets), set(gets.values())) == (4, {1})
        assert not proxy.count("PUT")
        proxy.clear()
    assert contents(s3) == before
