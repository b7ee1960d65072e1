"""Errors of the facade: those of this package, with the templates of zarr-python."""

from __future__ import annotations

import pickle

import pytest

import fastzarr
from fastzarr.compat import errors


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("ArrayNotFoundError", ("s", "p"), "No array found in store 's' at path 'p'"),
        ("GroupNotFoundError", ("s", "p"), "No group found in store 's' at path 'p'"),
        ("ContainsArrayError", ("s", "p"), "An array exists in store 's' at path 'p'."),
        ("ContainsGroupError", ("s", "p"), "A group exists in store 's' at path 'p'."),
        ("NodeTypeValidationError", (1, 2, 3), "Invalid value for '1'. Expected '2'. Got '3'."),
    ],
)
def test_values_fill_the_template(name: str, values: tuple[object, ...], message: str) -> None:
    error = getattr(errors, name)(*values)
    assert str(error) == message
    assert str(pickle.loads(pickle.dumps(error))) == message


def test_one_argument_is_the_message() -> None:
    assert str(errors.GroupNotFoundError("{} is missing")) == "{} is missing"
    assert str(errors.BaseZarrError("a", "b")) == "('a', 'b')"


def test_errors_of_the_package_are_those_of_the_facade() -> None:
    with pytest.raises(errors.GroupNotFoundError):
        fastzarr.open_group({}, mode="r")
    assert issubclass(errors.UnstableSpecificationWarning, errors.ZarrFutureWarning)
