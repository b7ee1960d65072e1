"""Descriptions of arrays and groups, as text and as HTML in a notebook.

Rules of this file:

* The content is collected once, as pairs, and then formatted as text or HTML.
* Names and values are untrusted. They are escaped in HTML, and control characters are escaped for
  the terminal.
* ``info`` reads no chunk and lists no key; only ``info_complete`` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from fastzarr.metadata.layout import Layout
from fastzarr.nodes.stored import stored_size
from fastzarr.nodes.words import dtype_words, printable

if TYPE_CHECKING:
    from fastzarr.grids.base import Grid
    from fastzarr.nodes.documents import Node
    from fastzarr.stores import Store

_UNITS = ("K", "M", "G", "T", "P", "E")
_KILO = 1024


class _Node(Protocol):
    """What the description of a node requires of it."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def store(self) -> Store: ...


class _Array(_Node, Protocol):
    """What the description of an array requires of it."""

    @property
    def layout(self) -> Layout: ...
    @property
    def order(self) -> str: ...
    @property
    def filters(self) -> tuple[Any, ...]: ...
    @property
    def serializer(self) -> Any: ...
    @property
    def compressors(self) -> tuple[Any, ...]: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def nbytes_stored(self) -> int: ...
    @property
    def nchunks(self) -> int: ...
    @property
    def nchunks_initialized(self) -> int: ...


class _Group(_Node, Protocol):
    """What the description of a group requires of it."""

    @property
    def zarr_format(self) -> int | str: ...

    def walk(self) -> Iterator[tuple[str, Node]]: ...


class Info(Mapping[str, str]):
    """The description of a node as pairs of strings, shown as text or as a table in a notebook.

    >>> Info([("Type", "Array"), ("Shape", "(3,)")])
    Type  : Array
    Shape : (3,)
    """

    def __init__(self, items: list[tuple[str, str]]) -> None:
        """Initialise with the pairs, whose order is kept."""
        self._items = {name: printable(value) for name, value in items}

    def __getitem__(self, name: str) -> str:
        """Return the value of a line."""
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the lines."""
        return iter(self._items)

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._items)

    def __repr__(self) -> str:
        """Return the text, one line for each pair."""
        width = max(map(len, self._items), default=0)
        return "\n".join(f"{name:<{width}} : {value}" for name, value in self._items.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{escape(name)}</th>'
            f'<td style="text-align: left">{escape(value)}</td></tr>'
            for name, value in self._items.items()
        )
        return f'<table class="zarr-info"><tbody>{rows}</tbody></table>'


class ArrayInfo(Info):
    """The description of an array."""


class GroupInfo(Info):
    """The description of a group."""


def array_info(array: _Array, *, complete: bool = False) -> ArrayInfo:
    """Return the description of an array; ``complete`` includes the stored bytes and chunks."""
    layout = array.layout
    items = [
        ("Name", array.name),
        ("Type", "Array"),
        ("Zarr format", str(layout.zarr_format)),
        ("Data type", dtype_words(layout)),
        ("Fill value", _fill_words(layout)),
        ("Shape", str(layout.shape)),
    ]
    if layout.dimension_names is not None:
        items.append(("Dimension names", str(layout.dimension_names)))
    if layout.shards is not None:
        items.append(("Shard shape", _chunk_words(layout.shards, layout.irregular)))
    inner = None if layout.sharding is not None else layout.irregular
    items += [
        ("Chunk shape", _chunk_words(layout.inner_chunks, inner)),
        ("Order", array.order),
        ("Read-only", str(array.read_only)),
        ("Store type", type(array.store).__name__),
        ("Filters", _codec_words(array.filters)),
    ]
    if array.serializer is not None:
        items.append(("Serializer", str(array.serializer)))
    items.append(("Compressors", _codec_words(array.compressors)))
    items.append(("No. bytes", _bytes_words(array.nbytes)))
    if complete:
        stored = int(array.nbytes_stored)
        items.append(("No. bytes stored", _bytes_words(stored)))
        if stored:
            items.append(("Storage ratio", _ratio_words(array.nbytes / stored)))
        items.append(("Chunks initialized", f"{array.nchunks_initialized}/{array.nchunks}"))
    return ArrayInfo(items)


def _chunk_words(chunks: tuple[int, ...] | None, grid: Grid | None) -> str:
    """Return the shape of chunks, with a range where their sizes along an axis differ."""
    if grid is None:
        return str(chunks)
    words = [
        f"{min(sizes)} to {max(sizes)}" if len(sizes) > 1 else str(sizes[0])
        for sizes in grid.variety()
    ]
    return f"({', '.join(words)}{',' * (len(words) == 1)})"


def group_info(group: _Group, *, complete: bool = False) -> GroupInfo:
    """Return the description of a group; ``complete`` includes the nodes and bytes below it."""
    items = [
        ("Name", group.name),
        ("Type", "Group"),
        ("Zarr format", str(group.zarr_format)),
        ("Read-only", str(group.read_only)),
        ("Store type", type(group.store).__name__),
    ]
    if complete:
        below = [found for _, found in group.walk()]
        arrays = [found for found in below if isinstance(found, Layout)]
        size = sum(_size(found) for found in arrays)
        stored = stored_size(group.store, group.path)
        items += [
            ("No. members", str(len(below))),
            ("No. arrays", str(len(arrays))),
            ("No. groups", str(len(below) - len(arrays))),
            ("No. bytes", _bytes_words(size)),
            ("No. bytes stored", _bytes_words(stored)),
        ]
        if stored:
            items.append(("Storage ratio", _ratio_words(size / stored)))
    return GroupInfo(items)


def _size(layout: Layout) -> int:
    size = int(layout.dtype.numpy.itemsize)
    for length in layout.shape:
        size *= length
    return size


def _fill_words(layout: Layout) -> str:
    fill = layout.fill
    if layout.dtype.numpy.names is not None:
        return str(fill)
    return str(fill.item()) if hasattr(fill, "item") and fill.dtype.kind in "biufc" else repr(fill)


def _codec_words(codecs: tuple[Any, ...]) -> str:
    return ", ".join(map(str, codecs)) or "none"


def _bytes_words(size: int) -> str:
    """Return a number of bytes as text, followed by a rounded one from 1 KiB on.

    >>> _bytes_words(1536)
    '1536 (1.5K)'
    """
    if size < _KILO:
        return str(size)
    rounded, unit = float(size), ""
    for unit in _UNITS:  # noqa: B007  (used after the loop)
        rounded /= _KILO
        if rounded < _KILO:
            break
    return f"{size} ({rounded:.1f}{unit})"


def _ratio_words(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"
