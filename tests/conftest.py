"""Common fixtures: the profiles of hypothesis, and settings that are restored after each test."""

from __future__ import annotations

import os

import hypothesis
import pytest

from fastzarr.config import config

# No deadline: a slow machine is not a failure. In CI, each run tries the same examples.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(params=["native", "numpy"])
def data_path(request):
    """Run a test with the native extension and with its twin in NumPy."""
    with config.set({"data_path": request.param}):
        yield request.param


@pytest.fixture(autouse=True)
def _settings_as_they_were():
    """Restore ``config`` after a test, including permanent changes."""
    yield
    config.reset()
