"""Hierarchies drawn as trees.

Rules of this file:

* The lines are those of zarr-python 2: a name, and for an array its shape and dtype.
"""

from __future__ import annotations

from typing import Any

tree_group_icon = "folder"
tree_array_icon = "table"


class TreeNode:
    """A node of a drawing."""

    def __init__(self, obj: Any, depth: int = 0, level: int | None = None) -> None:
        """Initialise with an array or group, its depth and the last depth to draw."""
        self.obj, self.depth, self.level = obj, depth, level

    def get_children(self) -> list[TreeNode]:
        """Return the members of a group, unless they are too deep."""
        if not hasattr(self.obj, "values") or (self.level is not None and self.depth >= self.level):
            return []
        return [TreeNode(found, self.depth + 1, self.level) for found in self.obj.values()]

    def get_text(self) -> str:
        """Return the name, with the shape and the dtype of an array."""
        name: str = (self.obj.name or "").split("/")[-1] or "/"
        if hasattr(self.obj, "shape"):
            name += f" {self.obj.shape} {self.obj.dtype}"
        return name

    def get_type(self) -> str:
        """Return the name of the class."""
        return type(self.obj).__name__


def tree_get_icon(stype: str) -> str:
    """Return the icon of an array or a group.

    >>> tree_get_icon("Array")
    'table'
    """
    icons = {"Array": tree_array_icon, "Group": tree_group_icon}
    if stype not in icons:
        msg = f"Unknown type: {stype}"
        raise ValueError(msg)
    return icons[stype]


class TreeViewer:
    """A drawing of a hierarchy, as text or, with ipytree, as a widget of a notebook."""

    def __init__(self, group: Any, expand: Any = False, level: int | None = None) -> None:
        """Initialise with a group, how far to unfold it, and the last depth to draw."""
        self.group, self.expand, self.level = group, expand, level

    def __repr__(self) -> str:
        """Return the drawing."""
        return self._drawn(" ├── ", " └── ", " │  ")

    def __unicode__(self) -> str:
        """Return the drawing."""
        return repr(self)

    def __bytes__(self) -> bytes:
        """Return the drawing with lines of ASCII characters."""
        return self._drawn(" +-- ", " +-- ", " |  ").encode()

    def _drawn(self, between: str, last: str, beside: str) -> str:
        root = TreeNode(self.group, level=self.level)
        lines = [root.get_text()]

        def draw(node: TreeNode, lead: str) -> None:
            children = node.get_children()
            for number, child in enumerate(children, 1):
                ends = number == len(children)
                lines.append(f"{lead}{last if ends else between}{child.get_text()}")
                draw(child, lead + ("    " if ends else beside))

        draw(root, "")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return tree_widget(self.group, self.expand, self.level)._repr_mimebundle_(**kwargs)


def tree_widget(group: Any, expand: Any, level: int | None) -> Any:
    """Return the drawing as a widget; raise ImportError without the package ipytree."""
    try:
        import ipytree  # type: ignore[import-not-found]  # it need not be installed
    except ImportError as error:
        msg = f"{error}: a tree is shown in a notebook by the package ipytree; install it"
        raise ImportError(msg) from error

    def shown(node: TreeNode, *, root: bool = False) -> Any:
        made = ipytree.Node()
        made.icon, made.name = tree_get_icon(node.get_type()), node.get_text()
        deep = isinstance(expand, int) and not isinstance(expand, bool) and node.depth < expand
        made.opened = root or expand is True or deep
        made.nodes = [shown(child) for child in node.get_children()]
        made.disabled = True
        return made

    tree = ipytree.Tree()
    tree.add_node(shown(TreeNode(group, level=level), root=True))
    return tree
