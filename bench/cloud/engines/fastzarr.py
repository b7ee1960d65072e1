"""fastzarr: from an object store, and from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastzarr
from bench.cloud.engines import CloudEngine

if TYPE_CHECKING:
    from bench.base import Box
    from bench.cloud.data import Cloud, Remote
    from bench.data import Array, Shape


class Fastzarr(CloudEngine):
    """fastzarr with a URL and ``storage_options``."""

    name = "fastzarr"
    module = "fastzarr"

    def version(self) -> str:
        """Return the version."""
        return str(fastzarr.__version__)

    def _options(self) -> dict[str, Any]:
        return self.cloud.keywords(self.cloud.proxied)

    def open(self, place: Remote, *, write: bool = False) -> Any:  # type: ignore[override]
        """Open an array."""
        mode = "r+" if write else "r"
        return fastzarr.open_array(place.url, mode=mode, storage_options=self._options())

    def read(self, array: Any, box: tuple[slice | int, ...]) -> Any:
        """Read a box."""
        return array[box]

    def rows(self, array: Any, rows: Array) -> Any:
        """Read rows."""
        return array.oindex[rows]

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box."""
        array[box] = value

    def append(self, array: Any, value: Array) -> Any:
        """Append along the first axis."""
        array.append(value)
        return array

    def arrays(self, place: Remote) -> dict[str, Shape]:
        """Return the names and shapes of the arrays in a group."""
        group = fastzarr.open_group(place.url, mode="r", storage_options=self._options())
        return {name: array.shape for name, array in group.arrays()}


class Decoding(Fastzarr):
    """fastzarr with the same objects in memory."""

    name = "decoding"
    cannot = {"arrays": "not measured", "write": "not measured"}  # noqa: RUF012  (as in Engine)

    def connect(self, cloud: Cloud, name: str) -> None:
        """Download the objects."""
        super().connect(cloud, name)
        if name not in cloud.arrays:
            self.refuse("arrays")
        if name in ("write", "cut", "append"):
            self.refuse("write")
        self.store = fastzarr.storage.MemoryStore(cloud.download(name))

    def open(self, place: Remote, *, write: bool = False) -> Any:  # type: ignore[override]
        """Open the array."""
        del place, write
        return fastzarr.open_array(self.store, mode="r")
