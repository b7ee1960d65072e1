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

PICKLED = (
    "the test adds an array behind the consolidated metadata, which zarr-python cannot parse, as "
    "pickle is a filter in it, so that hdmf-zarr opens the file without; fastzarr can parse it"
)
PARTS = "it tests the parts that zarr-python is made of, and not what a user calls"
MOCKED = "it replaces methods of the store by mocks, which the engine goes past"
WORDS = "the error is of the same type and says the same in other words"

# Of the suite of zarr-python 2: tests, and why they fail. Some fail with zarr-python, too, where
# the packages that it needs are newer than it.
ZARR_2 = (
    ("*::test_structured_with_object", "records with fields of objects are not supported"),
    ("*::test_structured_array_contain_object", "records with fields of objects are not supported"),
    ("*::test_object_arrays_danger", "it takes the filters away by assigning a private attribute"),
    ("*::test_hexdigest", "the bytes of zlib differ, as they do between zlib and zlib-ng"),
    ("*CustomMapping::test_object_arrays*", "only what has created an array may unpickle it"),
    ("*CustomMapping::test_nbytes_stored", "documents are indented otherwise"),
    ("*N5*::test_compressors", "msgpack is no compressor of N5"),
    ("*N5*::test_np_ufuncs", "N5 has no booleans, records or floats of 16 bits"),
    ("*N5*::test_structured_array*", "N5 has no booleans, records or floats of 16 bits"),
    ("*N5*::test_dtypes", "N5 has no booleans, records or floats of 16 bits"),
    ("*_v3*", "the experimental format 3 of zarr-python 2 is not supported"),
    ("*[3]", "the experimental format 3 of zarr-python 2 is not supported"),
    ("*::test_bad_store_version", "the experimental format 3 of zarr-python 2 is not supported"),
    ("*::test_ensure_store", "the experimental format 3 of zarr-python 2 is not supported"),
    ("*::test_get_extended_dtype_info*", "the experimental format 3 is not supported"),
    ("*::test_metadata3_exceptions", "the experimental format 3 is not supported"),
    ("*::test_PartialChunkIterator*", "chunks are decoded in parts by the engine alone"),
    (
        "*::test_setdel",
        "a value does not replace a folder of values, nor is one deleted as a value",
    ),
    ("*::test_hierarchy", "a folder of values is not deleted as a value"),
    ("*::test_listing_keys_*", "it replaces a private function that walks through folders"),
    ("*::test_dimension_separator", "it calls a private function of FSStore"),
    ("*::test_listdir", "a key with dots is not that of a chunk in folders"),
    ("*::test_permissions", "a key does not end in a slash"),
    ("*::test_cache_keys", "keys are listed by another method of the mapping"),
    ("*::test_getitems_contexts", "it assigns a private attribute, to be passed as a context"),
    ("*::test_consolidate_metadata*", "an array whose document was deleted is not written to"),
    ("*::test_create[*", "a chunk of 8 GB exceeds the limit limits.chunk_bytes"),
    ("*::test_context_manager", "it uses the private file of a zip archive"),
    ("*::test_decode_fill_value*", "numcodecs refuses to unpickle from version 0.16 on"),
    ("*::test_tree_widget_missing_ipytree", "the message is another"),
)
STORES, ARRAYS = "zarr-python, stores", "zarr-python, arrays"
BEYOND = (
    "a write of all that a chunk has inside the array keeps the elements beyond it, as another "
    "handle may have made the array longer; zarr-python keeps those of shards only"
)
LATER = "an array is warned of when it is opened, and not with its group or its consolidation"
IRREGULAR = "arrays whose chunks differ in length are opened without a setting"
DELETED = "an array whose document is missing is not written to"
MADE = "an array that is made of metadata has valid chunk sizes"
TRANSFORMERS = "a document has no member `storage_transformers` if there are none"
RENAMED = "it passes under another name, which is made of the repr of a type"
TYPES = "zarr-python, types and documents"

REASONS: tuple[Reason, ...] = (
    Reason("hdmf-zarr", "*::TestPickleGateOnOpenedArrays*", PICKLED, "Found bad link"),
    Reason(
        "xarray",
        "*::test_to_zarr_compute_false*",
        "zeros are stored in an array of format 2 without a fill value: a reader may return "
        "anything for a chunk that is missing there, as zarr-python 2 does",
        "assert not True",
    ),
    Reason(
        "zarr-python, types and documents",
        "*test_open_v2_byte_order_irrelevant_dtype*",
        "a change of attributes leaves the other members of the document as they are",
    ),
    Reason(
        "zarr-python, types and documents",
        "*test_upsert_metadata*",
        "a document has no member `storage_transformers` if there are none",
        "DocumentChan",
    ),
    Reason(
        "zarr-python, types and documents",
        "*test_from_array_keep_is_o1_in_chunk_count*",
        "an array has fewer than 2**63 elements",
        "LimitError",
    ),
    Reason(
        "zarr-python, types and documents",
        "*test_rectilinear_feature_flag_names_stored_array*",
        IRREGULAR,
        "DID NOT RAISE",
    ),
    Reason("zarr-python, groups", "*zip*", ZIP, "DID NOT WARN|Duplicate name"),
    Reason("zarr-python, groups", "*", PRIVATE, "'_getitem_consolidated'|'_build_node'"),
    Reason(
        "zarr-python, groups",
        "*::test_group_members[*zarr2-True]",
        "members of consolidated metadata come from it alone, so other keys are not noticed",
        "DID NOT WARN",
    ),
    Reason(
        "zarr-python, groups",
        "*::test_group_members_async[*True]",
        "it changes the consolidated metadata inside of an object, by object.__setattr__",
    ),
    Reason(
        "zarr-python, groups",
        "*::test_consistent_signatures*",
        "it passes under another name, as its class is defined in another module",
        "it has not run",
    ),
    Reason(TYPES, "tests/test_chunk_transform.py*", PARTS),
    Reason(TYPES, "tests/test_json_parse.py*", PARTS),
    Reason(TYPES, "*test_repair.py*", LATER, "DID NOT WARN|Regex pattern|assert False"),
    Reason(TYPES, "*test_repair.py*", WORDS, "Re-saving the metadata stores"),
    Reason(
        TYPES,
        "*test_repair.py*",
        IRREGULAR,
        "DID NOT RAISE ValueError",
    ),
    Reason(TYPES, "*test_repair.py*", MOCKED, "DID NOT RAISE"),
    Reason(TYPES, "*test_repair.py::test_write_without_stored_document*", DELETED),
    Reason(TYPES, "*test_repair.py::test_array_from_metadata_with_chunk_size_zero*", MADE),
    Reason(TYPES, "*test_repair.py*", TRANSFORMERS, "storage_transformers"),
    Reason(
        TYPES,
        "*::test_use_consolidated_false*",
        "a group that is created after the consolidation is a member at once",
    ),
    Reason(
        TYPES,
        "*::test_use_consolidated_for_children_members",
        "members of consolidated metadata come from it alone, so other keys are not noticed",
    ),
    Reason(TYPES, "*::test_not_writable_raises", WORDS, "Regex pattern"),
    Reason(TYPES, "*::test_consolidated_metadata_backwards_compatibility", PRIVATE),
    Reason(TYPES, "*::test_pipeline_rectilinear_shards_validates_divisibility", WORDS),
    Reason("zarr-python, codecs", "tests/test_fused_pipeline.py*", PARTS),
    Reason("zarr-python, codecs", "tests/test_fastpath_equivalence.py*", PARTS),
    Reason("zarr-python, codecs", "tests/test_codecs/test_sharding_unit.py*", PARTS),
    Reason("zarr-python, codecs", "*::test_check_backend_version*", PRIVATE, "AttributeError"),
    Reason("zarr-python, codecs", "*::test_encoded_subchunk_write_order*", PRIVATE),
    Reason("zarr-python, codecs", "*test_missing*codec*", WORDS, "An implement"),
    Reason("zarr-python, codecs", "*test_packages_for_codec_*", PRIVATE),
    Reason("zarr-python, codecs", "*::test_sharding_partial_*", MOCKED),
    Reason("zarr-python, codecs", "*::test_sharding_multiple_chunks_partial_shard_read*", MOCKED),
    Reason("zarr-python, codecs", "*::test_sharding_duplicate_read_indexes*", MOCKED),
    Reason("zarr-python, codecs", "*test_cast_value.py*", WORDS, "Regex pattern"),
    Reason("zarr-python, codecs", "*::test_encode_rejects_outdated_backend", PRIVATE),
    Reason("zarr-python, codecs", "*test_scale_offset.py*", WORDS, "Regex pattern"),
    Reason(
        "zarr-python, codecs",
        "*test_scale_offset.py::test_encode_decode_roundtrip*",
        "a codec returns numbers in the byte order of this machine",
    ),
    Reason("zarr-python, codecs", "*::test_compute_encoded_size", PRIVATE, "_chunk_spec"),
    Reason(
        "zarr-python, codecs",
        "*::test_config_codec_pipeline_class*",
        "a pipeline of another class in the settings has no effect, and a warning says so",
    ),
    Reason("zarr-python, codecs", "*::test_config_codec_implementation*", MOCKED),
    Reason(
        "zarr-python, codecs",
        "*::test_config_buffer_implementation*",
        "the failure of a store comes as the error of a chunk, caused by it",
        "ChunkError",
    ),
    Reason(
        "zarr-python, codecs",
        "*::test_*read_missing_chunks_*sharded_*",
        "a missing inner chunk of a shard is an error, too, where missing chunks are",
        "ChunkNotFoundError",
    ),
    Reason(
        "zarr-python, codecs",
        "*::test_open_*codec*",
        "a codec that cannot be made is a MetadataError that names the document and the codec",
    ),
    # Hypothesis finds their failures in some runs.
    Reason("zarr-python, properties", "*TestArrayLifecycle*", BEYOND, varies=True),
    Reason(
        "zarr-python, properties",
        "*::test_array_metadata_meets_spec",
        "a fill value that is NaN with other bits than the usual ones is stored as these bits, in "
        "hexadecimal, as format 3 has it; zarr-python stores `NaN`",
        "serialized_|distinct failures",
        varies=True,
    ),
    Reason("zarr-python, selections", "*::test_lazy_dense_indexer_attributes*", PARTS),
    Reason("zarr-python, functions", "*", KEPT, "is not part of a Zarr hierarchy"),
    Reason("zarr-python, functions", "*test_no_overwrite_open*", KEPT, "exists"),
    Reason(
        "zarr-python, functions",
        "*test_overwrite_without_deletes_keeps_existing_node*",
        "members of a zip archive can be deleted, and zarr-python's store refuses",
    ),
    Reason(
        "zarr-python, functions",
        "*::test_v2_and_v3_exist_at_same_path*",
        "an array of one format is not hidden by a new one of the other format",
        "ContainsArrayError",
    ),
    Reason(
        "zarr-python, functions",
        "*::test_open_with_mode_a",
        "StorePath.delete at the root of a store is refused",
        "KeyValidationError",
    ),
    Reason(
        "zarr-python, functions",
        "*::test_no_overwrite_load",
        "load of a place without a node raises GroupNotFoundError",
        "GroupNotFoundError",
    ),
    Reason("zarr-python, functions", "*::test_metadata_validation_error", WORDS, "Regex pattern"),
    Reason(
        "zarr-python, functions",
        "*::test_default_compressor_deprecation_warning",
        "the assignment to a module that gives the warning has no effect, and is not noticed",
    ),
    Reason("zarr-python, functions", "*test_docstring_consistent_parameters*", DOCUMENTED),
    Reason(STORES, "tests/test_store/test_local.py*", PRIVATE, "it has not run"),
    Reason(STORES, "*test_zip.py*", PRIVATE, "_zf|_zipfile|_was_opened"),
    Reason(
        STORES,
        "*test_logging_store_counter*",
        "it counts the calls of listing verbs, of which overwriting makes another one",
    ),
    Reason(STORES, "*test_zip.py::TestZipStore::test_api_integration", ZIP, "DID NOT WARN"),
    Reason(
        STORES,
        "*test_zip.py::test_resize_needing_deletes*",
        "members of a zip archive can be deleted, and zarr-python's store refuses",
    ),
    Reason(
        STORES,
        "*test_zip.py::TestZipStoreFileObj*",
        "an archive is in a file that can be read and sought in",
    ),
    Reason(
        STORES,
        "*test_zip.py::TestZipStore::test_clear_replaces_damaged_file*",
        "an archive that is damaged is replaced with mode='w', and an error otherwise",
        "ArchiveError",
    ),
    Reason(
        STORES,
        "*test_zip.py::*",
        "copies of a store have the open archive together, and never an own one to fail with",
        "DID NOT RAISE|'bar' == 'foo'",
    ),
    Reason(
        STORES,
        "tests/test_buffer.py*prototype",
        "a store is asked for the usual buffers, whatever a read is to return",
        "expected a TestBuffer",
    ),
    Reason(STORES, "*test_storage_module_pickles_by_name", PRIVATE, "cannot pickle 'module'"),
    Reason(STORES, "*test_latency_store_engages_fused_sync_path", MOCKED),
    Reason(ARRAYS, "*test_nchunks*", RENAMED, "it has not run"),
    Reason(
        ARRAYS,
        "*test_nbytes_stored*",
        "a document has no member `storage_transformers` if there are none",
    ),
    Reason(
        ARRAYS,
        "*test_info_complete*",
        "a document has no member `storage_transformers` if there are none",
        "_count_bytes_stored",
    ),
    Reason(ARRAYS, "*test_storage_transformers*", WORDS, "Regex pattern"),
    Reason(ARRAYS, "*test_with_data*", PRIVATE, "_get_selection"),
    Reason(
        ARRAYS,
        "*test_default_endianness*",
        "arrays of format 3 have the byte order of this machine, whatever is stored",
    ),
    Reason(
        ARRAYS,
        "*test_create_array_with_data_num_gets*",
        "a creation looks for the groups above, and for what would be replaced",
        "assert 4 == 1",
    ),
    Reason(ARRAYS, "*test_resize.py*", MOCKED),
    *(Reason("zarr-python 2", test, why, varies=True) for test, why in ZARR_2),
)
