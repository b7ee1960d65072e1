"""The house rules of the native crate: no circles between its files, no file that is too long."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "native" / "src"
PATH = re.compile(r"(?<![\w:])(?:[a-z_]\w*::)+(?:\w+|\{|\*)|(?<![\w:])use (?:[a-z_]\w*);")


def _modules() -> dict[str, str]:
    """Return the code of every module without its tests, comments and strings."""
    found = {}
    for file in SOURCES.rglob("*.rs"):
        name = file.relative_to(SOURCES).with_suffix("").as_posix().replace("/", "::")
        if file.name == "tests.rs":
            continue
        code = file.read_text().split("#[cfg(test)]\nmod tests")[0]
        if name == "lib":
            # Exports for the fuzz targets do not count.
            code = code.split('#[cfg(feature = "fuzzing")]')[0]
        code = re.sub(r'//[^\n]*|"(?:\\.|[^"\\])*"', "", code)
        found["" if name == "lib" else name.removesuffix("::mod")] = code
    return found


def _flat(text: str, start: int) -> list[str]:
    """Return the paths of a use tree that begins with a brace at ``start``."""
    paths, prefixes, word = [], [""], ""
    for place in range(start, len(text)):
        letter = text[place]
        if letter == "{":
            prefixes.append(prefixes[-1] + word)
            word = ""
        elif letter in ",}":
            if word.strip():
                paths.append(prefixes[-1] + word.strip())
            word = ""
            if letter == "}":
                prefixes.pop()
                if len(prefixes) == 1:
                    break
        else:
            word += "" if letter.isspace() else letter
    return paths


def uses(modules: dict[str, str]) -> dict[str, set[str]]:
    """Return, for every module, the modules whose paths its code names."""
    graph: dict[str, set[str]] = {}
    for name, code in modules.items():
        graph[name] = set()
        for match in PATH.finditer(code):
            path = match.group().removeprefix("use ").rstrip(";")
            paths = [path]
            if path.endswith("{"):
                paths = [path[:-1] + rest for rest in _flat(code, match.end() - 1)]
            for full in paths:
                target = _resolved(name, full, modules)
                if target is not None and target != name:
                    graph[name].add(target)
    return graph


def _resolved(module: str, path: str, modules: dict[str, str]) -> str | None:
    first, *rest = path.split("::")
    if first == "crate":
        parts: list[str] = []
    elif first == "self":
        parts = module.split("::") if module else []
    elif first == "super":
        parts = module.split("::")[:-1]
    else:
        child = f"{module}::{first}" if module else first
        if child not in modules:
            return None
        parts, rest = (module.split("::") if module else []), [first, *rest]
    while rest and "::".join([*parts, rest[0]]) in modules:
        parts.append(rest.pop(0))
    return "::".join(parts)


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that use each other."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen, left = set(), [start]
        while left:
            for other in graph[left.pop()] - seen:
                seen.add(other)
                left.append(other)
        reached[start] = seen
    groups: list[set[str]] = []
    for name in graph:
        group = {other for other in reached[name] if name in reached[other]}
        if len(group) > 1 and group not in groups:
            groups.append(group)
    return groups


def test_no_files_of_the_crate_use_each_other_in_a_circle() -> None:
    graph = uses(_modules())
    assert graph["write"] >= {"job", "plan", "objects", "encode"}
    assert graph["copy::product"] >= {"copy::walk", "copy::kernels"}
    assert graph["codecs::blosc::decode"] >= {"codecs::blosc::frame", "codecs::shuffle"}
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ({"a": "use crate::b::{c, D};", "b": "pub use self::c::E;", "b::c": "use super::F;"}, 1),
        ({"a": "use crate::b::f;", "b": "fn f() { crate::a::g() }"}, 1),
        ({"a": "use crate::{error::E, b::{self, c}};", "b": "use super::a;"}, 1),
        (
            {"a": "use crate::b::f;", "b": "mod c; use c::g;", "b::c": "use crate::d::E;", "d": ""},
            0,
        ),
    ],
)
def test_circles_are_found(code: dict[str, str], found: int) -> None:
    assert len(circles(uses({"": "mod a; mod b;", **code}))) == found


@pytest.mark.parametrize("file", sorted(SOURCES.rglob("*.rs")), ids=lambda file: file.stem)
def test_no_file_of_the_crate_is_too_long(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 600
