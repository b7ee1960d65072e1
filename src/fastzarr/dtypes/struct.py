"""Records of named fields.

Rules of this file:

* Fields are packed: no gap between them, in storage and in memory, whatever the dtype given had.
* A field has a fixed size. It may be a record itself and, in format 2, an array of fixed shape.
* Format 3 is written as ``struct`` with a fill value for each field. What was written before, as
  ``structured`` with pairs and base64, is read; format 2 writes base64 of the record's bytes.

Source: ``struct`` and ``structured`` of zarr-extensions, and the Zarr 2 specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.dtypes.base import (
    DataType,
    from_base64,
    is_zero,
    members,
    short,
    to_base64,
)
from fastzarr.errors import DataTypeValidationError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Field = tuple[str, DataType] | tuple[str, DataType, tuple[int, ...]]


class Struct(DataType):
    """Hold records of named fields, each with a data type of its own.

    ``fields`` holds ``(name, data type, shape)``, where the shape is ``()`` but for subarrays.
    ``legacy`` tells that a document called it ``structured``, whose bytes may lack a stated byte
    order and are little-endian then; it does not count for equality.

    >>> from fastzarr.dtypes import Float64, Int32
    >>> Struct(fields=(("id", Int32()), ("value", Float64()))).itemsize
    12
    """

    fields: tuple[tuple[str, DataType, tuple[int, ...]], ...]
    legacy: bool

    def __init__(self, *, fields: Iterable[Field], legacy: bool = False) -> None:
        """Pack the fields into a record; a DataTypeValidationError says why that cannot be."""
        triples = [(f[0], f[1], tuple(f[2]) if len(f) == 3 else ()) for f in fields]
        if not triples:
            msg = "a record needs at least one field"
            raise DataTypeValidationError(msg)
        for name, dtype, _ in triples:
            if dtype.itemsize is None:
                msg = f"field {name!r} of a record has a variable length ({dtype.name})"
                raise DataTypeValidationError(msg)
        try:
            numpy = np.dtype([(name, dtype.numpy, shape) for name, dtype, shape in triples])
        except (TypeError, ValueError, OverflowError) as error:
            msg = f"no record can be made of the fields {short([t[0] for t in triples])}: {error}"
            raise DataTypeValidationError(msg) from None
        super().__init__(numpy, "struct", multibyte=any(t[1].multibyte for t in triples))
        # Format 2 allows a field without a name; NumPy gives it one.
        names = numpy.names or ()
        kept = tuple((name, t[1], t[2]) for name, t in zip(names, triples, strict=True))
        self.__dict__.update(fields=kept, legacy=legacy)

    def _key(self) -> tuple[object, ...]:
        return (self.fields,)

    def __repr__(self) -> str:
        """Show the fields."""
        return f"Struct({self.numpy.descr})"

    @property
    def default_fill(self) -> Any:
        """Give the record of the default of each field."""
        out = np.zeros((), self.numpy)
        for name, dtype, _ in self.fields:
            out[name] = dtype.default_fill
        return out[()]

    def native(self) -> Struct:
        """Give the same record with all fields in the byte order of this machine."""
        fields = tuple((name, dtype.native(), shape) for name, dtype, shape in self.fields)
        return self if fields == self.fields else Struct(fields=fields, legacy=self.legacy)

    def to_v3(self) -> str | dict[str, Any]:
        """Give the ``data_type`` member of a ``zarr.json``; a subarray has none."""
        for name, _, shape in self.fields:
            if shape:
                msg = (
                    f"field {name!r} is an array of shape {shape}, which format 3 cannot say; "
                    "use format 2, or one field for each element"
                )
                raise DataTypeValidationError(msg)
        fields = [{"name": name, "data_type": dtype.to_v3()} for name, dtype, _ in self.fields]
        return {"name": self.name, "configuration": {"fields": fields}}

    def to_v2(self) -> str | list[Any]:
        """Give the ``dtype`` member of a ``.zarray``."""
        return [
            [name, dtype.to_v2(), list(shape)] if shape else [name, dtype.to_v2()]
            for name, dtype, shape in self.fields
        ]

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        if zarr_format == 2:
            return to_base64(np.asarray(fill, self.numpy).tobytes())
        return {name: dtype.fill_to_json(fill[name], zarr_format) for name, dtype, _ in self.fields}

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return np.zeros((), self.numpy)[()]
        if isinstance(value, str):
            data = from_base64(value)
            if data is None or len(data) != self.itemsize:
                self._refuse(value, f"base64 of {self.itemsize} bytes is wanted", where)
            # Format 3 leaves the byte order of base64 unsaid; its writers were little-endian.
            stored = self.numpy if zarr_format == 2 else self.numpy.newbyteorder("<")
            return np.frombuffer(data, stored).astype(self.numpy)[0]
        names = {name for name, _, _ in self.fields}
        if not isinstance(value, dict) or set(value) != names:
            asked = f"an object with a value for each field ({', '.join(sorted(names))}) is wanted"
            self._refuse(value, asked, where)
        out = np.zeros((), self.numpy)
        for name, dtype, shape in self.fields:
            if shape:
                msg = f"field {name!r} is an array, whose fill value only base64 can say"
                raise MetadataError(msg, where)
            out[name] = dtype.fill_from_json(value[name], 3, f"{where}.{name}")
        return out[()]

    def _cast(self, value: Any) -> Any:
        if is_zero(value):
            return np.zeros((), self.numpy)[()]
        if isinstance(value, np.void) and value.dtype.names is not None:
            value = tuple(value[name] for name in value.dtype.names)
        if isinstance(value, Mapping):
            if set(value) != {name for name, _, _ in self.fields}:
                msg = f"the fields are {', '.join(name for name, _, _ in self.fields)}"
                raise ValueError(msg)
            value = tuple(value[name] for name, _, _ in self.fields)
        if isinstance(value, list):
            value = tuple(value)
        if not isinstance(value, tuple):
            value = (value,) * len(self.fields)
        if len(value) != len(self.fields):
            msg = f"{len(self.fields)} fields are wanted, and {len(value)} values given"
            raise ValueError(msg)
        out = np.zeros((), self.numpy)
        for (name, dtype, shape), item in zip(self.fields, value, strict=True):
            out[name] = _cast_all(dtype, shape, item) if shape else dtype.cast_fill(item)
        return out[()]


def _cast_all(dtype: DataType, shape: tuple[int, ...], value: Any) -> Any:
    if dtype.numpy.names is None:
        # One by one, since a whole array of integers would wrap around.
        items = np.broadcast_to(np.asarray(value), shape).flat
        value = np.array([dtype.cast_fill(item) for item in items], dtype.numpy).reshape(shape)
    return value


def struct_from_v3(
    name: str, config: dict[str, Any], where: str, from_v3: Callable[[Any, str], DataType]
) -> Struct:
    """Make the data type of ``struct`` or ``structured``, whose fields ``from_v3`` reads."""
    (entries,) = members(name, config, ("fields",), where)
    inside = f"{where}.configuration.fields"
    if not isinstance(entries, list) or not entries:
        msg = f"a list of at least one field is wanted, not {short(entries)}"
        raise DataTypeValidationError(msg, inside)
    fields: list[Field] = []
    for i, entry in enumerate(entries):
        here = f"{inside}[{i}]"
        if isinstance(entry, dict) and set(entry) == {"name", "data_type"}:
            field, json, there = entry["name"], entry["data_type"], f"{here}.data_type"
        elif isinstance(entry, list) and len(entry) == 2:
            field, json, there = *entry, f"{here}[1]"
        else:
            msg = f"an object with name and data_type is wanted, not {short(entry)}"
            raise DataTypeValidationError(msg, here)
        if not isinstance(field, str) or not field:
            msg = f"the name of a field is text and not empty, unlike {short(field)}"
            raise DataTypeValidationError(msg, here)
        dtype = from_v3(json, there)
        if dtype.itemsize is None:
            msg = f"field {field!r} has a variable length ({dtype.name}), which no record can hold"
            raise DataTypeValidationError(msg, there)
        fields.append((field, dtype))
    return _placed(fields, inside, legacy=name == "structured")


def struct_from_v2(
    entries: list[Any], where: str, from_v2: Callable[[Any, str], DataType]
) -> Struct:
    """Make the data type of a list of fields in a ``.zarray``, which ``from_v2`` reads."""
    fields: list[Field] = []
    for i, entry in enumerate(entries):
        here = f"{where}[{i}]"
        if not isinstance(entry, list) or len(entry) not in (2, 3) or not isinstance(entry[0], str):
            msg = f"a list [name, dtype] or [name, dtype, shape] is wanted, not {short(entry)}"
            raise DataTypeValidationError(msg, here)
        shape = entry[2] if len(entry) == 3 else []
        shape = [shape] if type(shape) is int else shape
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
            msg = f"a list of positive integers is wanted, not {short(shape)}"
            raise DataTypeValidationError(msg, f"{here}[2]")
        fields.append((entry[0], from_v2(entry[1], f"{here}[1]"), tuple(shape)))
    return _placed(fields, where)


def _placed(fields: list[Field], where: str, *, legacy: bool = False) -> Struct:
    try:
        return Struct(fields=fields, legacy=legacy)
    except DataTypeValidationError as error:
        raise DataTypeValidationError(str(error), where) from None
