"""The registry of extensions: how names are found and loaded, and when caches are invalid."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from installed import install

import fastzarr
from fastzarr.errors import MetadataError
from fastzarr.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

MODULE = "class One: ...\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install packages with three entry points of the group ``fastzarr.example``."""
    entries = (
        "[fastzarr.example]\none = example_one:One\ntwo = example_two:Two\nbad = example_no:No\n"
        "[fastzarr.other]\nthree = example_one:One\n"
    )
    modules = {"example_one": MODULE, "example_two": MODULE.replace("One", "Two")}
    install(tmp_path, monkeypatch, entries, modules)
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_only_the_entry_point_of_the_requested_name_is_loaded() -> None:
    registry: Registry[Any] = Registry("example")
    assert registry.names() == ("bad", "one", "two")
    assert "example_one" not in sys.modules
    found = registry.find("one")
    assert found is sys.modules["example_one"].One
    assert registry.find("one") is found
    assert "example_two" not in sys.modules
    for name in ("On", "example_two", "example_two:Two", "three", ""):
        assert registry.find(name) is None
    assert "example_two" not in sys.modules


@pytest.mark.usefixtures("installed")
def test_an_entry_point_that_cannot_be_loaded_is_an_error() -> None:
    registry: Registry[Any] = Registry("example")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="example_no"):
            registry.find("bad")


@pytest.mark.usefixtures("installed")
def test_registered_names_precede_declared_and_installed_ones() -> None:
    registry: Registry[Any] = Registry("example", {"int": int})
    registry.declare({"one": "fractions:Fraction", "never": "no_such_module:X"})
    assert registry.find("int") is int
    assert registry.find("one").__name__ == "Fraction"
    assert "one" in registry
    assert "two" not in registry
    assert "example_one" not in sys.modules
    registry.register("one", float)
    registry.register("int", str)
    assert (registry.find("one"), registry.find("int")) == (float, str)
    assert registry.names() == ("bad", "int", "never", "one", "two")


def test_registering_starts_a_new_generation() -> None:
    registry: Registry[Any] = Registry("example", {"int": int})
    before = registry.generation
    registry.find("int")
    registry.find("no such name")
    assert registry.generation == before
    registry.register("int", int)
    assert registry.generation > before


@pytest.mark.parametrize(
    ("member", "value", "what", "registry"),
    [
        ("data_type", "example.broken", "data type", "fastzarr.dtypes.parse.DTYPES"),
        (
            *("chunk_key_encoding", {"name": "example.broken"}),
            *("chunk key encoding", "fastzarr.grids.keys.KEYS"),
        ),
        ("codecs", [{"name": "example.broken"}], "codec", "fastzarr.codecs.parse.CODECS"),
    ],
)
def test_an_extension_that_fails_is_named_by_its_place_in_the_document(
    member: str, value: Any, what: str, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        @classmethod
        def from_config(cls, *args: Any) -> Any:
            raise KeyError(args)

    store: dict[str, bytes] = {}
    fastzarr.create_array(store, shape=4, dtype="i4")
    document = json.loads(store["zarr.json"])
    store["zarr.json"] = json.dumps(document | {member: value}).encode()
    with pytest.raises(MetadataError, match="unknown"):
        fastzarr.open_array(store)
    module, _, name = registry.rpartition(".")
    # By the module's name: `fastzarr.codecs` has a function `parse` beside the file.
    found: Registry[Any] = Registry("example", {"example.broken": Broken})
    monkeypatch.setattr(sys.modules[module], name, found)
    match = rf"^memory://\d+/zarr\.json: {member}(\[0\])?: the {what} cannot be used: KeyError"
    with pytest.raises(MetadataError, match=match):
        fastzarr.open_array(store)
