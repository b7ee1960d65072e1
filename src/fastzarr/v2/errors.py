"""The errors of zarr-python 2, which are those of fastzarr under the same names."""

from typing import Any, NoReturn

from fastzarr.errors import (
    ArrayIndexError,
    ArrayNotFoundError,
    BadCompressorError,
    BoundsCheckError,
    ContainsArrayError,
    ContainsGroupError,
    CopyError,
    FSPathExistNotDir,
    GroupNotFoundError,
    MetadataError,
    NegativeStepError,
    PathNotFoundError,
    ReadOnlyError,
    VindexInvalidSelectionError,
)

__all__ = [
    "ArrayIndexError",
    "ArrayNotFoundError",
    "BadCompressorError",
    "BoundsCheckError",
    "ContainsArrayError",
    "ContainsGroupError",
    "CopyError",
    "FSPathExistNotDir",
    "GroupNotFoundError",
    "MetadataError",
    "NegativeStepError",
    "PathNotFoundError",
    "ReadOnlyError",
    "VindexInvalidSelectionError",
    "err_too_many_indices",
]


def err_too_many_indices(selection: Any, shape: Any) -> NoReturn:
    """Raise IndexError for a selection of more axes than there are.

    >>> err_too_many_indices((0, 0), (3,))
    Traceback (most recent call last):
    ...
    IndexError: too many indices for array; expected 1, got 2
    """
    msg = f"too many indices for array; expected {len(shape)}, got {len(selection)}"
    raise IndexError(msg)
