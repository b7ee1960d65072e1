"""Stores of a cloud in other processes: loaders, executors, and forks while requests are under way.

Each start method works, or raises ForkedError; none hangs. A child that hangs is killed by its own
alarm, which fails the test.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from servers.s3 import REGION
from waits import join

from fastzarr import create_array, open_array
from fastzarr.config import config
from fastzarr.errors import ForkedError
from fastzarr.stores import FsspecStore, ObjectStore

METHODS = [
    name
    for name in ("fork", "spawn", "forkserver")
    if name in multiprocessing.get_all_start_methods()
]
VALUES = np.arange(80)
WATCHDOG = 60
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def opened(kind, place):
    """Return a store without credentials: a pickle of it can be used anywhere."""
    if kind == "obstore":
        options = {"endpoint": place.endpoint, "region": REGION, "anon": True}
        return ObjectStore(place.url, storage_options=options)
    client = {"endpoint_url": place.endpoint, "region_name": REGION}
    return FsspecStore.from_url(place.url, {"anon": True, "client_kwargs": client})


KINDS = ("obstore", "s3fs")


@pytest.fixture
def arrays(s3, proxy):
    """Return an array in a store of each kind that this process has used, behind a proxy."""
    create_array(s3.url, name="a", data=VALUES, chunks=10, storage_options=s3.obstore())
    found = {kind: open_array(opened(kind, s3.through(proxy)), path="a") for kind in KINDS}
    assert all(array[0] == 0 for array in found.values())
    return found


def workers(method):
    """Return how many processes are started: those that import everything anew take long."""
    return 2 if method == "fork" else 1


# Loaders


class Loader:
    """A loader as those of machine learning: workers take indices, and send batches or errors.

    A worker has the data as an argument of its process: by the fork, or by a pickle.
    """

    def __init__(self, data, method):
        self.context = multiprocessing.get_context(method)
        self.indices, self.batches = self.context.Queue(), self.context.Queue()
        self.workers = [
            self.context.Process(target=serve, args=(data, self.indices, self.batches), daemon=True)
            for _ in range(workers(method))
        ]
        for worker in self.workers:
            worker.start()

    def epoch(self, indices):
        """Return the batches in the order of their indices; raise the error of a worker."""
        for number, index in enumerate(indices):
            self.indices.put((number, index))
        found, errors = {}, []
        while len(found) < len(indices):
            number, batch, error = self.batches.get(timeout=WATCHDOG)
            found[number] = batch
            errors += [] if error is None else [error]
        if errors:
            raise errors[0]
        return [found[number] for number in range(len(indices))]

    def close(self):
        for _ in self.workers:
            self.indices.put(None)
        for worker in self.workers:
            worker.join(WATCHDOG)
            assert worker.exitcode == 0


def serve(data, indices, batches):
    """Send the batches of the indices that come, until None comes."""
    while (wanted := indices.get()) is not None:
        number, index = wanted
        try:
            batches.put((number, data[index], None))
        except Exception as error:  # noqa: BLE001  (raised by the loader)
            batches.put((number, None, error))


class Data:
    """Arrays whose elements are batches."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __getitem__(self, index):
        kind, part = index
        return self.arrays[kind][part]


@pytest.mark.parametrize("method", METHODS)
def test_a_loader(arrays, proxy, method):
    loader = Loader(Data(arrays), method)
    try:
        for kind in KINDS:
            batches = [(kind, slice(start, start + 20)) for start in range(0, 80, 20)]
            if kind == "obstore" and method == "fork":
                with pytest.raises(ForkedError, match=r"'spawn'.*multiprocessing_context='spawn'"):
                    loader.epoch(batches)
                continue
            for _ in range(2):
                np.testing.assert_array_equal(np.concatenate(loader.epoch(batches)), VALUES)
    finally:
        loader.close()
    # The process that has started others works on, and no request of it is lost.
    for array in arrays.values():
        proxy.forget()
        np.testing.assert_array_equal(array[:], VALUES)
        assert proxy.methods() == {"GET": 8}


def read(array, start):
    return array[start : start + 20]


def write(array, start, value):
    array[start : start + 5] = value
    array.attrs[str(start)] = value


@pytest.mark.parametrize("method", METHODS)
def test_an_executor(arrays, method):
    context = multiprocessing.get_context(method)
    starts = range(0, 80, 20)
    with ProcessPoolExecutor(workers(method), mp_context=context) as pool:
        for value, (kind, array) in enumerate(arrays.items(), -2):
            expected = array[:]
            found = pool.map(read, [array] * 4, starts)
            if kind == "obstore" and method == "fork":
                with pytest.raises(ForkedError, match="spawn"):
                    next(found)
                with pytest.raises(ForkedError, match="spawn"):
                    pool.submit(write, array, 0, value).result()
                continue
            np.testing.assert_array_equal(np.concatenate(list(found)), expected)
            for start in starts:
                pool.submit(write, array, start, value).result()
            assert (array[:] == value).sum() == 20
            array.refresh()
            assert dict(array.attrs) == {str(start): value for start in starts}


def program(text, place):
    """Return the lines that a program prints, which uses this file and a place."""
    tests = Path(__file__).parents[1]
    done = subprocess.run(  # noqa: S603  (this file's programs)
        [sys.executable, "-c", text, str(tests), place.endpoint, place.prefix],
        capture_output=True,
        text=True,
        check=False,
        timeout=WATCHDOG,
    )
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


# Forks at any time


def forked(work):
    """Run a function in a forked child; return what it has written, and how the child ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(WATCHDOG)
        status = 1
        try:
            os.write(writer, str(work()).encode())
            status = 0
        except ForkedError:
            os.write(writer, b"ForkedError")
            status = 0
        except BaseException:  # noqa: BLE001  (it is written, and the child ends)
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    return said, os.waitpid(child, 0)[1]


CALLS = {
    "read": lambda z: z[:].tolist() == VALUES.tolist(),
    "part": lambda z: z[5:15].tolist() == VALUES[5:15].tolist(),
    "open": lambda z: open_array(z.store, path="a", mode="r").shape == (80,),
    "list": lambda z: sorted(z.store.list()) != [],
    "write": lambda z: z.__setitem__(slice(70, 80), VALUES[70:]) is None,
    "write a part": lambda z: z.__setitem__(0, 0) is None,
    "attribute": lambda z: z.attrs.__setitem__("child", 1) is None,
    "append": lambda z: z.append(VALUES[:3]) == (83,),
}
UNDER_WAY = {
    "reading": ("GET", "/c/", lambda z: z[:]),
    "writing": ("PUT", "/c/0$", lambda z: z.__setitem__(0, 0)),
    "changing": ("PUT", "/zarr.json$", lambda z: z.attrs.__setitem__("parent", 1)),
}


@pytest.mark.parametrize("state", UNDER_WAY)
@pytest.mark.parametrize(
    ("kind", "calls"), [("s3fs", tuple(CALLS)), ("obstore", ("read", "write a part"))]
)
def test_a_fork_while_requests_are_under_way(kind, s3, proxy, state, calls):
    """The child does not wait for requests, threads and locks that only its parent has."""
    create_array(s3.url, name="a", data=VALUES, chunks=10, storage_options=s3.obstore())
    array = open_array(opened(kind, s3.through(proxy)), path="a")
    method, target, work = UNDER_WAY[state]
    failed = []

    def run():
        try:
            work(array)
        except BaseException as error:  # noqa: BLE001  (looked at below)
            failed.append(error)

    proxy.fault("stall", method=method, target=target)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        proxy.wait_for_stalled()
        # Each call is the first one of its child.
        found = {call: forked(partial(CALLS[call], array)) for call in calls}
    finally:
        proxy.release()
        join(thread)
    assert found == dict.fromkeys(calls, ("ForkedError" if kind == "obstore" else "True", 0))
    assert not failed
    np.testing.assert_array_equal(array[:80], VALUES)


def open_another(array):
    """Make another file system, for which fsspec forgets those of the parent."""
    read = array[:].tolist() == VALUES.tolist()
    another = type(array.store.fs)(skip_instance_cache=True)
    gc.collect()
    return read and another is not None


USES = {
    "reads a value": lambda array: array.store.get("a/zarr.json") is not None,
    "reads chunks": lambda array: array[:].tolist() == VALUES.tolist(),
    "opens another": open_another,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", ["s3fs", "http"])
def test_a_child_closes_no_connection_of_its_parent(kind, request, use):
    """The parent's next requests are answered at once, and not after they were repeated."""
    if kind == "s3fs":
        place, proxy = (request.getfixturevalue(name) for name in ("s3", "proxy"))
        where, options = place.url, {"storage_options": place.obstore()}
    else:
        place, proxy = (request.getfixturevalue(name) for name in ("http_server", "http_proxy"))
        where, options = str(place.path), {}
    create_array(where, name="a", data=VALUES, chunks=10, **options)
    through = place.through(proxy)
    # Nothing else may keep its file system.
    array = open_array(
        opened(kind, through)
        if kind == "s3fs"
        else FsspecStore.from_url(through.url(), read_only=True),
        path="a",
        mode="r" if kind == "http" else "r+",
    )
    np.testing.assert_array_equal(array[:], VALUES)
    assert forked(lambda: USES[use](array)) == ("True", 0)
    proxy.forget()
    with config.set({"fetch.timeout": 0.5}):
        np.testing.assert_array_equal(array[:], VALUES)
    assert proxy.methods() == {"GET": 8}


UNUSED = """
import os, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from servers.s3 import Prefix
import fastzarr
from stores.test_processes import KINDS, Loader, opened

place = Prefix(*sys.argv[2:4])

class Data:
    "Opens its array in the worker, as the documentation of loaders advises."
    def __init__(self, kind):
        self.kind, self.store = kind, opened(kind, place)
    def __getitem__(self, index):
        return fastzarr.open_array(self.store, path="a", mode="r")[index]

for kind in KINDS:
    loader = Loader(Data(kind), "fork")
    print(np.concatenate(loader.epoch([slice(0, 40), slice(40, 80)])).tolist())
    loader.close()

array = fastzarr.open_array(opened("s3fs", place), path="a", mode="r")
assert array[:].sum() == 3160
if not os.fork():
    sys.exit()
assert os.wait()[1] == 0
with fastzarr.config.set({"fetch.timeout": 0.5}):
    print(array[:].sum())
"""


def test_a_process_that_has_used_no_store_may_fork_and_its_child_closes_no_connection(s3, proxy):
    create_array(s3.url, name="a", data=VALUES, chunks=10, storage_options=s3.obstore())
    proxy.forget()
    assert program(UNUSED, s3.through(proxy)) == [*[str(VALUES.tolist())] * 2, "3160"]
    # Each batch opens the array and has 4 chunks; none of the others was requested twice.
    assert proxy.methods() == {"GET": 4 * 5 + 1 + 2 * 8}
