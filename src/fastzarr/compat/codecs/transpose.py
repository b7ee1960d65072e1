"""``transpose`` under zarr-python's name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fastzarr.codecs.transpose import TransposeCodec as _Transpose
from fastzarr.compat.codecs._dress import ArrayArrayDress, dress

if TYPE_CHECKING:
    from fastzarr.compat.core.array_spec import ArraySpec


def parse_transpose_order(data: Any) -> tuple[int, ...]:
    """Return the order of axes; raise TypeError unless it has integers.

    >>> parse_transpose_order([1, 0])
    (1, 0)
    """
    if not isinstance(data, Iterable):
        msg = f"Expected an iterable. Got {data} instead."
        raise TypeError(msg)
    order = tuple(data)
    if not all(isinstance(axis, int) for axis in order):
        msg = f"Expected an iterable of integers. Got {data} instead."
        raise TypeError(msg)
    return order


@dress
@dataclass(frozen=True, kw_only=True)
class TransposeCodec(ArrayArrayDress):
    """Axes in another order.

    >>> TransposeCodec(order=[1, 0]).order
    (1, 0)
    """

    name: ClassVar[str] = "transpose"
    kind: ClassVar[Any] = _Transpose
    is_fixed_size = True

    order: tuple[int, ...]

    if TYPE_CHECKING:
        # What is passed has more types than the member has.
        def __init__(self, *, order: Iterable[int]) -> None:
            """Initialise with the order of axes."""

    def __post_init__(self) -> None:
        """Validate the order."""
        object.__setattr__(self, "order", parse_transpose_order(self.order))

    def _check(self, ndim: int) -> None:
        order = self.order
        msg = ""
        if len(order) != ndim:
            msg = "The `order` tuple must have as many entries as there are dimensions in the array"
        elif len(set(order)) != len(order):
            msg = "There must not be duplicates in the `order` tuple"
        elif not all(0 <= axis < ndim for axis in order):
            msg = (
                "All entries in the `order` tuple must be between 0 and the number of dimensions "
                "in the array"
            )
        if msg:
            msg += f". Got {order}."
            raise ValueError(msg)

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise ValueError unless the order is one of the axes of the array."""
        del dtype, chunk_grid
        self._check(len(shape))

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return self; raise ValueError unless the order is one of the axes of the chunks."""
        self._check(len(array_spec.shape))
        return self

    def resolve_metadata(self, chunk_spec: ArraySpec) -> ArraySpec:
        """Return the description of a transposed chunk."""
        return replace(chunk_spec, shape=tuple(chunk_spec.shape[axis] for axis in self.order))
