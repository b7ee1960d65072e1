"""The bytes-to-bytes codecs of numcodecs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fastzarr.buffers import as_view, nbytes
from fastzarr.checked import placed
from fastzarr.codecs.base import BytesBytesCodec, ChunkSpec, check_size, padded, verified
from fastzarr.codecs.blosc import BloscCodec
from fastzarr.codecs.gzip import GzipCodec
from fastzarr.codecs.numcodecs.decoders import (
    DECODERS,
    check_filters,
    encode_crc32c,
    lzma_numbers,
)
from fastzarr.codecs.numcodecs.settings import (
    CHECKSUMS,
    NumcodecsBase,
    as_bytes,
    as_text,
    check,
    check_encoded,
    encoded_nbytes,
    run,
)
from fastzarr.errors import PickleCodecDisabledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastzarr.buffers import Buffer


# Codecs whose encoded size depends on the values, so that it cannot be checked before decoding.
_VARIABLE = frozenset({"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"})


@dataclass(frozen=True, repr=False)
class NumcodecsCodec(NumcodecsBase, BytesBytesCodec):  # type: ignore[override]  # its name depends
    """A bytes-to-bytes codec of numcodecs; ``text`` is its configuration in JSON.

    ``typesize`` is the item size that Blosc shuffles by. It is not part of the stored
    configuration; ``resolve`` fills it in.

    >>> from fastzarr.codecs.numcodecs import make
    >>> make({"id": "zlib", "level": 1}).name
    'numcodecs.zlib'
    """

    cacheable: ClassVar[bool] = True

    text: str
    typesize: int | None = field(default=None, compare=False)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the codec with a numcodecs configuration; raise ``MetadataError`` if invalid."""
        made = cls(as_text(config, where))
        check(made, where)
        placed(made.check_members, where)
        return made

    def check_members(self) -> None:
        """Raise ``MetadataError`` for a member that numcodecs accepts and its codec does not."""
        if self.id == "blosc":
            made = self.shared
            BloscCodec(
                cname=made.cname,
                clevel=made.clevel,
                shuffle=made.shuffle,
                blocksize=made.blocksize,
            )
        elif self.id == "lzma":
            check_filters(self.settings.get("filters"))

    def resolve(self, spec: ChunkSpec) -> Self:
        """Return the codec with a missing item size filled in, of Blosc and of ``shuffle``."""
        config, itemsize = self.settings, spec.dtype.itemsize or 1
        if config["id"] == "shuffle" and config.get("elementsize", 0) is None:
            return type(self)(json.dumps({**config, "elementsize": itemsize}))
        return replace(self, typesize=itemsize)

    def encoded_size(self, size: int | None) -> int | None:
        """Return the encoded size of checksums and shuffles, or None for other codecs."""
        return encoded_nbytes(self.settings, size)

    def encode(self, data: Buffer) -> Buffer:
        """Return the encoded bytes."""
        config = self.settings
        if config["id"] == "blosc":
            from fastzarr.codecs import blosc

            made = self.shared
            return blosc.compress(
                data, made.cname, made.clevel, made.shuffle, made.blocksize, self.typesize
            )
        if config["id"] == "crc32c":
            return encode_crc32c(config, data)
        if config["id"] == "gzip":
            # numcodecs writes the time into the header.
            return GzipCodec(level=self.shared.level).encode(data)
        return as_bytes(run(config["id"], self.shared.encode, as_view(data)))

    def native(self) -> tuple[str, list[int], str] | None:
        """Return the codec's description for the extension, or None if not implemented there."""
        config = self.settings
        name = config["id"]
        if name == "blosc":
            from fastzarr.codecs import blosc

            made = self.shared
            return blosc.native(
                made.cname, made.clevel, made.shuffle, made.blocksize, self.typesize
            )
        if name in CHECKSUMS and name != "jenkins_lookup3" and verified():
            return name, [], _location(config)
        make = _NUMBERS.get(name)
        numbers = None if make is None else make(self.shared, config)
        return None if numbers is None else (name, numbers, "")

    def decode(self, data: Buffer, size: int | None) -> Buffer:
        """Return the decoded bytes: exactly ``size``, or up to the configured limit if None."""
        config = self.settings
        name = config["id"]
        if name == "pickle":
            msg = "pickle is not a compressor, so the data was not unpickled"
            raise PickleCodecDisabledError(msg)
        if name not in _VARIABLE:
            check_encoded(config, data, size)
        if name in CHECKSUMS and not verified():
            view = as_view(data)
            return view[4:] if _location(config) == "start" else view[:-4]
        safe = DECODERS.get(name)
        if safe is not None:
            return safe(config, data, size)
        decoded = as_bytes(run(name, self.shared.decode, as_view(data)))
        check_size(name, nbytes(decoded), size)
        return decoded


def _location(config: Mapping[str, Any]) -> str:
    """Return where a checksum is: at the start of the data, or at its end."""
    return config.get("location") or CHECKSUMS[config["id"]]


def _bz2_numbers(codec: Any, _: Mapping[str, Any]) -> list[int] | None:
    # With others it cannot encode.
    known = type(codec.level) is int and codec.level in range(1, 10)
    return [codec.level, padded()] if known else None


_NUMBERS: dict[str, Callable[[Any, Mapping[str, Any]], list[int] | None]] = {
    "bz2": _bz2_numbers,
    "gzip": lambda codec, _: [codec.level, padded()],
    "lz4": lambda codec, _: [codec.acceleration],
    "lzma": lambda _, config: lzma_numbers(config),
    "zlib": lambda codec, _: [codec.level, padded()],
    "zstd": lambda codec, _: [codec.level, int(getattr(codec, "checksum", False))],
}
"""What returns the numbers that describe a codec to the extension; None if it does not know it."""
