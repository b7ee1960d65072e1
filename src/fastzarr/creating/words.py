"""The keywords that describe a new array: those of zarr-python 2 and 3, as one ``ArraySpec``.

Rules of this file:

* The keywords of h5py are converted first (``h5py.py``).
* ``ArraySpec`` has the union of the keywords of both versions. Aliases are one field; passing two
  that disagree raises TypeError, as an unknown keyword does. ``layouts.py`` validates the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fastzarr._lazy import cached
from fastzarr.creating import h5py
from fastzarr.creating.given import NOT_GIVEN, absent
from fastzarr.creating.hdf5 import Dataset
from fastzarr.creating.like import as_array_like
from fastzarr.errors import MetadataValidationError
from fastzarr.metadata.formats import parse_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastzarr.metadata.format import Format

# Accepted for compatibility, without effect.
IGNORED = frozenset({"meta_array", "partial_decompress"})
# Keywords of the functions that create or open an array, which do not describe its layout.
HANDLE_WORDS = frozenset(
    {
        *("cache_attrs", "cache_metadata", "chunk_store", "config", "read_only", "synchronizer"),
        *("overwrite", "progress", "storage_options", "write_data", "write_empty_chunks"),
    }
)
_ARRAYS = "array:"
_ALIASES = {"zarr_version": "zarr_format", "chunk_shape": "chunks"}
# Words of other libraries that are not similar to those of this one.
_MEANT = {"dims": "dimension_names", "axes": "dimension_names", "fill": "fill_value"}


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """The keywords that describe a new array; ``make_layout`` validates them.

    >>> spec, rest = ArraySpec.take("create", {"shape": 4, "dtype": "i4", "overwrite": True})
    >>> spec.shape, rest
    (4, {'overwrite': True})
    """

    shape: Any = None
    dtype: Any = None
    data: Any = None
    chunks: Any = NOT_GIVEN
    shards: Any = NOT_GIVEN
    compressor: Any = NOT_GIVEN
    compressors: Any = NOT_GIVEN
    filters: Any = NOT_GIVEN
    serializer: Any = NOT_GIVEN
    codecs: Any = None
    fill_value: Any = NOT_GIVEN
    order: Any = None
    zarr_format: Any = None
    object_codec: Any = None
    dimension_separator: Any = None
    chunk_key_encoding: Any = None
    dimension_names: Any = None
    attributes: Any = None

    @classmethod
    def take(
        cls, verb: str, keywords: Mapping[str, Any], others: Iterable[str] = ("overwrite",)
    ) -> tuple[Self, dict[str, Any]]:
        """Split keywords into a spec and those among ``others``.

        ``verb`` is the name of the called function for messages. Raise TypeError for an unknown
        keyword, and for aliases that disagree.
        """
        known = cls.__dataclass_fields__
        if not h5py.WORDS.isdisjoint(keywords):
            keywords = h5py.converted(verb, keywords)
        fields: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for word, value in keywords.items():
            name = _ALIASES.get(word, word)
            if name in known and name is word and name not in fields:
                fields[name] = value
            elif name in known:
                _add_keyword(fields, verb, word, value)
            elif word in others:
                rest[word] = value
            elif word == "storage_transformers":
                _refuse_transformers(value)
            elif word not in IGNORED:
                raise TypeError(unknown_keyword(verb, word, {*known, *_ALIASES, *others}))
        if isinstance(fields.get("dtype"), str) and fields["dtype"].startswith(_ARRAYS):
            _split_arrays(fields)
        if fields.get("data") is not None:
            _take_data(fields)
        return cls(**fields), rest

    @classmethod
    def known(cls, verb: str, keywords: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return keywords with those of a handle, without building a spec.

        Raise TypeError for an unknown one, as ``take`` does.
        """
        if keywords.keys() <= _KNOWN:
            return keywords
        return cls.take(verb, keywords, HANDLE_WORDS)[1]

    @cached
    def format(self) -> Format | None:
        """The format that was passed, or None; raise MetadataError if there is no such format."""
        return None if self.zarr_format is None else parse_format(self.zarr_format)


_KNOWN = HANDLE_WORDS.union(ArraySpec.__dataclass_fields__, _ALIASES)


def handle_of(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of ``Array`` among the keywords of a function."""
    names = ("cache_attrs", "cache_metadata", "chunk_store", "read_only", "synchronizer")
    handle: dict[str, Any] = {}
    for name in names:
        if words.get(name) is not None:
            handle[name] = words[name]
    if "chunk_store" in handle:
        from fastzarr.stores.resolve import as_store

        handle["chunk_store"] = as_store(handle["chunk_store"])
    given: Any = words.get("config")
    made: dict[str, Any] = {}
    if given:
        try:
            made.update(given.to_dict() if hasattr(given, "to_dict") else given)
        except (TypeError, ValueError):
            msg = f"config= must be a mapping of settings, as {{'order': 'F'}}, not {given!r}"
            raise TypeError(msg) from None
    if words.get("write_empty_chunks") is not None:
        made["write_empty_chunks"] = words["write_empty_chunks"]
    if made:
        handle["config"] = made
    return handle


def _take_data(fields: dict[str, Any]) -> None:
    """Convert ``data``; a dataset of h5py may imply further keywords."""
    data = fields["data"] = as_array_like(fields["data"], fields.get("dtype"))
    if isinstance(data, Dataset):
        fields |= {word: value for word, value in data.words.items() if fields.get(word) is None}


def _add_keyword(fields: dict[str, Any], verb: str, word: str, value: Any) -> None:
    """Store a keyword under its canonical name; raise TypeError if two aliases disagree."""
    name = _ALIASES.get(word, word)
    unsaid = value is None or absent(value)
    old = fields.get(name)
    if old is not None and not absent(old):
        if not unsaid and old != value:
            msg = f"{verb}() was passed {name}= and an alias of it with another value"
            raise TypeError(msg)
        return
    if not unsaid or name == word:
        fields[name] = value


def _split_arrays(fields: dict[str, Any]) -> None:
    """Replace zarr-python 2's dtype ``array:<dtype>``, whose elements are arrays, by a codec."""
    import numpy as np

    inner = np.dtype(fields["dtype"].removeprefix(_ARRAYS))
    fields["dtype"] = object
    if fields.get("object_codec") is None:
        fields["object_codec"] = {"id": "vlen-array", "dtype": inner.str}


def _refuse_transformers(value: Any) -> None:
    if value:
        msg = f"storage transformers are not supported, got {value!r}"
        raise MetadataValidationError(msg, "storage_transformers")


def unknown_keyword(verb: str, word: str, known: Iterable[str]) -> str:
    """Return the message for an unknown keyword, with the most similar one among ``known``."""
    from difflib import get_close_matches

    near = [_MEANT[word]] if word in _MEANT else get_close_matches(word, sorted(known), 1)
    hint = f"; did you mean {near[0]}=?" if near and near[0] in known else ""
    return f"{verb}() got an unexpected keyword argument {word!r}{hint}"
