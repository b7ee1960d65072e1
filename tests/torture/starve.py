"""Let every verb run out of disk space, file size or descriptors, and check the remaining tree.

Rules of this file:

* These are real errors of the system, not injected ones: a small file system in memory that is full
  after some pages, and the process limits on the size of a file and the number of open files. Each
  limit is tried from almost nothing up to the value at which the verb completes.
* The judgement is that of ``faults.py``: an error or a complete operation, the old or the new
  state, no temporary file (unless there is no descriptor left to remove it), and without the limit
  the verb completes.
* If mounting is not permitted, the file system is skipped, and the row says so.

    python -m torture.starve fastzarr --cases 'v3/append/native' --limit space --at 2
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import resource
import shutil
import sys
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torture.faults import answer, told, verdict
from torture.frame import Budget, Row, run_jobs, summary, workers
from torture.harness import LIBRARIES, end_cleanly, in_child, prepare, scratch
from torture.looks import Look
from torture.trap import Outcome, forked
from torture.verbs import Case, cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

LIMITS = ("space", "size", "files")
_VERBS = (
    "create",
    "create with data",
    "overwrite with data",
    "write .*",
    "grow",
    "append.*",
    "attributes",
    "copy",
    "save.*",
    "move.*",
)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST = 64 << 20
_REMOUNT, _DETACH = 32, 2
# From nothing to more than the size of any file in these trees.
_SIZES = (0, 1, 40, 80, 84, 100, 200, 400, 600, 700, 720, 800, 900, 1000, 1200, 1500, 2000, 4000)


def _mount(path: Path, size: int, flags: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = f"size={size}".encode()
    if libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", ctypes.c_ulong(flags), words):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))


@contextmanager
def file_system(path: Path, size: int = _MOST) -> Iterator[None]:
    """Mount a file system in memory over a folder."""
    _mount(path, size)
    try:
        yield
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(path), _DETACH)


def may_mount() -> bool:
    """Whether this process may mount a file system."""
    folder = scratch()
    try:
        with file_system(folder):
            return True
    except OSError:
        return False
    finally:
        folder.rmdir()


def _room(folder: Path, pages: int) -> None:
    info = os.statvfs(folder)
    used = (info.f_blocks - info.f_bfree) * info.f_frsize
    _mount(folder, used + pages * _PAGE, _REMOUNT)


def _limit_size(step: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SIZES[step], hard))


def _limit_files(step: int) -> None:
    most = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + step, hard))


class Harness:
    """Try one case of one library under a limit."""

    def __init__(self, lib: Any, case: Case, folder: Path) -> None:
        """Create the tree that each point starts from."""
        self.lib, self.case, self.folder = lib, case, folder
        self.template = folder / "template"
        prepare(lib, case, self.template)

    def starve(self, limit: str, step: int) -> tuple[str | None, bool]:
        """Return what is wrong at one value of a limit, and whether the verb completed."""
        place = self.folder / "place"
        place.mkdir()
        try:
            if limit != "space":
                return self._starve(place, limit, step)
            with file_system(place):
                return self._starve(place, limit, step)
        finally:
            shutil.rmtree(place)

    def _starve(self, place: Path, limit: str, step: int) -> tuple[str | None, bool]:
        tree = place / "tree"
        shutil.copytree(self.template, tree, symlinks=True)
        if limit == "space":
            # A size of nothing would mean no limit.
            (place / "ballast").write_bytes(bytes(_PAGE))
            _room(place, step)
        bound: Callable[[], None] = {
            "space": lambda: None,
            "size": partial(_limit_size, step),
            "files": partial(_limit_files, step),
        }[limit]

        def work() -> Any:
            bound()
            return in_child(self.lib, self.case, partial(answer, self.case), tree)

        result, _, trouble, _ = forked(work)
        if limit == "space":
            _mount(place, _MOST, _REMOUNT)
        if trouble:
            return trouble, False
        outcome = Outcome(
            0, killed=False, failed=1, call=limit, result=result, error=None, trouble=""
        )
        # Without a descriptor no folder can be listed, and therefore none removed.
        why = verdict(self.lib, self.case, tree, outcome, may_stay=limit == "files")
        return why, not result[0]


def select(pattern: str | None, lib: str) -> list[Case]:
    """Return the cases that write, whose names match, and that the library supports."""
    return [
        case
        for case in cases()
        if any(re.fullmatch(verb, case.verb) for verb in _VERBS)
        and (pattern is None or re.fullmatch(pattern, case.name))
        and (lib == "fastzarr" or not (case.beyond_control or case.way != "native"))
    ]


def try_case(
    lib: Any, case: Case, limits: Iterable[str] = LIMITS, at: int | None = None
) -> dict[str, Any]:
    """Try a case under each limit, from nothing up to a sufficient value."""
    folder = scratch()
    try:
        harness, bad, tried = Harness(lib, case, folder), [], 0
        for limit in limits:
            steps = range(len(_SIZES) if limit == "size" else 40) if at is None else [at]
            for step in steps:
                why, complete = harness.starve(limit, step)
                tried += 1
                if why:
                    bad.append(
                        {"at": step, "error": limit, "call": limit, "why": why, "raised": ""}
                    )
                if complete and limit != "size":
                    break
        return {
            "lib": lib.__name__,
            "case": case.name,
            "reads": isinstance(case, Look),
            "points": tried,
            "bad": bad,
        }
    finally:
        shutil.rmtree(folder)


def prove(budget: Budget, _seed: int) -> Iterable[Row]:
    """Try everything with both libraries."""
    limits = LIMITS if may_mount() else LIMITS[1:]
    jobs = []
    for part in range(workers() * 3):
        for lib in LIBRARIES:
            names = [case.name for case in select(None, lib)][part :: workers() * 3]
            words = ["--cases", "|".join(map(re.escape, names)), "--json"]
            for limit in limits:
                words += ["--limit", limit]
            jobs.append(["torture.starve", lib, *words])
    note = "" if "space" in limits else "no file system that is full: may not mount"
    words = partial(told, command="starve", word="limit")
    results = run_jobs(jobs, budget)
    return [summary(6, "no space, size or descriptors left", results, 300, words, note)]


def main() -> int:
    """Try cases from the command line."""
    parser = argparse.ArgumentParser(prog="python -m torture.starve", description=__doc__)
    parser.add_argument("lib", choices=LIBRARIES)
    parser.add_argument("--cases", metavar="PATTERN", help="names that match, a regex")
    parser.add_argument("--limit", choices=LIMITS, action="append", help="only this limit")
    parser.add_argument("--at", type=int, help="try only this step of it")
    parser.add_argument("--json", action="store_true", help="print results as lines of JSON")
    options = parser.parse_args()
    lib, failed = import_module(options.lib), 0
    end_cleanly()
    for case in select(options.cases, options.lib):
        result = try_case(lib, case, options.limit or LIMITS, options.at)
        failed += len(result["bad"])
        if options.json:
            print(json.dumps(result), flush=True)
        else:
            print(f"{case.name}: {len(result['bad'])} bad of {result['points']}", flush=True)
            for line in told(result, command="starve", word="limit"):
                print(line)
    return 0 if options.json else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
