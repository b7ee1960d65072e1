"""``info`` and ``tree``: arrays and groups described as text, and as HTML in a notebook.

Rules of this file:

* The content is collected once, as pairs or as a list of lines, and then formatted as text or HTML.
* Names and values are untrusted. They are escaped in HTML, and control characters are escaped for
  the terminal.
* ``info`` reads no chunk and lists no key; only ``info_complete`` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from fastzarr.metadata.layout import GroupLayout, Layout

if TYPE_CHECKING:
    from fastzarr.array import Array
    from fastzarr.group import Group

_UNITS = ("K", "M", "G", "T", "P", "E")
_KILO = 1024


class Info(Mapping[str, str]):
    """The description of a node as pairs of strings, shown as text or as a table in a notebook.

    >>> Info([("Type", "Array"), ("Shape", "(3,)")])
    Type  : Array
    Shape : (3,)
    """

    def __init__(self, items: list[tuple[str, str]]) -> None:
        """Initialise with the pairs, whose order is kept."""
        self._items = {name: _printable(value) for name, value in items}

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


class Tree:
    """A drawing of a hierarchy, shown as text or as a collapsible list in a notebook."""

    def __init__(
        self,
        root: str,
        rows: list[tuple[int, str, str | None]],
        *,
        truncated: int | None = None,
        opened: bool = True,
        plain: bool = False,
    ) -> None:
        """Initialise with the name of the root, and the other nodes in depth-first order.

        ``rows`` has the depth, name and description of each node; the description of a group is
        None. ``truncated`` is the number of nodes shown if there are more.
        """
        self._root, self._rows, self._truncated = _printable(root), rows, truncated
        self._opened, self._plain = opened, plain

    def __repr__(self) -> str:
        """Return the text, one line for each node."""
        start, end = ("\x1b[1m", "\x1b[0m") if not self._plain and _is_terminal() else ("", "")
        lines = [f"{start}{self._root}{end}"]
        for (_, name, what), lead in zip(self._rows, self._leads(), strict=True):
            words = "" if what is None else f" {_printable(what)}"
            lines.append(f"{lead}{start}{_printable(name)}{end}{words}")
        return "\n".join([*lines, *self._note()])

    def _repr_html_(self) -> str:
        opened = " open" if self._opened else ""
        bold = ("", "") if self._plain else ("<b>", "</b>")
        parts = [f"<details{opened}><summary>{escape(self._root).join(bold)}</summary><ul>"]
        depth = 0
        for at, name, what in self._rows:
            parts.append("</ul></details></li>" * (depth - at))
            depth = at
            shown = escape(_printable(name)).join(bold)
            if what is None:
                parts.append(f"<li><details{opened}><summary>{shown}</summary><ul>")
                depth += 1
            else:
                parts.append(f"<li>{shown} {escape(_printable(what))}</li>")
        parts.append("</ul></details></li>" * depth + "</ul></details>")
        notes = "".join(f"<p>{escape(note)}</p>" for note in self._note())
        return f'<div class="zarr-tree">{"".join(parts)}{notes}</div>'

    def _note(self) -> list[str]:
        if self._truncated is None:
            return []
        return [f"... only the first {self._truncated} nodes are shown; see max_nodes="]

    def _leads(self) -> list[str]:
        """Return the lines drawn before each name.

        Rows are visited backwards, because a vertical line depends on the rows below it.
        """
        leads = []
        goes_on: list[bool] = []
        for depth, _, _ in reversed(self._rows):
            del goes_on[depth + 1 :]
            goes_on += [False] * (depth + 1 - len(goes_on))
            stem = "".join("│   " if on else "    " for on in goes_on[:depth])
            leads.append(stem + ("├── " if goes_on[depth] else "└── "))
            goes_on[depth] = True
        return leads[::-1]


def tree(
    grp: Group,
    expand: bool | None = None,
    level: int | None = None,
    *,
    max_nodes: int = 500,
    plain: bool = False,
) -> Tree:
    """Return a drawing of the nodes below a group, down to ``level`` levels.

    ``expand=False`` collapses the list in a notebook, and ``plain=True`` omits bold names. At most
    ``max_nodes`` nodes are shown.

    >>> import fastzarr as zarr
    >>> root = zarr.group()
    >>> _ = root.create_array("a/x", shape=(3,), dtype="i2")
    >>> zarr.tree(root)
    /
    └── a
        └── x (3,) int16
    """
    if not hasattr(grp, "walk"):
        msg = f"tree() takes a group, not {grp!r}"
        raise TypeError(msg)
    rows: list[tuple[int, str, str | None]] = []
    truncated = None
    depth = None if level is None else max(0, level - 1)
    for path, found in grp.walk(depth) if level != 0 else ():
        if len(rows) == max_nodes:
            truncated = max_nodes
            break
        what = None if isinstance(found, GroupLayout) else f"{found.shape} {_dtype_words(found)}"
        rows.append((path.count("/"), path.rsplit("/", 1)[-1], what))
    opened = expand is not False
    return Tree(grp.name, rows, truncated=truncated, opened=opened, plain=plain)


def array_info(array: Array, *, complete: bool = False) -> ArrayInfo:
    """Return the description of an array; ``complete`` includes the stored bytes and chunks."""
    layout = array.layout
    items = [
        ("Name", array.name),
        ("Type", "Array"),
        ("Zarr format", str(layout.zarr_format)),
        ("Data type", _dtype_words(layout)),
        ("Fill value", _fill_words(layout)),
        ("Shape", str(layout.shape)),
    ]
    if layout.dimension_names is not None:
        items.append(("Dimension names", str(layout.dimension_names)))
    if layout.shards is not None:
        items.append(("Shard shape", str(layout.shards)))
    items += [
        ("Chunk shape", str(layout.inner_chunks)),
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


def group_info(group: Group, *, complete: bool = False) -> GroupInfo:
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
        stored = group.store.getsize_prefix(group.path)
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


def _dtype_words(layout: Layout) -> str:
    return layout.dtype.name if layout.dtype.itemsize is None else str(layout.dtype.numpy)


def _fill_words(layout: Layout) -> str:
    fill = layout.fill
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


def _printable(text: str) -> str:
    """Return text with non-printable characters, such as control sequences, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _is_terminal() -> bool:
    import sys

    return bool(sys.stdout) and sys.stdout.isatty()
