"""Errors derive from those that Python, NumPy and zarr-python 2 and 3 raise instead."""

from __future__ import annotations

import pickle

import pytest

from fastzarr import errors

KINDS = {
    errors.ArrayNotFoundError: (ValueError, FileNotFoundError),
    errors.GroupNotFoundError: (ValueError, FileNotFoundError),
    errors.PathNotFoundError: (ValueError, FileNotFoundError),
    errors.ContainsArrayError: (ValueError, FileExistsError),
    errors.ContainsGroupError: (ValueError, FileExistsError),
    errors.ReadOnlyError: (ValueError, PermissionError),
    errors.BoundsCheckError: (ValueError, IndexError),
    errors.SelectionError: (ValueError, IndexError),
    errors.MetadataError: (ValueError,),
    errors.ChunkIOError: (ValueError, OSError),
    errors.ChunkMemoryError: (ValueError, MemoryError),
}


@pytest.mark.parametrize(("error", "kinds"), KINDS.items())
def test_an_error_is_of_every_kind_that_is_caught_for_it(
    error: type[Exception], kinds: tuple[type[Exception], ...]
) -> None:
    assert issubclass(error, errors.BaseZarrError)
    assert all(issubclass(error, kind) for kind in kinds)


def test_a_metadata_error_has_its_location_and_survives_pickling() -> None:
    error = errors.LimitError("is too large", "a/zarr.json: shape[0]")
    assert str(error) == "a/zarr.json: shape[0]: is too large"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.where) == (type(error), str(error), error.where)


def test_every_error_and_warning_documents_when_it_is_raised() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert kind.__doc__, name


def test_too_many_indices_is_raised_by_zarr_python_2s_function() -> None:
    with pytest.raises(IndexError, match="expected 1, got 2"):
        errors.err_too_many_indices((0, 0), (3,))
