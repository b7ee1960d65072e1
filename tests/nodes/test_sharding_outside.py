"""The chunks and codecs of a sharded array, wherever the sharding codec is in the chain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastzarr as zarr
from fastzarr.codecs import BytesCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec

pytestmark = pytest.mark.usefixtures("data_path")

DATA = np.arange(48, dtype="i4").reshape(4, 12)
TURN = TransposeCodec(order=(1, 0))


def names(codecs: Any) -> list[str]:
    return [codec.name for codec in codecs]


def sharded(before: Any = (), inside: Any = (), after: Any = ()) -> zarr.Array:
    """Return an array with inner chunks of 2 by 3, and codecs around and inside the sharding."""
    shape = (3, 2) if len(before) % 2 else (2, 3)
    codecs = (*inside, BytesCodec(), ZstdCodec())
    sharding = ShardingCodec(chunk_shape=shape, codecs=codecs, index_location="start")
    return zarr.create_array(
        {}, data=DATA, chunks=(4, 6), filters=before, serializer=sharding, compressors=after
    )


CHAINS: dict[str, dict[str, Any]] = {
    "sharding alone": {},
    "a transpose before": {"before": [TURN]},
    "two transposes before": {"before": [TURN, TURN]},
    "a transpose inside": {"inside": [TURN]},
    "transposes before and inside": {"before": [TURN], "inside": [TURN]},
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_an_array_has_the_codecs_of_its_chunks_wherever_sharding_is(
    chain: dict[str, Any],
) -> None:
    z = sharded(**chain)
    assert (z.chunks, z.shards) == ((2, 3), (4, 6))
    turns = len(chain.get("before", ())) + len(chain.get("inside", ()))
    assert names(z.filters) == ["transpose"] * turns
    assert z.serializer.name == "bytes"
    assert names(z.compressors) == ["zstd"]
    assert "Zstd" in str(z.info)
    assert "Sharding" not in str(z.info)
    assert np.array_equal(z[...], DATA)


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_an_array_like_a_sharded_one_has_its_chunks_and_codecs(chain: dict[str, Any]) -> None:
    z = sharded(**chain)
    y = zarr.empty_like(z)
    y[...] = DATA
    assert (y.chunks, y.shards, y.filters) == (z.chunks, z.shards, z.filters)
    assert (y.serializer, y.compressors) == (z.serializer, z.compressors)
    assert y.layout.sharding.codec.index_location == "start"
    assert np.array_equal(y[...], DATA)
    plain = zarr.empty_like(z, compressors=None)
    assert (plain.compressors, plain.chunks, plain.shards) == ((), z.chunks, z.shards)
    other = zarr.empty_like(z, chunks=(1, 6))
    assert (other.chunks, other.shards) == ((1, 6), None)
    assert names(other.compressors) == ["zstd"]


def test_compressors_behind_a_shard_are_shown_after_those_inside() -> None:
    z = sharded(after=[GzipCodec()])
    assert names(z.compressors) == ["zstd", "gzip"]
    assert (z.chunks, z.serializer.name) == ((2, 3), "bytes")
    y = zarr.empty_like(z)
    assert y.layout.codecs == z.layout.codecs
    y[...] = DATA
    assert np.array_equal(y[...], DATA)
