"""A hierarchy behaves like a dict of NumPy arrays and attributes, after any operations.

An operation is drawn as data, and applied to the store and to the model: in this process, through
a pickled handle, in a forked child, or in a child that is killed before one of its system calls.
After a kill, each chunk must be the old or the new one, and everything else must be in the old or
the new state as a whole. Afterwards the whole store is read with new handles.

The environment variables ``STATEFUL_EXAMPLES`` and ``STATEFUL_STEPS`` make it run longer.
"""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

import hypothesis
import numpy as np
import pytest
import strategies
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from torture.trap import Trap, forked

import fastzarr
from fastzarr.config import config

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ["a", "b", "g", "g/a", "g/h/b", "h"]
# Not yet: a writer of a new node that is killed can leave a group above it that the consolidated
# copy does not list.
KILLED_WITH_A_COPY = bool(int(os.environ.get("STATEFUL_COPIES", "0")))
EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "60"))
STEPS = int(os.environ.get("STATEFUL_STEPS", "30"))


class Node:
    """The model of an array, or of a group if it has no values."""

    def __init__(self, values: Any = None, fill: Any = 0, unit: tuple[int, ...] = ()) -> None:
        self.values, self.fill, self.unit = values, fill, unit
        self.attributes: dict[str, Any] = {}

    def resized(self, shape: tuple[int, ...]) -> None:
        """Resize: keep the elements inside the shape, and fill the rest."""
        grown = np.full(shape, self.fill, self.values.dtype)
        common = tuple(slice(min(n, m)) for n, m in zip(shape, self.values.shape, strict=True))
        grown[common] = self.values[common]
        self.values = grown


Model = dict[str, Node]


class Operation(NamedTuple):
    """A verb and its arguments."""

    verb: str
    path: str
    given: tuple[Any, ...]


def below(path: str, top: str) -> bool:
    return path == top or not top or path.startswith(top + "/")


def parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def refused(model: Model, operation: Operation) -> bool:
    """Whether an operation must fail, because of an obstacle."""
    verb, path, given = operation
    target = given[0] if verb == "move" else path
    if verb not in ("array", "group", "move") or (verb == "move" and target == path):
        return False
    if any(model[p].values is not None for p in parents(target) if p in model):
        return True
    taken = target in model
    if verb == "move":
        return taken or below(target, path)
    return taken and not given[-1]


# Operations on the model


def add_parents(model: Model, path: str) -> None:
    for parent in parents(path):
        model.setdefault(parent, Node())


def make(model: Model, path: str, given: tuple[Any, ...]) -> None:
    """Create an array if there is a shape, and a group otherwise."""
    add_parents(model, path)
    remove(model, path)
    model[path] = Node()
    if len(given) > 1:
        shape, options, _ = given
        fill = options["fill_value"]
        values = np.full(shape, fill, options["dtype"])
        model[path] = Node(values, fill, options.get("shards") or options["chunks"])


def apply(model: Model, operation: Operation) -> None:
    """Apply an operation to the model."""
    verb, path, given = operation
    if verb in ("array", "group"):
        make(model, path, given)
    elif verb == "delete":
        remove(model, path)
    elif verb == "move":
        (target,) = given
        add_parents(model, target)
        for name in [name for name in model if below(name, path)]:
            model[target + name[len(path) :]] = model.pop(name)
    elif verb == "write":
        kind, index, value = given
        values = model[path].values
        if kind == "oindex":
            index, _ = strategies.orthogonal_numpy(values, index)
        value = np.asarray(value)
        values[index] = value.reshape(values[index].shape) if value.shape else value
    elif verb == "resize":
        model[path].resized(*given)
    elif verb == "append":
        more, axis = given
        model[path].values = np.append(model[path].values, more, axis)
    elif verb == "set attributes":
        model[path].attributes |= given[0]
    else:
        model[path].attributes.pop(given[0], None)


def remove(model: Model, path: str) -> None:
    for name in [name for name in model if below(name, path)]:
        del model[name]


# Operations on the store


def perform_in_order(root: Any, operation: Operation) -> None:
    """Apply an operation with one thread, so that a call has the same number in each run."""
    with config.set({"threading.max_workers": 1}):
        perform(root, operation)


def perform(root: Any, operation: Operation) -> None:
    """Apply an operation to the store."""
    verb, path, given = operation
    if verb == "array":
        shape, options, overwrite = given
        root.create_array(path, shape=shape, overwrite=overwrite, **options)
    elif verb == "group":
        root.create_group(path, overwrite=given[-1])
    elif verb == "delete":
        del root[path]
    elif verb == "move":
        root.move(path, *given)
    elif verb == "write":
        kind, index, value = given
        z = root[path]
        target = {"oindex": z.oindex, "vindex": z.vindex}.get(kind, z)
        target[index] = value
    elif verb == "resize":
        root[path].resize(*given)
    elif verb == "append":
        root[path].append(*given)
    else:
        node = root[path] if path else root
        if verb == "set attributes":
            node.attrs.update(given[0])
        else:
            node.attrs.pop(given[0], None)


def snapshot(store: Any, *, consolidated: bool | None = False) -> Model:
    """Read everything with new handles, from the documents or from consolidated metadata."""
    root = fastzarr.open_group(store, mode="r", use_consolidated=consolidated)
    model: Model = {}
    for path, node in [("", root), *root.members(max_depth=None)]:
        model[path] = Node()
        if isinstance(node, fastzarr.Array):
            model[path] = Node(node[...], node.fill_value, node.shards or node.chunks)
        model[path].attributes = dict(node.attrs)
    return model


def difference(found: Model, expected: Model) -> str:
    """Return a difference from the model as text, or an empty string."""
    if found.keys() != expected.keys():
        return f"there are {sorted(found)}, and not {sorted(expected)}"
    for path, node in expected.items():
        other = found[path]
        if node.attributes != other.attributes:
            return f"{path!r} has attributes {other.attributes}, and not {node.attributes}"
        if (node.values is None) != (other.values is None):
            return f"{path!r} is of the other kind"
        if node.values is not None:
            if (other.values.dtype, other.values.shape) != (node.values.dtype, node.values.shape):
                return f"{path!r} is {other.values.dtype} {other.values.shape}"
            if not np.array_equal(other.values, node.values):
                return f"{path!r} holds\n{other.values}\nand not\n{node.values}"
    return ""


def chunkwise(found: Model, before: Model, after: Model, path: str) -> str:
    """Return text about a chunk that is neither old nor new, or an empty string."""
    values, unit = found[path].values, before[path].unit
    counts = [-(-n // c) for n, c in zip(values.shape, unit, strict=True)]
    for corner in np.ndindex(*counts):
        part = tuple(slice(k * c, (k + 1) * c) for k, c in zip(corner, unit, strict=True))
        known = [model[path].values[part] for model in (before, after)]
        if not any(np.array_equal(values[part], one) for one in known):
            return f"chunk {corner} of {path!r} is torn:\n{values[part]}"
    return ""


# Strategies


@st.composite
def array_options(draw: Any, zarr_format: int) -> tuple[tuple[int, ...], dict[str, Any]]:
    shape = draw(st.lists(st.integers(0, 9), min_size=1, max_size=2).map(tuple))
    chunks = tuple(draw(st.integers(1, 4)) for _ in shape)
    options: dict[str, Any] = {
        "chunks": chunks,
        "dtype": draw(st.sampled_from(["i2", "f4", "bool"])),
        "fill_value": draw(st.sampled_from([0, 1])),
    }
    if zarr_format == 3 and draw(st.booleans()):
        options["shards"] = tuple(c * draw(st.integers(1, 3)) for c in chunks)
    return shape, options


def draw_values(data: Any, node: Node, shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 16)))
    return rng.integers(0, data.draw(st.sampled_from([1, 2, 100])), shape).astype(node.values.dtype)


def draw_write(data: Any, node: Node) -> tuple[Any, ...]:
    shape, values = node.values.shape, node.values
    kind = data.draw(st.sampled_from(["basic", "oindex", "vindex", "mask", "all"]))
    if kind == "all":
        kind, index, form = "basic", (...,), shape
    elif kind == "basic":
        index = data.draw(strategies.basic(shape))
        form = values[index].shape
    elif kind == "oindex":
        index = data.draw(strategies.orthogonal(shape))
        form = strategies.orthogonal_numpy(values, index)[1]
    elif kind == "vindex":
        index = data.draw(strategies.coordinates(shape))
        form = values[index].shape
    else:
        rng = np.random.default_rng(data.draw(st.integers(0, 1 << 16)))
        index = rng.random(shape) < 0.3
        form = values[index].shape
    # Of several values for one element any may be stored, so they are made equal.
    single = kind in ("oindex", "vindex") or data.draw(st.booleans())
    return kind, index, draw_values(data, node, () if single else form)


def draw_change(data: Any, verb: str, node: Node) -> tuple[Any, ...]:
    """Draw the arguments of an operation on arrays."""
    shape = node.values.shape
    if verb == "write":
        return draw_write(data, node)
    if verb == "resize":
        return (tuple(data.draw(st.integers(0, 12)) for _ in shape),)
    axis = data.draw(st.integers(0, len(shape) - 1))
    count = data.draw(st.integers(0, 5 if shape[axis] < 40 else 0))
    return draw_values(data, node, (*shape[:axis], count, *shape[axis + 1 :])), axis


class Hierarchy(RuleBasedStateMachine):
    """Applies operations to a hierarchy and to its model."""

    trap: Trap | None = None

    @initialize(
        zarr_format=st.sampled_from([2, 3]),
        kind=st.sampled_from(["local", "memory"]),
        data_path=st.sampled_from(["native", "numpy"]),
    )
    def start(self, zarr_format: int, kind: str, data_path: str) -> None:
        self.zarr_format = zarr_format
        self.settings = config.set({"data_path": data_path})
        self.folder = tempfile.mkdtemp(prefix="stateful-") if kind == "local" else ""
        self.store: Any = self.folder or fastzarr.storage.MemoryStore()
        self.root = fastzarr.create_group(self.store, zarr_format=zarr_format)
        self.model: Model = {"": Node()}

    def teardown(self) -> None:
        if hasattr(self, "settings"):
            self.settings.__exit__()
            if self.folder:
                shutil.rmtree(self.folder)

    # Ways to apply an operation

    def run(self, operation: Operation) -> None:
        perform(self.root, operation)

    def run_forked(self, operation: Operation) -> None:
        _, error, trouble, code = forked(lambda: perform(self.root, operation))
        if error is not None:
            raise error
        assert not code, trouble
        self.root = fastzarr.open_group(self.store, mode="r+")

    def check(self) -> None:
        for consolidated in (False, None):
            said = difference(snapshot(self.store, consolidated=consolidated), self.model)
            assert not said, said

    def do(self, operation: Operation, run: Callable[[Operation], None]) -> None:
        if refused(self.model, operation):
            with pytest.raises((ValueError, KeyError, TypeError)):
                run(operation)
        else:
            run(operation)
            apply(self.model, operation)
        self.check()

    def draw(self, data: Any) -> Operation:
        arrays = sorted(path for path, node in self.model.items() if node.values is not None)
        others = sorted(path for path in self.model if path)
        verbs = ["array", "group", "set attributes", "delete attribute"]
        verbs += ["write"] * 5 * bool(arrays) + ["resize", "append"] * 2 * bool(arrays)
        verbs += ["delete", "move"] * bool(others)
        verb = data.draw(st.sampled_from(verbs))
        if verb in ("array", "group"):
            path, given = data.draw(st.sampled_from(NAMES)), ()
            if verb == "array":
                given = data.draw(array_options(self.zarr_format))
            return Operation(verb, path, (*given, data.draw(st.booleans())))
        if verb in ("delete", "move"):
            path = data.draw(st.sampled_from(others))
            given = (data.draw(st.sampled_from(NAMES)),) if verb == "move" else ()
            return Operation(verb, path, given)
        if verb in ("set attributes", "delete attribute"):
            path, names = data.draw(st.sampled_from(sorted(self.model))), st.sampled_from("xyz")
            values = st.one_of(st.integers(0, 9), st.lists(st.text("ab"), max_size=2))
            changes = st.dictionaries(names, values, min_size=1)
            return Operation(verb, path, (data.draw(changes if verb[0] == "s" else names),))
        path = data.draw(st.sampled_from(arrays))
        return Operation(verb, path, draw_change(data, verb, self.model[path]))

    # The rules

    @rule(data=st.data())
    def here(self, data: Any) -> None:
        self.do(self.draw(data), self.run)

    @rule(data=st.data())
    def here_once_more(self, data: Any) -> None:
        self.do(self.draw(data), self.run)

    @precondition(lambda self: self.folder)
    @rule(data=st.data())
    def in_a_forked_child(self, data: Any) -> None:
        self.do(self.draw(data), self.run_forked)

    @rule()
    def through_a_pickle(self) -> None:
        self.root = pickle.loads(pickle.dumps(self.root))
        self.store = self.root.store
        self.check()

    @rule()
    def reopen(self) -> None:
        self.root = fastzarr.open_group(self.store, mode="r+")

    @rule()
    def consolidate(self) -> None:
        fastzarr.consolidate_metadata(self.store)
        self.root = fastzarr.open_consolidated(self.store, mode="r+")
        self.check()

    @rule(data=st.data())
    def read(self, data: Any) -> None:
        arrays = sorted(path for path, node in self.model.items() if node.values is not None)
        if arrays:
            path = data.draw(st.sampled_from(arrays))
            values = self.model[path].values
            index = data.draw(strategies.orthogonal(values.shape))
            numpy_index, form = strategies.orthogonal_numpy(values, index)
            found = self.root[path].oindex[index]
            np.testing.assert_array_equal(found, values[numpy_index].reshape(form))

    @precondition(lambda self: self.folder)
    @rule(data=st.data(), at=st.integers(1, 12))
    def in_a_child_that_is_killed(self, data: Any, at: int) -> None:
        operation = self.draw(data)
        copied = fastzarr.open_group(self.store).metadata.consolidated_metadata is not None
        if refused(self.model, operation) or (copied and not KILLED_WITH_A_COPY):
            return
        if Hierarchy.trap is None:
            Hierarchy.trap = Trap()
        work = self.root
        outcome = Hierarchy.trap.run(
            lambda: perform_in_order(work, operation), self.folder, kill_at=at, watch=1
        )
        assert outcome.killed or not outcome.trouble, outcome.trouble
        before, after = self.model, copy.deepcopy(self.model)
        apply(after, operation)
        between = [before, after]
        if operation.verb in ("array", "group", "move"):
            # Some parent groups of the new node may exist already, from the root down.
            target = operation.given[0] if operation.verb == "move" else operation.path
            for parent in parents(target):
                between.append(copy.deepcopy(between[-1] if len(between) > 2 else before))
                between[-1].setdefault(parent, Node())
        found = snapshot(self.store)
        if operation.verb == "write":
            said = chunkwise(found, before, after, operation.path)
            assert not said, said
            after[operation.path].values = found[operation.path].values
            assert not (said := difference(found, after)), said
            self.model = after
        else:
            states = between if outcome.killed else [after]
            said = [difference(found, state) for state in states]
            assert "" in said, f"killed before {outcome.call}: {said}"
            self.model = states[said.index("")]
        self.check()
        self.root = fastzarr.open_group(self.store, mode="r+")


TestHierarchy = Hierarchy.TestCase
TestHierarchy.settings = hypothesis.settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
)
