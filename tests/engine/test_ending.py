"""The end of the interpreter while arrays are in use, by daemon threads and by hooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastzarr as zarr

TESTS = Path(__file__).parents[1]
VALUES = np.arange(12 * 128)

BEGIN = """
import asyncio, atexit, os, sys, threading, time
import numpy as np
def save():
    pass
if "early" in sys.argv:  # a hook from before the import runs after those of the package
    atexit.register(lambda: save())
import fastzarr as zarr
from asked import AskedStore
from fastzarr import stores
from fastzarr.stores.capabilities import Value
class Awaited(AskedStore):
    async def fetch_async(self, wanted):
        found = self.stored.get(wanted.key)
        await asyncio.sleep(0.01)
        return None if found is None else Value(found)
VALUES = np.arange(12 * 128)
kind, path = sys.argv[1:3]
store = {
    "remote": AskedStore, "awaited": Awaited, "memory": stores.MemoryStore,
    "local": lambda: path, "sqlite": lambda: stores.SQLiteStore(path),
    "zip": lambda: stores.ZipStore(path, mode="w"), "lmdb": lambda: stores.LMDBStore(path),
}[kind]()
if kind == "remote":
    store.on = lambda *_: time.sleep(0.003)
zarr.config.set({"fetch.concurrency": 4})
def made(name):
    return zarr.create_array(
        store, name=name, shape=VALUES.size, chunks=128, dtype="i8", compressors=None
    )
a = made("a")
"""
USED = """
a[:] = VALUES
def use():
    while True:
        a[:]
        if kind not in ("awaited", "zip"):
            a[:64] = 1
for _ in range(3):
    threading.Thread(target=use, daemon=True).start()
time.sleep(0.1 + float(sys.argv[3]))
"""


def run(program: str, *arguments: str) -> str:
    """Run a program that must end by itself and without a fault; return what it printed."""
    path = os.pathsep.join([str(TESTS), *sys.path])
    done = subprocess.run(  # noqa: S603  (this file's programs)
        [sys.executable, "-c", BEGIN + program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert (done.returncode, "Fatal" in done.stderr, "FATAL" in done.stderr) == (0, False, False), (
        done.stderr
    )
    return done.stdout


@pytest.mark.parametrize("moment", ["0", "0.004", "0.009", "0.015"])
@pytest.mark.parametrize("kind", ["remote", "awaited", "memory", "sqlite", "zip", "lmdb"])
def test_daemon_threads_do_not_abort_the_process(kind: str, moment: str, tmp_path: Path) -> None:
    if kind == "lmdb":
        pytest.importorskip("lmdb")
    run(USED, kind, f"{tmp_path}/a", moment)


@pytest.mark.parametrize("early", ["early", "late"])
@pytest.mark.parametrize("kind", ["remote", "awaited", "local", "sqlite"])
def test_a_hook_writes_while_daemon_threads_are_in_use(
    kind: str, early: str, tmp_path: Path
) -> None:
    hook = """
other = made("b")
def save():
    other[:] = VALUES
    print((other[:] == VALUES).all())
if "early" not in sys.argv:
    atexit.register(save)
"""
    path = tmp_path / "a"
    assert run(USED + hook, kind, str(path), "0", early) == "True\n"
    if kind in ("local", "sqlite"):
        store = zarr.stores.SQLiteStore(path) if kind == "sqlite" else path
        assert (np.asarray(zarr.open_array(store, path="b", mode="r")[:]) == VALUES).all()


def test_a_call_that_begins_is_refused() -> None:
    """So is one under way; either ends with an error that says why."""
    program = """
found = []
def fail():
    try:
        a[:] = VALUES
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
def save():
    first.join()
    second = threading.Thread(target=fail)
    second.start()
    second.join()
    print(*found, sep=os.linesep)
store.on = lambda verb, key: time.sleep(0.2)
first = threading.Thread(target=fail, daemon=True)
first.start()
time.sleep(0.1)
"""
    first, second = run(program, "remote", "", "early").splitlines()
    assert first.startswith("ChunkError: ")
    assert first.endswith("RuntimeError: the interpreter is ending")
    assert second == "RuntimeError: the interpreter is ending"


def test_an_awaited_call_under_way_is_waited_for() -> None:
    program = """
store.on = lambda verb, key: time.sleep(0.05)
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(a.setitem_async(slice(None), VALUES), loop)
def save():
    found = b"".join(store.stored.get(f"a/c/{i}", b"") for i in range(12))
    print(found == VALUES.tobytes())
time.sleep(0.1)
"""
    assert run(program, "remote", "", "early") == "True\n"


def test_a_program_that_calls_the_hooks_goes_on() -> None:
    program = """
atexit._run_exitfuncs()
def use():
    a[:] = VALUES
    print((a[:] == VALUES).all())
one = threading.Thread(target=use)
one.start()
one.join()
"""
    assert run(program, "remote", "") == "True\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this system")
def test_a_child_that_is_forked_by_a_hook_uses_threads() -> None:
    program = """
def save():
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    def use():
        a[:] = VALUES
        os._exit(0 if (a[:] == VALUES).all() else 1)
    one = threading.Thread(target=use)
    one.start()
    one.join()
    os._exit(2)
threading.Thread(target=lambda: [a[:] for _ in iter(int, 1)], daemon=True).start()
time.sleep(0.05)
"""
    run(program, "remote", "", "early")
