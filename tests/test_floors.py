"""The layout of the package: what each file may import, and how large it may grow.

Rules that are tested here:

* A room is a folder of ``src/fastzarr``, or a file at its top. It imports from its own floor or
  from lower ones. Imports inside functions, imports under ``TYPE_CHECKING``, modules that a string
  names, and the tables of names that are imported on first access count like all others.
* No files of one room import each other in a circle.
* Known violations are listed here. A list only shrinks: an entry that no longer occurs fails the
  test until it is removed.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "fastzarr"

FLOORS = [
    "_lazy config errors buffers registry hints",
    "native checked",
    "stores grids dtypes versions",
    "codecs selection dtype",
    "metadata testing",
    "engine creating types",
    "nodes",
    "api transfer check",
    "__init__ cli experimental storage",
    "as_zarr compat integrations v2 zarr_python",
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS, 1) for room in rooms.split()}

# "file -> file": imports that run upwards.
UPWARDS: set[str] = set()
# Files that import each other, directly or through others: one set a circle.
CIRCLES: set[frozenset[str]] = set()
# Lines that assign `__class__`.
CLASS_ASSIGNMENTS: set[str] = set()
# The number of lines that suppress SLF001, the rule against using private names of other classes.
PRIVATE_ACCESS = 3
# Files of more than 600 lines.
LONG: set[str] = set()

EXTENSION = "fastzarr._native"

FILES = {
    path.relative_to(SOURCE).as_posix(): path.read_text() for path in sorted(SOURCE.rglob("*.py"))
}


def name_of(file: str) -> str:
    """Return the dotted name of the module in a file."""
    return f"fastzarr.{file.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")


MODULES = {name_of(file): file for file in FILES}
# A file that several tests examine is parsed once.
TREES = {file: ast.parse(text) for file, text in FILES.items()}


def room_of(file: str) -> str:
    """Return the folder of a file, or the name of a file at the top."""
    return file.partition("/")[0].removesuffix(".py")


def named(file: str, node: ast.AST) -> list[str]:
    """Return the dotted names that a node of the syntax tree of a file may import."""
    package = name_of(file) if file.endswith("__init__.py") else name_of(file).rpartition(".")[0]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parent = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parent, *filter(None, [node.module])])
        # A name is a file of the package, or is defined in the package.
        full = [f"{base}.{alias.name}" for alias in node.names]
        return [name if name in MODULES or name == EXTENSION else base for name in full]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value.partition(":")[0]
        if re.fullmatch(r"fastzarr(\.\w+)+", text):
            return [text]
        # The tables of `__init__` files name their files without the name of the package.
        if file.endswith("__init__.py") and re.fullmatch(r"\.?\w+(\.\w+)*", text):
            return [f"{package}.{text.removeprefix('.')}"]
    return []


def imports(file: str) -> list[tuple[int, str]]:
    """Return the files of the package that a file imports, each with the line."""
    found = {
        (getattr(node, "lineno", 0), MODULES[name])
        for node in ast.walk(TREES[file])
        for name in named(file, node)
        if name in MODULES and MODULES[name] != file
    }
    return sorted(found)


def circles(edges: dict[str, set[str]]) -> list[frozenset[str]]:
    """Return the sets of more than one file that all reach each other."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            for file in edges[ahead.pop()] - seen:
                seen.add(file)
                ahead.append(file)
        return seen

    reach = {file: reached(file) for file in edges}
    mutual = {file: frozenset(o for o in reach[file] if file in reach[o]) for file in edges}
    return [group for group in sorted(set(mutual.values()), key=sorted) if len(group) > 1]


def check_known(found: dict[Any, str], known: set[Any], known_name: str) -> None:
    """Fail with the messages of new violations, and of known ones that no longer occur."""
    new = [message for entry, message in found.items() if entry not in known]
    gone = [
        f"{entry!r} no longer occurs: remove it from {known_name}" for entry in known - found.keys()
    ]
    assert not new + gone, "\n" + "\n".join(new + gone)


def test_every_room_has_a_floor():
    for file in FILES:
        assert room_of(file) in FLOOR, f"{file}: give {room_of(file)!r} a place in FLOORS"


def test_imports_run_to_the_same_or_a_lower_floor():
    found = {}
    for file in FILES:
        for line, other in imports(file):
            if FLOOR[room_of(other)] > FLOOR[room_of(file)]:
                found[f"{file} -> {other}"] = (
                    f"src/fastzarr/{file}:{line} imports {other}, which is on a higher floor "
                    f"({FLOOR[room_of(file)]} -> {FLOOR[room_of(other)]}): pass in what it needs, "
                    "or move the definition down"
                )
    check_known(found, UPWARDS, "UPWARDS")


def test_no_files_of_a_room_import_each_other_in_a_circle():
    inside = {
        file: {other for _, other in imports(file) if room_of(other) == room_of(file)}
        for file in FILES
    }
    found = {}
    for circle in circles(inside):
        lines = [
            f"src/fastzarr/{file}:{line} imports {other}"
            for file in sorted(circle)
            for line, other in imports(file)
            if other in circle
        ]
        smaller = any(circle < known for known in CIRCLES)
        advice = (
            "this circle is smaller than the known one: put it in the place of that in CIRCLES"
            if smaller
            else "these files import each other: move what they share into a file of its own"
        )
        found[circle] = "\n".join([advice, *lines])
    check_known(found, CIRCLES, "CIRCLES")


def test_few_files_are_at_the_top():
    top = sorted(file for file in FILES if "/" not in file)
    assert len(top) <= 12, f"{len(top)} files at the top: move one of {top} into a folder"


def test_no_file_is_longer_than_600_lines():
    found = {}
    for file, text in FILES.items():
        lines = text.count("\n")
        if lines > 600:
            found[file] = f"src/fastzarr/{file} has {lines} lines: split it"
    check_known(found, LONG, "LONG")


def test_one_file_alone_imports_the_extension():
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if file != "native.py" and EXTENSION in named(file, node):
                line = getattr(node, "lineno", 0)
                pytest.fail(f"src/fastzarr/{file}:{line} imports {EXTENSION}: ask native.py for it")


def test_hardly_any_file_reaches_into_private_names():
    found = [
        f"src/fastzarr/{file}:{number}: {line.strip()}"
        for file, text in FILES.items()
        for number, line in enumerate(text.splitlines(), 1)
        if "noqa" in line and "SLF001" in line
    ]
    message = f"{len(found)} suppressions of SLF001; give the other file a public name instead:\n"
    assert len(found) <= PRIVATE_ACCESS, message + "\n".join(found)


def test_no_object_changes_its_class():
    found = {}
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == "__class__":
                    code = ast.unparse(node)
                    found[f"{file}: {code}"] = (
                        f"src/fastzarr/{file}:{node.lineno}: {code}: let the object hold what "
                        "differs instead of changing its class"
                    )
    check_known(found, CLASS_ASSIGNMENTS, "CLASS_ASSIGNMENTS")


def test_the_tests_of_this_file_find_violations():
    """Whether every kind of import is found, so that no rule passes by mistake."""
    text = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from fastzarr.errors import A\n"
        "def f():\n    from fastzarr import config\n    import_module('fastzarr.stores.keys')\n"
        "x = 'fastzarr.codecs.base:Codec'\n"
        "from . import base\nfrom .keys import y\n"
    )
    found = {name for node in ast.walk(ast.parse(text)) for name in named("stores/base.py", node)}
    assert found >= {
        "fastzarr.errors",
        "fastzarr.config",
        "fastzarr.stores.keys",
        "fastzarr.codecs.base",
        "fastzarr.stores.base",
    }
    table = ast.parse("x = {'Y': ('base', 'Y'), 'Z': '.keys'}")
    found = {name for node in ast.walk(table) for name in named("stores/__init__.py", node)}
    assert found >= {"fastzarr.stores.base", "fastzarr.stores.keys"}
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}
    assert circles(edges) == [frozenset("abc")]
