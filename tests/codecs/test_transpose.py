"""The transpose codec: shapes, values, and the configurations of old documents."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastzarr.codecs.transpose import TransposeCodec
from fastzarr.errors import MetadataError


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_axis_i_is_axis_order_i_of_the_array(order, spec_of):
    spec, array = spec_of((2, 3, 4), "i4"), np.arange(24, dtype="i4").reshape(2, 3, 4)
    codec = TransposeCodec(order=order).resolve(spec)
    encoded = codec.encode(array, spec)
    assert encoded.shape == codec.encoded_spec(spec).shape
    assert encoded.shape == tuple(array.shape[axis] for axis in order)
    for place in np.ndindex(encoded.shape):
        there = [0] * 3
        for i, axis in enumerate(order):
            there[axis] = place[i]
        assert encoded[place] == array[tuple(there)]
    decoded = codec.decode(np.ascontiguousarray(encoded), spec)
    assert (decoded == array).all()
    assert np.shares_memory(encoded, array)


@pytest.mark.parametrize(("word", "order"), [("C", (0, 1, 2)), ("F", (2, 1, 0))])
def test_words_of_old_documents(word, order, spec_of):
    codec = TransposeCodec.from_config({"order": word}, "").resolve(spec_of((2, 3, 4), "i4"))
    assert codec == TransposeCodec(order=order)
    assert codec.to_dict() == {"name": "transpose", "configuration": {"order": list(order)}}


def test_no_dimensions(spec_of):
    spec = spec_of((), "i4")
    codec = TransposeCodec(order=[]).resolve(spec)
    assert codec.decode(codec.encode(np.array(3), spec), spec) == 3


@pytest.mark.parametrize(
    "wrong", [[0, 0], [1, 2], [-1, 0], [0.0, 1], [True, False], "A", None, 1, [[0, 1]], {"0": 1}]
)
def test_wrong_order_is_placed(wrong):
    with pytest.raises(MetadataError, match=r"^x\.order"):
        TransposeCodec.from_config({"order": wrong}, "x")


def test_order_must_be_there():
    with pytest.raises(MetadataError, match="'order' is missing"):
        TransposeCodec.from_config({}, "x")


def test_axes_must_match(spec_of):
    with pytest.raises(MetadataError, match="permutes 2 axes, but the chunk has 3"):
        TransposeCodec(order=(1, 0)).resolve(spec_of((1, 2, 3), "i4"))
