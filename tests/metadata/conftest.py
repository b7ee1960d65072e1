"""Documents that other implementations wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, bytes]]:
    """Return the documents of a file in ``golden``, by key."""

    def read(name: str) -> dict[str, bytes]:
        path = Path(__file__).parent / "golden" / f"{name}.json"
        return {key: text.encode() for key, text in json.loads(path.read_text("utf-8")).items()}

    return read
