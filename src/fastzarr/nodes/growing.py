"""The methods of arrays that change their shape.

Rules of this file:

* In which order elements and shapes are stored is decided in ``resize.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, overload

import numpy as np

from fastzarr import errors
from fastzarr.metadata.layout import Layout
from fastzarr.nodes import documents
from fastzarr.nodes.awaitable import AwaitableArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastzarr import hints
    from fastzarr.nodes.access import Access
    from fastzarr.stores.capabilities import Prepared


class Growing(AwaitableArray):
    """The methods of an array that change its shape."""

    if TYPE_CHECKING:

        def refresh(self) -> Self:
            """Reload the metadata; a handle implements it."""

    @overload
    def resize(self, shape: hints.ShapeLike, /, *, outside: hints.Outside = ...) -> None: ...
    @overload
    def resize(self, *shape: SupportsIndex, outside: hints.Outside = ...) -> None: ...
    @overload
    def resize(self, *, new_shape: hints.ShapeLike, outside: hints.Outside = ...) -> None: ...
    def resize(self, *shape: Any, new_shape: Any = None, outside: hints.Outside = "clear") -> None:
        """Change the shape; elements outside are deleted, and new ones have the fill value.

        With ``outside="delete"``, as in zarr-python, only chunks that are outside as a whole are
        deleted: elements outside of a chunk at the edge are back when the array grows again. With
        ``outside="keep"``, so are all others, because no chunk is deleted.

        Raise ``ReadOnlyError`` for a view and for a read-only handle.

        >>> import fastzarr
        >>> z = fastzarr.zeros(3, chunks=2, dtype="i1")
        >>> z[:] = 1
        >>> z.resize(5)
        >>> z[:]
        array([1, 1, 1, 0, 0], dtype=int8)
        """
        from fastzarr.nodes.resize import resize

        self._check_resizable()
        if new_shape is not None and not shape:
            shape = (new_shape,)
        given = shape[0] if len(shape) == 1 else shape
        sizes = (given,) if isinstance(given, (int, np.integer)) else tuple(given)
        self.refresh()
        with self._changing() as held:
            resize(held, sizes, self._update, outside)

    def append(self, data: hints.ArrayLike, axis: int = 0) -> tuple[int, ...]:
        """Append data along an axis, and return the new shape.

        The lengths of ``data`` along the other axes must be those of the array. Concurrent appends
        are all kept. Raise ``ShapeError`` if the shapes do not match.

        >>> import fastzarr
        >>> z = fastzarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
        >>> z.append([[1, 2, 3, 4, 5, 6]])
        (5, 6)
        """
        from fastzarr.nodes.resize import append

        self._check_resizable()
        self._current()
        with self._changing() as held:
            return append(held, data, axis, self._update)

    def append_with(
        self, length: int, write: Callable[[Self], None], axis: int = 0
    ) -> tuple[int, ...]:
        """Append elements that ``write`` stores, and return the new shape.

        ``write`` is called with a handle of the longer array, as ``unpublished`` returns it, and
        stores all new elements, perhaps by other processes. Other appends wait meanwhile. If it
        fails, the array keeps its shape.

        >>> import fastzarr
        >>> z = fastzarr.array([1, 2])
        >>> def write(longer):
        ...     longer[2:] = [3, 4, 5]
        >>> z.append_with(3, write), z[:].tolist()
        ((5,), [1, 2, 3, 4, 5])
        """
        from fastzarr.nodes.resize import append_with

        self._check_resizable()
        with self._changing() as held:
            return append_with(held, length, axis, self._update, lambda new: write(self._of(new)))

    def unpublished(self, shape: hints.ShapeLike) -> Self:
        """Return a handle of the array that may write elements which readers do not see yet.

        >>> import fastzarr
        >>> z = fastzarr.zeros(3)
        >>> z.unpublished(4).shape, z.shape
        ((4,), (3,))
        """
        from fastzarr.nodes.resize import checked_shape

        sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
        layout = self._access.layout
        return self._of(layout.resized(checked_shape(self._access, sizes)))

    def _of(self, layout: Layout) -> Self:
        """Return a handle of the array as it will be, which is not compared with the stored one."""
        from fastzarr.nodes.resize import lasting

        same = layout.with_program_of(self._access.layout)
        if same is None:
            msg = (
                f"the array {self.name!r} in {self.store} has been replaced by another one; open "
                "it again to append to it"
            )
            raise errors.StaleArrayError(msg)
        # A document that is read mended is stored so with the new shape, and not by this handle.
        access = lasting(self._access, same.with_members(repaired=None))
        return self._another(_access=access, _checked=None, _cache_metadata=True)

    async def resize_async(self, new_shape: hints.ShapeLike) -> None:
        """Change the shape as ``resize`` does.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.zeros(3, dtype="i1")
        >>> asyncio.run(z.resize_async(5))
        >>> z.shape
        (5,)
        """
        await self._settled(lambda: self.resize(new_shape))

    async def append_async(self, data: hints.ArrayLike, axis: int = 0) -> tuple[int, ...]:
        """Append data along an axis as ``append`` does, and return the new shape.

        If the await is cancelled, either all of the data is appended or none of it.

        >>> import asyncio, fastzarr
        >>> z = fastzarr.array([1, 2])
        >>> asyncio.run(z.append_async([3]))
        (3,)
        """
        return await self._settled(self.append, data, axis)

    def _check_resizable(self) -> None:
        if self._is_view:
            msg = f"array {self.name!r} is a view; resize the original array"
            raise errors.ReadOnlyError(msg)
        self._check_writable()

    @contextmanager
    def _changing(self) -> Iterator[Access]:
        """Hold the array for a change of its metadata."""
        from fastzarr.nodes.snapshot import changing

        access = self._access
        with changing(self.store, self.path, access.layout.format), access.holding() as held:
            yield held

    def _update(
        self,
        access: Access,
        patch: Callable[[Layout], Layout],
        before: Callable[[Layout, Prepared | None], None] | None = None,
        then: Callable[[Layout], None] | None = None,
    ) -> None:
        """Apply a patch to the metadata of a held array.

        In the same turn, call ``before`` and ``then`` before and after the document is stored.
        """

        def patched(found: documents.Node) -> documents.Node:
            if not isinstance(found, Layout):
                msg = f"{self.name!r} in {self.store} has been replaced by a group"
                raise errors.NodeTypeValidationError(msg)
            return patch(found)

        locks, own = access.synchronizer, access.layout.format
        node = documents.Where(access.store, access.root, access.path, access.claim)
        latest = documents.update_held(node, patched, locks, own, then, before, access.kept)
        self._set_layout(latest)
