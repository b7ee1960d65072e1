"""Suites for authors: subclass ``StoreTests`` to test a store."""

import pytest

pytest.register_assert_rewrite("fastzarr.testing.promises", "fastzarr.testing.stores")

from fastzarr.testing.stores import StoreTests  # noqa: E402  (assertions are explained from here on)

__all__ = ["StoreTests"]
