"""zarr-python with its stores opened by fsspec: the control where its own store does not fail.

zarr-python's ``LocalStore`` renames files to their places, and seldom takes a failing call for an
answer. Its ``FsspecStore`` of the same folder, which is what a URL of ``file://`` opens, writes in
place, and finds nothing in a folder that cannot be listed. The harness must see both.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import zarr
from zarr.storage import FsspecStore

config = zarr.config


def _store(path: str) -> Any:
    return FsspecStore.from_url(f"file://{path}", storage_options={"auto_mkdir": True})


def _call(verb: str, place: str, /, *args: Any, **words: Any) -> Any:
    return getattr(zarr, verb)(_store(place), *args, **words)


def __getattr__(name: str) -> Any:
    """Return a function of zarr-python whose first argument is a path."""
    if name.startswith("_") or not hasattr(zarr, name):
        raise AttributeError(name)
    return partial(_call, name)
