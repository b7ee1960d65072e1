"""Groups and helpers of the tests of transactions."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fastzarr as zarr

if TYPE_CHECKING:
    import pytest

OPTIONS: dict[str, dict[str, Any]] = {
    "format 3": {"zarr_format": 3},
    "format 2": {"zarr_format": 2},
    "shards": {"zarr_format": 3, "shards": 4},
}


def make(path: Path, zarr_format: int = 3, **options: Any) -> zarr.Group:
    """Return a new group with two arrays."""
    root = zarr.create_group(path, zarr_format=zarr_format, attributes={"version": 1})
    for name in ("x", "y"):
        z = root.create_array(name, shape=8, chunks=2, dtype="i4", **options)
        z[...] = np.arange(1, 9)
    return root


def again(root: zarr.Group) -> zarr.Group:
    return zarr.open_group(str(root.store.folder), mode="r+")


def content(root: zarr.Group) -> dict[str, Any]:
    """Return everything that a reader sees: attributes, names, values."""
    new = again(root)
    arrays = {name: (z[...].tolist(), dict(z.attrs)) for name, z in new.arrays(recurse=True)}
    return {"": dict(new.attrs), "groups": sorted(new.group_keys())} | arrays


def files(root: zarr.Group) -> dict[str, bytes]:
    """Return all files, including temporary ones."""
    base = Path(root.store.folder)
    return {str(p.relative_to(base)): p.read_bytes() for p in base.rglob("*") if p.is_file()}


def in_child(work: Any) -> int:
    """Run a function in a forked child and return its exit code, which is 70 if it raised."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die(root: zarr.Group, work: Any, before: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run a transaction in a child that dies before one of its changes; return whether it did."""
    number = itertools.count()

    def counted(name: str) -> Any:
        real = getattr(os, name)

        def call(*args: Any, **words: Any) -> Any:
            if next(number) == before:
                os._exit(9)
            return real(*args, **words)

        return call

    def child() -> None:
        with root.transaction():
            work(root)
            for name in ("rename", "replace", "unlink", "makedirs", "rmdir"):
                monkeypatch.setattr(os, name, counted(name))

    code = in_child(child)
    assert code in (0, 9)
    return code == 9


def change_all(root: zarr.Group) -> None:
    """Make a change of every kind."""
    root.attrs["version"] = 2
    root["x"].attrs["units"] = "K"
    root["x"].append(np.arange(9, 12))
    root["x"][1:4] = 0
    root["y"].resize(3)
    root.move("y", "g/moved")
    root.create_array("new", data=np.arange(3), chunks=2)
    root.create_group("g/deep/er", attributes={"a": 1})
    del root["g/deep/er"]
    root.create_array("new", data=np.arange(5), overwrite=True, chunks=2)


def everything(path: Path) -> dict[str, Any]:
    """Return all files with their bytes and times."""
    found = [*path.rglob("*")]
    return {str(p): (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in found}


def in_thread(work: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
