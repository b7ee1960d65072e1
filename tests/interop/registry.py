"""One small array for each entry of the extension registry, and for each feature of format 2.

The entries are those of zarr-extensions and of the core specification. An array is described by its
document, so that every library that knows the entry can write and read it, without words of its
own. Values are such that even codecs that round keep them, unless ``lossy`` says otherwise.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from interop.cases import bits

if TYPE_CHECKING:
    from pathlib import Path

    from peers import Peer


@dataclass(frozen=True)
class Entry:
    """An array that uses one entry of the registry, or one feature of format 2."""

    kind: str
    name: str
    values: np.ndarray[Any, Any]
    document: dict[str, Any]
    lossy: bool = False
    #: Whether the spelling is one that others write, and that we only read.
    legacy: bool = False

    @property
    def key(self) -> str:
        """The key of the document."""
        return ".zarray" if self.document["zarr_format"] == 2 else "zarr.json"

    def __str__(self) -> str:
        """Return the name of the folder of its files."""
        return (
            f"{self.kind}-{self.name}".replace(" ", "-").replace("/", "slash").replace("-.", "-dot")
        )


_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def _document(
    values: np.ndarray[Any, Any], data_type: Any, fill: Any, codecs: list[Any], **members: Any
) -> dict[str, Any]:
    chunks = [max(1, (2 * n) // 3) for n in values.shape]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [*values.shape],
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": {},
        **members,
    }


def _typed(
    name: str,
    dtype: Any,
    values: list[Any],
    fill: Any,
    *,
    spelling: Any = None,
    codec: Any = _BYTES,
    legacy: bool = False,
) -> Entry:
    array = np.empty(len(values), dtype)
    array[:] = values
    document = _document(array, spelling or name, fill, [codec])
    return Entry("data type", name, array, document, legacy=legacy)


def _numbers() -> list[Entry]:
    single = {"name": "bytes"}
    truth = [True, False, True, True, False, False]
    found = [_typed("bool", "bool", truth, fill=False, codec=single)]
    for width in (8, 16, 32, 64):
        one = single if width == 8 else _BYTES
        low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1
        ints, whole = [low, -1, 0, 1, 7, high], [0, 1, 2, 7, 100, 2**width - 1]
        found.append(_typed(f"int{width}", f"i{width // 8}", ints, -7, codec=one))
        found.append(_typed(f"uint{width}", f"u{width // 8}", whole, 7, codec=one))
    real = [0.5, -0.0, np.nan, np.inf, -2.0, 1.5]
    found += [_typed(f"float{width}", f"f{width // 8}", real, "NaN") for width in (16, 32, 64)]
    pairs = [complex(a, b) for a, b in zip(real, real[::-1], strict=True)]
    for width in (64, 128):
        found.append(_typed(f"complex{width}", f"c{width // 8}", pairs, [1.5, "NaN"]))
        alias = f"complex_float{width // 2}"
        found.append(_typed(alias, f"c{width // 8}", pairs, [1.5, -2.0], legacy=True))
    for width in (2, 4):
        low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1
        ints, whole = [low, -1, 0, 1, high, low], [0, 1, 2, 3, 2**width - 1, 1]
        cls = getattr(ml_dtypes, f"int{width}")
        found.append(_typed(f"int{width}", cls, ints, -1, codec=single))
        cls = getattr(ml_dtypes, f"uint{width}")
        found.append(_typed(f"uint{width}", cls, whole, 1, codec=single))
    found.append(_typed("bfloat16", ml_dtypes.bfloat16, real, "NaN"))
    for name in (
        *("float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3"),
        *("float8_e4m3b11fnuz", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"),
        *("float8_e8m0fnu", "float8_e4m3fn"),
    ):
        small = [1.0, 2.0, 4.0, 0.5, 1.0, 2.0] if "e8m0" in name else [0.5, -1.5, 2.0, 0, 3, -4]
        found.append(_typed(name, getattr(ml_dtypes, name), small, 1.0, codec=single))
    parts = [entry for entry in found if entry.name in ("bfloat16", "float16")]
    parts += [entry for entry in found if entry.name.startswith(("float4_", "float6_", "float8_"))]
    for part in parts:
        if part.name == "float8_e4m3fn":  # it is not registered, and has no complex numbers
            continue
        rows = [*zip(part.values, part.values[::-1], strict=True)]
        record = np.dtype([("real", part.values.dtype), ("imag", part.values.dtype)])
        codec = part.document["codecs"][0]
        found.append(_typed(f"complex_{part.name}", record, rows, [1.0, 2.0], codec=codec))
    return found


def _others() -> list[Entry]:
    single = {"name": "bytes"}
    raw = [bytes([n, 0, 255 - n]) for n in range(6)]
    found = [_typed("r24", "V3", raw, [1, 2, 3], codec=single)]

    def sized(name: str, size: int, *arguments: Any, **options: Any) -> None:
        spelling = {"name": name, "configuration": {"length_bytes": size}}
        found.append(_typed(name, *arguments, spelling=spelling, **options))

    octets = [b"", b"a", b"bcd", b"\xff\0\1", b"z", b"zz"]
    words = ["", "a", "bcd", "ÄÖÜ", "\U0001f600", "z"]
    sized("raw_bytes", 3, "V3", raw, _base64(b"\1\2\3"), codec=single, legacy=True)
    sized("null_terminated_bytes", 3, "S3", octets, _base64(b"q"), codec=single, legacy=True)
    sized("fixed_length_utf32", 12, "U3", words, "ü?")
    text, blob = {"name": "vlen-utf8"}, {"name": "vlen-bytes"}
    found.append(_typed("string", np.dtypes.StringDType(), words, "?", codec=text))
    array = found[-1].values
    document = _document(array, "string", "?", [{"name": "vlen-array"}])
    found.append(Entry("codec", "vlen-array", array, document))
    values = [b"", b"a", b"\0\0", b"\xff", b"abc", b"z"]
    found.append(_typed("bytes", object, values, [1, 255], codec=blob))
    fill = _base64(b"\1\xff")
    found.append(_typed("variable_length_bytes", object, values, fill, codec=blob, legacy=True))
    counts = np.array([0, 1, -5, 2**40, 3, -(2**63)], "i8")
    for name, kind in (("datetime64", "M8"), ("timedelta64", "m8")):
        for unit, scale in (("ns", 1), ("ms", 10), ("us", 1), ("generic", 1)):
            configuration = {"unit": unit, "scale_factor": scale}
            times = counts.view(kind if unit == "generic" else f"{kind}[{scale}{unit}]")
            data_type = {"name": f"numpy.{name}", "configuration": configuration}
            label = f"numpy.{name} {scale if scale > 1 else ''}{unit}"
            found.append(
                Entry("data type", label, times, _document(times, data_type, "NaT", [_BYTES]))
            )
    record = np.dtype([("a", "<i2"), ("b", "<f4")])
    rows = [(n, n / 2) for n in range(6)]
    fields = [{"name": "a", "data_type": "int16"}, {"name": "b", "data_type": "float32"}]
    spelling: Any = {"name": "struct", "configuration": {"fields": fields}}
    found.append(_typed("struct", record, rows, {"a": 1, "b": 1.5}, spelling=spelling))
    nested = np.dtype([("u", "u1"), ("v", record)])
    fields = [{"name": "u", "data_type": "uint8"}, {"name": "v", "data_type": spelling}]
    outer = {"name": "struct", "configuration": {"fields": fields}}
    deep, pair = [(n, (n, n / 2)) for n in range(6)], {"u": 1, "v": {"a": 1, "b": 1.5}}
    found.append(_typed("struct nested", nested, deep, pair, spelling=outer))
    pairs = {"fields": [["a", "int16"], ["b", "float32"]]}
    spelling = {"name": "structured", "configuration": pairs}
    fill = _base64(np.array([(1, 1.5)], record).tobytes())
    found.append(_typed("structured", record, rows, fill, spelling=spelling, legacy=True))
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_GRID = (np.arange(54).reshape(6, 9) * 3) % 50
_INTS, _REALS = _GRID.astype("<i4"), (_GRID / 4).astype("<f4")


class _Codecs(list[Entry]):
    """The entries of codecs, each added by what stands in its chain."""

    def add(
        self,
        name: str,
        codecs: list[Any],
        values: np.ndarray[Any, Any] = _INTS,
        *,
        lossy: bool = False,
        label: str = "",
    ) -> None:
        """Add an entry of a chain of codecs."""
        fill = False if values.dtype == bool else 0
        document = _document(values, str(values.dtype.name), fill, codecs)
        self.append(Entry("codec", f"{name} {label}".strip(), values, document, lossy=lossy))

    def after(self, name: str, label: str = "", **configuration: Any) -> None:
        """Add an entry of a codec of bytes."""
        codec = {"name": name, "configuration": configuration} if configuration else {"name": name}
        self.add(name, [_BYTES, codec], label=label)

    def before(
        self, name: str, values: np.ndarray[Any, Any], label: str = "", **configuration: Any
    ) -> None:
        """Add an entry of a codec of arrays."""
        codec = {"name": name, "configuration": configuration}
        self.add(name, [codec, _BYTES], values, label=label)

    def instead(
        self,
        name: str,
        values: np.ndarray[Any, Any],
        label: str = "",
        *,
        lossy: bool = False,
        **configuration: Any,
    ) -> None:
        """Add an entry of a codec that encodes an array as bytes."""
        codecs = [{"name": name, "configuration": configuration}]
        self.add(name, codecs, values, label=label, lossy=lossy)


def _codecs() -> list[Entry]:
    found, ints = _Codecs(), _INTS
    found.after("gzip", level=5)
    found.after("zstd", level=3, checksum=False)
    found.after("zstd", "checksum", level=3, checksum=True)
    for shuffle in ("noshuffle", "shuffle", "bitshuffle"):
        config = {"cname": "lz4", "clevel": 5, "shuffle": shuffle, "typesize": 4, "blocksize": 0}
        found.after("blosc", shuffle, **config)
    found.after("crc32c")
    found.add("bytes", [{"name": "bytes", "configuration": {"endian": "big"}}], label="big")
    found.before("transpose", ints, order=[1, 0])
    inside = {
        "chunk_shape": [2, 3],
        "codecs": [_BYTES, {"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
        "index_codecs": [_BYTES, {"name": "crc32c"}],
    }
    for location in ("end", "start"):
        found.instead("sharding_indexed", ints, location, **inside, index_location=location)
    found.add(
        "sharding_indexed",
        [
            {
                "name": "sharding_indexed",
                "configuration": {**inside, "index_codecs": [_BYTES], "index_location": "end"},
            }
        ],
        label="index without checksum",
    )
    return found


def _typed_codecs() -> list[Entry]:
    found = _Codecs()
    grid, ints, reals = _GRID, _INTS, _REALS
    single = {"name": "bytes"}
    # Integers keep bits from their highest one on, floats bits of the mantissa.
    found.before("bitround", reals, keepbits=10)
    found.before("bitround", (grid % 8).astype("i4"), "integers", keepbits=3)
    found.instead("packbits", grid % 3 == 0)
    found.instead("packbits", grid % 3 == 0, "first byte", padding_encoding="first_byte")
    found.instead("packbits", grid % 3 == 0, "last byte", padding_encoding="last_byte")
    found.instead("packbits", (grid % 16).astype(ml_dtypes.uint4), "uint4")
    found.instead("packbits", (grid % 8).astype("u1"), "bits", first_bit=0, last_bit=2)
    found.add(
        "cast_value",
        [{"name": "cast_value", "configuration": {"data_type": "uint8"}}, single],
        ints,
    )
    found.add(
        "cast_value",
        [
            {
                "name": "cast_value",
                "configuration": {
                    "data_type": "int16",
                    "rounding": "towards-zero",
                    "out_of_range": "clamp",
                },
            },
            _BYTES,
        ],
        np.trunc(reals),
        label="floats",
    )
    found.before("scale_offset", reals, offset=2.0, scale=4.0)
    found.add(
        "scale_offset",
        [
            {"name": "scale_offset", "configuration": {"offset": 0.0, "scale": 4.0}},
            {"name": "cast_value", "configuration": {"data_type": "int16"}},
            _BYTES,
        ],
        reals,
        label="and cast_value",
    )
    found.before("reshape", ints, shape=[[0, 1]])
    found.add("zarrs.squeeze", [{"name": "zarrs.squeeze"}, _BYTES], ints.reshape(6, 1, 9))
    found.after("conditional", codecs=[{"name": "gzip", "configuration": {"level": 5}}])
    reverse = {"name": "transpose", "configuration": {"order": [1, 0]}}
    big = {"name": "bytes", "configuration": {"endian": "big"}}
    found.instead("n5_default", ints, codecs=[reverse, big])
    for label, config in {
        "reversible": {"mode": "reversible"},
        "fixed rate": {"mode": "fixed_rate", "rate": 16.0},
        "fixed precision": {"mode": "fixed_precision", "precision": 20},
        "fixed accuracy": {"mode": "fixed_accuracy", "tolerance": 0.01},
    }.items():
        found.instead("zfp", reals, label, lossy=label != "reversible", **config)
    return found


def _numcodecs() -> list[Entry]:
    found = _Codecs()
    grid, ints, reals = _GRID, _INTS, _REALS
    single = {"name": "bytes"}
    number: dict[str, dict[str, Any]] = {
        "adler32": {},
        "blosc": {"cname": "lz4", "clevel": 1, "shuffle": 1, "blocksize": 0},
        "bz2": {"level": 1},
        "crc32": {},
        "crc32c": {},
        "fletcher32": {},
        "gzip": {"level": 1},
        "jenkins_lookup3": {},
        "lz4": {"acceleration": 1},
        "lzma": {"preset": 1},
        "shuffle": {"elementsize": 4},
        "zlib": {"level": 1},
        "zstd": {"level": 1},
    }
    for name, config in number.items():
        codec = {"name": f"numcodecs.{name}", "configuration": config}
        found.add(f"numcodecs.{name}", [_BYTES, codec])
    typed: dict[str, tuple[np.ndarray[Any, Any], dict[str, Any]]] = {
        "astype": (ints, {"encode_dtype": "<i8", "decode_dtype": "<i4"}),
        "bitround": (reals, {"keepbits": 10}),
        "delta": (ints, {"dtype": "<i4", "astype": "<i4"}),
        "fixedscaleoffset": (
            reals,
            {"offset": 0, "scale": 4, "dtype": "<f4", "astype": "<i4"},
        ),
        "packbits": (grid % 3 == 0, {}),
        "quantize": (np.floor(reals), {"digits": 1, "dtype": "<f4", "astype": "<f4"}),
    }
    for name, (values, config) in typed.items():
        codec = {"name": f"numcodecs.{name}", "configuration": config}
        end = single if name == "packbits" else _BYTES
        found.add(f"numcodecs.{name}", [codec, end], values)
    found.instead("numcodecs.pcodec", ints, level=8, mode_spec="auto", delta_spec="auto")
    found.instead(
        "numcodecs.zfpy", reals, mode=4, tolerance=0.01, rate=-1, precision=-1, lossy=True
    )
    return found


def _grids() -> list[Entry]:
    values = np.arange(54, dtype="i4").reshape(6, 9)
    rectilinear = {
        "name": "rectilinear",
        "configuration": {"kind": "inline", "chunk_shapes": [[1, 2, 3], [[4, 2], 1]]},
    }
    short = {
        "name": "rectilinear",
        "configuration": {"kind": "inline", "chunk_shapes": [4, [2, 7]]},
    }
    sharded = [
        {
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": [1, 1],
                "codecs": [_BYTES],
                "index_codecs": [_BYTES, {"name": "crc32c"}],
                "index_location": "end",
            },
        }
    ]
    return [
        Entry("grid", "regular", values, _document(values, "int32", 0, [_BYTES])),
        Entry(
            "grid",
            "rectilinear",
            values,
            _document(values, "int32", 0, [_BYTES], chunk_grid=rectilinear),
        ),
        Entry(
            "grid",
            "rectilinear one number",
            values,
            _document(values, "int32", 0, [_BYTES], chunk_grid=short),
        ),
        Entry(
            "grid",
            "rectilinear of shards",
            values,
            _document(values, "int32", 0, sharded, chunk_grid=rectilinear),
        ),
    ]


def _keys() -> list[Entry]:
    values = np.arange(54, dtype="i4").reshape(6, 9)

    def add(label: str, name: str, **configuration: Any) -> Entry:
        keys = {"name": name, "configuration": configuration}
        document = _document(values, "int32", 0, [_BYTES], chunk_key_encoding=keys)
        return Entry("keys", label, values, document)

    base = {"name": "v2", "configuration": {"separator": "."}}
    return [
        *(
            add(f"{name} {sign}", name, separator=sign)
            for name in ("default", "v2")
            for sign in "/."
        ),
        add("fanout", "fanout", max_children=3),
        add("prefix", "prefix", prefix="x/", base_encoding=base),
        add("suffix", "suffix", suffix=".bin", base_encoding=base),
    ]


_FILLS: dict[str, Any] = {"b": False, "c": [0.0, 0.0], "U": "", **dict.fromkeys("iuf", 0)}
_ORDERS = {"<": "little", ">": "big", "|": ""}


def _old(
    name: str,
    values: np.ndarray[Any, Any],
    dtype: Any = None,
    *,
    lossy: bool = False,
    **members: Any,
) -> Entry:
    document = {
        "zarr_format": 2,
        "shape": [*values.shape],
        "chunks": [max(1, (2 * n) // 3) for n in values.shape],
        "dtype": values.dtype.str if dtype is None else dtype,
        "fill_value": _FILLS.get(values.dtype.kind),
        "order": "C",
        "filters": None,
        "compressor": None,
        **members,
    }
    return Entry("format 2", name, values, document, lossy=lossy)


def _old_types() -> list[Entry]:
    found = []
    for code in ("b1", "i1", "u1", "i2", "u4", "i8", "f2", "f4", "f8", "c8", "c16", "U3", "S3"):
        orders = "|" if code[0] == "S" or code[1:] == "1" else "<>"
        for order in orders:
            values = _GRID.astype(order + code)
            found.append(_old(f"dtype {code} {_ORDERS[order]}".strip(), values))
    raw = np.array([bytes([n, 0, 255 - n]) for n in range(6)], "V3")
    found.append(_old("dtype V3", raw))
    counts = np.array([0, 1, -5, 2**40, 3, -(2**63)], "<i8")
    for code in ("M8[ns]", "M8[10ms]", "m8[D]"):
        for order in "<>":
            times = counts.astype(order + "i8").view(order + code)
            found.append(_old(f"dtype {code} {_ORDERS[order]}", times))
    records: dict[str, list[Any]] = {
        "struct": [["a", "<i2"], ["b", ">f4"]],
        "nested": [["u", "|u1"], ["v", [["a", "<i2"], ["b", "<f8"]]]],
        "of arrays": [["a", "<i2", [2, 3]], ["b", "|S2"]],
    }
    for name, fields in records.items():
        dtype = np.dtype(_tuples(fields))
        rows = np.frombuffer(bytes(range(1, 7)) * dtype.itemsize, dtype)
        found.append(_old(f"dtype {name}", rows, fields))
    return found


def _tuples(fields: list[Any]) -> list[Any]:
    """Return the fields of a document as NumPy takes them."""
    found = []
    for name, kind, *shape in fields:
        dtype = _tuples(kind) if isinstance(kind, list) else kind
        found.append((name, dtype, *map(tuple, shape)))
    return found


def _old_objects() -> list[Entry]:
    words = np.array(["", "a", "bcd", "ÄÖÜ", "\U0001f600", "z"], object)
    blob = np.array([b"", b"a", b"\0\0", b"\xff", b"abc", b"z"], object)
    rows = np.empty(6, object)
    rows[:] = [np.arange(n, dtype="<i4") for n in range(6)]
    trees = np.array([{"a": [1, 2.5]}, [None, True], "text", 7, None, {}], object)
    json2: dict[str, Any] = {"encoding": "utf-8", "skipkeys": False, "ensure_ascii": True}
    json2 |= {"check_circular": True, "allow_nan": True, "sort_keys": True, "indent": None}
    json2 |= {"separators": [",", ":"], "strict": True}
    msgpack = {"raw": False, "use_single_float": False, "use_bin_type": True}
    labels = {"labels": [*words[1:]], "dtype": "|O", "astype": "|u1"}
    codecs: dict[str, tuple[np.ndarray[Any, Any], dict[str, Any]]] = {
        "vlen-utf8": (words, {}),
        "vlen-bytes": (blob, {}),
        "vlen-array": (rows, {"dtype": "<i4"}),
        "json2": (trees, json2),
        "msgpack2": (trees, msgpack),
        "categorize": (words, labels),
    }
    found = []
    for name, (values, configuration) in codecs.items():
        filters = [{"id": name, **configuration}]
        fill = "" if values is words else None
        found.append(_old(f"objects {name}", values, "|O", filters=filters, fill_value=fill))
    return found


def _old_codecs() -> list[Entry]:
    compressors: dict[str, dict[str, Any]] = {
        "zlib": {"level": 1},
        "gzip": {"level": 1},
        "bz2": {"level": 1},
        "lzma": {"format": 1, "check": -1, "preset": 1, "filters": None},
        "lz4": {"acceleration": 1},
        "zstd": {"level": 1},
        "pcodec": {"level": 8, "mode_spec": "auto", "delta_spec": "auto"},
    }
    found = [
        _old(f"compressor {name}", _INTS, compressor={"id": name, **configuration})
        for name, configuration in compressors.items()
    ]
    for cname in ("lz4", "lz4hc", "blosclz", "zstd", "zlib"):
        blosc = {"id": "blosc", "cname": cname, "clevel": 5, "shuffle": 1, "blocksize": 0}
        found.append(_old(f"compressor blosc {cname}", _INTS, compressor=blosc))
    zfpy: dict[str, Any] = {"id": "zfpy", "mode": 4, "tolerance": 0.01, "rate": -1}
    zfpy |= {"precision": -1}
    found.append(_old("compressor zfpy", _REALS, compressor=zfpy, lossy=True))
    filters: dict[str, tuple[np.ndarray[Any, Any], dict[str, Any]]] = {
        "delta": (_INTS, {"dtype": "<i4", "astype": "<i4"}),
        "fixedscaleoffset": (_REALS, {"offset": 0, "scale": 4, "dtype": "<f4", "astype": "<i4"}),
        "quantize": (np.floor(_REALS), {"digits": 1, "dtype": "<f4", "astype": "<f4"}),
        "astype": (_INTS, {"encode_dtype": "<i8", "decode_dtype": "<i4"}),
        "packbits": (_GRID % 3 == 0, {}),
        "bitround": (_REALS, {"keepbits": 10}),
        "shuffle": (_INTS, {"elementsize": 4}),
        "base64": (_INTS, {}),
        "jenkins_lookup3": (_INTS, {"initval": 0, "prefix": None}),
        **{name: (_INTS, {}) for name in ("crc32", "crc32c", "adler32", "fletcher32")},
    }
    for name, (values, configuration) in filters.items():
        found.append(_old(f"filter {name}", values, filters=[{"id": name, **configuration}]))
    found.append(_old("order F", _INTS, order="F"))
    found.append(_old("separator slash", _INTS, dimension_separator="/"))
    found.append(_old("fill value NaN", _REALS, fill_value="NaN"))
    return found


_NEW = [*_numbers(), *_others(), *_codecs(), *_typed_codecs(), *_numcodecs(), *_grids(), *_keys()]
_OLD = [*_old_types(), *_old_objects(), *_old_codecs()]
ENTRIES = {str(entry): entry for entry in [*_NEW, *_OLD]}


def write(peer: Peer, entry: Entry, path: Path) -> np.ndarray[Any, Any]:
    """Let a library write the array at a path, and return what it reads there.

    Raise whatever it raises, and ValueError if it reads other values than were written.
    """
    path.mkdir()
    (path / entry.key).write_text(json.dumps(entry.document))
    peer.update(path, (slice(None),) * entry.values.ndim, entry.values)
    if len(list(path.rglob("*"))) < 2:
        msg = "nothing was stored"
        raise ValueError(msg)
    found = peer.read(path).values
    if not entry.lossy and not same(found, entry.values):
        msg = f"{found!r} was read, and not {entry.values!r}"
        raise ValueError(msg)
    return found


def same(found: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays have the same elements, bit by bit, whatever represents them."""
    if values.dtype.kind == "O" and isinstance(values[1], np.ndarray):
        return [one.tolist() for one in found] == [one.tolist() for one in values]
    if values.dtype.kind in "TO":
        words = [
            w.decode() if isinstance(w, bytes) and values.dtype.kind == "T" else w
            for w in found.ravel().tolist()
        ]
        return bool(words == values.ravel().tolist())
    if found.size != values.size:
        return False
    if found.dtype.itemsize == values.dtype.itemsize and found.dtype.kind == "V":
        return found.tobytes() == values.tobytes()
    return bool(bits(found, values.dtype) == bits(values, values.dtype))
