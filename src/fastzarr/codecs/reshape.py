"""The codecs ``reshape`` and ``zarrs.squeeze``: other axes for the same elements in the same order.

Rules of this file:

* Elements are never reordered: both arrays are the same list of elements in C order. Encoding and
  decoding return views if the strides of the array allow it.
* The encoded shape is computed for each shape of chunks, when the chain is resolved and run. A
  document keeps the members that it has.
* Inner chunks of a shard behind such a codec can be read separately if each is a block of the array
  before it, too (``blocks_before``).

Specification: zarr-extensions, ``codecs/reshape``. ``squeeze`` is a codec of zarrs that is not
registered; it is written under the name by which zarrs reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fastzarr.checked import as_int, member, show
from fastzarr.codecs.base import FAST, ArrayArrayCodec, ChunkSpec
from fastzarr.config import config
from fastzarr.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    Shape = tuple[int, ...]

_REST = -1
"""The size of an axis that is computed from the number of elements."""


class _Reshaping(ArrayArrayCodec):
    """Base class of codecs that change nothing but the axes."""

    pace: ClassVar[int] = FAST
    reshapes: ClassVar[bool] = True

    def _encoded_shape(self, shape: Shape) -> Shape:
        """Return the shape of the encoded array for that of a decoded one."""
        raise NotImplementedError

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return self; raise ``MetadataError`` if such chunks cannot be reshaped."""
        self._encoded_shape(spec.shape)
        return self

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the spec with the encoded shape."""
        return replace(spec, shape=self._encoded_shape(spec.shape))

    def decoded_block(self, block: Shape, spec: ChunkSpec) -> Shape | None:
        """Return the shape of a block of the encoded array in the decoded one, or None."""
        return blocks_before(spec.shape, self._encoded_shape(spec.shape), block)

    def encode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the elements with the encoded shape."""
        return array.reshape(self._encoded_shape(spec.shape))

    def decode(self, array: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the elements with the decoded shape."""
        return array.reshape(spec.shape)


@dataclass(frozen=True, kw_only=True)
class ReshapeCodec(_Reshaping):
    """Gives a chunk other axes, and keeps its elements in their order.

    ``shape`` has an item for each axis of the encoded array: its size, or a list of the axes of the
    decoded array that it combines, or -1, at most once, for whatever size is left.

    >>> import numpy as np
    >>> from fastzarr.codecs import ChunkSpec
    >>> from fastzarr.dtype import Float32
    >>> spec = ChunkSpec((100, 50, 64, 3), Float32(), np.float32(0))
    >>> ReshapeCodec(shape=[[0, 1], [2], 3]).encoded_spec(spec).shape
    (5000, 64, 3)
    """

    name: ClassVar[str] = "reshape"
    cacheable: ClassVar[bool] = True

    shape: tuple[int | Shape, ...]

    if TYPE_CHECKING:
        # What is passed has more types than the member has.
        def __init__(self, *, shape: Sequence[int | Sequence[int]]) -> None:
            """Initialise with the members."""

    def __post_init__(self) -> None:
        """Validate and normalise the shape."""
        object.__setattr__(self, "shape", _parsed(self.shape))

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {"shape": [list(s) if isinstance(s, tuple) else s for s in self.shape]}

    def _encoded_shape(self, shape: Shape) -> Shape:
        """Return the encoded shape; raise ``MetadataError`` if the elements do not fit it."""
        ndim, count = len(shape), prod(shape)
        sizes: list[int] = []
        for place, item in enumerate(self.shape):
            axes = item if isinstance(item, tuple) else ()
            if axes and axes[-1] >= ndim:
                msg = f"names axis {axes[-1]}, but the chunk has {ndim} axes: {shape}"
                raise MetadataError(msg, member("shape", place))
            sizes.append(prod(shape[axis] for axis in axes) if isinstance(item, tuple) else item)
        if _REST in sizes:
            others = -prod(sizes)
            if not others or count % others:
                msg = f"{count} elements of a chunk {shape} do not fill axes of {others} evenly"
                raise MetadataError(msg, member("shape", sizes.index(_REST)))
            sizes[sizes.index(_REST)] = count // others
        if prod(sizes) != count:
            msg = f"{tuple(sizes)} has {prod(sizes)} elements, but a chunk {shape} has {count}"
            raise MetadataError(msg, "shape")
        self._check_axes(shape, tuple(sizes))
        return tuple(sizes)

    def _check_axes(self, shape: Shape, encoded: Shape) -> None:
        """Raise ``MetadataError`` if an axis is not made of the elements of the axes it names."""
        for place, item in enumerate(self.shape):
            if not isinstance(item, tuple) or not item:
                continue
            before = prod(encoded[:place]), prod(shape[: item[0]])
            behind = prod(encoded[place + 1 :]), prod(shape[item[-1] + 1 :])
            for side, (found, wanted) in (("before", before), ("behind", behind)):
                if found != wanted:
                    msg = (
                        f"{list(item)} cannot be combined into one axis: the axes {side} it have "
                        f"{found} elements, and in a chunk {shape} they have {wanted}"
                    )
                    raise MetadataError(msg, member("shape", place))


@dataclass(frozen=True, kw_only=True)
class SqueezeCodec(_Reshaping):
    """Leaves out the axes of size 1; if no other axis is left, one of them stays.

    >>> import numpy as np
    >>> from fastzarr.codecs import ChunkSpec
    >>> from fastzarr.dtype import Float32
    >>> SqueezeCodec().encoded_spec(ChunkSpec((4, 1, 3, 1), Float32(), np.float32(0))).shape
    (4, 3)
    """

    name: ClassVar[str] = "zarrs.squeeze"
    cacheable: ClassVar[bool] = True

    def _encoded_shape(self, shape: Shape) -> Shape:
        """Return the sizes that are not 1."""
        return tuple(size for size in shape if size != 1) or (1,)


def blocks_before(shape: Shape, encoded: Shape, block: Shape) -> Shape | None:
    """Return the shape that a block of the encoded array has in the decoded one.

    ``shape`` is the decoded shape. Blocks of this shape divide the encoded array. The result is
    None if the elements of a block, in C order, are not a block of the decoded array, or if
    the blocks would come in another order.

    >>> blocks_before((1, 64, 64), (64, 64), (16, 64)), blocks_before((8, 4), (32,), (16,))
    ((1, 16, 64), (4, 4))
    >>> blocks_before((8, 4), (32,), (6,)) is None
    True
    """
    found: list[int] = []
    if 0 in shape:
        return None
    for ours, theirs, part in _matched(shape, encoded, block):
        # Within axes that have the same elements in both arrays, a block must be a run of elements.
        run = _run_of(theirs, part)
        sizes = None if run is None else _block_of(ours, run)
        if sizes is None:
            return None
        found += sizes
    return tuple(found)


def _matched(shape: Shape, encoded: Shape, block: Shape) -> Iterator[tuple[Shape, Shape, Shape]]:
    """Yield the shortest sequences of axes with the same elements, and their part of the block."""
    i = j = 0
    while i < len(shape) or j < len(encoded):
        first, other = i, j
        ours = theirs = 1
        if i < len(shape) and j < len(encoded):
            ours, theirs, i, j = shape[i], encoded[j], i + 1, j + 1
        while ours != theirs:
            if ours < theirs:
                ours, i = ours * shape[i], i + 1
            else:
                theirs, j = theirs * encoded[j], j + 1
        if i == len(shape) or j == len(encoded):
            # Only axes of size 1 are left.
            i, j = len(shape), len(encoded)
        yield shape[first:i], encoded[other:j], block[other:j]


def _run_of(sizes: Shape, part: Shape) -> int | None:
    """Return the length of the run of elements that a block is, or None if it is none."""
    length = 1
    for place in reversed(range(len(sizes))):
        length *= part[place]
        if part[place] != sizes[place]:
            return length if all(size == 1 for size in part[:place]) else None
    return length


def _block_of(sizes: Shape, run: int) -> list[int] | None:
    """Return the shape of a block that is a run of so many elements, or None if there is none."""
    found = [1] * len(sizes)
    for place in reversed(range(len(sizes))):
        if run <= sizes[place]:
            found[place] = run
            return found if sizes[place] % run == 0 else None
        if run % sizes[place]:
            return None
        found[place], run = sizes[place], run // sizes[place]
    return found if run == 1 else None


def _parsed(shape: Any) -> tuple[int | Shape, ...]:
    if not isinstance(shape, (tuple, list)):
        msg = f"must be a list of sizes and of lists of axes, got {show(shape)}"
        raise MetadataError(msg, "shape")
    most = int(config["limits.dimensions"])
    if len(shape) > most:
        msg = f"{len(shape)} dimensions exceed the limit of {most} (setting limits.dimensions)"
        raise MetadataError(msg, "shape")
    found: list[int | Shape] = []
    last, rest = -1, None
    for place, item in enumerate(shape):
        where = member("shape", place)
        if isinstance(item, (tuple, list)):
            axes = tuple(as_int(axis, member(where, i), 0) for i, axis in enumerate(item))
            for axis in axes:
                if axis <= last:
                    msg = f"axis {axis} follows axis {last}; reshape cannot reorder axes"
                    raise MetadataError(msg, where)
                last = axis
            found.append(axes)
        elif item == _REST and not isinstance(item, bool):
            if rest is not None:
                msg = f"only one size may be -1, and shape[{rest}] is"
                raise MetadataError(msg, where)
            rest = place
            found.append(_REST)
        else:
            found.append(as_int(item, where, 1))
    return tuple(found)
