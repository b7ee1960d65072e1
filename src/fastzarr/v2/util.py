"""The helpers of zarr-python 2: arguments normalised, JSON, reports.

Rules of this file:

* A function takes what that of zarr-python 2 takes and returns what it returns; errors have the
  same types.
"""

from __future__ import annotations

import inspect
import json
import math
import numbers
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from keyword import iskeyword
from textwrap import TextWrapper
from typing import Any, NoReturn, TypeVar

import numpy as np
from numcodecs.compat import (
    ensure_bytes,
    ensure_contiguous_ndarray_like,
    ensure_ndarray_like,
    ensure_text,
)
from numcodecs.registry import codec_registry

from fastzarr.v2.trees import (
    TreeNode,
    TreeViewer,
    tree_array_icon,
    tree_get_icon,
    tree_group_icon,
    tree_widget,
)

__all__ = [
    "ConstantMap",
    "InfoReporter",
    "NoLock",
    "NumberEncoder",
    "TreeNode",
    "TreeViewer",
    "all_equal",
    "buffer_size",
    "check_array_shape",
    "ensure_contiguous_ndarray_or_bytes",
    "flatten",
    "guess_chunks",
    "human_readable_size",
    "info_html_report",
    "info_text_report",
    "is_total_slice",
    "is_valid_python_name",
    "json_dumps",
    "json_loads",
    "nolock",
    "normalize_chunks",
    "normalize_dimension_separator",
    "normalize_dtype",
    "normalize_fill_value",
    "normalize_order",
    "normalize_resize_args",
    "normalize_shape",
    "normalize_storage_path",
    "object_codecs",
    "retry_call",
    "tree_array_icon",
    "tree_get_icon",
    "tree_group_icon",
    "tree_widget",
]

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

# The codecs of the dtypes ``str``, ``bytes`` and ``array``.
object_codecs = {"str": "vlen-utf8", "bytes": "vlen-bytes", "array": "vlen-array"}

# The sizes in bytes that a guessed chunk is aimed at: a base, and its bounds.
CHUNK_BASE = 1 << 18
CHUNK_MIN = 1 << 17
CHUNK_MAX = 1 << 26


class NumberEncoder(json.JSONEncoder):
    """An encoder of JSON that knows NumPy's numbers."""

    def default(self, o: Any) -> Any:
        """Return a number as one of Python's."""
        if isinstance(o, numbers.Integral):
            return int(o)
        if isinstance(o, numbers.Real):
            return float(o)
        return super().default(o)


def json_dumps(o: Any) -> bytes:
    r"""Return a document as zarr-python 2 writes it: sorted, indented by four, in ASCII.

    >>> json_dumps({"b": 1, "a": np.int32(2)})
    b'{\n    "a": 2,\n    "b": 1\n}'
    """
    text = json.dumps(o, cls=NumberEncoder, sort_keys=True, indent=4, separators=(",", ": "))
    return text.encode("ascii")


def json_loads(s: Any) -> Any:
    """Return what a document contains.

    >>> json_loads(b'{"a": 1}')
    {'a': 1}
    """
    return json.loads(ensure_text(s, "utf-8"))


def flatten(arg: Iterable[Any]) -> Iterator[Any]:
    """Iterate over the elements of nested iterables.

    >>> list(flatten([1, [2, (3,)], "ab"]))
    [1, 2, 3, 'ab']
    """
    for element in arg:
        if isinstance(element, Iterable) and not isinstance(element, (str, bytes)):
            yield from flatten(element)
        else:
            yield element


def normalize_shape(shape: Any) -> tuple[int, ...]:
    """Return a shape as a tuple of integers.

    >>> normalize_shape(3)
    (3,)
    """
    if shape is None:
        msg = "shape is None"
        raise TypeError(msg)
    return _integers((shape,) if isinstance(shape, numbers.Integral) else tuple(shape), "shape")


def _integers(sizes: tuple[Any, ...], what: str) -> tuple[int, ...]:
    if not all(isinstance(size, numbers.Integral) for size in sizes):
        warnings.warn(f"{what} contains non-integer value(s)", UserWarning, stacklevel=3)
    return tuple(int(size) for size in sizes)


def guess_chunks(shape: tuple[int, ...], typesize: int) -> tuple[int, ...]:
    """Return the shape of a chunk of a few hundred KiB, more for a large array.

    The axes are halved in turn until the chunk is near its target size.

    >>> guess_chunks((10000, 10000), 4)
    (625, 625)
    """
    chunks = [max(float(size), 1.0) for size in shape]
    scale = math.log10(math.prod(chunks) * typesize / (1024 * 1024)) if typesize else -math.inf
    target = min(max(CHUNK_BASE * 2**scale, CHUNK_MIN), CHUNK_MAX)
    axis = 0
    while True:
        size = math.prod(chunks) * typesize
        near = size < target or abs(size - target) / target < 0.5
        if (near and size < CHUNK_MAX) or math.prod(chunks) == 1:
            return tuple(int(length) for length in chunks)
        chunks[axis] = math.ceil(chunks[axis] / 2)
        axis = (axis + 1) % len(chunks)


def normalize_chunks(chunks: Any, shape: tuple[int, ...], typesize: int) -> tuple[int, ...]:
    """Return the shape of a chunk, guessed for None or True, the whole array for False.

    >>> normalize_chunks((30, -1), (100, 20, 10), 1)
    (30, 20, 10)
    """
    if chunks is None or chunks is True:
        return guess_chunks(shape, typesize)
    if chunks is False:
        return shape
    if isinstance(chunks, numbers.Integral):
        chunks = (int(chunks),) * len(shape)
    if len(chunks) > len(shape):
        msg = "too many dimensions in chunks"
        raise ValueError(msg)
    given = (*chunks, *shape[len(chunks) :])
    pairs = zip(shape, given, strict=True)
    whole = tuple(size if length is None or length == -1 else length for size, length in pairs)
    return _integers(whole, "chunks")


def normalize_dtype(dtype: Any, object_codec: Any) -> tuple[np.dtype[Any], Any]:
    """Return a dtype, and the codec of objects that a name such as ``str`` stands for.

    >>> normalize_dtype(str, None)
    (dtype('O'), VLenUTF8())
    """
    if inspect.isclass(dtype):
        dtype = dtype.__name__
    if isinstance(dtype, str):
        name, _, arguments = dtype.partition(":")
        if name in object_codecs:
            if object_codec is None:
                words = arguments.split(",") if arguments else []
                object_codec = codec_registry[object_codecs[name]](*words)
            return np.dtype(object), object_codec
    dtype = np.dtype(dtype)
    if dtype in (np.dtype("M8"), np.dtype("m8")):
        msg = (
            "datetime64 and timedelta64 dtypes without a unit are not supported; "
            'say which, as in "M8[ns]"'
        )
        raise ValueError(msg)
    return dtype, object_codec


def is_total_slice(item: Any, shape: tuple[int, ...]) -> bool:
    """Whether slices select all of an array of a shape.

    >>> is_total_slice((slice(0, 3), 0), (3, 1))
    True
    """
    if isinstance(item, (slice, type(Ellipsis))):
        item = (item,)
    if not isinstance(item, tuple):
        msg = f"expected slices, found {item!r}"
        raise TypeError(msg)
    if item == (Ellipsis,) or item == (slice(None),):
        return True
    return all(_is_whole(part, size) for part, size in zip(item, shape, strict=False))


def _is_whole(part: Any, size: int) -> bool:
    if isinstance(part, slice):
        if part == slice(None):
            return True
        return part.stop - part.start == size and part.step in (1, None)
    return isinstance(part, int) and part == 0 and size == 1


def normalize_resize_args(old_shape: tuple[int, ...], *args: Any) -> tuple[int, ...]:
    """Return the new shape, in which None stands for the old length.

    >>> normalize_resize_args((3, 4), 5, None)
    (5, 4)
    """
    new = args[0] if len(args) == 1 else args
    new = (new,) if isinstance(new, int) else tuple(new)
    if len(new) != len(old_shape):
        msg = "new shape must have same number of dimensions"
        raise ValueError(msg)
    return tuple(
        size if length is None else int(length) for size, length in zip(old_shape, new, strict=True)
    )


def human_readable_size(size: int) -> str:
    """Return a number of bytes with a unit.

    >>> human_readable_size(1 << 11)
    '2.0K'
    """
    if size < 1 << 10:
        return str(size)
    power = 1
    while power < 5 and size >= 1 << (10 * (power + 1)):
        power += 1
    return f"{size / float(1 << (10 * power)):.1f}{'KMGTP'[power - 1]}"


def normalize_order(order: Any) -> Any:
    """Return a memory order in upper case.

    >>> normalize_order("f")
    'F'
    """
    order = str(order).upper()
    if order not in ("C", "F"):
        msg = f"order must be either 'C' or 'F', found: {order!r}"
        raise ValueError(msg)
    return order


def normalize_dimension_separator(sep: Any) -> Any:
    """Return a separator of chunk keys, or None.

    >>> normalize_dimension_separator("/")
    '/'
    """
    if sep not in (".", "/", None):
        msg = f"dimension_separator must be either '.' or '/', found: {sep!r}"
        raise ValueError(msg)
    return sep


def normalize_fill_value(fill_value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a fill value as an element of a dtype; None and values of objects as they are.

    >>> normalize_fill_value(0, np.dtype("i4"))
    np.int32(0)
    """
    if fill_value is None or dtype.hasobject:
        return fill_value
    if np.isscalar(fill_value) and not isinstance(fill_value, np.void) and fill_value == 0:
        return np.zeros((), dtype=dtype)[()]
    if dtype.kind == "U":
        if not isinstance(fill_value, str):
            _refuse_fill(fill_value, dtype, "it must be a string", None)
        return fill_value
    try:
        if isinstance(fill_value, bytes) and dtype.kind == "V":
            return np.array(fill_value, dtype=dtype.str).view(dtype)[()]
        return np.array(fill_value, dtype=dtype)[()]
    except Exception as error:  # noqa: BLE001  (whatever NumPy raises is passed on as the cause)
        _refuse_fill(fill_value, dtype, str(error), error)


def _refuse_fill(value: Any, dtype: np.dtype[Any], why: str, error: Exception | None) -> NoReturn:
    msg = f"fill_value {value!r} is not valid for dtype {dtype}: {why}"
    raise ValueError(msg) from error


def normalize_storage_path(path: Any) -> str:
    """Return a path without slashes at its ends, and with single ones inside.

    >>> normalize_storage_path("/a//b/")
    'a/b'
    """
    if path is None:
        return ""
    text = str(path, "ascii") if isinstance(path, bytes) else str(path)
    parts = [part for part in text.replace("\\", "/").split("/") if part]
    if not {".", ".."}.isdisjoint(parts):
        msg = f"path {text!r} has a segment '.' or '..', which is not allowed"
        raise ValueError(msg)
    return "/".join(parts)


def buffer_size(v: Any) -> int:
    """Return the number of bytes of a buffer.

    >>> buffer_size(b"abc")
    3
    """
    return int(ensure_ndarray_like(v).nbytes)


def info_text_report(items: Iterable[tuple[Any, Any]]) -> str:
    r"""Return pairs as lines of text.

    >>> info_text_report([("a", 1), ("bc", 2)])
    'a  : 1\nbc : 2\n'
    """
    pairs = list(items)
    width = max(len(name) for name, _ in pairs)
    report = ""
    for name, value in pairs:
        first, others = f"{name:<{width}} : ", f"{'':<{width}} : "
        lines = TextWrapper(width=80, initial_indent=first, subsequent_indent=others)
        report += lines.fill(str(value)) + "\n"
    return report


def info_html_report(items: Iterable[tuple[Any, Any]]) -> str:
    """Return pairs as a table in HTML.

    >>> info_html_report([])
    '<table class="zarr-info"><tbody></tbody></table>'
    """
    rows = "".join(
        f'<tr><th style="text-align: left">{escape(str(name), quote=False)}</th>'
        f'<td style="text-align: left">{escape(str(value), quote=False)}</td></tr>'
        for name, value in items
    )
    return f'<table class="zarr-info"><tbody>{rows}</tbody></table>'


class InfoReporter:
    """A description of a node, shown as text or as a table in a notebook."""

    def __init__(self, obj: Any) -> None:
        """Initialise with an object that has ``info_items()``."""
        self.obj = obj
        self.items = obj.info_items()

    def __repr__(self) -> str:
        """Return the text."""
        return info_text_report(self.items)

    def _repr_html_(self) -> str:
        return info_html_report(self.items)


def check_array_shape(param: str, array: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError, naming the parameter, if an array has another shape.

    >>> check_array_shape("out", np.zeros(3), (3,))
    """
    if not hasattr(array, "shape"):
        msg = f"parameter {param!r}: expected an array-like object, got {type(array)!r}"
        raise TypeError(msg)
    if array.shape != shape:
        msg = f"parameter {param!r}: expected array with shape {shape!r}, got {array.shape!r}"
        raise ValueError(msg)


def is_valid_python_name(name: str) -> bool:
    """Whether a name can be an attribute.

    >>> is_valid_python_name("a1"), is_valid_python_name("for")
    (True, False)
    """
    return name.isidentifier() and not iskeyword(name)


class NoLock:
    """A lock that keeps nobody out."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, *args: object) -> None:
        """Do nothing."""


nolock = NoLock()


def retry_call(
    callabl: Any,
    args: Any = None,
    kwargs: Any = None,
    exceptions: tuple[Any, ...] = (),
    retries: int = 10,
    wait: float = 0.1,
) -> Any:
    """Return the result of a call, which is repeated after some errors.

    >>> retry_call(int, ("3",))
    3
    """
    for left in range(retries - 1, -1, -1):
        try:
            return callabl(*(args or ()), **(kwargs or {}))
        except exceptions:
            if not left:
                raise
            time.sleep(wait)
    return None


def all_equal(value: Any, array: Any) -> bool:
    """Whether all elements of an array are a value; two NaNs are the same.

    >>> all_equal(np.nan, np.array([np.nan]))
    True
    """
    if value is None:
        return False
    array = np.asarray(array)
    if not value and array.dtype.kind not in "OV":
        return not np.any(array)
    if array.dtype.kind == "O":
        return all(flatten(np.equal(value, array, dtype=object)))
    if array.dtype.kind == "f" and np.isnan(value):
        return bool(np.all(np.isnan(array)))
    return bool(np.all(value == array))


def ensure_contiguous_ndarray_or_bytes(buf: Any) -> Any:
    """Return a buffer as an array without a copy, or else as bytes.

    >>> ensure_contiguous_ndarray_or_bytes(b"ab").tolist()
    [97, 98]
    """
    try:
        return ensure_contiguous_ndarray_like(buf)
    except TypeError:
        return ensure_bytes(buf)


class ConstantMap(Mapping[KeyT, ValueT]):
    """A mapping in which all keys have the same value."""

    def __init__(self, keys: Iterable[KeyT], constant: ValueT) -> None:
        """Initialise with the keys and their value."""
        self._keys, self._constant = frozenset(keys), constant

    def __getitem__(self, key: KeyT) -> ValueT:
        """Return the value; raise KeyError for another key."""
        if key not in self._keys:
            raise KeyError(repr(key))
        return self._constant

    def __iter__(self) -> Iterator[KeyT]:
        """Iterate over the keys."""
        return iter(self._keys)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._keys)

    def __repr__(self) -> str:
        """Return the repr of the mapping as a ``dict``."""
        return repr(dict(self))
