"""What tests wait for comes, or they fail."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from waits import join, until, wait_for


def test_what_comes_is_waited_for() -> None:
    event, found = threading.Event(), iter([0, None, "", 3])
    thread = threading.Thread(target=event.set)
    thread.start()
    wait_for(event)
    join(thread)
    assert until(lambda: next(found)) == 3


def test_what_does_not_come_is_an_error_with_the_threads() -> None:
    go = threading.Event()
    thread = threading.Thread(target=wait_for, args=(go,), name="a thread that is left")
    thread.start()
    try:
        for wait in (
            lambda: wait_for(go, 0.01),
            lambda: until(go.is_set, 0.01),
            lambda: join(thread, seconds=0.01),
        ):
            with pytest.raises(AssertionError, match=r"within 0\.01 s") as caught:
                wait()
            assert "1: a thread that is left" in str(caught.value)
    finally:
        go.set()
        join(thread)


def test_a_process_that_does_not_end_is_killed() -> None:
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    process.start()
    with pytest.raises(AssertionError, match=r"not ended within 0\.01 s"):
        join(process, seconds=0.01)
    assert not process.is_alive()


STAYING = """
import threading

def test_that_leaves_a_thread():
    threading.Thread(target=threading.Event().wait, name="left").start()
"""


def test_a_thread_that_is_left_does_not_keep_the_process(tmp_path: Path) -> None:
    (tmp_path / "test_staying.py").write_text(STAYING)
    (tmp_path / "conftest.py").write_text(
        "import standstill\n"
        "standstill.LEFT = 0.1\n"
        "def pytest_configure(config):\n"
        "    config.pluginmanager.register(standstill.Watch(600))\n"
    )
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(  # noqa: S603  (this interpreter)
        line,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert run.returncode == 1
    assert "1 passed" in run.stdout
    assert "The tests have ended, but not their threads" in run.stderr
    assert "1: left" in run.stderr
