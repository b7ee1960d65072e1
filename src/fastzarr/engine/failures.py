"""Failures of chunks as data, and the errors made of them.

Rules of this file:

* The functions that run a plan return a ``Failure``. Only the driver raises, once no thread works
  on the plan any more.
* Every error names the store, the array, the chunk, the key and the stage.
"""

from __future__ import annotations

import errno
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fastzarr import errors
from fastzarr.codecs.program import MissingChunk
from fastzarr.errors import CodecError

if TYPE_CHECKING:
    from fastzarr.engine.chunks import StoredChunks


# The attributes of a ChunkError.
_PARTS = ("message", "array", "key", "chunk", "stage", "store")
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class Failure(NamedTuple):
    """The chunk that failed, the stage (``fetch``, ``store``, or a codec's name), and the error."""

    chunk: tuple[int, ...]
    stage: str
    error: Exception


def as_failure(
    chunk: tuple[int, ...],
    stage: str,
    kind: str,
    message: str,
    errno: int | None,
    raised: Exception | None,
) -> Failure:
    """Return the failure that the native extension describes.

    ``kind`` is ``codec``, ``io`` (with ``errno``), ``memory``, ``missing``, or ``foreign`` for an
    exception that the store has ``raised``.
    """
    error: Exception
    if raised is not None:
        error = raised
    elif kind == "missing":
        # Each level of shards has put ``inner chunk (...): `` before an empty message.
        error = MissingChunk(message.removesuffix(": "))
    elif kind == "memory":
        error = MemoryError(message)
    elif kind == "io" and errno is not None:
        error = OSError(errno, message)
    else:
        error = CodecError(message)
        error.stage = stage
    return Failure(chunk, stage, error)


def of_error(chunk: tuple[int, ...], stage: str, error: Exception) -> Failure:
    """Return the failure of a chunk. The stage of a ``CodecError`` overrides ``stage``."""
    return Failure(chunk, getattr(error, "stage", "") or stage, error)


def ran_out(failure: Failure) -> bool:
    """Whether a chunk failed for want of descriptors or of space on the disk."""
    return is_scarcity(failure.error)


def is_scarcity(error: BaseException) -> bool:
    """Whether an error tells of a want of descriptors or of space on the disk."""
    return isinstance(error, OSError) and error.errno in _SCARCE


def is_for_the_store(failure: Failure) -> bool:
    """Whether the store must read or write the chunk, because the extension cannot.

    This is the case for symbolic links, and on file systems without locks.
    """
    error = failure.error
    codes = (errno.ELOOP, errno.EXDEV, errno.ENOLCK)
    return isinstance(error, OSError) and error.errno in codes


def as_error(failure: Failure, chunks: StoredChunks) -> Exception:
    """Return the error of a failure, which names its place."""
    chunk, stage, error = failure
    place = (chunks.name, chunks.user_key(chunk), chunk, stage, str(chunks.store))
    if chunks.tree is not None and isinstance(error, OSError):
        chunks.tree.rename(error)
    if isinstance(error, MissingChunk):
        inner = str(error)
        what = f"{inner} is not in the shard" if inner else "the chunk is not in the store"
        msg = f"{what}; set read_missing_chunks=True to read the fill value instead"
        return errors.ChunkNotFoundError(msg, *place)
    if isinstance(error, errors.CodecError):
        return errors.ChunkError(str(error), *place)
    of_store = isinstance(error, (errors.DatabaseError, errors.RequestError))
    if isinstance(error, errors.BaseZarrError) and not of_store:
        return error
    if isinstance(error, MemoryError):
        words = str(error) or "there is no memory for the chunk"
        return errors.ChunkMemoryError(words, *place)
    kind = errors.ChunkIOError if isinstance(error, OSError) else errors.ChunkError
    words = f"{type(error).__name__}: {error}"
    worded: Exception = _made(kind, error, (words, *place))
    if isinstance(worded, OSError) and isinstance(error, OSError):
        worded.errno, worded.strerror = error.errno, error.strerror
        worded.filename = error.filename
    return worded


def _made(kind: Any, error: Exception, arguments: tuple[Any, ...]) -> Any:
    """Return an error that is also one of the class that a store has raised, if that can be."""
    made = _new(kind, type(error), arguments, _rest(type(error), error))
    for name, value in vars(error).items():
        vars(made).setdefault(name, value)
    return made


def _new(kind: Any, raised: Any, arguments: tuple[Any, ...], rest: tuple[Any, ...]) -> Any:
    """Return an error of two classes, or of this package if it cannot be of the other one.

    ``rest`` is what the other error is made of: its arguments, and perhaps its state.
    """
    both = _both(kind, raised)
    try:
        return both(*arguments)
    except Exception:
        if both is kind:
            raise
    given, *state = rest
    try:
        # Such a class looks at the arguments when the object is made, as those in Rust do.
        made = raised.__new__(both, *given)
        kind.__init__(made, *arguments)
        if state and state[0] is not None and hasattr(raised, "__setstate__"):
            raised.__setstate__(made, state[0])
    except Exception:  # noqa: BLE001
        return kind(*arguments)
    return made


def _rest(raised: Any, error: Any) -> tuple[Any, ...]:
    """Return the arguments and the state that an error is made of again."""
    try:
        made: tuple[Any, ...] = raised.__reduce__(error)[1:]
    except Exception:  # noqa: BLE001  (it may refuse to be pickled)
        return ((),)
    return made


class _Own:
    """An attribute in the dictionary of the object, whatever the base classes have of its name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, found: Any, owner: type) -> Any:
        return self if found is None else vars(found)[self.name]

    def __set__(self, found: Any, value: Any) -> None:
        vars(found)[self.name] = value


@lru_cache(maxsize=64)
def _both(kind: Any, raised: Any) -> Any:
    """Return a class derived from an error of this package and from another one."""
    if issubclass(kind, raised) or raised.__module__ == "builtins":
        return kind

    def reduce(error: Any) -> Any:
        parts = errors.ChunkError.__reduce__(error)[1]
        return _restored, (kind, raised, parts, vars(error), _rest(raised, error))

    # The other class may have attributes of the same names that cannot be set.
    taken = [name for name in _PARTS if hasattr(raised, name)]
    members = {"__reduce__": reduce, "__doc__": kind.__doc__} | {name: _Own() for name in taken}
    try:
        return type(raised.__name__, (kind, raised), members)
    except TypeError:  # their instances have different memory layouts
        return kind


def _restored(
    kind: Any, raised: Any, parts: Any, state: dict[str, Any], rest: tuple[Any, ...]
) -> Exception:
    """Return an error of two classes from its pickle."""
    made: Exception = _new(kind, raised, parts, rest)
    vars(made).update(state)
    return made
