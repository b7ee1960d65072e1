"""Data frames of pandas from and to groups and structured arrays.

Rules of this file:

* A column is an array of its own, so that some can be read without the others; so is each level of
  the index. Any reader of Zarr reads the values.
* What NumPy has no type for is stored in arrays beside the values: which elements are missing
  (``name.missing``), and what the codes of a categorical column stand for (``name.categories``).
* The attribute ``dataframe`` of the group says which array is which column. A group without it is
  a data frame if its arrays have one axis and the same length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fastzarr.api.open import open, open_group
from fastzarr.nodes.array import Array
from fastzarr.nodes.group import Group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastzarr import hints
    from fastzarr.stores.resolve import StoreLike

__all__ = ["from_frame", "to_frame"]

_ATTRIBUTE = "dataframe"
_VERSION = 1
_MISSING, _CATEGORIES = ".missing", ".categories"


def from_frame(
    frame: pd.DataFrame,
    store: StoreLike = None,
    path: str | None = None,
    *,
    mode: hints.Mode = "w-",
    chunks: int | None = None,
    storage_options: hints.StorageOptions | None = None,
    **kwargs: Any,
) -> Group:
    """Write a data frame to a new group, one array for each column, and return the group.

    ``chunks`` is the number of rows of a chunk. Other keywords, such as ``compressors`` and
    ``attributes``, are those of ``create_array`` and apply to each column.

    >>> import pandas as pd
    >>> from fastzarr.integrations.pandas import from_frame, to_frame
    >>> frame = pd.DataFrame({"station": ["a", "b", None], "depth": [10.5, 20.0, 30.25]})
    >>> group = from_frame(frame, {})
    >>> group["depth"][:2]
    array([10.5, 20. ])
    >>> to_frame(group).equals(frame)
    True
    """
    if frame.columns.nlevels > 1:
        msg = "columns with several levels cannot be stored; flatten them first"
        raise TypeError(msg)
    parts = [(label, frame.iloc[:, at]) for at, label in enumerate(frame.columns)]
    index = [frame.index.get_level_values(level) for level in range(frame.index.nlevels)]
    plain = isinstance(frame.index, pd.RangeIndex)
    names = _names([label for label, _ in parts])
    levels = [] if plain else _names([level.name or "index" for level in index], taken=names)
    series = [column for _, column in parts]
    series += [] if plain else [level.to_series() for level in index]
    # Everything is converted before anything is stored.
    columns = [_split(one, name) for one, name in zip(series, names + levels, strict=True)]
    described: dict[str, Any] = {
        "version": _VERSION,
        "length": len(frame),
        "columns": [
            {"name": name, "label": _label(label), **how}
            for (label, _), name, (_, how) in zip(parts, names, columns, strict=False)
        ],
        "index": [
            {"name": name, **how}
            for name, (_, how) in zip(levels, columns[len(names) :], strict=True)
        ],
        "names": [_label(level.name) for level in index],
        "range": [frame.index.start, frame.index.stop, frame.index.step] if plain else None,
        "axis": {"label": _label(frame.columns.name), "dtype": str(frame.columns.dtype)},
    }
    group = open_group(
        store,
        mode,
        path=path,
        storage_options=storage_options,
        attributes={_ATTRIBUTE: described},
    )
    for arrays, _ in columns:
        for name, values in arrays.items():
            size = None if name.endswith(_CATEGORIES) else chunks
            words: dict[str, Any] = (
                {} if size is None else {"chunks": min(size, max(len(values), 1))}
            )
            dtype = str if values.dtype == object else values.dtype
            group.create_array(name, data=values, dtype=dtype, **words, **kwargs)
    return group


def to_frame(
    source: Group | Array | StoreLike,
    path: str | None = None,
    *,
    columns: Iterable[Any] | None = None,
    rows: slice = slice(None),
    storage_options: hints.StorageOptions | None = None,
) -> pd.DataFrame:
    """Return a data frame of a group, or of a structured array.

    Only the given ``columns`` and ``rows`` are read.

    >>> import fastzarr, numpy as np
    >>> from fastzarr.integrations.pandas import to_frame
    >>> data = np.array([(1, 0.5), (2, 1.5)], dtype=[("n", "i4"), ("x", "f8")])
    >>> to_frame(fastzarr.create_array({}, data=data), columns=["x"]).x.tolist()
    [0.5, 1.5]
    >>> root = fastzarr.create_group({})
    >>> root["a"], root["b"] = [1, 2, 3], [4.0, 5.0, 6.0]
    >>> to_frame(root, rows=slice(1, None)).b.tolist()
    [5.0, 6.0]
    """
    if not isinstance(source, Group | Array):
        source = open(source, "r", path=path, storage_options=storage_options)
    elif path is not None:
        msg = "path= is for a store; pass the group or array itself"
        raise TypeError(msg)
    wanted = None if columns is None else list(columns)
    if isinstance(source, Array):
        return _of_array(source, wanted, rows)
    described = source.attrs.get(_ATTRIBUTE)
    if isinstance(described, dict) and "columns" in described:
        return _of_described(source, described, wanted, rows)
    return _of_arrays(source, wanted, rows)


def _of_array(array: Array, wanted: list[Any] | None, rows: slice) -> pd.DataFrame:
    if array.dtype.names is None or array.ndim != 1:
        msg = (
            f"array {array.name!r} has dtype {array.dtype} and shape {array.shape}, but a data "
            "frame needs fields and one axis; pass its elements to pandas.DataFrame"
        )
        raise TypeError(msg)
    fields = list(array.dtype.names) if wanted is None else wanted
    _check_known(fields, array.dtype.names, array.name)
    data: Any = array.get_basic_selection(rows, fields=fields)
    if len(fields) == 1 and data.dtype.names is None:
        return pd.DataFrame({fields[0]: data})
    return pd.DataFrame({field: data[field] for field in fields})


def _of_arrays(group: Group, wanted: list[Any] | None, rows: slice) -> pd.DataFrame:
    arrays = dict(group.arrays())
    if wanted is not None:
        _check_known(wanted, arrays, group.name)
        arrays = {name: arrays[name] for name in wanted}
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        msg = (
            f"the arrays of {group.name!r} have shapes {shapes}, but columns of a data frame have "
            "one axis and the same length; select some with columns="
        )
        raise ValueError(msg)
    return pd.DataFrame({name: _as_column(array[rows]) for name, array in arrays.items()})


def _of_described(
    group: Group, described: Mapping[str, Any], wanted: list[Any] | None, rows: slice
) -> pd.DataFrame:
    if described.get("version") != _VERSION:
        msg = (
            f"the data frame in {group.name!r} is of version {described.get('version')!r}, and "
            f"this fastzarr reads version {_VERSION}"
        )
        raise ValueError(msg)
    columns = [(_unlabel(one["label"]), one) for one in described["columns"]]
    if wanted is not None:
        _check_known(wanted, [label for label, _ in columns], group.name)
        columns = [(label, one) for want in wanted for label, one in columns if label == want]
    data = [_join(group, one, rows) for _, one in columns]
    names = [_unlabel(label) for label in described["names"]]
    if described["range"] is not None:
        index: Any = pd.RangeIndex(*described["range"], name=names[0])[rows]
    else:
        levels = [_join(group, one, rows) for one in described["index"]]
        index = pd.Index(levels[0], name=names[0])
        if len(levels) > 1:
            index = pd.MultiIndex.from_arrays(levels, names=names)
    frame = pd.DataFrame(dict(enumerate(data)), index=pd.RangeIndex(len(index)))
    frame.index = index
    axis = described["axis"]
    labels = [label for label, _ in columns]
    frame.columns = pd.Index(labels, dtype=axis["dtype"], name=_unlabel(axis["label"]))
    return frame


def _check_known(wanted: Iterable[Any], known: Iterable[Any], name: str) -> None:
    there = list(known)
    missing = [one for one in wanted if one not in there]
    if missing:
        msg = f"{name!r} has no columns {missing!r}; it has {there!r}"
        raise KeyError(msg)


def _names(labels: list[Any], taken: Iterable[str] = ()) -> list[str]:
    """Return a name of an array for each label: the label itself if it can be one."""
    used = set(taken)
    names = []
    for at, label in enumerate(labels):
        name = label if isinstance(label, str) else ""
        plain = name and name.isprintable() and not {*name} & {*"/\\."} and name[:2] != "__"
        if not plain or name in used or len(name.encode()) > 200:
            name = f"column{at}"
            while name in used:
                name += "x"
        used.add(name)
        names.append(name)
    return names


def _label(label: Any) -> Any:
    """Return a label of a column or level as JSON."""
    if isinstance(label, np.generic):
        label = label.item()
    if label is None or isinstance(label, str | int | float | bool):
        return label
    if isinstance(label, pd.Timestamp):
        return {"timestamp": label.isoformat()}
    msg = f"the label {label!r} of a column or level cannot be stored; rename it"
    raise TypeError(msg)


def _unlabel(label: Any) -> Any:
    return pd.Timestamp(label["timestamp"]) if isinstance(label, dict) else label


def _split(column: pd.Series, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays of a column, and what says how they make it."""
    dtype = column.dtype
    how: dict[str, Any] = {"dtype": str(dtype)}
    if isinstance(dtype, pd.CategoricalDtype):
        values, more = _split(column.cat.categories.to_series(), name + _CATEGORIES)
        how |= {"dtype": "category", "ordered": bool(dtype.ordered), "categories": more}
        return {name: column.cat.codes.to_numpy(), **values}, how
    if isinstance(dtype, pd.DatetimeTZDtype):
        how |= {"zone": str(dtype.tz), "unit": dtype.unit}
        return {name: column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()}, how
    if isinstance(dtype, np.dtype) and dtype.kind in "biufcmM":
        return {name: column.to_numpy()}, how
    missing = column.isna().to_numpy(dtype=bool)
    found: dict[str, Any]
    if pd.api.types.is_string_dtype(dtype) and _is_text(column[~missing]):
        values = column.to_numpy(dtype=object, copy=True)
        values[missing] = ""
        found = {name: values}
    elif isinstance(dtype, pd.api.extensions.ExtensionDtype) and hasattr(dtype, "numpy_dtype"):
        plain = dtype.numpy_dtype
        found = {name: column.to_numpy(dtype=plain, na_value=plain.type(0))}
    else:
        msg = (
            f"column {column.name!r} of dtype {dtype} cannot be stored; convert it, for example to "
            "text with .astype(str)"
        )
        raise TypeError(msg)
    if missing.any():
        found[name + _MISSING] = missing
    return found, how


def _is_text(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _join(group: Group, how: Mapping[str, Any], rows: slice) -> pd.Series:
    """Return the values of a column, or of a level, of the dtype that it had."""
    name, dtype = how["name"], how["dtype"]
    values = group.get_array(name)[rows]
    if dtype == "category":
        more = {"name": name + _CATEGORIES, **how["categories"]}
        categories = pd.Index(_join(group, more, slice(None)))
        return pd.Series(pd.Categorical.from_codes(values, categories, ordered=how["ordered"]))
    if "zone" in how:
        times = pd.Series(values).dt.tz_localize("UTC")
        return times.dt.tz_convert(how["zone"])
    missing = group.get(name + _MISSING)
    gone = missing[rows] if isinstance(missing, Array) else np.zeros(len(values), bool)
    if values.dtype.kind == "T":
        text = values.astype(object)
        text[gone] = None
        return pd.Series(text, dtype=object).astype(dtype)
    series = pd.Series(values).astype(dtype)
    if gone.any():
        series[gone] = pd.NA
    return series


def _as_column(values: Any) -> Any:
    # pandas knows text of NumPy with a fixed length, or as objects.
    return values.astype(object) if values.dtype.kind in "TU" else values
