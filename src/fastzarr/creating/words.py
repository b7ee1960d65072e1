"""The keywords that describe a new array, those of zarr-python 2 and 3, converted to a ``Layout``.

Rules of this file:

* ``Request`` has the union of the keywords of both versions. Aliases are one field; passing two
  that disagree, or one that the format does not support, raises an error that names the keywords.
* An unspecified format is that of the parent group, else 2 if a keyword is specific to format 2,
  else the setting ``default_zarr_format``.
* All keywords are validated here, before any access to a store. An invalid value raises
  ``MetadataError`` naming its argument, such as ``chunks[1]``; an unknown keyword raises TypeError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fastzarr.config import config
from fastzarr.creating.chunks import parse_chunks, parse_shape, parse_shards
from fastzarr.creating.codecs import as_codecs, chain_v2, chain_v3, codec_id, is_numcodec
from fastzarr.creating.given import NOT_GIVEN, absent
from fastzarr.creating.keys import keys_v2, parse_keys
from fastzarr.creating.like import as_array_like, dtype_of, is_object
from fastzarr.errors import MetadataValidationError, ZarrRuntimeWarning
from fastzarr.metadata.formats import default_format, parse_format
from fastzarr.metadata.trust import trusted
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.metadata.v2 import layout_codecs
from fastzarr.metadata.v3 import FORMAT as V3

if TYPE_CHECKING:
    from fastzarr.dtypes import DataType
    from fastzarr.metadata.format import Format
    from fastzarr.metadata.layout import Layout

# Accepted for compatibility, without effect.
IGNORED = frozenset({"meta_array", "partial_decompress"})
# Keywords of the functions that create or open an array, which do not describe its layout.
HANDLE_WORDS = (
    *("cache_attrs", "cache_metadata", "chunk_store", "config", "read_only", "synchronizer"),
    *("overwrite", "storage_options", "write_data", "write_empty_chunks"),
)
_ALIASES = {"zarr_version": "zarr_format", "chunk_shape": "chunks"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """The keywords that describe a new array; ``layout`` validates them.

    >>> request, rest = Request.take("create", {"shape": 4, "dtype": "i4", "overwrite": True})
    >>> request.shape, rest
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
        """Split keywords into a request and those among ``others``.

        ``verb`` is the name of the called function for messages. Raise TypeError for an unknown
        keyword, and for aliases that disagree.
        """
        known = cls.__dataclass_fields__
        fields: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for word, value in keywords.items():
            name = _ALIASES.get(word, word)
            if name in known:
                _say(fields, verb, word, value)
            elif word in others:
                rest[word] = value
            elif word == "storage_transformers":
                _refuse_transformers(value)
            elif word not in IGNORED:
                raise TypeError(_unknown(verb, word, {*known, *_ALIASES, *others}))
        if fields.get("data") is not None:
            fields["data"] = as_array_like(fields["data"], fields.get("dtype"))
        return cls(**fields), rest

    @classmethod
    def rest(cls, verb: str, keywords: Mapping[str, Any], others: Iterable[str]) -> dict[str, Any]:
        """Return the second result of ``take``, without building a request.

        Raise TypeError for an unknown keyword.
        """
        unknown = keywords.keys() - cls.__dataclass_fields__.keys() - _ALIASES.keys()
        if not unknown.issubset(others):
            return cls.take(verb, keywords, others)[1]
        return {word: keywords[word] for word in unknown}

    @property
    def format(self) -> Format | None:
        """The format that was passed, or None; raise MetadataError if there is no such format."""
        return None if self.zarr_format is None else parse_format(self.zarr_format)

    def choose_format(self, above: Format | None = None) -> Format:
        """Return the format of the array; ``above`` is the format of its parent group, if any."""
        if self.format is not None:
            return self.format
        if above is not None:
            return above
        return V2 if self._only_v2() else default_format()

    def layout(self, format: Format, separator: str | None = None) -> Layout:
        """Return the layout of the array in a format.

        ``separator`` is the default separator of chunk keys in format 2. Raise ``MetadataError``,
        naming the argument, for an invalid value, and TypeError if a required argument is missing.
        """
        if format is V3:
            layout = self._layout_v3()
        elif format is V2:
            layout = self._layout_v2(separator)
        else:
            msg = f"arrays of format {format.number} can be opened, but not created"
            raise MetadataValidationError(msg, "zarr_format")
        if codec_id(self.object_codec) == "pickle":
            # Creating an array with the pickle codec implies permission to unpickle it.
            layout = trusted(layout, allow=True)
        return layout

    def _only_v2(self) -> bool:
        if self.dimension_separator is not None or self.object_codec is not None:
            return True
        if self.compressor is None or is_numcodec(self.compressor):
            return True
        return any(map(is_numcodec, as_codecs(self.filters, "filters") or ()))

    def _shape(self) -> tuple[int, ...]:
        from fastzarr import checked

        if self.shape is None and self.data is None:
            msg = "shape= is missing; pass it, or data="
            raise TypeError(msg)
        shape = parse_shape(self.data.shape if self.shape is None else self.shape)
        if self.data is not None and shape != tuple(self.data.shape):
            msg = f"must be the shape of the data, {tuple(self.data.shape)}, not {shape}"
            raise MetadataValidationError(msg, "shape")
        return checked.as_shape(list(shape), "shape")

    def _dtype(self) -> DataType:
        from fastzarr.dtypes import from_numpy

        dtype, object_id = self.dtype, codec_id(self.object_codec)
        if dtype is None:
            dtype = "float64" if self.data is None else dtype_of(self.data)
        if object_id is None and is_object(dtype):
            # As in zarr-python 2, the object codec may also be the first filter.
            first = next(iter(as_codecs(self.filters, "filters") or ()), None)
            object_id = codec_id(first)
        try:
            return from_numpy(dtype, object_codec_id=object_id)
        except TypeError as error:
            msg = f"dtype={dtype!r}: {error}"
            raise TypeError(msg) from error

    def _fill(self, dtype: DataType) -> Any:
        if isinstance(self.fill_value, type(NOT_GIVEN)):
            return dtype.default_fill
        return dtype.cast_fill(self.fill_value)

    def _attributes(self) -> dict[str, Any]:
        from fastzarr.metadata.attributes import plain_attributes

        return {} if self.attributes is None else plain_attributes(self.attributes)

    def _layout_v3(self) -> Layout:
        from fastzarr.codecs.base import ChunkSpec
        from fastzarr.codecs.chain import check_nesting, check_sizes, resolve_chain
        from fastzarr.metadata.layout import Layout

        dtype = self._dtype()
        dtype.to_v3()  # raises for data types of format 2 only
        dtype, shape = dtype.native(), self._shape()
        shards, options = _shard_options(self.shards)
        inner, outer = parse_shards(shards, self.chunks, shape, dtype.itemsize)
        chunks = inner if outer is None else outer
        fill = self._fill(dtype)
        if self.order == "F":
            _warn_order()
        elif self.order not in (None, "C"):
            _refuse_order(self.order)
        chain = chain_v3(self, dtype)
        if outer is not None:
            from fastzarr.codecs.sharding import ShardingCodec

            chain = [ShardingCodec(chunk_shape=inner, codecs=tuple(chain), **options)]
        check_nesting(chain, "shards")
        codecs = resolve_chain(chain, ChunkSpec(chunks, dtype, fill), "codecs")
        check_sizes(chunks, dtype, codecs, "chunks")
        return Layout(
            format=V3,
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            keys=parse_keys(self.chunk_key_encoding, self.dimension_separator),
            fill=fill,
            codecs=codecs,
            dimension_names=parse_names(self.dimension_names, len(shape)),
            attributes=self._attributes(),
        )

    def _layout_v2(self, separator: str | None) -> Layout:
        from fastzarr.codecs.base import ChunkSpec
        from fastzarr.codecs.chain import check_sizes
        from fastzarr.metadata.layout import Layout

        dtype, shape = self._dtype(), self._shape()
        self._refuse_v3_words()
        if self.chunk_key_encoding is not None or self.dimension_separator is not None:
            separator = self.dimension_separator
        order = config["array.order"] if self.order is None else self.order
        if order not in ("C", "F"):
            _refuse_order(order)
        chunks = parse_chunks(self.chunks, shape, dtype.itemsize)
        fill = None if self.fill_value is None else self._fill(dtype)
        filters, compressor = chain_v2(self, dtype)
        spec = ChunkSpec(chunks, dtype, fill)
        chain = layout_codecs(spec, order=order, filters=filters, compressor=compressor, where="")
        check_sizes(chunks, dtype, chain, "chunks")
        return Layout(
            format=V2,
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            keys=keys_v2(self.chunk_key_encoding, separator),
            fill=fill,
            codecs=chain,
            attributes=self._attributes(),
            order=order,
        )

    def _refuse_v3_words(self) -> None:
        words = {
            "shards": None if self.shards is False else self.shards,
            "serializer": self.serializer,
            "codecs": self.codecs,
            "dimension_names": self.dimension_names,
        }
        for word, value in words.items():
            if value is not None and not absent(value):
                msg = "requires format 3, but this array is of format 2; pass zarr_format=3"
                raise MetadataValidationError(msg, word)


def parse_names(names: Any, ndim: int) -> tuple[str | None, ...] | None:
    """Return dimension names as a tuple with a string or None for each axis, or None.

    Raise ``MetadataValidationError`` if they are invalid or not as many as axes.
    """
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Iterable):
        msg = f"must be a sequence with one name for each axis, not {names!r}"
        raise MetadataValidationError(msg, "dimension_names")
    found = tuple(names)
    for axis, name in enumerate(found):
        if name is not None and not isinstance(name, str):
            msg = f"must be a string or None, not {name!r}"
            raise MetadataValidationError(msg, f"dimension_names[{axis}]")
    if len(found) != ndim:
        msg = f"has {len(found)} names, {found!r}, for an array of {ndim} dimensions"
        raise MetadataValidationError(msg, "dimension_names")
    return tuple(None if name is None else str.__str__(name) for name in found)


def handle_of(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of ``Array`` among the keywords of a function."""
    names = ("cache_attrs", "cache_metadata", "chunk_store", "read_only", "synchronizer")
    handle = {name: words[name] for name in names if words.get(name) is not None}
    if "chunk_store" in handle:
        from fastzarr.stores.resolve import as_store

        handle["chunk_store"] = as_store(handle["chunk_store"])
    given: Any = words.get("config")
    made = dict(given.to_dict() if hasattr(given, "to_dict") else given or {})
    if words.get("write_empty_chunks") is not None:
        made["write_empty_chunks"] = bool(words["write_empty_chunks"])
    if made:
        handle["config"] = made
    return handle


def _say(fields: dict[str, Any], verb: str, word: str, value: Any) -> None:
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


def _shard_options(shards: Any) -> tuple[Any, dict[str, Any]]:
    if not isinstance(shards, Mapping):
        return shards, {}
    options = dict(shards)
    shape = options.pop("shape", "auto")
    unknown = set(options) - {"index_location", "index_codecs"}
    if unknown:
        msg = f"unknown keys {sorted(unknown)}; known keys: shape, index_location, index_codecs"
        raise MetadataValidationError(msg, "shards")
    if "index_codecs" in options:
        options["index_codecs"] = tuple(as_codecs(options["index_codecs"], "shards") or ())
    return shape, options


def _refuse_order(order: Any) -> None:
    msg = f"must be 'C' or 'F', not {order!r}"
    raise MetadataValidationError(msg, "order")


def _refuse_transformers(value: Any) -> None:
    if value:
        msg = f"storage transformers are not supported, got {value!r}"
        raise MetadataValidationError(msg, "storage_transformers")


def _warn_order() -> None:
    import warnings

    msg = (
        "order='F' has no effect in format 3; to store chunks in column-major order, pass "
        "filters=[TransposeCodec(order=...)], or use zarr_format=2"
    )
    warnings.warn(msg, ZarrRuntimeWarning, stacklevel=_levels())


def _levels() -> int:
    """Return the ``stacklevel`` of the caller of this package, to which a warning refers."""
    import sys

    package, level = __name__.partition(".")[0], 1
    frame = sys._getframe(1)  # noqa: SLF001  (the only way to inspect the caller)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(package):
        frame, level = frame.f_back, level + 1
    return level


def _unknown(verb: str, word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, sorted(known), 1)
    hint = f"; did you mean {near[0]}=?" if near else ""
    return f"{verb}() got an unexpected keyword argument {word!r}{hint}"
