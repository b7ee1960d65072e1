"""What ``help()`` shows of the public names: examples, and signatures with names.

Rules that are tested here:

* Every function, class, method and property of the public modules has an example in its docstring.
  One that a class inherits or overrides may have it in the docstring of another of its bases.
* Exceptions and warnings need none: the functions that raise them have the examples.
* ``WITHOUT`` lists those that have none, with the reason. A list only shrinks: an entry that has an
  example, or no longer exists, fails the test until it is removed.
"""

from __future__ import annotations

import inspect
import pickle
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import fastzarr
from fastzarr._lazy import cached
from fastzarr.config import config

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = ("", "codecs", "dtype", "errors", "storage", "testing", "types")

# The arguments of a function that passes on whatever it gets.
HIDDEN = {"args", "kwargs"}
# Why a member has no example: the names of functions, or of members, those of any class with a dot.
WITHOUT = {
    "The engine calls it, not a user: the functions that read and write have the examples": {
        *(".check", ".check_members", ".check_missing", ".check_shape", ".get_bounded"),
        *(".get_checked", ".get_many_valid", ".get_valid", ".inside", ".is_missing", ".native"),
        *(".native_bytes", ".native_filter", ".native_typed", ".resolve", ".set_valid", ".stored"),
    },
    "A store declares it to the code above, so only the author of a store meets it": {
        *(".acting", ".draft", ".fetch_async", ".files", ".lasting", ".modified", ".pinned"),
        *(".place", ".recover", ".settle", ".swap", ".transaction", ".validator", ".written"),
    },
    "An argument of the class, whose docstring explains it": {
        *("FSStore.key_separator", "FsspecStore.fs", "FsspecStore.path", "ObjectStore.store"),
        *("LocalStore.durability", "LocalStore.folder", "LocalStore.follow_symlinks"),
        "LocalStore.root",
    },
    "It depends on its caller": {"StoreTests.store", "caller_level"},
}


def public() -> Iterator[tuple[str, object]]:
    """Iterate over the public functions and classes of the package, and their members."""
    seen: set[int] = set()
    for module in (import_module(f"fastzarr.{name}".rstrip(".")) for name in MODULES):
        for name in sorted({*getattr(module, "__all__", ()), *dir(module)}):
            found = getattr(module, name)
            ours = str(getattr(found, "__module__", "")).startswith("fastzarr")
            if name.startswith("_") or not ours or not callable(found) or id(found) in seen:
                continue
            seen.add(id(found))
            if not (inspect.isclass(found) and issubclass(found, BaseException)):
                yield found.__name__, found
            if inspect.isclass(found):
                yield from members(found)
    yield from members(type(config))


def members(cls: type) -> Iterator[tuple[str, object]]:
    """Iterate over the methods and properties of a class, each as what defines it first."""
    for name in dir(cls):
        home = next((base for base in cls.__mro__ if name in vars(base)), None)
        # The tests of a suite are run, not called.
        if (
            name.startswith(("_", "test_"))
            or home is None
            or not home.__module__.startswith("fastzarr")
        ):
            continue
        found = vars(home)[name]
        if inspect.isroutine(found) or isinstance(found, (property, cached)):
            bases = [vars(base)[name] for base in cls.__mro__ if name in vars(base)]
            shown = next((base for base in bases if ">>>" in (base.__doc__ or "")), found)
            yield f"{home.__name__}.{name}", shown


def test_every_public_member_has_an_example() -> None:
    excused = set().union(*WITHOUT.values())
    lacking = {name for name, found in public() if ">>>" not in (found.__doc__ or "")}
    unnamed = {name: "." + name.partition(".")[2] for name in lacking}
    assert [name for name in sorted(lacking) if not {name, unnamed[name]} & excused] == []
    assert excused <= {*lacking, *unnamed.values()}, "they have an example, or are gone"


@pytest.mark.parametrize(
    ("verb", "first", "last"),
    [
        ("create_array", "store", "kwargs"),
        ("open_array", "store", "kwargs"),
        ("open_group", "store", "allow_pickle"),
        ("Array.resize", "self", "outside"),
        ("Array.get_basic_selection", "self", "prototype"),
        ("Group.require_array", "self", "kwargs"),
    ],
)
def test_signatures_name_the_arguments(verb: str, first: str, last: str) -> None:
    found: object = fastzarr
    for name in verb.split("."):
        found = getattr(found, name)
    names = list(inspect.signature(found).parameters)
    assert (names[0], names[-1]) == (first, last)


def test_no_verb_hides_its_arguments() -> None:
    hidden = [
        name
        for name, found in public()
        if inspect.isfunction(found) and set(inspect.signature(found).parameters) == HIDDEN
    ]
    assert hidden == []


def test_verbs_can_be_pickled() -> None:
    for name in fastzarr.__all__:
        found = getattr(fastzarr, name)
        if inspect.isroutine(found) or inspect.isclass(found):
            assert pickle.loads(pickle.dumps(found)) is found
