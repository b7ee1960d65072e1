"""Fixtures for the tests of codecs: specs by shape and dtype, and damaged data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fastzarr.codecs.base import ChunkSpec
from fastzarr.dtypes import from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def spec_of() -> Callable[..., ChunkSpec]:
    """Return a function that makes a spec from a shape and the name of a data type."""

    def make(shape: tuple[int, ...], dtype: Any, fill: Any = None) -> ChunkSpec:
        found = from_numpy(dtype)
        return ChunkSpec(shape, found, found.default_fill if fill is None else fill)

    return make


@pytest.fixture(scope="session")
def damaged() -> Callable[[bytes], Iterator[tuple[str, bytes]]]:
    """Return a function that yields data truncated, extended, and with each bit flipped."""

    def make(data: bytes) -> Iterator[tuple[str, bytes]]:
        for end in range(len(data)):
            yield f"cut to {end}", data[:end]
        yield "one byte more", data + b"\0"
        yield "garbage behind", data + b"garbage"
        for bit in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            yield f"bit {bit} flipped", bytes(flipped)

    return make
