"""The ``transpose`` codec: the axes of a chunk in another order.

Rules of this file:

* Nothing is copied: both directions give a view with its axes permuted.
* Axis ``i`` of the encoded array is axis ``order[i]`` of the decoded one.
* The words "C" and "F", which old documents have in place of a permutation, are read and become the
  permutation they mean when the number of axes is known.

Specification: zarr-extensions, ``codecs/transpose``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fastzarr.codecs.base import ArrayArrayCodec, ChunkSpec, exact_int
from fastzarr.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class TransposeCodec(ArrayArrayCodec):
    """Permute the axes of a chunk before it is turned into bytes.

    ``order`` is a permutation of the axes; ``(1, 0)`` stores a matrix column by column.

    >>> TransposeCodec(order=(1, 0)).to_dict()
    {'name': 'transpose', 'configuration': {'order': [1, 0]}}
    """

    name: ClassVar[str] = "transpose"

    order: tuple[int, ...]

    def __post_init__(self) -> None:
        """Give the order its final form."""
        object.__setattr__(self, "order", _parsed(self.order))

    def config(self) -> dict[str, Any]:
        """Give the ``configuration`` object."""
        return {"order": list(self.order) if isinstance(self.order, tuple) else self.order}

    def resolve(self, spec: ChunkSpec) -> Self:
        """Turn "C" and "F" into a permutation; ``MetadataError`` where the axes do not match."""
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
        """Give the spec with its axes permuted."""
        return replace(spec, shape=tuple(spec.shape[axis] for axis in self.order))

    def encode(
        self,
        array: np.ndarray[Any, Any],
        spec: ChunkSpec,  # noqa: ARG002  (the array has it all)
    ) -> np.ndarray[Any, Any]:
        """Give a view with the axes permuted."""
        return array.transpose(self.order)

    def decode(
        self,
        array: np.ndarray[Any, Any],
        spec: ChunkSpec,  # noqa: ARG002  (the array has it all)
    ) -> np.ndarray[Any, Any]:
        """Give a view with the axes back in place."""
        return array.transpose(np.argsort(self.order))


def _parsed(order: Any) -> Any:
    if isinstance(order, str):
        if order in ("C", "F"):
            return order
    elif isinstance(order, (tuple, list, np.ndarray, range)):
        axes: Iterable[Any] = order
        permutation = tuple(
            exact_int(axis, 0, max(0, len(order) - 1), f"order[{i}]") for i, axis in enumerate(axes)
        )
        if len(set(permutation)) == len(permutation):
            return permutation
    msg = f"must be a permutation of the axes, each once and counted from 0, not {order!r}"
    raise MetadataError(msg, "order")
