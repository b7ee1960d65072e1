"""Run the suites of libraries that import zarr, with zarr-python and with fastzarr in its place."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from consumers import compared, environments, page, record
from consumers.environments import UnavailableError
from consumers.reasons import REASONS
from consumers.suites import COMMON, SUITES, ZARR, Suite

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = Path(__file__).parents[1]


def pythons(suite: Suite, python: str) -> tuple[str, str]:
    """Return the interpreters of the environments with zarr-python and with fastzarr."""
    if suite.version == 2:
        # zarr-python 2 needs older versions of what fastzarr depends on.
        theirs = [*COMMON[:6], suite.requirement, *suite.needs, "numcodecs<0.16", "numpy<2.3"]
        # The suite imports tests of numcodecs, which later versions leave out.
        ours = [*COMMON[:6], *suite.needs, "numcodecs==0.16.*", "numpy"]
        return (
            environments.environment("zarr2", python, theirs),
            environments.environment("fastzarr2", python, ours),
        )
    if suite.apart:
        needed = {*COMMON[:6], ZARR, suite.requirement, *suite.needs}
        both = environments.environment(suite.name, python, needed)
        return both, both
    together = [each for each in SUITES if each.version == 3 and not each.apart]
    needed = {need for each in together for need in (each.requirement, *each.needs)}
    both = environments.environment("zarr3", python, {*COMMON, ZARR, *needed})
    return both, both


def outcomes(
    suite: Suite,
    python: str,
    folder: Path,
    options: argparse.Namespace,
    *,
    alias: bool,
    only: Sequence[str] = (),
) -> dict[str, compared.Outcome]:
    """Run a suite, or some of its tests one after the other, and return what became of them."""
    kind = "fastzarr" if alias else "zarr"
    results = environments.BUILD / "results"
    results.mkdir(parents=True, exist_ok=True)
    name = suite.name.replace(",", "").replace(" ", "-")
    path = results / f"{name}-{kind}{'-again' if only else ''}.jsonl"
    if options.reuse and path.exists() and not alias:
        return compared.read(path)
    path.unlink(missing_ok=True)
    # A second run is of what failed in the first.
    if not only:
        path.with_stem(f"{path.stem}-again").unlink(missing_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env |= {record.VARIABLE: str(path), "PYTHONPATH": str(OWN), "PYTHONHASHSEED": "0"}
    env["FASTZARR_AS_ZARR"] = {2: "2", 3: "1"}[suite.version] if alias else "0"
    if only:
        chosen = path.with_suffix(".tests.json")
        chosen.write_text(json.dumps(list(only)))
        env[record.ONLY] = str(chosen)
    command = [python, "-m", "pytest", "-q", "--no-header", "--tb=short", "--timeout=300"]
    command += ["--continue-on-collection-errors"]
    command += ["-o", "addopts=", "-o", "asyncio_default_fixture_loop_scope=function"]
    command += ["-p", "no:cacheprovider", "-p", "consumers.record", "-n"]
    command += ["0" if suite.alone or only else str(options.jobs)]
    began = time.monotonic()
    with path.with_suffix(".log").open("w") as log:
        subprocess.run(
            [*command, *suite.arguments],
            cwd=folder,
            env=env,
            check=False,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    found = compared.read(path)
    taken = f"{time.monotonic() - began:.0f} s"
    print(f"{suite.name}, {kind}: {len(compared.passed(found))} pass, {taken}", file=sys.stderr)
    return found


def run(suite: Suite, options: argparse.Namespace) -> compared.Compared:
    """Run a suite with both, and compare."""
    try:
        python = environments.interpreter(options.python)
        theirs, ours = pythons(suite, python)
        number = suite.requirement.partition("==")[2]
        number = number or environments.version(theirs, suite.distribution)
        folder = environments.source(suite, number)
    except UnavailableError as error:
        return compared.Compared(suite.name, unavailable=str(error))
    runs = {
        "zarr-python": partial(outcomes, suite, theirs, folder, options, alias=False),
        "fastzarr": partial(outcomes, suite, ours, folder, options, alias=True),
    }
    before, after = (once() for once in runs.values())
    # Some tests fail on a busy machine, with either, and pass when they run by themselves.
    only = {
        "zarr-python": compared.unsettled(before, after),
        "fastzarr": compared.unsettled(after, before),
    }
    again = {kind: runs[kind](only=tests) if tests else {} for kind, tests in only.items()}
    before, after = before | again["zarr-python"], after | again["fastzarr"]
    found = compared.compare(suite.name, before, after, REASONS)
    found.version = number
    found.again = {kind: compared.passed(later) for kind, later in again.items()}
    return found


def main() -> int:
    """Run the suites that are asked for; return 1 if a failure has no reason."""
    parser = argparse.ArgumentParser(prog="python -m consumers", description=__doc__)
    names = ", ".join(repr(suite.name) for suite in SUITES)
    parser.add_argument("--suites", metavar="A;B", help=f"of {names}; all unless given")
    parser.add_argument("--python", help="for the environments: 3.12 or later")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="tests at once")
    parser.add_argument("--reuse", action="store_true", help="zarr-python's last outcomes")
    options = parser.parse_args()
    wanted = options.suites.split(";") if options.suites else [suite.name for suite in SUITES]
    unknown = set(wanted) - {suite.name for suite in SUITES}
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {names}")
    bad = 0
    for suite in SUITES:
        if suite.name not in wanted:
            continue
        result = run(suite, options)
        # After each, as all take hours.
        page.write([result])
        if result.unavailable:
            print(f"{result.suite}: not run: {result.unavailable}")
            continue
        print(f"{result.suite} {result.version}: {result.before} with zarr-python, {result.after}")
        for test, message in result.unexplained.items():
            print(f"  no reason: {test}: {json.dumps(message[-200:])}")
        for reason in result.unused:
            print(f"  no failure has this reason: {reason}")
        bad += len(result.unexplained) + len(result.unused) + (not result.before)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
