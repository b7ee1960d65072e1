"""Hierarchies drawn as trees, as text and as HTML in a notebook.

Rules of this file:

* The content is collected once, as a list of lines, and then formatted as text or HTML.
* Names and values are untrusted. They are escaped in HTML, and control characters are escaped for
  the terminal.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.nodes.words import dtype_words, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    class Walked(Protocol):
        """A group, which iterates over the paths and metadata below it."""

        @property
        def path(self) -> str:
            """The path of the group in its store."""

        def walk(self, max_depth: int | None = None, /) -> Iterator[tuple[str, Any]]:
            """Iterate over paths and metadata."""


_ASCII = str.maketrans({"│": "|", "├": "+", "└": "+", "─": "-"})


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
        self._root, self._rows, self.truncated = printable(root), rows, truncated
        self._opened, self._plain = opened, plain

    def __repr__(self) -> str:
        """Return the text, one line for each node."""
        return "\n".join([self.text(), *self._note()])

    def text(
        self, start: str | None = None, end: str = "", shown: Callable[[str], str] = str
    ) -> str:
        """Return the lines of the nodes; names are between ``start`` and ``end``.

        By default, these make names bold in a terminal. Names and descriptions are converted by
        ``shown``.
        """
        if start is None:
            bold = not self._plain and _is_terminal()
            start, end = ("\x1b[1m", "\x1b[0m") if bold else ("", "")
        lines = [f"{start}{shown(self._root)}{end}"]
        for (_, name, what), lead in zip(self._rows, self._leads(), strict=True):
            words = "" if what is None else f" {shown(printable(what))}"
            lines.append(f"{lead}{start}{shown(printable(name))}{end}{words}")
        return "\n".join(lines)

    def __bytes__(self) -> bytes:
        """Return the text in UTF-8, with lines of ASCII characters, as in zarr-python 2."""
        leads = (lead.translate(_ASCII) for lead in self._leads())
        lines = [self._root]
        for (_, name, what), lead in zip(self._rows, leads, strict=True):
            lines.append(f"{lead}{printable(name)}" + (f" {printable(what)}" if what else ""))
        return "\n".join([*lines, *self._note()]).encode()

    def _repr_html_(self) -> str:
        opened = " open" if self._opened else ""
        bold = ("", "") if self._plain else ("<b>", "</b>")
        parts = [f"<details{opened}><summary>{escape(self._root).join(bold)}</summary><ul>"]
        depth = 0
        for at, name, what in self._rows:
            parts.append("</ul></details></li>" * (depth - at))
            depth = at
            shown = escape(printable(name)).join(bold)
            if what is None:
                parts.append(f"<li><details{opened}><summary>{shown}</summary><ul>")
                depth += 1
            else:
                parts.append(f"<li>{shown} {escape(printable(what))}</li>")
        parts.append("</ul></details></li>" * depth + "</ul></details>")
        notes = "".join(f"<p>{escape(note)}</p>" for note in self._note())
        return f'<div class="zarr-tree">{"".join(parts)}{notes}</div>'

    def _note(self) -> list[str]:
        if self.truncated is None:
            return []
        return [f"... only the first {self.truncated} nodes are shown; see max_nodes="]

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
    grp: Walked,
    expand: bool | None = None,
    level: int | None = None,
    *,
    max_nodes: int = 500,
    plain: bool = False,
) -> Tree:
    """Return a drawing of the nodes below a group, down to ``level`` levels.

    The group may be one of h5py. ``expand=False`` collapses the list in a notebook, and
    ``plain=True`` omits bold names. At most ``max_nodes`` nodes are shown.

    >>> import fastzarr as zarr
    >>> root = zarr.group()
    >>> _ = root.create_array("a/x", shape=(3,), dtype="i2")
    >>> zarr.tree(root)
    /
    └── a
        └── x (3,) int16
    """
    if not hasattr(grp, "walk") and not hasattr(type(grp), "require_group"):
        msg = f"tree() takes a group, not {grp!r}"
        raise TypeError(msg)
    rows: list[tuple[int, str, str | None]] = []
    truncated = None
    depth = None if level is None else max(0, level - 1)
    own = hasattr(grp, "walk")
    walked = _walk(grp) if not own else grp.walk(depth)
    for path, found in walked if level != 0 else ():
        if depth is not None and path.count("/") > depth:
            continue
        if len(rows) == max_nodes:
            truncated = max_nodes
            break
        rows.append((path.count("/"), path.rsplit("/", 1)[-1], _words(found)))
    name = "/" + grp.path if own else str(getattr(grp, "name", "/"))
    return Tree(name, rows, truncated=truncated, opened=expand is not False, plain=plain)


def _walk(grp: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over paths and nodes below a group of another library, such as h5py."""
    for name, found in grp.items():
        yield prefix + name, found
        if hasattr(type(found), "require_group"):
            yield from _walk(found, f"{prefix}{name}/")


def _words(found: Any) -> str | None:
    """Return the description of a node; that of a group is None."""
    if isinstance(found, GroupLayout) or hasattr(type(found), "require_group"):
        return None
    if isinstance(found, Layout):
        return f"{found.shape} {dtype_words(found)}"
    return f"{getattr(found, 'shape', '')} {getattr(found, 'dtype', '')}".strip()


def _is_terminal() -> bool:
    import sys

    return bool(sys.stdout) and sys.stdout.isatty()
