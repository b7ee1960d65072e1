"""What ``help()`` shows of the public names: examples, and signatures with names.

Rules that are tested here:

* Every function, class, method and property of the public modules has an example in its docstring.
  One that a class inherits or overrides may have it in the docstring of another of its bases.
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
# Why a member has no example: the names of the classes and functions, or of their members.
WITHOUT = {
    "An exception or a warning: the functions that raise it have the examples": {
        *("ArrayIndexError", "ArrayNotFoundError", "BadCompressorError", "BaseZarrError"),
        *("BoundsCheckError", "ChunkError", "ChunkIOError", "ChunkMemoryError"),
        *("ChunkNotFoundError", "CodecError", "ContainsArrayAndGroupError", "ContainsArrayError"),
        *("ContainsFilesError", "ContainsGroupError", "ContainsNodeError", "CopyError"),
        *("DataTypeValidationError", "FSPathExistNotDir", "ForkedError", "GroupNotFoundError"),
        *("KeyValidationError", "LimitError", "MetadataError", "MetadataValidationError"),
        *("NegativeStepError", "NodeNotFoundError", "NodeTypeValidationError"),
        *("PathNotFoundError", "PickleCodecDisabledError", "ReadOnlyError", "RequestAccessError"),
        *("RequestError", "SelectionError"),
        *("ShapeError", "StaleArrayError", "TransactionError", "UnknownCodecError"),
        *("UnstableSpecificationWarning", "VindexInvalidSelectionError"),
        *("ZarrDeprecationWarning", "ZarrFutureWarning", "ZarrRuntimeWarning", "ZarrUserWarning"),
    },
    "The engine calls it, not a user: the functions that read and write have the examples": {
        *("ArrayBytesCodec.check", "ArrayBytesCodec.inside", "ArrayBytesCodec.native_bytes"),
        *("BloscCodec.native", "BloscCodec.resolve", "BytesCodec.native_bytes"),
        *("BytesCodec.resolve", "BytesCodec.stored", "Codec.native", "Codec.resolve"),
        *("Crc32cCodec.native", "FiltersCodec.check", "FiltersCodec.native_bytes"),
        *("FiltersCodec.resolve", "GzipCodec.native", "NumcodecsArrayCodec.native"),
        *("NumcodecsArrayCodec.resolve", "NumcodecsCodec.check_members", "NumcodecsCodec.native"),
        *("NumcodecsCodec.resolve", "ShardingCodec.check_shape", "ShardingCodec.inside"),
        *("ShardingCodec.resolve", "TransposeCodec.resolve", "VLenBytesCodec.resolve"),
        *("VLenUTF8Codec.resolve", "ZstdCodec.native"),
        *("LocalStore.check_missing", "LocalStore.get_checked", "LocalStore.get_valid"),
        *("LocalStore.is_missing", "MappingStore.get_valid", "MappingStore.set_valid"),
        *("MemoryStore.get_many_valid", "Store.get_many_valid"),
        *("MemoryStore.set_valid", "Store.check_missing", "Store.get_checked", "Store.get_valid"),
        *("Store.is_missing", "Store.set_valid"),
    },
    "A store declares it to the code above, so only the author of a store meets it": {
        *("FsspecStore.fetch_async", "ObjectStore.swap", "ObjectStore.validator"),
        *("LocalStore.acting", "LocalStore.draft", "LocalStore.files", "LocalStore.lasting"),
        *("LocalStore.modified", "LocalStore.pinned", "LocalStore.place", "LocalStore.recover"),
        *("LocalStore.settle", "LocalStore.swap", "LocalStore.transaction", "LocalStore.validator"),
        *("LocalStore.written", "MemoryStore.draft", "MemoryStore.validator", "Store.acting"),
        *("Store.lasting", "Store.place", "Store.settle"),
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
    assert sorted(lacking - excused) == []
    assert sorted(excused - lacking) == [], "they have an example, or are gone"


@pytest.mark.parametrize(
    ("verb", "first", "last"),
    [
        ("create_array", "store", "kwargs"),
        ("open_array", "store", "kwargs"),
        ("open_group", "store", "allow_pickle"),
        ("Array.resize", "self", "new_shape"),
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
