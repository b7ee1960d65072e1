"""All errors and warnings of the package.

Rules of this file:

* Every error derives from ``BaseZarrError`` and thus from ValueError, as in zarr-python. If Python
  or NumPy raises a specific exception in the same situation (IndexError for an invalid selection,
  FileNotFoundError for a missing node, OSError for failing storage), the error derives from that
  too, so that code written for either works.
* A message names what is at fault (array, key, chunk, value) and, if possible, what to do.
* The parts of a message are also attributes of the error, so that it need not be parsed.
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar


class BaseZarrError(ValueError):
    """Base class of all errors of this package.

    Several arguments are the values of the ``template`` of a class that has one, as in zarr-python
    3.
    """

    template: ClassVar[str] = ""

    def __init__(self, *args: object) -> None:
        """Initialise with a message, or with the values of the template."""
        filled = bool(self.template) and len(args) > 1
        super().__init__(*((self.template.format(*args),) if filled else args))


class MetadataError(BaseZarrError):
    """Raised for an invalid metadata document or configuration.

    ``where`` is the location of the fault: the key of the document and a path inside it, such as
    ``a/zarr.json: chunk_grid.configuration.chunk_shape[0]``. ``store`` is the URL of the store that
    the document was read from, or empty.
    """

    store: str = ""

    def __init__(self, message: str, where: str = "", *found: object) -> None:
        """Initialise with a message, which is prefixed by ``where``.

        Three arguments are the values of the template, if the class has one.
        """
        if found and self.template:
            message, where = self.template.format(message, where, *found), ""
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where

    def __str__(self) -> str:
        """Return the message, prefixed by the URL of the document if the store is known."""
        message = super().__str__()
        if not self.store:
            return message
        return f"{self.store}/{message}" if self.where else f"{self.store}: {message}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the complete message, which already contains ``where``."""
        return (_metadata_error, (type(self), *self.args, self.where, self.store))


def _metadata_error(
    cls: type[MetadataError], message: str, where: str, store: str = ""
) -> MetadataError:
    error = cls(message)
    error.where, error.store = where, store
    return error


class MetadataValidationError(MetadataError):
    """Raised for a metadata document that violates the specification of its format."""

    template = "Invalid value for '{}'. Expected '{}'. Got '{}'."


class NodeTypeValidationError(MetadataValidationError):
    """Raised if a node is an array where a group was expected, or the reverse."""


class DataTypeValidationError(MetadataError):
    """Raised for an unknown data type, or one with an invalid configuration."""


class UnknownCodecError(MetadataError):
    """Raised for a codec whose name is not registered."""


class BadCompressorError(MetadataError):
    """Raised for an invalid compressor (zarr-python 2's name)."""


class PickleCodecDisabledError(MetadataError):
    """Raised if reading would unpickle data, and the caller has not allowed that."""


class NodeNotFoundError(BaseZarrError, FileNotFoundError):
    """Raised if there is no node at a path in the store."""


class ArrayNotFoundError(NodeNotFoundError):
    """Raised if there is no array at a path in the store."""

    template = "No array found in store {!r} at path {!r}"


class GroupNotFoundError(NodeNotFoundError):
    """Raised if there is no group at a path in the store."""

    template = "No group found in store {!r} at path {!r}"


class FSPathExistNotDir(GroupNotFoundError):  # noqa: N818  (zarr-python 2's name)
    """Raised if the root of a store is a file instead of a folder."""


class PathNotFoundError(NodeNotFoundError):
    """Raised if there is neither an array nor a group at a path in the store."""


class StaleArrayError(PathNotFoundError):
    """Raised if the array in the store is no longer the one that the handle was opened for."""


class ContainsNodeError(BaseZarrError, FileExistsError):
    """Raised if a path in the store is already occupied."""


class ContainsArrayError(ContainsNodeError):
    """Raised if there is already an array at a path in the store."""

    template = "An array exists in store {!r} at path {!r}."


class ContainsGroupError(ContainsNodeError):
    """Raised if there is already a group at a path in the store."""

    template = "A group exists in store {!r} at path {!r}."


class ContainsArrayAndGroupError(ContainsNodeError):
    """Raised if a path in the store has both an array and a group."""

    template = (
        "Array and group metadata documents (.zarray and .zgroup) were both found in store "
        "{!r} at path {!r}. Only one of these files may be present in a given directory / prefix. "
        "Remove the .zarray file, or the .zgroup file, or both."
    )


class ContainsFilesError(ContainsNodeError):
    """Raised if files that are not part of a Zarr hierarchy would be deleted."""


class ReadOnlyError(PermissionError, BaseZarrError):
    """Raised for a write to a store or node that was opened read-only."""


class KeyValidationError(BaseZarrError):
    """Raised for a key or a node name that could lead outside the store, or cannot be stored."""


class CopyError(BaseZarrError, RuntimeError):
    """Raised if a copy cannot be made, or not completely.

    In the second case, ``report`` is the result that the copy would have returned otherwise.
    """

    report: Any = None


class TransactionError(BaseZarrError, RuntimeError):
    """Raised if a transaction cannot be started, committed or completed."""


class LimitError(MetadataError):
    """Raised for a document that exceeds a limit in ``config`` (``limits.*``)."""


class BoundsCheckError(BaseZarrError, IndexError):
    """Raised for an index that is out of bounds for its axis."""


class ArrayIndexError(BaseZarrError, IndexError):
    """Raised for an array that cannot be used as an index."""


class NegativeStepError(BaseZarrError, IndexError):
    """Raised for a slice with a negative step where that is not supported."""


class VindexInvalidSelectionError(BaseZarrError, IndexError):
    """Raised for a selection that is not a valid mask or set of coordinates."""


class ShapeError(BaseZarrError):
    """Raised for a value or a shape that does not fit the array."""


class SelectionError(BaseZarrError, IndexError):
    """Raised for a selection that neither NumPy nor Zarr supports."""


def err_too_many_indices(selection: Any, shape: tuple[int, ...]) -> None:
    """Raise the error for an index with more items than axes (zarr-python 2's function).

    >>> err_too_many_indices((0, 1), (3,))
    Traceback (most recent call last):
    fastzarr.errors.SelectionError: too many indices for array; expected 1, got 2
    """
    msg = f"too many indices for array; expected {len(shape)}, got {len(selection)}"
    raise SelectionError(msg)


class CodecError(BaseZarrError):
    """Raised if a codec cannot encode or decode data.

    ``stage`` is the name of the codec, filled in by the codec chain. While an array is read or
    written, this error is raised as a ``ChunkError`` that names the chunk.
    """

    stage: str = ""


class ArchiveError(CodecError):
    """Raised for a file that is not a zip archive, and for a damaged or refused member of one."""


class ChunkError(BaseZarrError):
    """Raised if a chunk cannot be read or written.

    ``array`` is the path of the array, ``key`` the key of the stored object, ``chunk`` the
    coordinates of the chunk in the chunk grid, and ``stage`` the step that failed: ``fetch``,
    ``store``, or the name of a codec. ``store`` is the URL of the store that has the chunks.
    """

    def __init__(
        self,
        message: str,
        array: str,
        key: str,
        chunk: tuple[int, ...],
        stage: str,
        store: str = "",
    ) -> None:
        """Initialise with a message and the parts of its prefix."""
        super().__init__(message)
        self.message, self.array, self.key = message, array, key
        self.chunk, self.stage, self.store = chunk, stage, store

    def _parts(self) -> tuple[str, str, str, tuple[int, ...], str, str]:
        return self.message, self.array, self.key, self.chunk, self.stage, self.store

    def __str__(self) -> str:
        """Return the store, array, chunk, key and stage, followed by the message."""
        name, store = "/" + self.array.strip("/"), f"{self.store}: " if self.store else ""
        place = f"array {name!r}, chunk {self.chunk}, key {self.key!r}, stage {self.stage}"
        return f"{store}{place}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the parts, so that the error can be passed between processes."""
        return (type(self), self._parts())


class ChunkNotFoundError(ChunkError):
    """Raised if a chunk is missing and missing chunks are configured to be an error."""


class ChunkIOError(ChunkError, OSError):
    """Raised if the store fails to read or write a chunk; ``errno`` is that of its OSError.

    A chunk reads as fill values only if its key is known to be missing, never after a failure.
    """


class ChunkMemoryError(ChunkError, MemoryError):
    """Raised if there is no memory to read or write a chunk; the message says for how much.

    The chunk in the store is unchanged.
    """


class RequestError(BaseZarrError, OSError):
    """Raised if a request to a server has failed, after all attempts that could help.

    ``store`` is the URL of the store, without credentials, ``key`` the key that was requested, and
    ``status`` the HTTP status or the server's word for it, such as ``READONLY``; None if the server
    has not answered. The cause of the error is that of the last attempt. Nothing but the
    server's word that a key is missing makes it missing.
    """

    def __init__(
        self, message: str, store: str = "", key: str = "", status: int | str | None = None
    ) -> None:
        """Initialise with a message and the request that failed."""
        super().__init__(message)
        self.message, self.store, self.key, self.status = message, store, key, status

    def __str__(self) -> str:
        """Return the store, the key if there is one and the status, followed by the message."""
        status = "no answer" if self.status is None else f"status {self.status}"
        key = f", key {self.key!r}" if self.key else ""
        return f"{self.store}{key}, {status}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the parts, so that the error can be passed between processes."""
        parts = (self.message, self.store, self.key, self.status)
        return (type(self), parts, {"errno": self.errno})


class RequestAccessError(RequestError, PermissionError):
    """Raised if a server denies access (status 401 or 403, or a database's word for it).

    Credentials are missing or wrong, or not sufficient.
    """


class DatabaseError(BaseZarrError, OSError):
    """Raised if a database that is used as a store cannot be read or written.

    ``store`` is the URL of the store, and ``key`` the key that was asked for, if it was one. The
    cause is the error of the database's library. No such failure makes a key missing.
    """

    def __init__(self, message: str, store: str = "", key: str = "") -> None:
        """Initialise with a message and the place of the failure."""
        super().__init__(message)
        self.message, self.store, self.key = message, store, key

    def __str__(self) -> str:
        """Return the store and the key, followed by the message."""
        key = f", key {self.key!r}" if self.key else ""
        return f"{self.store}{key}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the parts, so that the error can be passed between processes."""
        return (type(self), (self.message, self.store, self.key), {"errno": self.errno})


class ForkedError(BaseZarrError, RuntimeError):
    """Raised if a store is used in a forked child in which its library would wait for ever.

    The same holds for a database that another thread of the parent has used meanwhile.
    """


class ZarrUserWarning(UserWarning):
    """A warning about something that the user may want to change."""


class ZarrDeprecationWarning(DeprecationWarning):
    """A warning about the use of a deprecated name."""


class ZarrFutureWarning(FutureWarning):
    """A warning about behaviour that will change."""


class ZarrRuntimeWarning(RuntimeWarning):
    """A warning that a request was carried out differently, without loss of data."""


class UnstableSpecificationWarning(ZarrFutureWarning):
    """A warning about a format extension whose specification is not final."""


def caller_level() -> int:
    """Return the ``stacklevel`` of a warning that refers to the caller of this package.

    It is that of the nearest frame outside the package, as seen from the function that calls this
    one.
    """
    package, level = __name__.partition(".")[0], 1
    frame = sys._getframe(1)  # noqa: SLF001  (the only way to inspect the caller)
    while frame.f_back is not None:
        name = frame.f_globals.get("__name__", "").partition(".")[0]
        if name not in (package, "importlib"):
            break
        frame = frame.f_back
        # Like `warnings.warn`, this does not count the frames of the import system.
        level += "importlib._bootstrap" not in frame.f_code.co_filename
    return level
