"""Arrays and groups in a notebook: description, attributes, members, and a picture of the chunks.

Rules of this file:

* Names and values are untrusted, and are escaped. What is long is shortened.
* Nothing but metadata is read: the members of a group, to a bounded number.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from fastzarr.checked import show
from fastzarr.nodes.words import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastzarr.grids.base import Grid

_ATTRIBUTES = 30
_MEMBERS = 50
# The longest side of a picture in pixels, its shortest side, and the most lines along a side.
_LONG, _SHORT, _LINES = 180, 30, 40


def group_html(group: Any) -> str:
    """Return the description of a group, its place, its members and its attributes."""
    parts = [
        _place(group),
        group.info._repr_html_(),
        _attributes(group.attrs),
        group.tree(level=1, max_nodes=_MEMBERS)._repr_html_(),
    ]
    return f'<div class="zarr-group">{"".join(parts)}</div>'


def array_html(array: Any) -> str:
    """Return the description of an array, its place, its attributes and a picture of its chunks."""
    table = array.info._repr_html_()
    cell = '<td style="vertical-align: top">'
    parts = [
        _place(array),
        f"<table><tbody><tr>{cell}{table}</td>{cell}{picture(array)}</td></tr></tbody></table>",
        _attributes(array.attrs),
    ]
    return f'<div class="zarr-array">{"".join(parts)}</div>'


def picture(array: Any) -> str:
    """Return the last two axes of an array as an SVG, with the borders of chunks and shards."""
    shape, grid = array.shape[-2:], array.layout.inner_grid
    if not shape or 0 in shape:
        return ""
    if len(shape) == 1:
        shape = (1, *shape)
    scale = _LONG / max(shape)
    height, width = (max(_SHORT, round(size * scale)) for size in shape)
    lines = [
        *_lines(array.shape, grid, (height, width), "#9ab"),
        *(_lines(array.shape, array.layout.grid, (height, width), "#345") if array.shards else ()),
        f'<rect width="{width}" height="{height}" fill="none" stroke="#345"></rect>',
    ]
    ndim = len(array.shape)
    words = f"{array.nchunks} chunks" + (f"; the last two of {ndim} axes" if ndim > 2 else "")
    return (
        f'<figure><svg width="{width + 2}" height="{height + 2}" viewBox="-1 -1 {width + 2} '
        f'{height + 2}"><rect width="{width}" height="{height}" fill="#eef"></rect>'
        f"{''.join(lines)}</svg><figcaption>{escape(words)}</figcaption></figure>"
    )


def _lines(shape: tuple[int, ...], grid: Grid, pixels: tuple[int, ...], colour: str) -> list[str]:
    """Return the borders between chunks along the last axes; only some if there are many."""
    found = []
    counts = grid.count(shape)
    for whole in range(max(len(shape) - 2, 0), len(shape)):
        axis = whole - len(shape) + 2
        size, side = shape[whole], pixels[axis]
        borders = range(1, counts[whole])
        for number in borders[:: max(1, -(-len(borders) // _LINES))]:
            border = grid.start(whole, number)
            at, other = round(border * side / size, 1), pixels[1 - axis]
            ends = (0, at, other, at) if axis == 0 else (at, 0, at, other)
            x1, y1, x2, y2 = ends
            found.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"></line>')
    return found


def _place(node: Any) -> str:
    kind = type(node).__name__
    return f"<p><b>{escape(kind)}</b> {escape(printable(str(node.store_path)))}</p>"


def _attributes(attributes: Mapping[str, Any]) -> str:
    if not attributes:
        return ""
    rows = "".join(
        f'<tr><th style="text-align: left">{escape(printable(show(name)[1:-1]))}</th>'
        f'<td style="text-align: left">{escape(printable(show(value)))}</td></tr>'
        for name, value in list(attributes.items())[:_ATTRIBUTES]
    )
    more = len(attributes) - _ATTRIBUTES
    note = f"<p>... and {more} more</p>" if more > 0 else ""
    return (
        f"<details open><summary>Attributes ({len(attributes)})</summary>"
        f'<table class="zarr-attributes"><tbody>{rows}</tbody></table>{note}</details>'
    )
