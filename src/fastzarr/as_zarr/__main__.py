"""Run a script, a module or a command with fastzarr in the place of zarr-python.

``python -m fastzarr.as_zarr script.py ...``, ``-m module ...`` or ``-c command ...``. Processes
that it starts have fastzarr there, too.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import fastzarr.as_zarr  # noqa: F401  (it puts the facade in place)

USAGE = "usage: python -m fastzarr.as_zarr (script.py | -m module | -c command) [argument ...]"


def main(arguments: list[str]) -> None:
    """Run what the arguments say, as Python does."""
    option, *rest = arguments or [""]
    if option in ("-m", "-c") and rest:
        what, *rest = rest
    elif option and not option.startswith("-"):
        what = option
    else:
        sys.exit(USAGE)
    if option == "-m":
        sys.argv = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.argv = ["-c", *rest]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  (as asked)
    else:
        sys.argv = [what, *rest]
        # A script finds the modules beside it, not those of the current folder.
        if not sys.flags.safe_path:
            sys.path[0] = str(Path(what).resolve().parent)
        runpy.run_path(what, run_name="__main__")


main(sys.argv[1:])
