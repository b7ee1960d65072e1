"""Every error and warning of the package.

Rules of this file:

* An error of the library is a ``BaseZarrError``, hence a ``ValueError``, as in zarr-python. Where
  Python or NumPy has a kind of its own for the situation (``IndexError`` for a wrong selection,
  ``FileNotFoundError`` for a missing node, ``OSError`` for failing storage) the error is that kind
  too, so that code written for either keeps working.
* A message names the culprit (array, key, chunk, value) and, where there is one, the way out.
* An error with parts keeps them as attributes, so that nobody has to parse a message.
"""

from __future__ import annotations

from typing import Any


class BaseZarrError(ValueError):
    """Stand at the root of the errors of this package."""


class MetadataError(BaseZarrError):
    """Say what is wrong in a metadata document, and where.

    ``where`` is the JSON path of the culprit with the key of the document before it, such as
    ``a/zarr.json: chunk_grid.configuration.chunk_shape[0]``.
    """

    def __init__(self, message: str, where: str = "") -> None:
        """Join the place and the message."""
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by message, which already holds the place."""
        return (_metadata_error, (type(self), str(self), self.where))


def _metadata_error(cls: type[MetadataError], message: str, where: str) -> MetadataError:
    error = cls(message)
    error.where = where
    return error


class MetadataValidationError(MetadataError):
    """Say that a metadata document breaks the rules of its format."""


class NodeTypeValidationError(MetadataValidationError):
    """Say that an array was found where a group was asked for, or the other way round."""


class DataTypeValidationError(MetadataError):
    """Say that a data type is unknown, or is not spelled as its definition asks."""


class UnknownCodecError(MetadataError):
    """Say that the codec of this name is not known here."""


class BadCompressorError(MetadataError):
    """Say that a compressor is none, under zarr-python 2's name."""


class PickleCodecDisabledError(MetadataError):
    """Say that reading would unpickle data, which the caller has not allowed."""


class NodeNotFoundError(BaseZarrError, FileNotFoundError):
    """Say that nothing stands at this path of the store."""


class ArrayNotFoundError(NodeNotFoundError):
    """Say that no array stands at this path of the store."""


class GroupNotFoundError(NodeNotFoundError):
    """Say that no group stands at this path of the store."""


class FSPathExistNotDir(GroupNotFoundError):  # noqa: N818  (zarr-python 2's name)
    """Say that a file stands where the folder of a store should be."""


class PathNotFoundError(NodeNotFoundError):
    """Say that neither an array nor a group stands at this path of the store."""


class StaleArrayError(PathNotFoundError):
    """Say that the array in the store is no longer the one that a handle was opened for."""


class ContainsNodeError(BaseZarrError, FileExistsError):
    """Say that something already stands at this path of the store."""


class ContainsArrayError(ContainsNodeError):
    """Say that an array already stands at this path of the store."""


class ContainsGroupError(ContainsNodeError):
    """Say that a group already stands at this path of the store."""


class ContainsArrayAndGroupError(ContainsNodeError):
    """Say that both an array and a group stand at this path of the store."""


class ReadOnlyError(PermissionError, BaseZarrError):
    """Say that a write was asked of what was opened read-only."""


class KeyValidationError(BaseZarrError):
    """Say that a store key or a node name could reach outside its store, or cannot be stored."""


class CopyError(BaseZarrError, RuntimeError):
    """Say that a copy could not be made."""


class TransactionError(BaseZarrError, RuntimeError):
    """Say that a transaction could not be begun, committed or finished."""


class LimitError(MetadataError):
    """Say that a document asks for more than the limits in ``config`` allow."""


class BoundsCheckError(BaseZarrError, IndexError):
    """Say that an index lies outside its axis."""


class ArrayIndexError(BaseZarrError, IndexError):
    """Say that an array of indices cannot be used as an index."""


class NegativeStepError(BaseZarrError, IndexError):
    """Say that a slice steps backwards where that has no meaning."""


class VindexInvalidSelectionError(BaseZarrError, IndexError):
    """Say that a selection cannot be read as coordinates."""


class ShapeError(BaseZarrError):
    """Say that a value or a shape does not fit the array."""


class SelectionError(BaseZarrError, IndexError):
    """Say that a selection is not one that NumPy or Zarr knows."""


def err_too_many_indices(selection: Any, shape: tuple[int, ...]) -> None:
    """Raise the error for an index of more items than there are axes, as zarr-python 2 has it."""
    msg = f"too many indices for array; expected {len(shape)}, got {len(selection)}"
    raise SelectionError(msg)


class CodecError(BaseZarrError):
    """Say that a codec could not encode or decode a chunk; a chunk error names the chunk.

    ``stage`` is the name of the codec, once the chain it stands in has filled it in.
    """

    stage: str = ""


class ChunkError(BaseZarrError):
    """Say which chunk could not be read or written, at which stage, and why.

    ``array`` is the path of the array, ``key`` the key of the stored object, ``chunk`` the chunk's
    coordinates in the chunk grid, ``stage`` what failed: ``fetch``, ``store``, or a codec's name.
    """

    def __init__(
        self, message: str, array: str, key: str, chunk: tuple[int, ...], stage: str
    ) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.message, self.array, self.key = message, array, key
        self.chunk, self.stage = chunk, stage

    def __str__(self) -> str:
        """Give the culprit, then the message."""
        name = "/" + self.array.strip("/")
        place = f"array {name!r}, chunk {self.chunk}, key {self.key!r}, stage {self.stage}"
        return f"{place}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by parts, so that a chunk error survives the way back from a worker."""
        return (type(self), (self.message, self.array, self.key, self.chunk, self.stage))


class ChunkNotFoundError(ChunkError):
    """Say that a chunk is missing where missing chunks were declared an error."""


class ChunkIOError(ChunkError, OSError):
    """Say that the store failed on a chunk; ``errno`` is that of the failure beneath.

    A failing store is never read as a fill value: only the proven absence of the key is.
    """


class ZarrUserWarning(UserWarning):
    """Warn of something the user may want to change."""


class ZarrDeprecationWarning(DeprecationWarning):
    """Warn of a name that is on its way out."""


class ZarrFutureWarning(FutureWarning):
    """Warn of behaviour that will change."""


class ZarrRuntimeWarning(RuntimeWarning):
    """Warn of something that went otherwise than asked, at no loss."""


class UnstableSpecificationWarning(FutureWarning):
    """Warn of a format extension whose specification may still change."""
