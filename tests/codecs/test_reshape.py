"""The codecs reshape and zarrs.squeeze: shapes, values, shards behind them, and zarrista."""

from __future__ import annotations

from math import prod
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import fastzarr
from fastzarr import codecs
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.reshape import ReshapeCodec, SqueezeCodec, blocks_before
from fastzarr.config import config
from fastzarr.dtypes import from_numpy
from fastzarr.errors import ChunkError, MetadataError

BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
PATHS = ("native", "numpy")


def reshape(*shape: Any) -> dict[str, Any]:
    return {"name": "reshape", "configuration": {"shape": list(shape)}}


def sharding(*chunk: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(chunk),
            "codecs": [BYTES],
            "index_codecs": [BYTES, {"name": "crc32c"}],
            **more,
        },
    }


def create(store: Any, values: Any, chunks: Any, filters: Any, serializer: Any = BYTES) -> Any:
    return fastzarr.create_array(
        store,
        data=values,
        chunks=chunks,
        filters=filters,
        serializer=serializer,
        compressors=None,
        fill_value=7,
    )


@pytest.mark.parametrize(
    ("shape", "given_shape", "encoded"),
    [
        ((100, 50, 64, 3), [[0, 1], [2], 3], (5000, 64, 3)),
        ((2, 3, 4), [[0], -1], (2, 12)),
        ((2, 3, 4), [-1], (24,)),
        ((2, 3, 4), [6, [2]], (6, 4)),
        ((2, 3, 4), [4, -1, 3], (4, 2, 3)),
        ((2, 3, 4), [[0], [], [1, 2]], (2, 1, 12)),
        ((2, 1, 3), [[0, 2]], (6,)),
        ((), [], ()),
        ((), [1, -1], (1, 1)),
        ((1,), [], ()),
    ],
)
def test_the_encoded_array_has_the_same_elements(shape, given_shape, encoded, spec_of):
    spec = spec_of(shape, "i4")
    codec = codecs.from_v3(reshape(*given_shape), "").resolve(spec)
    array = np.arange(prod(shape), dtype="i4").reshape(shape)
    assert codec.encoded_spec(spec).shape == encoded
    found = codec.encode(array, spec)
    assert found.shape == encoded
    assert found.ravel().tolist() == array.ravel().tolist()
    assert np.array_equal(codec.decode(found, spec), array)
    assert codec.to_dict() == reshape(*given_shape)


@pytest.mark.parametrize(
    ("given_shape", "says"),
    [
        ([5], r"^shape: \(5,\) has 5 elements, but a chunk \(2, 3, 4\) has 24"),
        ([5, -1], r"^shape\[1\]: 24 elements .* do not fill axes of 5 evenly"),
        ([[0, 3]], r"^shape\[0\]: names axis 3, but the chunk has 3 axes"),
        ([[0], 4, [1]], r"^shape\[2\]: \[1\] cannot be combined .* before it have 8 .* have 2"),
        ([[1], -1], r"^shape\[0\]: \[1\] cannot be combined .* before it have 1 .* have 2"),
        ([2, 2, [1], 2], r"^shape\[2\]: \[1\] cannot be combined .* before it have 4 .* have 2"),
        ([[0, 2], 3], r"^shape\[0\]: \[0, 2\] cannot be combined .* behind it have 3 .* have 1"),
    ],
)
def test_a_shape_that_does_not_fit_the_chunk_is_an_error(given_shape, says, spec_of):
    with pytest.raises(MetadataError, match=says):
        ReshapeCodec(shape=given_shape).resolve(spec_of((2, 3, 4), "i4"))


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ([[1, 0]], r"shape\[0\]: axis 0 follows axis 1"),
        ([[1], [0]], r"shape\[1\]: axis 0 follows axis 1"),
        ([[0, 0]], r"shape\[0\]: axis 0 follows axis 0"),
        ([-1, 2, -1], r"shape\[2\]: only one size may be -1, and shape\[0\] is"),
        ([0], r"shape\[0\]: must be at least 1"),
        ([-2], r"shape\[0\]: must be at least 1"),
        ([1.0], r"shape\[0\]: must be an integer"),
        ([True], r"shape\[0\]: must be an integer"),
        ([[-1]], r"shape\[0\]\[0\]: must be at least 0"),
        ([[None]], r"shape\[0\]\[0\]: must be an integer"),
        ("12", r"shape: must be a list"),
        (None, r"shape: must be a list"),
        ([1] * 65, r"shape: 65 dimensions exceed the limit"),
    ],
)
def test_a_wrong_shape_is_placed(wrong, where):
    with pytest.raises(MetadataError, match=rf"^x\.{where}"):
        ReshapeCodec.from_config({"shape": wrong}, "x")
    with pytest.raises(MetadataError, match=r"^x: the member 'shape' is missing"):
        ReshapeCodec.from_config({}, "x")


@pytest.mark.parametrize(
    ("shape", "encoded"),
    [((4, 1, 3, 1), (4, 3)), ((1, 1), (1,)), ((), (1,)), ((3,), (3,))],
)
def test_squeeze_leaves_out_axes_of_size_1(shape, encoded, spec_of):
    spec = spec_of(shape, "i4")
    codec = SqueezeCodec().resolve(spec)
    array = np.arange(prod(shape), dtype="i4").reshape(shape)
    assert codec.encoded_spec(spec).shape == codec.encode(array, spec).shape == encoded
    assert np.array_equal(codec.decode(codec.encode(array, spec), spec), array)


def test_names_of_squeeze():
    for name in ("squeeze", "zarrs.squeeze", "https://codec.zarrs.dev/array_to_array/squeeze"):
        assert codecs.from_v3({"name": name}, "") == SqueezeCodec()
    assert SqueezeCodec().to_dict() == {"name": "zarrs.squeeze"}


# A decoded shape, the reshape, a chunk shape of the encoded array, and that in the decoded one.
BLOCKS = [
    ((1, 4, 6), (4, 6), (2, 3), (1, 2, 3)),
    ((4, 6), (1, 4, 1, 6, 1), (1, 2, 1, 3, 1), (2, 3)),
    ((4, 6), (24,), (12,), (2, 6)),
    ((4, 6), (24,), (3,), (1, 3)),
    ((4, 6), (24,), (4,), None),
    ((24,), (4, 6), (2, 6), (12,)),
    ((24,), (4, 6), (1, 3), (3,)),
    ((24,), (4, 6), (2, 3), None),
    ((4, 6, 5), (24, 5), (6, 1), (1, 6, 1)),
    ((2, 3, 4), (6, 4), (2, 4), None),
    ((1,), (), (), (1,)),
    ((), (1, 1), (1, 1), ()),
    ((4,), (4,), (2,), (2,)),
]


@pytest.mark.parametrize(("shape", "encoded", "block", "before"), BLOCKS)
def test_blocks_that_are_blocks_before(shape, encoded, block, before):
    assert blocks_before(shape, encoded, block) == before
    if before is None:
        return
    # Each block of the encoded array has the same elements, in the same order, as the other.
    array = np.arange(prod(shape)).reshape(shape)

    def cut(values: Any, sizes: Any) -> list[list[int]]:
        counts = [n // size for n, size in zip(values.shape, sizes, strict=True)]
        return [
            values[tuple(slice(i * s, i * s + s) for i, s in zip(at, sizes, strict=True))]
            .ravel()
            .tolist()
            for at in np.ndindex(*counts)
        ]

    assert cut(array, before) == cut(array.reshape(encoded), block)


@st.composite
def chains(draw: Any) -> tuple[Any, ...]:
    """Return a shape, the chunks, array-to-array codecs and a serializer."""
    chunks = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=3)))
    shape = tuple(draw(st.integers(1, 2 * size + 1)) for size in chunks)
    filters: list[Any] = []
    now = chunks
    if draw(st.booleans()):
        order = draw(st.permutations(range(len(now))))
        filters.append({"name": "transpose", "configuration": {"order": list(order)}})
        now = tuple(now[axis] for axis in order)
    kind = draw(st.sampled_from(["flat", "squeeze", "merge", "split", "one more"]))
    if kind == "squeeze":
        filters.append({"name": "zarrs.squeeze"})
        now = tuple(n for n in now if n > 1) or (1,)
    elif kind == "merge" and len(now) > 1:
        filters.append(reshape([0, 1], *([axis] for axis in range(2, len(now)))))
        now = (now[0] * now[1], *now[2:])
    elif kind == "split" and now[0] == 4:
        filters.append(reshape(2, 2, *([axis] for axis in range(1, len(now)))))
        now = (2, 2, *now[1:])
    elif kind == "one more":
        filters.append(reshape([], *now))
        now = (1, *now)
    else:
        filters.append(reshape(-1))
        now = (prod(now),)
    if len(now) > 1 and draw(st.booleans()):
        order = draw(st.permutations(range(len(now))))
        filters.append({"name": "transpose", "configuration": {"order": list(order)}})
        now = tuple(now[axis] for axis in order)
    serializer = BYTES
    if draw(st.booleans()):
        inner = [draw(st.sampled_from([d for d in range(1, n + 1) if n % d == 0])) for n in now]
        location = draw(st.sampled_from(["start", "end"]))
        serializer = sharding(*inner, index_location=location)
    return shape, chunks, filters, serializer


@settings(max_examples=60, deadline=None)
@given(chain=chains(), data=st.data())
def test_elements_are_those_of_numpy_on_both_paths(chain, data):
    shape, chunks, filters, serializer = chain
    values = np.arange(1, prod(shape) + 1, dtype="i2").reshape(shape)
    region = tuple(
        slice(a, data.draw(st.integers(a + 1, n)))
        for n in shape
        for a in [data.draw(st.integers(0, n - 1))]
    )
    stored = []
    for path in PATHS:
        with config.set({"data_path": path}):
            store: dict[str, Any] = {}
            z = create(store, values, chunks, filters, serializer)
            assert np.array_equal(z[:], values)
            assert np.array_equal(z[region], values[region])
            expected = values.copy()
            z[region] = expected[region] = 7
            assert np.array_equal(fastzarr.open_array(store)[:], expected)
            stored.append(store)
    assert stored[0] == stored[1]


def test_a_chain_with_a_reshape_runs_in_the_extension(spec_of):
    from fastzarr.codecs.compile import describe
    from fastzarr.codecs.program import Program

    spec = spec_of((4, 6), "i4")
    flat, turned = ReshapeCodec(shape=[-1]), codecs.TransposeCodec(order=(1, 0))
    plain = codecs.BytesCodec(endian="little")
    found = describe(Program((turned, flat, plain), spec))
    assert found is not None
    assert found["order"] == (1, 0)
    assert describe(Program((ReshapeCodec(shape=[3, 8]), turned, plain), spec)) is None


@pytest.mark.parametrize("path", PATHS)
def test_one_inner_chunk_of_a_shard_behind_a_reshape_is_read_alone(path, tmp_path):
    values = np.arange(16 * 16, dtype="i4").reshape(1, 16, 16)
    checked = sharding(8, 8, codecs=[BYTES, {"name": "crc32c"}])
    with config.set({"data_path": path}):
        z = create(tmp_path, values, (1, 16, 16), [{"name": "zarrs.squeeze"}], checked)
        assert z.chunks == (1, 8, 8)
        assert z.shards == (1, 16, 16)
        file = tmp_path / "c/0/0/0"
        data = bytearray(file.read_bytes())
        data[0] ^= 1
        file.write_bytes(data)
        # Only the first inner chunk is damaged, and only what selects it is an error.
        assert np.array_equal(z[0, 5:12, 9], values[0, 5:12, 9])
        z[0, 9, 9] = values[0, 9, 9] = 0
        assert np.array_equal(z[0, 8:], values[0, 8:])
        with pytest.raises(ChunkError, match="crc32c"):
            z[0, 0, 0]


def test_chunks_that_are_no_blocks_are_read_as_a_whole():
    values = np.arange(24, dtype="i4").reshape(4, 6)
    z = create({}, values, (4, 6), [reshape(-1)], sharding(4))
    assert z.chunks == z.shards == (4, 6)
    z[1, 2:5] = 0
    values[1, 2:5] = 0
    assert np.array_equal(z[:], values)


def test_shards_of_another_shape_are_read_in_the_same_way_or_not_at_all():
    values = np.arange(32, dtype="i4").reshape(8, 4)
    z = create({}, values, (8, 4), [reshape(-1)], sharding(8))
    program = z.metadata.program
    assert program.shard.grid.steps == (2, 4)
    other = program.of_shape((4, 8))
    assert other.shard.grid.steps == (1, 8)
    assert np.array_equal(other.decode(other.encode(values.reshape(4, 8))), values.reshape(4, 8))
    with pytest.raises(MetadataError, match=r"a shard \(8, 3\) are no blocks of the array before"):
        program.of_shape((8, 3))


def test_a_chunk_that_the_document_cannot_reshape_is_an_error_of_the_document():
    with pytest.raises(MetadataError, match=r"codecs\[0\]\.configuration\.shape: \(5,\) has 5"):
        create({}, np.zeros((4, 6)), (4, 6), [reshape(5)])


@pytest.mark.parametrize(
    ("filters", "chunks"),
    [
        ([reshape([0, 1], [2])], (2, 3, 4)),
        ([reshape([0], -1)], (2, 3, 4)),
        ([reshape(4, 6)], (2, 3, 4)),
        ([{"name": "zarrs.squeeze"}], (1, 3, 4)),
        ([{"name": "transpose", "configuration": {"order": [2, 0, 1]}}, reshape(-1)], (2, 3, 4)),
    ],
)
def test_agrees_with_zarrista(filters, chunks, tmp_path):
    zarrista = pytest.importorskip("zarrista")
    values = np.arange(4 * 5 * 6, dtype="i4").reshape(4, 5, 6)
    z = create(tmp_path / "ours", values, chunks, filters)
    store = zarrista.store.FilesystemStore(str(tmp_path / "ours"))
    theirs = zarrista.Array.open(store, "/")
    assert np.array_equal(theirs[...].to_numpy(), values)
    store = zarrista.store.FilesystemStore(str(tmp_path / "theirs"))
    (tmp_path / "theirs").mkdir()
    made = zarrista.Array.from_metadata(z.metadata.to_dict(), store)
    made.store_metadata()
    made[...] = values
    ours = fastzarr.open_array(tmp_path / "theirs", mode="r+")
    assert np.array_equal(ours[:], values)
    assert np.array_equal(ours[1, 2:4, 5], values[1, 2:4, 5])


def test_spec_of_elements_of_variable_length():
    spec = ChunkSpec((2, 2), from_numpy(np.dtypes.StringDType()), "")
    codec = ReshapeCodec(shape=[4]).resolve(spec)
    array = np.array([["a", "b"], ["c", "d"]], np.dtypes.StringDType())
    assert codec.decode(codec.encode(array, spec), spec).tolist() == array.tolist()
