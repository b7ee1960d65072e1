"""Why a test of another library fails with fastzarr in the place of zarr.

Each failure needs a reason. The first entry of the table counts whose patterns fit the suite, the
name of the test and the message. An entry that fits no failure of its suite fails the run, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Reason:
    """A reason, and the failures that it explains."""

    suite: str
    """A pattern of suites."""
    test: str
    """A pattern of tests, with ``*``."""
    why: str
    message: str = ""
    """A regular expression that the message of the failure contains."""
    varies: bool = False
    """Whether the test sometimes passes, or is not there on some systems."""

    def covers(self, test: str, message: str) -> bool:
        """Return whether it explains a failure."""
        # The brackets of parameters are no classes of characters here.
        pattern = self.test.replace("[", "[[]")
        return fnmatchcase(test, pattern) and re.search(self.message, message) is not None


ZIP = "it expects a warning of the module zipfile: a zip archive of fastzarr replaces the member"
PRIVATE = "it calls or patches a private function of zarr-python that has no counterpart"
KEPT = "files that are not part of a hierarchy are not deleted when a node is replaced"
DOCUMENTED = "it parses docstrings as numpydoc does; those of fastzarr have other sections"

DELTA = "a filter Delta whose dtype is not that of the array is refused when the array is opened"
WRAPPED = "a failure of a store comes as StorageError, which names array and key, caused by it"
HEADERS = "the local headers of the archive are longer than zipfile's, and must be read"

FEWER = "it counts the requests exactly, and fastzarr makes fewer: none for .zgroup at an array"
TUPLES = "attributes are what JSON makes of them: a tuple that was assigned is read as a list"
PICKLED = "an array that is stored with pickle is refused when it is opened, not when it is read"

REASONS: tuple[Reason, ...] = (
    Reason("anndata", "*::test_data_access[2*", FEWER, "get_access_count"),
    Reason("anndata", "*::test_lazy_array_cache[2*", FEWER, "get_access_count"),
    Reason(
        "anndata",
        "*::test_read_zarr_zip_path_suggests_store",
        "a local store refuses a file as its root, before a group is looked for in it",
        "NotADirectoryError",
    ),
    Reason("VirtualiZarr", "*test_codecs.py*", DELTA, "has the dtype '<i8', but the array has"),
    Reason("VirtualiZarr", "*::test_index_does_not_read_local_headers[Zarr V3]", HEADERS),
    Reason("VirtualiZarr", "*::test_checksum", WRAPPED, "StorageError"),
    Reason(
        "hdmf-zarr", "*::test_write_attributes_write_*", TUPLES, "First sequence is not a tuple"
    ),
    Reason("hdmf-zarr", "*::TestPickleGate*", PICKLED),
    Reason("zarr-python, groups", "*zip*", ZIP, "DID NOT WARN|Duplicate name"),
    Reason("zarr-python, groups", "*", PRIVATE, "'_getitem_consolidated'|'_build_node'"),
    Reason(
        "zarr-python, groups",
        "*test_create_creates_parents*zarr2*",
        "a group of format 2 without attributes has no document for them",
    ),
    Reason("zarr-python, functions", "*", KEPT, "is not part of a Zarr hierarchy"),
    Reason("zarr-python, functions", "*test_no_overwrite_open*", KEPT, "exists"),
    Reason(
        "zarr-python, functions",
        "*test_overwrite_without_deletes_keeps_existing_node*",
        "members of a zip archive can be deleted, and zarr-python's store refuses",
    ),
    Reason("zarr-python, functions", "*test_docstring_consistent_parameters*", DOCUMENTED),
)
