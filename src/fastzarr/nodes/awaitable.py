"""The awaitable forms of the methods that read and write elements.

Rules of this file:

* A method ``x_async`` awaits the method ``x``, which runs on another thread: it has the same
  results, errors and warnings. ``engine/awaited.py`` says how it is cancelled.
* While a write is awaited, its value must not be changed.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self, TypeAlias, overload

from fastzarr.nodes.described import Described

if TYPE_CHECKING:
    import numpy as np

    from fastzarr import hints
    from fastzarr.nodes.info import Info

    Values: TypeAlias = np.ndarray[Any, Any]


class AwaitableArray(Described):
    """The awaitable forms of the methods of an array."""

    @abstractmethod
    def info_complete(self) -> Info:
        """Return a description that includes the stored bytes and chunks."""

    @abstractmethod
    def refresh(self) -> Self:
        """Reload the metadata from the store, and return self."""

    @overload
    async def getitem_async(self, selection: tuple[()]) -> Any: ...
    @overload
    async def getitem_async(self, selection: hints.Index) -> Values: ...
    async def getitem_async(self, selection: hints.Index) -> Any:
        """Return the selected elements, as square brackets do.

        If the await is cancelled, nothing is read any more when ``CancelledError`` is raised. The
        errors are those of square brackets.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]])
        >>> async def rows():
        ...     return await asyncio.gather(z.getitem_async(0), z.getitem_async(1))
        >>> asyncio.run(rows())
        [array([1, 2, 3]), array([4, 5, 6])]
        """
        return await self._settled(self.__getitem__, selection)

    async def setitem_async(self, selection: hints.Index, value: hints.ValueLike) -> None:
        """Assign to the selected elements, as square brackets do.

        The value must not be changed meanwhile. If the await is cancelled, some of the chunks may
        have been written, each of them as a whole, and none is written any more when
        ``CancelledError`` is raised. The errors are those of square brackets.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.zeros(3, dtype="i4")
        >>> asyncio.run(z.setitem_async(slice(1, None), [5, 6]))
        >>> z[:]
        array([0, 5, 6], dtype=int32)
        """
        await self._settled(self.__setitem__, selection, value)

    async def get_basic_selection_async(
        self,
        selection: hints.Index,
        *,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Any:
        """Return what ``get_basic_selection`` returns; ``out`` must not be used meanwhile.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]], chunks=(1, 3))
        >>> asyncio.run(z.get_basic_selection_async((1, slice(1, None))))
        array([5, 6])
        """
        del prototype
        return await self._settled(self.get_basic_selection, selection, out=out, fields=fields)

    async def set_basic_selection_async(
        self,
        selection: hints.Index,
        value: hints.ValueLike,
        *,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign what ``set_basic_selection`` assigns; see ``setitem_async``.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.zeros((2, 3), chunks=(1, 3), dtype="i1")
        >>> asyncio.run(z.set_basic_selection_async((1, slice(1, None)), 7))
        >>> z[:]
        array([[0, 0, 0],
               [0, 7, 7]], dtype=int8)
        """
        del prototype
        await self._settled(self.set_basic_selection, selection, value, fields=fields)

    async def get_orthogonal_selection_async(
        self,
        selection: hints.Index,
        *,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Values:
        """Return what ``get_orthogonal_selection`` returns; ``out`` must not be used meanwhile.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]], chunks=(1, 3))
        >>> asyncio.run(z.get_orthogonal_selection_async(([1], [0, 2])))
        array([[4, 6]])
        """
        del prototype
        return await self._settled(self.get_orthogonal_selection, selection, out=out, fields=fields)

    async def set_orthogonal_selection_async(
        self,
        selection: hints.Index,
        value: hints.ValueLike,
        *,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign what ``set_orthogonal_selection`` assigns; see ``setitem_async``.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.zeros((2, 3), chunks=(1, 3), dtype="i1")
        >>> asyncio.run(z.set_orthogonal_selection_async(([1], [0, 2]), 7))
        >>> z[:]
        array([[0, 0, 0],
               [7, 0, 7]], dtype=int8)
        """
        del prototype
        await self._settled(self.set_orthogonal_selection, selection, value, fields=fields)

    async def get_coordinate_selection_async(
        self,
        selection: hints.Index,
        *,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Values:
        """Return what ``get_coordinate_selection`` returns; ``out`` must not be used meanwhile.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]], chunks=(1, 3))
        >>> asyncio.run(z.get_coordinate_selection_async(([0, 1], [2, 0])))
        array([3, 4])
        """
        del prototype
        return await self._settled(self.get_coordinate_selection, selection, out=out, fields=fields)

    async def set_coordinate_selection_async(
        self,
        selection: hints.Index,
        value: hints.ValueLike,
        *,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign what ``set_coordinate_selection`` assigns; see ``setitem_async``.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.zeros((2, 3), chunks=(1, 3), dtype="i1")
        >>> asyncio.run(z.set_coordinate_selection_async(([0, 1], [2, 0]), 7))
        >>> z[:]
        array([[0, 0, 7],
               [7, 0, 0]], dtype=int8)
        """
        del prototype
        await self._settled(self.set_coordinate_selection, selection, value, fields=fields)

    async def get_mask_selection_async(
        self,
        mask: hints.Mask,
        *,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Values:
        """Return what ``get_mask_selection`` returns; ``out`` must not be used meanwhile.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]], chunks=(1, 3))
        >>> asyncio.run(z.get_mask_selection_async([[True, False, False], [False, True, False]]))
        array([1, 5])
        """
        del prototype
        return await self._settled(self.get_mask_selection, mask, out=out, fields=fields)

    async def set_mask_selection_async(
        self,
        mask: hints.Mask,
        value: hints.ValueLike,
        *,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign what ``set_mask_selection`` assigns; see ``setitem_async``.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.zeros((2, 3), chunks=(1, 3), dtype="i1")
        >>> asyncio.run(z.set_mask_selection_async([[True, False, False], [False, True, False]], 7))
        >>> z[:]
        array([[7, 0, 0],
               [0, 7, 0]], dtype=int8)
        """
        del prototype
        await self._settled(self.set_mask_selection, mask, value, fields=fields)

    async def get_block_selection_async(
        self,
        selection: hints.BlockIndex,
        *,
        out: Values | None = None,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> Values:
        """Return what ``get_block_selection`` returns; ``out`` must not be used meanwhile.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.array([[1, 2, 3], [4, 5, 6]], chunks=(1, 3))
        >>> asyncio.run(z.get_block_selection_async(1))
        array([[4, 5, 6]])
        """
        del prototype
        return await self._settled(self.get_block_selection, selection, out=out, fields=fields)

    async def set_block_selection_async(
        self,
        selection: hints.BlockIndex,
        value: hints.ValueLike,
        *,
        fields: hints.Fields = None,
        prototype: object = None,
    ) -> None:
        """Assign what ``set_block_selection`` assigns; see ``setitem_async``.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.zeros((2, 3), chunks=(1, 3), dtype="i1")
        >>> asyncio.run(z.set_block_selection_async(1, 7))
        >>> z[:]
        array([[0, 0, 0],
               [7, 7, 7]], dtype=int8)
        """
        del prototype
        await self._settled(self.set_block_selection, selection, value, fields=fields)

    async def refresh_async(self) -> Self:
        """Reload the metadata from the store, and return self; errors as of ``refresh``.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.array([1, 2, 3])
        >>> asyncio.run(z.refresh_async()) is z
        True
        """
        return await self._settled(self.refresh)

    async def info_complete_async(self) -> Info:
        """Return a description that includes the stored bytes and chunks.

        >>> import asyncio, fastzarr
        >>> asyncio.run(fastzarr.zeros(3, chunks=1).info_complete_async())["Chunks initialized"]
        '0/3'
        """
        return await self._settled(self.info_complete)
