"""Strategies for data types: those of NumPy, of zarr-python, and records of either.

Rules of this file:

* Classes of data types that others have registered are drawn, too, if their members are named as
  those of zarr-python.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np

from fastzarr.compat.core.dtype import data_type_registry
from fastzarr.compat.core.dtype.common import HasItemSize
from fastzarr.compat.core.dtype.npy.common import DATETIME_UNIT
from fastzarr.compat.core.dtype.npy.structured import Struct

if TYPE_CHECKING:
    from fastzarr.compat.core.dtype.wrapper import ZDType


def dtypes() -> st.SearchStrategy[np.dtype[Any]]:
    """Return a strategy for the data types of NumPy."""
    kinds: list[Any] = [
        npst.integer_dtypes,
        npst.unsigned_integer_dtypes,
        npst.floating_dtypes,
        npst.complex_number_dtypes,
        npst.byte_string_dtypes,
        npst.unicode_string_dtypes,
        npst.datetime64_dtypes,
        npst.timedelta64_dtypes,
    ]
    return st.one_of(npst.boolean_dtypes(), *(kind(endianness="=") for kind in kinds))


v2_dtypes = v3_dtypes = dtypes

_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "endianness": st.sampled_from(["little", "big"]),
    "length": st.integers(1, 16),
    "unit": st.sampled_from(DATETIME_UNIT),
    "scale_factor": st.integers(1, 2**31 - 1),
}


def _of_class(cls: Any) -> st.SearchStrategy[ZDType[Any, Any]]:
    named = {field.name for field in dataclasses.fields(cls)} & _MEMBERS.keys()
    return st.builds(cls, **{name: _MEMBERS[name] for name in named})


def _simple(*, sized: bool) -> st.SearchStrategy[ZDType[Any, Any]]:
    """Return a strategy for data types without fields, on request of those of one size."""
    classes: Any = [cls for cls in data_type_registry.contents.values() if cls is not Struct]
    return st.one_of(
        [_of_class(cls) for cls in classes if not sized or issubclass(cls, HasItemSize)]
    )


_names = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=4)
_titles = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=4)


@st.composite
def _records(draw: st.DrawFn, fields: st.SearchStrategy[ZDType[Any, Any]]) -> ZDType[Any, Any]:
    kinds = draw(st.lists(fields, min_size=1, max_size=4))
    made: Any = Struct
    # The numbers keep the names apart.
    found: ZDType[Any, Any] = made(
        fields=tuple((f"{draw(_names)}{at}", kind) for at, kind in enumerate(kinds))
    )
    return found


def zdtypes(*, max_leaves: int = 6) -> st.SearchStrategy[ZDType[Any, Any]]:
    """Return a strategy for the data types of zarr-python, records in records included."""
    nested = st.recursive(_simple(sized=True), _records, max_leaves=max_leaves)
    return _simple(sized=False) | nested.filter(lambda kind: isinstance(kind, Struct))


@st.composite
def structured_dtypes(
    draw: st.DrawFn, *, allow_extended: bool = False, max_depth: int = 3
) -> np.dtype[np.void]:
    """Draw a record of NumPy.

    With ``allow_extended`` it may have what zarr-python has not: titles of fields, fields that are
    arrays, and padding.
    """
    fields: list[Any] = []
    for at in range(draw(st.integers(1, 4))):
        name: Any = f"{draw(_names)}{at}"
        if max_depth and draw(st.booleans()):
            kind: Any = draw(
                structured_dtypes(allow_extended=allow_extended, max_depth=max_depth - 1)
            )
        else:
            kind = draw(_simple(sized=True)).to_native_dtype()
        if allow_extended:
            if draw(st.booleans()):
                name = (f"{draw(_titles)}{at}", name)
            if draw(st.booleans()):
                kind = (kind, draw(npst.array_shapes(max_dims=2, max_side=3)))
        fields.append((name, kind))
    return np.dtype(fields, align=allow_extended and draw(st.booleans()))
