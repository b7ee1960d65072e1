"""Run the benchmark and print its tables; those of whole groups replace the ones in README.md."""

from __future__ import annotations

import argparse
import re
import sys
import time
from typing import TYPE_CHECKING

from bench.base import MissingError
from bench.groups import GROUPS, PAGE, environment, publish
from bench.report import QUICK_SIZE, SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

# A quick run divides the numbers of objects in stores.
QUICK_SCALE = 10
_NAMES = tuple(dict.fromkeys(name for group in GROUPS for name in group.engines))
_GROUPS = tuple(group.name for group in GROUPS)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--groups", metavar="A,B", help="of " + ", ".join(_GROUPS))
    parser.add_argument("--rows", metavar="PATTERN", help="rows whose name matches, a regex")
    parser.add_argument("--engines", metavar="A,B", help="of " + ", ".join(_NAMES))
    parser.add_argument("--repeat", type=int, help="turns of each engine (7; 2 with --quick)")
    parser.add_argument("--patience", type=float, default=10, help="seconds before only 2 turns")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIZE}³ instead of {SIZE}³")
    parser.add_argument("--list", action="store_true", help="list groups and rows, and exit")
    options = parser.parse_args(given)
    options.whole = not (options.rows or options.engines or options.quick)
    options.repeat = options.repeat or (2 if options.quick else 7)
    for word, known in (("groups", _GROUPS), ("engines", _NAMES)):
        text = getattr(options, word)
        found = text.split(",") if text else list(known)
        setattr(options, word, found)
        unknown = set(found) - set(known)
        if unknown:
            names = ", ".join(sorted(unknown))
            parser.error(f"no {word} {names}; there are {', '.join(known)}")
    return options


def main() -> int:
    """Run the rows selected on the command line; return 1 if a result was wrong."""
    options = arguments()
    pattern = options.rows or ""
    chosen = [
        (group, [row for row in group.rows if re.search(pattern, row.name)])
        for group in GROUPS
        if group.name in options.groups
    ]
    names = [f"{g.name:10} {row.name:24} {row.title}" for g, rows in chosen for row in rows]
    if options.list or not names:
        print("\n".join(names) or "no such row")
        return 0 if names else 2
    failed = False
    for group, rows in chosen:
        if not rows:
            continue
        start = time.monotonic()
        try:
            text, wrong = group.measure(
                rows,
                [name for name in options.engines if name in group.engines],
                repeat=options.repeat,
                patience=options.patience,
                scale=QUICK_SCALE if options.quick else 1,
            )
        except MissingError as error:
            # What the page has of an earlier day stays.
            print(f"{group.name}: {error}", file=sys.stderr)
            continue
        took = time.monotonic() - start
        print(f"{group.name}: {took:.0f} seconds", file=sys.stderr)
        text = f"{environment()}\n\n{text}"
        print(f"{text}\n", flush=True)
        failed = failed or wrong
        if options.whole:
            publish(group, text, PAGE)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
