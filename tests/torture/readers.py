"""A reader that has opened its handles before a verb began, and looks after the verb was killed.

Rules of this file:

* The reader looks right after the kill, and again after another process has opened each store for
  writing, which completes a transaction. It never opens anything again.
* Of each array it reads, every stored object is as before the verb or as after it, in the shape by
  which the array was opened. Attributes are as before or as after, and so are names of members.
* A read may raise an error of the library, and only if the verb deletes or replaces the array or
  makes it smaller. Then elements are missing, and must not read as fill values.
* At last the handles are refreshed, and must agree with new ones.
"""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torture.harness import configured
from torture.model import FILL, TEMPORARY, Node, UnreadableError, differ, look, objects, split
from torture.trap import Process, forked

if TYPE_CHECKING:
    from pathlib import Path

    from torture.model import Model


class Seen(NamedTuple):
    """What one handle shows."""

    node: Node | None
    names: frozenset[str] | None
    """The paths of a group's members; None for an array."""
    raised: str = ""
    clean: bool = True
    """Whether the error is one of the library's own."""


class Change(NamedTuple):
    """What verbs do to a tree, as far as its readers are concerned."""

    old: Model
    news: tuple[Model, ...]
    """What becomes of it, each state made of the one before."""
    loose: frozenset[str] = frozenset()
    """Groups that may be there or not."""
    way: str = "native"
    """The data path, or the durability."""


class Reader:
    """A process with open handles."""

    def __init__(self, lib: Any, change: Change, tree: Path) -> None:
        """Fork, and wait until all nodes of the tree have been opened."""
        self._lib, self._way, self._tree = lib, change.way, tree
        asked, self._ask = os.pipe()
        self._answers, answer = os.pipe()

        def serve() -> Any:
            os.close(self._ask), os.close(self._answers)
            work = partial(_served, lib, change, asked, answer, tree)
            return configured(lib, change.way, work)

        self._process: Process | None = Process(serve, 60)
        os.close(asked), os.close(answer)
        os.read(self._answers, 1)

    def look(self) -> None:
        """Let the reader look now."""
        os.write(self._ask, b"?")
        os.read(self._answers, 1)

    def recovered(self) -> None:
        """Open each store for writing in another process, and let the reader look again."""
        recovered(self._lib, self._way, self._tree)
        self.look()

    def end(self) -> str | None:
        """Let the reader refresh its handles and end; return what was wrong, or None."""
        process, self._process = self._process, None
        if process is None:
            return None
        os.close(self._ask), os.close(self._answers)
        wrong, _, trouble, _ = process.end()
        return f"a reader failed: {trouble}" if trouble else wrong

    def leave(self) -> None:
        """Kill the reader, if it has not ended."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self.end()


def recovered(lib: Any, way: str, tree: Path) -> None:
    """Open each store of a tree for writing, in another process."""
    forked(partial(configured, lib, way, partial(_recover, lib, tree)))


def _recover(lib: Any, tree: Path) -> None:
    for entry in sorted(tree.iterdir()):
        if not entry.name.endswith(TEMPORARY):
            with suppress(FileNotFoundError):
                lib.open(str(entry), mode="r+")


def _served(lib: Any, change: Change, asked: int, answer: int, tree: Path) -> str | None:
    handles = _handles(lib, tree, change.old)
    os.write(answer, b"r")
    found = None
    looks = itertools.count(1)
    while os.read(asked, 1):
        number = next(looks)
        for path, handle in handles.items():
            why = wrong(change, path, seen(path, handle))
            found = found or (why and f"a reader from before, at its look {number}: {path} {why}")
        os.write(answer, b"a")
    return found or _afresh(lib, tree, handles)


def _handles(lib: Any, tree: Path, model: Model) -> dict[str, Any]:
    handles = {}
    for path in model:
        store, name = split(tree, path)
        handles[path] = lib.open(store, mode="r", path=name)
    return handles


def seen(path: str, handle: Any) -> Seen:
    """Read everything through a handle."""
    try:
        attributes = dict(handle.attrs)
        if hasattr(handle, "members"):
            names = frozenset(f"{path}/{name}" for name, _ in handle.members(max_depth=None))
            return Seen(Node(attributes), names)
        values = np.asarray(handle[...])
        return Seen(Node(attributes, values, tuple(handle.shards or handle.chunks)), None)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is judged)
        clean = any(kind.__module__.startswith("fastzarr") for kind in type(error).__mro__)
        return Seen(None, None, f"{type(error).__name__}: {error}", clean)


def wrong(change: Change, path: str, found: Seen) -> str | None:
    """Return what is wrong with what an old handle shows, or None."""
    states = [change.old[path], *(model.get(path) for model in change.news)]
    if found.node is None:
        if not found.clean:
            return f"raises {found.raised}"
        loses = any(_loses(*pair) for pair in pairwise(states))
        return None if loses else f"raises {found.raised}, and has lost nothing"
    if found.node.attributes not in [node.attributes for node in states if node]:
        return f"has attributes {found.node.attributes}"
    if found.names is not None:
        return _names_wrong(change, path, found.names)
    return _values_wrong(found.node, states)


def _values_wrong(found: Node, states: list[Node | None]) -> str | None:
    old = states[0]
    assert old is not None
    assert old.values is not None
    assert found.values is not None
    if (found.values.shape, found.stored) != (old.values.shape, old.stored):
        return f"has shape {found.values.shape} by {found.stored}"
    fits = [old.values, *(values for new in states[1:] for values in _as_old(old, new))]
    for region in objects(old):
        part = found.values[region]
        if not any(np.array_equal(part, values[region]) for values in fits):
            at = tuple(int(i) for i in np.argwhere(part != old.values[region])[0])
            where = tuple(i + piece.start for i, piece in zip(at, region, strict=True))
            return f"has {part[at]} at {where}"
    return None


def _loses(old: Node | None, new: Node | None) -> bool:
    """Whether elements of a node are deleted, or the node itself is."""
    if old is None:
        return False
    if new is None or (old.values is None) != (new.values is None):
        return True
    if old.values is None or new.values is None:
        return False
    sizes = zip(old.values.shape, new.values.shape, strict=True)
    return old.stored != new.stored or any(before > after for before, after in sizes)


def _as_old(old: Node, new: Node | None) -> list[np.ndarray[Any, Any]]:
    """Return the new values in the old shape, if objects of the new array can be read as old ones.

    An object of another array has fill values beyond the edge of that.
    """
    if new is None or new.values is None or old.values is None or new.stored != old.stored:
        return []
    sizes = zip(old.values.shape, new.values.shape, strict=True)
    common = tuple(slice(min(pair)) for pair in sizes)
    if _loses(old, new) and np.array_equal(old.values[common], new.values[common]):
        return []  # the same array, made smaller
    values = np.full(old.values.shape, FILL, old.values.dtype)
    values[common] = new.values[common]
    return [values]


def _names_wrong(change: Change, path: str, names: frozenset[str]) -> str | None:
    states = [
        {name for name in model if name.startswith(f"{path}/")}
        for model in (change.old, *change.news)
    ]
    missing = set.intersection(*states) - names
    strange = names - set.union(*states, change.loose)
    if missing or strange:
        return f"lacks {sorted(missing)}" if missing else f"lists {sorted(strange)}"
    return None


def _afresh(lib: Any, tree: Path, handles: dict[str, Any]) -> str | None:
    """Return how handles that are refreshed differ from new ones, or None."""
    try:
        model = look(lib, tree)
    except UnreadableError as error:
        return f"after another has opened the store: {error}"
    for path, handle in handles.items():
        state = handle if hasattr(handle, "refresh") else handle.attrs
        if not hasattr(state, "refresh"):
            continue  # zarr-python's cannot be refreshed
        try:
            state.refresh()
        except Exception as error:  # noqa: BLE001  (whatever it is, it is judged)
            found = Seen(None, None, repr(error))
        else:
            found = seen(path, handle)
        node = model.get(path)
        if node is not None and (node.values is None) == hasattr(handle, "shape"):
            continue  # an array in place of a group, or the other way round
        if found.node is None or node is None:
            if (node is None) != (found.node is None):
                return f"a reader from before, refreshed, sees {path} as {found}"
            continue
        why = differ(found.node, node)
        if why:
            return f"a reader from before, refreshed, sees {path} with {why}"
    return None
