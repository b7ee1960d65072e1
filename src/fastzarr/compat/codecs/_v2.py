"""The filters and the compressor of a format 2 array, as one codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numcodecs.compat import ensure_bytes, ensure_ndarray_like

from fastzarr.compat.codecs._dress import ArrayBytesDress
from fastzarr.compat.core.config import config
from fastzarr.errors import PickleCodecDisabledError

if TYPE_CHECKING:
    from fastzarr.compat.core.array_spec import ArraySpec
    from fastzarr.compat.core.buffer import Buffer, NDBuffer


def _check_pickle_allowed(codecs: tuple[Any, ...]) -> None:
    """Raise PickleCodecDisabledError if decoding would unpickle, unless the settings allow it."""
    if not any(getattr(codec, "codec_id", None) == "pickle" for codec in codecs):
        return
    # Nothing but True allows it: text from the environment is true in Python, too.
    if config.get("array.allow_unsafe_pickle_decode") is not True:
        msg = (
            "Refusing to decode data with the 'pickle' codec, because unpickling can execute any "
            "code; if you trust the data, set array.allow_unsafe_pickle_decode to True in config"
        )
        raise PickleCodecDisabledError(msg)


@dataclass(frozen=True)
class V2Codec(ArrayBytesDress):
    """The filters and the compressor of a format 2 array; arrays of fastzarr do not use it."""

    name: ClassVar[str] = "v2"
    is_fixed_size = False

    filters: tuple[Any, ...] | None
    compressor: Any

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        dtype: Any = chunk_spec.dtype
        chunk: Any = chunk_array.as_numpy_array()
        chunk = chunk.astype(dtype.to_native_dtype(), order=chunk_spec.order, copy=False)
        for codec in self.filters or ():
            chunk = codec.encode(chunk)
        if ensure_ndarray_like(chunk).dtype == object:
            msg = "cannot write object array without object codec"
            raise RuntimeError(msg)
        if self.compressor is not None:
            chunk = self.compressor.encode(chunk)
        made: Buffer = chunk_spec.prototype.buffer.from_bytes(ensure_bytes(chunk))
        return made

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        _check_pickle_allowed((self.compressor, *(self.filters or ())))
        dtype: Any = chunk_spec.dtype
        native = dtype.to_native_dtype()
        chunk: Any = chunk_bytes.as_numpy_array()
        for codec in (self.compressor, *reversed(self.filters or ())):
            chunk = chunk if codec is None else codec.decode(chunk)
        array = ensure_ndarray_like(chunk)
        if native.kind == "O":
            if array.dtype != object:
                msg = "cannot read object array without object codec"
                raise RuntimeError(msg)
        elif array.dtype == object or native.kind == "T":
            array = np.asarray(array).astype(native)
        else:
            array = array.view(native)
        array = array.reshape(-1, order="A").reshape(chunk_spec.shape, order=chunk_spec.order)
        made: NDBuffer = chunk_spec.prototype.nd_buffer.from_ndarray_like(array)
        return made

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> V2Codec:
        """Return self."""
        del array_spec
        return self

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Do nothing: the document of a format 2 array is validated as a whole."""
