"""The common parts of the proofs: prepared processes, and the judge of a tree.

Rules of this file:

* Cases run in forked processes. The forking process has imported all modules but run nothing, so it
  has no threads and no state about a store.
* The libraries use one thread, so that a call has the same number in each run.
* The judge is a separate process. It compares the tree with the allowed states, calls the verb
  again, and grows or creates arrays, in which only fill values may appear.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import warnings
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from torture.model import (
    FILL,
    SUFFIX,
    Model,
    Node,
    UnreadableError,
    Variant,
    create_array,
    look,
    split,
    state,
    whole,
    without,
)
from torture.trap import forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torture.looks import Look
    from torture.verbs import Case

    Rule = Callable[[Model, Model, Model], str | None]

Point = TypeVar("Point")
LIBRARIES = ("fastzarr", "zarr")
#: The control where that of zarr-python's own store does not fail.
BY_URL = "torture.by_url"
_WAYS = {
    "native": {"data_path": "native"},
    "numpy": {"data_path": "numpy"},
    "none": {"durability": "none"},
    "full": {"durability": "full"},
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "fastzarr": {"threading.max_workers": 1},
    **{lib: {"threading.max_workers": 1, "async.concurrency": 1} for lib in ("zarr", BY_URL)},
}


class CaseError(RuntimeError):
    """Raised if a case cannot be tried."""

    def __init__(self, case: Case | Look, what: str, trouble: str) -> None:
        """Word it."""
        super().__init__(f"{case.name} {what}: {trouble}")


def arguments(part: str, doc: str | None, what: str = "cases") -> argparse.ArgumentParser:
    """Return a parser of the options that the parts share which try something at each call."""
    parser = argparse.ArgumentParser(prog=f"python -m torture.{part}", description=doc)
    parser.add_argument("lib", choices=(*LIBRARIES, BY_URL))
    parser.add_argument(f"--{what}", metavar="PATTERN", help="names that match, a regex")
    parser.add_argument("--seed", type=int, default=0, help="which of the points are tried")
    parser.add_argument("--at", type=int, help="try only the points at this call")
    parser.add_argument("--json", action="store_true", help="print results as lines of JSON")
    parser.add_argument("--list", action="store_true", help=f"list the {what} and end")
    return parser


def some_of(points: Sequence[Point], seed: int, every: int, but: int = 0) -> list[Point]:
    """Return every n-th point; with ``but``, without those that it would return as ``every``."""
    return [
        point
        for place, point in enumerate(points, seed)
        if place % every == 0 and not (but and place % but == 0)
    ]


def end_cleanly() -> None:
    """Make this process remove its temporary files when it is terminated."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def scratch() -> Path:
    """Return a new folder, in memory if there is such a file system."""
    memory = Path("/dev/shm")  # noqa: S108
    place = memory if memory.is_dir() else None
    return Path(tempfile.mkdtemp(prefix="torture-", suffix=SUFFIX, dir=place))


def configured(lib: Any, way: str, work: Callable[[], Any]) -> Any:
    """Configure the library for this process, ignore its warnings, and call a function."""
    warnings.simplefilter("ignore")
    settings = dict(_SETTINGS[lib.__name__])
    if lib.__name__ == "fastzarr":
        settings |= _WAYS[way]
    lib.config.set(settings)
    return work()


def in_child(lib: Any, case: Case | Look, work: Callable[[Any, Path], Any], tree: Path) -> Any:
    """Run a part of a case in a separate process."""
    return configured(lib, case.way, partial(work, lib, tree))


def prepare(lib: Any, case: Case | Look, tree: Path) -> None:
    """Import the modules of a case, and create the tree that it starts from."""
    warm_up(lib, case)
    tree.mkdir()
    _, _, trouble, _ = forked(partial(in_child, lib, case, case.setup, tree))
    if trouble:
        raise CaseError(case, "cannot be set up", trouble)


def warm_up(lib: Any, case: Case | Look) -> None:
    """Import the modules that the case imports while it runs, without running it here."""

    def work() -> None:
        tree = scratch()
        try:
            case.setup(lib, tree)
            case.act(lib, tree)
            with suppress(UnreadableError):
                look(lib, tree)
        finally:
            shutil.rmtree(tree)

    trouble = import_used(partial(configured, lib, case.way, work))
    if trouble:
        raise CaseError(case, "does not work at all", trouble)


def import_used(work: Callable[[], object]) -> str:
    """Import the modules that a function imports, without calling it here; return its traceback."""
    names, _, trouble, _ = forked(lambda: (work(), [*sys.modules])[1])
    for name in names or ():
        if name not in sys.modules and name != "__mp_main__":
            import_module(name)
    return trouble


def judged(lib: Any, case: Case, tree: Path, rule: Rule | None = None) -> str | None:
    """Return what is wrong with a tree after a verb was stopped, checked in a new process."""
    rule = rule or case.judge
    why, _, trouble, _ = forked(lambda: in_child(lib, case, partial(_judge, case, rule), tree), 120)
    other = tree.with_name("other")
    if other.exists():
        shutil.rmtree(other)
    return why or (f"the judge failed: {trouble}" if trouble else None)


def _judge(case: Case, rule: Rule, lib: Any, tree: Path) -> str | None:
    """Return what is wrong with a tree, or None; runs in a separate process."""
    try:
        found = look(lib, tree)
    except UnreadableError as error:
        return str(error)
    loose = case.loose
    why = rule(without(found, loose), without(case.old, loose), without(case.new, loose))
    if why:
        return why
    other = tree.with_name("other")
    shutil.copytree(tree, other, symlinks=True)
    return regrow(lib, other, case.variant, case.old | case.new, found) or _redo(
        case, lib, tree, found
    )


def regrow(lib: Any, tree: Path, variant: Variant, may_be: Model, found: Model) -> str | None:
    """Grow each array, or create it if it is missing, and check that only fill values appear."""
    everything = may_be | found
    arrays = {path: node for path, node in everything.items() if node.values is not None}
    for path, node in sorted(arrays.items()):
        there = found.get(path)
        store, name = split(tree, path)
        if there is None:
            if any(above in found and found[above].values is not None for above in _above(path)):
                continue
            # Create an array as another program might do at this unused path.
            empty = Node({}, np.full(_larger(node), FILL, "i4"), node.stored)
            try:
                array = create_array(lib, tree, path, variant, empty)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is in the way)
                return f"creating {path}, which is not there, raises {error!r}"
            wanted = empty.values
        elif there.values is None:
            continue
        else:
            array = lib.open(store, mode="r+", path=name)
            fill = array.fill_value
            wanted = np.full(_larger(there), fill, there.values.dtype)
            wanted[tuple(slice(n) for n in there.values.shape)] = there.values
            try:
                array.resize(wanted.shape)
            except Exception as error:  # noqa: BLE001
                return f"growing {path} raises {error!r}"
        assert wanted is not None
        seen = np.asarray(lib.open(store, mode="r", path=name)[...])
        if not np.array_equal(seen, wanted):
            at = tuple(int(i) for i in np.argwhere(seen != wanted)[0])
            return f"{path}, made larger, shows {seen[at]} at {at}, which nobody has published"
    return None


def _larger(node: Node) -> tuple[int, ...]:
    assert node.values is not None
    return tuple(
        max(size + 2 * step, 20) for size, step in zip(node.values.shape, node.stored, strict=True)
    )


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _redo(case: Case, lib: Any, tree: Path, found: Model) -> str | None:
    """Call the verb again: it must complete, whatever the dead writer left behind."""
    new = without(case.new, case.loose)
    old = without(case.old, case.loose)
    wanted = case.again(found) if case.again else new
    try:
        case.act(lib, tree)
    except Exception as error:  # noqa: BLE001
        # Some verbs cannot be repeated once they have completed.
        if case.again or state(without(found, case.loose), old, new) == "old":
            return f"called again, the verb raises {error!r}"
        wanted = without(found, case.loose)
    try:
        after = look(lib, tree)
    except UnreadableError as error:
        return f"called again, the verb leaves what is {error}"
    why = whole(without(after, case.loose), wanted, wanted)
    return why and f"called again, the verb leaves {why}"
