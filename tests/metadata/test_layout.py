"""Layouts: equality, hashing, pickling, and derived properties."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from fastzarr.codecs.bytes import BytesCodec
from fastzarr.codecs.crc32c import Crc32cCodec
from fastzarr.codecs.sharding import ShardingCodec
from fastzarr.codecs.transpose import TransposeCodec
from fastzarr.dtypes import from_numpy
from fastzarr.grids.keys import ChunkKeys
from fastzarr.metadata import GroupLayout, Layout
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.metadata.v3 import FORMAT as V3


def layout(**members: Any) -> Layout:
    plain: dict[str, Any] = {
        "format": V3,
        "shape": (10, 7),
        "dtype": from_numpy("f8"),
        "chunks": (4, 6),
        "keys": ChunkKeys(),
        "fill": np.float64(0),
        "codecs": (BytesCodec(endian="little"),),
    }
    return Layout(**(plain | members))


def test_the_properties_of_a_plain_layout():
    plain = layout()
    assert plain.ndim == 2
    assert plain.grid_shape == (3, 2)
    assert plain.inner_chunks == (4, 6)
    assert plain.shards is None
    assert plain.filters == plain.compressors == ()
    assert plain.serializer == BytesCodec(endian="little")
    assert plain.compressor is None


def test_a_chain_is_told_in_its_parts():
    chain = (TransposeCodec(order=(1, 0)), BytesCodec(endian="big"), Crc32cCodec())
    told = layout(codecs=chain)
    assert (*told.filters, told.serializer, *told.compressors) == chain


def test_a_sharded_layout_has_its_inner_chunks_in_the_axes_of_the_array():
    shard = ShardingCodec(chunk_shape=(2, 3))
    assert layout(codecs=(shard,)).inner_chunks == (2, 3)
    assert layout(codecs=(shard,)).shards == (4, 6)
    turned = layout(
        shape=(1, 1, 1),
        chunks=(2, 4, 6),
        codecs=(TransposeCodec(order=(1, 2, 0)), ShardingCodec(chunk_shape=(4, 3, 1))),
    )
    assert turned.inner_chunks == (1, 4, 3)


def test_equality_is_by_meaning():
    assert layout() == layout()
    assert hash(layout()) == hash(layout())
    assert layout(fill=np.float64("nan")) == layout(fill=np.float64("nan"))
    assert layout(fill=np.float64(0.0)) != layout(fill=np.float64(-0.0))
    assert layout(fill=None) != layout()
    assert layout(attributes={"a": 1}) != layout(attributes={"a": True})
    assert layout(shape=(10, 8)) != layout()
    assert layout() != GroupLayout(V3)
    assert GroupLayout(V3, {"a": 1}) != GroupLayout(V3)
    assert GroupLayout(V3) != GroupLayout(V2)
    assert hash(GroupLayout(V3, {"a": 1})) == hash(GroupLayout(V3, {"a": 1}))
    assert GroupLayout(V3) != 3


def test_a_layout_is_never_changed():
    with pytest.raises(FrozenInstanceError):
        layout().shape = (1,)  # type: ignore[misc]
    assert replace(layout(), shape=(5, 5)).grid_shape == (2, 1)


def test_the_program_is_compiled_once_and_not_pickled():
    first = layout()
    assert first.program is first.program
    assert first.grid_shape == (3, 2)
    copy = pickle.loads(pickle.dumps(first))
    assert copy == first
    assert "program" not in vars(copy)
    assert replace(first, chunks=(5, 7)).program is not first.program
