"""The arrays that are written and read with every library: their properties and values."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import Any

import numcodecs
import numpy as np

ATTRIBUTES = {"units": "K", "°": "Kälte", "nested": {"list": [1, 2.5, None, True, []]}, "empty": {}}

_STRUCT = np.dtype([("a", "i2"), ("b", "f4")])
_NESTED = np.dtype([("a", "u1"), ("b", [("c", "S2"), ("d", "f8")]), ("e", "i4")])
_NUMBERS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
_NUMBERS += ["float16", "float32", "float64", "complex64", "complex128"]
DTYPES: dict[str, np.dtype[Any]] = {
    "bool": np.dtype("bool"),
    **{name: np.dtype(name) for name in _NUMBERS},
    "S3": np.dtype("S3"),
    "U3": np.dtype("U3"),
    "V3": np.dtype("V3"),
    "datetime64[10ms]": np.dtype("M8[10ms]"),
    "datetime64[D]": np.dtype("M8[D]"),
    "timedelta64[25s]": np.dtype("m8[25s]"),
    "struct": _STRUCT,
    "nested struct": _NESTED,
    "string": np.dtypes.StringDType(),
    "bytes": np.dtype(object),
}

# Shape, chunks, and the factors from a chunk to a shard (and to a shard of shards). Chunks have 128
# elements or more, because blosc does not compress less.
GEOMETRIES: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    "0-d": ((), (), ()),
    "1-d": ((1530,), (130,), (2,)),
    "1-d exact": ((1024,), (128,), (2,)),
    "2-d": ((47, 50), (10, 16), (2, 1)),
    "2-d exact": ((48, 48), (12, 12), (2, 2)),
    "3-d": ((9, 20, 18), (2, 8, 10), (2, 2, 1)),
    "chunk beyond array": ((11, 9), (20, 8), (1, 2)),
    "empty axis": ((0, 30), (10, 20), (2, 1)),
}

SHARDS = ("none", "sharded", "index at start", "nested", "codecs around")
FILLS = ("zero", "some", "NaN", "inf", "-0.0", "null")

_BLOSC = {
    f"blosc {cname} {shuffle}": (cname, shuffle)
    for cname in ("lz4", "lz4hc", "blosclz", "zstd", "zlib", "snappy")
    for shuffle in ("noshuffle", "shuffle", "bitshuffle")
    # Blosc uses snappy only for small chunks of shuffled bytes, and stores others uncompressed.
    if cname != "snappy" or shuffle == "shuffle"
}
# By format, then by name: the chain of codecs after the array-to-bytes codec.
CODECS: dict[int, dict[str, list[dict[str, Any]]]] = {
    3: {
        "none": [],
        "gzip": [{"name": "gzip", "configuration": {"level": 1}}],
        "zstd": [{"name": "zstd", "configuration": {"level": 3, "checksum": False}}],
        "zstd checksum": [{"name": "zstd", "configuration": {"level": -1, "checksum": True}}],
        "crc32c": [{"name": "crc32c"}],
        "zstd crc32c": [
            {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
            {"name": "crc32c"},
        ],
        **{
            name: [
                {
                    "name": "blosc",
                    "configuration": {
                        "cname": cname,
                        "clevel": 1,
                        "shuffle": shuffle,
                        "blocksize": 0,
                    },
                }
            ]
            for name, (cname, shuffle) in _BLOSC.items()
        },
        **{
            f"numcodecs.{name}": [{"name": f"numcodecs.{name}", "configuration": configuration}]
            for name, configuration in {
                "zlib": {"level": 1},
                "bz2": {"level": 1},
                "lz4": {"acceleration": 1},
                "lzma": {"preset": 1},
                "zstd": {"level": 1},
                "gzip": {"level": 1},
                "blosc": {"cname": "lz4", "clevel": 1, "shuffle": 1, "blocksize": 0},
                "crc32": {},
                "crc32c": {},
                "adler32": {},
                "fletcher32": {},
                "jenkins_lookup3": {},
                "shuffle": {"elementsize": 4},
            }.items()
        },
    },
    2: {
        "none": [],
        "zlib": [{"id": "zlib", "level": 1}],
        "gzip": [{"id": "gzip", "level": 1}],
        "bz2": [{"id": "bz2", "level": 1}],
        "zstd": [{"id": "zstd", "level": 1}],
        "zstd checksum": [{"id": "zstd", "level": 1, "checksum": True}],
        "lz4": [{"id": "lz4", "acceleration": 1}],
        "lzma": [{"id": "lzma", "format": 1, "check": -1, "preset": 1, "filters": None}],
        **{
            name: [
                {
                    "id": "blosc",
                    "cname": cname,
                    "clevel": 1,
                    "shuffle": ("noshuffle", "shuffle", "bitshuffle").index(shuffle),
                    "blocksize": 0,
                }
            ]
            for name, (cname, shuffle) in _BLOSC.items()
        },
        "blosc lz4 auto": [
            {"id": "blosc", "cname": "lz4", "clevel": 1, "shuffle": -1, "blocksize": 0}
        ],
    },
}
FILTERS = ("none", "delta", "fixedscaleoffset", "quantize", "astype", "packbits", "bitround")
# Lossy, but idempotent: values that have been encoded once are preserved.
LOSSY = ("fixedscaleoffset", "quantize", "bitround")
FILTERS += ("shuffle", "crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3", "zlib")


@dataclass(frozen=True)
class Case:
    """The properties of an array, as names in the tables above."""

    zarr_format: int
    kind: str
    geometry: str = "2-d"
    codec: str = "none"
    filter: str = "none"
    shards: str = "none"
    order: str = "C"
    endian: str = "little"
    fill: str = "zero"
    separator: str = "/"

    def __str__(self) -> str:
        """Return the names that differ from those of the simplest array."""
        plain = Case(self.zarr_format, self.kind)
        names = [f"{k}={v}" for k, v in vars(self).items() if v != vars(plain)[k]]
        return ",".join([f"format={self.zarr_format}", self.kind, *names]).replace(" ", "_")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type in memory: in format 2 it is big-endian if the stored one is."""
        big = self.zarr_format == 2 and self.endian == "big"
        return ordered(DTYPES[self.kind], ">" if big else "=")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return GEOMETRIES[self.geometry][0]

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of the innermost chunk."""
        return GEOMETRIES[self.geometry][1]

    def shard(self, level: int = 1) -> tuple[int, ...]:
        """Return the shape of a shard, at level 2 of a shard of shards."""
        _, chunks, factors = GEOMETRIES[self.geometry]
        return tuple(c * f**level for c, f in zip(chunks, factors, strict=True))

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape of a stored object."""
        return self.shard({"none": 0, "nested": 2}.get(self.shards, 1))

    @property
    def written(self) -> Any:
        """The region to write, without one whole stored object and the first chunk of the next."""
        if not self.shape or self.fill == "null":
            return ...
        skip = self.stored[0] + (self.chunks[0] if self.shards != "none" else 0)
        return slice(skip, None) if skip < self.shape[0] else ...

    @property
    def fill_value(self) -> Any:
        """The fill value as a scalar of the data type; None for format 2's null."""
        kind = self.dtype.kind
        if self.fill == "null":
            return None
        if self.fill == "zero":
            zero: dict[str, Any] = {"T": "", "O": b""}
            return zero[kind] if kind in zero else np.zeros((), self.dtype)[()]
        if self.fill == "some":
            some: dict[str, Any] = {"T": "ü—\U0001f600", "O": b"\0\xff"}
            if kind in some:
                return some[kind]
            return _pattern(self.dtype, 23)[17]
        special = {"NaN": math.nan, "inf": -math.inf, "-0.0": -0.0}[self.fill]
        if kind == "c":
            special = complex(special, 1.0 if self.fill == "-0.0" else math.inf)
        if kind in "mM":
            special = "NaT"
        return self.dtype.type(special) if kind in "fc" else np.array(special, self.dtype)[()]

    def values(self) -> np.ndarray[Any, Any]:
        """Return all values after `written` was written, with the fill value elsewhere."""
        array = np.empty(self.shape, self.dtype)
        array[...] = self.fill_value if self.fill_value is not None else array[...]
        # Not a multiple of the length of any axis, but repeated, so that it can be compressed.
        pattern = _pattern(self.dtype, 37)
        if self.filter in LOSSY:
            codec = numcodecs.get_codec(dict((filters_of(self) or [])[0]))
            pattern = codec.decode(codec.encode(pattern)).view(self.dtype)
        if self.shape:
            pattern = np.resize(pattern, self.shape)
            array[self.written] = pattern[self.written]
        else:
            array[()] = pattern[3]
        return array

    def valid(self) -> bool:
        """Whether such an array is valid; not every peer supports it."""
        fixed = self.dtype.kind not in "TO"
        multibyte = fixed and self.kind not in ("bool", "int8", "uint8", "S3", "V3")
        fills = {
            "NaN": "fcmM",
            "inf": "fc",
            "-0.0": "fc",
        }
        return all(
            (
                self.zarr_format == 3 or self.shards == "none",
                self.zarr_format == 2 or (self.filter == "none" and self.fill != "null"),
                self.codec in CODECS[self.zarr_format],
                self.endian == "little" or multibyte,
                self.fill not in fills or self.dtype.kind in fills[self.fill],
                self.order == "C" or len(self.shape) > 1,
                self.filter == "none" or (fixed and filters_of(self) is not None),
                self.codec != "numcodecs.shuffle" or self.dtype.itemsize % 4 == 0,
            )
        )

    @property
    def chain(self) -> tuple[list[Any], dict[str, Any], list[Any]]:
        """Return format 3's filters, the serializer, and the compressors."""
        order = list(reversed(range(len(self.shape))))
        filters: list[Any] = [{"name": "transpose", "configuration": {"order": order}}]
        compressors = [json.loads(json.dumps(codec)) for codec in CODECS[3][self.codec]]
        for codec in compressors:
            if codec["name"] == "blosc":
                codec["configuration"]["typesize"] = (
                    1 if self.dtype.kind in "TO" else self.dtype.itemsize
                )
        serializer: dict[str, Any] = {"name": "bytes"}
        if self.dtype.kind in "TO":
            serializer = {"name": "vlen-utf8" if self.dtype.kind == "T" else "vlen-bytes"}
        elif self.kind not in ("bool", "int8", "uint8", "S3", "V3"):
            serializer["configuration"] = {"endian": self.endian}
        return filters if self.order == "F" else [], serializer, compressors

    def sharding(self) -> tuple[list[Any], dict[str, Any], list[Any]]:
        """Return the codec chain, including the sharding codecs."""
        filters, serializer, compressors = self.chain
        if self.shards == "none":
            return filters, serializer, compressors
        if self.shards == "codecs around":
            inner = self.chunks[::-1] if self.order == "F" else self.chunks
            return filters, _sharding(inner, [serializer]), compressors
        codecs = [*filters, serializer, *compressors]
        if self.shards == "nested":
            codecs = [_sharding(self.chunks, codecs, "start")]
            return [], _sharding(self.shard(), codecs), []
        location = "start" if self.shards == "index at start" else "end"
        return [], _sharding(self.chunks, codecs, location), []

    def document(self, raw_fill: str = "list") -> dict[str, Any]:
        """Return the metadata document, for peers that accept one."""
        fill = _fill_json(self.fill_value, self.dtype, self.zarr_format, raw_fill)
        if self.zarr_format == 2:
            filters, compressors = filters_of(self), CODECS[2][self.codec]
            return {
                "zarr_format": 2,
                "shape": list(self.shape),
                "chunks": list(self.stored),
                "dtype": _dtype_json(self.dtype, 2),
                "fill_value": fill,
                "order": self.order,
                "filters": filters or None,
                "compressor": compressors[0] if compressors else None,
                "dimension_separator": self.separator,
            }
        filters, serializer, compressors = self.sharding()
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": _dtype_json(self.dtype, 3),
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.stored)}},
            "chunk_key_encoding": {
                "name": "default",
                "configuration": {"separator": self.separator},
            },
            "fill_value": fill,
            "codecs": [*filters, serializer, *compressors],
            "attributes": ATTRIBUTES,
            "dimension_names": self.dimension_names,
        }

    @property
    def dimension_names(self) -> list[str | None]:
        """The dimension names of format 3, of which the second is missing."""
        return [None if axis == 1 else f"axis {axis}" for axis in range(len(self.shape))]

    def features(self, verb: str) -> set[str]:
        """Return the names that describe this case in ``UNSUPPORTED``."""
        names = {verb, f"format {self.zarr_format}", self.kind, self.geometry}
        names |= {f"codec {self.codec}", f"shards {self.shards}", f"order {self.order}"}
        names |= {f"fill {self.fill}", f"filter {self.filter}", f"{self.endian}-endian"}
        words = self.codec.replace(".", " ").split()
        names |= {f"codec {' '.join(words[: i + 1])}" for i in range(len(words))}
        names.add("bare" if self.codec == "none" else "compressed")
        names.add("no elements" if 0 in self.shape else "elements")
        if self.order == "F" and self.shards != "codecs around":
            names.add("transposed chunks")
        index = 16 * math.prod(GEOMETRIES[self.geometry][2]) + 4
        cut = any(n % s for n, s in zip(self.shape, self.stored, strict=True))
        if cut and self.dtype.kind not in "TO" and index % self.dtype.itemsize:
            names.add("edge, odd index")
        return names


_SAMPLES: dict[str, list[Any]] = {
    "T": ["", "a", "bcd", "ÄÖ", "\U0001f600", "x" * 40, " ", "nul\0 inside"],
    "U": ["", "a", "ÄÖÜ", "\U0001f600b", "日本"],
    "O": [b"", b"a", b"\0\0", bytes(range(256)), b"\xff"],
}


def _pattern(dtype: np.dtype[Any], count: int) -> np.ndarray[Any, Any]:
    """Return values that reveal errors of byte order, size or sign."""
    if dtype.kind in _SAMPLES:
        samples = _SAMPLES[dtype.kind]
        array = np.empty(count, dtype)
        array[:] = [samples[i % len(samples)] * (1 + i // len(samples)) for i in range(count)]
        return array
    if dtype.names:
        array = np.zeros(count, dtype)
        for name in dtype.names:
            array[name] = _pattern(dtype[name], count)
        return array
    if dtype.kind == "b":
        return np.arange(count) % 3 == 1
    return _random(ordered(dtype), count).astype(dtype)


def _random(dtype: np.dtype[Any], count: int) -> np.ndarray[Any, Any]:
    seed = np.arange(count * dtype.itemsize, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    octets = (seed >> np.uint64(56)).astype(np.uint8)
    if dtype.kind in "fc":
        real = dtype if dtype.kind == "f" else np.dtype(f"f{dtype.itemsize // 2}")
        parts = octets[: count * (dtype.itemsize // real.itemsize)].astype(real) / real.type(8)
        for i, special in enumerate([-0.0, math.nan, math.inf, -math.inf]):
            parts[3 + i :: 11] = special
        return parts.view(dtype)
    array = octets.view(dtype)
    if dtype.kind == "S":
        array = np.array([value.replace(b"\0", b"~") for value in array.tolist()], dtype)
    if dtype.kind in "mM":
        array = (array.view("i8") >> 20).view(dtype)
        array[4::7] = "NaT"
    return array


def filters_of(case: Case) -> list[dict[str, Any]] | None:
    """Return format 2's filters; None if the filter does not support the data type."""
    dtype, kind, size = case.dtype.str, case.dtype.kind, case.dtype.itemsize
    found: dict[str, tuple[bool, dict[str, Any]]] = {
        "delta": (kind in "iu", {"dtype": dtype, "astype": dtype}),
        "fixedscaleoffset": (
            case.kind == "float64",
            {"dtype": dtype, "astype": "<f4", "offset": 1, "scale": 8},
        ),
        "quantize": (kind == "f", {"dtype": dtype, "astype": dtype, "digits": 1}),
        "astype": (case.kind == "int32", {"encode_dtype": "<i8", "decode_dtype": dtype}),
        "packbits": (kind == "b", {}),
        "bitround": (
            case.kind in ("float32", "float64") and case.endian == "little",
            {"keepbits": 12},
        ),
        "shuffle": (size > 1, {"elementsize": size}),
        "zlib": (True, {"level": 1}),
    }
    if case.dtype.kind == "T":
        return [{"id": "vlen-utf8"}]
    if case.dtype.kind == "O":
        return [{"id": "vlen-bytes"}]
    if case.filter == "none":
        return []
    fits, configuration = found.get(case.filter, (True, {}))
    return [{"id": case.filter, **configuration}] if fits else None


def _sharding(
    shape: tuple[int, ...], codecs: list[dict[str, Any]], location: str = "end"
) -> dict[str, Any]:
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    configuration = {"chunk_shape": list(shape), "codecs": codecs, "index_codecs": index}
    configuration["index_location"] = location
    return {"name": "sharding_indexed", "configuration": configuration}


def _dtype_json(dtype: np.dtype[Any], zarr_format: int) -> Any:
    if zarr_format == 2:
        if dtype.names:
            return [[name, _dtype_json(dtype[name], 2)] for name in dtype.names]
        return "|O" if dtype.kind in "TO" else dtype.str
    if dtype.names:
        fields = [{"name": name, "data_type": _dtype_json(dtype[name], 3)} for name in dtype.names]
        return {"name": "struct", "configuration": {"fields": fields}}
    if dtype.kind in "mM":
        unit, scale = np.datetime_data(dtype)
        name = "numpy.datetime64" if dtype.kind == "M" else "numpy.timedelta64"
        return {"name": name, "configuration": {"unit": unit, "scale_factor": scale}}
    if dtype.kind in "SU":
        name = "null_terminated_bytes" if dtype.kind == "S" else "fixed_length_utf32"
        return {"name": name, "configuration": {"length_bytes": dtype.itemsize}}
    names = {"T": "string", "O": "variable_length_bytes", "V": f"r{8 * dtype.itemsize}"}
    return names.get(dtype.kind, dtype.name)


def _fill_json(fill: Any, dtype: np.dtype[Any], zarr_format: int, raw: str) -> Any:
    kind = dtype.kind
    if fill is None or kind in "TU":
        return None if fill is None else str(fill)
    if dtype.names and zarr_format == 3:
        return {name: _fill_json(fill[name], dtype[name], 3, raw) for name in dtype.names}
    if kind in "SVO":
        octets = fill if kind == "O" else np.array(fill, dtype).tobytes()
        as_list = kind == "V" and zarr_format == 3 and raw == "list"
        return list(octets) if as_list else base64.b64encode(octets).decode()
    if kind == "c":
        return [_number_json(part) for part in (fill.real, fill.imag)]
    return _number_json(fill)


def _number_json(fill: Any) -> Any:
    if fill.dtype.kind in "mM":
        return int(fill.astype(np.int64))
    if fill.dtype.kind == "f" and not np.isfinite(fill):
        return "NaN" if np.isnan(fill) else "Infinity" if fill > 0 else "-Infinity"
    return fill.item()


def ordered(dtype: np.dtype[Any], order: Any = "=") -> np.dtype[Any]:
    """Return a dtype with another byte order, including that of its fields."""
    return dtype if dtype.kind in "TO" else dtype.newbyteorder(order)


def bits(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> Any:
    """Return values that are equal if all bits of two arrays are, in the order of ``dtype``."""
    if dtype.kind in "TO":
        return [(type(value), value) for value in array.ravel().tolist()]
    return np.ascontiguousarray(array).astype(dtype).tobytes()


def same_type(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Whether two dtypes differ only in byte order."""
    return ordered(one) == ordered(other)
