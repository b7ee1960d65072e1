"""What a data type is, and the few rules that all families share.

A data type stands between three things: its name in Zarr metadata, a NumPy dtype, and the spelling
of one value (the fill value) in JSON.

Rules of this file:

* A data type never changes once made; two are equal when they mean the same stored bytes.
* Documents are judged strictly for format 3 and as NumPy would read them for format 2, whose
  writers always leaned on NumPy. Neither lets a value pass that the type cannot hold.
* What a document says wrong is a ``MetadataError`` with its place; what a user says wrong is the
  kind of error NumPy's own assignment gives, naming ``fill_value``.
* Equality with the fill value is equality of bytes. So -0.0 is not 0.0, and NaN equals itself.

Sources: the data types of the Zarr 3 core specification and of zarr-extensions, and the Zarr 2
specification.
"""

from __future__ import annotations

import binascii
from typing import Any, Literal, NoReturn, Self

import numpy as np

from fastzarr.errors import DataTypeValidationError, MetadataError

ORDERS: dict[str | None, Literal["<", ">", "="]] = {"little": "<", "big": ">", None: "="}
_WORDS: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class DataType:
    """Describe the elements of an array: in memory, in storage, and in metadata.

    ``numpy`` is the dtype in memory. ``name`` is the name in format 3. ``itemsize`` is the size of
    one stored element in bytes, None where it varies. ``multibyte`` tells whether byte order
    matters. ``mask``, where it is not None, holds the bits that count in the one stored byte of an
    element; the others may hold anything.

    >>> from fastzarr.dtypes import from_numpy
    >>> t = from_numpy("<M8[10ms]")
    >>> t.name, t.itemsize, t.to_v2()
    ('numpy.datetime64', 8, '<M8[10ms]')
    """

    numpy: np.dtype[Any]
    name: str
    itemsize: int | None
    multibyte: bool
    mask: int | None = None

    def __init__(
        self, numpy: np.dtype[Any], name: str, *, multibyte: bool, variable: bool = False
    ) -> None:
        """Set the four attributes that every data type has."""
        itemsize = None if variable else numpy.itemsize
        self.__dict__.update(numpy=numpy, name=name, itemsize=itemsize, multibyte=multibyte)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: a data type never changes."""
        msg = f"{name!r} cannot be set: a data type never changes"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        """Refuse: a data type never changes."""
        msg = f"{name!r} cannot be deleted: a data type never changes"
        raise AttributeError(msg)

    def __eq__(self, other: object) -> bool:
        """Tell whether both mean the same values and the same stored bytes."""
        if not isinstance(other, DataType):
            return NotImplemented
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        """Hash by what equality compares."""
        return hash((type(self), self._key()))

    def __repr__(self) -> str:
        """Show the family and the NumPy dtype."""
        return f"{type(self).__name__}({self.numpy.str if self.itemsize else self.name!r})"

    def _key(self) -> tuple[object, ...]:
        return (self.name, self.numpy)

    @property
    def default_fill(self) -> Any:
        """Give the value of elements nobody wrote where no fill value was named: zero."""
        return np.zeros((), self.numpy)[()]

    def native(self) -> Self:
        """Give the same data type in the byte order of this machine, as format 3 has it."""
        numpy = self.numpy.newbyteorder("=")
        if numpy == self.numpy:
            return self
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__, numpy=numpy)
        return new

    def to_v3(self) -> str | dict[str, Any]:
        """Give the ``data_type`` member of a ``zarr.json``."""
        return self.name

    def to_v2(self) -> str | list[Any]:
        """Give the ``dtype`` member of a ``.zarray``."""
        return self.numpy.str

    def fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        """Spell a fill value in JSON; None stays None (undefined, in format 2 only)."""
        return None if fill is None else self._fill_to_json(fill, zarr_format)

    def fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        """Read a fill value from JSON as a scalar of ``numpy``.

        In format 2 null is None: undefined. Raises MetadataError, naming ``where``, for what the
        data type cannot hold or does not spell so.
        """
        if value is None:
            if zarr_format == 2:
                return None
            msg = f"null is no fill value of {self.name}; format 3 asks for a value"
            raise MetadataError(msg, where)
        return self._fill_from_json(value, zarr_format, where)

    def cast_fill(self, value: Any) -> Any:
        """Convert what a user gave as ``fill_value=`` to a scalar of ``numpy``.

        Converts as NumPy does on assignment, save that nothing wraps: an integer out of range is an
        OverflowError. None is the default. Raises TypeError, ValueError or OverflowError.
        """
        if value is None:
            return self.default_fill
        try:
            if hasattr(value, "__array__"):
                value = one_value(value)
            return self._cast(value)
        except OverflowError as error:
            raise OverflowError(self._complaint(value, error)) from error
        except TypeError as error:
            raise TypeError(self._complaint(value, error)) from error
        except ValueError as error:
            raise ValueError(self._complaint(value, error)) from error

    def is_fill(self, array: np.ndarray[Any, Any], fill: Any) -> bool:
        """Tell whether every element of an array has exactly the bytes of the fill value.

        The array has this data type in either byte order, and any strides. None equals nothing.
        """
        if fill is None:
            return False
        if array.size == 0:
            return True
        pattern = np.asarray(fill, dtype=array.dtype)
        size = array.dtype.itemsize
        word = _WORDS.get(size)
        if word is not None:
            bits, one = array.view(word), pattern.view(word)[()]
            return bool(bits.item(0) == one) and bool((bits == one).all())
        index: tuple[Any, ...] = (*(slice(0, 1),) * array.ndim, ...)
        if array[index].tobytes() != pattern.tobytes():
            return False
        # With the first element known, all are equal if each byte equals the one an element later.
        width = next(w for w in (8, 4, 2, 1) if size % w == 0)
        flat, step = array.ravel(order="K").view(_WORDS[width]), size // width
        return bool((flat[step:] == flat[:-step]).all())

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        raise NotImplementedError

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        raise NotImplementedError

    def _cast(self, value: Any) -> Any:
        return assign(self.numpy, value)

    def _complaint(self, value: Any, error: Exception) -> str:
        return f"fill_value {short(value)} is not a value of {self.name}: {error}"

    def _refuse(self, value: Any, asked: str, where: str) -> NoReturn:
        msg = f"{short(value)} is no fill value of {self.name}; {asked}"
        raise MetadataError(msg, where)


def short(value: object) -> str:
    """Show a value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def one_value(value: Any) -> Any:
    """Take the one value of a zero-dimensional array; ValueError for any other."""
    array = np.asarray(value)
    if array.ndim:
        msg = f"one value is wanted, and this is an array of shape {array.shape}"
        raise ValueError(msg)
    return array[()]


def assign(dtype: np.dtype[Any], value: Any) -> Any:
    """Convert as NumPy does where a scalar is assigned to an element."""
    if isinstance(value, (list, tuple, dict, set)):
        msg = f"one value is wanted, not a {type(value).__name__}"
        raise TypeError(msg)
    out = np.empty((), dtype)
    out[()] = value
    return out[()]


def is_zero(value: Any) -> bool:
    """Tell whether a value is the number 0, the customary "nothing" of string types."""
    return is_integer(value) and not isinstance(value, bool) and bool(value == 0)


def is_integer(value: Any) -> bool:
    """Tell whether a value is an integer; NumPy counts its spans of time among them too."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, np.timedelta64)


def to_base64(data: bytes) -> str:
    """Spell bytes in base64."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """Read base64; None where the text is not base64."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return None


def named(json: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Split a data type in a format 3 document into its name and its configuration."""
    if isinstance(json, str):
        return json, {}
    if not isinstance(json, dict) or not isinstance(json.get("name"), str):
        msg = f"a data type is a name or an object with a name, not {short(json)}"
        raise DataTypeValidationError(msg, where)
    for key in json:
        if key not in ("name", "configuration", "must_understand"):
            msg = f"unknown member {short(key)} in data type {short(json['name'])}"
            raise DataTypeValidationError(msg, where)
    if not isinstance(json.get("must_understand", True), bool):
        msg = f"must_understand is true or false, not {short(json['must_understand'])}"
        raise DataTypeValidationError(msg, f"{where}.must_understand")
    config = json.get("configuration", {})
    if not isinstance(config, dict):
        msg = f"a configuration is an object, not {short(config)}"
        raise DataTypeValidationError(msg, f"{where}.configuration")
    return json["name"], config


def members(name: str, config: dict[str, Any], keys: tuple[str, ...], where: str) -> list[Any]:
    """Take exactly these members of a configuration, in this order."""
    where = f"{where}.configuration"
    for key in config:
        if key not in keys:
            msg = f"unknown member {short(key)} in the configuration of {name}"
            raise DataTypeValidationError(msg, where)
    for key in keys:
        if key not in config:
            msg = f"the configuration of {name} lacks {key!r}"
            raise DataTypeValidationError(msg, where)
    return [config[key] for key in keys]


def positive_int(value: Any, limit: int, where: str) -> int:
    """Take an exact integer from 1 to ``limit`` out of a document."""
    if type(value) is not int or not 1 <= value <= limit:
        msg = f"an integer from 1 to {limit} is wanted, not {short(value)}"
        raise DataTypeValidationError(msg, where)
    return value
