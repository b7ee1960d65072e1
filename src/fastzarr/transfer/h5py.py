"""Differences between h5py's nodes and those of this package."""

from __future__ import annotations

from typing import Any

import numpy as np


def data_of(source: Any, words: dict[str, Any]) -> Any:
    """Return the data of an h5py dataset, with text decoded; add its properties to ``words``."""
    from h5py import check_string_dtype  # type: ignore[import-untyped,unused-ignore]

    text = check_string_dtype(source.dtype)
    if text is not None and text.length is None:
        words.setdefault("dtype", str)
        return np.asarray(source.asstr()[...], dtype=np.dtypes.StringDType())
    words.setdefault("fill_value", source.fillvalue)
    return source


def attributes_of(source: Any) -> dict[str, Any]:
    """Return the attributes of a node, h5py's bytes decoded to text."""
    found = {name: source.attrs[name] for name in source.attrs}
    return {name: _text(value) for name, value in found.items()} if is_h5py(source) else found


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray) and value.dtype.kind == "S":
        return np.char.decode(value, errors="replace")
    return value


def is_h5py(node: Any) -> bool:
    """Whether a node is one of h5py."""
    return type(node).__module__.startswith("h5py.")
