"""The seam of the native extension: its typed contract and its twin say the same."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from fastzarr import _reference

STUB = Path(_reference.__file__).with_name("_native.pyi")
FUNCTIONS = [
    found
    for found in ast.parse(STUB.read_text()).body
    # The pool of threads has its twin in the engine.
    if isinstance(found, ast.FunctionDef) and found.name != "shutdown"
]


def test_the_contract_has_functions() -> None:
    assert {function.name for function in FUNCTIONS} >= {"read", "write"}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_the_twin_has_every_function_of_the_contract(function: ast.FunctionDef) -> None:
    twin = getattr(_reference, function.name)
    assert [a.arg for a in function.args.args] == list(inspect.signature(twin).parameters)
