"""Assertions in the shared suite are explained as those in the tests are."""

import pytest

pytest.register_assert_rewrite("fastzarr.testing")
