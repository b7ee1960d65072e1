"""Stale handles must not undo the changes of others.

Rules of this file:

* Two handles are opened. The first makes a change, then the second, which has the old metadata,
  makes another. The store must then be as if one handle had made both.
* The changes are those that modify the metadata document or depend on it: attributes, growing and
  shrinking, append, and writes of elements that both handles can see. The seed selects them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torture.contention import CONTROL, Setting, use
from torture.crew import Crew, folder
from torture.verdict import counted, total

if TYPE_CHECKING:
    from pathlib import Path

    from torture.frame import Budget, Row
    from torture.verdict import Count

SHAPE, CHUNKS = (7, 5), (3, 2)
SETTINGS = [Setting(), Setting(shards=2), Setting(zarr_format=2), Setting(data_path="numpy")]


class Model:
    """The expected values and attributes of the array."""

    def __init__(self) -> None:
        """Initialise with the content that ``start`` writes."""
        self.values = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) + 1
        self.attributes: dict[str, Any] = {"kept": 1, "gone": 2}

    def __eq__(self, other: object) -> bool:
        """Compare values, shapes and attributes."""
        return (
            isinstance(other, Model)
            and np.array_equal(self.values, other.values)
            and self.attributes == other.attributes
        )

    __hash__ = None


def start(setting: Setting, path: str) -> None:
    """Create the array that both handles open."""
    options: dict[str, Any] = {"zarr_format": setting.zarr_format, "fill_value": 0}
    if setting.shards:
        options["shards"] = tuple(c * setting.shards for c in CHUNKS)
    model = Model()
    z = use(setting).create_array(
        path, shape=SHAPE, chunks=CHUNKS, dtype="i8", attributes=model.attributes, **options
    )
    z[...] = model.values


# Each change is chosen once, and applied to both the array and the model.

Change = tuple[str, tuple[Any, ...]]


def draw(rng: np.random.Generator, number: int) -> Change:
    """Return a random change, whose values are identified by ``number``."""
    kind = rng.choice(["set", "update", "delete", "resize", "append", "write"])
    if kind in ("set", "update"):
        return kind, (f"by {number}", number)
    if kind == "resize":
        return kind, (tuple(int(n) for n in rng.integers(1, 12, 2)),)
    if kind == "append":
        return kind, (int(rng.integers(1, 5)), int(rng.integers(0, 2)), number)
    if kind == "write":
        return kind, (number,)
    return kind, ()


def change_array(z: Any, change: Change) -> None:
    """Apply a change to an array, through a handle that may be stale."""
    kind, given = change
    if kind == "set":
        z.attrs[given[0]] = given[1]
    elif kind == "update":
        z.attrs.update({given[0]: given[1], "kept": given[1]})
    elif kind == "delete":
        z.attrs.pop("gone", None)
    elif kind == "resize":
        z.resize(given[0])
    elif kind == "append":
        count, axis, number = given
        # A writer that appends knows the length of the other axis.
        shape = list(type(z).open(z.store_path).shape)
        shape[axis] = count
        z.append(np.full(shape, 1000 * number, "i8"), axis=axis)
    else:
        z[0, 0] = 100 * given[0]


def change_model(model: Model, change: Change) -> None:
    """Apply a change to the model."""
    kind, given = change
    if kind == "set":
        model.attributes[given[0]] = given[1]
    elif kind == "update":
        model.attributes |= {given[0]: given[1], "kept": given[1]}
    elif kind == "delete":
        model.attributes.pop("gone", None)
    elif kind == "resize":
        grown = np.zeros(given[0], model.values.dtype)
        common = tuple(slice(min(n, m)) for n, m in zip(given[0], model.values.shape, strict=True))
        grown[common] = model.values[common]
        model.values = grown
    elif kind == "append":
        count, axis, number = given
        shape = list(model.values.shape)
        shape[axis] = count
        more = np.full(shape, 1000 * number, "i8")
        model.values = np.append(model.values, more, axis)
    else:
        model.values[0, 0] = 100 * given[0]


_held: list[Any] = []


def hold(setting: Setting, path: str) -> None:
    """Open a handle and keep it, in a process of the crew."""
    _held[:] = [use(setting).open_array(path, mode="r+")]


def change_held(turn: int, worker: int, change: Change) -> None:
    """Make a change through the kept handle, if it is this process's turn."""
    if worker == turn:
        change_array(_held[0], change)


def read(setting: Setting, path: str) -> Model:
    """Return the stored values and attributes, read with a new handle."""
    z = use(setting).open_array(path, mode="r")
    model = Model()
    model.values, model.attributes = z[...], dict(z.attrs)
    return model


def matrix(setting: Setting, base: Path, seeds: int, seed: int, crew: Crew | None = None) -> Count:
    """Make random changes for each seed through stale handles; return the number undone."""
    bad = 0
    for n in range(seeds):
        rng = np.random.default_rng((seed, n))
        path = str(base / f"{setting.label} {n}".replace(" ", "-"))
        start(setting, path)
        changes = [draw(rng, number) for number in (1, 2)]
        model = Model()
        if crew is None:
            handles = [use(setting).open_array(path, mode="r+") for _ in changes]
        else:
            crew.results(hold, [(setting, path)] * 2)
        try:
            for turn, change in enumerate(changes):
                if crew is None:
                    change_array(handles[turn], change)
                else:
                    crew.results(change_held, [(turn, w, change) for w in range(2)])
                change_model(model, change)
            bad += read(setting, path) != model
        except Exception:  # noqa: BLE001  (whatever it is, it should have worked)
            bad += 1
    return seeds, bad


def prove(budget: Budget, seed: int) -> list[Row]:
    """Try 200 seeds with two handles in one process, and as many with two processes."""
    seeds = max(5, round(50 * min(1.0, budget.seconds / 12)))
    with folder() as base, Crew(2) as crew:
        ours = [matrix(s, base / "one", seeds, seed + i) for i, s in enumerate(SETTINGS)]
        ours += [matrix(s, base / "two", seeds, seed + i, crew) for i, s in enumerate(SETTINGS)]
        given = [(Setting(CONTROL), base / str(n), seeds, seed + n) for n in range(2)]
        control = total(crew.results(matrix, given))
    return [counted(10, "pairs of changes by stale handles", total(ours), control, 200, "undone")]
