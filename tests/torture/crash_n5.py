"""The proofs of ``crash.py`` for nodes of N5, in folders with a name that says so.

The fill value of N5 is 0, so that a block that is lost reads as one that was never written.

    python -m torture.crash_n5 fastzarr --cases 'n5/append/native' --at 12
"""

from __future__ import annotations

import sys
from importlib import import_module

from torture import model


def main() -> int:
    """Try cases from the command line."""
    model.FILL = 0
    model.SUFFIX = ".n5"
    model.VARIANTS = {"n5": model.Variant("n5", "n5")}
    return int(import_module("torture.crash").main())


if __name__ == "__main__":
    sys.exit(main())
