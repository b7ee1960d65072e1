"""The public names of the package: none may disappear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fastzarr

if TYPE_CHECKING:
    import pytest

SURFACE = [
    "Adler32",
    "Array",
    "AsType",
    "BZ2",
    "Base64",
    "BitRound",
    "Blosc",
    "CRC32",
    "Categorize",
    "CopyError",
    "Delta",
    "DictStore",
    "DirectoryStore",
    "FixedScaleOffset",
    "Fletcher32",
    "GZip",
    "Group",
    "JSON",
    "JenkinsLookup3",
    "KVStore",
    "LZ4",
    "LZMA",
    "MemoryStore",
    "MetadataError",
    "N5Store",
    "NestedDirectoryStore",
    "PackBits",
    "Pickle",
    "Quantize",
    "Shuffle",
    "TempStore",
    "VLenArray",
    "VLenBytes",
    "VLenUTF8",
    "ZipStore",
    "Zlib",
    "Zstd",
    "__version__",
    "array",
    "cleanup_resources",
    "codec_registry",
    "codecs",
    "config",
    "consolidate_metadata",
    "consolidate_metadata_async",
    "copy",
    "copy_async",
    "copy_all",
    "copy_all_async",
    "copy_store",
    "copy_store_async",
    "create",
    "create_async",
    "create_array",
    "create_array_async",
    "create_group",
    "create_group_async",
    "create_hierarchy",
    "dtype",
    "empty",
    "empty_like",
    "errors",
    "from_array",
    "from_array_async",
    "full",
    "full_like",
    "get_codec",
    "group",
    "group_async",
    "load",
    "load_async",
    "ones",
    "ones_like",
    "open",
    "open_async",
    "open_array",
    "open_array_async",
    "open_consolidated",
    "open_consolidated_async",
    "open_group",
    "open_group_async",
    "open_like",
    "print_debug_info",
    "register_codec",
    "save",
    "save_async",
    "save_array",
    "save_array_async",
    "save_group",
    "save_group_async",
    "show_versions",
    "storage",
    "testing",
    "tree",
    "types",
    "zeros",
    "zeros_like",
]


def test_every_public_name_is_there() -> None:
    for name in SURFACE:
        assert getattr(fastzarr, name) is not None


def test_names_listed_are_names_that_load() -> None:
    assert set(fastzarr.__all__) <= {*SURFACE, "__version__"}
    # The module for tests requires pytest, so that it is no name for help().
    assert set(SURFACE) <= {*dir(fastzarr), "__version__", "testing"}
    assert fastzarr.testing


def test_functions_keep_their_names_beside_the_files_of_the_same_name() -> None:
    from fastzarr.nodes.array import Array  # noqa: F401
    from fastzarr.nodes.group import Group  # noqa: F401

    assert callable(fastzarr.array)
    assert callable(fastzarr.group)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(fastzarr, "no_such_name")


def test_show_versions_has_the_data_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert fastzarr.show_versions() is None  # type: ignore[func-returns-value]  # as asserted
    text = capsys.readouterr().out
    assert text.startswith(f"fastzarr   {fastzarr.__version__}")
    assert "data path  native extension" in text
    with fastzarr.config.set({"data_path": "numpy"}):
        fastzarr.show_versions()
        assert "data path  NumPy (as configured)" in capsys.readouterr().out
