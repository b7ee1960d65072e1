"""The shapes of chunks and shards: accepted arguments, and automatic choices."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastzarr as zarr
from fastzarr.config import config
from fastzarr.creating.chunks import (
    guess_chunks,
    guess_shards,
    parse_chunks,
    parse_shape,
    parse_shards,
)
from fastzarr.creating.given import NOT_GIVEN
from fastzarr.errors import MetadataValidationError

MIB = 1 << 20

shapes = st.lists(st.integers(0, 5000), max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (3, (3,)),
        (np.int64(3), (3,)),
        (np.array(3), (3,)),
        ([2, 3], (2, 3)),
        (np.array([2, 0]), (2, 0)),
        ((), ()),
    ],
)
def test_shapes(shape, expected):
    found = parse_shape(shape)
    assert found == expected
    assert all(type(size) is int for size in found)


@pytest.mark.parametrize("shape", [-1, 2.0, "3", True, None, (2, -1), (2, None), (2, 1.5), [[1]]])
def test_an_invalid_shape_is_named(shape):
    with pytest.raises(MetadataValidationError, match="shape"):
        parse_shape(shape)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (None, (40, 30)),
        (False, (40, 30)),
        (7, (7, 7)),
        (-1, (40, 30)),
        (np.int32(7), (7, 7)),
        ((10,), (10, 30)),
        ((10, None), (10, 30)),
        ((-1, 5), (40, 5)),
        ([10, 5], (10, 5)),
        (np.array([10, 5]), (10, 5)),
        ((100, 100), (100, 100)),
        (((16, 16, 8), (30,)), (16, 30)),
        (True, (40, 30)),
        ("auto", (40, 30)),
        (NOT_GIVEN, (40, 30)),
    ],
)
def test_accepted_forms_of_chunks(chunks, expected):
    assert parse_chunks(chunks, (40, 30), 8) == expected


@pytest.mark.parametrize("chunks", [True, "auto", NOT_GIVEN])
def test_a_large_array_is_cut_into_chunks_of_a_mebibyte_or_more(chunks):
    found = parse_chunks(chunks, (10_000, 10_000), 8)
    assert MIB <= math.prod(found) * 8 <= 2.1 * MIB


def test_none_alone_is_a_guess_and_in_a_sequence_the_whole_axis():
    assert parse_chunks(None, (10_000, 10_000), 8) == parse_chunks("auto", (10_000, 10_000), 8)
    assert parse_chunks((None, 5), (10_000, 10_000), 8) == (10_000, 5)


@pytest.mark.parametrize(
    ("chunks", "where"),
    [
        (0, "chunks"),
        (-2, "chunks"),
        (2.5, "chunks"),
        ("big", "chunks"),
        ((10, 0), r"chunks\[1\]"),
        ((10, "a"), r"chunks\[1\]"),
        ((10, True), r"chunks\[1\]"),
        ((1, 2, 3), "chunks"),
        ({"shape": 3}, "chunks"),
        (((10, 20, 10), 30), r"chunks\[0\]"),
        (((), 30), r"chunks\[0\]"),
    ],
)
def test_an_invalid_chunk_shape_is_named(chunks, where):
    with pytest.raises(MetadataValidationError, match=f"^{where}: ") as caught:
        parse_chunks(chunks, (40, 30), 8)
    assert caught.value.where.startswith("chunks")


def test_an_array_without_axes_has_one_chunk():
    assert parse_chunks(NOT_GIVEN, (), 8) == ()
    assert parse_chunks(5, (), 8) == ()


@given(shape=shapes, itemsize=st.sampled_from([None, 1, 2, 4, 8, 300]))
def test_guesses_fit_the_array_and_reach_the_aim(shape, itemsize):
    chunks = guess_chunks(shape, itemsize)
    assert len(chunks) == len(shape)
    assert all(chunk >= 1 for chunk in chunks)
    if 0 not in shape:
        assert all(chunk <= size for chunk, size in zip(chunks, shape, strict=True))
        size = math.prod(shape) * (itemsize or 32)
        assert math.prod(chunks) * (itemsize or 32) >= min(MIB, size)


def test_an_axis_that_will_grow_gets_long_chunks():
    assert guess_chunks((0,), 8) == (MIB // 8,)
    assert guess_chunks((0, 1024), 8) == (128, 1024)


def test_the_size_aimed_at_can_be_set():
    with config.set({"array.target_chunk_size_bytes": 1000}):
        assert math.prod(parse_chunks("auto", (1000, 1000), 1)) < 2100


def test_shards_hold_whole_chunks():
    assert parse_shards((20, 20), (10, 5), (100, 100), 8) == ((10, 5), (20, 20))
    assert parse_shards(50, 10, (100, 100), 8) == ((10, 10), (50, 50))
    assert parse_shards((-1, 10), 10, (95, 100), 8) == ((10, 10), (100, 10))


@pytest.mark.parametrize("shards", [None, False, NOT_GIVEN])
def test_without_shards_there_are_none(shards):
    assert parse_shards(shards, 10, (95, 100), 8) == ((10, 10), None)


@pytest.mark.parametrize("shards", ["auto", True])
def test_guessed_shards_hold_many_chunks(shards):
    inner, outer = parse_shards(shards, (100, 100), (10_000, 10_000), 8)
    assert inner == (100, 100)
    assert outer is not None
    assert 32 * MIB < math.prod(outer) * 8 <= 64 * MIB
    assert all(size % 100 == 0 for size in outer)


def test_guessed_shards_are_no_larger_than_the_array_needs():
    assert guess_shards((25,), (10,), 8) == (30,)


@given(shape=shapes, chunk=st.integers(1, 50))
def test_guessed_shards_are_whole_chunks(shape, chunk):
    chunks = (chunk,) * len(shape)
    shards = guess_shards(shape, chunks, 4)
    assert all(size % chunk == 0 for size in shards)


@given(shards=st.lists(st.integers(1, 3000), min_size=1, max_size=3).map(tuple))
def test_guessed_chunks_divide_given_shards(shards):
    inner, outer = parse_shards(shards, NOT_GIVEN, (5000,) * len(shards), 8)
    assert outer == shards
    assert all(shard % chunk == 0 for shard, chunk in zip(shards, inner, strict=True))


def test_a_shard_of_part_of_a_chunk_is_refused():
    with pytest.raises(MetadataValidationError, match=r"shards\[1\]: must be a multiple"):
        parse_shards((20, 15), (10, 10), (100, 100), 8)


def test_the_default_marker_is_a_singleton():
    assert pickle.loads(pickle.dumps(NOT_GIVEN)) is NOT_GIVEN
    assert repr(NOT_GIVEN) == "<default>"


def test_no_target_size_is_the_default_one():
    words = {"shape": (10_000,), "dtype": "f8", "chunks": (10,), "shards": "auto"}
    default = zarr.create_array({}, **words).shards, zarr.zeros((9000, 9000)).chunks
    sizes = ("array.target_shard_size_bytes", "array.target_chunk_size_bytes")
    with config.set(dict.fromkeys(sizes)):
        assert (zarr.create_array({}, **words).shards, zarr.zeros((9000, 9000)).chunks) == default
