"""A codec from a document, a name, or an object of numcodecs or zarr-python.

Rules of this file:

* A codec name in a document is looked up in ``CODECS`` only.
* ``parse`` accepts every form in which a user may pass a codec; ``from_v3`` accepts only what
  format 3 metadata allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastzarr.checked import deviation, extension, guard, member, placed, show
from fastzarr.codecs.base import Codec
from fastzarr.errors import MetadataError, PickleCodecDisabledError, UnknownCodecError
from fastzarr.registry import Registry


def _elsewhere(name: str) -> type[Codec] | None:
    from fastzarr.codecs import foreign

    return foreign.find(name)


CODECS: Registry[type[Codec]] = Registry("codecs", elsewhere=_elsewhere)
"""The codecs of format 3 by name; ``codecs/__init__.py`` declares those of this package."""

# What older and other writers call a codec.
_ALIASES = {
    "endian": "bytes",
    "squeeze": "zarrs.squeeze",
    "zarrs.zfp": "zfp",
    **dict.fromkeys(("numcodecs.vlen-array", "numcodecs.vlen_array", "vlen_array"), "vlen-array"),
}
_NUMCODECS = "numcodecs."
_PREFIXES = {"https://zarr.dev/numcodecs/": _NUMCODECS, "https://codec.zarrs.dev/": ""}
# numcodecs ids for which format 3 has a codec of its own.
_TWINS = ("blosc", "gzip", "zstd")


def names() -> tuple[str, ...]:
    """Return the sorted names of the known format 3 codecs, except the ``numcodecs.*`` ones.

    >>> "blosc" in names()
    True
    """
    return CODECS.names()


def from_v3(obj: Any, where: str) -> Codec:
    """Return the codec of format 3 metadata: a name, or an object with a name.

    Raise ``UnknownCodecError`` if the name is unknown, and ``MetadataError``, naming the member at
    fault, if the object or its configuration is invalid.

    >>> from_v3({"name": "gzip", "configuration": {"level": 1}}, "codecs[0]")
    GzipCodec(level=1)
    """
    given, config = extension(obj, where)
    name = given if given in CODECS else _usual(given)
    if name.startswith(_NUMCODECS) and name not in CODECS:
        from fastzarr.codecs.numcodecs import from_name

        return from_name(name, config, where)
    found = guard(lambda: CODECS.find(name), where, "codec")
    if found is None:
        from fastzarr.codecs.numcodecs import IDS, from_name

        if name in IDS:
            deviation(f"is not a registered name, and is read as {_NUMCODECS + name!r}", where)
            return from_name(_NUMCODECS + name, config, where)
        msg = (
            f"unknown codec {show(given)}; install the package that provides it, or register it "
            f"with fastzarr.codecs.register_codec; known codecs: {', '.join(names())}"
        )
        raise UnknownCodecError(msg, where)
    return found.from_config(config, member(where, "configuration"))


def parse(obj: Any, where: str = "") -> Codec:
    """Return the codec that a user passed.

    Accepts a ``Codec``, a name, a mapping as in the metadata of either format, and a codec object
    of numcodecs or zarr-python. A numcodecs object becomes the equivalent format 3 codec if there
    is one; a format 2 mapping, which has an ``id``, stays a numcodecs codec. Raise
    ``MetadataError``, naming ``where``, if the argument is not a valid codec.

    >>> parse("crc32c").name
    'crc32c'
    >>> parse({"name": "gzip", "configuration": {"level": 1}}).level
    1
    >>> parse({"id": "zlib", "level": 1}).name
    'numcodecs.zlib'
    """
    if isinstance(obj, Codec):
        return obj
    if isinstance(obj, Mapping) and "id" in obj and "name" not in obj:
        return _numcodec(obj, where)
    if isinstance(obj, (str, Mapping)):
        return from_v3(obj if isinstance(obj, str) else dict(obj), where)
    is_class = isinstance(obj, type)
    if hasattr(obj, "get_config") and not is_class:
        return _from_numcodecs(obj, where)
    if hasattr(obj, "to_dict") and not is_class:
        return _from_zarr_python(obj, where)
    hint = "; pass an instance" if is_class else ""
    msg = f"{show(obj)} is not a codec{hint}"
    raise MetadataError(msg, where)


def parse_each(chain: Any, where: str) -> tuple[Codec, ...]:
    """Return the codecs of a list that a user passed; raise ``MetadataError`` for anything else.

    >>> [codec.name for codec in parse_each(["bytes", "gzip"], "codecs")]
    ['bytes', 'gzip']
    """
    if not isinstance(chain, (tuple, list)):
        msg = f"must be a list of codecs, got {show(chain)}"
        raise MetadataError(msg, where)
    return tuple(parse(codec, member(where, place)) for place, codec in enumerate(chain))


def register_codec(*args: Any, codec_id: str | None = None, **kwargs: Any) -> None:
    """Register a codec class under a name.

    Accepts ``(name, class)`` as in zarr-python 3, and ``(class)`` or ``(class, codec_id)`` as in
    numcodecs and zarr-python 2. A subclass of ``Codec``, and a codec class of zarr-python 3, are
    registered for format 3; any other class is registered with numcodecs. Registering a name again
    replaces its class. Raise TypeError unless exactly one class is passed.

    >>> from fastzarr.codecs import GzipCodec
    >>> class Mine(GzipCodec):
    ...     name = "example.gzip"
    >>> register_codec("example.gzip", Mine)
    >>> type(parse("example.gzip")) is Mine
    True
    """
    values = [*args, *(kwargs[name] for name in ("key", "cls", "codec_cls") if name in kwargs)]
    classes = [value for value in values if isinstance(value, type)]
    words = [value for value in (*values, codec_id) if isinstance(value, str)]
    if len(classes) != 1:
        msg = "register_codec takes one codec class and the name to register it under"
        raise TypeError(msg)
    [cls] = classes
    if issubclass(cls, Codec):
        CODECS.register(words[0] if words else cls.name, cls)
        return
    from fastzarr.codecs import foreign

    if foreign.is_foreign(cls):
        if not words:
            msg = f"pass the name under which documents have {cls.__name__}"
            raise TypeError(msg)
        CODECS.register(words[0], foreign.adapt(cls, words[0]))
        return
    import numcodecs

    numcodecs.register_codec(cls, *words[:1])


def _usual(name: str) -> str:
    """Return the name under which this package knows a codec."""
    for prefix, usual in _PREFIXES.items():
        if name.startswith(prefix):
            # zarrs put the kind of the codec before its name, as in "array_to_bytes/zfp".
            name = usual + name.rpartition("/")[2]
    return _ALIASES.get(name, name)


def _from_zarr_python(obj: Any, where: str) -> Codec:
    """Return the codec of this package that has the name, or one that calls the object."""
    found = _without_derived(obj)
    name = found.get("name") if isinstance(found, dict) else found
    if isinstance(name, str) and not name.startswith(_NUMCODECS):
        from fastzarr.codecs import foreign

        known = CODECS.find(_usual(name))
        if (known is None or foreign.calls(known, type(obj))) and foreign.is_foreign(type(obj)):
            return guard(lambda: adopt(obj), where, "codec")
    return from_v3(found, where)


def adopt(obj: Any) -> Codec:
    """Return the codec that calls one of zarr-python.

    If no class has its name in documents, or only one that the class of the object has been defined
    in place of, the class of the object has it from now on: the array can then be opened again.
    """
    from fastzarr.codecs import foreign

    made = foreign.wrap(obj)
    known = CODECS.find(made.name)
    if known is None or (known is not type(made) and foreign.calls(known, type(obj))):
        CODECS.register(made.name, type(made))
    return made


def _without_derived(obj: Any) -> Any:
    """Return the document of a codec of zarr-python without what the data type is to decide."""
    found = obj.to_dict()
    derived = getattr(obj, "_tunable_attrs", None)
    if not derived:
        return found
    config = found["configuration"]
    return {**found, "configuration": {k: v for k, v in config.items() if k not in derived}}


def _numcodec(obj: Any, where: str) -> Codec:
    from fastzarr.codecs.numcodecs import make
    from fastzarr.codecs.numcodecs.settings import OBJECT_IDS

    codec = make(obj, where)
    if codec.id in OBJECT_IDS:
        # These decoders trust sizes in the data, or execute it. Only as the first filter is the
        # number of elements known from the array.
        kind = PickleCodecDisabledError if codec.id == "pickle" else MetadataError
        msg = f"the object codec {codec.id!r} is not a compressor; it can only be the first filter"
        raise kind(msg, where)
    return codec


def _from_numcodecs(obj: Any, where: str) -> Codec:
    config = dict(obj.get_config())
    name = config.pop("id", None)
    if name in _TWINS:
        found: Any = CODECS.find(name)
        codec: Codec = placed(lambda: found(**config), where)
        return codec
    if obj.codec_id == "crc32c" and getattr(obj, "location", "end") == "end":
        return from_v3("crc32c", where)
    return _numcodec(obj, where)
