"""The base classes of zarr-python's codecs, which codecs of other packages derive from.

Rules of this file:

* The names, the signatures and the order in which methods call each other are those of
  zarr-python: classes of other packages override any of them.
* Nothing of fastzarr is here. ``fastzarr.codecs.foreign`` calls these methods.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    Protocol,
    Self,
    TypedDict,
    TypeGuard,
    TypeVar,
    runtime_checkable,
)

from fastzarr.compat.abc.metadata import Metadata
from fastzarr.compat.core.buffer import Buffer, NDBuffer
from fastzarr.compat.core.common import NamedConfig, concurrent_map
from fastzarr.compat.core.config import config

if TYPE_CHECKING:
    from fastzarr.compat.core.array_spec import ArraySpec

__all__ = [
    "ArrayArrayCodec",
    "ArrayBytesCodec",
    "ArrayBytesCodecPartialDecodeMixin",
    "ArrayBytesCodecPartialEncodeMixin",
    "BaseCodec",
    "BytesBytesCodec",
    "CodecInput",
    "CodecOutput",
    "CodecPipeline",
    "GetResult",
    "SupportsSyncCodec",
]

CodecInput = NDBuffer | Buffer
CodecOutput = NDBuffer | Buffer
CI = TypeVar("CI")
CO = TypeVar("CO")
T = TypeVar("T")


class GetResult(TypedDict):
    """What became of the request for a chunk."""

    status: Literal["present", "missing"]


class CodecJSON_V2(TypedDict):  # noqa: N801  (zarr-python's name)
    """A codec as in the documents of format 2."""

    id: str


def _check_codecjson_v2(data: object) -> TypeGuard[CodecJSON_V2]:
    return isinstance(data, Mapping) and isinstance(data.get("id"), str)


CodecJSON_V3 = str | NamedConfig
"""A codec as in the documents of format 3."""

CodecJSON = str | Mapping[str, object]
"""A codec as in the documents of either format."""


@runtime_checkable
class SupportsSyncCodec(Protocol):
    """A codec that encodes and decodes without being awaited.

    >>> from fastzarr.compat.codecs import GzipCodec
    >>> isinstance(GzipCodec(), SupportsSyncCodec)
    True
    """

    def _decode_sync(self, chunk_data: Any, chunk_spec: ArraySpec) -> Any: ...

    def _encode_sync(self, chunk_data: Any, chunk_spec: ArraySpec) -> Any: ...


def _codec_supports_sync(codec: object) -> bool:
    return isinstance(codec, SupportsSyncCodec) and bool(getattr(codec, "_sync_capable", True))


class BaseCodec(Metadata, Generic[CI, CO]):
    """The base class of all codecs; derive from one of the three kinds below.

    ``is_fixed_size`` is True if the encoded size depends on the decoded size alone.
    """

    is_fixed_size: bool = False

    @abstractmethod
    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Return the encoded size of so many bytes.

        Raise NotImplementedError if it depends on the values.
        """
        ...

    def resolve_metadata(self, chunk_spec: ArraySpec) -> ArraySpec:
        """Return the description of a chunk that the codec has encoded."""
        return chunk_spec

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return the codec with what the chunks decide filled in."""
        del array_spec
        return self

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise an error if the codec cannot encode the chunks of such an array."""

    async def _decode_single(self, chunk_data: CO, chunk_spec: ArraySpec) -> CI:
        raise NotImplementedError

    async def decode(
        self, chunks_and_specs: Iterable[tuple[CO | None, ArraySpec]]
    ) -> Iterable[CI | None]:
        """Return the decoded chunks; those that are None remain None."""
        return await _each(self._decode_single, chunks_and_specs)

    async def _encode_single(self, chunk_data: CI, chunk_spec: ArraySpec) -> CO | None:
        raise NotImplementedError

    async def encode(
        self, chunks_and_specs: Iterable[tuple[CI | None, ArraySpec]]
    ) -> Iterable[CO | None]:
        """Return the encoded chunks; those that are None remain None."""
        return await _each(self._encode_single, chunks_and_specs)


class ArrayArrayCodec(BaseCodec[NDBuffer, NDBuffer]):
    """The base class of codecs that encode an array as another array."""


class ArrayBytesCodec(BaseCodec[NDBuffer, Buffer]):
    """The base class of codecs that encode an array as bytes."""


class BytesBytesCodec(BaseCodec[Buffer, Buffer]):
    """The base class of codecs that encode bytes as other bytes."""


Codec = ArrayArrayCodec | ArrayBytesCodec | BytesBytesCodec


class ArrayBytesCodecPartialDecodeMixin:
    """The methods of codecs that decode a part of a chunk."""

    async def _decode_partial_single(
        self, byte_getter: Any, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        raise NotImplementedError

    async def decode_partial(
        self, batch_info: Iterable[tuple[Any, Any, ArraySpec]]
    ) -> Iterable[NDBuffer | None]:
        """Return the selected part of each chunk, of which only the bytes needed are fetched."""
        return await _map(self._decode_partial_single, batch_info)


class ArrayBytesCodecPartialEncodeMixin:
    """The methods of codecs that encode a part of a chunk."""

    async def _encode_partial_single(
        self, byte_setter: Any, chunk_array: NDBuffer, selection: Any, chunk_spec: ArraySpec
    ) -> None:
        raise NotImplementedError

    async def encode_partial(
        self, batch_info: Iterable[tuple[Any, NDBuffer, Any, ArraySpec]]
    ) -> None:
        """Encode and store the selected part of each chunk."""
        await _map(self._encode_partial_single, batch_info)


class CodecPipeline:
    """The base class of what fetches, decodes, encodes and stores chunks in zarr-python.

    Arrays of fastzarr are read and written by its engine instead.
    """

    @abstractmethod
    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Return the pipeline with what the chunks decide filled in."""
        ...

    @classmethod
    @abstractmethod
    def from_codecs(cls, codecs: Iterable[Codec]) -> Self:
        """Return the pipeline of a chain of codecs."""
        ...

    @classmethod
    def from_array_metadata_and_store(cls, array_metadata: Any, store: Any) -> Self:
        """Return the pipeline of an array; raise NotImplementedError to have ``from_codecs``."""
        del array_metadata, store
        msg = f"'{cls.__name__}' does not implement CodecPipeline.from_array_metadata_and_store."
        raise NotImplementedError(msg)

    @property
    @abstractmethod
    def supports_partial_decode(self) -> bool:
        """Whether parts of chunks can be read."""

    @property
    @abstractmethod
    def supports_partial_encode(self) -> bool:
        """Whether parts of chunks can be written."""

    @abstractmethod
    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise an error if a codec cannot encode the chunks of such an array."""
        ...

    @abstractmethod
    def compute_encoded_size(self, byte_length: int, array_spec: ArraySpec) -> int:
        """Return the encoded size of so many bytes."""
        ...

    @abstractmethod
    async def decode(
        self, chunk_bytes_and_specs: Iterable[tuple[Buffer | None, ArraySpec]]
    ) -> Iterable[NDBuffer | None]:
        """Return the decoded chunks."""
        ...

    @abstractmethod
    async def encode(
        self, chunk_arrays_and_specs: Iterable[tuple[NDBuffer | None, ArraySpec]]
    ) -> Iterable[Buffer | None]:
        """Return the encoded chunks."""
        ...

    @abstractmethod
    async def read(
        self,
        batch_info: Iterable[tuple[Any, ArraySpec, Any, Any, bool]],
        out: NDBuffer,
        drop_axes: tuple[int, ...] = (),
    ) -> tuple[GetResult, ...]:
        """Read chunks into an array."""
        ...

    @abstractmethod
    async def write(
        self,
        batch_info: Iterable[tuple[Any, ArraySpec, Any, Any, bool]],
        value: NDBuffer,
        drop_axes: tuple[int, ...] = (),
    ) -> None:
        """Write an array into chunks."""
        ...


async def _map(call: Callable[..., Awaitable[T]], items: Iterable[tuple[Any, ...]]) -> list[T]:
    return await concurrent_map(list(items), call, config.get("async.concurrency"))


async def _each(
    call: Callable[[Any, ArraySpec], Awaitable[Any]], items: Iterable[tuple[Any, ArraySpec]]
) -> list[Any]:
    async def unless_none(chunk: Any, spec: ArraySpec) -> Any:
        return None if chunk is None else await call(chunk, spec)

    return await _map(unless_none, items)
