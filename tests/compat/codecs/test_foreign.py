"""Codec classes that others derive from zarr-python's base classes, in arrays of fastzarr."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pytest

import fastzarr
from fastzarr.codecs import register_codec
from fastzarr.compat.abc.codec import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec
from fastzarr.compat.codecs import BytesCodec, GzipCodec
from fastzarr.compat.codecs.bridge import inner_codec
from fastzarr.errors import ChunkError

if TYPE_CHECKING:
    from collections.abc import Iterable

CALLS: list[str] = []


class Base:
    """What the codecs of this file have in common."""

    is_fixed_size = True
    name: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        del data
        return cls()

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        del chunk_spec
        return input_byte_length


@dataclass(frozen=True)
class Negative(Base, ArrayArrayCodec):
    """Awaitable, without waiting."""

    name = "example.negative"

    async def _encode_single(self, data: Any, spec: Any) -> Any:
        return spec.prototype.nd_buffer.from_numpy_array(-data.as_numpy_array())

    _decode_single = _encode_single


@dataclass(frozen=True)
class Flipped(Base, BytesBytesCodec):
    """Awaitable, and it waits for a thread."""

    name = "example.flipped"

    async def _encode_single(self, data: Any, spec: Any) -> Any:
        flipped = await asyncio.to_thread(lambda: ~data.as_numpy_array())
        return spec.prototype.buffer.from_array_like(flipped)

    _decode_single = _encode_single


@dataclass(frozen=True)
class Plain(Base, ArrayBytesCodec):
    """Neither awaited nor awaitable."""

    name = "example.plain"

    def _encode_sync(self, data: Any, spec: Any) -> Any:
        array = np.ascontiguousarray(data.as_numpy_array())
        return spec.prototype.buffer.from_array_like(array.view("u1").reshape(-1))

    def _decode_sync(self, data: Any, spec: Any) -> Any:
        array = data.as_numpy_array().view(spec.dtype.to_native_dtype()).reshape(spec.shape)
        return spec.prototype.nd_buffer.from_numpy_array(array)


@dataclass(frozen=True)
class Batch(Base, BytesBytesCodec):
    """Of many chunks at once."""

    name = "example.batch"

    async def encode(self, chunks: Iterable[Any]) -> list[Any]:
        CALLS.append("encode")
        return [data for data, _ in chunks]

    decode = encode


class Counting(GzipCodec):
    """A codec of this package of which one awaitable method is overridden."""

    async def _encode_single(self, data: Any, spec: Any) -> Any:
        CALLS.append("encode_single")
        return await super()._encode_single(data, spec)


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@pytest.mark.parametrize(
    "words",
    [
        {"filters": [Negative()]},
        {"compressors": [Flipped(), Batch()]},
        {"serializer": Plain(), "compressors": []},
        {"filters": [Negative()], "serializer": Plain(), "compressors": [Flipped()]},
    ],
    ids=["filter", "compressors", "serializer", "all"],
)
@pytest.mark.parametrize("shards", [None, (4, 4)])
def test_an_array_is_stored_with_codecs_of_others(words: Any, shards: Any) -> None:
    for cls in (Negative, Flipped, Plain, Batch):
        register_codec(cls.name, cls)
    store: dict[str, Any] = {}
    array = np.arange(24, dtype="i4").reshape(4, 6)
    z = fastzarr.create_array(
        store, shape=(4, 6), chunks=(2, 2), shards=shards, dtype="i4", fill_value=0, **words
    )
    z[...] = array
    z[1:3, 1] = -1
    array[1:3, 1] = -1
    np.testing.assert_array_equal(z[...], array)
    np.testing.assert_array_equal(fastzarr.open_array(store)[...], array)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(z))[...], array)


def test_the_method_that_a_subclass_overrides_takes_part() -> None:
    z = fastzarr.create_array({}, shape=4, dtype="i4", compressors=[inner_codec(Counting())])
    z[...] = 1
    assert CALLS == ["encode_single"]
    assert z[...].tolist() == [1, 1, 1, 1]


def test_an_exact_codec_of_this_package_is_not_called() -> None:
    z = fastzarr.create_array(
        {}, shape=4, dtype="i4", serializer=inner_codec(BytesCodec(endian="big")), compressors=[]
    )
    assert type(z.serializer) is fastzarr.codecs.BytesCodec


def test_an_error_of_a_codec_names_the_chunk_and_the_codec() -> None:
    @dataclass(frozen=True)
    class Broken(Base, BytesBytesCodec):
        name = "example.never_encoded"

        async def _encode_single(self, data: Any, spec: Any) -> Any:
            del data, spec
            msg = "no luck"
            raise RuntimeError(msg)

    z = fastzarr.create_array({}, shape=4, dtype="i4", compressors=[Broken()])
    with pytest.raises(ChunkError, match=r"example\.never_encoded.*no luck"):
        z[...] = 1
