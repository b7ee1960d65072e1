"""Variable-length data types: text, bytes, and the Python objects of format 2.

Rules of this file:

* In memory, text is NumPy's ``StringDType``; bytes and objects are object arrays.
* The fill value 0 means the empty value: zarr-python 2 wrote it by default.
* Neither text nor bytes of variable length has a missing value in storage. None, NaN, NaT and
  ``pandas.NA`` are all stored as the empty value.
* An object equals the fill value only if it also has the same type, so that True differs from 1.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.checked import is_text, show
from fastzarr.dtypes.base import DataType, assign, from_base64, is_zero, to_base64
from fastzarr.dtypes.fixed import byte_list

if TYPE_CHECKING:
    from typing import Self

# The types of pandas.NA and pandas.NaT. The first has no truth value, so it cannot be compared.
_NOT_AVAILABLE = ("NAType", "NaTType")
_PLAIN = (int, float, str, bytes, bool)


class VariableLength(DataType):
    """Base class of the data types whose elements vary in length."""

    def native(self) -> Self:
        """Return self: these types have no byte order."""
        return self

    def to_v2(self) -> str | list[Any]:
        """Return the ``dtype`` member of a ``.zarray``: ``|O``; the first filter names the type."""
        return "|O"


class String(VariableLength):
    """Text of any length (NumPy's ``StringDType``).

    Source: ``string`` of zarr-extensions; in format 2, ``|O`` with the filter ``vlen-utf8``.

    >>> import fastzarr
    >>> fastzarr.array(["a", "longer"], dtype="string")[:].tolist()
    ['a', 'longer']
    """

    object_codec_id = "vlen-utf8"

    def __init__(self) -> None:
        """Initialise; the type has no parameters."""
        super().__init__(np.dtypes.StringDType(), "string", multibyte=False, variable=True)

    @property
    def default_fill(self) -> Any:
        """The fill value used if none is given: the empty string."""
        return ""

    def is_fill(self, array: np.ndarray[Any, Any], fill: Any) -> bool:
        """Whether every element of ``array`` equals the fill value; False if that is None."""
        if fill is None or array.size == 0:
            return fill is not None
        return bool(array.flat[0] == fill) and bool((array == fill).all())

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return str(fill)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2 and is_zero(value):
            return ""
        if not isinstance(value, str) or not is_text(value):
            self._refuse(value, "expected a string of valid Unicode", where)
        return value

    def _cast(self, value: Any) -> Any:
        if is_zero(value) or is_missing(value):
            return ""
        text = value.decode() if isinstance(value, bytes) else assign(np.dtype(object), value)
        text = str(text)
        text.encode()
        return text


class Bytes(VariableLength):
    """Bytes of any length, as ``bytes`` objects.

    Source: ``bytes`` of zarr-extensions; in format 2, ``|O`` with the filter ``vlen-bytes``.

    >>> import fastzarr
    >>> fastzarr.array([b"a", b"longer"], dtype="bytes")[:].tolist()
    [b'a', b'longer']
    """

    object_codec_id = "vlen-bytes"

    def __init__(self) -> None:
        """Initialise; the type has no parameters."""
        super().__init__(np.dtype(object), "bytes", multibyte=False, variable=True)

    @property
    def default_fill(self) -> Any:
        """The fill value used if none is given: empty bytes."""
        return b""

    def checked(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return an array of ``bytes`` objects; raise TypeError for what is not bytes."""
        items = array.ravel().tolist()
        if set(map(type, items)) <= {bytes}:
            return array
        out = np.empty(len(items), dtype=object)
        for place, item in enumerate(items):
            try:
                out[place] = plain_bytes(item)
            except TypeError as error:
                index = tuple(map(int, np.unravel_index(place, array.shape)))
                msg = f"element {index} of the value: {error}" if index else str(error)
                raise TypeError(msg) from None
        return out.reshape(array.shape)

    def is_fill(self, array: np.ndarray[Any, Any], fill: Any) -> bool:
        """Whether every element of ``array`` equals the fill value; False if that is None."""
        return fill is not None and all(element == fill for element in array.flat)

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        return to_base64(bytes(fill))

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        if zarr_format == 2:
            if is_zero(value):
                return b""
            if isinstance(value, str) and is_text(value) and from_base64(value) is None:
                return value.encode()
        data = byte_list(value)
        if data is None:
            self._refuse(value, "expected base64 or a list of integers from 0 to 255", where)
        return data

    def _cast(self, value: Any) -> Any:
        if is_zero(value):
            return b""
        if isinstance(value, str):
            return value.encode("ascii")
        if isinstance(value, np.void):
            return value.tobytes()
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        msg = f"expected bytes, got {type(value).__name__}"
        raise TypeError(msg)


class ObjectType(VariableLength):
    """Python objects, stored by an object codec (format 2 only).

    ``codec`` is the numcodecs id of that codec, such as ``"json2"``.
    """

    codec: str

    def __init__(self, codec: str) -> None:
        """Initialise with the numcodecs id of the object codec."""
        members = {"codec": codec, "object_codec_id": codec}
        super().__init__(np.dtype(object), "object", multibyte=False, variable=True, **members)

    def _key(self) -> tuple[object, ...]:
        return (self.codec,)

    def __repr__(self) -> str:
        """Return the class name with the id of the object codec."""
        return f"ObjectType({self.codec!r})"

    @property
    def default_fill(self) -> Any:
        """The fill value used if none is given: 0, as in ``np.zeros`` of objects.

        It is None, undefined, for the codec ``vlen-array``, whose objects are arrays.
        """
        return None if self.codec == "vlen-array" else 0

    @property
    def undefined(self) -> Any:
        """What elements that were never written read as if the fill value is undefined: None."""
        return None

    def to_v3(self) -> str | dict[str, Any]:
        """Raise TypeError: format 3 has no data type for Python objects."""
        # Not a MetadataError: the caller's request is at fault, not a document.
        msg = (
            "arrays of Python objects are supported in format 2 only; "
            "use zarr_format=2, or the data type string or bytes"
        )
        raise TypeError(msg)

    def is_fill(self, array: np.ndarray[Any, Any], fill: Any) -> bool:
        """Whether every element of ``array`` has the type and the value of the fill value.

        The result is False for fill values whose equality does not imply the same stored bytes.
        """
        kind = type(fill)
        # 0.0 equals -0.0, and NaN does not equal itself, so such chunks are always stored.
        if kind not in _PLAIN or (kind is float and (fill == 0 or math.isnan(fill))):
            return False
        return all(type(element) is kind and element == fill for element in array.flat)

    def cast_fill(self, value: Any) -> Any:
        """Return ``value`` with NumPy scalars converted to Python's; any object is valid."""
        if isinstance(value, np.generic):
            return value.item()
        return value

    def stored_fill(self, value: Any, zarr_format: int) -> Any:
        """Return ``value`` as JSON represents it: tuples become lists."""
        return json.loads(json.dumps(self.fill_to_json(self.cast_fill(value), zarr_format)))

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:  # noqa: ARG002
        if not _jsonable(fill):
            msg = f"fill_value {show(fill)} of an object array has no form in JSON; use None"
            raise TypeError(msg)
        return fill

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:  # noqa: ARG002
        return value


def _jsonable(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_jsonable(v) for v in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_text(k) and _jsonable(v) for k, v in value.items())
    if isinstance(value, str):
        return is_text(value)
    # NaN and infinity stay numbers: an object could itself be the string "NaN".
    return value is None or isinstance(value, (bool, int, float))


def is_missing(value: Any) -> bool:
    """Whether an object stands for a missing value: None, NaN, NaT or ``pandas.NA``.

    >>> is_missing(float("nan")), is_missing("nan")
    (True, False)
    """
    if value is None or type(value).__name__ in _NOT_AVAILABLE:
        return True
    return isinstance(value, (float, np.inexact, np.datetime64, np.timedelta64)) and bool(
        value != value  # noqa: PLR0124  (only what is missing differs from itself)
    )


def without_missing(objects: np.ndarray[Any, Any], marker: Any = None) -> np.ndarray[Any, Any]:
    """Return an array of objects in which what is missing, or is ``marker``, is the empty string.

    >>> without_missing(np.array(["a", float("nan")], object))
    array(['a', ''], dtype=object)
    """
    # Not by a universal function: some versions of NumPy warn if one compares a NaN.
    missing = [is_missing(item) or item is marker for item in objects.ravel().tolist()]
    if not any(missing):
        return objects
    return np.where(np.array(missing).reshape(objects.shape), "", objects)


def plain_bytes(item: Any) -> bytes:
    """Return the bytes stored for an object; raise TypeError if it has none."""
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    if is_missing(item):
        return b""
    if isinstance(item, np.void):
        return item.tobytes()
    msg = f"{show(item)} is not bytes"
    raise TypeError(msg)
