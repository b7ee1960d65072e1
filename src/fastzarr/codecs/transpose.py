"""The ``transpose`` codec: permutes the axes of a chunk.

Rules of this file:

* Encoding and decoding return views with permuted axes; nothing is copied.
* Axis ``i`` of the encoded array is axis ``order[i]`` of the decoded array.
* Old documents have "C" or "F" instead of a permutation. Both are accepted, and replaced by the
  equivalent permutation once the number of axes is known.

Specification: zarr-extensions, ``codecs/transpose``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from fastzarr.checked import as_int, show
from fastzarr.codecs.base import FAST, ArrayArrayCodec, ChunkSpec
from fastzarr.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, kw_only=True)
class TransposeCodec(ArrayArrayCodec):
    """Permutes the axes of a chunk before it is encoded as bytes.

    ``order`` is a permutation of the axes; ``(1, 0)`` stores a matrix in column-major order.

    >>> TransposeCodec(order=(1, 0)).to_dict()
    {'name': 'transpose', 'configuration': {'order': [1, 0]}}
    """

    name: ClassVar[str] = "transpose"
    cacheable: ClassVar[bool] = True
    pace: ClassVar[int] = FAST

    order: tuple[int, ...]

    if TYPE_CHECKING:
        # What is passed has more types than the members have.
        def __init__(self, *, order: Sequence[int] | Literal["C", "F"]) -> None:
            """Initialise with the members."""

    def __post_init__(self) -> None:
        """Validate and normalise the order."""
        object.__setattr__(self, "order", _parsed(self.order))

    def config(self) -> dict[str, Any]:
        """Return the ``configuration`` object."""
        return {"order": list(self.order) if isinstance(self.order, tuple) else self.order}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with "C" or "F" replaced by a permutation.

        Raise ``MetadataError`` if the number of axes differs from that of the chunk.
        """
        ndim = len(spec.shape)
        order: Any = self.order
        if order in ("C", "F"):
            axes = tuple(range(ndim))
            return replace(self, order=axes if order == "C" else axes[::-1])
        if len(order) != ndim:
            msg = f"order {list(order)} permutes {len(order)} axes, but the chunk has {ndim}"
            raise MetadataError(msg)
        return self

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return the spec with its axes permuted."""
        return replace(spec, shape=tuple(spec.shape[axis] for axis in self.order))

    def decoded_block(self, block: tuple[int, ...], spec: ChunkSpec) -> tuple[int, ...] | None:
        """Return the shape of a block with its axes in their original order."""
        return tuple(block[self.order.index(axis)] for axis in range(len(spec.shape)))

    def encode(
        self,
        array: np.ndarray[Any, Any],
        spec: ChunkSpec,  # noqa: ARG002  (the array suffices)
    ) -> np.ndarray[Any, Any]:
        """Return a view with the axes permuted."""
        return array.transpose(self.order)

    def decode(
        self,
        array: np.ndarray[Any, Any],
        spec: ChunkSpec,  # noqa: ARG002  (the array suffices)
    ) -> np.ndarray[Any, Any]:
        """Return a view with the axes in their original order."""
        return array.transpose(np.argsort(self.order))


def _parsed(order: Any) -> Any:
    if isinstance(order, str):
        if order in ("C", "F"):
            return order
    elif isinstance(order, (tuple, list, np.ndarray, range)):
        axes: Iterable[Any] = order
        permutation = tuple(
            as_int(axis, f"order[{i}]", 0, max(0, len(order) - 1)) for i, axis in enumerate(axes)
        )
        if len(set(permutation)) == len(permutation):
            return permutation
    msg = f"must be a permutation of the axes, numbered from 0, got {show(order)}"
    raise MetadataError(msg, "order")
