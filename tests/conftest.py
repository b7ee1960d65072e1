"""What all tests share: how hypothesis searches, and settings that do not leak between tests."""

from __future__ import annotations

import os

import hypothesis
import pytest

from fastzarr.config import config

# No deadline: a slow machine is not a failure. In CI the same examples are tried on each run.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(params=["native", "numpy"])
def data_path(request):
    """Send a test through the native extension and through its twin in NumPy."""
    with config.set({"data_path": request.param}):
        yield request.param


@pytest.fixture(autouse=True)
def _settings_as_they_were():
    """Undo what a test sets in ``config``, also for good."""
    yield
    config.reset()
