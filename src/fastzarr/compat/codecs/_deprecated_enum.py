"""zarr-python's former enumerations of the strings in configurations.

Rules of this file:

* A member is its string, and asking for it causes a DeprecationWarning.
"""

from __future__ import annotations

import warnings
from enum import Enum
from typing import Any


class _DeprecatedStrEnumMeta(type):
    """The type of a class whose members are strings."""

    _members: dict[str, str]

    def __getattr__(cls, name: str) -> str:
        members: dict[str, str] = type.__getattribute__(cls, "_members")
        if name not in members:
            raise AttributeError(name)
        msg = f"{cls.__name__}.{name} is deprecated; pass the string {members[name]!r} instead."
        warnings.warn(msg, DeprecationWarning, stacklevel=2)
        return members[name]


def _coerce_enum_input(value: object, param_name: str, codec_name: str) -> Any:
    """Return the string of a member of an enumeration, which causes a warning."""
    if not isinstance(value, Enum):
        return value
    msg = (
        f"Passing an enum to {codec_name}(..., {param_name}=...) is deprecated; pass the "
        "equivalent literal string instead."
    )
    warnings.warn(msg, DeprecationWarning, stacklevel=4)
    return value.value
