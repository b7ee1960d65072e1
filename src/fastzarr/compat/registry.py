"""Which class implements a codec, a pipeline, a buffer or a chunk key encoding.

Rules of this file:

* A class is known by its qualified name in zarr-python, and the settings choose by it. The classes
  of this package are imported when they are first asked for.
* What documents mean by the name of a codec is the class that is chosen: a class of others is given
  to the registry of fastzarr, so that arrays are read and written with it.
* The entry points are those of zarr-python: ``zarr.codecs``, ``zarr.codecs.<name>``,
  ``zarr.buffer``, ``zarr.codec_pipeline`` and so on.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from fastzarr.codecs import foreign
from fastzarr.codecs.parse import CODECS
from fastzarr.compat.core.adapted_keys import family
from fastzarr.compat.core.config import DEFAULTS, BadConfigError, config
from fastzarr.compat.core.dtype import data_type_registry
from fastzarr.compat.core.dtype.adapted import family as dtype_family
from fastzarr.compat.names import FACADE, PACKAGE, module_of
from fastzarr.dtypes.parse import DTYPES
from fastzarr.errors import UnknownCodecError, ZarrUserWarning
from fastzarr.grids.keys import KEYS

__all__ = [
    "Registry",
    "get_buffer_class",
    "get_chunk_key_encoding_class",
    "get_codec_class",
    "get_ndbuffer_class",
    "get_pipeline_class",
    "register_buffer",
    "register_chunk_key_encoding",
    "register_codec",
    "register_ndbuffer",
    "register_pipeline",
]

T = TypeVar("T")

_ZARR_CODEC_DOCS_URL = "https://zarr.readthedocs.io/en/stable/user-guide/extending/#custom-codecs"
_NUMCODECS_CODEC_DOCS_URL = (
    "https://numcodecs.readthedocs.io/en/stable/registry.html#numcodecs.registry.register_codec"
)

# The packages that install a codec, by the beginning of its name; the longest one applies.
_CODEC_PACKAGES: dict[str, tuple[str, ...]] = {
    "gribberish": ("gribberish",),
    "n5_default": ("zarr-n5",),
}
_CODEC_PACKAGE_PREFIXES: dict[str, tuple[str, ...]] = {
    "any-numcodecs.": ("zarr-any-numcodecs",),
    "imagecodecs_": ("imagecodecs-zarr",),
    "omfiles.": ("omfiles",),
    "virtual_tiff.": ("virtual-tiff",),
}
_NUMCODEC_PACKAGES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("FITSAscii", "FITSVarBintable", "fill_hdf_strings"), ("kerchunk",)),
    **dict.fromkeys(("grib", "record_member"), ("kerchunk",)),
    "crc32c": ("numcodecs[crc32c]",),
    "msgpack2": ("numcodecs[msgpack]",),
    "pcodec": ("numcodecs[pcodec]",),
    "rawgrib": ("gribscan",),
    "vc-delta3d": ("vc-delta3d",),
    "wavpack": ("wavpack-numcodecs",),
    "zfpy": ("numcodecs[zfpy]",),
}
_NUMCODEC_PACKAGE_PREFIXES: dict[str, tuple[str, ...]] = {
    "gribscan.": ("gribscan",),
    "imagecodecs_": ("imagecodecs-numcodecs",),
}


class Registry(dict[str, type[T]], Generic[T]):
    """The classes of one kind by qualified name.

    >>> shapes = Registry[object]()
    >>> shapes.register(int, "mine.Int")
    >>> list(shapes)
    ['mine.Int']
    """

    def __init__(self) -> None:
        """Initialise without classes."""
        super().__init__()
        self.lazy_load_list: list[EntryPoint] = []

    def lazy_load(self, use_entrypoint_name: bool = False) -> None:
        """Import and register the classes of the entry points.

        >>> Registry[object]().lazy_load()
        """
        for entry in self.lazy_load_list:
            self.register(entry.load(), entry.name if use_entrypoint_name else None)
        self.lazy_load_list.clear()

    def register(self, cls: type[T], qualname: str | None = None) -> None:
        """Register a class, under its own qualified name unless another one is passed.

        >>> shapes = Registry[object]()
        >>> shapes.register(int)
        >>> list(shapes)
        ['builtins.int']
        """
        self[fully_qualified_name(cls) if qualname is None else qualname] = cls


def _imported(path: str) -> type[Any]:
    """Return the class of this package with a qualified name of zarr-python."""
    module, _, attribute = path.rpartition(".")
    found: type[Any] = getattr(import_module(module_of(module)), attribute)
    return found


class _BuiltIn(Registry[T]):
    """A registry that also knows the classes of this package, by their names in zarr-python."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = list(names)

    def lazy_load(self, use_entrypoint_name: bool = False) -> None:
        """Import and register the classes of this package, then those of the entry points."""
        for name in self._names:
            self.setdefault(name, _imported(name))
        self._names.clear()
        super().lazy_load(use_entrypoint_name)


# Codecs of this package that no setting names.
_MORE = {
    "cast_value": "zarr.codecs.cast_value.CastValue",
    "scale_offset": "zarr.codecs.scale_offset.ScaleOffset",
}
_OURS = _MORE | {
    name.removeprefix("codecs."): path
    for name, path in DEFAULTS.items()
    if name.startswith("codecs.")
}

_codec_registries: dict[str, Registry[Any]] = defaultdict(Registry)
_codec_registries.update({name: _BuiltIn(path) for name, path in _OURS.items()})
_pipelines = ("BatchedCodecPipeline", "FusedCodecPipeline")
_pipeline_registry: Registry[Any] = _BuiltIn(*(f"zarr.core.codec_pipeline.{n}" for n in _pipelines))
_buffers = [f"zarr.{core}buffer.{kind}" for core in ("", "core.") for kind in ("cpu", "gpu")]
_buffer_registry: Registry[Any] = _BuiltIn(*(f"{module}.Buffer" for module in _buffers))
_ndbuffer_registry: Registry[Any] = _BuiltIn(*(f"{module}.NDBuffer" for module in _buffers))
_chunk_key_encoding_registry: Registry[Any] = Registry()
# The class that each name of a codec means in documents, where it is not that of this package.
_chosen: dict[str, Any] = {}


def _collect_entrypoints() -> list[Registry[Any]]:
    """Note the entry points of installed packages; return the registries."""
    found = entry_points()
    kinds = {
        "buffer": _buffer_registry,
        "ndbuffer": _ndbuffer_registry,
        "chunk_key_encoding": _chunk_key_encoding_registry,
        "codec_pipeline": _pipeline_registry,
    }
    for kind, registry in kinds.items():
        registry.lazy_load_list.extend(found.select(group=f"{PACKAGE}.{kind}"))
        registry.lazy_load_list.extend(found.select(group=PACKAGE, name=kind))
    data_type_registry.declare(found.select(group="zarr.data_type"))
    data_type_registry.declare(found.select(group=PACKAGE, name="data_type"))
    for entry in found.select(group="zarr.codecs"):
        _codec_registries[entry.name].lazy_load_list.append(entry)
    for group in found.groups:
        if group.startswith("zarr.codecs."):
            name = group.split(".")[2]
            _codec_registries[name].lazy_load_list.extend(found.select(group=group))
    return [*_codec_registries.values(), *kinds.values()]


def fully_qualified_name(cls: type) -> str:
    """Return the qualified name of a class; those of this package have their names in zarr-python.

    >>> fully_qualified_name(int)
    'builtins.int'
    >>> fully_qualified_name(Registry)
    'zarr.registry.Registry'
    """
    module = cls.__module__
    if module == FACADE or module.startswith(f"{FACADE}."):
        module = PACKAGE + module.removeprefix(FACADE)
    return f"{module}.{cls.__qualname__}"


def register_codec(key: str, codec_cls: type[Any], *, qualname: str | None = None) -> None:
    """Register a class for the name of a codec; the settings choose among several.

    >>> from fastzarr.compat.codecs import GzipCodec
    >>> register_codec("gzip", GzipCodec)
    """
    _codec_registries[key].register(codec_cls, qualname)
    _apply(key)


def register_pipeline(pipe_cls: type[Any]) -> None:
    """Register a class of pipelines.

    >>> from fastzarr.compat.core.codec_pipeline import BatchedCodecPipeline
    >>> register_pipeline(BatchedCodecPipeline)
    """
    _pipeline_registry.register(pipe_cls)


def register_ndbuffer(cls: type[T], qualname: str | None = None) -> type[T]:
    """Register a class of buffers of arrays, and return it."""
    _ndbuffer_registry.register(cls, qualname)
    return cls


def register_buffer(cls: type[T], qualname: str | None = None) -> type[T]:
    """Register a class of buffers of bytes, and return it."""
    _buffer_registry.register(cls, qualname)
    return cls


def register_chunk_key_encoding(key: str, cls: type[Any]) -> None:
    """Register a class of chunk key encodings for its name in documents."""
    _chunk_key_encoding_registry.register(cls, key)
    if "inner" not in vars(cls):
        # Documents are read with the classes of fastzarr.
        KEYS.register(key, family(cls))


def get_codec_class(key: str, reload_config: bool = False) -> type[Any]:
    """Return the class for the name of a codec that the settings choose.

    Raise UnknownCodecError if there is none, and BadConfigError if the chosen one is not
    registered. If several are registered and none is chosen, a warning says so.

    >>> get_codec_class("gzip").__name__
    'GzipCodec'
    """
    if reload_config:
        config.refresh()
    found, several = _find(key)
    if found is None:
        raise UnknownCodecError(_missing_codec_message(key, zarr_format=3))
    if several:
        warnings.warn(
            f"Codec '{key}' not configured in config. Selecting any implementation.",
            ZarrUserWarning,
            stacklevel=2,
        )
    return found


def _find(key: str) -> tuple[type[Any] | None, bool]:
    """Return the class for the name of a codec, and whether it is one of several, none chosen."""
    if key not in _codec_registries:
        return None, False
    known = _codec_registries[key]
    known.lazy_load()
    if not known:
        return None, False
    path = config.get("codecs").get(key)
    if path is None:
        return list(known.values())[-1], len(known) > 1
    if path not in known:
        msg = (
            f"the setting codecs.{key} is {path!r}, which is not registered; registered classes: "
            f"{', '.join(sorted(known))}"
        )
        raise BadConfigError(msg)
    return known[path], False


def _apply(key: str) -> None:
    """Let documents mean by the name of a codec the class that the settings choose."""
    try:
        found, _ = _find(key)
    except BadConfigError:
        return  # whoever asks for the class gets the error
    ours = found is not None and is_ours(found)
    if found is None or ours:
        if _chosen.pop(key, None) is not None:
            CODECS.forget(key)
    elif _chosen.get(key) is not found and foreign.is_foreign(found):
        _chosen[key] = found
        CODECS.register(key, foreign.adapt(found, key))


def is_ours(cls: type) -> bool:
    """Whether a class of codecs is one of this package.

    >>> from fastzarr.compat.codecs import GzipCodec
    >>> is_ours(GzipCodec), is_ours(int)
    (True, False)
    """
    return bool(vars(cls).get("dressed"))


def is_known(key: str) -> bool:
    """Whether a class is registered, or declared by a package, for the name of a codec.

    >>> is_known("gzip"), is_known("squash")
    (True, False)
    """
    return key in _codec_registries


def built_in(key: str) -> type[Any] | None:
    """Return the class of this package for the name of a codec, or None.

    >>> built_in("squash") is None
    True
    """
    path = _OURS.get(key)
    return None if path is None else _imported(path)


def _apply_all() -> None:
    for key in list(_codec_registries):
        setting = f"codecs.{key}"
        if key in _chosen or config.flat.get(setting) != DEFAULTS.get(setting):
            _apply(key)


config.on_change(_apply_all)


def get_pipeline_class(reload_config: bool = False) -> type[Any]:
    """Return the class of pipelines that the settings choose; raise BadConfigError if unknown.

    >>> get_pipeline_class().__name__
    'BatchedCodecPipeline'
    """
    return _by_setting("codec_pipeline.path", _pipeline_registry, "pipelines", reload_config)


def get_buffer_class(reload_config: bool = False) -> type[Any]:
    """Return the class of buffers that the settings choose; raise BadConfigError if unknown."""
    return _by_setting("buffer", _buffer_registry, "buffers", reload_config)


def get_ndbuffer_class(reload_config: bool = False) -> type[Any]:
    """Return the class of array buffers the settings choose; raise BadConfigError if unknown."""
    return _by_setting("ndbuffer", _ndbuffer_registry, "buffers", reload_config)


def _by_setting(setting: str, known: Registry[Any], kind: str, reload_config: bool) -> type[Any]:
    if reload_config:
        config.refresh()
    known.lazy_load()
    path = config.get(setting)
    found = known.get(path)
    if found is None:
        msg = f"the setting {setting} is {path!r}, which is not found in registered {kind}: " + (
            ", ".join(sorted(known))
        )
        raise BadConfigError(msg)
    return found


def get_chunk_key_encoding_class(key: str) -> type[Any]:
    """Return the class for the name of a chunk key encoding; raise KeyError if unknown."""
    _chunk_key_encoding_registry.lazy_load(use_entrypoint_name=True)
    if key not in _chunk_key_encoding_registry:
        msg = (
            f"Chunk key encoding '{key}' not found in registered chunk key encodings: "
            f"{list(_chunk_key_encoding_registry)}."
        )
        raise KeyError(msg)
    return _chunk_key_encoding_registry[key]


def _packages_for_codec(name: str, *, zarr_format: int) -> tuple[str, ...]:
    """Return the names of the packages that install a codec, if known."""
    exact, prefixes = _CODEC_PACKAGES, _CODEC_PACKAGE_PREFIXES
    if zarr_format == 2:
        exact, prefixes = _NUMCODEC_PACKAGES, _NUMCODEC_PACKAGE_PREFIXES
    if name in exact:
        return exact[name]
    found = (packages for prefix, packages in prefixes.items() if name.startswith(prefix))
    return next(found, ())


def _missing_codec_message(name: str, *, zarr_format: int) -> str:
    """Return what to do if nothing implements a codec."""
    url, where = _ZARR_CODEC_DOCS_URL, "zarr"
    if zarr_format == 2:
        url, where = _NUMCODECS_CODEC_DOCS_URL, "numcodecs"
    msg = (
        f"An implementation for codec {name!r} is not available. Register one with {where} (see "
        f"{url}), or install a package that does."
    )
    packages = _packages_for_codec(name, zarr_format=zarr_format)
    if packages:
        msg += f" Known packages supporting this codec: {', '.join(packages)}."
    return msg


def get_numcodec(data: Any) -> Any:
    """Return the codec of numcodecs with a configuration.

    Raise UnknownCodecError if numcodecs does not know the ``id``; other errors are those of
    numcodecs.

    >>> get_numcodec({"id": "zlib", "level": 1})
    Zlib(level=1)
    """
    from numcodecs import registry

    known = data.get("id") if isinstance(data, Mapping) else None
    if (
        isinstance(known, str)
        and known not in registry.codec_registry
        and known not in registry.entries
    ):
        raise UnknownCodecError(_missing_codec_message(known, zarr_format=2))
    return registry.get_codec(data)


def _installed_dtype(name: str) -> Any:
    found = data_type_registry.installed(name)
    return None if found is None else dtype_family(found)


def _installed_keys(name: str) -> Any:
    _chunk_key_encoding_registry.lazy_load(use_entrypoint_name=True)
    found = _chunk_key_encoding_registry.get(name)
    return None if found is None or "inner" in vars(found) else family(found)


_collect_entrypoints()
_apply_all()
# Documents may name what a package has declared before anybody else asks for it.
DTYPES.look_elsewhere(_installed_dtype)
KEYS.look_elsewhere(_installed_keys)
