"""Detailed assertion messages in the shared test suites."""

import pytest

pytest.register_assert_rewrite("fastzarr.testing")
