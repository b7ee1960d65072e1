"""The members of a group: walked, listed, counted and visited.

Rules of this file:

* Everything is derived from ``_children``, which the group looks up in its store or in consolidated
  metadata. Each level is listed once, and each document read once.
* ``Members`` declares what it requires of the deriving class. It does not access the store.
* Members come in the order of their names, each group before its own members.
* A member that cannot be read does not hide the others: it is left out, with a warning that names
  it. Only the names of members include it, because they do not depend on what its document says.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, KeysView, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar
from weakref import ref

from fastzarr.dtypes.base import is_integer
from fastzarr.errors import MetadataValidationError
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.nodes.array import Array
from fastzarr.nodes.documents import BROKEN, join
from fastzarr.stores import stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastzarr.nodes.documents import Node
    from fastzarr.nodes.tree import Tree
    from fastzarr.stores import Store

    Tell: TypeAlias = Callable[[str, Store, Exception], None]
    Unknown: TypeAlias = Callable[[str], None]

GroupT = TypeVar("GroupT")
T = TypeVar("T")


class Members(MutableMapping[str, Array | GroupT], Generic[GroupT]):
    """The methods of a group that iterate over its members; ``GroupT`` is the class of groups."""

    @property
    @abstractmethod
    def path(self) -> str:
        """The path of the group in its store."""

    # The last iterator over the names, with the entries that it was made of.
    _listed: _Last[str] | None = None

    @abstractmethod
    def _entries(self) -> list[str]:
        """Return the names in the store directly below the group that may be names of members."""

    @abstractmethod
    def _names(self, entries: list[str], tell: Tell | None = None) -> list[str]:
        """Return those of the entries that are members; their metadata is not parsed.

        One that cannot be looked up causes a warning, or what ``tell`` does.
        """

    @abstractmethod
    def _children(
        self, path: str, entries: list[str] | None = None, unknown: Unknown | None = None
    ) -> Iterator[tuple[str, Node]]:
        """Iterate over the names and metadata of the members of the group at ``path``.

        ``entries`` are the names that may be names of members, if they are known. ``unknown`` is
        called with the path of each that is not.
        """

    @abstractmethod
    def _array(self, path: str, layout: Layout) -> Array:
        """Return a handle of the array at ``path``, with the settings of this group."""

    @abstractmethod
    def _group(self, path: str, layout: GroupLayout) -> GroupT:
        """Return a handle of the group at ``path``, with the settings of this group."""

    @abstractmethod
    def _warn_of(self, path: str, error: Exception) -> None:
        """Warn that the node at a path cannot be read."""

    @abstractmethod
    def _unconsolidated(self) -> Self:
        """Return the group as it reads from the store, not from consolidated metadata."""

    def _node(self, path: str, layout: Node) -> Array | GroupT:
        if isinstance(layout, GroupLayout):
            return self._group(path, layout)
        return self._array(path, layout)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the members, sorted.

        Their metadata is not parsed: a member with an invalid document is named, too.
        """
        entries = self._entries()
        found = _Listed(self._names(entries))
        self._listed = entries, ref(found)
        return found

    def names(self, tell: Callable[[str, Exception], None]) -> list[str]:
        """Return the names of the members, sorted.

        Call ``tell`` with the path and the error of each member that cannot be looked up.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.names(print)
        ['a', 'y']
        """
        return self._names(self._entries(), lambda path, _, error: tell(path, error))

    def __len__(self) -> int:
        """Return the number of members."""
        last, self._listed = self._listed, None
        entries = self._entries()
        found = _length(last, entries)
        return len(self._names(entries)) if found is None else found

    def _nodes(self, entries: list[str]) -> list[tuple[str, Array | GroupT]]:
        found = self._children(self.path, entries)
        return [(name, self._node(join(self.path, name), node)) for name, node in found]

    def _member_values(self, entries: list[str]) -> list[Array | GroupT]:
        return [node for _, node in self._nodes(entries)]

    def keys(self) -> KeysView[str]:
        """Return a view of the names of the members, sorted.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> list(root.keys())
        ['a', 'y']
        """
        return _Keys(self, self.__iter__)

    def values(self) -> ValuesView[Array | GroupT]:
        """Return a view of the members of the group, in the order of their names.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> [member.name for member in root.values()]
        ['/a', '/y']
        """
        return _Values(self, self._entries, self._member_values)

    def items(self) -> ItemsView[str, Array | GroupT]:
        """Return a view of the names and members of the group.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> [(name, member.path) for name, member in root.items()]
        [('a', 'a'), ('y', 'y')]
        """
        return _Items(self, self._entries, self._nodes)

    def members(
        self,
        max_depth: int | None = 0,
        *,
        use_consolidated_for_children: bool = True,
    ) -> tuple[tuple[str, Array | GroupT], ...]:
        """Return the paths and nodes below the group, ``max_depth`` groups deep; None is all.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> _ = root.create_group("a/b")
        >>> [name for name, _ in root.members(max_depth=None)]
        ['a', 'a/b']
        """
        _check_depth(max_depth)
        group = self if use_consolidated_for_children else self._unconsolidated()
        return tuple(group.walk_nodes(max_depth))

    def nmembers(self, max_depth: int | None = 0) -> int:
        """Return the number of nodes below the group, ``max_depth`` groups deep; None is all.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.nmembers(), root.nmembers(max_depth=None)
        (2, 3)
        """
        _check_depth(max_depth)
        return sum(1 for _ in self.walk(max_depth))

    def walk(
        self, max_depth: int | None = None, unknown: Unknown | None = None
    ) -> Iterator[tuple[str, Node]]:
        """Iterate over paths and metadata below the group, each group before its own members.

        ``unknown`` is called with the path of each folder or key in the store that is no member.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> [(path, layout.node_type) for path, layout in root.walk()]
        [('a', 'group'), ('a/x', 'array'), ('y', 'array')]
        """
        stack = [(self._children(self.path, None, unknown), "")]
        while stack:
            level, prefix = stack[-1]
            stopping.check()
            try:
                step = next(level, None)
            except BROKEN as error:
                if not prefix:
                    raise
                # The group has been named already, but its members cannot be listed.
                self._warn_of(join(self.path, prefix[:-1]), error)
                step = None
            if step is None:
                stack.pop()
                continue
            name, found = step
            yield prefix + name, found
            if isinstance(found, GroupLayout) and (max_depth is None or len(stack) <= max_depth):
                below = join(self.path, prefix + name)
                stack.append((self._children(below, None, unknown), f"{prefix}{name}/"))

    def walk_nodes(
        self, max_depth: int | None = None, unknown: Unknown | None = None
    ) -> Iterator[tuple[str, Array | GroupT]]:
        """Iterate over paths and nodes below the group, as ``walk`` does over their metadata.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> [node.name for path, node in root.walk_nodes()]
        ['/a', '/a/x', '/y']
        """
        for name, found in self.walk(max_depth, unknown):
            yield name, self._node(join(self.path, name), found)

    def array_keys(self, recurse: bool = False) -> Iterator[str]:
        """Iterate over the names of the arrays; with ``recurse``, over the paths of all below.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> list(root.array_keys()), list(root.array_keys(recurse=True))
        (['y'], ['a/x', 'y'])
        """
        walked = self.walk(None if recurse else 0)
        return (name for name, found in walked if isinstance(found, Layout))

    def group_keys(self) -> Iterator[str]:
        """Iterate over the names of the groups.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> list(root.group_keys())
        ['a']
        """
        return (name for name, found in self.walk(0) if isinstance(found, GroupLayout))

    def arrays(self, recurse: bool = False) -> Iterator[tuple[str, Array]]:
        """Iterate over names and arrays; with ``recurse``, over paths and arrays of all below.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> {path: array.shape for path, array in root.arrays(recurse=True)}
        {'a/x': (2,), 'y': (1,)}
        """
        for name, found in self.walk(None if recurse else 0):
            if isinstance(found, Layout):
                yield name, self._array(join(self.path, name), found)

    def groups(self) -> Iterator[tuple[str, GroupT]]:
        """Iterate over names and groups.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> {name: list(group) for name, group in root.groups()}
        {'a': ['x']}
        """
        for name, found in self.walk(0):
            if isinstance(found, GroupLayout):
                yield name, self._group(join(self.path, name), found)

    def array_values(self) -> Iterator[Array]:
        """Iterate over the arrays.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> [array.shape for array in root.array_values()]
        [(1,)]
        """
        return (array for _, array in self.arrays())

    def group_values(self) -> Iterator[GroupT]:
        """Iterate over the groups.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> [group.name for group in root.group_values()]
        ['/a']
        """
        return (group for _, group in self.groups())

    def visit(self, func: Callable[[str], T | None]) -> T | None:
        """Call ``func(path)`` for each node below until it returns a value other than None.

        Return that value, or None.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> _ = root.create_groups("a", "a/b", "c")
        >>> root.visit(print)
        a
        a/b
        c
        """
        return _first(func(name) for name, _ in self.walk())

    visitkeys = visit

    def visitvalues(self, func: Callable[[Array | GroupT], T | None]) -> T | None:
        """Call ``func(node)`` for each node below until it returns a value other than None.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.visitvalues(lambda node: node.name if node.name != "/a" else None)
        '/a/x'
        """
        return _first(func(node) for _, node in self.walk_nodes())

    def visititems(self, func: Callable[[str, Array | GroupT], T | None]) -> T | None:
        """Call ``func(path, node)`` for each node below until it returns other than None.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> root.visititems(lambda path, node: print(path))
        a
        a/x
        y
        """
        return _first(func(name, node) for name, node in self.walk_nodes())

    def tree(
        self,
        expand: bool | None = None,
        level: int | None = None,
        *,
        max_nodes: int = 500,
        plain: bool = False,
    ) -> Tree:
        """Return a drawing of the hierarchy below the group, ``level`` groups deep.

        ``expand=False`` collapses groups in a notebook; ``plain=True`` uses no bold text.

        >>> import fastzarr
        >>> root = fastzarr.group()
        >>> _ = root.create_array("a/x", shape=(3,), dtype="i2")
        >>> root.tree()
        /
        └── a
            └── x (3,) int16
        """
        from fastzarr.nodes.tree import tree

        return tree(self, expand, level, max_nodes=max_nodes, plain=plain)


class _Keys(KeysView[str]):
    def __init__(self, mapping: Any, each: Callable[[], Iterator[str]]) -> None:
        super().__init__(mapping)
        self._each = each

    def __iter__(self) -> Iterator[str]:
        return self._each()


class _Listing(Generic[T]):
    """What the views of values and of items share: a length that is that of their iterator."""

    _listed: _Last[T] | None = None

    def __init__(
        self, mapping: Any, entries: Callable[[], list[str]], look: Callable[[list[str]], list[T]]
    ) -> None:
        self._mapping, self._entries, self._look = mapping, entries, look

    def __iter__(self) -> Iterator[T]:
        entries = self._entries()
        found = _Listed(self._look(entries))
        self._listed = entries, ref(found)
        return found

    def __len__(self) -> int:
        last, self._listed = self._listed, None
        found = None if last is None else _length(last, self._entries())
        return len(self._mapping) if found is None else found


class _Values(_Listing[T], ValuesView[T]):
    pass


class _Items(_Listing[tuple[str, T]], ItemsView[str, T]):
    pass


class _Listed(Iterator[T]):
    """An iterator over members that have been found already; it has a length."""

    def __init__(self, found: list[T]) -> None:
        self._found, self._next = found, 0

    @property
    def is_new(self) -> bool:
        """Whether nothing has been taken from the iterator yet."""
        return not self._next

    def __next__(self) -> T:
        if self._next == len(self._found):
            raise StopIteration
        self._next += 1
        return self._found[self._next - 1]

    def __len__(self) -> int:
        return len(self._found)


_Last: TypeAlias = tuple[list[str], ref[_Listed[T]]]


def _length(last: _Last[Any] | None, entries: list[str]) -> int | None:
    """Return the length of the last iterator, if it has just been made of these entries.

    ``list(group)`` asks for the length once it has the iterator, which has looked at each member
    already. This is answered once, because members may change while an unused iterator lives.
    """
    found = None if last is None else last[1]()
    if last is None or found is None or not found.is_new or last[0] != entries:
        return None
    return len(found)


def _first(results: Iterator[T | None]) -> T | None:
    return next((result for result in results if result is not None), None)


def _check_depth(depth: int | None) -> None:
    if depth is not None and (not is_integer(depth) or depth < 0):
        msg = f"must be an integer of at least 0, or None for all, not {depth!r}"
        raise MetadataValidationError(msg, "max_depth")
