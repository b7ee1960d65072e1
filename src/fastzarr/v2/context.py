"""What a store may be told about the values that are requested from it."""

from typing import Any, TypedDict


class Context(TypedDict, total=False):
    """Hints for a store; each may be missing.

    ``meta_array`` is an array of the type that the values should have.
    """

    meta_array: Any
