"""The shared thread pool: every task runs once, and a failure stops the others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from waits import join, wait_for

import fastzarr
from fastzarr import codecs
from fastzarr.engine.threads import parallel
from fastzarr.stores import MemoryStore
from fastzarr.stores.capabilities import Views

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("data_path")


def test_parallel_runs_every_task_once_and_the_caller_works_along() -> None:
    seen: list[int] = []
    parallel(seen.append, 1000)
    assert sorted(seen) == list(range(1000))
    threads = set()
    # Without a second thread, the first would wait for itself.
    together = threading.Barrier(2, timeout=60)

    def meet(_: int) -> None:
        threads.add(threading.get_ident())
        together.wait()

    with fastzarr.config.set({"threading.max_workers": 2}):
        parallel(meet, 2)
    assert len(threads) == 2
    assert threading.get_ident() in threads


def test_the_first_failure_stops_the_others_and_is_raised_when_all_have_stopped() -> None:
    running = []

    def task(number: int) -> None:
        running.append(number)
        if number == 10:
            msg = "ten"
            raise KeyError(msg)

    with pytest.raises(KeyError, match="ten"):
        parallel(task, 100_000)
    count = len(running)
    assert count < 100_000
    parallel(lambda _: None, 10)
    assert len(running) == count


def test_many_threads_read_at_once_through_the_one_pool() -> None:
    data = np.random.default_rng(0).random((256, 256))
    z = fastzarr.array(data, chunks=(32, 32))
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: z[...], range(32)):
            np.testing.assert_array_equal(found, data)


class Owner:
    """What views belong to; its release lets other threads run."""

    def __del__(self) -> None:
        time.sleep(0.0005)


class Viewing(MemoryStore):
    """A store with views of its values, every other request of which fails."""

    concurrency = 1
    batch = 8
    calls = 0

    def views(self, keys: Sequence[str]) -> Views:
        self.calls += 1
        if self.calls % 2 == 0:
            msg = "not together"
            raise RuntimeError(msg)
        return Views(Owner(), [memoryview(self[key]) for key in keys])


def test_views_may_be_released_while_other_threads_read_chunks_alone() -> None:
    store = Viewing()
    data = np.random.default_rng(0).integers(0, 255, (400, 50_000), "u1")
    z = fastzarr.create_array(
        store, shape=data.shape, chunks=(1, 50_000), dtype="u1", compressors=None
    )
    z[...] = data
    with fastzarr.config.set({"threading.max_workers": 4}):
        for _ in range(10):
            np.testing.assert_array_equal(z[...], data)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_pool_works_in_a_forked_child() -> None:
    data = np.random.default_rng(0).random((256, 256))
    z = fastzarr.array(data, chunks=(32, 32))
    _ = z[...]
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(z[...], data) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_works_that_is_forked_while_another_thread_uses_an_array_first() -> None:
    asked, forked = threading.Event(), threading.Event()

    class Slow(codecs.BytesCodec):
        name = "example.slow"

        def inside(self) -> None:
            if threading.current_thread() is not threading.main_thread():
                asked.set()
                wait_for(forked)

    codecs.register_codec("example.slow", Slow)
    slow: dict[str, Any] = {}
    fast: dict[str, Any] = {}
    fastzarr.create_array(slow, data=np.arange(4), serializer=Slow())
    fastzarr.create_array(fast, data=np.arange(4))
    z, other = fastzarr.open_array(slow), fastzarr.open_array(fast)
    thread = threading.Thread(target=lambda: z[...])
    thread.start()
    wait_for(asked)
    child = os.fork()
    if child == 0:
        os._exit(0 if other[...].sum() == 6 else 1)
    forked.set()
    join(thread)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# The last process gets the number of the first one, which is gone, and has none of its threads.
REUSED = """
import os, sys
import numpy as np
import fastzarr

def read():
    with fastzarr.config.set({"threading.max_workers": 3}):
        return z[...]

data = np.random.default_rng(0).random((512, 512))
z = fastzarr.array(data, chunks=(64, 64))
heard, told = os.pipe()
done, tell = os.pipe()
first = os.fork()
if first == 0:
    read()
    first = os.getpid()
    if os.fork() == 0:
        os.read(heard, 1)
        code = 3
        for _ in range(1000):
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write(str(first - 1))
            child = os.fork()
            if child == 0:
                os._exit(int(not np.array_equal(read(), data)) if os.getpid() == first else 9)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code != 9:
                break
        os.write(tell, bytes([code]))
    os._exit(0)
os.waitpid(first, 0)
os.write(told, b"x")
sys.exit(os.read(done, 1)[0])
"""


@pytest.mark.skipif(
    not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK), reason="needs to choose process numbers"
)
def test_a_process_with_the_number_of_a_dead_one_has_threads_of_its_own() -> None:
    arguments = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", REUSED]
    assert subprocess.run(arguments, check=False).returncode == 0  # noqa: S603  (our own)


def test_resources_can_be_cleaned_up_and_come_back() -> None:
    z = fastzarr.array(np.ones((256, 256)), chunks=(32, 32))
    _ = z[...]
    fastzarr.cleanup_resources()
    # What ``threading`` lists may never have begun, after an interrupt of ``Thread.start``.
    running = [t for t in threading.enumerate() if t.is_alive()]
    assert not [t for t in running if t.name.startswith("fastzarr")]
    assert z[...].sum() == z.size
