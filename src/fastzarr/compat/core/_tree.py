"""The drawing of a hierarchy as zarr-python returns it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from fastzarr.nodes.tree import tree

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastzarr.nodes.group import Group

_STYLE = (
    "white-space:pre;overflow-x:auto;line-height:normal;"
    "font-family:Menlo,'DejaVu Sans Mono',consolas,'Courier New',monospace"
)


class TreeRepr:
    """A drawing of the nodes below a group, as text and as HTML."""

    def __init__(self, text: str, html: str, truncated: str = "") -> None:
        """Initialise with the text and the HTML; ``truncated`` says that nodes are missing."""
        self._text, self._html, self._truncated = text, html, truncated

    def __repr__(self) -> str:
        """Return the text."""
        return self._truncated + self._text

    def _repr_mimebundle_(
        self,
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, str]:
        del include, exclude, kwargs
        html = f'<pre style="{_STYLE}">{escape(self._truncated)}{self._html}</pre>\n'
        return {"text/plain": self._truncated + self._text, "text/html": html}


def group_tree(
    group: Group, max_depth: int | None = None, *, max_nodes: int = 500, plain: bool = False
) -> TreeRepr:
    """Return a drawing of the nodes below a group, ``max_depth`` groups deep."""
    level = None if max_depth is None else max_depth + 1
    drawn = tree(group, None, level, max_nodes=max_nodes, plain=plain)
    missing = ""
    if drawn.truncated is not None:
        missing = (
            f"Truncated at max_nodes={max_nodes}, some nodes and their children may be missing\n"
        )
    start, end = ("", "") if plain else ("<b>", "</b>")
    text, html = drawn.text(), drawn.text(start, end, escape)
    return TreeRepr(text + "\n", html + "\n", truncated=missing)
