"""The codecs of new arrays of the facade: what is refused, warned of, and taken from others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest

import fastzarr.compat as zarr
from fastzarr.compat import codecs, registry
from fastzarr.compat.abc.codec import BytesBytesCodec
from fastzarr.compat.core.codec_pipeline import BatchedCodecPipeline
from fastzarr.errors import UnknownCodecError, ZarrUserWarning

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Flipped(BytesBytesCodec):
    """A codec of others that is awaited, with a member."""

    mask: int = 255
    is_fixed_size = True

    def to_dict(self) -> dict[str, Any]:
        return {"name": "example.masked", "configuration": {"mask": self.mask}}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        return cls(**data.get("configuration", {}))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        del chunk_spec
        return input_byte_length

    async def _encode_single(self, data: Any, spec: Any) -> Any:
        return spec.prototype.buffer.from_array_like(data.as_numpy_array() ^ np.uint8(self.mask))

    _decode_single = _encode_single


class Mine(codecs.GzipCodec):
    """A subclass of a codec of the facade."""


@pytest.fixture
def foreign() -> Iterator[None]:
    registry.register_codec("example.masked", Flipped)
    yield
    known: dict[str, Any] = vars(registry)["_codec_registries"]
    known.pop("example.masked")


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("words", [{}, {"shards": (4, 6)}], ids=["chunks", "shards"])
def test_an_array_is_written_and_opened_with_a_codec_of_others(words: Any) -> None:
    store: dict[str, Any] = {}
    data = np.arange(24, dtype="i4").reshape(4, 6)
    z = zarr.create_array(
        store, shape=(4, 6), chunks=(2, 3), dtype="i4", compressors=[Flipped(mask=15)], **words
    )
    z[...] = data
    z[0, 0] = -1
    data[0, 0] = -1
    assert z.compressors == (Flipped(mask=15),)
    again = zarr.open_array(store)
    assert again.compressors == (Flipped(mask=15),)
    assert isinstance(again.compressors[0], Flipped)
    np.testing.assert_array_equal(again[...], data)
    document = {"name": "example.masked", "configuration": {"mask": 15}}
    made = zarr.create_array({}, shape=3, dtype="i4", compressors=[document])
    assert made.compressors == (Flipped(mask=15),)


def test_a_subclass_is_shown_as_the_object_that_was_passed() -> None:
    codec = Mine(level=1)
    z = zarr.create_array({}, shape=3, dtype="i4", compressors=[codec])
    z[...] = 1
    assert z.compressors[0] is codec
    assert z.metadata.codecs[-1] is codec


def test_an_unknown_name_is_an_error_that_says_what_to_install() -> None:
    with pytest.raises(UnknownCodecError, match="imagecodecs-zarr"):
        zarr.create_array({}, shape=3, dtype="i4", compressors=[{"name": "imagecodecs_png"}])


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"filters": [codecs.ScaleOffset(scale=0)]}, "scale must be non-zero"),
        ({"filters": [codecs.ScaleOffset(scale=0.5)]}, "scale value 0.5 is not representable"),
        ({"filters": [codecs.TransposeCodec(order=(0,))]}, "as many entries as"),
        ({"filters": [codecs.PackBits()]}, "requires bool dtype"),
        ({"shards": (4, 4), "chunks": (3, 3)}, "divisible"),
        ({"serializer": codecs.ShardingCodec(chunk_shape=(3, 3))}, "not divisible"),
        (
            {
                "serializer": codecs.ShardingCodec(
                    chunk_shape=(2, 2), codecs=[codecs.ShardingCodec(chunk_shape=(2, 2, 2))]
                ),
                "compressors": None,
            },
            "same number of dimensions",
        ),
    ],
)
def test_codecs_that_do_not_fit_have_the_error_of_zarr_python(words: Any, match: str) -> None:
    store: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        with pytest.raises(ValueError, match=match):
            zarr.create_array(store, **{"shape": (4, 4), "chunks": (4, 4), "dtype": "i4", **words})
    assert store == {}


def test_the_fill_value_decides_whether_a_filter_fits() -> None:
    words: Any = {"dtype": "u1", "filters": [codecs.ScaleOffset(offset=10)]}
    z = zarr.create_array({}, shape=3, fill_value=10, **words)
    assert z[...].tolist() == [10, 10, 10]


def test_compressed_shards_are_warned_of_when_they_are_made_and_opened() -> None:
    store: dict[str, Any] = {}
    with pytest.warns(ZarrUserWarning, match="partial reads") as caught:
        zarr.create_array(
            store,
            shape=(4, 4),
            chunks=(4, 4),
            dtype="i4",
            serializer=codecs.ShardingCodec(chunk_shape=(2, 2)),
        )
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(ZarrUserWarning, match="partial reads") as caught:
        zarr.open_array(store)
    assert len(caught) == 1


def test_a_pipeline_of_others_is_accepted_with_one_warning() -> None:
    class Other(BatchedCodecPipeline):
        pass

    registry.register_pipeline(Other)
    store: dict[str, Any] = {}
    with zarr.config.set({"codec_pipeline.path": registry.fully_qualified_name(Other)}):
        with pytest.warns(ZarrUserWarning, match="no effect"):
            z = zarr.create_array(store, shape=3, dtype="i4")
        z[...] = 2
        assert zarr.open_array(store)[...].tolist() == [2, 2, 2]
        assert isinstance(z.async_array.codec_pipeline, Other)
