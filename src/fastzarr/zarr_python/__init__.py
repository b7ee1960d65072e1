"""The engine of fastzarr inside an installed zarr-python.

>>> import fastzarr.zarr_python
>>> import zarr
>>> with fastzarr.zarr_python.enable():
...     z = zarr.create_array({}, shape=(4,), chunks=(2,), dtype="i4")
...     z[:] = [1, 2, 3, 4]
>>> z[1:3].tolist()
[2, 3]

Rules of this file:

* ``FastzarrPipeline`` is a codec pipeline of zarr-python, which knows it by an entry point. It
  reads and writes the chunks of arrays in local stores. For all others, and for what the engine
  does not know, it calls a pipeline of zarr-python.
* Chunks are read and written as by ``fastzarr.Array``: partial chunks are changed under a lock,
  files are replaced in one step, and the array is held while it changes.
* zarr-python resizes an array without telling its pipeline, so that the shape is not relied on. A
  chunk of which it is not known whether it is complete is read before it is overwritten.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from zarr.abc.codec import CodecPipeline
from zarr.codecs._v2 import V2Codec
from zarr.core import codec_pipeline as pipelines
from zarr.core.array_spec import ArrayConfig as ArraySettings
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.config import config
from zarr.registry import register_pipeline
from zarr.storage import LocalStore as ZarrLocalStore
from zarr.storage import StorePath

from fastzarr._lazy import cached
from fastzarr.codecs.foreign import Foreign
from fastzarr.engine import awaited, run
from fastzarr.errors import MetadataError
from fastzarr.metadata.formats import from_dict
from fastzarr.nodes import casting
from fastzarr.nodes.access import Access
from fastzarr.nodes.settings import ArrayConfig
from fastzarr.stores import LocalStore
from fastzarr.zarr_python.batches import Met, ends, selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from fastzarr.metadata.layout import Layout
    from fastzarr.selection.factors import Selection

__all__ = ["FastzarrPipeline", "enable"]

PATH = f"{__name__}.FastzarrPipeline"


def enable() -> AbstractContextManager[Any]:
    """Let arrays of zarr-python that are opened from now on be read and written by fastzarr.

    Used in a ``with`` statement, it holds until the end of the block. It sets
    ``codec_pipeline.path`` in the configuration of zarr-python.
    """
    found: AbstractContextManager[Any] = config.set({"codec_pipeline.path": PATH})
    return found


class FastzarrPipeline(CodecPipeline):
    """A codec pipeline of zarr-python that reads and writes arrays in local stores by fastzarr.

    >>> import zarr
    >>> path = "fastzarr.zarr_python.FastzarrPipeline"
    >>> with zarr.config.set({"codec_pipeline.path": path}):
    ...     z = zarr.create_array({}, shape=(2,), dtype="i4")
    """

    def __init__(self, other: Any, metadata: Any = None, store: Any = None) -> None:
        """Initialise with the pipeline for all else, or a function that makes it.

        With the metadata and the store of an array, its chunks are read and written here.
        """
        self._other, self._metadata, self._store = other, metadata, store
        self._accesses: dict[Any, Access] = {}

    @classmethod
    def from_codecs(cls, codecs: Iterable[Any]) -> Self:
        """Return the pipeline of some codecs, such as those inside a shard."""
        return cls(_best().from_codecs(codecs))

    @classmethod
    def from_array_metadata_and_store(cls, array_metadata: Any, store: Any) -> Self:
        """Return the pipeline of an array."""
        known = type(store) is ZarrLocalStore
        return cls(partial(_pipeline_of, array_metadata), array_metadata, store if known else None)

    @cached
    def other(self) -> Any:
        """The pipeline of zarr-python for what is not read or written here."""
        return self._other() if isinstance(self._other, partial) else self._other

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without open stores."""
        state = {"_other": self._other, "_metadata": self._metadata, "_store": self._store}
        return {**state, "_accesses": {}}

    def __eq__(self, other: object) -> bool:
        """Whether both are pipelines of the same codecs."""
        return isinstance(other, FastzarrPipeline) and bool(self.other == other.other)

    def __hash__(self) -> int:
        """Return a hash of what is compared."""
        return hash((type(self), self.other))

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the codecs."""
        return iter(self.other)

    def evolve_from_array_spec(self, array_spec: Any) -> Self:
        """Return the pipeline for chunks of an array."""
        return type(self)(self.other.evolve_from_array_spec(array_spec))

    @property
    def supports_partial_decode(self) -> bool:
        """Whether parts of chunks can be decoded."""
        return bool(self.other.supports_partial_decode)

    @property
    def supports_partial_encode(self) -> bool:
        """Whether parts of chunks can be encoded."""
        return bool(self.other.supports_partial_encode)

    def validate(self, *, shape: Any, dtype: Any, chunk_grid: Any) -> None:
        """Raise an error if a codec does not fit the array."""
        self.other.validate(shape=shape, dtype=dtype, chunk_grid=chunk_grid)

    def compute_encoded_size(self, byte_length: int, array_spec: Any) -> int:
        """Return the encoded size of a chunk, where all codecs have a fixed one."""
        return int(self.other.compute_encoded_size(byte_length, array_spec))

    async def decode(self, chunk_bytes_and_specs: Iterable[Any]) -> Iterable[Any]:
        """Return decoded chunks."""
        found: Iterable[Any] = await self.other.decode(chunk_bytes_and_specs)
        return found

    async def encode(self, chunk_arrays_and_specs: Iterable[Any]) -> Iterable[Any]:
        """Return encoded chunks."""
        found: Iterable[Any] = await self.other.encode(chunk_arrays_and_specs)
        return found

    async def read(
        self, batch_info: Iterable[Any], out: Any, drop_axes: tuple[int, ...] = ()
    ) -> Any:
        """Read a batch of chunks into ``out``; return of each whether it is stored.

        Raise ``ChunkError`` of fastzarr, which is a ValueError, if a chunk cannot be decoded.
        """
        batch = list(batch_info)
        target = out.as_ndarray_like()
        work = self._work(batch, target, target.shape, drop_axes)
        if work is None or not getattr(batch[0][1].config, "read_missing_chunks", True):
            return await self.other.read(batch, out, drop_axes)
        return await awaited.settled(None, work.read, target)

    async def write(
        self, batch_info: Iterable[Any], value: Any, drop_axes: tuple[int, ...] = ()
    ) -> None:
        """Write a batch of chunks.

        Raise ``StaleArrayError`` of fastzarr if the array has been deleted meanwhile.
        """
        batch = list(batch_info)
        given = value.as_ndarray_like()
        # A scalar is the value of every element.
        work = self._work(batch, given, given.shape or None, drop_axes)
        if work is None:
            await self.other.write(batch, value, drop_axes)
        else:
            await awaited.settled(None, work.write, given)

    @cached
    def _layout(self) -> Layout | None:
        """The metadata as fastzarr understands it, or None if the engine is not to be used."""
        if self._store is None:
            return None
        try:
            layout: Any = from_dict(self._metadata.to_dict())
        except MetadataError:
            return None
        if any(isinstance(codec, Foreign) for codec in layout.codecs):
            return None
        regular = None not in layout.grid.steps
        return layout if regular and layout.dtype.numpy.names is None else None

    def _work(
        self, batch: list[Any], array: Any, shape: Any, dropped: tuple[int, ...]
    ) -> _Work | None:
        """Return what a batch is to the engine; None if zarr-python is to handle it.

        ``array`` is what is read into, or written, and ``shape`` that of the selected elements, or
        None if it is not known.
        """
        layout = self._layout
        if layout is None or not batch or not isinstance(array, np.ndarray):
            return None
        first, spec = batch[0][:2]
        if type(first) is not StorePath or first.store is not self._store:
            return None
        ndim = len(layout.shape)
        # The key of a chunk has the same number of parts whatever its coordinates are.
        parts = layout.keys.encode((0,) * ndim).count("/") + 1
        folders = first.path.split("/")
        path = "/".join(folders[:-parts])
        begin = len(path) + 1 if path else 0
        found = []
        for getter, _, inside, out, _ in batch:
            coords = layout.keys.decode(getter.path[begin:], ndim)
            if coords is None:
                return None
            found.append(Met(coords, inside, out))
        steps: Any = layout.grid.steps
        selection = selected(found, steps, shape, dropped)
        if selection is None:
            return None
        access = self._access(path, spec, ends(selection))
        return _Work(access, selection, [met.coords for met in found])

    def _access(self, path: str, spec: Any, needed: dict[int, int]) -> Access:
        """Return the access to an array whose elements reach to the ends that are needed."""
        layout: Any = self._layout
        shape = tuple(
            [
                size if needed[axis] <= size else -(-needed[axis] // step) * step
                for axis, (size, step) in enumerate(
                    zip(layout.shape, layout.grid.steps, strict=True)
                )
            ]
        )
        empty = bool(spec.config.write_empty_chunks)
        known = self._accesses.get((path, shape, empty))
        if known is None:
            store = LocalStore(self._store.root, read_only=self._store.read_only)
            settings = ArrayConfig(layout.order or "C", empty)
            resized = layout if shape == layout.shape else layout.resized(shape)
            known = Access(store, store, path, resized, None, settings)
            self._accesses = {(path, shape, empty): known}
        return known


class _Work:
    """A batch as a selection of an array."""

    def __init__(self, access: Access, selection: Selection, coords: list[Any]) -> None:
        self.access, self.selection, self.coords = access, selection, coords

    def read(self, target: np.ndarray[Any, Any]) -> tuple[Any, ...]:
        access, selection = self.access, self.selection
        dtype = access.layout.dtype.numpy
        direct = target.dtype == dtype and target.flags.c_contiguous
        work = target.reshape(selection.work) if direct else np.empty(selection.work, dtype)
        missed = run.run_read(access.layout, access.chunks, selection, work, missing=True)
        if not direct:
            target[...] = work.reshape(target.shape)
        chunks = access.chunks
        return tuple(
            [
                {"status": "present" if not missed or self._stored(chunks, at) else "missing"}
                for at in self.coords
            ]
        )

    def _stored(self, chunks: Any, coords: Any) -> bool:
        return bool(self.access.store.exists(chunks.key(coords)))

    def write(self, value: np.ndarray[Any, Any]) -> None:
        access, selection = self.access, self.selection
        layout = access.layout
        if layout.dtype.numpy.kind == "O":
            prepared = casting.objects(value, layout, selection.shape)
        else:
            prepared = casting.fit(casting.cast(value, layout.dtype.numpy), selection.shape)
        with access.holding() as held:
            run.run_write(
                layout,
                held.chunks,
                selection,
                prepared.reshape(selection.work),
                store_empty=access.settings.write_empty_chunks,
            )


def _best() -> Any:
    """Return the fastest pipeline that the installed zarr-python has."""
    fused = getattr(pipelines, "FusedCodecPipeline", None)
    return pipelines.BatchedCodecPipeline if fused is None else fused


def _pipeline_of(metadata: Any) -> Any:
    """Return zarr-python's own pipeline for an array."""
    if metadata.zarr_format == 2:
        codecs = [V2Codec(filters=metadata.filters, compressor=metadata.compressor)]
        shape = metadata.chunks
        settings: Any = {"order": metadata.order}
    else:
        codecs, settings = metadata.codecs, {}
        # The chunks of other grids differ, and each comes with its own shape.
        shape = getattr(metadata.chunk_grid, "chunk_shape", (1,) * len(metadata.shape))
    made = _best().from_codecs(codecs)
    if not hasattr(pipelines, "FusedCodecPipeline"):
        # Older releases prepare the codecs of an array when they parse its metadata.
        return made
    spec = ArraySpec(
        shape=shape,
        dtype=metadata.dtype,
        fill_value=metadata.fill_value,
        config=ArraySettings.from_dict(settings),
        prototype=default_buffer_prototype(),
    )
    return made.evolve_from_array_spec(spec)


# Without its entry point, as where the package is only on the path, zarr-python knows it by this.
register_pipeline(FastzarrPipeline)
