"""The reads that are made to fail at each of their calls, and must be correct or raise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torture.model import FILL, VARIANTS, Node, Variant, build
from torture.verbs import EVEN, GROUP, ODD, STORED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HOLES = ODD.copy()
_HOLES[:4, :5] = FILL
_HOLES[8:] = FILL
_TREE = GROUP | {
    "g.zarr/x": Node({"units": "m"}, EVEN, STORED),
    "g.zarr/h": Node({}, _HOLES, STORED),
    "g.zarr/s": Node({"k": 1}),
    "g.zarr/s/y": Node({}, ODD, STORED),
    "a.zarr": Node({"units": "m"}, ODD, STORED),
}


class Look(NamedTuple):
    """One way to read."""

    verb: str
    variant: Variant
    act: Callable[[Any, Path], Any]
    """Called with the library and the tree; gives what can be compared with ``==``."""
    consolidated: bool = False
    way: str = "native"
    beyond_control: str = ""

    @property
    def name(self) -> str:
        """The name of the look on the command line."""
        return f"{self.variant.name}/{self.verb}/{self.way}"

    def setup(self, lib: Any, tree: Path) -> None:
        """Create the tree to be read."""
        build(lib, tree, self.variant, _TREE)
        if self.consolidated:
            lib.consolidate_metadata(str(tree / "g.zarr"), zarr_format=self.variant.zarr_format)


def looks() -> Iterator[Look]:
    """Return all looks; those that read chunks use both data paths."""
    for variant in VARIANTS.values():
        for verb, index in _INDEXES.items():
            look = Look(verb, variant, partial(_index, index))
            yield from (look, look._replace(way="numpy"))
        for verb, act in _ANSWERS.items():
            none = "zarr-python needs another package for this" if verb == "tree" else ""
            yield Look(verb, variant, act, beyond_control=none)
        yield Look("read by consolidated metadata", variant, _by_copy, consolidated=True)
        yield Look("members of consolidated metadata", variant, _members, consolidated=True)


def _group(lib: Any, tree: Path, **words: Any) -> Any:
    return lib.open_group(str(tree / "g.zarr"), mode="r", **words)


def _index(index: Callable[[Any], Any], lib: Any, tree: Path) -> Any:
    return index(_group(lib, tree)).tolist()


_INDEXES: dict[str, Callable[[Any], Any]] = {
    "read all": lambda group: group["x"][...],
    "read part of chunks": lambda group: group["s/y"][2:9, 3:7],
    "read an element": lambda group: np.asarray(group["x"][3, 4]),
    "read where chunks are missing": lambda group: group["h"][...],
    "read rows by number": lambda group: group["h"].oindex[[0, 5, 9], 2:7],
    "read points": lambda group: group["x"].vindex[[0, 5, 11], [9, 1, 4]],
}


def _members(lib: Any, tree: Path) -> Any:
    return sorted(name for name, _ in _group(lib, tree).members(max_depth=None))


def _by_copy(lib: Any, tree: Path) -> Any:
    return _group(lib, tree)["s/y"][...].tolist()


def _contains(lib: Any, tree: Path) -> Any:
    group = _group(lib, tree)
    return [name in group for name in ("x", "s", "s/y", "nothing")]


_ANSWERS: dict[str, Callable[[Any, Path], Any]] = {
    "attributes": lambda lib, tree: [dict(_group(lib, tree)[n].attrs) for n in ("x", "s")],
    "members": _members,
    "names": lambda lib, tree: [
        sorted(_group(lib, tree).array_keys()),
        sorted(_group(lib, tree).group_keys()),
        len(_group(lib, tree)),
    ],
    "contains": _contains,
    "tree": lambda lib, tree: str(_group(lib, tree).tree()),
    "stored chunks": lambda lib, tree: _group(lib, tree)["h"].nchunks_initialized,
    "stored bytes": lambda lib, tree: _group(lib, tree)["h"].nbytes_stored() > 0,
    "open an array": lambda lib, tree: lib.open_array(str(tree / "a.zarr"), mode="r").shape,
    "open what is there": lambda lib, tree: lib.open(str(tree / "a.zarr"), mode="r")[0].tolist(),
    "load": lambda lib, tree: np.asarray(lib.load(str(tree / "a.zarr"))).tolist(),
}
