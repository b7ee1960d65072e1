"""Compiled chains: the spec for each codec, the name of a failing codec, and partial shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr import errors
from fastzarr.codecs import parse
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.chain import resolve_chain
from fastzarr.codecs.program import Program
from fastzarr.dtypes import from_numpy

SPEC = ChunkSpec((4, 6), from_numpy("int32"), np.int32(0))
TRANSPOSE = {"name": "transpose", "configuration": {"order": [1, 0]}}
BYTES = {"name": "bytes", "configuration": {"endian": "big"}}
GZIP = {"name": "gzip", "configuration": {"level": 1}}
SHARDING = {
    "name": "sharding_indexed",
    "configuration": {"chunk_shape": [2, 2], "codecs": [BYTES], "index_codecs": [BYTES]},
}


def _program(*codecs: Any, spec: ChunkSpec = SPEC) -> Program:
    chain = resolve_chain([parse(codec, "codecs") for codec in codecs], spec, "codecs")
    return Program(chain, spec)


@given(st.lists(st.sampled_from([TRANSPOSE]), max_size=2), st.sampled_from([BYTES, SHARDING]))
def test_encoding_and_decoding_preserves_the_data(filters: list[Any], serializer: Any) -> None:
    for behind in ([], [GZIP], [{"name": "crc32c"}], [GZIP, {"name": "crc32c"}]):
        program = _program(*filters, serializer, *behind)
        array = np.arange(24, dtype="i4").reshape(4, 6)
        np.testing.assert_array_equal(program.decode(program.encode(array)), array)


def test_the_encoded_size_is_known_where_it_is_fixed() -> None:
    assert _program(BYTES).encoded_size == 96
    assert _program(TRANSPOSE, BYTES, {"name": "crc32c"}).encoded_size == 100
    assert _program(BYTES, GZIP).encoded_size is None


@pytest.mark.parametrize(
    ("codecs", "parts"),
    [
        ([SHARDING], True),
        ([TRANSPOSE, SHARDING], True),
        ([SHARDING, GZIP], False),
        ([{"name": "numcodecs.delta", "configuration": {"dtype": "<i4"}}, SHARDING], False),
        ([BYTES], False),
    ],
)
def test_a_shard_is_read_in_parts_if_only_transposes_precede_it(
    codecs: list[Any], *, parts: bool
) -> None:
    assert (_program(*codecs).shard is not None) == parts


@pytest.mark.parametrize(
    ("data", "stage"), [(b"", "gzip"), (b"not gzip at all", "gzip"), (bytes(96), "gzip")]
)
def test_a_failing_codec_is_named(data: bytes, stage: str) -> None:
    with pytest.raises(errors.CodecError) as caught:
        _program(BYTES, GZIP).decode(data)
    assert caught.value.stage == stage


def test_data_of_the_wrong_size_fails_at_the_serializer() -> None:
    with pytest.raises(errors.CodecError, match="96") as caught:
        _program(BYTES).decode(bytes(95))
    assert caught.value.stage == "bytes"


def test_the_fill_value_is_of_the_data_type() -> None:
    assert _program(BYTES).fill.dtype == np.dtype("i4")
    empty = ChunkSpec((2,), from_numpy("float64"), None)
    assert _program({"name": "bytes", "configuration": {"endian": "little"}}, spec=empty).fill == 0
