"""Run a script or a module with fastzarr in the place of zarr-python."""

from __future__ import annotations

import runpy
import sys

import fastzarr.as_zarr  # noqa: F401  (it puts the facade in place)

if sys.argv[1] == "-m":
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
