"""The versions and the logger of the facade."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastzarr import compat

if TYPE_CHECKING:
    import pytest


def test_debug_info_names_versions(capsys: pytest.CaptureFixture[str]) -> None:
    compat.print_debug_info()
    found = capsys.readouterr().out
    assert f"zarr: {compat.__version__}" in found
    assert f"numpy: {version('numpy')}" in found


def test_one_handler_writes_the_messages_of_the_logger() -> None:
    logger = logging.getLogger("zarr")
    before, level = logger.handlers[:], logger.level
    try:
        compat.set_log_level("INFO")
        compat.set_format("%(message)s!")
        (handler,) = [each for each in logger.handlers if each not in before] or logger.handlers
        assert handler.format(logging.makeLogRecord({"msg": "said"})) == "said!"
        assert logger.level == handler.level == logging.INFO
    finally:
        logger.setLevel(level)
