"""zarr-python: with its default pipeline, its fused one, and that of zarrs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

from bench.base import Engine, MissingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.base import Box
    from bench.data import Array, Place


class ZarrPython(Engine):
    """zarr-python with its default pipeline."""

    name = "zarr"
    module = "zarr"

    def open(self, place: Place, *, write: bool = False) -> Any:
        """Open an array; chunks that differ in size are behind a setting."""
        if place.layout.uneven:
            if zarr.config.get("array.rectilinear_chunks", None) is None:
                self.refuse("uneven")
            zarr.config.set({"array.rectilinear_chunks": True})
        return zarr.open_array(str(place.folder), mode="r+" if write else "r")

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box or an element."""
        return array[box]

    def orthogonal(self, array: Any, indices: Sequence[Array]) -> Any:
        """Read the product of lists of indices."""
        return array.oindex[tuple(indices)]

    def points(self, array: Any, coordinates: Sequence[Array]) -> Any:
        """Read elements."""
        return array.vindex[tuple(coordinates)]

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box."""
        array[box] = value

    def append(self, array: Any, value: Array) -> Any:
        """Append along the first axis."""
        array.append(value)
        return array

    def set_attribute(self, array: Any, number: int) -> Any:
        """Set an attribute."""
        array.attrs["a"] = number
        return array

    def create_arrays(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Create small arrays."""
        group = zarr.open_group(str(place.folder), mode="r+")
        for name, size in sizes.items():
            group.create_array(name, shape=(size,), chunks=(10,), dtype="f4", compressors=None)

    def list_arrays(self, place: Place) -> list[str]:
        """Return the names of the arrays in a group."""
        return list(zarr.open_group(str(place.folder), mode="r").array_keys())


class ZarrFused(ZarrPython):
    """zarr-python with its fused pipeline, available from version 3.3 on."""

    name = "zarr-fused"
    import_as = "as zarr"

    def __init__(self) -> None:
        """Select the pipeline."""
        from zarr.core import codec_pipeline

        if not hasattr(codec_pipeline, "FusedCodecPipeline"):
            msg = f"zarr {zarr.__version__} has no FusedCodecPipeline"
            raise MissingError(msg)
        path = "zarr.core.codec_pipeline.FusedCodecPipeline"
        zarr.config.set({"codec_pipeline.path": path})

    def version(self) -> str:
        """Return the version and the pipeline."""
        return f"zarr {zarr.__version__}, FusedCodecPipeline"


class ZarrZarrs(ZarrPython):
    """zarr-python with the pipeline of zarrs, which falls back to zarr-python if necessary."""

    name = "zarr-zarrs"
    import_as = "as zarr"

    def __init__(self) -> None:
        """Select the pipeline."""
        import zarrs  # noqa: F401  (registers itself)

        zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})

    def version(self) -> str:
        """Return the versions of zarr-python and zarrs."""
        from importlib.metadata import version

        return f"zarr {zarr.__version__}, zarrs {version('zarrs')}"
