"""Datasets of h5py as array-like data with the data types of this package.

Rules of this file:

* h5py is not imported unless its objects are passed.
* What Zarr cannot represent raises TypeError with the reason, before any element is read. Values
  are never replaced: text that is not valid UTF-8 raises an error that names the element.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.errors import CopyError

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES = (bytes, "bytes", "variable_length_bytes")


def is_h5py(node: Any) -> bool:
    """Whether a node is one of h5py."""
    return type(node).__module__.startswith("h5py.")


def from_h5py(data: Any, dtype: Any = None) -> Any:
    """Return a dataset of h5py as a ``Dataset``, and any other data as it is.

    Text becomes variable-length text, or bytes if ``dtype`` is bytes. Raise TypeError if no data
    type of this package can represent its elements.
    """
    if not is_h5py(data) or not hasattr(data, "id"):
        return data
    return Dataset(data, as_bytes=isinstance(dtype, type | str) and dtype in _BYTES)


class Dataset:
    """A dataset of h5py, whose elements are converted when they are read."""

    def __init__(self, source: Any, *, as_bytes: bool = False) -> None:
        """Initialise; raise TypeError if its elements cannot be represented."""
        self.source = source
        if source.shape is None:
            msg = "it is empty (h5py.Empty): it has no shape and no elements"
            raise TypeError(msg)
        # An element may be an array itself, of one shape: its axes become the last ones.
        base, inner = source.dtype.subdtype or (source.dtype, ())
        self.shape: tuple[int, ...] = source.shape + inner
        self.chunks: tuple[int, ...] | None = source.chunks and source.chunks + inner
        #: The keywords that create an array for these elements.
        self.words: dict[str, Any] = {}
        self.dtype, self._convert = self._converter(base, as_bytes=as_bytes)

    def __getitem__(self, selection: Any) -> Any:
        """Return elements; raise ``CopyError`` if they cannot be read or converted."""
        try:
            if len(self.shape) == len(self.source.shape):
                found = self.source[selection]
            else:
                found = self.source[...][selection]
        except (OSError, RuntimeError, TypeError) as error:
            msg = f"the dataset {self.source.name!r} cannot be read: {error}"
            if "plugin" in msg:
                msg += "; its compression may be one of the package hdf5plugin: import that first"
            raise CopyError(msg) from error
        return found if self._convert is None else self._convert(found)

    @property
    def fill_value(self) -> Any:
        """The fill value of the file, converted, or None if it has none that is usable."""
        try:
            found = self.source.fillvalue
        except RuntimeError:  # declared as undefined
            return None
        if self.source.dtype.subdtype is not None:
            return None
        if self.dtype.kind != "T":
            return found if self.dtype.kind != "O" else None
        return "" if found is None else _decode(found, ())

    def _converter(
        self, dtype: np.dtype[Any], *, as_bytes: bool
    ) -> tuple[np.dtype[Any], Callable[[Any], Any] | None]:
        """Return the data type of the elements as read, and what converts them."""
        import h5py  # type: ignore[import-untyped,unused-ignore]

        text = h5py.check_string_dtype(dtype)
        if text is not None and text.length is None:
            if as_bytes:
                self.words["dtype"] = "bytes"
                return np.dtype(object), None
            self.words["dtype"] = str
            return np.dtypes.StringDType(), _decode_all
        if h5py.check_ref_dtype(dtype) is not None:
            msg = "its elements are references to other objects of the file"
            raise TypeError(msg)
        ragged = h5py.check_vlen_dtype(dtype)
        if ragged == np.uint8:
            self.words["dtype"] = "bytes"
            return np.dtype(object), _to_bytes
        if ragged is not None:
            if ragged.kind not in "biufcSMm":
                msg = f"its elements are arrays, of different lengths, of the data type {ragged}"
                raise TypeError(msg)
            if not ragged.isnative:
                # Seen with h5py 3.16: 1 of `>u4` is read as 16777216.
                msg = f"its elements are arrays of the byte order of {ragged}, which h5py misreads"
                raise TypeError(msg)
            from numcodecs import VLenArray

            self.words |= {"dtype": object, "object_codec": VLenArray(ragged)}
            return np.dtype(object), None
        if dtype.hasobject:
            msg = f"its data type {dtype} has fields of variable length or of references"
            raise TypeError(msg)
        if dtype.names is None:
            # A type without h5py's metadata, such as the names of an enumeration.
            return np.dtype(dtype.str), None
        from numpy.lib.recfunctions import repack_fields

        packed: np.dtype[Any] = repack_fields(dtype, align=False, recurse=True)  # type: ignore[no-untyped-call,unused-ignore]
        return packed, lambda found: np.asarray(found, packed)


def _to_bytes(found: Any) -> Any:
    if found.dtype != object:
        return found.tobytes()  # a single element
    made = np.empty(found.shape, object)
    for at in np.ndindex(found.shape):
        made[at] = found[at].tobytes()
    return made


def _decode_all(found: Any) -> Any:
    values = np.asarray(found, dtype=object)
    texts = [_decode(values[at], at) for at in np.ndindex(values.shape)]
    return np.array(texts, dtype=np.dtypes.StringDType()).reshape(values.shape)


def _decode(value: Any, at: tuple[int, ...]) -> str:
    try:
        return value if isinstance(value, str) else value.decode()
    except UnicodeDecodeError:
        msg = (
            f"the text {value!r}, at {at} of the part that was read, is not valid UTF-8; "
            "dtype=bytes copies it as bytes"
        )
        raise CopyError(msg) from None
