"""The state machines and strategies of the facade, run for a few steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from fastzarr.compat import storage
from fastzarr.compat.api import synchronous
from fastzarr.compat.codecs import sharding
from fastzarr.compat.core.dtype import get_data_type_from_json, get_data_type_from_native_dtype
from fastzarr.compat.core.metadata.v3 import RectilinearChunkGridMetadata
from fastzarr.compat.testing import stateful, strategies

FEW = settings(
    max_examples=5,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("kind", ["MemoryStore", "LocalStore"])
def test_a_store_behaves_as_a_dict(kind, tmp_path):
    def machine():
        store = storage.LocalStore(tmp_path) if kind == "LocalStore" else storage.MemoryStore()
        return stateful.ZarrStoreStateMachine(store)

    run_state_machine_as_test(machine, settings=FEW)


def test_a_hierarchy_in_an_archive_is_that_in_memory(tmp_path):
    def machine():
        return stateful.ZarrHierarchyStateMachine(storage.ZipStore(tmp_path / "a.zip", mode="w"))

    run_state_machine_as_test(machine, settings=FEW)


@FEW
@given(strategies.array_metadata())
def test_metadata_is_drawn(metadata):
    assert type(metadata).from_dict(metadata.to_dict()) == metadata


@FEW
@given(st.data())
def test_orthogonal_indices_select_the_same_with_numpy(data):
    array = data.draw(strategies.simple_arrays())
    index, points = data.draw(strategies.orthogonal_indices(shape=array.shape))
    np.testing.assert_equal(array.oindex[index], array[:][points])


@FEW
@given(st.data())
def test_chunks_of_a_rectilinear_grid_cover_the_shape(data):
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    drawn = strategies._rectilinear_chunks(shape=shape)  # noqa: SLF001  (zarr-python's tests import it)
    chunks = data.draw(drawn)
    for extent, along in zip(shape, chunks, strict=True):
        sizes = [along] if isinstance(along, int) else along
        assert min(sizes) > 0
        assert isinstance(along, int) or sum(sizes) == extent


@FEW
@given(st.data())
def test_blocks_are_the_elements_of_their_chunks(data):
    array, elements = data.draw(strategies.block_test_arrays())
    blocks, index = data.draw(strategies.block_indices(chunk_sizes=array.write_chunk_sizes))
    np.testing.assert_equal(array.blocks[blocks], elements[index])


@FEW
@given(st.data())
def test_chunks_of_any_lengths_are_read_where_they_were_written(data):
    elements, array = data.draw(strategies.complex_rectilinear_arrays())
    index = data.draw(strategies.basic_indices(shape=elements.shape))
    np.testing.assert_equal(array[index], elements[index])


@pytest.mark.filterwarnings("ignore::fastzarr.errors.UnstableSpecificationWarning")
@FEW
@given(strategies.sharded_arrays())
def test_a_new_array_tells_the_order_that_its_shards_were_given(array):
    (codec,) = array.metadata.codecs
    opened = synchronous.open_array(array.store, mode="r")
    assert opened.metadata == array.metadata
    np.testing.assert_equal(opened[:], array[:])
    assert codec.subchunk_write_order in sharding.SUBCHUNK_WRITE_ORDER


@FEW
@given(st.data())
def test_lengths_mean_the_same_however_they_are_spelled(data):
    shape = data.draw(st.tuples(st.integers(0, 20), st.integers(1, 9)))
    said, meant = data.draw(strategies.rectilinear_chunk_shape_declarations(shape=shape))
    stored = {"kind": "inline", "chunk_shapes": said}
    grid = RectilinearChunkGridMetadata.from_dict({"name": "rectilinear", "configuration": stored})
    assert grid.chunk_shapes == meant
    assert (
        RectilinearChunkGridMetadata(chunk_shapes=strategies.chunks_param_from_rectilinear(grid))
        == grid
    )


@FEW
@given(strategies.zdtypes(), strategies.structured_dtypes())
def test_data_types_have_a_document(zdtype, record):
    document = zdtype.to_json(zarr_format=2)
    assert get_data_type_from_json(document, zarr_format=2) == zdtype
    assert get_data_type_from_native_dtype(record).to_native_dtype() == record
