"""The base class of all data types, and the rules that every family follows.

A data type maps between its name in Zarr metadata, a NumPy dtype, and the JSON form of one value
(the fill value).

Rules of this file:

* Data types are immutable. Two are equal if they describe the same stored bytes.
* Format 3 documents are parsed strictly; format 2 documents are parsed as NumPy would, because
  their writers relied on NumPy. Neither accepts a value that the type cannot represent.
* An invalid document raises ``MetadataError`` with the location of the fault. An invalid argument
  raises the error that assigning it in NumPy raises, and the message names ``fill_value``.
* Elements are compared with the fill value by their bytes: -0.0 differs from 0.0, and a NaN equals
  a NaN with the same bits.

Sources: the data types of the Zarr 3 core specification and of zarr-extensions, and the Zarr 2
specification.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, ClassVar, Literal, NamedTuple, NoReturn, Self

import numpy as np

from fastzarr.buffers import empty
from fastzarr.checked import check_members, show
from fastzarr.config import config
from fastzarr.errors import DataTypeValidationError, LimitError, MetadataError

ORDERS: dict[str | None, Literal["<", ">", "="]] = {"little": "<", "big": ">", None: "="}
_WORDS: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def check_element(size: int) -> None:
    """Raise ``LimitError`` if an element of ``size`` bytes exceeds ``limits.element_bytes``."""
    most = config.flat["limits.element_bytes"]
    if size > most:
        msg = f"an element of {size} bytes exceeds {most} (setting limits.element_bytes)"
        raise LimitError(msg)


class Lookup(NamedTuple):
    """The functions that find the data type of a NumPy dtype and of the JSON of a format."""

    from_numpy: Callable[..., DataType]
    from_v2: Callable[..., DataType]
    from_v3: Callable[..., DataType]


class DataType:
    """The type of an array's elements: in memory, in storage, and in metadata.

    ``numpy`` is the dtype in memory. ``name`` is the name in format 3. ``itemsize`` is the size of
    one stored element in bytes, or None if elements vary in length. ``multibyte`` is True if byte
    order matters. ``masks`` has the significant bits of each byte of a stored element, or is empty
    if all are; the other bits are arbitrary in storage and zero in memory. ``legacy`` is True if
    documents may omit the byte order of this type and then mean little-endian.

    >>> from fastzarr.dtypes.parse import from_numpy
    >>> t = from_numpy("<M8[10ms]")
    >>> t.name, t.itemsize, t.to_v2()
    ('numpy.datetime64', 8, '<M8[10ms]')
    """

    numpy: np.dtype[Any]
    name: str
    itemsize: int | None
    multibyte: bool
    masks: bytes = b""
    legacy: bool = False
    #: The numcodecs id of the codec that format 2 stores the elements with, if they are objects.
    object_codec_id: str | None = None
    #: The functions that know all families; ``parse.py`` provides them.
    lookup: ClassVar[Lookup]

    def __init__(
        self,
        numpy: np.dtype[Any],
        name: str,
        *,
        multibyte: bool,
        variable: bool = False,
        **members: Any,
    ) -> None:
        """Initialise the attributes, and those that a subclass adds in ``members``.

        ``variable`` means that elements vary in length.
        """
        itemsize = None if variable else numpy.itemsize
        vars(self).update(members, numpy=numpy, name=name, itemsize=itemsize, multibyte=multibyte)

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Self:
        """Return the data type with the ``configuration`` object of a format 3 document.

        ``where`` is the location of that object. This method is that of types without a
        configuration. Raise ``DataTypeValidationError``, naming the member at fault, if a member is
        unknown, missing or invalid.

        >>> from fastzarr.dtype import Int16
        >>> Int16.from_config({}, "data_type").name
        'int16'
        """
        check_members(config, {}, where, DataTypeValidationError)
        return cls()  # type: ignore[call-arg]  # such a type can be made without arguments

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Raise AttributeError: data types are immutable."""
        msg = f"cannot set {name!r}: data types are immutable"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        """Raise AttributeError: data types are immutable."""
        msg = f"cannot delete {name!r}: data types are immutable"
        raise AttributeError(msg)

    def __eq__(self, other: object) -> bool:
        """Whether both describe the same values stored as the same bytes."""
        if not isinstance(other, DataType):
            return NotImplemented
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        """Return a hash of the members that ``__eq__`` compares."""
        return hash((type(self), self._key()))

    def __repr__(self) -> str:
        """Return the class name with the NumPy dtype string."""
        return f"{type(self).__name__}({self.numpy.str if self.itemsize else self.name!r})"

    def _key(self) -> tuple[object, ...]:
        return (self.name, self.numpy)

    @property
    def mask(self) -> int | None:
        """The significant bits of every byte of an element; None if all are, or if bytes differ.

        >>> from fastzarr.dtypes import from_numpy
        >>> from_numpy("uint4").mask, from_numpy("uint8").mask
        (15, None)
        """
        return self.masks[0] if len(set(self.masks)) == 1 else None

    @property
    def number_size(self) -> int | None:
        """The size in bytes of the numbers in an element, each of which has a byte order.

        It is None if an element has numbers of several sizes.

        >>> from fastzarr.dtypes import from_numpy
        >>> from_numpy("complex64").number_size, from_numpy([("a", "i4"), ("b", "f8")]).number_size
        (4, None)
        """
        return self.itemsize

    def places(self, *, swapped: bool) -> list[int]:
        """Return where in a stored element each byte of an element is.

        ``swapped`` means that numbers are stored in the other byte order.

        >>> from fastzarr.dtypes import from_numpy
        >>> from_numpy([("a", "u2"), ("b", "u1")]).places(swapped=True)
        [1, 0, 2]
        """
        size = (self.number_size or 1) if swapped else 1
        return [at - 2 * (at % size) + size - 1 for at in range(self.numpy.itemsize)]

    def cleared(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return an array with zero for all bits that are not significant.

        The result is the array itself if all bits are.

        >>> from fastzarr.dtypes import from_numpy
        >>> uint4 = from_numpy("uint4")
        >>> uint4.cleared(np.array([0xF3], "u1").view(uint4.numpy)).view("u1").tolist()
        [3]
        """
        if not self.masks or not array.size:
            return array
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        kept = flat.reshape(-1, len(self.masks)) & np.frombuffer(self.masks, np.uint8)
        cleared: np.ndarray[Any, Any] = kept.reshape(-1).view(array.dtype).reshape(array.shape)
        return cleared

    @property
    def default_fill(self) -> Any:
        """The fill value used if none is given: zero.

        >>> from fastzarr.dtype import Int16
        >>> int(Int16().default_fill)
        0
        """
        return np.zeros((), self.numpy)[()]

    @property
    def undefined(self) -> Any:
        """What elements that were never written read as if the fill value is undefined.

        >>> from fastzarr.dtype import Int16
        >>> int(Int16().undefined)
        0
        """
        return self.default_fill

    def native(self) -> Self:
        """Return this data type in native byte order, the only one in memory for format 3.

        >>> from fastzarr.dtypes import from_numpy
        >>> from_numpy(">i2").native().numpy
        dtype('int16')
        """
        numpy = self.numpy.newbyteorder("=")
        if numpy == self.numpy:
            return self
        new = copy(self)
        vars(new).update(numpy=numpy)
        return new

    def to_v3(self) -> str | dict[str, Any]:
        """Return the ``data_type`` member of a ``zarr.json``.

        >>> from fastzarr.dtype import Int16
        >>> Int16().to_v3()
        'int16'
        """
        return self.name

    def to_v2(self) -> str | list[Any]:
        """Return the ``dtype`` member of a ``.zarray``.

        >>> from fastzarr.dtype import Int8
        >>> Int8().to_v2()
        '|i1'
        """
        return self.numpy.str

    # The names of zarr-python 3 for what is defined above and below.

    @classmethod
    def from_native_dtype(cls, dtype: Any) -> Self:
        """Return the data type of this class for a NumPy dtype, in its byte order.

        Raise DataTypeValidationError if the dtype is that of another class.

        >>> from fastzarr.dtypes import Int16
        >>> Int16.from_native_dtype(np.dtype(">i2")).endianness
        'big'
        """
        return cls._mine(DataType.lookup.from_numpy(dtype, object_codec_id=cls.object_codec_id))

    @classmethod
    def from_json(cls, data: Any, *, zarr_format: int) -> Self:
        """Return the data type of this class from its JSON in the documents of a format.

        Format 2 has the name itself, or what ``to_json`` returns. Raise DataTypeValidationError if
        the JSON is that of another class, or invalid.

        >>> from fastzarr.dtypes import Int16
        >>> Int16.from_json("int16", zarr_format=3)
        Int16('<i2')
        """
        if zarr_format != 2:
            return cls._mine(DataType.lookup.from_v3(data))
        codec = cls.object_codec_id
        if isinstance(data, Mapping):
            codec = data.get("object_codec_id") or codec
            data = data.get("name")
        return cls._mine(DataType.lookup.from_v2(data, object_codec_id=codec))

    @classmethod
    def _mine(cls, found: DataType) -> Self:
        if not isinstance(found, cls):
            msg = f"{found.name} is a {type(found).__name__}, not a {cls.__name__}"
            raise DataTypeValidationError(msg)
        return found

    @property
    def endianness(self) -> Literal["little", "big"] | None:
        """The byte order of elements in memory, or None if they have none.

        >>> from fastzarr.dtypes import from_numpy
        >>> from_numpy(">i2").endianness
        'big'
        """
        if not self.multibyte or self.numpy.names is not None:
            return None
        little = self.numpy.newbyteorder("<") == self.numpy
        return "little" if little else "big"

    @property
    def item_size(self) -> int | None:
        """The size of one stored element in bytes; same as ``itemsize``.

        >>> from fastzarr.dtype import Int16
        >>> Int16().item_size
        2
        """
        return self.itemsize

    def to_native_dtype(self) -> np.dtype[Any]:
        """Return the dtype in memory; same as ``numpy``.

        >>> from fastzarr.dtype import Int16
        >>> Int16().to_native_dtype()
        dtype('int16')
        """
        return self.numpy

    def to_json(self, zarr_format: int) -> Any:
        """Return the JSON of the data type in the documents of a format.

        That of format 2 is a mapping of ``name``, the ``dtype`` of the document, and
        ``object_codec_id``, the id of its first filter if the elements are objects.

        >>> from fastzarr.dtype import Int8
        >>> Int8().to_json(3)
        'int8'
        """
        if zarr_format == 2:
            return {"name": self.to_v2(), "object_codec_id": self.object_codec_id}
        return self.to_v3()

    def default_scalar(self) -> Any:
        """Return the default fill value; same as ``default_fill``.

        >>> from fastzarr.dtype import Int16
        >>> int(Int16().default_scalar())
        0
        """
        return self.default_fill

    def cast_scalar(self, data: Any) -> Any:
        """Return a value as a scalar of this type; same as ``cast_fill``.

        >>> from fastzarr.dtype import Int16
        >>> int(Int16().cast_scalar(5.0))
        5
        """
        return self.cast_fill(data)

    def to_json_scalar(self, data: Any, *, zarr_format: int) -> Any:
        """Return a value as the JSON of a fill value.

        >>> from fastzarr.dtype import Float32
        >>> Float32().to_json_scalar(float("nan"), zarr_format=3)
        'NaN'
        """
        return self.fill_to_json(self.cast_fill(data), zarr_format)

    def from_json_scalar(self, data: Any, *, zarr_format: int) -> Any:
        """Return the scalar of the JSON of a fill value.

        >>> from fastzarr.dtype import Float32
        >>> float(Float32().from_json_scalar("-Infinity", zarr_format=3))
        -inf
        """
        return self.fill_from_json(data, zarr_format, "fill_value")

    def fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        """Return a fill value as JSON. None (undefined, format 2 only) is returned as None.

        >>> from fastzarr.dtype import Int16
        >>> Int16().fill_to_json(5, 3)
        5
        """
        return None if fill is None else self._fill_to_json(fill, zarr_format)

    def fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        """Parse a fill value from JSON into a scalar of the dtype ``numpy``.

        A format 2 null is returned as None: the fill value is undefined. Raise MetadataError,
        naming ``where``, if the JSON is malformed or the data type cannot represent the value.

        >>> from fastzarr.dtype import Int16
        >>> int(Int16().fill_from_json(5, 3, "fill_value"))
        5
        """
        if value is None:
            if zarr_format == 2:
                return None
            msg = f"null is not a valid fill value for {self.name}; format 3 requires a value"
            raise MetadataError(msg, where)
        return self._fill_from_json(value, zarr_format, where)

    def stored_fill(self, value: Any, zarr_format: int) -> Any:
        """Return a user's ``fill_value`` as ``cast_fill`` does, as it is read from a document.

        Format 2 has one NaN only, and JSON has lists, but no tuples.

        >>> from fastzarr.dtype import Int16
        >>> int(Int16().stored_fill(5, 3))
        5
        """
        fill = self.cast_fill(value)
        return self.fill_from_json(self.fill_to_json(fill, zarr_format), zarr_format, "fill_value")

    def cast_fill(self, value: Any) -> Any:
        """Convert a user's ``fill_value`` argument to a scalar of the dtype ``numpy``.

        The value is converted as by assignment in NumPy, but never wraps around: an integer out of
        range raises OverflowError. None selects ``default_fill``. Raise TypeError or ValueError if
        the value cannot be converted.

        >>> from fastzarr.dtype import Bool
        >>> bool(Bool().cast_fill(1))
        True
        """
        if value is None:
            return self.default_fill
        try:
            if hasattr(value, "__array__"):
                value = one_value(value)
            if isinstance(value, np.generic) and value.dtype == self.numpy:
                # A conversion may change the bits of a NaN.
                return self.cleared(np.asarray(value))[()] if self.masks else value
            return self._cast(value)
        except OverflowError as error:
            raise OverflowError(self._complaint(value, error)) from error
        except TypeError as error:
            raise TypeError(self._complaint(value, error)) from error
        except ValueError as error:
            raise ValueError(self._complaint(value, error)) from error

    def checked(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return an array of objects as the data type stores it.

        Raise TypeError, naming the element, if it has one that cannot be stored.

        >>> import numpy as np
        >>> from fastzarr.dtype import VariableLengthBytes
        >>> VariableLengthBytes().checked(np.array([b"a", None], dtype=object)).tolist()
        [b'a', b'']
        """
        return array

    def is_fill(self, array: np.ndarray[Any, Any], fill: Any) -> bool:
        """Whether every element of ``array`` has exactly the significant bits of the fill value.

        The array has this data type in either byte order and any strides. The result is False if
        ``fill`` is None, and True if the array is empty.

        >>> import numpy as np
        >>> from fastzarr.dtype import Float32
        >>> Float32().is_fill(np.zeros(3, "f4"), np.float32(-0.0))
        False
        """
        if fill is None:
            return False
        if array.size == 0:
            return True
        pattern = empty((), array.dtype)
        pattern[()] = fill
        if self.masks:
            array, pattern = self.cleared(array), self.cleared(pattern)
        size = array.dtype.itemsize
        word = _WORDS.get(size)
        if word is not None:
            bits, one = array.view(word), pattern.view(word)[()]
            return bool(bits.item(0) == one) and bool((bits == one).all())
        index: tuple[Any, ...] = (*(slice(0, 1),) * array.ndim, ...)
        if array[index].tobytes() != pattern.tobytes():
            return False
        # The first element matches, so all do if each byte equals the one an element later.
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
        return f"fill_value {show(value)} is not valid for {self.name}: {error}"

    def _refuse(self, value: Any, asked: str, where: str) -> NoReturn:
        msg = f"{show(value)} is not a valid fill value for {self.name}; {asked}"
        raise MetadataError(msg, where)


def one_value(value: Any) -> Any:
    """Return the scalar of a zero-dimensional array; raise ValueError for other shapes."""
    array = np.asarray(value)
    if array.ndim:
        msg = f"expected a scalar, got an array of shape {array.shape}"
        raise ValueError(msg)
    return array[()]


def assign(dtype: np.dtype[Any], value: Any) -> Any:
    """Return ``value`` converted to ``dtype`` as by assignment to one element of an array."""
    if isinstance(value, (list, tuple, dict, set)):
        msg = f"expected a scalar, got a {type(value).__name__}"
        raise TypeError(msg)
    out = np.empty((), dtype)
    out[()] = value
    return out[()]


def is_zero(value: Any) -> bool:
    """Whether a value is the number 0, which zarr-python 2 wrote as an empty string or bytes."""
    return is_integer(value) and not isinstance(value, bool) and bool(value == 0)


def is_integer(value: Any) -> bool:
    """Whether a value is an integer; ``np.timedelta64``, a subclass of np.integer, is not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, np.timedelta64)


def to_base64(data: bytes) -> str:
    """Return bytes encoded in base64."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """Return the bytes decoded from base64, or None if the text is not valid base64."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
