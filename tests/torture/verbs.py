"""The verbs that are killed or made to fail at each of their system calls, with allowed results.

Each case is a tree before, a verb, and the tree after. The verbs are called in a way that both
fastzarr and zarr-python support.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torture.model import FILL, VARIANTS, Model, Node, Variant, build, create_array, each, whole

import fastzarr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

STORED = (4, 5)
#: An array of whole stored objects, and one with objects at its edges that are not full.
EVEN = np.arange(100, 220, dtype="i4").reshape(12, 10)
ODD = np.arange(300, 370, dtype="i4").reshape(10, 7)
GROUP = {"g.zarr": Node({"owner": "me"})}


class Case(NamedTuple):
    """One verb on one kind of array."""

    verb: str
    variant: Variant
    old: Model
    new: Model
    act: Callable[[Any, Path], object]
    """Called with the library and the tree."""
    judge: Callable[[Model, Model, Model], str | None] = whole
    """What may be found after a crash."""
    built: Model | None = None
    """What is built in place of the old model, which ``prepare`` makes of it."""
    prepare: Callable[[Any, Path], object] | None = None
    """What is done to the tree before."""
    again: Callable[[Model], Model] | None = None
    """What the verb does where it has been done; None if it then does nothing, or raises."""
    loose: frozenset[str] = frozenset()
    """Groups that may be there or not, since they are made on the way."""
    moves_data: bool = False
    """Whether chunks are read or written, and so the data path matters."""
    beyond_control: str = ""
    """Why zarr-python cannot do this."""
    way: str = "native"
    """The data path, or the durability if that is not the default."""

    @property
    def name(self) -> str:
        """The name of the case on the command line."""
        return f"{self.variant.name}/{self.verb}" + (f"/{self.way}" if self.moves_data else "")

    def setup(self, lib: Any, tree: Path) -> None:
        """Create the tree of the old model."""
        build(lib, tree, self.variant, self.old if self.built is None else self.built)
        if self.prepare:
            self.prepare(lib, tree)


# How data is written, besides by the native extension and as durable as the default.
_WAYS = {
    "v2": ("numpy", "full"),
    "v2 nested": ("numpy",),
    "v3": ("numpy", "none", "full"),
    "v3 sharded": ("numpy", "full"),
    "n5": ("numpy",),
}


def cases() -> Iterator[Case]:
    """Return all cases: each verb with each variant, in all ways if it writes data."""
    for variant in VARIANTS.values():
        for make in (
            _creating,
            _opening,
            _overwriting,
            _writing,
            _resizing,
            _documents,
            _moving,
            _copying,
            _transactions,
        ):
            for case in make(variant):
                yield case
                if case.moves_data:
                    yield from (case._replace(way=way) for way in _WAYS[variant.name])


#: What does not pass yet, and why: the short proofs leave these verbs out.
NOT_YET: dict[str, str] = {}


def one_of_each(some: Iterable[Case]) -> list[Case]:
    """Return each verb that passes once, alternating variants and data paths."""
    verbs: dict[str, list[Case]] = {}
    for case in some:
        if not any(re.fullmatch(pattern, case.verb) for pattern in NOT_YET):
            verbs.setdefault(case.verb, []).append(case)
    return [found[place * 3 % len(found)] for place, found in enumerate(verbs.values())]


def _array(
    values: np.ndarray[Any, Any], stored: tuple[int, ...] = STORED, **attributes: Any
) -> Node:
    return Node(attributes, values, stored)


def _empty(shape: tuple[int, ...], **attributes: Any) -> Node:
    return _array(np.full(shape, FILL, "i4"), **attributes)


def _open(lib: Any, tree: Path, path: str, mode: str = "r+") -> Any:
    store, _, name = path.partition("/")
    return lib.open(str(tree / store), mode=mode, path=name)


def _creating(variant: Variant) -> Iterator[Case]:
    node = _empty((12, 10), units="m", long="x" * 200)

    def create(path: str, node: Node, lib: Any, tree: Path) -> None:
        create_array(lib, tree, path, variant, node)

    new = GROUP | {"g.zarr/x": node}
    yield Case("create", variant, GROUP, new, partial(create, "g.zarr/x", node))
    yield Case("create at the root", variant, {}, {"n.zarr": node}, partial(create, "n.zarr", node))
    deep = {path: Node({}) for path in ("g.zarr/p", "g.zarr/p/q")}
    yield Case(
        "create far down",
        variant,
        GROUP,
        GROUP | deep | {"g.zarr/p/q/x": node},
        partial(create, "g.zarr/p/q/x", node),
        loose=frozenset(deep),
    )
    yield Case(
        "create a group",
        variant,
        GROUP,
        GROUP | {"g.zarr/s": Node({"k": [1, 2]})},
        lambda lib, tree: lib.create_group(
            str(tree / "g.zarr"),
            path="s",
            attributes={"k": [1, 2]},
            zarr_format=variant.zarr_format,
        ),
    )

    def with_data(lib: Any, tree: Path) -> None:
        words = variant.geometry(STORED)
        del words["dtype"]
        group = lib.open_group(str(tree / "g.zarr"), mode="r+")
        group.create_array("x", data=ODD, attributes={"units": "m"}, **words)

    new = GROUP | {"g.zarr/x": _array(ODD, units="m")}
    yield Case("create with data", variant, GROUP, new, with_data, judge=each, moves_data=True)


def _opening(variant: Variant) -> Iterator[Case]:
    """Open an existing node in a mode that creates missing ones, without recreating it."""
    old = GROUP | {"g.zarr/s": Node({"k": 1}), "g.zarr/s/y": _array(ODD)}
    old |= {"a.zarr": _array(EVEN, old=1)}
    words = variant.geometry((2, 3)) | {"shape": (6, 9), "zarr_format": variant.zarr_format}

    def open_array(lib: Any, tree: Path) -> None:
        lib.open_array(str(tree / "a.zarr"), mode="a", **words)

    def open_group(lib: Any, tree: Path) -> None:
        lib.open_group(str(tree / "g.zarr"), mode="a")

    def require_group(lib: Any, tree: Path) -> None:
        lib.open_group(str(tree / "g.zarr"), mode="a").require_group("s")

    yield Case("open an array or make it", variant, old, old, open_array)
    yield Case("open a group or make it", variant, old, old, open_group)
    yield Case("require a group", variant, old, old, require_group)


def _overwriting(variant: Variant) -> Iterator[Case]:
    node = Node({"new": 1}, np.full((6, 9), FILL, "i4"), (2, 3))

    def overwrite(path: str, lib: Any, tree: Path) -> None:
        create_array(lib, tree, path, variant, node, overwrite=True)

    old = GROUP | {"g.zarr/x": _array(EVEN, old=1), "g.zarr/y": _array(ODD)}
    new = old | {"g.zarr/x": node}
    yield Case("overwrite", variant, old, new, partial(overwrite, "g.zarr/x"))
    old = {"a.zarr": _array(EVEN, old=1)}
    yield Case("overwrite the root", variant, old, {"a.zarr": node}, partial(overwrite, "a.zarr"))
    old = GROUP | {
        "g.zarr/s": Node({"old": 1}),
        "g.zarr/s/x": _array(ODD),
        "g.zarr/s/t": Node({}),
        "g.zarr/s/t/y": _array(ODD),
    }
    new = GROUP | {"g.zarr/s": Node({"new": 1})}
    yield Case(
        "overwrite a group",
        variant,
        old,
        new,
        lambda lib, tree: lib.create_group(
            str(tree / "g.zarr"),
            path="s",
            attributes={"new": 1},
            overwrite=True,
            zarr_format=variant.zarr_format,
        ),
    )
    yield Case(
        "overwrite a group by an array",
        variant,
        old,
        GROUP | {"g.zarr/s": node},
        partial(overwrite, "g.zarr/s"),
    )

    def with_data(lib: Any, tree: Path) -> None:
        words = variant.geometry((2, 3))
        del words["dtype"]
        group = lib.open_group(str(tree / "g.zarr"), mode="r+")
        group.create_array("x", data=ODD, overwrite=True, **words)

    old = GROUP | {"g.zarr/x": _array(EVEN, old=1)}
    new = GROUP | {"g.zarr/x": Node({}, ODD, (2, 3))}
    yield Case("overwrite with data", variant, old, new, with_data, moves_data=True)


def _writing(variant: Variant) -> Iterator[Case]:
    def write(region: Any, lib: Any, tree: Path) -> None:
        array = _open(lib, tree, "a.zarr")
        array[region] = _changed(array.shape)[region]

    def case(verb: str, old: np.ndarray[Any, Any], region: Any) -> Case:
        new = old.copy()
        new[region] = _changed(old.shape)[region]
        models = [{"a.zarr": _array(values, units="m")} for values in (old, new)]
        return Case(verb, variant, *models, partial(write, region), judge=each, moves_data=True)

    yield case("write whole chunks", EVEN, np.s_[0:8, :])
    yield case("write part of chunks", ODD, np.s_[2:9, 3:7])
    yield case("write new chunks", np.full_like(ODD, FILL), np.s_[:, 2:7])
    if variant.sharded:
        yield case("write an inner chunk", EVEN, np.s_[2:4, 0:5])
        yield case("write part of an inner chunk", EVEN, np.s_[3, 1:3])
    filled = EVEN.copy()
    filled[0:6] = FILL

    def fill(lib: Any, tree: Path) -> None:
        _open(lib, tree, "a.zarr")[0:6] = FILL

    old, new = {"a.zarr": _array(EVEN)}, {"a.zarr": _array(filled)}
    yield Case("write the fill value", variant, old, new, fill, judge=each, moves_data=True)


def _changed(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.arange(1000, 1000 + np.prod(shape), dtype="i4").reshape(shape)


def _resizing(variant: Variant) -> Iterator[Case]:
    def resize(shape: tuple[int, ...], lib: Any, tree: Path) -> None:
        _open(lib, tree, "a.zarr").resize(shape)

    def case(
        verb: str,
        old: np.ndarray[Any, Any],
        shape: tuple[int, ...],
        prepare: Callable[[Any, Path], object] | None = None,
    ) -> Case:
        new = np.full(shape, FILL, "i4")
        kept = tuple(slice(0, min(pair)) for pair in zip(old.shape, shape, strict=True))
        new[kept] = old[kept]
        models = [{"a.zarr": _array(values, units="m")} for values in (old, new)]
        act = partial(resize, shape)
        return Case(verb, variant, *models, act, prepare=prepare, moves_data=True)

    yield case("shrink", EVEN, (5, 7))
    yield case("shrink to nothing", EVEN, (0, 10))
    yield case("grow", ODD, (15, 12))
    yield case("shrink and grow", EVEN, (3, 17))
    # The rests of a larger shape, as a writer that died or another library leaves them.
    larger = {"a.zarr": _array(_changed((16, 15)), units="m")}

    def cut(_lib: Any, tree: Path) -> None:
        for path in (tree / "a.zarr").rglob("*"):
            if path.name in {".zarray", "zarr.json", "attributes.json"}:
                doc = json.loads(path.read_bytes())
                doc |= {"dimensions": [7, 10]} if "dimensions" in doc else {"shape": [10, 7]}
                path.write_text(json.dumps(doc))

    yield case("grow over rests", _changed((16, 15))[:10, :7], (15, 12))._replace(
        prepare=cut, built=larger
    )

    def append(axis: int, count: int, lib: Any, tree: Path) -> None:
        array = _open(lib, tree, "a.zarr")
        shape = tuple(count if i == axis else n for i, n in enumerate(array.shape))
        array.append(_changed(shape), axis=axis)

    def appended(axis: int, count: int, model: Model) -> Model:
        values = model["a.zarr"].values
        assert values is not None
        shape = tuple(count if i == axis else n for i, n in enumerate(values.shape))
        longer = np.concatenate([values, _changed(shape)], axis)
        return {"a.zarr": model["a.zarr"]._replace(values=longer)}

    for verb, values, axis, count in (
        ("append whole chunks", EVEN, 0, 4),
        ("append within a chunk", ODD, 0, 1),
        ("append", ODD, 0, 5),
        ("append along the last axis", ODD, 1, 4),
    ):
        old = {"a.zarr": _array(values, units="m")}
        yield Case(
            verb,
            variant,
            old,
            appended(axis, count, old),
            partial(append, axis, count),
            again=partial(appended, axis, count),
            moves_data=True,
        )


def _documents(variant: Variant) -> Iterator[Case]:
    def update(path: str, lib: Any, tree: Path) -> None:
        _open(lib, tree, path).update_attributes({"units": "km", "long": "y" * 300})

    after = {"units": "km", "long": "y" * 300}
    old = GROUP | {"g.zarr/x": _array(ODD, units="m")}
    new = old | {"g.zarr/x": Node(after, ODD, STORED)}
    yield Case("attributes", variant, old, new, partial(update, "g.zarr/x"))
    new = old | {"g.zarr": Node({"owner": "me"} | after)}
    yield Case("attributes of a group", variant, old, new, partial(update, "g.zarr"))
    if variant.zarr_format == "n5":
        return  # it has no consolidated metadata

    def consolidate(lib: Any, tree: Path) -> None:
        lib.consolidate_metadata(str(tree / "g.zarr"), zarr_format=variant.zarr_format)

    old = GROUP | {"g.zarr/x": _array(ODD, units="m"), "g.zarr/s": Node({"k": 1})}
    old |= {"g.zarr/s/y": _array(ODD)}
    yield Case("consolidate", variant, old, old, consolidate)
    yield Case("consolidate again", variant, old, old, consolidate, prepare=consolidate)
    new = old | {"g.zarr/x": Node(after, ODD, STORED)}

    def update_by_group(lib: Any, tree: Path) -> None:
        # Whoever has seen the copy of the metadata has to end it.
        lib.open_group(str(tree / "g.zarr"), mode="r+")["x"].update_attributes(after)

    verb = "attributes in consolidated metadata"
    yield Case(verb, variant, old, new, update_by_group, prepare=consolidate)


def _moving(variant: Variant) -> Iterator[Case]:
    old = GROUP | {
        "g.zarr/x": _array(EVEN, units="m"),
        "g.zarr/s": Node({"k": 1}),
        "g.zarr/s/y": _array(ODD),
        "g.zarr/s/t": Node({"k": 2}),
        "g.zarr/s/t/z": _array(ODD),
    }

    def delete(name: str, lib: Any, tree: Path) -> None:
        del lib.open_group(str(tree / "g.zarr"), mode="r+")[name]

    def move(source: str, target: str, lib: Any, tree: Path) -> None:
        lib.open_group(str(tree / "g.zarr"), mode="r+").move(source, target)

    gone = {path: node for path, node in old.items() if path != "g.zarr/x"}
    yield Case("delete", variant, old, gone, partial(delete, "x"))
    gone = {path: node for path, node in old.items() if not path.startswith("g.zarr/s")}
    yield Case("delete a group", variant, old, gone, partial(delete, "s"))
    for verb, source, target, parents in (
        ("move", "x", "w", ()),
        ("move a group", "s", "w", ()),
        ("move to a new group", "s", "p/q/w", ("p", "p/q")),
    ):
        moved = {
            path.replace(f"g.zarr/{source}", f"g.zarr/{target}", 1): node
            for path, node in old.items()
        }
        made = {f"g.zarr/{path}": Node({}) for path in parents}
        yield Case(
            verb,
            variant,
            old,
            moved | made,
            partial(move, source, target),
            loose=frozenset(made),
            beyond_control="zarr-python 3 has no move",
        )


def _copying(variant: Variant) -> Iterator[Case]:
    old = GROUP | {"g.zarr/x": _array(ODD, units="m")}
    new = old | {"g.zarr/y": _array(ODD, units="m")}

    def copy(name: str, lib: Any, tree: Path) -> None:
        group = lib.open_group(str(tree / "g.zarr"), mode="r+")
        lib.copy(group[name], group, name="y", if_exists="replace")

    none = "zarr-python 3 has no copy"
    words: dict[str, Any] = {"moves_data": True, "beyond_control": none}
    yield Case("copy", variant, old, new, partial(copy, "x"), judge=each, **words)
    over = old | {"g.zarr/y": _array(EVEN, old=1)}
    yield Case("copy over another", variant, over, new, partial(copy, "x"), **words)
    nested = {"g.zarr/s": Node({"k": 1}), "g.zarr/s/z": _array(ODD)}
    copied = {"g.zarr/y": Node({"k": 1}), "g.zarr/y/z": _array(ODD)}
    old = GROUP | nested
    yield Case(
        "copy a group", variant, old, old | copied, partial(copy, "s"), judge=_group_copy, **words
    )

    def save(lib: Any, tree: Path) -> None:
        words = variant.geometry(STORED)
        del words["dtype"]
        lib.save_array(str(tree / "n.zarr"), ODD, zarr_format=variant.zarr_format, **words)

    new = {"n.zarr": _array(ODD)}
    none = "save_array of zarr-python 3.1 takes no chunks"
    words = {"moves_data": True, "beyond_control": none}
    yield Case("save", variant, {}, new, save, judge=each, **words)
    old = {"n.zarr": _array(EVEN, old=1)}
    yield Case("save over another", variant, old, new, save, **words)

    def save_group(lib: Any, tree: Path) -> None:
        lib.save_group(str(tree / "n.zarr"), x=ODD, y=EVEN, zarr_format=variant.zarr_format)

    if not (variant.sharded or variant.nested):
        plain = {"n.zarr/x": (ODD, ODD.shape), "n.zarr/y": (EVEN, EVEN.shape)}
        saved = {path: Node({}, values, stored) for path, (values, stored) in plain.items()}
        new = {"n.zarr": Node({})} | saved
        yield Case("save a group", variant, {}, new, save_group, judge=_zero_fill, moves_data=True)
        yield Case("save a group over another", variant, old, new, save_group, moves_data=True)


def _transactions(variant: Variant) -> Iterator[Case]:
    if not hasattr(fastzarr.Group, "transaction"):
        return
    old = GROUP | {"g.zarr/x": _array(EVEN, units="m"), "g.zarr/h": _array(ODD)}
    written = EVEN.copy()
    written[2:9, 3:7] = -EVEN[2:9, 3:7]
    new = {
        "g.zarr": Node({"owner": "you"}),
        "g.zarr/x": _array(written, units="km"),
        "g.zarr/h": _array(np.concatenate([ODD, -ODD])),
        "g.zarr/y": _array(ODD, made=True),
    }
    words = variant.geometry(STORED)
    del words["dtype"]

    def change(group: Any) -> None:
        group.update_attributes({"owner": "you"})
        group["x"][2:9, 3:7] = -EVEN[2:9, 3:7]
        group["x"].update_attributes({"units": "km"})
        group["h"].append(-ODD)
        group.create_array("y", data=ODD, attributes={"made": True}, **words)

    def act(lib: Any, tree: Path) -> None:
        group = lib.open_group(str(tree / "g.zarr"), mode="r+")
        with group.transaction():
            change(group)

    def give_up(lib: Any, tree: Path) -> None:
        group = lib.open_group(str(tree / "g.zarr"), mode="r+")
        with suppress(_GivenUpError), group.transaction():
            change(group)
            raise _GivenUpError

    none: dict[str, Any] = {"moves_data": True, "beyond_control": "zarr-python has no transactions"}
    yield Case("transaction", variant, old, new, act, **none)
    yield Case("transaction given up", variant, old, old, give_up, **none)


class _GivenUpError(Exception):
    pass


def _group_copy(found: Model, old: Model, new: Model) -> str | None:
    """Allow the copy of a group to get its attributes later than its name."""
    bare = found.get("g.zarr/y")
    if bare is not None and not bare.attributes:
        found = found | {"g.zarr/y": new["g.zarr/y"]}
    return each(found, old, new)


def _zero_fill(found: Model, old: Model, new: Model) -> str | None:
    """Use zero as the fill value, because ``save_group`` has no argument for another."""
    shown = {
        path: node._replace(values=np.where(node.values == 0, FILL, node.values))
        if node.values is not None
        else node
        for path, node in found.items()
    }
    return each(shown, old, new)
