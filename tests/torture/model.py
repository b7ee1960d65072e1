"""A model of the content of a tree of stores, and checks of the states that a verb may leave.

Rules of this file:

* A tree is a folder of stores, such as ``a.zarr`` and ``g.zarr``. Its model maps the path of each
  node, including the name of the store, to its attributes and values.
* ``look`` reads everything with new handles of the library under test. Groups are read with and
  without consolidated metadata, which must agree.
* ``whole`` requires the old or the new state as a whole; ``each`` requires the old or the new state
  of every stored object and every document. They return None, or what is wrong.
"""

from __future__ import annotations

import itertools
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# ``crash_n5`` changes these before other modules import them.
FILL = 7
#: What the name of a folder of trees ends with.
SUFFIX = ""
TEMPORARY = (".fastzarr-tmp", ".partial")


class Node(NamedTuple):
    """The content of an array, or of a group, which has no values."""

    attributes: dict[str, Any]
    values: np.ndarray[Any, Any] | None = None
    stored: tuple[int, ...] = ()
    """The shape of a stored object: of a chunk, or of a shard."""


Model = dict[str, Node]


class Variant(NamedTuple):
    """How arrays are stored."""

    name: str
    zarr_format: int | str
    sharded: bool = False
    nested: bool = False

    def geometry(self, stored: tuple[int, ...]) -> dict[str, Any]:
        """Return the keywords that create an array with stored objects of this shape."""
        words: dict[str, Any] = {"chunks": stored, "dtype": "i4", "fill_value": FILL}
        if self.sharded:
            words |= {"shards": stored, "chunks": (stored[0] // 2, *stored[1:])}
        if self.nested:
            words["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        return words


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("v2", 2),
        Variant("v2 nested", 2, nested=True),
        Variant("v3", 3),
        Variant("v3 sharded", 3, sharded=True),
    )
}


def split(tree: Path, path: str) -> tuple[str, str]:
    """Return the folder of a path's store, and the path in it."""
    store, _, inner = path.partition("/")
    return str(tree / store), inner


def create_array(lib: Any, tree: Path, path: str, variant: Variant, node: Node, **more: Any) -> Any:
    """Create the empty array of a node."""
    store, name = split(tree, path)
    return lib.create_array(
        store,
        name=name or None,
        shape=node.values.shape,
        attributes=node.attributes or None,
        zarr_format=variant.zarr_format,
        **variant.geometry(node.stored),
        **more,
    )


def build(lib: Any, tree: Path, variant: Variant, model: Model) -> None:
    """Create the tree of a model."""
    for path, node in sorted(model.items()):
        store, name = split(tree, path)
        if node.values is None:
            lib.create_group(
                store, path=name, attributes=node.attributes, zarr_format=variant.zarr_format
            )
        else:
            create_array(lib, tree, path, variant, node)[...] = node.values


class UnreadableError(Exception):
    """Raised if a node cannot be read."""

    def __init__(self, path: str, why: object) -> None:
        """Word it."""
        super().__init__(f"unreadable: {path}: {why}")


def look(lib: Any, tree: Path) -> Model:
    """Return the model of a tree, read with new handles; raise ``UnreadableError`` if it fails."""
    found: Model = {}
    for entry in sorted(tree.iterdir()):
        if entry.name.endswith(TEMPORARY):
            continue
        try:
            node = lib.open(str(entry), mode="r")
        except FileNotFoundError:
            continue
        except Exception as error:
            raise UnreadableError(entry.name, repr(error)) from error
        if not hasattr(node, "members"):
            found[entry.name] = _read(entry.name, node)
            continue
        live = lib.open_group(str(entry), mode="r", use_consolidated=False)
        below = _members(entry.name, live)
        other = _differ(_members(entry.name, node), below)
        if other:
            raise UnreadableError(entry.name, f"consolidated metadata tells otherwise: {other}")
        found |= below
    return found


def _members(name: str, group: Any) -> Model:
    found = {name: Node(dict(group.attrs))}
    try:
        members = [*group.members(max_depth=None)]
    except Exception as error:
        raise UnreadableError(name, repr(error)) from error
    return found | {f"{name}/{path}": _read(f"{name}/{path}", node) for path, node in members}


def _read(path: str, node: Any) -> Node:
    try:
        attributes = dict(node.attrs)
        if hasattr(node, "members"):
            return Node(attributes)
        return Node(attributes, np.asarray(node[...]), tuple(node.shards or node.chunks))
    except Exception as error:
        raise UnreadableError(path, repr(error)) from error


def differ(node: Node, other: Node) -> str | None:
    """Return how two nodes differ, or None."""
    if node.attributes != other.attributes:
        return f"attributes {_short(node.attributes)}, not {_short(other.attributes)}"
    if (node.values is None) != (other.values is None):
        return "a group in place of an array, or the other way round"
    if node.values is None or other.values is None:
        return None
    if node.values.shape != other.values.shape or node.stored != other.stored:
        return f"shape {node.values.shape} by {node.stored}, not {other.values.shape}"
    if not np.array_equal(node.values, other.values):
        at = tuple(int(i) for i in np.argwhere(node.values != other.values)[0])
        return f"{node.values[at]} at {at}, not {other.values[at]}"
    return None


def _short(attributes: dict[str, Any]) -> str:
    return shorten(str(attributes), 60)


def _differ(found: Model, other: Model) -> str | None:
    for path in sorted(found.keys() | other.keys()):
        if path not in found:
            return f"{path} is not there"
        if path not in other:
            return f"{path} is there"
        why = differ(found[path], other[path])
        if why:
            return f"{path} has {why}"
    return None


def without(model: Model, loose: frozenset[str]) -> Model:
    """Return the model without the nodes that may or may not exist."""
    return {path: node for path, node in model.items() if path not in loose}


def state(found: Model, old: Model, new: Model) -> str:
    """Return whether a tree is in the old state, the new one, or another."""
    if _differ(found, new) is None:
        return "new"
    return "old" if _differ(found, old) is None else "between"


def whole(found: Model, old: Model, new: Model) -> str | None:
    """Return why a tree is in neither state, or None."""
    if state(found, old, new) != "between":
        return None
    return f"neither old ({_differ(found, old)}) nor new ({_differ(found, new)})"


def each(found: Model, old: Model, new: Model) -> str | None:
    """Return which object or document is neither old nor new, or None."""
    for path in sorted(old.keys() | new.keys() | found.keys()):
        before, after, there = old.get(path), new.get(path), found.get(path)
        if there is None:
            if before is not None and after is not None:
                return f"{path} is gone"
            continue
        may_be = [node for node in (before, after) if node is not None]
        if not may_be:
            return f"{path} came from nowhere"
        if there.attributes not in [node.attributes for node in may_be]:
            return f"{path} has the attributes {_short(there.attributes)}"
        why = _each_object(there, before, may_be)
        if why:
            return f"{path} has {why}"
    return None


def _each_object(there: Node, before: Node | None, may_be: list[Node]) -> str | None:
    if there.values is None:
        return None
    fits = [
        node.values
        for node in may_be
        if node.values is not None
        and (node.values.shape, node.stored) == (there.values.shape, there.stored)
    ]
    if not fits:
        return f"shape {there.values.shape} by {there.stored}"
    if before is None:
        fits.append(np.full_like(there.values, FILL))
    for region in objects(there):
        if not any(np.array_equal(there.values[region], values[region]) for values in fits):
            return f"neither old nor new values in {[(s.start, s.stop) for s in region]}"
    return None


def objects(node: Node) -> Iterator[tuple[slice, ...]]:
    """Yield the regions of an array that are stored as one object each."""
    assert node.values is not None
    axes = [
        [slice(start, start + step) for start in range(0, size, step)]
        for size, step in zip(node.values.shape, node.stored, strict=True)
    ]
    return itertools.product(*axes)


def strays(tree: Path) -> int:
    """Return the number of temporary files and folders in a tree, not counting a journal."""
    return sum(
        1
        for path in tree.rglob("*")
        if path.name.endswith(TEMPORARY) and not path.name.startswith(".journal.")
    )
