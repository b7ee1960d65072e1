"""The default of arguments for which None is a meaningful value."""

from __future__ import annotations

from typing import Any


class NotGiven:
    """The type of the default of arguments for which None is a meaningful value."""

    def __repr__(self) -> str:
        """Return ``<default>``, which help() shows in signatures."""
        return "<default>"

    def __reduce__(self) -> str:
        """Pickle by name, because the instance is a singleton."""
        return "NOT_GIVEN"


NOT_GIVEN: Any = NotGiven()


def absent(value: Any) -> bool:
    """Whether an argument selects the default: missing, ``"auto"`` or ``"default"``."""
    if isinstance(value, str):
        return value in ("auto", "default")
    return isinstance(value, type(NOT_GIVEN))
