"""Calls that run out of descriptors.

Rules of this file:

* The limit is set in a process of its own, after the arrays have been created.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("resource")

WORK = """
import os, resource, sys, threading
import numpy as np
import fastzarr as zarr

root, limit, spare, count, shards = sys.argv[1], *map(int, sys.argv[2:])
more = {"shards": (4, 8)} if shards else {}
arrays = [
    zarr.create_array(f"{root}/{n}", shape=(300, 8), chunks=(1, 8), dtype="i4", **more)
    for n in range(count)
]
for z in arrays:
    z[:] = 1
    z[:] = z[:]
    z[1:, 1:] = 1
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
held = []
if spare:
    # A new descriptor has the lowest number that is free.
    while not held or limit - 1 - held[-1] > spare:
        held.append(os.open("/", os.O_RDONLY))
raised = []

def work(z):
    try:
        z[:] = 2
        assert (z[:] == 2).all()
        z[1:, 1:] = 3
        assert (z[1:, 1:] == 3).all()
    except BaseException as error:
        raised.append(error)

threads = [threading.Thread(target=work, args=(z,)) for z in arrays]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for file in held:
    os.close(file)
for error in raised:
    print(type(error).__name__, error)
"""


def outcome(root: Path, *numbers: int) -> list[str]:
    """Return what was printed of writing and reading under a limit."""
    command = [sys.executable, "-c", WORK, str(root), *map(str, numbers)]
    environment = os.environ | {"FASTZARR_THREADING__MAX_WORKERS": "2"}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603
    assert [name for name in root.rglob("*") if "tmp" in name.name] == []
    return found.stdout.splitlines()


@pytest.mark.parametrize("shards", [0, 1])
def test_many_threads_work_within_a_low_limit_of_descriptors(shards: int, tmp_path: Path) -> None:
    assert outcome(tmp_path, 128, 0, 8, shards) == []


@pytest.mark.parametrize("shards", [0, 1])
def test_a_call_works_when_the_program_has_left_few_descriptors(
    shards: int, tmp_path: Path
) -> None:
    assert outcome(tmp_path, 256, 8, 1, shards) == []
