"""The state machines and strategies of the facade, run for a few steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from fastzarr.compat import storage
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
