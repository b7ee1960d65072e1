"""The traps see what they claim to see, which all proofs rely on."""

from __future__ import annotations

import errno
import os
import sys
from functools import partial
from itertools import count
from platform import machine
from threading import Thread

import numpy as np
import pytest
from torture.trap import CHANGES, CLOSES, READS, Trap, read_trace

import fastzarr

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or machine() != "x86_64", reason="the traps know Linux on x86-64 only"
)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def _kinds(path):
    return [(call["kind"], call["path"], call["to"]) for call in read_trace(path)]


def test_changes_are_told_in_order_with_their_bytes(root, tmp_path):
    def work():
        with (root / "a").open("wb", buffering=0) as file:
            file.write(b"123")
            os.pwrite(file.fileno(), b"x", 1)
            os.writev(file.fileno(), [b"4", b"56"])
            os.fsync(file.fileno())
            os.ftruncate(file.fileno(), 5)
        (root / "a").rename(root / "b")
        os.link(root / "b", root / "c")
        (root / "b").unlink()
        (root / "d").mkdir()
        (root / "d").rmdir()
        (tmp_path / "outside").write_bytes(b"not seen")
        return (root / "c").read_bytes()

    trace = tmp_path / "trace"
    outcome = Trap().run(work, root, watch=CHANGES, trace=str(trace))
    assert outcome.result == b"1x345", outcome.trouble
    assert _kinds(trace) == [
        ("open", "a", ""),
        ("write", "a", ""),
        ("write", "a", ""),
        ("write", "a", ""),
        ("fsync", "a", ""),
        ("truncate", "a", ""),
        ("rename", "a", "b"),
        ("link", "b", "c"),
        ("unlink", "b", ""),
        ("mkdir", "d", ""),
        ("rmdir", "d", ""),
    ]
    written = [call for call in read_trace(trace) if call["kind"] == "write"]
    assert [(call["offset"], call["data"]) for call in written] == [
        (0, b"123"),
        (1, b"x"),
        (3, b"456"),
    ]
    assert outcome.count == 11


def test_calls_of_the_native_extension_and_of_all_threads_are_seen(root, tmp_path):
    array = fastzarr.create_array(root / "z", shape=(8,), chunks=(2,), dtype="i4", compressors=None)
    values = np.arange(1, 9, dtype="i4")

    def work():
        array[:] = values
        threads = [Thread(target=(root / f"t{i}").mkdir) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    trace = tmp_path / "trace"
    outcome = Trap().run(work, root, trace=str(trace))
    assert not outcome.trouble, outcome.trouble
    calls = [*read_trace(trace)]
    data = sorted(call["data"] for call in calls if call["kind"] == "write")
    assert [part[:8] for part in data] == sorted(values[i : i + 2].tobytes() for i in (0, 2, 4, 6))
    assert {call["to"] for call in calls if call["to"].startswith("z/c/")} == {
        f"z/c/{i}" for i in range(4)
    }
    assert {"t0", "t1", "t2", "t3"} <= {c["path"] for c in calls if c["kind"] == "mkdir"}
    assert [call["n"] for call in calls] == [*range(1, outcome.count + 1)]


def test_a_process_dies_before_each_call_and_inside_a_write(root):
    path = root / "a"

    def work():
        path.unlink(missing_ok=True)
        path.write_bytes(b"1234")

    trap = Trap()
    total = trap.run(work, root).count
    states = []
    for n in range(1, total + 1):
        path.write_bytes(b"before")
        outcome = trap.run(work, root, kill_at=n)
        assert outcome.killed
        states.append((outcome.call, path.read_bytes() if path.exists() else None))
    assert states == [
        ("unlink a", b"before"),
        ("open a", None),
        ("write a", b""),
        ("close a", b"1234"),
    ]
    trap.run(work, root, kill_at=3, inside=True)
    assert path.read_bytes() == b"12"


def test_a_call_fails_with_the_given_number_and_is_not_made(root):
    outcome = Trap().run((root / "a").mkdir, root, fail_at=1, fail_errno=errno.ENOSPC)
    assert (outcome.error.errno, outcome.failed, outcome.call) == (errno.ENOSPC, 1, "mkdir a")
    assert not [*root.iterdir()]


def test_reads_fail_and_are_cut_short(root):
    (root / "a").write_bytes(b"12345678")

    def work():
        file = os.open(root / "a", os.O_RDONLY)
        return os.read(file, 8)

    trap = Trap()
    outcome = trap.run(work, root, watch=READS, fail_at=1, fail_errno=errno.EMFILE)
    assert (outcome.error.errno, outcome.call) == (errno.EMFILE, "openr a")
    assert trap.run(work, root, watch=READS, fail_at=2).result == b"1234"
    assert trap.run(work, root, watch=READS).result == b"12345678"


def test_a_process_stops_before_a_call_of_native_code_while_another_works(root):
    words = {"shape": (4,), "chunks": (2,), "dtype": "i4", "compressors": None}
    array = fastzarr.create_array(root / "z", **words)

    def paused(at):
        child = Trap().begin(lambda: array.set_basic_selection(slice(2), 5), root, pause_at=at)
        return child, child.wait()

    calls = []
    for at in count(1):
        array[:] = 0
        child, said = paused(at)
        if said == "ended":
            child.end()
            break
        calls.append(child.call.split()[0])
        array[2:] = at
        assert array[:].tolist() in ([0, 0, at, at], [5, 5, at, at])
        child.go()
        assert child.wait() == "ended"
        assert not child.end().trouble
        assert array[:].tolist() == [5, 5, at, at]
    assert {"open", "write"} <= {*calls}


def test_a_process_waits_for_the_lock_of_one_that_has_stopped(root):
    array = fastzarr.create_array(root / "z", data=np.full(4, 3, "i4"), chunks=4)

    def write(at):
        array[at] = 1

    def begin(at, **words):
        return Trap().begin(partial(write, at), root, watch=CHANGES | CLOSES | READS, **words)

    found = []
    for at in count(1):
        array[:] = 3
        first = begin(0, pause_at=at)
        if first.wait() == "ended":
            first.end()
            break
        second = begin(1)
        found.append(second.wait())
        if found[-1] == "waits":
            assert array[1] == 3
        first.go()
        assert not first.end().trouble
        assert not second.end().trouble
        assert array[:].tolist() == [1, 1, 3, 3]
    assert found.count("waits") > 1
    assert found.count("ended") > 1


def test_a_process_prepares_unwatched_and_is_told_to_go_on(root):
    def work(file):
        with file:
            return file.read()

    path = root / "a"
    path.write_text("old")
    child = Trap().begin(work, root, prepare=path.open, watch=READS)
    assert child.wait() == "ready"
    path.rename(root / "b")
    child.go()
    outcome = child.end()
    assert outcome.result == "old", outcome.trouble
    assert outcome.count > 0


def test_a_process_that_hangs_is_told_as_one(root):
    outcome = Trap().run(_turn, root, seconds=1)
    assert outcome.trouble == "hung for 1 seconds"


def _turn():
    while True:
        os.sched_yield()
