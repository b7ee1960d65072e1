"""The verbs of two processes that meet, and what may come of it.

Rules of this file:

* All verbs work on one tree, through handles that were opened before any of them began.
* The result of a meeting is the tree and what both verbs returned or raised. It must be that of one
  of the two orders in which one verb follows the other. A verb may also raise an error of the
  library and have changed nothing; this is counted as a refusal.
* A write of several chunks, and a read, is one operation for each stored object: of each, another
  order may hold. If such a write raises, each object is as before or as after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torture.model import FILL, VARIANTS, Model, Node, Variant, build, objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_STORED = (4, 5)
_X = np.arange(300, 370, dtype="i4").reshape(10, 7)
TREE = {
    "g.zarr": Node({"owner": "me"}),
    "g.zarr/s": Node({"k": 1}),
    "g.zarr/s/x": Node({"units": "m"}, _X, _STORED),
    "g.zarr/y": Node({}, _X[:4, :5].copy(), _STORED),
}


class Handles(NamedTuple):
    """What a process has opened before the meeting."""

    lib: Any
    tree: Path
    variant: Variant
    root: Any
    group: Any
    array: Any
    role: int
    """0 or 1; each process writes its own values."""

    @property
    def base(self) -> int:
        """The least value that this process writes."""
        return 1000 * (self.role + 1)


class Verb(NamedTuple):
    """One verb."""

    name: str
    act: Callable[[Handles], Any]
    by_object: bool = False
    """Whether it is one operation for each stored object."""
    moves_data: bool = False
    beyond_control: str = ""


class Pair(NamedTuple):
    """Two verbs, of which the first is stopped before its calls."""

    first: Verb
    second: Verb
    variant: Variant
    way: str = "native"

    @property
    def name(self) -> str:
        """The name of the pair on the command line."""
        return f"{self.variant.name}/{self.first.name} + {self.second.name}/{self.way}"

    @property
    def by_object(self) -> bool:
        """Whether one of the verbs is one operation for each stored object."""
        return self.first.by_object or self.second.by_object


def setup(lib: Any, tree: Path, variant: Variant) -> None:
    """Create the tree."""
    build(lib, tree, variant, TREE)


def handles(lib: Any, tree: Path, variant: Variant, role: int) -> Handles:
    """Open what the verbs work through."""
    root = lib.open_group(str(tree / "g.zarr"), mode="r+")
    group = root["s"]
    array = group["x"]
    return Handles(lib, tree, variant, root, group, array, role)


def pairs() -> Iterator[Pair]:
    """Return all pairs, with both data paths where one of the verbs reads or writes chunks."""
    for variant in VARIANTS.values():
        if variant.nested:
            continue
        for first in VERBS:
            for second in VERBS:
                yield Pair(first, second, variant)
                if first.moves_data or second.moves_data:
                    yield Pair(first, second, variant, "numpy")


def one_of_each(some: Iterable[Pair]) -> list[Pair]:
    """Return each pair of verbs once, alternating variants and data paths."""
    verbs: dict[tuple[str, str], list[Pair]] = {}
    for pair in some:
        verbs.setdefault((pair.first.name, pair.second.name), []).append(pair)
    return [found[place * 5 % len(found)] for place, found in enumerate(verbs.values())]


def _values(have: Handles, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    count = int(np.prod(shape))
    return np.arange(have.base, have.base + count, dtype="i4").reshape(shape)


def _write(have: Handles, region: tuple[slice, slice]) -> None:
    shape = tuple(part.stop - part.start for part in region)
    have.array[region] = _values(have, shape)


def _write_chunk(have: Handles) -> None:
    _write(have, np.s_[0:4, 0:5])


def _write_part(have: Handles) -> None:
    _write(have, (slice(1 + have.role, 3 + have.role), slice(1, 4)))


def _write_several(have: Handles) -> None:
    _write(have, (slice(2 - have.role, 9), slice(1, 6 + have.role)))


def _write_fill(have: Handles) -> None:
    have.array[0:4, 0:5] = FILL


def _append(have: Handles) -> None:
    have.array.append(_values(have, (4 + have.role, 7)))


def _grow(have: Handles) -> None:
    have.array.resize((15 + have.role, 7))


def _shrink(have: Handles) -> None:
    have.array.resize((3 + have.role, 7))


def _reshape(have: Handles) -> None:
    have.array.resize((5 + have.role, 12))


def _attributes(have: Handles) -> None:
    have.array.update_attributes({"last": have.role, f"by{have.role}": have.base})


def _attributes_of_group(have: Handles) -> None:
    have.group.update_attributes({"last": have.role, f"by{have.role}": have.base})


def _delete(have: Handles) -> None:
    del have.group["x"]


def _delete_group(have: Handles) -> None:
    del have.root["s"]


def _move(have: Handles) -> None:
    have.root.move("s/x", f"w{have.role}")


def _move_group(have: Handles) -> None:
    have.root.move("s", f"v{have.role}")


def _overwrite(have: Handles) -> None:
    """Replace the array by another of other dtype and chunks, with data."""
    words = have.variant.geometry((2, 3))
    if have.variant.sharded:
        words["chunks"] = (1, 3)
    del words["dtype"]
    data = _values(have, (4, 6)).astype("f8")
    have.group.create_array("x", data=data, overwrite=True, **words)


def _overwrite_group(have: Handles) -> None:
    have.root.create_group("s", attributes={"new": have.role}, overwrite=True)


def _create(have: Handles) -> None:
    words = have.variant.geometry((2, 3))
    del words["dtype"]
    have.group.create_array("n", data=_values(have, (4, 6)), **words)


def _create_group(have: Handles) -> None:
    have.group.create_group("t", attributes={"by": have.role})


def _consolidate(have: Handles) -> None:
    have.lib.consolidate_metadata(str(have.tree / "g.zarr"), zarr_format=have.variant.zarr_format)


def _transaction(have: Handles) -> None:
    with have.root.transaction():
        array = have.root["s/x"]
        array[2:9, 1:6] = array[2:9, 1:6] + have.base
        array.update_attributes({"sum": array.attrs.get("sum", 0) + have.base})
        other = have.root["y"]
        other[...] = other[...] + have.base


def _read(have: Handles) -> Any:
    return np.asarray(have.array[...])


_ALONE = "zarr-python has none"
VERBS = (
    Verb("write a chunk", _write_chunk, moves_data=True),
    Verb("write a part", _write_part, moves_data=True),
    Verb("write several", _write_several, by_object=True, moves_data=True),
    Verb("write the fill value", _write_fill, moves_data=True),
    Verb("append", _append, moves_data=True),
    Verb("grow", _grow, moves_data=True),
    Verb("shrink", _shrink, moves_data=True),
    Verb("shrink and grow", _reshape, moves_data=True),
    Verb("attributes", _attributes),
    Verb("attributes of the group", _attributes_of_group),
    Verb("delete", _delete),
    Verb("delete the group", _delete_group),
    Verb("move", _move, beyond_control=_ALONE),
    Verb("move the group", _move_group, beyond_control=_ALONE),
    Verb("overwrite", _overwrite, moves_data=True),
    Verb("overwrite the group", _overwrite_group),
    Verb("create", _create, moves_data=True),
    Verb("create a group", _create_group),
    Verb("consolidate", _consolidate),
    Verb("transaction", _transaction, moves_data=True, beyond_control=_ALONE),
    Verb("read", _read, by_object=True, moves_data=True),
)


class Result(NamedTuple):
    """What one verb returned, or raised."""

    raised: str = ""
    """The error's type and text, or "" if there was none."""
    clean: bool = True
    """Whether the error is one of the library's own."""
    value: Any = None


class State(NamedTuple):
    """What has come of a meeting, or of one of the orders."""

    model: Model
    results: tuple[Result | None, Result | None]
    """None for a verb that was not called."""


def verdict(
    pair: Pair, found: State, states: dict[str, State], alone: Callable[..., State]
) -> tuple[str | None, list[str]]:
    """Return why the result is that of no order, or None; and the errors of verbs that refused.

    ``states`` has the results of ``"first, second"`` and ``"second, first"``; ``alone`` returns
    that of the verbs whose roles it is given.
    """
    raised = [result.raised for result in found.results if result and result.raised]
    candidates = [*states.values()]
    reasons = []
    for order in candidates:
        why = differs(pair, found, order, candidates)
        if why is None:
            return None, []
        reasons.append(why)
    for result in found.results:
        if result and result.raised and not result.clean:
            return f"raises {result.raised}", []
    if raised:
        did = [role for role, result in enumerate(found.results) if result and not result.raised]
        refused = alone(*did)
        if differs(pair, found, refused, [*candidates, refused]) is None:
            return None, raised
    told = f" (raised {'; '.join(raised)})" if raised else ""
    return f"no order: {reasons[0]}, or {reasons[1]}{told}", []


def differs(pair: Pair, found: State, wanted: State, others: list[State]) -> str | None:
    """Return how a result differs from a wanted one, or None; of objects, ``others`` hold too."""
    for name, verb, there, result in zip(
        ("first", "second"), (pair.first, pair.second), found.results, wanted.results, strict=True
    ):
        why = _result_differs(verb, there, result, others)
        if why:
            return f"the {name} {why}"
    for path in sorted(found.model.keys() | wanted.model.keys()):
        there, node = found.model.get(path), wanted.model.get(path)
        if there is None or node is None:
            return f"{path} is {'missing' if there is None else 'there'}"
        if there.attributes != node.attributes:
            return f"{path} has attributes {there.attributes}, not {node.attributes}"
        others_values = [
            other.values
            for state in (others if pair.by_object else ())
            for place, other in state.model.items()
            if other.values is not None and not place.endswith("/y")
        ]
        why = _values_differ(there, node, others_values)
        if why:
            return f"{path} has {why}"
    return None


def _result_differs(
    verb: Verb, found: Result | None, wanted: Result | None, others: list[State]
) -> str | None:
    if found is None or wanted is None:
        return None
    if bool(found.raised) != bool(wanted.raised):
        return f"raised {found.raised}" if found.raised else f"did not raise {wanted.raised}"
    if found.raised:
        return None
    if not isinstance(wanted.value, np.ndarray):
        return None if found.value == wanted.value else f"returned {found.value}"
    values = [
        result.value
        for state in others
        for result in state.results
        if verb.by_object and result is not None and isinstance(result.value, np.ndarray)
    ]
    there, node = (Node({}, result.value, _STORED) for result in (found, wanted))
    why = _values_differ(there, node, values)
    return why and f"read {why}"


def _values_differ(found: Node, wanted: Node, others: list[np.ndarray[Any, Any]]) -> str | None:
    if (found.values is None) != (wanted.values is None):
        return "a group in place of an array, or the other way round"
    if found.values is None or wanted.values is None:
        return None
    kinds = [(n.values.dtype, n.values.shape, n.stored) for n in (found, wanted)]
    if kinds[0] != kinds[1]:
        return f"{kinds[0]}, not {kinds[1]}"
    fits = [wanted.values]
    fits += [v for v in others if (v.dtype, v.shape) == (wanted.values.dtype, wanted.values.shape)]
    for region in objects(found):
        part = found.values[region]
        if not any(np.array_equal(part, values[region]) for values in fits):
            at = tuple(int(i) for i in np.argwhere(part != wanted.values[region])[0])
            where = tuple(i + piece.start for i, piece in zip(at, region, strict=True))
            return f"{part[at]} at {where}, not {wanted.values[where]}"
    return None
