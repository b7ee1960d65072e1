"""Tests with dask.distributed run in a process of their own.

It changes how exceptions are pickled in the processes that import it, and starts threads, with
which others cannot be forked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).with_name("distributed_cases.py")


def test_the_tests_with_dask_distributed_pass():
    done = subprocess.run(  # noqa: S603  (Python itself)
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)],
        env={**os.environ, "FASTZARR_TEST_DISTRIBUTED": "1"},
        cwd=CASES.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout.splitlines()[-1], done.stdout
