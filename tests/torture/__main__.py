"""Run the proofs of the library's promises, and print a table with zarr-python's figures."""

from __future__ import annotations

import argparse
import sys
import time

from torture import figures
from torture.frame import FULL, PARTS, Budget, Row, table


def main() -> int:
    """Run the selected parts; return 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    names = ", ".join(part.name for part in PARTS)
    parser.add_argument("--parts", metavar="A,B", help=f"which parts, of {names}; all unless given")
    parser.add_argument("--minutes", type=float, default=FULL, help="for all parts together")
    parser.add_argument("--seed", type=int, default=0, help="from which all chance follows")
    parser.add_argument("--keep", action="store_true", help="write the figures of these parts")
    options = parser.parse_args()
    wanted = options.parts.split(",") if options.parts else [part.name for part in PARTS]
    unknown = set(wanted) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {names}")
    parts = [part for part in PARTS if part.name in wanted]
    budget = Budget(options.minutes * 60)
    rows: list[Row] = []
    left: list[str] = []
    for place, part in enumerate(parts):
        # Time that a part does not use is available to the following parts.
        share = part.share / sum(other.share for other in parts[place:])
        began = time.monotonic()
        its_own = Budget(budget.left * share)
        rows += part.run(its_own, options.seed)
        print(f"{part.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        if its_own.undone:
            left.append(f"{part.name}: there was no time for {its_own.undone} jobs")
    print("\n".join([table(rows, figures.before()), *left]))
    if len(parts) == len(PARTS) and options.minutes >= FULL:
        figures.write(rows, options.minutes, left)
    elif options.keep:
        figures.write(rows, options.minutes, left, wanted)
    return int(not all(row.kept for row in rows))


if __name__ == "__main__":
    sys.exit(main())
