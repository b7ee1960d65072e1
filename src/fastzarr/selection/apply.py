"""Factors of a selection applied to NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.selection.factors import Points, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastzarr.selection.plan import Factor


def take(chunk: NDArray[Any], factors: tuple[Factor, ...]) -> NDArray[Any]:
    """Return the selected elements of a chunk, with one axis for each factor.

    If all factors are spans, the result is a view.
    """
    part: NDArray[Any]
    index: list[Any] = [slice(None)] * chunk.ndim
    axes: list[int] = []
    for factor in factors:
        if isinstance(factor, Points):
            part = chunk[index_of(factors, chunk.ndim)]
            return part
        axis, start, step, count = factor
        stop = start + count * step
        index[axis] = slice(start, stop if stop >= 0 else None, step)
        axes.append(axis)
    part = chunk[(*index, Ellipsis)]
    return part if axes == sorted(axes) else part.transpose(axes)


def put(
    chunk: NDArray[Any],
    factors: tuple[Factor, ...],
    value: NDArray[Any],
    where: NDArray[np.bool_] | None = None,
) -> None:
    """Assign ``value``, with one axis for each factor, to the selected elements of a chunk.

    With ``where``, of the same shape, only those are assigned to for which it is True.
    """
    if Points in set(map(type, factors)):
        index = index_of(factors, chunk.ndim)
        if where is not None:
            kept = chunk[index]
            kept[where] = value[where]
            value = kept
        chunk[index] = value
    elif where is not None:
        take(chunk, factors)[where] = value[where]
    else:
        take(chunk, factors)[...] = value


def index_of(factors: tuple[Factor, ...], ndim: int) -> tuple[Any, ...]:
    """Return factors as a NumPy index of broadcastable arrays, one for each axis."""
    index: list[Any] = [None] * ndim
    for place, factor in enumerate(factors):
        shape = [1] * len(factors)
        shape[place] = -1
        if isinstance(factor, Span):
            stop = factor.start + factor.size * factor.step
            index[factor.axis] = np.arange(factor.start, stop, factor.step).reshape(shape)
        else:
            for axis, coords in zip(factor.axes, factor.coords, strict=True):
                index[axis] = coords.reshape(shape)
    return tuple(index)
