"""The native extension: its type stubs agree with its functions and with their twins."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from fastzarr import native
from fastzarr.codecs import elements
from fastzarr.engine import reference
from fastzarr.stores.zip import format as zip_format

STUB = Path(native.__file__).with_name("_native.pyi")
# The files with the twins: running plans, elements of variable length, `sync`, zip archives.
TWINS = (reference, elements, native, zip_format)
FUNCTIONS = [
    found
    for found in ast.parse(STUB.read_text()).body
    # The twin of the thread pool is in the engine. Only the extension must refuse calls.
    if isinstance(found, ast.FunctionDef) and found.name not in ("shutdown", "refuse")
]


def test_the_contract_has_functions() -> None:
    assert {function.name for function in FUNCTIONS} >= {"read", "write"}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_the_twin_has_every_function_of_the_contract(function: ast.FunctionDef) -> None:
    twin = next(vars(file)[function.name] for file in TWINS if function.name in vars(file))
    assert [a.arg for a in function.args.args] == list(inspect.signature(twin).parameters)
