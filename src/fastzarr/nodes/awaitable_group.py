"""The awaitable forms of the methods of a group.

Rules of this file:

* A method ``x_async`` awaits the method ``x``, which runs on another thread: it has the same
  results, errors and warnings, but a list in place of an iterator or a view.
  ``engine/awaited.py`` says how it is cancelled.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from fastzarr.nodes.group_verbs import GroupVerbs
from fastzarr.nodes.handle import Handle
from fastzarr.nodes.members import Members

if TYPE_CHECKING:
    from fastzarr import hints
    from fastzarr.nodes.array import Array
    from fastzarr.nodes.info import GroupInfo
    from fastzarr.types import options
    from fastzarr.types.options import DTypeLike

GroupT = TypeVar("GroupT")
T = TypeVar("T")


class AwaitableGroup(Handle, Members[GroupT], GroupVerbs[GroupT]):
    """The awaitable forms of the methods of a group; ``GroupT`` is the class of groups."""

    @abstractmethod
    def get_array(self, path: str) -> Array:
        """Return the array at a path."""

    @abstractmethod
    def get_group(self, path: str) -> GroupT:
        """Return the group at a path."""

    @abstractmethod
    def move(self, source: str, dest: str) -> None:
        """Move a node, and all nodes below it."""

    @abstractmethod
    def info_complete(self) -> GroupInfo:
        """Return a description that also counts the nodes below the group and their bytes."""

    async def getitem_async(self, name: str) -> Array | GroupT:
        """Return the array or group of this name or path; raise KeyError if it is missing.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> asyncio.run(root.getitem_async("a/x")).shape
        (2,)
        """
        return await self._settled(self.__getitem__, name)

    async def setitem_async(self, name: str, value: hints.ArrayLike) -> None:
        """Store a value as an array of this name, replacing an existing node.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> asyncio.run(root.setitem_async("x", [1, 2]))
        >>> root["x"][:]
        array([1, 2])
        """
        given: Any = value
        await self._settled(self.__setitem__, name, given)

    async def delitem_async(self, name: str) -> None:
        """Delete a node and all nodes below it; raise KeyError if it is missing.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["x"] = [1, 2]
        >>> asyncio.run(root.delitem_async("x"))
        >>> list(root)
        []
        """
        await self._settled(self.__delitem__, name)

    async def contains_async(self, name: str) -> bool:
        """Return whether the group has an array or group of this name or path.

        >>> import asyncio, fastzarr
        >>> asyncio.run(fastzarr.group().contains_async("x"))
        False
        """
        return await self._settled(self.__contains__, name)

    @overload
    async def get_async(self, path: str, default: None = ...) -> Array | GroupT | None: ...
    @overload
    async def get_async(self, path: str, default: T) -> Array | GroupT | T: ...
    async def get_async(self, path: str, default: object = None) -> object:
        """Return the array or group at a path, or ``default`` if it is missing.

        >>> import asyncio, fastzarr
        >>> asyncio.run(fastzarr.group().get_async("missing", 0))
        0
        """
        found = await self._settled(self.get, path)
        return default if found is None else found

    async def get_array_async(self, path: str) -> Array:
        """Return the array at a path; errors as of ``get_array``.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> asyncio.run(root.get_array_async("a/x")).shape
        (2,)
        """
        return await self._settled(self.get_array, path)

    async def get_group_async(self, path: str) -> GroupT:
        """Return the group at a path; errors as of ``get_group``.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> asyncio.run(root.get_group_async("a")).path
        'a'
        """
        return await self._settled(self.get_group, path)

    async def move_async(self, source: str, dest: str) -> None:
        """Move a node, and all nodes below it; errors as of ``move``.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["x"] = [1, 2]
        >>> asyncio.run(root.move_async("x", "a/y"))
        >>> root["a/y"][:]
        array([1, 2])
        """
        await self._settled(self.move, source, dest)

    async def info_complete_async(self) -> GroupInfo:
        """Return a description that also counts the nodes below the group and their bytes.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["x"] = [1, 2]
        >>> asyncio.run(root.info_complete_async()) == root.info_complete()
        True
        """
        return await self._settled(self.info_complete)

    async def keys_async(self) -> list[str]:
        """Return the names of the members, sorted.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> root["y"] = [3]
        >>> asyncio.run(root.keys_async())
        ['a', 'y']
        """
        return await self._settled(lambda: list(self))

    async def members_async(
        self,
        max_depth: int | None = 0,
        *,
        use_consolidated_for_children: bool = True,
    ) -> tuple[tuple[str, Array | GroupT], ...]:
        """Return the paths and nodes below the group, ``max_depth`` groups deep; None is all.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> [path for path, _ in asyncio.run(root.members_async(max_depth=None))]
        ['a', 'a/x']
        """
        return await self._settled(
            self.members, max_depth, use_consolidated_for_children=use_consolidated_for_children
        )

    async def nmembers_async(self, max_depth: int | None = 0) -> int:
        """Return the number of nodes below the group, ``max_depth`` groups deep; None is all.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> asyncio.run(root.nmembers_async(max_depth=None))
        2
        """
        return await self._settled(self.nmembers, max_depth)

    async def arrays_async(self, recurse: bool = False) -> list[tuple[str, Array]]:
        """Return names and arrays; with ``recurse``, paths and arrays of all below.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> [path for path, _ in asyncio.run(root.arrays_async(recurse=True))]
        ['a/x']
        """
        return await self._settled(lambda: list(self.arrays(recurse)))

    async def groups_async(self) -> list[tuple[str, GroupT]]:
        """Return names and groups.

        >>> import asyncio, fastzarr
        >>> root = fastzarr.group()
        >>> root["a/x"] = [1, 2]
        >>> [name for name, _ in asyncio.run(root.groups_async())]
        ['a']
        """
        return await self._settled(lambda: list(self.groups()))

    async def create_group_async(
        self,
        name: str,
        overwrite: bool = False,
        *,
        attributes: hints.Attrs | None = None,
    ) -> GroupT:
        """Create a group as ``create_group`` does.

        >>> import asyncio, fastzarr
        >>> asyncio.run(fastzarr.group().create_group_async("a/b")).path
        'a/b'
        """
        return await self._settled(self.create_group, name, overwrite, attributes=attributes)

    async def require_group_async(self, name: str, overwrite: bool = False) -> GroupT:
        """Return the group of this name; create it if it is missing.

        >>> import asyncio, fastzarr
        >>> asyncio.run(fastzarr.group().require_group_async("a")).path
        'a'
        """
        return await self._settled(self.require_group, name, overwrite)

    async def create_array_async(self, name: str, **kwargs: Unpack[options.ArrayOptions]) -> Array:
        """Create an array as ``create_array`` does.

        >>> import asyncio, fastzarr
        >>> asyncio.run(fastzarr.group().create_array_async("x", shape=3, dtype="i2")).shape
        (3,)
        """
        return await self._settled(lambda: self.create_array(name, **kwargs))

    async def require_array_async(
        self,
        name: str,
        *,
        shape: hints.ShapeLike,
        dtype: DTypeLike = None,
        exact: bool = False,
        **kwargs: Unpack[options.RequireOptions],
    ) -> Array:
        """Return the array of this name if it matches; create it if it is missing.

        >>> import asyncio, fastzarr
        >>> asyncio.run(fastzarr.group().require_array_async("x", shape=3, dtype="i2")).shape
        (3,)
        """
        return await self._settled(
            lambda: self.require_array(name, shape=shape, dtype=dtype, exact=exact, **kwargs)
        )
