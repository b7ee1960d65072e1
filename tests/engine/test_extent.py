"""Chunks at the end of an array: elements outside its shape, and grids of uneven chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

import fastzarr
from fastzarr.codecs import BytesCodec
from fastzarr.codecs.base import ChunkSpec
from fastzarr.codecs.program import Program
from fastzarr.dtypes import from_numpy
from fastzarr.engine import reference
from fastzarr.engine.job import Job
from fastzarr.selection import index as selection
from fastzarr.selection import plan
from fastzarr.selection.factors import Span
from fastzarr.stores import LocalStore, MemoryStore


@st.composite
def two_shapes(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Any]:
    """Draw the shape of an array, a larger one, chunks and shards or None."""
    shape = draw(strategies.shapes(min_dims=1, min_size=1))
    larger = tuple(size + draw(st.integers(0, 3)) for size in shape)
    chunks = draw(strategies.chunks(shape))
    shards = None
    if draw(st.booleans()):
        shards = tuple(chunk * draw(st.integers(1, 3)) for chunk in chunks)
    return shape, larger, chunks, shards


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("kind", ["memory", "files"])
@settings(max_examples=50)
@given(case=two_shapes(), data=st.data())
def test_a_handle_of_the_smaller_shape_keeps_the_elements_outside_of_it(
    kind: str, case: Any, data: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape, larger, chunks, shards = case
    store = MemoryStore() if kind == "memory" else LocalStore(tmp_path_factory.mktemp("a"))
    order = data.draw(st.permutations(range(len(shape))))
    z = fastzarr.create_array(
        store,
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype="i4",
        filters=[{"name": "transpose", "configuration": {"order": order}}],
        compressors=data.draw(st.sampled_from([None, [{"name": "crc32c"}]])),
    )
    small, large = z, fastzarr.open_array(store)
    large.resize(larger)
    expected = np.arange(1, np.prod(larger) + 1, dtype="i4").reshape(larger)
    large[...] = expected
    inside = expected[tuple(map(slice, shape))]
    if data.draw(st.booleans()):
        index = data.draw(strategies.basic(shape))
        small[index] = inside[index] = -1
    else:
        index = data.draw(strategies.orthogonal(shape))
        small.oindex[index] = -1
        inside[strategies.orthogonal_numpy(inside, index)[0]] = -1
    np.testing.assert_array_equal(fastzarr.open_array(store)[...], expected)


class Objects(dict[tuple[int, ...], bytes]):
    """Stored objects in a dictionary, as the twin needs them."""

    admit = None

    def turn(self, chunk: tuple[int, ...]) -> Any:
        objects = self

        class Turn:
            def get(self) -> bytes | None:
                return objects.get(chunk)

            def put(self, value: Any) -> bool:
                objects.pop(chunk, None)
                if value is not None:
                    objects[chunk] = bytes(value)
                return True

            def end(self) -> None:
                pass

        return Turn()


@given(st.data())
def test_the_twin_reads_and_writes_uneven_chunks_through_the_interface_of_grids(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_size=1))
    grid = data.draw(strategies.uneven_grids(shape))
    expected = np.zeros(shape, "i4")
    objects = Objects()
    chain = (BytesCodec(endian="little"),)
    program = Program(chain, ChunkSpec((1,) * len(shape), from_numpy("int32"), np.int32(0)))

    def run(found: Any, value: Any, *, write: bool) -> None:
        made = plan.make(found.factors, shape, grid)
        verb = reference.write if write else reference.read
        assert verb(program, made, objects, value, Job()) is None  # type: ignore[arg-type]

    for number in range(1, 4):
        index = data.draw(strategies.basic(shape))
        found = selection.basic(index, shape)
        assert all(isinstance(factor, Span) for factor in found.factors)
        run(found, np.full(found.work, number, "i4"), write=True)
        expected[index] = number
        out = np.full(shape, -1, "i4")
        run(selection.basic(..., shape), out, write=False)
        np.testing.assert_array_equal(out, expected)
    # A chunk is stored at its full size, and only if it has other values than the fill value.
    for chunk in np.ndindex(*grid.count(shape)):
        starts = [grid.start(axis, k) for axis, k in enumerate(chunk)]
        sizes = [grid.size(axis, k) for axis, k in enumerate(chunk)]
        part = tuple(slice(a, a + n) for a, n in zip(starts, sizes, strict=True))
        assert (chunk in objects) == bool(expected[part].any())
        if chunk in objects:
            assert len(objects[chunk]) == 4 * np.prod(sizes, dtype=int)
