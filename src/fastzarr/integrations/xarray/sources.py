"""Whether a dataset reads from the group that it is to replace.

Rules of this file:

* Such a dataset would find its elements deleted, and be stored as fill values. It is refused before
  anything is deleted.
* What a variable holds is found as pickle finds it: in xarray's lazy arrays, and in the tasks of
  dask. What cannot be pickled is not looked into.
"""

from __future__ import annotations

import io
import pickle
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.nodes.array import Array
from fastzarr.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from xarray import Variable

    from fastzarr.stores.path import StorePath


def check_apart(variables: Mapping[str, Variable], place: StorePath) -> None:
    """Raise ValueError if a variable reads from a place that is about to be deleted."""
    for name, variable in variables.items():
        for array in _arrays(variable):
            if _is_below(array, place):
                msg = (
                    f"variable {name!r} reads from {array.store_path}, which mode='w' would "
                    "delete first. Load the dataset with .load(), write it elsewhere, or write "
                    "with mode='a' or mode='r+'"
                )
                raise ValueError(msg)


def _is_below(array: Array, place: StorePath) -> bool:
    whole, part = str(place).rstrip("/"), str(array.store_path)
    if array.store.place is place.store.place:
        whole, part = f"/{place.path}".rstrip("/"), f"/{array.path}"
    return part == whole or part.startswith(f"{whole}/")


def _arrays(variable: Variable) -> Iterable[Array]:
    finder = _pickler()(io.BytesIO(), protocol=5, buffer_callback=lambda _: False)
    # What it has found so far counts, if there is something that cannot be pickled.
    with suppress(pickle.PicklingError, AttributeError, TypeError, RecursionError):
        finder.dump(variable)
    found: list[Array] = finder.found
    return found


def _pickler() -> Any:
    """Return a class that notes the arrays in what it pickles."""
    try:
        # Tasks of dask hold functions that pickle does not know.
        from cloudpickle import Pickler
    except ImportError:
        from pickle import Pickler

    class Finder(Pickler):  # type: ignore[misc, valid-type, unused-ignore]  # one of two
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.found: list[Array] = []

        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, Array):
                self.found.append(obj)
                return "array"
            # Values in memory, and those of stores, are left where they are.
            return "other" if isinstance(obj, np.ndarray | Store) else None

    return Finder
