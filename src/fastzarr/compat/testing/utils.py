"""Small helps for tests of stores and buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from fastzarr.compat.core.buffer import Buffer

if TYPE_CHECKING:
    from fastzarr.compat.core.common import BytesLike

__all__ = ["assert_bytes_equal"]

T = TypeVar("T")


def assert_bytes_equal(b1: Buffer | BytesLike | None, b2: Buffer | BytesLike | None) -> None:
    """Assert that two buffers, or bytes, are equal."""
    first, second = (one.to_bytes() if isinstance(one, Buffer) else one for one in (b1, b2))
    assert first == second


def has_cupy() -> bool:
    """Whether there are buffers in the memory of a graphics processor: there are none."""
    return False


gpu_mark = pytest.mark.gpu
skip_if_no_gpu = pytest.mark.skipif(not has_cupy(), reason="there are no buffers of a GPU")


def gpu_test(func: T) -> T:
    """Return a test that is skipped without a graphics processor."""
    marked: Any = gpu_mark(skip_if_no_gpu(func))
    return marked  # type: ignore[no-any-return]
