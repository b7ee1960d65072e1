"""Structured data types: records of named fields.

Rules of this file:

* Fields are packed in storage and in memory, even if the NumPy dtype passed in has padding.
* Every field has a fixed size. It may itself be a record and, in format 2, a subarray.
* Format 3 documents are written as ``struct`` with an object of fill values by field. The older
  ``structured``, with pairs and base64, is read but not written. Format 2 writes the fill value as
  base64 of the record's bytes.

Source: ``struct`` and ``structured`` of zarr-extensions, and the Zarr 2 specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.checked import check_members, member, placed, show
from fastzarr.dtypes.base import DataType, check_element, from_base64, is_zero, to_base64
from fastzarr.errors import DataTypeValidationError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Field = tuple[str, DataType] | tuple[str, DataType, tuple[int, ...]]


class Struct(DataType):
    """Records of named fields, each with its own data type.

    ``fields`` is a tuple of ``(name, data type, shape)``; the shape is ``()`` unless the field is a
    subarray. ``legacy`` is True if a document named the type ``structured``; such data may lack an
    explicit byte order and is then little-endian. Equality ignores ``legacy``.

    >>> from fastzarr.dtypes import Float64, Int32
    >>> Struct(fields=(("id", Int32()), ("value", Float64()))).itemsize
    12
    """

    fields: tuple[tuple[str, DataType, tuple[int, ...]], ...]

    def __init__(self, *, fields: Iterable[Field], legacy: bool = False) -> None:
        """Initialise from fields; raise DataTypeValidationError if they do not form a record."""
        triples = [(f[0], f[1], tuple(f[2]) if len(f) == 3 else ()) for f in fields]
        if not triples:
            msg = "a record must have at least one field"
            raise DataTypeValidationError(msg)
        for name, dtype, _ in triples:
            if dtype.itemsize is None:
                msg = f"field {name!r} of a record has a variable length ({dtype.name})"
                raise DataTypeValidationError(msg)
        try:
            numpy = np.dtype([(name, dtype.numpy, shape) for name, dtype, shape in triples])
        except (TypeError, ValueError, OverflowError) as error:
            msg = f"the fields {show([t[0] for t in triples])} do not form a record: {error}"
            raise DataTypeValidationError(msg) from None
        check_element(numpy.itemsize)
        # Format 2 allows an empty field name, which NumPy replaces.
        names = numpy.names or ()
        kept = tuple((name, t[1], t[2]) for name, t in zip(names, triples, strict=True))
        multibyte = any(t[1].multibyte for t in triples)
        members: dict[str, Any] = {"fields": kept, "legacy": legacy, "masks": _masks(kept)}
        super().__init__(numpy, "struct", multibyte=multibyte, **members)

    def _key(self) -> tuple[object, ...]:
        return (self.fields,)

    def __repr__(self) -> str:
        """Return the class name with the fields as in NumPy."""
        return f"Struct({self.numpy.descr})"

    @property
    def default_fill(self) -> Any:
        """A record of the default fill value of each field."""
        out = np.zeros((), self.numpy)
        for name, dtype, _ in self.fields:
            out[name] = dtype.default_fill
        return out[()]

    @property
    def number_size(self) -> int | None:
        """The size in bytes of the numbers in all fields, or None if they differ in it."""
        sizes = {dtype.number_size for _, dtype, _ in self.fields}
        return sizes.pop() if len(sizes) == 1 else None

    def places(self, *, swapped: bool) -> list[int]:
        """Return where in a stored record each byte of a record is."""
        out: list[int] = []
        for _, dtype, shape in self.fields:
            one = dtype.places(swapped=swapped)
            for _ in range(prod(shape)):
                start = len(out)
                out += [start + place for place in one]
        return out

    def native(self) -> Struct:
        """Return this data type with all fields in native byte order."""
        fields = tuple((name, dtype.native(), shape) for name, dtype, shape in self.fields)
        return self if fields == self.fields else Struct(fields=fields, legacy=self.legacy)

    def to_v3(self) -> str | dict[str, Any]:
        """Return the ``data_type`` member of a ``zarr.json``.

        Raise DataTypeValidationError if a field is a subarray, which format 3 does not have.
        """
        for name, _, shape in self.fields:
            if shape:
                msg = (
                    f"field {name!r} is a subarray of shape {shape}, which format 3 does not "
                    "support; use format 2, or one field for each element"
                )
                raise DataTypeValidationError(msg)
        fields = [{"name": name, "data_type": dtype.to_v3()} for name, dtype, _ in self.fields]
        return {"name": self.name, "configuration": {"fields": fields}}

    def to_v2(self) -> str | list[Any]:
        """Return the ``dtype`` member of a ``.zarray``: a list of fields."""
        return [
            [name, dtype.to_v2(), list(shape)] if shape else [name, dtype.to_v2()]
            for name, dtype, shape in self.fields
        ]

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        if zarr_format == 2:
            return to_base64(np.asarray(fill, self.numpy).tobytes())
        return {name: dtype.fill_to_json(fill[name], zarr_format) for name, dtype, _ in self.fields}

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and (is_zero(value) or value == ""):
            return np.zeros((), self.numpy)[()]
        if isinstance(value, str):
            data = from_base64(value)
            if data is None or len(data) != self.itemsize:
                self._refuse(value, f"expected base64 of {self.itemsize} bytes", where)
            # Format 3 leaves the byte order of base64 unspecified; its writers used little-endian.
            stored = self.numpy if zarr_format == 2 else self.numpy.newbyteorder("<")
            return self.cleared(np.frombuffer(data, stored).astype(self.numpy))[0]
        names = {name for name, _, _ in self.fields}
        if not isinstance(value, dict) or set(value) != names:
            asked = f"expected an object with a value for each field ({', '.join(sorted(names))})"
            self._refuse(value, asked, where)
        out = np.zeros((), self.numpy)
        for name, dtype, shape in self.fields:
            if shape:
                msg = f"field {name!r} is a subarray, so the fill value must be in base64"
                raise MetadataError(msg, where)
            out[name] = dtype.fill_from_json(value[name], 3, f"{where}.{name}")
        return out[()]

    def _cast(self, value: Any) -> Any:
        if is_zero(value) or (isinstance(value, (bytes, str)) and not value):
            return np.zeros((), self.numpy)[()]
        if isinstance(value, np.void) and value.dtype.names is not None:
            value = tuple(value[name] for name in value.dtype.names)
        if isinstance(value, Mapping):
            if set(value) != {name for name, _, _ in self.fields}:
                msg = f"expected the fields {', '.join(name for name, _, _ in self.fields)}"
                raise ValueError(msg)
            value = tuple(value[name] for name, _, _ in self.fields)
        if isinstance(value, list):
            value = tuple(value)
        if not isinstance(value, tuple):
            value = (value,) * len(self.fields)
        if len(value) != len(self.fields):
            msg = f"expected {len(self.fields)} values, one for each field, got {len(value)}"
            raise ValueError(msg)
        out = np.zeros((), self.numpy)
        for (name, dtype, shape), item in zip(self.fields, value, strict=True):
            out[name] = _cast_all(dtype, shape, item) if shape else dtype.cast_fill(item)
        return out[()]


def _masks(fields: Iterable[tuple[str, DataType, tuple[int, ...]]]) -> bytes:
    """Return the significant bits of each byte of a record, or no bytes if all are."""
    if not any(dtype.masks for _, dtype, _ in fields):
        return b""
    each = ((dtype.masks or b"\xff" * dtype.numpy.itemsize, shape) for _, dtype, shape in fields)
    return b"".join(masks * prod(shape) for masks, shape in each)


def _cast_all(dtype: DataType, shape: tuple[int, ...], value: Any) -> Any:
    if dtype.numpy.names is None:
        # Elements are cast singly, because converting an array of integers would wrap around.
        items = np.broadcast_to(np.asarray(value), shape).flat
        value = np.array([dtype.cast_fill(item) for item in items], dtype.numpy).reshape(shape)
    return value


def struct_from_v3(
    name: str, config: dict[str, Any], where: str, from_v3: Callable[[Any, str], DataType]
) -> Struct:
    """Return the data type of a ``struct`` or ``structured`` configuration, located at ``where``.

    ``from_v3`` parses the data type of a field. Raise DataTypeValidationError, naming ``where``.
    """
    entries = check_members(config, {"fields": True}, where, DataTypeValidationError)["fields"]
    inside = member(where, "fields")
    if not isinstance(entries, list) or not entries:
        msg = f"expected a list of at least one field, got {show(entries)}"
        raise DataTypeValidationError(msg, inside)
    fields: list[Field] = []
    for i, entry in enumerate(entries):
        here = f"{inside}[{i}]"
        if isinstance(entry, dict) and set(entry) == {"name", "data_type"}:
            field, json, there = entry["name"], entry["data_type"], f"{here}.data_type"
        elif isinstance(entry, list) and len(entry) == 2:
            field, json, there = *entry, f"{here}[1]"
        else:
            msg = f"expected an object with name and data_type, got {show(entry)}"
            raise DataTypeValidationError(msg, here)
        if not isinstance(field, str) or not field:
            msg = f"a field name must be a non-empty string, not {show(field)}"
            raise DataTypeValidationError(msg, here)
        dtype = from_v3(json, there)
        if dtype.itemsize is None:
            msg = f"field {field!r} of a record has a variable length ({dtype.name})"
            raise DataTypeValidationError(msg, there)
        fields.append((field, dtype))
    return placed(lambda: Struct(fields=fields, legacy=name == "structured"), inside)


def struct_from_v2(
    entries: list[Any], where: str, from_v2: Callable[[Any, str], DataType]
) -> Struct:
    """Return the data type of a list of fields in a ``.zarray``.

    ``from_v2`` parses the dtype of a field. Raise DataTypeValidationError, naming ``where``.
    """
    fields: list[Field] = []
    for i, entry in enumerate(entries):
        here = f"{where}[{i}]"
        if not isinstance(entry, list) or len(entry) not in (2, 3) or not isinstance(entry[0], str):
            msg = f"expected a list [name, dtype] or [name, dtype, shape], got {show(entry)}"
            raise DataTypeValidationError(msg, here)
        shape = entry[2] if len(entry) == 3 else []
        shape = [shape] if type(shape) is int else shape
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
            msg = f"expected a list of positive integers, got {show(shape)}"
            raise DataTypeValidationError(msg, f"{here}[2]")
        fields.append((entry[0], from_v2(entry[1], f"{here}[1]"), tuple(shape)))
    return placed(lambda: Struct(fields=fields), where)
