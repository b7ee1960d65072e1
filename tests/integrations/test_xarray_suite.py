"""xarray's own tests of its Zarr backend, run over fastzarr's engine.

They come with the xarray that is installed. Where they call xarray's ``to_zarr`` and ``open_zarr``,
or name its engine, they are given those of fastzarr; where they open the files with zarr-python to
look at them, they do so still. ``LEFT`` names the tests that look at something else, with the
reason, and the tests here that look at the same with fastzarr.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import xarray as xr
import zarr
from fsspec.implementations.local import LocalFileSystem
from xarray.tests import test_backends as theirs

import fastzarr
from fastzarr.integrations.xarray import FastzarrBackendEntrypoint, to_fastzarr
from fastzarr.stores import FsspecStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The fixture that gives their class both formats.
default_zarr_format = theirs.default_zarr_format

LEFT = {
    "test_read_non_consolidated_warning": "a group without consolidated metadata opens as fast",
    "test_non_existent_store": "the error is the same, FileNotFoundError; its text is not",
    "test_chunk_encoding_with_dask": "blocks may share a chunk in a folder: TestWithoutLocks",
    "test_shard_encoding_with_dask": "blocks may share a shard in a folder: TestWithoutLocks",
    "test_compressor_encoding": "encodings name codecs as metadata does",
    "test_zarr_fill_value_setting": "use_zarr_fill_value_as_mask has an effect",
    "test_attributes": "the error is the same, TypeError, and its text names the attribute",
    "test_write_region_errors": "the errors are of the same types; test_xarray_writing.py has them",
    "test_cache_members": "it looks at the members that xarray's own store keeps",
}


class OverFastzarr:
    """Their class of tests, with another writer and reader."""

    @pytest.fixture(autouse=True)
    def _ours(
        self,
        default_zarr_format: None,  # noqa: ARG002  (it sets the format of zarr-python)
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> Iterator[None]:
        number = zarr.config.get("default_zarr_format")
        opened = xr.open_dataset

        def open_ours(path: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("engine") in (None, "zarr"):
                kwargs["engine"] = FastzarrBackendEntrypoint
            return opened(path, *args, **kwargs)

        def save(self: Any, store: Any = None, mode: Any = None, **kwargs: Any) -> Any:
            return to_fastzarr(self, store, mode, **kwargs)

        def open_zarr(path: Any, *, chunks: Any = None, **kwargs: Any) -> Any:
            chunks = {} if chunks is None else chunks
            return open_ours(path, chunks=chunks, engine="zarr", **kwargs)

        monkeypatch.setattr(xr, "open_dataset", open_ours)
        monkeypatch.setattr(theirs, "open_dataset", open_ours)
        monkeypatch.setattr(xr, "open_zarr", open_zarr)
        monkeypatch.setattr(xr.Dataset, "to_zarr", save)
        self.folder = tmp_path
        self.number = 0
        with fastzarr.config.set({"default_zarr_format": number}):
            yield

    @contextlib.contextmanager
    def create_zarr_target(self) -> Iterator[str]:
        self.number += 1
        yield str(self.folder / f"{self.number}.zarr")

    def save(self, dataset: Any, store_target: Any, **kwargs: Any) -> Any:
        return to_fastzarr(dataset, store_target, **kwargs)

    @contextlib.contextmanager
    def open(self, path: Any, **kwargs: Any) -> Iterator[Any]:
        with xr.open_dataset(path, engine="zarr", **kwargs) as dataset:
            yield dataset


class TestFolder(OverFastzarr, theirs.ZarrBase):
    """Their tests, in a folder."""

    def test_load_async(self) -> None:
        asyncio.run(super().test_load_async())

    @pytest.mark.filterwarnings("ignore:names beginning with '__'")
    def test_roundtrip_None_variable(self) -> None:  # noqa: N802  (their name)
        super().test_roundtrip_None_variable()


for _name in LEFT:
    assert hasattr(TestFolder, _name)
    setattr(TestFolder, _name, None)


@pytest.mark.usefixtures("default_zarr_format")
class TestWithoutLocks(OverFastzarr):
    """What they require of blocks that share a chunk, in a store that may lose changes."""

    test_chunks = theirs.ZarrBase.test_chunk_encoding_with_dask
    test_shards = theirs.ZarrBase.test_shard_encoding_with_dask
    roundtrip = theirs.ZarrBase.roundtrip

    @contextlib.contextmanager
    def create_zarr_target(self) -> Iterator[Any]:
        with super().create_zarr_target() as path:
            yield FsspecStore(LocalFileSystem(auto_mkdir=True), path=path)
